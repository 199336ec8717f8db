//===- NNElementwiseGradients.cpp - Of arithmetic and activations -*- C++ -*-===//
//
// Those of functions of one number stand with their definition (NNMathOps.td).
//
//===----------------------------------------------------------------------===//
#include "dialects/nn/CodedTypes.h"
#include "dialects/nn/NNOps.h"
#include "dialects/nn/TensorExpr.h"

using namespace mlir;
using namespace nacre::nn;

using Gradients = SmallVectorImpl<Value>;

//===----------------------------------------------------------------------===//
// Arithmetic
//===----------------------------------------------------------------------===//

LogicalResult AddOp::buildGradient(OpBuilder &, ValueRange gradients, Gradients &operands) {
  operands.append(2, gradients[0]);
  return success();
}

LogicalResult SubOp::buildGradient(OpBuilder &b, ValueRange gradients, Gradients &operands) {
  TensorExpr dy(b, getLoc(), gradients[0]);
  operands.append({dy, -dy});
  return success();
}

LogicalResult MulOp::buildGradient(OpBuilder &b, ValueRange gradients, Gradients &operands) {
  TensorExpr dy(b, getLoc(), gradients[0]);
  operands.append({dy * dy.with(getRhs()), dy * dy.with(getLhs())});
  return success();
}

LogicalResult DivOp::buildGradient(OpBuilder &b, ValueRange gradients, Gradients &operands) {
  TensorExpr dy(b, getLoc(), gradients[0]), rhs = dy.with(getRhs()), quotient = dy / rhs;
  operands.append({quotient, -(quotient * dy.with(getResult()))});
  return success();
}

/// x - q y, with a whole number q.
static void buildRemainderGradient(TensorExpr dy, Value x, Value y, Value remainder, Gradients &operands) {
  TensorExpr quotient = (dy.with(x) - dy.with(remainder)) / dy.with(y);
  operands.append({dy, -(dy * dy.with(RoundOp::create(dy.getBuilder(), dy.getLoc(), quotient)))});
}
LogicalResult ModOp::buildGradient(OpBuilder &b, ValueRange gradients, Gradients &operands) {
  buildRemainderGradient(TensorExpr(b, getLoc(), gradients[0]), getLhs(), getRhs(), getResult(), operands);
  return success();
}
LogicalResult FModOp::buildGradient(OpBuilder &b, ValueRange gradients, Gradients &operands) {
  buildRemainderGradient(TensorExpr(b, getLoc(), gradients[0]), getLhs(), getRhs(), getResult(), operands);
  return success();
}

LogicalResult PowOp::buildGradient(OpBuilder &b, ValueRange gradients, Gradients &operands) {
  TensorExpr dy(b, getLoc(), gradients[0]), x = dy.with(getBase()), exponent = dy.with(getExponent());
  Type type = dy.getType().getElementType(), exponentType = exponent.getType().getElementType();
  if (exponentType != type)
    exponent = dy.with(CastOp::create(b, getLoc(), getExponent(), type));
  TensorExpr zero = dy.constant(0), one = dy.constant(1);
  TensorExpr lower = dy.with(PowOp::create(b, getLoc(), x, exponent - one).getResult());
  operands.push_back(where(exponent == zero, zero, dy * exponent * lower));
  if (!isa<FloatType>(exponentType)) {
    operands.push_back({});
    return success();
  }
  // 0 to the power of a number that is not negative stays 0, or 1, when the number moves.
  Value isFlat = AndOp::create(b, getLoc(), x == zero,
                               CompareOp::create(b, getLoc(), ComparePredicate::ge, exponent, zero));
  Value byExponent = where(isFlat, zero, dy * (dy.with(getResult()) * log(x)));
  if (exponentType != type)
    byExponent = CastOp::create(b, getLoc(), byExponent, exponentType);
  operands.push_back(byExponent);
  return success();
}

/// Where the operands are equal, each gets half. `isLess` tells where the first loses.
static void pushExtreme(TensorExpr dy, TensorExpr l, TensorExpr r, bool isMax, Gradients &operands) {
  TensorExpr zero = dy.constant(0), shared = where(l == r, dy * 0.5, dy);
  Value lIsLess = l < r, rIsLess = r < l;
  operands.append({where(isMax ? lIsLess : rIsLess, zero, shared), where(isMax ? rIsLess : lIsLess, zero, shared)});
}

LogicalResult MinOp::buildGradient(OpBuilder &b, ValueRange gradients, Gradients &operands) {
  TensorExpr dy(b, getLoc(), gradients[0]);
  pushExtreme(dy, dy.with(getLhs()), dy.with(getRhs()), /*isMax=*/false, operands);
  return success();
}

LogicalResult MaxOp::buildGradient(OpBuilder &b, ValueRange gradients, Gradients &operands) {
  TensorExpr dy(b, getLoc(), gradients[0]);
  pushExtreme(dy, dy.with(getLhs()), dy.with(getRhs()), /*isMax=*/true, operands);
  return success();
}

LogicalResult NegOp::buildGradient(OpBuilder &b, ValueRange gradients, Gradients &operands) {
  operands.push_back(-TensorExpr(b, getLoc(), gradients[0]));
  return success();
}

LogicalResult AbsOp::buildGradient(OpBuilder &b, ValueRange gradients, Gradients &operands) {
  TensorExpr dy(b, getLoc(), gradients[0]);
  operands.push_back(dy * dy.with(SignOp::create(b, getLoc(), getInput())));
  return success();
}

LogicalResult SignOp::buildGradient(OpBuilder &, ValueRange, Gradients &operands) {
  operands.push_back({});
  return success();
}

//===----------------------------------------------------------------------===//
// Selection and conversion
//===----------------------------------------------------------------------===//

LogicalResult WhereOp::buildGradient(OpBuilder &b, ValueRange gradients, Gradients &operands) {
  TensorExpr dy(b, getLoc(), gradients[0]), zero = dy.constant(0);
  operands.append({Value(), where(getCondition(), dy, zero), where(getCondition(), zero, dy)});
  return success();
}

LogicalResult CastOp::buildGradient(OpBuilder &b, ValueRange gradients, Gradients &operands) {
  Type type = getElementTypeOrSelf(getInput());
  operands.push_back(isArithmeticFloat(type) ? CastOp::create(b, getLoc(), gradients[0], type).getResult() : Value());
  return success();
}

//===----------------------------------------------------------------------===//
// Activations
//===----------------------------------------------------------------------===//

LogicalResult ReluOp::buildGradient(OpBuilder &b, ValueRange gradients, Gradients &operands) {
  // Of the result, so that the input need not be kept. NaN passes.
  TensorExpr dy(b, getLoc(), gradients[0]);
  operands.push_back(where(isAtMost(dy.with(getResult()), 0), dy.constant(0), dy));
  return success();
}

LogicalResult LeakyReluOp::buildGradient(OpBuilder &b, ValueRange gradients, Gradients &operands) {
  TensorExpr dy(b, getLoc(), gradients[0]);
  operands.push_back(where(dy.with(getInput()) > 0, dy, dy * getAlpha().convertToDouble()));
  return success();
}

LogicalResult PReluOp::buildGradient(OpBuilder &b, ValueRange gradients, Gradients &operands) {
  TensorExpr dy(b, getLoc(), gradients[0]), x = dy.with(getLhs());
  Value isPositive = x > 0;
  operands.append({where(isPositive, dy, dy * dy.with(getRhs())), where(isPositive, dy.constant(0), dy * x)});
  return success();
}

LogicalResult EluOp::buildGradient(OpBuilder &b, ValueRange gradients, Gradients &operands) {
  double scale = getScale().convertToDouble(), inputScale = getInputScale().convertToDouble();
  TensorExpr dy(b, getLoc(), gradients[0]), x = dy.with(getInput());
  TensorExpr below = dy * exp(x * inputScale) * (scale * getAlpha().convertToDouble() * inputScale);
  operands.push_back(where(x > 0, dy * scale, below));
  return success();
}

LogicalResult GeluOp::buildGradient(OpBuilder &b, ValueRange gradients, Gradients &operands) {
  TensorExpr dy(b, getLoc(), gradients[0]), x = dy.with(getInput());
  if (!getApproximate()) {
    TensorExpr density = exp(square(x) * -0.5) * (0.5 * M_2_SQRTPI * M_SQRT1_2);
    operands.push_back(dy * ((erf(x * M_SQRT1_2) + 1.0) * 0.5 + x * density));
    return success();
  }
  double scale = M_2_SQRTPI * M_SQRT1_2, cubic = 0.044715;
  TensorExpr t = tanh((x + x * x * x * cubic) * scale);
  TensorExpr slope = (square(x) * (3 * cubic) + 1.0) * scale;
  operands.push_back(dy * ((t + 1.0) * 0.5 + x * (1.0 - square(t)) * slope * 0.5));
  return success();
}

LogicalResult HardSigmoidOp::buildGradient(OpBuilder &b, ValueRange gradients, Gradients &operands) {
  double alpha = getAlpha().convertToDouble();
  TensorExpr dy(b, getLoc(), gradients[0]), line = dy.with(getInput()) * alpha + getBeta().convertToDouble();
  Value isInside = AndOp::create(b, getLoc(), line > 0, line < 1);
  operands.push_back(where(isInside, dy * alpha, dy.constant(0)));
  return success();
}
