//===- NNReduceGradients.cpp - Of reductions and normalisations -*- C++ -*-===//
#include "dialects/nn/NNOps.h"
#include "dialects/nn/NNSizeMath.h"
#include "dialects/nn/TensorExpr.h"

using namespace mlir;
using namespace nacre::nn;

using Gradients = SmallVectorImpl<Value>;

//===----------------------------------------------------------------------===//
// ReduceOp
//===----------------------------------------------------------------------===//

/// The number of elements that each mean is of, in the type of `like`.
static TensorExpr countElements(TensorExpr like, Value input, ArrayRef<int64_t> axes) {
  OpBuilder &b = like.getBuilder();
  SizeMath m(b, like.getLoc());
  SmallVector<OpFoldResult> sizes;
  for (int64_t axis : axes)
    sizes.push_back(m.dim(input, axis));
  OpFoldResult count = m.product(sizes);
  if (auto known = getConstantIntValue(count))
    return like.constant(*known);
  return like.with(CastOp::create(b, like.getLoc(), createSizeScalar(b, like.getLoc(), count),
                                  like.getType().getElementType()));
}

LogicalResult ReduceOp::buildGradient(OpBuilder &b, ValueRange gradients, Gradients &operands) {
  ReduceKind kind = getKind();
  if (kind == ReduceKind::prod)
    return failure();
  Location loc = getLoc();
  TensorExpr dy(b, loc, gradients[0]), x = dy.with(getInput());
  if (kind == ReduceKind::mean)
    dy = dy / countElements(dy, getInput(), getAxes());
  auto withAxes = [&](TensorExpr row) {
    return getKeepdims() || getAxes().empty() ? row : row.with(UnsqueezeOp::create(b, loc, row, getAxes()));
  };
  dy = withAxes(dy);
  if (kind == ReduceKind::max || kind == ReduceKind::min) {
    // Equal extremes share.
    TensorExpr isExtreme = where(x == withAxes(dy.with(getResult())), dy.constant(1), dy.constant(0));
    operands.push_back(isExtreme * (dy / sumAlong(isExtreme, getAxes())));
    return success();
  }
  operands.push_back(BroadcastOp::create(b, loc, dy, createSizes(b, loc, getDims(b, loc, getInput()))));
  return success();
}

LogicalResult CumulativeOp::buildGradient(OpBuilder &b, ValueRange gradients, Gradients &operands) {
  if (getKind() != ReduceKind::sum)
    return failure();
  operands.push_back(CumulativeOp::create(b, getLoc(), getKind(), gradients[0], getAxis(), getExclusive(), !getReverse()));
  return success();
}

//===----------------------------------------------------------------------===//
// SoftmaxOp, NormalizeOp
//===----------------------------------------------------------------------===//

LogicalResult SoftmaxOp::buildGradient(OpBuilder &b, ValueRange gradients, Gradients &operands) {
  TensorExpr dy(b, getLoc(), gradients[0]), y = dy.with(getResult());
  int64_t axis = getAxis();
  operands.push_back(getLog() ? dy - exp(y) * sumAlong(dy, axis) : y * (dy - sumAlong(dy * y, axis)));
  return success();
}

LogicalResult NormalizeOp::buildGradient(OpBuilder &b, ValueRange gradients, Gradients &operands) {
  TensorExpr dy(b, getLoc(), gradients[0]), x = dy.with(getInput()), y = dy.with(getResult());
  TensorExpr distance = getRms() ? x : x - meanAlong(x, getAxes());
  TensorExpr deviation = sqrt(meanAlong(square(distance), getAxes()) + getEpsilon().convertToDouble());
  TensorExpr moved = dy - y * meanAlong(dy * y, getAxes());
  operands.push_back((getRms() ? moved : moved - meanAlong(dy, getAxes())) / deviation);
  return success();
}

LogicalResult GroupNormOp::buildGradient(OpBuilder &b, ValueRange gradients, Gradients &operands) {
  Location loc = getLoc();
  SizeMath m(b, loc);
  RankedTensorType type = getInput().getType();
  for (Value operand : getOperands())
    if (getElementTypeOrSelf(operand) != type.getElementType())
      return failure();
  if (getChannelsLast())
    return failure();
  auto places = llvm::to_vector(llvm::seq<int64_t>(0, type.getRank()));
  places.erase(places.begin() + 1);
  // [N, groups, all of a group]: its elements are normalised together.
  OpFoldResult channels = m.dim(getInput(), 1), groups = getGroups() == 0 ? channels : m.constant(getGroups());
  SmallVector<OpFoldResult> sizes = m.dims(getInput()), rest(ArrayRef(sizes).drop_front(2));
  rest.push_back(m.div(channels, groups));
  SmallVector<OpFoldResult> grouped{sizes[0], groups, m.product(rest)};
  auto reshape = [&](Value tensor, ArrayRef<OpFoldResult> shape) {
    return ReshapeOp::create(b, loc, tensor, createSizes(b, loc, shape), /*allowzero=*/true, /*exact=*/true).getResult();
  };
  auto normal = NormalizeOp::create(b, loc, reshape(getInput(), grouped), b.getDenseI64ArrayAttr({2}),
                                    getEpsilonAttr(), /*rms=*/UnitAttr());
  TensorExpr dy(b, loc, gradients[0]);
  SmallVector<Value> inner;
  Value scaled = dy * dy.with(UnsqueezeOp::create(b, loc, getScale(), places));
  if (failed(normal.buildGradient(b, reshape(scaled, grouped), inner)))
    return failure();
  auto sum = [&](Value tensor) {
    return ReduceOp::create(b, loc, ReduceKind::sum, tensor, places, /*keepdims=*/false).getResult();
  };
  operands.append({reshape(inner[0], sizes), sum(dy * dy.with(reshape(normal, sizes))), sum(dy)});
  return success();
}
