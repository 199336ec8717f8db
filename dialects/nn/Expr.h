//===- Expr.h - Formulas on elements ----------------------------*- C++ -*-===//
//
// Element-wise ops and lowerings write their formulas as on paper:
//
//   Expr x(b, loc, elements[0]);
//   return x / (abs(x) + 1.0);
//
// An Expr is an SSA value (a scalar, or a vector of them) of a floating-point type,
// a signless integer type, or i1. Operators pick the float or the integer op; what
// differs for unsigned integers takes `isUnsigned`.
//
//===----------------------------------------------------------------------===//
#ifndef NACRE_DIALECTS_NN_EXPR_H
#define NACRE_DIALECTS_NN_EXPR_H

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Builders.h"

namespace nacre::nn {

class Expr {
public:
  Expr(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value value)
      : builder(&builder), loc(loc), value(value) {}

  operator mlir::Value() const { return value; }
  mlir::Value get() const { return value; }
  mlir::OpBuilder &getBuilder() const { return *builder; }
  mlir::Location getLoc() const { return loc; }
  mlir::Type getType() const { return value.getType(); }
  mlir::Type getElementType() const { return mlir::getElementTypeOrSelf(value.getType()); }
  unsigned getWidth() const { return getElementType().getIntOrFloatBitWidth(); }
  bool isFloat() const { return llvm::isa<mlir::FloatType>(getElementType()); }

  /// Another value at the same place.
  Expr with(mlir::Value other) const { return Expr(*builder, loc, other); }
  /// A constant of this expression's type.
  Expr constant(double value) const;
  Expr constant(const llvm::APInt &value) const;
  Expr constant(const llvm::APFloat &value) const;
  /// This expression's type (scalar or vector) with another element type.
  mlir::Type typeWith(mlir::Type element) const;

  /// One op of the same type on these operands.
  template <typename Op> Expr apply() const { return with(Op::create(*builder, loc, value)); }
  template <typename Op> Expr apply(Expr rhs) const {
    return with(Op::create(*builder, loc, value, rhs.value));
  }
  /// A conversion to another element type.
  template <typename Op> Expr convert(mlir::Type element) const {
    return with(Op::create(*builder, loc, typeWith(element), value));
  }

private:
  mlir::OpBuilder *builder;
  mlir::Location loc;
  mlir::Value value;
};

// Arithmetic; integers wrap around. `/` is for floats (integers: divide).
Expr operator+(Expr l, Expr r);
Expr operator-(Expr l, Expr r);
Expr operator*(Expr l, Expr r);
Expr operator/(Expr l, Expr r);
Expr operator-(Expr x);
inline Expr operator+(Expr l, double r) { return l + l.constant(r); }
inline Expr operator-(Expr l, double r) { return l - l.constant(r); }
inline Expr operator*(Expr l, double r) { return l * l.constant(r); }
inline Expr operator/(Expr l, double r) { return l / l.constant(r); }
inline Expr operator+(double l, Expr r) { return r.constant(l) + r; }
inline Expr operator-(double l, Expr r) { return r.constant(l) - r; }
inline Expr operator*(double l, Expr r) { return r.constant(l) * r; }
inline Expr operator/(double l, Expr r) { return r.constant(l) / r; }

// Bits and booleans.
Expr operator&(Expr l, Expr r);
Expr operator|(Expr l, Expr r);
Expr operator^(Expr l, Expr r);
Expr operator~(Expr x);

// Comparisons: i1. Floats compare ordered (false with NaN), but for `!=`.
Expr operator==(Expr l, Expr r);
Expr operator!=(Expr l, Expr r);
Expr operator<(Expr l, Expr r);
Expr operator<=(Expr l, Expr r);
Expr operator>(Expr l, Expr r);
Expr operator>=(Expr l, Expr r);
Expr less(Expr l, Expr r, bool isUnsigned);
Expr lessEqual(Expr l, Expr r, bool isUnsigned);
inline Expr operator==(Expr l, double r) { return l == l.constant(r); }
inline Expr operator!=(Expr l, double r) { return l != l.constant(r); }
inline Expr operator<(Expr l, double r) { return l < l.constant(r); }
inline Expr operator<=(Expr l, double r) { return l <= l.constant(r); }
inline Expr operator>(Expr l, double r) { return l > l.constant(r); }
inline Expr operator>=(Expr l, double r) { return l >= l.constant(r); }
Expr isNaN(Expr x);

Expr select(Expr condition, Expr onTrue, Expr onFalse);
/// NaN if either is NaN. Cheapest with a constant on the right: one instruction.
Expr max(Expr l, Expr r, bool isUnsigned = false);
Expr min(Expr l, Expr r, bool isUnsigned = false);
Expr abs(Expr x);

// Float functions.
inline Expr floor(Expr x) { return x.apply<mlir::math::FloorOp>(); }
inline Expr ceil(Expr x) { return x.apply<mlir::math::CeilOp>(); }
inline Expr exp(Expr x) { return x.apply<mlir::math::ExpOp>(); }
inline Expr expm1(Expr x) { return x.apply<mlir::math::ExpM1Op>(); }
inline Expr log(Expr x) { return x.apply<mlir::math::LogOp>(); }
inline Expr log1p(Expr x) { return x.apply<mlir::math::Log1pOp>(); }
inline Expr sqrt(Expr x) { return x.apply<mlir::math::SqrtOp>(); }
inline Expr tanh(Expr x) { return x.apply<mlir::math::TanhOp>(); }
inline Expr erf(Expr x) { return x.apply<mlir::math::ErfOp>(); }

/// Integer division towards zero and its remainder. They never trap: x / 0 is 0,
/// x % 0 is 0, MIN / -1 is MIN, MIN % -1 is 0.
Expr divide(Expr l, Expr r, bool isUnsigned);
Expr remainder(Expr l, Expr r, bool isUnsigned);

/// Number conversion as numpy's astype does it, with every case defined: integers
/// wrap around; floats are truncated towards zero, and out of range (NaN, infinity)
/// give what x86's conversion gives (the most negative value of 32 or 64 bits, whose
/// low bits narrower types take); only zero is false; floats are rounded to nearest
/// even, once.
Expr convert(Expr x, bool isUnsigned, mlir::Type element);

/// f64 to f32, rounded to odd: a further rounding to a narrower type is then as if done
/// at once.
Expr roundToOdd(Expr x);

/// f32 for f16 and bf16, else the same type.
mlir::Type getComputeType(mlir::Type element);

/// Applies a formula to elements, f16 and bf16 widened to f32 and the result rounded.
mlir::Value computeWide(mlir::OpBuilder &builder, mlir::Location loc, mlir::ValueRange elements,
                        llvm::function_ref<Expr(llvm::ArrayRef<Expr>)> formula);

} // namespace nacre::nn

#endif // NACRE_DIALECTS_NN_EXPR_H
