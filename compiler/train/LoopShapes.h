//===- LoopShapes.h - Sizes that loops do not change ------------*- C++ -*-===//
//
// Internal to differentiation.
//
//===----------------------------------------------------------------------===//
#ifndef NACRE_COMPILER_TRAIN_LOOPSHAPES_H
#define NACRE_COMPILER_TRAIN_LOOPSHAPES_H

#include "compiler/graph/DimAnalysis.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/ADT/BitVector.h"

namespace nacre::train {

/// Of the tensors that a loop carries, those that are known to have in each iteration the
/// sizes that they began with.
llvm::BitVector findFixedShapes(mlir::scf::ForOp op, graph::DimAnalysis &dims);

/// Tells `dims` the sizes of what a loop or a branch gives, where they are known in front of it.
void learnShapes(mlir::Operation *op, graph::DimAnalysis &dims);

/// Puts a loop with a test in the place of a counted one; the first result is the counter. What
/// the latter carries must keep its sizes: its canonicalization takes those of an initial value
/// that are static for the result's.
mlir::scf::WhileOp makeWhile(mlir::scf::ForOp op, graph::DimAnalysis &dims);

} // namespace nacre::train

#endif // NACRE_COMPILER_TRAIN_LOOPSHAPES_H
