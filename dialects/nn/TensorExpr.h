//===- TensorExpr.h - Formulas on tensors -----------------------*- C++ -*-===//
//
// Gradients are written as on paper:
//
//   TensorExpr dy(b, loc, gradient), y = dy.with(getResult());
//   return dy * (1.0 - y * y);
//
// A TensorExpr is a tensor of floats; each operator builds an nn op, and broadcasts.
// (Expr.h is the same for the elements.)
//
//===----------------------------------------------------------------------===//
#ifndef NACRE_DIALECTS_NN_TENSOREXPR_H
#define NACRE_DIALECTS_NN_TENSOREXPR_H

#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinTypes.h"

namespace nacre::nn {

class TensorExpr {
public:
  TensorExpr(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value value)
      : builder(&builder), loc(loc), value(value) {}

  operator mlir::Value() const { return value; }
  mlir::Value get() const { return value; }
  mlir::OpBuilder &getBuilder() const { return *builder; }
  mlir::Location getLoc() const { return loc; }
  mlir::RankedTensorType getType() const { return llvm::cast<mlir::RankedTensorType>(value.getType()); }

  /// Another value at the same place.
  TensorExpr with(mlir::Value other) const { return TensorExpr(*builder, loc, other); }
  /// A scalar of this tensor's element type.
  TensorExpr constant(double value) const;

private:
  mlir::OpBuilder *builder;
  mlir::Location loc;
  mlir::Value value;
};

TensorExpr operator+(TensorExpr l, TensorExpr r);
TensorExpr operator-(TensorExpr l, TensorExpr r);
TensorExpr operator*(TensorExpr l, TensorExpr r);
TensorExpr operator/(TensorExpr l, TensorExpr r);
TensorExpr operator-(TensorExpr x);
inline TensorExpr operator+(TensorExpr l, double r) { return l + l.constant(r); }
inline TensorExpr operator-(TensorExpr l, double r) { return l - l.constant(r); }
inline TensorExpr operator*(TensorExpr l, double r) { return l * l.constant(r); }
inline TensorExpr operator/(TensorExpr l, double r) { return l / l.constant(r); }
inline TensorExpr operator-(double l, TensorExpr r) { return r.constant(l) - r; }

/// Comparisons: tensors of booleans. With NaN all are false.
mlir::Value operator<(TensorExpr l, TensorExpr r);
mlir::Value operator==(TensorExpr l, TensorExpr r);
inline mlir::Value operator>(TensorExpr l, TensorExpr r) { return r < l; }
inline mlir::Value operator<(TensorExpr l, double r) { return l < l.constant(r); }
inline mlir::Value operator>(TensorExpr l, double r) { return l.constant(r) < l; }
inline mlir::Value operator==(TensorExpr l, double r) { return l == l.constant(r); }
/// Not `l > 0`, which NaN would not pass.
mlir::Value isAtMost(TensorExpr l, double r);
TensorExpr where(mlir::Value condition, TensorExpr onTrue, TensorExpr onFalse);

/// Converts to another floating-point type, if need be.
TensorExpr castTo(TensorExpr x, mlir::Type type);
inline TensorExpr square(TensorExpr x) { return x * x; }
TensorExpr abs(TensorExpr x);
TensorExpr sqrt(TensorExpr x);
TensorExpr exp(TensorExpr x);
TensorExpr log(TensorExpr x);
TensorExpr sin(TensorExpr x);
TensorExpr cos(TensorExpr x);
TensorExpr sinh(TensorExpr x);
TensorExpr cosh(TensorExpr x);
TensorExpr tanh(TensorExpr x);
TensorExpr erf(TensorExpr x);
TensorExpr sigmoid(TensorExpr x);

/// The sum, or the mean, along axes that stay as dimensions of size 1.
TensorExpr sumAlong(TensorExpr x, llvm::ArrayRef<int64_t> axes);
TensorExpr meanAlong(TensorExpr x, llvm::ArrayRef<int64_t> axes);

} // namespace nacre::nn

#endif // NACRE_DIALECTS_NN_TENSOREXPR_H
