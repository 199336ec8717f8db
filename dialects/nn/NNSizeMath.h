//===- NNSizeMath.h - Arithmetic on sizes -----------------------*- C++ -*-===//
//
// Sizes are OpFoldResults: an IntegerAttr where known, else a value of type index.
// Everything known is computed here and now; only the rest becomes arith ops.
//
//===----------------------------------------------------------------------===//
#ifndef NACRE_DIALECTS_NN_NNSIZEMATH_H
#define NACRE_DIALECTS_NN_NNSIZEMATH_H

#include "dialects/nn/NNInterfaces.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinTypes.h"

namespace nacre::nn {

/// Whether two sizes are known to be equal: the same constant, or computed alike.
bool isSameSize(mlir::OpFoldResult lhs, mlir::OpFoldResult rhs);
/// Whether a size is known not to be negative.
bool isNonNegative(mlir::OpFoldResult size);
/// What `lhs predicate rhs` is known to be.
std::optional<bool> getKnownComparison(mlir::arith::CmpIPredicate predicate, mlir::OpFoldResult lhs,
                                       mlir::OpFoldResult rhs);

class SizeMath {
public:
  using Size = mlir::OpFoldResult;
  using Predicate = mlir::arith::CmpIPredicate;

  SizeMath(mlir::OpBuilder &builder, mlir::Location loc) : b(builder), loc(loc) {}

  Size constant(int64_t value) { return b.getIndexAttr(value); }
  /// The size as a value of type index, or of type i64.
  mlir::Value value(Size size);
  mlir::Value valueI64(Size size);

  /// Size `index` of a ranked tensor; all sizes of one.
  Size dim(mlir::Value tensor, int64_t index);
  llvm::SmallVector<Size> dims(mlir::Value tensor);
  /// Element `index` of a tensor of integers of rank 0 or 1.
  Size element(mlir::Value tensor, int64_t index);

  Size add(Size lhs, Size rhs);
  Size sub(Size lhs, Size rhs);
  Size mul(Size lhs, Size rhs);
  Size min(Size lhs, Size rhs);
  Size max(Size lhs, Size rhs);
  /// lhs ≥ 0 and rhs ≥ 1, or the result is unspecified (but never a trap: rhs is taken as at least 1).
  Size div(Size lhs, Size rhs);
  Size ceilDiv(Size lhs, Size rhs);
  /// The remainder in [0, rhs), lhs of either sign; rhs below 1 is taken as 1.
  Size modulo(Size lhs, Size rhs);
  Size product(llvm::ArrayRef<Size> sizes);

  /// Removes what two products have in common, constants included (zeros are kept).
  void cancel(llvm::SmallVectorImpl<Size> &lhs, llvm::SmallVectorImpl<Size> &rhs);
  /// Whether two products are known to be equal.
  bool areSameProducts(llvm::ArrayRef<Size> lhs, llvm::ArrayRef<Size> rhs);

  /// `lhs predicate rhs ? yes : no`
  Size select(Predicate predicate, Size lhs, Size rhs, Size yes, Size no);
  /// `lhs predicate rhs` as an i1 value, a constant where it is known.
  mlir::Value compare(Predicate predicate, Size lhs, Size rhs);

private:
  mlir::OpBuilder &b;
  mlir::Location loc;
};

/// Adds the check that two sizes are equal, unless they are known to be.
void pushSizeCheck(mlir::OpBuilder &b, mlir::Location loc, mlir::OpFoldResult lhs,
                   mlir::OpFoldResult rhs, llvm::StringRef text,
                   llvm::SmallVectorImpl<RuntimeCheck> &checks);

/// One dimension of nn.slice, resolved by ONNX's (that is NumPy's) clamping rules:
/// `count` elements from `begin`, `step` apart (`step` may be negative).
struct SliceRange {
  mlir::OpFoldResult begin, count, step;
};
SliceRange resolveSlice(SizeMath &math, mlir::OpFoldResult size, mlir::OpFoldResult start,
                        mlir::OpFoldResult end, mlir::OpFoldResult step);

} // namespace nacre::nn

#endif // NACRE_DIALECTS_NN_NNSIZEMATH_H
