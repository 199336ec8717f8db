//===- NNActivation.cpp - Activation functions ------------------*- C++ -*-===//
#include "dialects/nn/Expr.h"
#include "dialects/nn/NNOps.h"

using namespace mlir;
using namespace nacre::nn;

static bool isUnsigned(Value value) {
  return getElementTypeOrSelf(value.getType()).isUnsignedInteger();
}

SmallVector<Value> ReluOp::buildElements(OpBuilder &b, Location loc, ValueRange e) {
  if (isUnsigned(getInput()))
    return {e[0]};
  Expr x(b, loc, e[0]), zero = x.constant(0);
  // Not «x > 0 ? x : 0», which would lose NaN.
  return {x.isFloat() ? select(x < zero, zero, x) : max(x, zero)};
}

SmallVector<Value> LeakyReluOp::buildElements(OpBuilder &b, Location loc, ValueRange e) {
  return {computeWide(b, loc, e, [&](ArrayRef<Expr> x) {
    return select(x[0] < 0.0, x[0] * getAlpha().convertToDouble(), x[0]);
  })};
}

SmallVector<Value> PReluOp::buildElements(OpBuilder &b, Location loc, ValueRange e) {
  if (isUnsigned(getLhs()))
    return {e[0]};
  return {computeWide(b, loc, e,
                      [](ArrayRef<Expr> x) { return select(x[0] < 0.0, x[0] * x[1], x[0]); })};
}

SmallVector<Value> EluOp::buildElements(OpBuilder &b, Location loc, ValueRange e) {
  double scale = getScale().convertToDouble(), alpha = getAlpha().convertToDouble(),
         inputScale = getInputScale().convertToDouble();
  return {computeWide(b, loc, e, [&](ArrayRef<Expr> operands) {
    Expr x = operands[0], scaled = inputScale == 1 ? x : x * inputScale;
    Expr below = expm1(scaled) * (scale * alpha);
    return select(x > 0.0, scale == 1 ? x : x * scale, below);
  })};
}

SmallVector<Value> GeluOp::buildElements(OpBuilder &b, Location loc, ValueRange e) {
  return {computeWide(b, loc, e, [&](ArrayRef<Expr> operands) {
    Expr x = operands[0];
    if (!getApproximate())
      return x * 0.5 * (1.0 + erf(x * M_SQRT1_2));
    Expr inner = (x + x * x * x * 0.044715) * std::sqrt(2 / M_PI);
    return x * 0.5 * (1.0 + tanh(inner));
  })};
}

SmallVector<Value> HardSigmoidOp::buildElements(OpBuilder &b, Location loc, ValueRange e) {
  return {computeWide(b, loc, e, [&](ArrayRef<Expr> operands) {
    Expr x = operands[0];
    Expr line = x * getAlpha().convertToDouble() + getBeta().convertToDouble();
    return max(min(line, x.constant(1)), x.constant(0));
  })};
}
