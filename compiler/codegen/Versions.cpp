//===- Versions.cpp - One model for several CPUs ----------------*- C++ -*-===//
//
// Each CPU of the list has kernels, tiles, arena and host functions of its own, as if it were
// alone. Parameters are in one section: those that the model has before the phases that ask for
// the CPU are the same for all, and so are those packed from these in the same way.
//
//===----------------------------------------------------------------------===//
#include "compiler/codegen/Versions.h"
#include "compiler/codegen/Artifact.h"
#include "compiler/codegen/Link.h"
#include "dialects/kern/KernOps.h"
#include "llvm/ADT/BitVector.h"
#include "llvm/ADT/StringSet.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

using namespace mlir;
using namespace nacre;
using namespace nacre::codegen;

std::vector<const CompiledModule *> CompiledModule::getVersions() const {
  std::vector<const CompiledModule *> versions = {this};
  for (const CompiledModule &fallback : fallbacks)
    versions.push_back(&fallback);
  return versions;
}

void nacre::codegen::addFallback(CompiledModule &best, CompiledModule fallback) {
  best.fallbacks.push_back(std::move(fallback));
  int64_t size = 0;
  for (const CompiledModule *version : best.getVersions())
    size = std::max(size, version->parameters.sectionSize);
  best.parameters.sectionSize = size;
  for (CompiledModule &version : best.fallbacks)
    version.parameters.sectionSize = size;
}

//===----------------------------------------------------------------------===//
// Parameters
//===----------------------------------------------------------------------===//

void nacre::codegen::markCommonParameters(ModuleOp module) {
  for (auto parameter : module.getOps<nn::ParameterOp>())
    parameter->setAttr(kCommonAttr, UnitAttr::get(module.getContext()));
}

/// What is the same in two versions has the same value. Null: nothing is known.
static Attribute getIdentity(nn::ParameterOp parameter) {
  if (Attribute packing = parameter->getAttr(kPackingAttr))
    return packing;
  return parameter->hasAttr(kCommonAttr) ? Attribute(parameter.getSymNameAttr()) : Attribute();
}

/// Takes results out of @prepare, and what only they need.
static void dropShared(ModuleOp module) {
  SymbolTable symbols(module);
  auto prepare = symbols.lookup<func::FuncOp>("prepare");
  if (!prepare)
    return;
  auto outputs = prepare->getAttrOfType<ArrayAttr>("nacre.outputs");
  SmallVector<Attribute> kept;
  llvm::BitVector dropped(outputs.size());
  for (auto [i, output] : llvm::enumerate(outputs.getAsRange<DictionaryAttr>()))
    if (symbols.lookup(output.getAs<StringAttr>("name"))->hasAttr(kSharedOffsetAttr))
      dropped.set(i);
    else
      kept.push_back(output);
  Operation *terminator = prepare.getBody().front().getTerminator();
  terminator->eraseOperands(dropped);
  prepare.setFunctionType(FunctionType::get(module.getContext(), {}, terminator->getOperandTypes()));
  prepare->setAttr("nacre.outputs", ArrayAttr::get(module.getContext(), kept));
  SmallVector<Operation *> ops;
  for (Operation &op : prepare.getBody().front().without_terminator())
    ops.push_back(&op);
  for (Operation *op : llvm::reverse(ops))
    if (op->use_empty() && (isa<kern::CallOp>(op) || isMemoryEffectFree(op))) // kernels on tensors write results alone
      op->erase();
}

void nacre::codegen::shareParameters(ModuleOp module, const CompiledModule &best) {
  llvm::DenseMap<Attribute, int64_t> offsets;
  for (const CompiledModule *version : best.getVersions())
    for (const Parameter &parameter : version->parameters.parameters)
      if (Attribute identity = getIdentity(parameter.op); identity && parameter.offset >= 0)
        offsets.try_emplace(identity, parameter.offset);
  Builder builder(module.getContext());
  for (auto parameter : module.getOps<nn::ParameterOp>())
    if (Attribute identity = getIdentity(parameter))
      if (auto offset = offsets.find(identity); offset != offsets.end())
        parameter->setAttr(kSharedOffsetAttr, builder.getI64IntegerAttr(offset->second));
  module->setAttr(kSharedEndAttr, builder.getI64IntegerAttr(best.parameters.sectionSize));
  dropShared(module);
}

//===----------------------------------------------------------------------===//
// Code
//===----------------------------------------------------------------------===//

std::string nacre::codegen::getRunSymbol(unsigned version, StringRef function) {
  return (version == 0 ? "nacre." + function : "nacre." + Twine(version) + "." + function).str();
}

static Object borrow(const Object &object) {
  auto bytes = llvm::MemoryBuffer::getMemBuffer(object.bytes->getMemBufferRef(), /*RequiresNullTerminator=*/false);
  return {object.name, std::move(bytes), {}, object.isLibrary};
}

llvm::Expected<std::vector<Object>> nacre::codegen::joinVersions(const CompiledModule &compiled) {
  std::vector<Object> joined;
  if (compiled.fallbacks.empty()) {
    for (const Object &object : compiled.objects)
      joined.push_back(borrow(object));
    return joined;
  }
  llvm::StringSet<> libraries;
  for (auto [number, version] : llvm::enumerate(compiled.getVersions())) {
    std::vector<llvm::MemoryBufferRef> own;
    for (const Object &object : version->objects)
      if (!object.isLibrary)
        own.emplace_back(object.bytes->getBuffer(), object.name);
      else if (libraries.insert(object.bytes->getBuffer().data()).second)
        joined.push_back(borrow(object));
    LinkOptions options;
    options.kind = LinkKind::Relocatable;
    options.triple = compiled.target.getTriple();
    std::vector<std::pair<std::string, std::string>> visible;
    for (const FunctionInfo &function : version->functions) {
      options.roots.push_back(getRunSymbol(0, function.name));
      visible.emplace_back(options.roots.back(), getRunSymbol(number, function.name));
    }
    auto linked = link(own, options);
    if (!linked)
      return linked.takeError();
    auto object = hideSymbols(**linked, visible);
    if (!object)
      return object.takeError();
    joined.push_back({"nacre.code." + std::to_string(number), std::move(*object), {}});
  }
  return joined;
}
