//===- Differentiate.h - Reverse-mode differentiation -----------*- C++ -*-===//
#ifndef NACRE_COMPILER_GRAPH_DIFFERENTIATE_H
#define NACRE_COMPILER_GRAPH_DIFFERENTIATE_H

#include "compiler/graph/DimAnalysis.h"

namespace nacre::graph {

/// Builds the gradients of `loss`, a scalar of the function's entry block, with respect
/// to `variables` that are defined there, at the block's end; null for one that the loss
/// does not depend on differentiably. Fails, with a diagnostic, where an op in between
/// has no gradient.
mlir::FailureOr<llvm::SmallVector<mlir::Value>>
differentiate(mlir::Value loss, llvm::ArrayRef<mlir::Value> variables, DimAnalysis &dims);

} // namespace nacre::graph

#endif // NACRE_COMPILER_GRAPH_DIFFERENTIATE_H
