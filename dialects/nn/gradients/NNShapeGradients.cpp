//===- NNShapeGradients.cpp - Of ops that move elements ---------*- C++ -*-===//
#include "dialects/nn/NNOps.h"
#include "dialects/nn/NNSizeMath.h"
#include "dialects/nn/TensorExpr.h"
#include "mlir/Dialect/Utils/IndexingUtils.h"

using namespace mlir;
using namespace nacre::nn;

using Gradients = SmallVectorImpl<Value>;

/// The gradient under the shape of the input.
static Value reshapeLike(OpBuilder &b, Location loc, Value gradient, Value input) {
  return ReshapeOp::create(b, loc, gradient, createSizes(b, loc, getDims(b, loc, input)), /*allowzero=*/false,
                           /*exact=*/true);
}

/// Adds zeros around, or takes away, by `low` and `high` in each dimension.
static Value padWithZeros(OpBuilder &b, Location loc, Value gradient, ArrayRef<OpFoldResult> low,
                          ArrayRef<OpFoldResult> high) {
  SmallVector<OpFoldResult> pads(low);
  llvm::append_range(pads, high);
  Value zero = TensorExpr(b, loc, gradient).constant(0);
  return PadOp::create(b, loc, gradient, createSizes(b, loc, pads), zero, PadMode::Constant);
}

LogicalResult TransposeOp::buildGradient(OpBuilder &b, ValueRange gradients, Gradients &operands) {
  operands.push_back(TransposeOp::create(b, getLoc(), gradients[0], invertPermutationVector(getPermutation())));
  return success();
}

LogicalResult BroadcastOp::buildGradient(OpBuilder &, ValueRange gradients, Gradients &operands) {
  operands.append({gradients[0], Value()}); // summed by who asks
  return success();
}

LogicalResult ReshapeOp::buildGradient(OpBuilder &b, ValueRange gradients, Gradients &operands) {
  operands.append({reshapeLike(b, getLoc(), gradients[0], getInput()), Value()});
  return success();
}

LogicalResult CollapseOp::buildGradient(OpBuilder &b, ValueRange gradients, Gradients &operands) {
  operands.push_back(reshapeLike(b, getLoc(), gradients[0], getInput()));
  return success();
}

LogicalResult SqueezeOp::buildGradient(OpBuilder &b, ValueRange gradients, Gradients &operands) {
  operands.push_back(UnsqueezeOp::create(b, getLoc(), gradients[0], getAxes()));
  return success();
}

LogicalResult UnsqueezeOp::buildGradient(OpBuilder &b, ValueRange gradients, Gradients &operands) {
  operands.push_back(SqueezeOp::create(b, getLoc(), gradients[0], getAxes()));
  return success();
}

LogicalResult SliceOp::buildGradient(OpBuilder &b, ValueRange gradients, Gradients &operands) {
  SizeMath m(b, getLoc());
  SmallVector<OpFoldResult> low, high;
  for (int64_t i = 0, rank = getInput().getType().getRank(); i < rank; ++i) {
    SliceRange range = getRange(b, i);
    if (!isConstantIntValue(range.step, 1))
      return failure();
    low.push_back(range.begin);
    high.push_back(m.sub(m.sub(m.dim(getInput(), i), range.begin), range.count));
  }
  operands.append({padWithZeros(b, getLoc(), gradients[0], low, high), Value(), Value(), Value()});
  return success();
}

LogicalResult ConcatOp::buildGradient(OpBuilder &b, ValueRange gradients, Gradients &operands) {
  // What belongs to others is taken away at both ends.
  SizeMath m(b, getLoc());
  int64_t axis = getAxis(), rank = cast<RankedTensorType>(getType()).getRank();
  OpFoldResult zero = m.constant(0), begin = zero, after = zero;
  for (Value input : getInputs())
    after = m.add(after, m.dim(input, axis));
  for (Value input : getInputs()) {
    OpFoldResult size = m.dim(input, axis);
    after = m.sub(after, size);
    SmallVector<OpFoldResult> low(rank, zero), high = low;
    low[axis] = m.sub(zero, begin);
    high[axis] = m.sub(zero, after);
    operands.push_back(padWithZeros(b, getLoc(), gradients[0], low, high));
    begin = m.add(begin, size);
  }
  return success();
}

LogicalResult PadOp::buildGradient(OpBuilder &b, ValueRange gradients, Gradients &operands) {
  if (getMode() != PadMode::Constant)
    return failure();
  SizeMath m(b, getLoc());
  SmallVector<OpFoldResult> low, high;
  int64_t rank = getInput().getType().getRank();
  for (int64_t i = 0; i < rank; ++i) {
    low.push_back(m.sub(m.constant(0), m.element(getPads(), i)));
    high.push_back(m.sub(m.constant(0), m.element(getPads(), rank + i)));
  }
  operands.append({padWithZeros(b, getLoc(), gradients[0], low, high), Value(), Value()});
  return success();
}
