//===- NNMath.cpp - Functions of one number ---------------------*- C++ -*-===//
#include "dialects/nn/Expr.h"
#include "dialects/nn/NNOps.h"

using namespace mlir;
using namespace nacre::nn;

static bool isUnsigned(Value value) {
  return getElementTypeOrSelf(value.getType()).isUnsignedInteger();
}

SmallVector<Value> NegOp::buildElements(OpBuilder &b, Location loc, ValueRange e) {
  return {computeWide(b, loc, e, [](ArrayRef<Expr> x) { return -x[0]; })};
}

SmallVector<Value> AbsOp::buildElements(OpBuilder &b, Location loc, ValueRange e) {
  if (isUnsigned(getInput()))
    return {e[0]};
  return {computeWide(b, loc, e, [](ArrayRef<Expr> x) { return abs(x[0]); })};
}

SmallVector<Value> SignOp::buildElements(OpBuilder &b, Location loc, ValueRange e) {
  return {computeWide(b, loc, e, [&](ArrayRef<Expr> operands) {
    Expr x = operands[0], zero = x.constant(0), one = x.constant(1);
    Expr isPositive = less(zero, x, isUnsigned(getInput()));
    // What is neither above nor below zero is its own sign: ±0 and NaN.
    if (isUnsigned(getInput()))
      return select(isPositive, one, zero);
    return select(isPositive, one, select(x < zero, -one, x));
  })};
}
