//===- Contracts.cpp - What must hold after each phase ----------*- C++ -*-===//
//
// A violation is our own bug: it is reported where it was born, with the op.
//
//===----------------------------------------------------------------------===//
#include "compiler/pipeline/Contracts.h"
#include "dialects/kern/KernOps.h"
#include "dialects/nn/NNOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;
using namespace nacre;

/// Walks the module; fails at the first op that breaks the rule, with the message.
static LogicalResult check(ModuleOp module, llvm::function_ref<bool(Operation *)> holds,
                           const Twine &message) {
  WalkResult result = module.walk([&](Operation *op) {
    if (holds(op))
      return WalkResult::advance();
    op->emitError("internal error: ") << message;
    return WalkResult::interrupt();
  });
  return failure(result.wasInterrupted());
}

static bool isNN(Operation *op) { return isa_and_present<nn::NNDialect>(op->getDialect()); }

LogicalResult nacre::verifyAfterImport(ModuleOp module) {
  return check(module, [](Operation *op) { return !isNN(op) || !isa<UnknownLoc>(op->getLoc()); },
               "after import, every op says where it comes from");
}

LogicalResult nacre::verifyAfterGraph(ModuleOp module) {
  return check(module, [](Operation *op) {
    if (!isNN(op) || op->getNumResults() == 0 || op->hasTrait<OpTrait::ConstantLike>())
      return true;
    auto role = dyn_cast<nn::KernelOpInterface>(op);
    bool isHost = role && role.getKernelRole() == nn::KernelRole::Host;
    return isHost != static_cast<bool>(op->getParentOfType<kern::FuncOp>());
  }, "after the graph phase, compute ops stand in kernels and host ops outside");
}

LogicalResult nacre::verifyAfterLower(ModuleOp module) {
  return check(module, [](Operation *op) {
    return !isNN(op) || isa<nn::ParameterOp, nn::GetParameterOp, nn::SetParameterOp, nn::StringConstantOp>(op);
  }, "after the lower phase, no nn op is left but parameters and constant strings");
}

LogicalResult nacre::verifyAfterTile(ModuleOp module) { return verifyAfterLower(module); }

LogicalResult nacre::verifyAfterBuffer(ModuleOp module) {
  return check(module, [](Operation *op) {
    if (isa<memref::AllocOp>(op))
      return false;
    auto isTensor = [](Type type) { return isa<TensorType>(type); };
    return llvm::none_of(op->getOperandTypes(), isTensor) &&
           llvm::none_of(op->getResultTypes(), isTensor);
  }, "after the buffer phase, no tensor and no unplanned allocation is left");
}

LogicalResult nacre::verifyAfterCodegen(ModuleOp module) {
  return check(module, [](Operation *op) { return !isa<func::FuncOp, kern::FuncOp>(op); },
               "after code generation, no function is left");
}
