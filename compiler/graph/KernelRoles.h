//===- KernelRoles.h - What an op may be in a kernel ------------*- C++ -*-===//
//
// What the passes that form kernels, and those that prepare for it, ask of an op.
//
//===----------------------------------------------------------------------===//
#ifndef NACRE_COMPILER_GRAPH_KERNELROLES_H
#define NACRE_COMPILER_GRAPH_KERNELROLES_H

#include "dialects/nn/NNOps.h"

namespace nacre::graph {

/// The role an op states; alone if it states none.
inline nn::KernelRole getRole(mlir::Operation *op) {
  if (auto kernelOp = llvm::dyn_cast<nn::KernelOpInterface>(op))
    return kernelOp.getKernelRole();
  return nn::KernelRole::Alone;
}

/// Whether an op may be fused freely: element-wise, and it does not say otherwise.
inline bool isElementwise(mlir::Operation *op) {
  return llvm::isa<nn::ElementwiseOpInterface>(op) && !llvm::isa<nn::KernelOpInterface>(op);
}

/// Whether two values' types span the same loops: element-wise consumption without stretching.
/// A dynamic size against a static one is equal at run time: broadcasts are explicit.
inline bool haveSameShape(mlir::Value lhs, mlir::Value rhs) {
  auto l = llvm::cast<mlir::RankedTensorType>(lhs.getType()), r = llvm::cast<mlir::RankedTensorType>(rhs.getType());
  return l.getRank() == r.getRank() && mlir::succeeded(mlir::verifyCompatibleShape(l, r));
}

} // namespace nacre::graph

#endif // NACRE_COMPILER_GRAPH_KERNELROLES_H
