//===- NNReduceGradients.cpp - Of reductions and normalisations -*- C++ -*-===//
#include "dialects/nn/Expr.h"
#include "dialects/nn/NNSizeMath.h"
#include "dialects/nn/gradients/Places.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/IndexingUtils.h"
#include "llvm/ADT/Sequence.h"

using namespace mlir;
using namespace nacre::nn;

using Gradients = SmallVectorImpl<Value>;

//===----------------------------------------------------------------------===//
// ReduceOp
//===----------------------------------------------------------------------===//

/// The number of elements that each mean is of, in the type of `like`.
static TensorExpr countElements(TensorExpr like, Value input, ArrayRef<int64_t> axes) {
  SizeMath m(like.getBuilder(), like.getLoc());
  return createSizeLike(like, m.product(llvm::map_to_vector(axes, [&](int64_t axis) { return m.dim(input, axis); })));
}

/// For each element the product of the others along the axes: of those before it and those
/// after it, as zeros cannot be divided by.
static TensorExpr multiplyOthers(TensorExpr x, ArrayRef<int64_t> axes) {
  OpBuilder &b = x.getBuilder();
  Location loc = x.getLoc();
  auto accumulate = [&](TensorExpr row, int64_t axis, bool reverse) {
    return row.with(CumulativeOp::create(b, loc, ReduceKind::prod, row, axis, /*exclusive=*/true, reverse));
  };
  auto multiply = [&](TensorExpr row, int64_t axis) { return accumulate(row, axis, false) * accumulate(row, axis, true); };
  if (axes.size() == 1)
    return multiply(x, axes[0]);
  // All axes as one, behind the others.
  SizeMath m(b, loc);
  int64_t rank = x.getType().getRank(), kept = rank - axes.size();
  SmallVector<int64_t> order;
  for (int64_t i = 0; i < rank; ++i)
    if (!llvm::is_contained(axes, i))
      order.push_back(i);
  llvm::append_range(order, axes);
  Value moved = TransposeOp::create(b, loc, x, order);
  SmallVector<OpFoldResult> sizes = m.dims(moved);
  TensorExpr others = multiply(x.with(CollapseOp::create(b, loc, moved, kept, rank)), kept);
  Value apart = reshapeToSizes(b, loc, others, sizes);
  return x.with(TransposeOp::create(b, loc, apart, invertPermutationVector(order)));
}

LogicalResult ReduceOp::buildGradient(OpBuilder &b, ValueRange gradients, Gradients &operands) {
  ReduceKind kind = getKind();
  Location loc = getLoc();
  TensorExpr dy(b, loc, gradients[0]), x = dy.with(getInput());
  if (kind == ReduceKind::mean)
    dy = dy / countElements(dy, getInput(), getAxes());
  auto withAxes = [&](TensorExpr row) {
    return getKeepdims() || getAxes().empty() ? row : row.with(UnsqueezeOp::create(b, loc, row, getAxes()));
  };
  dy = withAxes(dy);
  if (kind == ReduceKind::prod && !getAxes().empty()) {
    operands.push_back(dy * multiplyOthers(x, getAxes()));
    return success();
  }
  if (kind == ReduceKind::max || kind == ReduceKind::min) {
    // Equal extremes share.
    TensorExpr isExtreme = where(x == withAxes(dy.with(getResult())), dy.constant(1), dy.constant(0));
    operands.push_back(isExtreme * (dy / sumAlong(isExtreme, getAxes())));
    return success();
  }
  operands.push_back(BroadcastOp::create(b, loc, dy, createSizes(b, loc, getDims(b, loc, getInput()))));
  return success();
}

LogicalResult ReduceMarkedOp::buildGradient(OpBuilder &b, ValueRange gradients, Gradients &operands) {
  Location loc = getLoc();
  SizeMath m(b, loc);
  TensorExpr dy(b, loc, gradients[0]), x = dy.with(getInput()), zero = dy.constant(0), one = dy.constant(1);
  Value sizes = createSizes(b, loc, m.dims(getInput()));
  auto stretch = [&](Value row) { return dy.with(BroadcastOp::create(b, loc, row, sizes)); };
  auto reduce = [&](ReduceKind kind, Value values) {
    return stretch(ReduceMarkedOp::create(b, loc, kind, values, getMarks()));
  };
  dy = stretch(dy);
  TensorExpr y = stretch(getResult());
  switch (getKind()) {
  case ReduceKind::sum:
    break;
  case ReduceKind::mean:
    dy = dy / reduce(ReduceKind::sum, stretch(one));
    break;
  case ReduceKind::max:
  case ReduceKind::min: { // equal extremes share
    TensorExpr isExtreme = where(x == y, one, zero);
    dy = isExtreme * (dy / reduce(ReduceKind::sum, isExtreme));
    break;
  }
  case ReduceKind::prod: {
    // Not known along which dimensions: so by division, where nothing is zero. Besides one
    // zero the others' product counts for that one, and besides several nothing does.
    TensorExpr isZero = where(x == 0.0, one, zero), zeros = reduce(ReduceKind::sum, isZero);
    TensorExpr factors = where(x == 0.0, one, x), product = reduce(ReduceKind::prod, factors);
    dy = dy * where(zeros == isZero, product / factors, zero);
    break;
  }
  }
  operands.append({dy, Value()});
  return success();
}

//===----------------------------------------------------------------------===//
// CumulativeOp
//===----------------------------------------------------------------------===//

namespace {

/// Rows whose elements come from a number of places further on, or, with `forward`, before.
class Shifter {
public:
  Shifter(OpBuilder &b, Location loc, int64_t axis, bool forward) : b(b), loc(loc), axis(axis), forward(forward) {}

  /// What comes from beyond the end is `filling`.
  TensorExpr shift(TensorExpr row, OpFoldResult distance, double filling) {
    SizeMath m(b, loc);
    int64_t rank = row.getType().getRank();
    SmallVector<OpFoldResult> pads(2 * rank, m.constant(0));
    pads[axis] = forward ? distance : m.sub(m.constant(0), distance);
    pads[rank + axis] = forward ? m.sub(m.constant(0), distance) : distance;
    return row.with(PadOp::create(b, loc, row, createSizes(b, loc, pads), row.constant(filling), PadMode::Constant));
  }

  /// Two neighbours are joined: that with `factor` and `sum` for more elements each.
  void join(TensorExpr &factor, TensorExpr &sum, OpFoldResult distance) {
    sum = sum + factor * shift(sum, distance, 0);
    factor = factor * shift(factor, distance, 1);
  }

private:
  OpBuilder &b;
  Location loc;
  int64_t axis;
  bool forward;
};

/// s[k] = terms[k] + factors[k] * s[k + 1], or s[k - 1] with `forward`, and beyond the end 0:
/// all at once, for 1, 2, 4, 8, ... elements.
TensorExpr accumulateLinearly(TensorExpr factors, TensorExpr terms, OpFoldResult count, int64_t axis, bool forward) {
  OpBuilder &b = terms.getBuilder();
  Location loc = terms.getLoc();
  if (std::optional<int64_t> known = getConstantIntValue(count)) {
    for (int64_t distance = 1; distance < *known; distance *= 2)
      Shifter(b, loc, axis, forward).join(factors, terms, b.getIndexAttr(distance));
    return terms;
  }
  // What the loop carries has the size of what it begins with; what is built in it is built plainly.
  OpBuilder plain(b.getContext());
  plain.setInsertionPoint(b.getInsertionBlock(), b.getInsertionPoint());
  auto type = terms.getType();
  auto cast = [&](Value value) { return plain.createOrFold<tensor::CastOp>(loc, type, value); };
  Type i64 = plain.getI64Type();
  Value zero = arith::ConstantIndexOp::create(plain, loc, 0), one = arith::ConstantIndexOp::create(plain, loc, 1);
  // ceil(log2(count)), 0 for an empty row.
  Value last = arith::SubIOp::create(plain, loc, getValueOrCreateConstantIndexOp(plain, loc, count), one);
  last = arith::IndexCastOp::create(plain, loc, i64, arith::MaxSIOp::create(plain, loc, last, zero));
  Value width = arith::ConstantIntOp::create(plain, loc, i64, 64);
  Value bits = arith::SubIOp::create(plain, loc, width, math::CountLeadingZerosOp::create(plain, loc, last));
  Value steps = arith::IndexCastOp::create(plain, loc, plain.getIndexType(), bits);
  auto loop = scf::ForOp::create(
      plain, loc, zero, steps, one, ValueRange{cast(factors), cast(terms)},
      [&](OpBuilder &, Location, Value step, ValueRange carried) {
        OpBuilder::InsertionGuard guard(plain);
        plain.setInsertionPointToEnd(step.getParentBlock());
        TensorExpr factor(plain, loc, carried[0]), sum(plain, loc, carried[1]);
        Value distance = arith::ShLIOp::create(plain, loc, one, step);
        Shifter(plain, loc, axis, forward).join(factor, sum, distance);
        Value next[] = {cast(factor), cast(sum)};
        scf::YieldOp::create(plain, loc, next);
      });
  return terms.with(loop.getResult(1));
}

} // namespace

LogicalResult CumulativeOp::buildGradient(OpBuilder &b, ValueRange gradients, Gradients &operands) {
  Location loc = getLoc();
  int64_t axis = getAxis();
  if (getKind() == ReduceKind::sum) {
    operands.push_back(CumulativeOp::create(b, loc, getKind(), gradients[0], axis, getExclusive(), !getReverse()));
    return success();
  }
  // The product of what comes before, times the sum over the products that an element is in
  // of what comes after it there; no division, so zeros are as good as other numbers.
  TensorExpr dy(b, loc, gradients[0]), x = dy.with(getInput());
  TensorExpr before = x.with(CumulativeOp::create(b, loc, ReduceKind::prod, x, axis, /*exclusive=*/true, getReverse()));
  Shifter next(b, loc, axis, /*forward=*/getReverse());
  OpFoldResult one = b.getIndexAttr(1);
  TensorExpr terms = getExclusive() ? next.shift(dy, one, 0) : dy;
  TensorExpr after = accumulateLinearly(next.shift(x, one, 0), terms, getDim(b, loc, getInput(), axis), axis, getReverse());
  operands.push_back(before * after);
  return success();
}

//===----------------------------------------------------------------------===//
// SoftmaxOp, NormalizeOp
//===----------------------------------------------------------------------===//

LogicalResult HardmaxOp::buildGradient(OpBuilder &, ValueRange, Gradients &operands) {
  operands.emplace_back();
  return success();
}

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

LogicalResult BatchNormOp::decompose(OpBuilder &b, SmallVectorImpl<Value> &results) {
  // In the widest type of all operands, at least f32.
  RankedTensorType input = getInput().getType();
  Type compute = getComputeType(input.getElementType());
  for (Value operand : getOperands())
    if (Type type = getComputeType(getElementTypeOrSelf(operand)); type.isF64())
      compute = type;
  auto wide = [&](Value value) { return castTo(TensorExpr(b, getLoc(), value), compute); };
  auto others = llvm::to_vector(llvm::seq<int64_t>(0, input.getRank()));
  others.erase(others.begin() + (getChannelsLast() ? input.getRank() - 1 : 1));
  auto align = [&](TensorExpr row) { return row.with(b.createOrFold<UnsqueezeOp>(getLoc(), row, others)); };
  TensorExpr factor = wide(getScale()) / sqrt(wide(getVariance()) + getEpsilon().convertToDouble());
  TensorExpr offset = wide(getBias()) - wide(getMean()) * factor;
  TensorExpr factors = align(factor), offsets = align(offset);
  results.push_back(castTo(wide(getInput()) * factors + offsets, input.getElementType()));
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
  auto reshape = [&](Value tensor, ArrayRef<OpFoldResult> shape) { return reshapeToSizes(b, loc, tensor, shape); };
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
