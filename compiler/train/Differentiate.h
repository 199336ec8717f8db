//===- Differentiate.h - Reverse-mode differentiation -----------*- C++ -*-===//
#ifndef NACRE_COMPILER_TRAIN_DIFFERENTIATE_H
#define NACRE_COMPILER_TRAIN_DIFFERENTIATE_H

#include "compiler/graph/DimAnalysis.h"

namespace nacre::train {

/// Builds the gradients of the sum of `loss` with respect to `variables` in front of
/// `before`, an op of the block that all are defined in; null for one that the loss does
/// not depend on differentiably. Fails, with a diagnostic, where an op in between has no
/// gradient. With `checks` the run ends at the first op whose gradient is not finite.
mlir::FailureOr<llvm::SmallVector<mlir::Value>> differentiate(mlir::Value loss,
                                                              llvm::ArrayRef<mlir::Value> variables,
                                                              mlir::Operation *before, graph::DimAnalysis &dims,
                                                              bool checks = false);

} // namespace nacre::train

#endif // NACRE_COMPILER_TRAIN_DIFFERENTIATE_H
