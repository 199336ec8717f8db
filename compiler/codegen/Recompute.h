//===- Recompute.h - What is computed again in outlined code ----*- C++ -*-===//
#ifndef NACRE_COMPILER_CODEGEN_RECOMPUTE_H
#define NACRE_COMPILER_CODEGEN_RECOMPUTE_H

#include "mlir/IR/Operation.h"
#include "mlir/IR/Region.h"

namespace nacre::codegen {

/// Whether code that is outlined should compute the op's results again instead
/// of taking them as arguments: true of what costs nothing, such as constants,
/// views, sizes, and planned buffers.
bool isRecomputed(mlir::Operation *op);

/// Clones ops that are recomputed to the front of the region until it uses none
/// from outside; returns the values from outside that it still uses, in order of
/// definition. Outside, control flow must be structured.
llvm::SmallVector<mlir::Value> recomputeInside(mlir::Region &region);

} // namespace nacre::codegen

#endif // NACRE_COMPILER_CODEGEN_RECOMPUTE_H
