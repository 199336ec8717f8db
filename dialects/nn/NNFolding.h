//===- NNFolding.h - Constant folding of element-wise ops -------*- C++ -*-===//
#ifndef NACRE_DIALECTS_NN_NNFOLDING_H
#define NACRE_DIALECTS_NN_NNFOLDING_H

#include "mlir/IR/OpDefinition.h"

namespace nacre::nn {

namespace detail {
/// Evaluates an element-wise op with constant operands; null if one is not constant,
/// the result is large, or a function cannot be evaluated here.
mlir::OpFoldResult foldElementwise(mlir::Operation *op, llvm::ArrayRef<mlir::Attribute> operands);
} // namespace detail

/// An op with ElementwiseOpInterface that folds by evaluating the body that it also
/// lowers to: one mechanism for all of them.
template <typename ConcreteOp>
struct FoldsElementwise : mlir::OpTrait::TraitBase<ConcreteOp, FoldsElementwise> {
  static mlir::OpFoldResult foldTrait(mlir::Operation *op,
                                      llvm::ArrayRef<mlir::Attribute> operands) {
    return detail::foldElementwise(op, operands);
  }
};

} // namespace nacre::nn

#endif // NACRE_DIALECTS_NN_NNFOLDING_H
