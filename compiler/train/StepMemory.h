//===- StepMemory.h - What a training step holds ----------------*- C++ -*-===//
#ifndef NACRE_COMPILER_TRAIN_STEPMEMORY_H
#define NACRE_COMPILER_TRAIN_STEPMEMORY_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/StringMap.h"

namespace nacre::train {

/// What the pass that measures leaves at the module: bytes of parameters and state, and of what a
/// step holds beside them at a time.
inline constexpr llvm::StringLiteral kParameterBytes = "nacre.parameter_bytes", kStepBytes = "nacre.step_bytes";

/// Counts bytes, with a number for each size that the model leaves open: that of a batch's shape
/// ("x=64x128", by inputs' names), or `openSize`.
class StepMemory {
public:
  StepMemory(int64_t openSize, llvm::ArrayRef<std::string> batch);

  /// Of a tensor; 0 for what is none.
  int64_t getBytes(mlir::Type type) const;
  /// Of all parameters of a module, the optimizer's state among them.
  int64_t measureParameters(mlir::ModuleOp module) const;
  /// The most that a host function of kernels holds at a time: results of kernels, each from
  /// its kernel to the last use of it or of a view of it, and the function's inputs and outputs.
  int64_t measureStep(mlir::func::FuncOp func) const;

private:
  int64_t getBytes(mlir::Type type, llvm::ArrayRef<int64_t> openSizes) const;
  /// A size as host code computes it.
  int64_t evaluate(mlir::Value size) const;

  int64_t openSize;
  llvm::StringMap<llvm::SmallVector<int64_t>> batch;
};

} // namespace nacre::train

#endif // NACRE_COMPILER_TRAIN_STEPMEMORY_H
