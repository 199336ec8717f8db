//===- Descriptor.cpp - The nacre_abi_model as an object --------*- C++ -*-===//
#include "compiler/codegen/Descriptor.h"
#include "compiler/codegen/AbiTypes.h"
#include "compiler/codegen/Versions.h"
#include "llvm/IR/Constants.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"

using namespace llvm;
using namespace nacre::codegen;

namespace {

class DescriptorBuilder {
public:
  explicit DescriptorBuilder(Module &module)
      : module(module), context(module.getContext()), types(context),
        ptr(PointerType::get(context, 0)) {}

  void build(const CompiledModule &compiled, bool hasSection) {
    section = ConstantPointerNull::get(ptr);
    if (hasSection && compiled.parameters.sectionSize > 0)
      section = declareSection(compiled.parameters.sectionSize);
    Constant *fallback = ConstantPointerNull::get(ptr);
    std::vector<const CompiledModule *> versions = compiled.getVersions();
    for (unsigned i = versions.size(); i-- > 0;) { // each names the one behind it
      Constant *model = describe(*versions[i], i, fallback);
      std::string name = i == 0 ? NACRE_ABI_MODEL_SYMBOL : kFallbackPrefix.str() + std::to_string(i);
      auto *variable = new GlobalVariable(module, types.model, /*isConstant=*/true,
                                          GlobalValue::ExternalLinkage, model, name);
      if (i > 0)
        variable->setVisibility(GlobalValue::HiddenVisibility);
      fallback = variable;
    }
  }

private:
  Constant *describe(const CompiledModule &compiled, unsigned version, Constant *fallback) {
    std::vector<Constant *> functions, kernels, parameters;
    for (const FunctionInfo &info : compiled.functions)
      functions.push_back(function(info, version));
    for (const KernelInfo &info : compiled.kernels)
      kernels.push_back(ConstantStruct::get(
          types.kernelInfo, {string(info.name), string(info.nodes), i64(info.flops), i64(info.bytes)}));
    for (const Parameter &info : compiled.parameters.parameters)
      parameters.push_back(parameter(info));
    const ParameterTable &table = compiled.parameters;
    return ConstantStruct::get(
        types.model,
        {i32(NACRE_ABI_MAGIC), i32(NACRE_ABI_VERSION), i32(sizeof(nacre_abi_model)), i32(64),
         array(types.function, functions), array(types.kernelInfo, kernels),
         array(types.parameterInfo, parameters), i32(functions.size()), i32(kernels.size()),
         i32(parameters.size()), i32(0), section, i64(table.sectionSize), i64(table.stateSize),
         i64(0), // the checksum: written when the parameters are
         string(compiled.target.getCPU()), string(compiled.target.getRequiredFeatures()),
         string(compiled.provenance), fallback});
  }

  Constant *i32(int64_t value) {
    return ConstantInt::get(Type::getInt32Ty(context), value, /*IsSigned=*/false,
                            /*ImplicitTrunc=*/true);
  }
  Constant *i64(int64_t value) {
    return ConstantInt::get(Type::getInt64Ty(context), value, /*IsSigned=*/true);
  }

  Constant *global(Constant *value) {
    auto *variable = new GlobalVariable(module, value->getType(), /*isConstant=*/true,
                                        GlobalValue::PrivateLinkage, value);
    variable->setUnnamedAddr(GlobalValue::UnnamedAddr::Global);
    return variable;
  }

  Constant *string(StringRef text) {
    Constant *&constant = strings[text];
    if (!constant)
      constant = global(ConstantDataArray::getString(context, text));
    return constant;
  }

  Constant *array(StructType *type, ArrayRef<Constant *> elements) {
    if (elements.empty())
      return ConstantPointerNull::get(ptr);
    return global(ConstantArray::get(ArrayType::get(type, elements.size()), elements));
  }

  Constant *tensor(const TensorInfo &info) {
    std::vector<Constant *> dims;
    for (auto [size, symbol] : zip(info.sizes, info.symbols))
      dims.push_back(ConstantStruct::get(
          types.dim, {i64(size), symbol.empty() ? ConstantPointerNull::get(ptr) : string(symbol)}));
    return ConstantStruct::get(types.tensorInfo, {string(info.name), i32(info.dtype),
                                                  i32(info.sizes.size()), array(types.dim, dims)});
  }

  Constant *function(const FunctionInfo &info, unsigned version) {
    auto *type = FunctionType::get(Type::getInt32Ty(context), {ptr, ptr}, false);
    auto *run = Function::Create(type, GlobalValue::ExternalLinkage,
                                 getRunSymbol(version, info.name), module);
    run->setVisibility(GlobalValue::HiddenVisibility);
    run->setDSOLocal(true);
    std::vector<Constant *> inputs, outputs;
    for (const TensorInfo &input : info.inputs)
      inputs.push_back(tensor(input));
    for (const TensorInfo &output : info.outputs)
      outputs.push_back(tensor(output));
    return ConstantStruct::get(types.function,
                               {string(info.name), run, array(types.tensorInfo, inputs),
                                array(types.tensorInfo, outputs), i32(inputs.size()),
                                i32(outputs.size()), i64(info.arenaSize), values(info.outputValues),
                                i32(info.outputValues.size()), i32(info.inputValues.size()),
                                values(info.inputValues)});
  }

  Constant *values(const std::vector<ValueInfo> &infos) {
    std::vector<Constant *> values;
    for (const ValueInfo &value : infos)
      values.push_back(ConstantStruct::get(types.valueInfo,
                                           {string(value.name), i32(value.kind), i32(value.isOptional),
                                            i32(value.first), i32(value.count)}));
    return array(types.valueInfo, values);
  }

  Constant *parameter(const Parameter &info) {
    nacre::nn::ParameterOp op = info.op;
    mlir::FailureOr<TensorInfo> description =
        TensorInfo::get(op.getLoc(), op.getSymName(), op.getType());
    assert(succeeded(description) && "the table holds what the ABI can describe");
    bool isState = info.stateOffset >= 0;
    return ConstantStruct::get(types.parameterInfo,
                               {tensor(*description), i64(isState ? info.stateOffset : info.offset),
                                i64(info.size), i32(isState), i32(0),
                                i64(isState ? info.offset : -1)});
  }

  /// A section without contents. Its size may be beyond what the linker could
  /// handle in memory; only the address of its start is ever taken.
  Constant *declareSection(int64_t size) {
    const std::string symbol = "nacre_parameters";
    module.appendModuleInlineAsm(".section " + std::string(kParameterSection) +
                                 ",\"a\",@nobits\n.p2align 12\n.hidden " + symbol + "\n.globl " +
                                 symbol + "\n" + symbol + ":\n.zero " + std::to_string(size) +
                                 "\n.text\n");
    auto *declared =
        new GlobalVariable(module, Type::getInt8Ty(context), /*isConstant=*/true,
                           GlobalValue::ExternalLinkage, nullptr, symbol);
    declared->setVisibility(GlobalValue::HiddenVisibility);
    declared->setDSOLocal(true);
    return declared;
  }

  Module &module;
  LLVMContext &context;
  abi::DescriptorTypes types;
  PointerType *ptr;
  Constant *section = nullptr;
  StringMap<Constant *> strings;
};

} // namespace

Expected<std::unique_ptr<MemoryBuffer>>
nacre::codegen::makeDescriptor(const CompiledModule &compiled, bool hasSection) {
  LLVMContext context;
  Module module("nacre.descriptor", context);
  DescriptorBuilder(module).build(compiled, hasSection);
  return compiled.getEntryTarget().compile(module, Effort::Host);
}
