//===- EntryPoints.cpp - A model as typed C functions -----------*- C++ -*-===//
#include "compiler/codegen/EntryPoints.h"
#include "compiler/codegen/Identifiers.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/Path.h"
#include "runtime/abi/nacre_abi.h"

using namespace llvm;
using namespace nacre::codegen;

bool nacre::codegen::isTrained(const CompiledModule &compiled) {
  return any_of(compiled.functions, [](const FunctionInfo &function) { return function.name == "step"; });
}

namespace {

/// Functions that only hand their arguments on, with one of them known.
class EntryBuilder {
public:
  EntryBuilder(Module &module, StringRef name)
      : module(module), name(name), builder(module.getContext()), ptr(builder.getPtrTy()) {}

  void build(const CompiledModule &compiled) {
    auto *model = new GlobalVariable(module, ptr, /*isConstant=*/true, GlobalValue::ExternalLinkage,
                                     nullptr, NACRE_ABI_MODEL_SYMBOL);
    model->setDSOLocal(true); // not another model's of the same program
    Type *i32 = builder.getInt32Ty(), *none = builder.getVoidTy();
    add("create", ptr, {i32}, "nacre_entry_create", {ptr, i32},
        [&](Function &function) { return std::vector<Value *>{model, function.getArg(0)}; });
    forward("destroy", none, {ptr}, "nacre_session_destroy");
    forward("cancel", i32, {ptr}, "nacre_session_cancel");
    forward("last_error", ptr, {}, "nacre_last_error");
    forward("tensor_release", none, {ptr}, "nacre_tensor_release");
    if (isTrained(compiled)) {
      forward("save", i32, {ptr, ptr}, "nacre_entry_save");
      forward("load", i32, {ptr, ptr}, "nacre_entry_load");
    }
    for (const auto &[index, info] : enumerate(compiled.functions))
      add(getFunctionSuffix(info.name), i32, {ptr, ptr}, "nacre_entry_run", {ptr, i32, ptr},
          [&](Function &function) {
            return std::vector<Value *>{function.getArg(0), builder.getInt32(index), function.getArg(1)};
          });
  }

private:
  using Arguments = function_ref<std::vector<Value *>(Function &)>;

  void add(StringRef suffix, Type *result, ArrayRef<Type *> parameters, StringRef callee,
           ArrayRef<Type *> calleeParameters, Arguments arguments) {
    auto *function = Function::Create(FunctionType::get(result, parameters, false),
                                      GlobalValue::ExternalLinkage, name + "_" + suffix, module);
    function->addFnAttr(Attribute::NoUnwind);
    FunctionCallee target =
        module.getOrInsertFunction(callee, FunctionType::get(result, calleeParameters, false));
    builder.SetInsertPoint(BasicBlock::Create(module.getContext(), "", function));
    CallInst *call = builder.CreateCall(target, arguments(*function));
    call->setTailCall();
    if (result->isVoidTy())
      builder.CreateRetVoid();
    else
      builder.CreateRet(call);
  }
  void forward(StringRef suffix, Type *result, ArrayRef<Type *> parameters, StringRef callee) {
    add(suffix, result, parameters, callee, parameters, [](Function &function) {
      std::vector<Value *> arguments;
      for (Argument &argument : function.args())
        arguments.push_back(&argument);
      return arguments;
    });
  }

  Module &module;
  StringRef name;
  IRBuilder<> builder;
  PointerType *ptr;
};

} // namespace

std::string nacre::codegen::makeEntryName(StringRef path) {
  std::string name = makeIdentifier(sys::path::stem(path));
  // Functions such as timer_create are the C library's; nacre_* are the runtime's.
  static constexpr StringLiteral taken[] = {"timer", "pthread", "thrd",  "mtx",   "cnd", "tss",
                                            "sem",   "mq",      "nacre", "epoll", "io",  "key"};
  bool isTaken = is_contained(taken, StringRef(name)) || StringRef(name).starts_with("nacre_");
  return isTaken ? "model_" + name : name;
}

std::vector<std::string> nacre::codegen::getEntrySymbols(const CompiledModule &compiled, StringRef name) {
  std::vector<std::string> symbols;
  for (StringRef suffix : {"create", "destroy", "cancel", "last_error", "tensor_release"})
    symbols.push_back((name + "_" + suffix).str());
  if (isTrained(compiled))
    for (StringRef suffix : {"save", "load"})
      symbols.push_back((name + "_" + suffix).str());
  for (const FunctionInfo &function : compiled.functions)
    symbols.push_back((name + "_" + getFunctionSuffix(function.name)).str());
  return symbols;
}

Expected<std::unique_ptr<MemoryBuffer>>
nacre::codegen::makeEntryPoints(const CompiledModule &compiled, StringRef name) {
  LLVMContext context;
  Module module("nacre.entry", context);
  EntryBuilder(module, name).build(compiled);
  return compiled.getEntryTarget().compile(module, Effort::Host);
}
