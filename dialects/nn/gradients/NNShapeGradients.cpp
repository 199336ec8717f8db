//===- NNShapeGradients.cpp - Of ops that move elements ---------*- C++ -*-===//
#include "dialects/nn/NNSizeMath.h"
#include "dialects/nn/gradients/Places.h"
#include "mlir/Dialect/Utils/IndexingUtils.h"

using namespace mlir;
using namespace nacre::nn;

using Gradients = SmallVectorImpl<Value>;

/// The gradient under the shape of the input.
static Value reshapeLike(OpBuilder &b, Location loc, Value gradient, Value input) {
  return ReshapeOp::create(b, loc, gradient, createSizes(b, loc, getDims(b, loc, input)), /*allowzero=*/false,
                           /*exact=*/true);
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
  Location loc = getLoc();
  SizeMath m(b, loc);
  Value dx = gradients[0];
  SmallVector<OpFoldResult> sizes = m.dims(dx), low, high;
  for (int64_t i = 0, rank = sizes.size(); i < rank; ++i) {
    SliceRange range = getRange(b, i);
    if (isConstantIntValue(range.step, 1)) {
      low.push_back(range.begin);
      high.push_back(m.sub(m.sub(m.dim(getInput(), i), range.begin), range.count));
      continue;
    }
    sizes[i] = m.dim(getInput(), i);
    dx = scatterSlices(b, loc, dx, createPlaces(b, loc, range.begin, range.step, range.count), i, sizes,
                       /*inBounds=*/true);
    low.push_back(m.constant(0));
    high.push_back(m.constant(0));
  }
  operands.append({padWithZeros(b, loc, dx, low, high), Value(), Value(), Value()});
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
  Location loc = getLoc();
  SizeMath m(b, loc);
  Value dy = gradients[0];
  int64_t rank = getInput().getType().getRank();
  auto allAxes = llvm::to_vector(llvm::seq<int64_t>(0, rank));
  if (getMode() != PadMode::Constant) {
    // The elements that padding repeats, as it repeats their numbers.
    SmallVector<OpFoldResult> sizes = m.dims(dy);
    Value zero = createInteger(b, loc, 0);
    for (int64_t i = 0; i < rank; ++i) {
      OpFoldResult low = m.element(getPads(), i), high = m.element(getPads(), rank + i);
      if (isConstantIntValue(low, 0) && isConstantIntValue(high, 0))
        continue;
      sizes[i] = m.dim(getInput(), i);
      Value places = createPlaces(b, loc, m.constant(0), m.constant(1), sizes[i]);
      places = PadOp::create(b, loc, places, createSizes(b, loc, {low, high}), zero, getMode());
      dy = scatterSlices(b, loc, dy, places, i, sizes, /*inBounds=*/true);
    }
    operands.append({dy, Value(), Value()});
    return success();
  }
  SmallVector<OpFoldResult> low, high;
  for (int64_t i = 0; i < rank; ++i) {
    low.push_back(m.sub(m.constant(0), m.element(getPads(), i)));
    high.push_back(m.sub(m.constant(0), m.element(getPads(), rank + i)));
  }
  // The value stands wherever the input does not.
  TensorExpr gradient(b, loc, dy);
  Value inside = BroadcastOp::create(b, loc, gradient.constant(0), createSizes(b, loc, m.dims(getInput())));
  Value outside = PadOp::create(b, loc, inside, getPads(), gradient.constant(1), PadMode::Constant);
  Value value = ReduceOp::create(b, loc, ReduceKind::sum, gradient * gradient.with(outside), allAxes, /*keepdims=*/false);
  operands.append({padWithZeros(b, loc, dy, low, high), Value(), value});
  return success();
}

LogicalResult TriluOp::buildGradient(OpBuilder &b, ValueRange gradients, Gradients &operands) {
  operands.append({TriluOp::create(b, getLoc(), gradients[0], getK(), getTriangle()), Value()});
  return success();
}

LogicalResult ReverseSequenceOp::buildGradient(OpBuilder &b, ValueRange gradients, Gradients &operands) {
  Value back = ReverseSequenceOp::create(b, getLoc(), gradients[0], getLengths(), getBatchAxis(), getTimeAxis());
  operands.append({back, Value()});
  return success();
}

LogicalResult TopKOp::buildGradient(OpBuilder &b, ValueRange gradients, Gradients &operands) {
  Location loc = getLoc();
  Value zeros = createZeros(b, loc, gradients[0], getDims(b, loc, getInput()));
  Value gradient = ScatterElementsOp::create(b, loc, zeros, getIndices(), gradients[0], getAxis(),
                                             ScatterReduction::Replace, /*in_bounds=*/true);
  operands.append({gradient, Value()});
  return success();
}

LogicalResult Col2ImOp::buildGradient(OpBuilder &b, ValueRange gradients, Gradients &operands) {
  // The blocks of the padded image: along each dimension, [block, number of blocks] places.
  Location loc = getLoc();
  SizeMath m(b, loc);
  int64_t n = getStrides().size();
  SmallVector<OpFoldResult> zeros(2 + n, m.constant(0)), low = zeros, high = zeros;
  for (int64_t i = 0; i < n; ++i) {
    low[2 + i] = m.constant(getPads()[i]);
    high[2 + i] = m.constant(getPads()[n + i]);
  }
  Value blocks = padWithZeros(b, loc, gradients[0], low, high);
  SmallVector<OpFoldResult> padded = m.dims(blocks);
  SmallVector<int64_t> order{0, 1};
  for (int64_t i = 0; i < n; ++i)
    order.push_back(2 + 2 * i);
  for (int64_t i = n - 1; i >= 0; --i) {
    OpFoldResult block = m.element(getBlock(), i), stride = m.constant(getStrides()[i]),
                 dilation = m.constant(getDilations()[i]);
    OpFoldResult extent = m.add(m.mul(m.sub(block, m.constant(1)), dilation), m.constant(1));
    OpFoldResult room = m.add(m.sub(padded[2 + i], extent), stride);
    OpFoldResult count = m.div(m.max(room, m.constant(0)), stride);
    Value within = createPlaces(b, loc, m.constant(0), dilation, block);
    Value places = AddOp::create(b, loc, UnsqueezeOp::create(b, loc, within, ArrayRef<int64_t>{1}),
                                 createPlaces(b, loc, m.constant(0), stride, count));
    blocks = GatherOp::create(b, loc, blocks, places, 2 + i, /*in_bounds=*/true);
  }
  for (int64_t i = 0; i < n; ++i)
    order.push_back(3 + 2 * i);
  blocks = TransposeOp::create(b, loc, blocks, order);
  operands.append({reshapeToSizes(b, loc, blocks, m.dims(getInput())), Value(), Value()});
  return success();
}
