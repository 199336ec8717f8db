//===- Expr.cpp - Formulas on elements --------------------------*- C++ -*-===//
#include "dialects/nn/Expr.h"

using namespace mlir;
using namespace nacre;
using namespace nacre::nn;

static Expr makeConstant(Expr like, TypedAttr element) {
  TypedAttr value = element;
  if (auto vector = dyn_cast<ShapedType>(like.getType()))
    value = DenseElementsAttr::get(vector, ArrayRef<Attribute>(element));
  return like.with(arith::ConstantOp::create(like.getBuilder(), like.getLoc(), value));
}

Expr Expr::constant(double value) const {
  Type element = getElementType();
  if (isa<FloatType>(element))
    return makeConstant(*this, FloatAttr::get(element, value));
  return makeConstant(*this, IntegerAttr::get(element, static_cast<int64_t>(value)));
}

Expr Expr::constant(const APInt &value) const {
  return makeConstant(*this, IntegerAttr::get(getElementType(), value));
}

Expr Expr::constant(const APFloat &value) const {
  return makeConstant(*this, FloatAttr::get(getElementType(), value));
}

Type Expr::typeWith(Type element) const {
  if (auto vector = dyn_cast<ShapedType>(getType()))
    return vector.clone(element);
  return element;
}

//===----------------------------------------------------------------------===//
// Arithmetic and bits
//===----------------------------------------------------------------------===//

template <typename FloatOp, typename IntOp> static Expr floatOrInt(Expr l, Expr r) {
  return l.isFloat() ? l.apply<FloatOp>(r) : l.apply<IntOp>(r);
}

Expr nn::operator+(Expr l, Expr r) { return floatOrInt<arith::AddFOp, arith::AddIOp>(l, r); }
Expr nn::operator-(Expr l, Expr r) { return floatOrInt<arith::SubFOp, arith::SubIOp>(l, r); }
Expr nn::operator*(Expr l, Expr r) { return floatOrInt<arith::MulFOp, arith::MulIOp>(l, r); }
Expr nn::operator/(Expr l, Expr r) { return l.apply<arith::DivFOp>(r); }
Expr nn::operator-(Expr x) { return x.isFloat() ? x.apply<arith::NegFOp>() : x.constant(0) - x; }

Expr nn::operator&(Expr l, Expr r) { return l.apply<arith::AndIOp>(r); }
Expr nn::operator|(Expr l, Expr r) { return l.apply<arith::OrIOp>(r); }
Expr nn::operator^(Expr l, Expr r) { return l.apply<arith::XOrIOp>(r); }
Expr nn::operator~(Expr x) { return x ^ x.constant(APInt::getAllOnes(x.getWidth())); }

//===----------------------------------------------------------------------===//
// Comparisons
//===----------------------------------------------------------------------===//

static Expr compare(Expr l, Expr r, arith::CmpFPredicate ofFloats, arith::CmpIPredicate ofInts) {
  if (l.isFloat())
    return l.with(arith::CmpFOp::create(l.getBuilder(), l.getLoc(), ofFloats, l, r));
  return l.with(arith::CmpIOp::create(l.getBuilder(), l.getLoc(), ofInts, l, r));
}

Expr nn::operator==(Expr l, Expr r) {
  return compare(l, r, arith::CmpFPredicate::OEQ, arith::CmpIPredicate::eq);
}
Expr nn::operator!=(Expr l, Expr r) {
  return compare(l, r, arith::CmpFPredicate::UNE, arith::CmpIPredicate::ne);
}
Expr nn::operator<(Expr l, Expr r) { return less(l, r, false); }
Expr nn::operator<=(Expr l, Expr r) { return lessEqual(l, r, false); }
Expr nn::operator>(Expr l, Expr r) {
  return compare(l, r, arith::CmpFPredicate::OGT, arith::CmpIPredicate::sgt);
}
Expr nn::operator>=(Expr l, Expr r) {
  return compare(l, r, arith::CmpFPredicate::OGE, arith::CmpIPredicate::sge);
}
Expr nn::less(Expr l, Expr r, bool isUnsigned) {
  return compare(l, r, arith::CmpFPredicate::OLT,
                 isUnsigned ? arith::CmpIPredicate::ult : arith::CmpIPredicate::slt);
}
Expr nn::lessEqual(Expr l, Expr r, bool isUnsigned) {
  return compare(l, r, arith::CmpFPredicate::OLE,
                 isUnsigned ? arith::CmpIPredicate::ule : arith::CmpIPredicate::sle);
}
Expr nn::isNaN(Expr x) {
  return compare(x, x, arith::CmpFPredicate::UNO, arith::CmpIPredicate::ne);
}

//===----------------------------------------------------------------------===//
// Selections
//===----------------------------------------------------------------------===//

Expr nn::select(Expr condition, Expr onTrue, Expr onFalse) {
  return onTrue.with(
      arith::SelectOp::create(onTrue.getBuilder(), onTrue.getLoc(), condition, onTrue, onFalse));
}

// «r > l ? r : l» is one vmaxps that keeps a NaN in l; that in r is seen to apart,
// which folds away for a constant.
Expr nn::max(Expr l, Expr r, bool isUnsigned) {
  if (!l.isFloat())
    return isUnsigned ? l.apply<arith::MaxUIOp>(r) : l.apply<arith::MaxSIOp>(r);
  return select(isNaN(r), r, select(r > l, r, l));
}

Expr nn::min(Expr l, Expr r, bool isUnsigned) {
  if (!l.isFloat())
    return isUnsigned ? l.apply<arith::MinUIOp>(r) : l.apply<arith::MinSIOp>(r);
  return select(isNaN(r), r, select(r < l, r, l));
}

Expr nn::abs(Expr x) { return x.isFloat() ? x.apply<math::AbsFOp>() : select(x < 0.0, -x, x); }

//===----------------------------------------------------------------------===//
// Integer division
//===----------------------------------------------------------------------===//

/// The divisor with 1 in place of what would trap. By 1, MIN / -1 is MIN and the
/// remainders are 0, as they should be; only x / 0 is left to mend.
static Expr makeSafeDivisor(Expr l, Expr r, bool isUnsigned) {
  Expr traps = r == 0.0;
  if (!isUnsigned)
    traps = traps | ((r == -1.0) & (l == l.constant(APInt::getSignedMinValue(l.getWidth()))));
  return select(traps, r.constant(1), r);
}

Expr nn::divide(Expr l, Expr r, bool isUnsigned) {
  Expr safe = makeSafeDivisor(l, r, isUnsigned);
  Expr quotient = isUnsigned ? l.apply<arith::DivUIOp>(safe) : l.apply<arith::DivSIOp>(safe);
  return select(r == 0.0, l.constant(0), quotient);
}

Expr nn::remainder(Expr l, Expr r, bool isUnsigned) {
  Expr safe = makeSafeDivisor(l, r, isUnsigned);
  return isUnsigned ? l.apply<arith::RemUIOp>(safe) : l.apply<arith::RemSIOp>(safe);
}

//===----------------------------------------------------------------------===//
// Conversions
//===----------------------------------------------------------------------===//

// (A single truncf to f16 or bf16 would call a function of the compiler's library.)
Expr nn::roundToOdd(Expr x) {
  Builder &b = x.getBuilder();
  Expr nearest = x.convert<arith::TruncFOp>(b.getF32Type());
  Expr error = x - nearest.convert<arith::ExtFOp>(b.getF64Type());
  Expr bits = nearest.convert<arith::BitcastOp>(b.getI32Type());
  // An inexact result with an even last bit moves to its odd neighbour on x's side:
  // away from zero if the error has the result's sign.
  Expr isEven = (bits & bits.constant(1)) == 0.0;
  Expr inexact = (error < 0.0) | (error > 0.0);
  Expr outwards = (error > 0.0) ^ (bits < 0.0);
  Expr neighbour = select(outwards, bits + bits.constant(1), bits - bits.constant(1));
  return select(isEven & inexact, neighbour, bits).convert<arith::BitcastOp>(b.getF32Type());
}

static Expr convertFloat(Expr x, FloatType to) {
  unsigned from = x.getWidth(), width = to.getWidth();
  if (x.getElementType() == to)
    return x;
  if (from < width)
    return x.convert<arith::ExtFOp>(to);
  if (from == 64 && width < 32)
    x = roundToOdd(x);
  if (from == width) // f16 and bf16
    x = x.convert<arith::ExtFOp>(Builder(to.getContext()).getF32Type());
  return x.convert<arith::TruncFOp>(to);
}

/// Truncation to signed integers of 32 or 64 bits; MIN where out of range.
static Expr truncateToSigned(Expr x, IntegerType to) {
  unsigned width = to.getWidth();
  double limit = std::ldexp(1.0, width - 1);
  Expr inRange = (x >= -limit) & (x < limit);
  // Between MIN - 1 and MIN doubles still truncate to MIN: the same answer.
  Expr converted = x.convert<arith::FPToSIOp>(to);
  return select(inRange, converted, converted.constant(APInt::getSignedMinValue(width)));
}

static Expr truncateToInt(Expr x, IntegerType to, bool isUnsigned) {
  Builder b(to.getContext());
  unsigned width = to.getWidth();
  if (width == 64 && isUnsigned) {
    // The upper half goes through the lower one.
    double half = std::ldexp(1.0, 63);
    Expr upper = truncateToSigned(x - half, b.getI64Type());
    upper = upper ^ upper.constant(APInt::getSignedMinValue(64));
    return select(x >= half, upper, truncateToSigned(x, b.getI64Type()));
  }
  IntegerType wide = width == 64 || (width == 32 && isUnsigned) ? b.getI64Type() : b.getI32Type();
  Expr converted = truncateToSigned(x, wide);
  return wide == to ? converted : converted.convert<arith::TruncIOp>(to);
}

Expr nn::convert(Expr x, bool isUnsigned, Type element) {
  bool toUnsigned = element.isUnsignedInteger();
  if (auto integer = dyn_cast<IntegerType>(element))
    element = IntegerType::get(element.getContext(), integer.getWidth());
  Type from = x.getElementType();
  if (isa<FloatType>(from) && from.getIntOrFloatBitWidth() < 32 && !isa<FloatType>(element))
    x = x.convert<arith::ExtFOp>(getComputeType(from));
  if (element.isInteger(1))
    return from.isInteger(1) ? x : x != 0.0;

  bool fromUnsigned = isUnsigned || from.isInteger(1);
  if (auto to = dyn_cast<FloatType>(element)) {
    if (isa<FloatType>(from))
      return convertFloat(x, to);
    // By way of a type that holds the integer, where there is one.
    Builder &b = x.getBuilder();
    FloatType wide = x.getWidth() > 24 ? FloatType(b.getF64Type()) : FloatType(b.getF32Type());
    if (to.getWidth() >= 32)
      wide = to;
    Expr converted =
        fromUnsigned ? x.convert<arith::UIToFPOp>(wide) : x.convert<arith::SIToFPOp>(wide);
    return convertFloat(converted, to);
  }
  auto to = cast<IntegerType>(element);
  if (x.isFloat())
    return truncateToInt(x, to, toUnsigned);
  if (to.getWidth() < x.getWidth())
    return x.convert<arith::TruncIOp>(to);
  if (to.getWidth() == x.getWidth())
    return x;
  return fromUnsigned ? x.convert<arith::ExtUIOp>(to) : x.convert<arith::ExtSIOp>(to);
}

Type nn::getComputeType(Type element) {
  if (isa<FloatType>(element) && element.getIntOrFloatBitWidth() < 32)
    return Float32Type::get(element.getContext());
  return element;
}

Value nn::computeWide(OpBuilder &b, Location loc, ValueRange elements,
                      function_ref<Expr(ArrayRef<Expr>)> formula) {
  SmallVector<Expr> wide;
  for (Value element : elements) {
    Expr x(b, loc, element);
    wide.push_back(x.isFloat() ? convert(x, false, getComputeType(x.getElementType())) : x);
  }
  Expr result = formula(wide);
  if (!result.isFloat())
    return result;
  // The narrow type is that of the first float operand.
  for (Value element : elements)
    if (auto type = dyn_cast<FloatType>(getElementTypeOrSelf(element.getType())))
      return convert(result, false, type);
  return result;
}
