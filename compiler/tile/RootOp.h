//===- RootOp.h - A kernel's root op ----------------------------*- C++ -*-===//
#ifndef NACRE_COMPILER_TILE_ROOTOP_H
#define NACRE_COMPILER_TILE_ROOTOP_H

#include "dialects/kern/KernOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Interfaces/TilingInterface.h"

namespace nacre::tile {

/// The structured op (or kern.winograd) that computes all results of a kernel, maybe as the middle of padded
/// ones or with dimensions that are collapsed then, whose loops are tiled; null if several
/// ops do, or another kind of op.
inline mlir::TilingInterface getRootOp(kern::FuncOp func) {
  mlir::Operation *terminator = func.getBody().back().getTerminator();
  mlir::TilingInterface root;
  for (mlir::Value result : terminator->getOperands()) {
    if (auto padded = result.getDefiningOp<mlir::tensor::InsertSliceOp>())
      result = padded.getSource();
    else if (auto collapsed = result.getDefiningOp<mlir::tensor::CollapseShapeOp>())
      result = collapsed.getSrc();
    mlir::Operation *op = result.getDefiningOp();
    if (!mlir::isa_and_present<mlir::linalg::LinalgOp, kern::WinogradOp>(op) || (root && op != root))
      return nullptr;
    root = mlir::cast<mlir::TilingInterface>(op);
  }
  return root;
}

} // namespace nacre::tile

#endif // NACRE_COMPILER_TILE_ROOTOP_H
