//===- Coordinates.h - Indices as numbers, numbers as indices ---*- C++ -*-===//
//
// What the lowerings share that compute where in an image they read.
//
//===----------------------------------------------------------------------===//
#ifndef NACRE_COMPILER_LOWER_COORDINATES_H
#define NACRE_COMPILER_LOWER_COORDINATES_H

#include "dialects/nn/Expr.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

namespace nacre::lower {

/// An index as a number of a float type.
inline nn::Expr toFloat(mlir::OpBuilder &b, mlir::Location loc, mlir::Value index, mlir::Type type) {
  mlir::Value wide = mlir::arith::IndexCastOp::create(b, loc, b.getI64Type(), index);
  return {b, loc, mlir::arith::SIToFPOp::create(b, loc, type, wide)};
}

/// A number as an index in [0, last]: NaN and what is too small become 0, and so does all if
/// `last` is negative, when nothing may be read.
inline mlir::Value toIndexWithin(nn::Expr x, mlir::Value last) {
  mlir::OpBuilder &b = x.getBuilder();
  mlir::Location loc = x.getLoc();
  // Bring it near the range before the conversion, which is undefined for large numbers.
  nn::Expr limit = toFloat(b, loc, last, x.getType());
  nn::Expr low = nn::select(x > 0.0, x, x.constant(0.0));
  nn::Expr bounded = nn::select(low < limit, low, limit);
  mlir::Value integer = mlir::arith::FPToSIOp::create(b, loc, b.getI64Type(), bounded);
  mlir::Value index = mlir::arith::IndexCastOp::create(b, loc, b.getIndexType(), integer);
  // The limit may have been rounded up.
  mlir::Value zero = mlir::arith::ConstantIndexOp::create(b, loc, 0);
  return mlir::arith::MaxSIOp::create(b, loc, mlir::arith::MinSIOp::create(b, loc, index, last), zero);
}

} // namespace nacre::lower

#endif // NACRE_COMPILER_LOWER_COORDINATES_H
