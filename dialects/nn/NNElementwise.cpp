//===- NNElementwise.cpp - Element-wise ops ---------------------*- C++ -*-===//
#include "dialects/nn/NNOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace nacre::nn;

/// Picks the floating-point or the integer form of an op.
template <typename FloatOp, typename IntOp>
static Value buildArith(OpBuilder &b, Location loc, Value lhs, Value rhs) {
  if (isa<FloatType>(getElementTypeOrSelf(lhs.getType())))
    return FloatOp::create(b, loc, lhs, rhs);
  return IntOp::create(b, loc, lhs, rhs);
}

SmallVector<Value> AddOp::buildElements(OpBuilder &b, Location loc, ValueRange e) {
  return {buildArith<arith::AddFOp, arith::AddIOp>(b, loc, e[0], e[1])};
}

SmallVector<Value> MulOp::buildElements(OpBuilder &b, Location loc, ValueRange e) {
  return {buildArith<arith::MulFOp, arith::MulIOp>(b, loc, e[0], e[1])};
}

SmallVector<Value> ReluOp::buildElements(OpBuilder &b, Location loc, ValueRange e) {
  Type type = e[0].getType();
  Value zero = arith::ConstantOp::create(b, loc, b.getZeroAttr(type));
  if (isa<FloatType>(getElementTypeOrSelf(type))) {
    // «not less than» keeps NaN, as x < 0 is false for it.
    Value negative = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OLT, e[0], zero);
    return {arith::SelectOp::create(b, loc, negative, zero, e[0])};
  }
  if (getElementTypeOrSelf(getInput().getType()).isUnsignedInteger())
    return {e[0]};
  return {arith::MaxSIOp::create(b, loc, e[0], zero)};
}
