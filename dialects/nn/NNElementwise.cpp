//===- NNElementwise.cpp - Arithmetic, comparison, logic --------*- C++ -*-===//
#include "dialects/nn/Expr.h"
#include "dialects/nn/NNOps.h"
#include "dialects/nn/CodedTypes.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/PatternMatch.h"

using namespace mlir;
using namespace nacre::nn;

static bool isUnsigned(Value value) {
  return getElementTypeOrSelf(value.getType()).isUnsignedInteger();
}

/// Whether an operand is a splat of a number.
static bool isSplatOf(Attribute operand, double number) {
  auto elements = dyn_cast_if_present<DenseElementsAttr>(operand);
  if (!elements || !elements.isSplat())
    return false;
  if (auto value = dyn_cast<FloatAttr>(elements.getSplatValue<Attribute>()))
    return value.getValueAsDouble() == number &&
           value.getValue().isNegative() == std::signbit(number);
  auto value = dyn_cast<IntegerAttr>(elements.getSplatValue<Attribute>());
  return value && std::trunc(number) == number && value.getValue() == static_cast<int64_t>(number);
}

//===----------------------------------------------------------------------===//
// Arithmetic
//===----------------------------------------------------------------------===//

SmallVector<Value> AddOp::buildElements(OpBuilder &b, Location loc, ValueRange e) {
  return {computeWide(b, loc, e, [](ArrayRef<Expr> x) { return x[0] + x[1]; })};
}

SmallVector<Value> SubOp::buildElements(OpBuilder &b, Location loc, ValueRange e) {
  return {computeWide(b, loc, e, [](ArrayRef<Expr> x) { return x[0] - x[1]; })};
}

SmallVector<Value> MulOp::buildElements(OpBuilder &b, Location loc, ValueRange e) {
  return {computeWide(b, loc, e, [](ArrayRef<Expr> x) { return x[0] * x[1]; })};
}

SmallVector<Value> DivOp::buildElements(OpBuilder &b, Location loc, ValueRange e) {
  return {computeWide(b, loc, e, [&](ArrayRef<Expr> x) {
    return x[0].isFloat() ? x[0] / x[1] : divide(x[0], x[1], isUnsigned(getLhs()));
  })};
}

// Floats: x + (-0) and x - (+0) are x for every x; x + (+0) is not, for -0.
OpFoldResult AddOp::fold(FoldAdaptor adaptor) {
  bool isFloat = isa<FloatType>(getElementTypeOrSelf(getType()));
  return getLhs().getType() == getType() && isSplatOf(adaptor.getRhs(), isFloat ? -0.0 : 0.0)
             ? OpFoldResult(getLhs())
             : OpFoldResult();
}

OpFoldResult SubOp::fold(FoldAdaptor adaptor) {
  return getLhs().getType() == getType() && isSplatOf(adaptor.getRhs(), 0.0)
             ? OpFoldResult(getLhs())
             : OpFoldResult();
}

OpFoldResult MulOp::fold(FoldAdaptor adaptor) {
  return getLhs().getType() == getType() && isSplatOf(adaptor.getRhs(), 1.0)
             ? OpFoldResult(getLhs())
             : OpFoldResult();
}

OpFoldResult DivOp::fold(FoldAdaptor adaptor) {
  return getLhs().getType() == getType() && isSplatOf(adaptor.getRhs(), 1.0)
             ? OpFoldResult(getLhs())
             : OpFoldResult();
}

SmallVector<Value> FModOp::buildElements(OpBuilder &b, Location loc, ValueRange e) {
  return {computeWide(b, loc, e, [&](ArrayRef<Expr> x) {
    return x[0].isFloat() ? x[0].apply<arith::RemFOp>(x[1])
                          : remainder(x[0], x[1], isUnsigned(getLhs()));
  })};
}

SmallVector<Value> ModOp::buildElements(OpBuilder &b, Location loc, ValueRange e) {
  return {computeWide(b, loc, e, [&](ArrayRef<Expr> x) {
    bool isFloat = x[0].isFloat();
    Expr rest =
        isFloat ? x[0].apply<arith::RemFOp>(x[1]) : remainder(x[0], x[1], isUnsigned(getLhs()));
    if (isUnsigned(getLhs()))
      return rest;
    Expr wrongSign = (rest < 0.0) ^ (x[1] < 0.0);
    Expr moved = select((rest != 0.0) & wrongSign, rest + x[1], rest);
    if (!isFloat) // x % 0 is 0: remainder gave it, and 0 + 0 keeps it.
      return moved;
    return select(rest == 0.0, rest.apply<math::CopySignOp>(x[1]), moved);
  })};
}

SmallVector<Value> MinOp::buildElements(OpBuilder &b, Location loc, ValueRange e) {
  return {computeWide(b, loc, e,
                      [&](ArrayRef<Expr> x) { return min(x[0], x[1], isUnsigned(getLhs())); })};
}

SmallVector<Value> MaxOp::buildElements(OpBuilder &b, Location loc, ValueRange e) {
  return {computeWide(b, loc, e,
                      [&](ArrayRef<Expr> x) { return max(x[0], x[1], isUnsigned(getLhs())); })};
}

//===----------------------------------------------------------------------===//
// PowOp
//===----------------------------------------------------------------------===//

/// Integer to integer power by squaring, one step for each bit of the exponent.
static Expr integerPower(Expr base, Expr exponent, bool baseUnsigned, bool exponentUnsigned) {
  Expr result = base.constant(1), square = base, one = exponent.constant(1);
  for (unsigned bit = 0, e = exponent.getWidth(); bit < e; ++bit) {
    Expr mask = exponent.constant(APInt::getOneBitSet(e, bit));
    result = select((exponent & mask) != 0.0, result * square, result);
    if (bit + 1 < e)
      square = square * square;
  }
  if (exponentUnsigned)
    return result;
  // 1 / base^n truncated: 1 and -1 keep their magnitude, all else gives 0.
  Expr isOdd = (exponent & one) != 0.0;
  Expr inverse = select(base == 1.0, base, base.constant(0));
  if (!baseUnsigned)
    inverse = select(base == -1.0, select(isOdd, base, base.constant(1)), inverse);
  return select(exponent < 0.0, inverse, result);
}

SmallVector<Value> PowOp::buildElements(OpBuilder &b, Location loc, ValueRange e) {
  Expr base(b, loc, e[0]), exponent(b, loc, e[1]);
  Type type = base.getElementType();
  bool baseUnsigned = isUnsigned(getBase()), exponentUnsigned = isUnsigned(getExponent());
  if (!base.isFloat() && !exponent.isFloat())
    return {integerPower(base, exponent, baseUnsigned, exponentUnsigned)};
  Type compute = getComputeType(type);
  if (!base.isFloat() || (exponent.isFloat() && exponent.getWidth() == 64))
    compute = b.getF64Type();
  Expr power = convert(base, baseUnsigned, compute)
                   .apply<math::PowFOp>(convert(exponent, exponentUnsigned, compute));
  return {convert(power, false, getElementTypeOrSelf(getType()))};
}

namespace {
/// x^2 → x * x, x^3 → x * x * x, x^1 → x, for a constant exponent that does not
/// stretch the base.
struct ExpandSmallPower : OpRewritePattern<PowOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(PowOp op, PatternRewriter &rewriter) const override {
    DenseElementsAttr exponent;
    if (op.getBase().getType() != op.getType() ||
        !matchPattern(op.getExponent(), m_Constant(&exponent)))
      return rewriter.notifyMatchFailure(op,
                                         "the exponent is not constant, or broadcasts the base");
    Value base = op.getBase();
    for (int power = 1; power <= 3; ++power) {
      if (!isSplatOf(exponent, power))
        continue;
      Value result = base;
      for (int i = 1; i < power; ++i)
        result = MulOp::create(rewriter, op.getLoc(), op.getType(), result, base);
      rewriter.replaceOp(op, result);
      return success();
    }
    return rewriter.notifyMatchFailure(op, "the exponent is not 1, 2 or 3");
  }
};
} // namespace

void PowOp::getCanonicalizationPatterns(RewritePatternSet &patterns, MLIRContext *context) {
  patterns.add<ExpandSmallPower>(context);
}

//===----------------------------------------------------------------------===//
// Comparison
//===----------------------------------------------------------------------===//

LogicalResult CompareOp::verify() {
  if (getElementTypeOrSelf(getLhs()) != getElementTypeOrSelf(getRhs()))
    return emitOpError("expects operands of one element type, found ")
           << getLhs().getType() << " and " << getRhs().getType();
  return success();
}

SmallVector<Value> CompareOp::buildElements(OpBuilder &b, Location loc, ValueRange e) {
  bool asUnsigned = isUnsigned(getLhs()) || getElementTypeOrSelf(getLhs()).isInteger(1);
  return {computeWide(b, loc, e, [&](ArrayRef<Expr> x) -> Expr {
    switch (getPredicate()) {
    case ComparePredicate::eq:
      return x[0] == x[1];
    case ComparePredicate::ne:
      return x[0] != x[1];
    case ComparePredicate::lt:
      return less(x[0], x[1], asUnsigned);
    case ComparePredicate::le:
      return lessEqual(x[0], x[1], asUnsigned);
    case ComparePredicate::gt:
      return less(x[1], x[0], asUnsigned);
    case ComparePredicate::ge:
      return lessEqual(x[1], x[0], asUnsigned);
    }
    llvm_unreachable("all predicates are above");
  })};
}

SmallVector<Value> IsNaNOp::buildElements(OpBuilder &b, Location loc, ValueRange e) {
  return {computeWide(b, loc, e, [](ArrayRef<Expr> x) { return isNaN(x[0]); })};
}

SmallVector<Value> IsInfOp::buildElements(OpBuilder &b, Location loc, ValueRange e) {
  return {computeWide(b, loc, e, [&](ArrayRef<Expr> operands) {
    Expr x = operands[0], infinity = x.constant(INFINITY);
    if (getPositive() && getNegative())
      return abs(x) == infinity;
    if (getPositive())
      return x == infinity;
    if (getNegative())
      return x == -infinity;
    return x.with(b.createOrFold<arith::ConstantOp>(loc, b.getZeroAttr(x.typeWith(b.getI1Type()))));
  })};
}

//===----------------------------------------------------------------------===//
// Booleans and bits
//===----------------------------------------------------------------------===//

SmallVector<Value> AndOp::buildElements(OpBuilder &b, Location loc, ValueRange e) {
  return {Expr(b, loc, e[0]) & Expr(b, loc, e[1])};
}

SmallVector<Value> OrOp::buildElements(OpBuilder &b, Location loc, ValueRange e) {
  return {Expr(b, loc, e[0]) | Expr(b, loc, e[1])};
}

SmallVector<Value> XorOp::buildElements(OpBuilder &b, Location loc, ValueRange e) {
  return {Expr(b, loc, e[0]) ^ Expr(b, loc, e[1])};
}

SmallVector<Value> NotOp::buildElements(OpBuilder &b, Location loc, ValueRange e) {
  return {~Expr(b, loc, e[0])};
}

SmallVector<Value> ShiftLeftOp::buildElements(OpBuilder &b, Location loc, ValueRange e) {
  Expr x(b, loc, e[0]), amount(b, loc, e[1]);
  Expr inRange = less(amount, amount.constant(x.getWidth()), true);
  Expr safe = select(inRange, amount, amount.constant(0));
  return {select(inRange, x.apply<arith::ShLIOp>(safe), x.constant(0))};
}

SmallVector<Value> ShiftRightOp::buildElements(OpBuilder &b, Location loc, ValueRange e) {
  Expr x(b, loc, e[0]), amount(b, loc, e[1]);
  Expr width = amount.constant(x.getWidth()), inRange = less(amount, width, true);
  if (isUnsigned(getLhs())) {
    Expr safe = select(inRange, amount, amount.constant(0));
    return {select(inRange, x.apply<arith::ShRUIOp>(safe), x.constant(0))};
  }
  // By all bits but one, only the sign is left.
  return {x.apply<arith::ShRSIOp>(select(inRange, amount, width - amount.constant(1)))};
}

//===----------------------------------------------------------------------===//
// WhereOp
//===----------------------------------------------------------------------===//

LogicalResult WhereOp::verify() {
  if (getElementTypeOrSelf(getOnTrue()) != getElementTypeOrSelf(getOnFalse()))
    return emitOpError("expects values of one element type, found ")
           << getOnTrue().getType() << " and " << getOnFalse().getType();
  return success();
}

SmallVector<Value> WhereOp::buildElements(OpBuilder &b, Location loc, ValueRange e) {
  return {select(Expr(b, loc, e[0]), Expr(b, loc, e[1]), Expr(b, loc, e[2]))};
}

OpFoldResult WhereOp::fold(FoldAdaptor adaptor) {
  if (getOnTrue() == getOnFalse() && getOnTrue().getType() == getType())
    return getOnTrue();
  for (bool value : {false, true}) {
    auto chosen = value ? getOnTrue() : getOnFalse();
    auto condition = dyn_cast_if_present<DenseElementsAttr>(adaptor.getCondition());
    if (condition && condition.isSplat() && condition.getSplatValue<bool>() == value &&
        chosen.getType() == getType())
      return chosen;
  }
  return {};
}

//===----------------------------------------------------------------------===//
// CastOp
//===----------------------------------------------------------------------===//

SmallVector<Value> CastOp::buildElements(OpBuilder &b, Location loc, ValueRange e) {
  Type from = getElementTypeOrSelf(getInput());
  Expr x(b, loc, e[0]);
  if (isCoded(from))
    x = decode(x, from);
  if (isCoded(getTo()))
    return {encode(x, isUnsigned(getInput()), getTo(), getSaturate(), getRounding())};
  return {convert(x, isUnsigned(getInput()), getTo())};
}

OpFoldResult CastOp::fold(FoldAdaptor) {
  // Saturation changes infinities.
  auto type = dyn_cast<FloatType>(getTo());
  bool changes = type && isCoded(type) && getSaturate() && APFloat::semanticsHasInf(type.getFloatSemantics());
  return getInput().getType() == getType() && !changes ? OpFoldResult(getInput()) : OpFoldResult();
}

//===----------------------------------------------------------------------===//
// BitcastOp
//===----------------------------------------------------------------------===//

LogicalResult BitcastOp::verify() {
  auto width = [](Type type) { return type.isInteger(1) ? 8 : type.getIntOrFloatBitWidth(); };
  Type from = getElementTypeOrSelf(getInput());
  if (!isa<IntegerType, FloatType>(getTo()) || width(from) != width(getTo()))
    return emitOpError("expects a type of ") << width(from) << " bits, found " << getTo();
  return success();
}

SmallVector<Value> BitcastOp::buildElements(OpBuilder &b, Location loc, ValueRange e) {
  Expr x(b, loc, e[0]);
  Type from = x.getElementType(), to = getTo();
  if (isCoded(to) && !isa<FloatType>(to))
    return {encode(x, /*isUnsigned=*/false, to, /*saturate=*/true, Rounding::up)};
  if (isCoded(to) && isCoded(getElementTypeOrSelf(getInput())) && to.getIntOrFloatBitWidth() < 8)
    return {x & x.constant((1 << to.getIntOrFloatBitWidth()) - 1)};
  to = getFormulaType(to);
  if (from.isInteger(1) || to.isInteger(1) || (isa<IntegerType>(from) && isa<IntegerType>(to)))
    return {convert(x, /*isUnsigned=*/true, to)};
  if (auto integer = dyn_cast<IntegerType>(to))
    to = b.getIntegerType(integer.getWidth());
  return {x.convert<arith::BitcastOp>(to)};
}

OpFoldResult BitcastOp::fold(FoldAdaptor) {
  return getInput().getType() == getType() ? OpFoldResult(getInput()) : OpFoldResult();
}
