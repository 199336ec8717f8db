//===- StepMemory.h - What a training step will hold ------------*- C++ -*-===//
#ifndef NACRE_COMPILER_TRAIN_STEPMEMORY_H
#define NACRE_COMPILER_TRAIN_STEPMEMORY_H

#include "compiler/graph/BatchSizes.h"

namespace nacre::train {

/// The most that a host function of kernels holds at a time, beside its inputs: results of kernels,
/// each from its kernel to the last use of it or of a view of it. What kernels need inside is not
/// known yet.
int64_t estimateHeldBytes(mlir::func::FuncOp func, const graph::BatchSizes &sizes);

} // namespace nacre::train

#endif // NACRE_COMPILER_TRAIN_STEPMEMORY_H
