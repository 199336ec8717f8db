//===- Places.h - What gradients of moved elements share --------*- C++ -*-===//
//
// Where elements were read, gradients are added: the helpers of ops that read at places.
//
//===----------------------------------------------------------------------===//
#ifndef NACRE_DIALECTS_NN_GRADIENTS_PLACES_H
#define NACRE_DIALECTS_NN_GRADIENTS_PLACES_H

#include "dialects/nn/NNOps.h"
#include "dialects/nn/TensorExpr.h"

namespace nacre::nn {

/// Zeros of the element type of `like`.
mlir::Value createZeros(mlir::OpBuilder &b, mlir::Location loc, mlir::Value like,
                        llvm::ArrayRef<mlir::OpFoldResult> sizes);
/// Zeros around, or elements taken away, by `low` and `high` in each dimension.
mlir::Value padWithZeros(mlir::OpBuilder &b, mlir::Location loc, mlir::Value tensor,
                         llvm::ArrayRef<mlir::OpFoldResult> low, llvm::ArrayRef<mlir::OpFoldResult> high);
/// The same elements under other sizes.
mlir::Value reshapeToSizes(mlir::OpBuilder &b, mlir::Location loc, mlir::Value tensor,
                           llvm::ArrayRef<mlir::OpFoldResult> sizes);
/// An i64 constant of rank 0.
mlir::Value createInteger(mlir::OpBuilder &b, mlir::Location loc, int64_t value);
/// i64 [count]: begin, begin + step, begin + 2 step, ...
mlir::Value createPlaces(mlir::OpBuilder &b, mlir::Location loc, mlir::OpFoldResult begin, mlir::OpFoldResult step,
                         mlir::OpFoldResult count);
/// A size as a number of the type of `like`.
TensorExpr createSizeLike(TensorExpr like, mlir::OpFoldResult size);
/// The adjoint of nn.gather: a tensor of `sizes` that has each slice of `dy` added where
/// nn.gather along `axis` takes it from.
mlir::Value scatterSlices(mlir::OpBuilder &b, mlir::Location loc, mlir::Value dy, mlir::Value indices, int64_t axis,
                          llvm::ArrayRef<mlir::OpFoldResult> sizes, bool inBounds);
/// A tensor of `sizes` that has each element of `dy` added at its place, counted in row-major
/// order; `places` has the shape of `dy`, and none is out of range.
mlir::Value scatterToPlaces(mlir::OpBuilder &b, mlir::Location loc, mlir::Value dy, mlir::Value places,
                            llvm::ArrayRef<mlir::OpFoldResult> sizes);
/// The sum of all elements, a scalar.
TensorExpr sumAll(TensorExpr x);

} // namespace nacre::nn

#endif // NACRE_DIALECTS_NN_GRADIENTS_PLACES_H
