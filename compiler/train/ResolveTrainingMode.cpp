//===- ResolveTrainingMode.cpp - Training or inference ----------*- C++ -*-===//
//
// Before: %y = nn.in_training %dropped else %x
//         nn.update_parameter @mean, %m
// After:  %dropped and nn.set_parameter @mean, %m in a function that trains; %x and nothing
//         in any other
//
// Precondition: functions that train have been made: they set parameters. Postcondition:
// no nn.in_training and no nn.update_parameter is left.
//
//===----------------------------------------------------------------------===//
#include "compiler/train/Passes.h"
#include "dialects/nn/NNOps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/SymbolTable.h"

namespace nacre::train {
#define GEN_PASS_DEF_RESOLVETRAININGMODEPASS
#include "compiler/train/Passes.h.inc"
} // namespace nacre::train

using namespace mlir;
using namespace nacre;

namespace {

struct ResolveTrainingModePass : train::impl::ResolveTrainingModePassBase<ResolveTrainingModePass> {
  void runOnOperation() override {
    SymbolTable symbols(getOperation());
    for (auto func : getOperation().getOps<func::FuncOp>())
      if (!func.isExternal() && failed(resolve(func, symbols)))
        return signalPassFailure();
  }

private:
  static LogicalResult resolve(func::FuncOp func, SymbolTable &symbols) {
    auto sets = func.getBody().front().getOps<nn::SetParameterOp>();
    bool trains = !sets.empty();
    llvm::DenseSet<Attribute> set;
    for (nn::SetParameterOp op : sets)
      set.insert(op.getNameAttr());
    auto walked = func.walk([&](Operation *op) {
      OpBuilder b(op);
      if (auto choice = dyn_cast<nn::InTrainingOp>(op)) {
        Value chosen = trains ? choice.getTraining() : choice.getInference();
        if (chosen.getType() != choice.getType())
          chosen = tensor::CastOp::create(b, op->getLoc(), choice.getType(), chosen);
        choice.replaceAllUsesWith(chosen);
        op->erase();
      } else if (auto update = dyn_cast<nn::UpdateParameterOp>(op)) {
        bool isFrozen = !symbols.lookup<nn::ParameterOp>(update.getName()).getTrainable();
        if (trains && !isFrozen && !set.insert(update.getNameAttr()).second)
          return op->emitError("updates '") << update.getName() << "', which another node updates as well", WalkResult::interrupt();
        if (trains && !isFrozen)
          nn::SetParameterOp::create(b, op->getLoc(), update.getName(), update.getValue());
        op->erase();
      }
      return WalkResult::advance();
    });
    return failure(walked.wasInterrupted());
  }
};

} // namespace
