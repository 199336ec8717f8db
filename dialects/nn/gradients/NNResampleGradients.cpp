//===- NNResampleGradients.cpp - Of interpolation ---------------*- C++ -*-===//
//
// Resampling is linear: each element of the result gives its gradient, weighted as it was
// read, back to the elements that it is made of. nn.grid_sample depends on its grid too, so
// it is written as ops that have gradients.
//
//===----------------------------------------------------------------------===//
#include "dialects/nn/Expr.h"
#include "dialects/nn/NNSizeMath.h"
#include "dialects/nn/gradients/Places.h"
#include "llvm/ADT/Sequence.h"

using namespace mlir;
using namespace nacre::nn;

using Gradients = SmallVectorImpl<Value>;

namespace {

TensorExpr floor(TensorExpr x) { return x.with(FloorOp::create(x.getBuilder(), x.getLoc(), x).getResult()); }
TensorExpr ceil(TensorExpr x) { return x.with(CeilOp::create(x.getBuilder(), x.getLoc(), x).getResult()); }
TensorExpr round(TensorExpr x) { return x.with(RoundOp::create(x.getBuilder(), x.getLoc(), x).getResult()); }
TensorExpr unsqueeze(TensorExpr x, ArrayRef<int64_t> axes) {
  return axes.empty() ? x : x.with(UnsqueezeOp::create(x.getBuilder(), x.getLoc(), x, axes).getResult());
}
Value either(TensorExpr place, Value l, Value r) { return OrOp::create(place.getBuilder(), place.getLoc(), l, r); }

/// Elements `i` along the last dimension.
TensorExpr takeColumn(TensorExpr x, int64_t i) {
  OpBuilder &b = x.getBuilder();
  return x.with(GatherOp::create(b, x.getLoc(), x, createInteger(b, x.getLoc(), i), x.getType().getRank() - 1,
                                 /*in_bounds=*/true));
}

/// Integers brought into [0, size), or 0 where there are none.
Value clampPlaces(OpBuilder &b, Location loc, Value places, OpFoldResult size) {
  SizeMath m(b, loc);
  Value last = createSizeScalar(b, loc, m.sub(size, m.constant(1)));
  return MaxOp::create(b, loc, MinOp::create(b, loc, places, last), createInteger(b, loc, 0));
}
/// The same for numbers; NaN becomes 0.
Value toPlaces(TensorExpr x, OpFoldResult size) {
  // Near the range before the conversion, which is undefined for large numbers.
  OpBuilder &b = x.getBuilder();
  TensorExpr limit = createSizeLike(x, size), low = where(x > 0.0, x, x.constant(0));
  Value places = CastOp::create(b, x.getLoc(), where(low < limit, low, limit), b.getI64Type());
  return clampPlaces(b, x.getLoc(), places, size);
}

/// Tuples of positions: each of `columns` stretched to `sizes`, side by side.
Value joinColumns(OpBuilder &b, Location loc, ArrayRef<Value> columns, SmallVector<OpFoldResult> sizes) {
  int64_t rank = sizes.size();
  sizes.push_back(b.getIndexAttr(1));
  SmallVector<Value> stretched;
  for (Value column : columns)
    stretched.push_back(
        BroadcastOp::create(b, loc, UnsqueezeOp::create(b, loc, column, ArrayRef<int64_t>{rank}), createSizes(b, loc, sizes)));
  return ConcatOp::create(b, loc, stretched, rank);
}

} // namespace

LogicalResult ResampleOp::buildGradient(OpBuilder &b, ValueRange gradients, Gradients &operands) {
  Location loc = getLoc();
  SizeMath m(b, loc);
  int64_t rank = getInput().getType().getRank(), axis = getAxis();
  Type element = getInput().getType().getElementType(), wide = getComputeType(element);
  SmallVector<OpFoldResult> sizes = m.dims(getInput());
  // [a..., places, 1, b...] times [places, taps, 1...]
  TensorExpr dy = unsqueeze(castTo(TensorExpr(b, loc, gradients[0]), wide), axis + 1);
  TensorExpr weights = unsqueeze(castTo(dy.with(getWeights()), wide), llvm::to_vector(llvm::seq<int64_t>(2, rank + 1 - axis)));
  Value indices = clampPlaces(b, loc, getIndices(), sizes[axis]);
  TensorExpr dx = dy.with(scatterSlices(b, loc, dy * weights, indices, axis, sizes, /*inBounds=*/true));
  operands.append({castTo(dx, element), Value(), Value()});
  return success();
}

//===----------------------------------------------------------------------===//
// Regions of images
//===----------------------------------------------------------------------===//

LogicalResult RoiAlignOp::buildGradient(OpBuilder &b, ValueRange gradients, Gradients &operands) {
  Location loc = getLoc();
  Type element = getInput().getType().getElementType();
  TensorExpr dy = castTo(TensorExpr(b, loc, gradients[0]), getComputeType(element));
  SmallVector<OpFoldResult> sizes = SizeMath(b, loc).dims(getInput());
  Value dx;
  if (getReduction() == RoiReduction::Average) {
    Value images = createSizes(b, loc, {sizes[0], sizes[2], sizes[3]});
    dx = RoiSpreadOp::create(b, loc, dy, getRois(), getIndices(), images, getHeight(), getWidth(), getSamplingRatio(),
                             getSpatialScale(), getHalfPixel());
  } else {
    auto largest = RoiAlignPlacesOp::create(b, loc, getInput(), getRois(), getIndices(), getHeight(), getWidth(),
                                            getSamplingRatio(), getSpatialScale(), getHalfPixel());
    TensorExpr weights = dy.with(largest.getWeights());
    TensorExpr share = where(weights == 0.0, dy.constant(0), dy * weights);
    dx = scatterToPlaces(b, loc, share, largest.getPlaces(), sizes);
  }
  operands.append({castTo(dy.with(dx), element), Value(), Value()});
  return success();
}

LogicalResult RoiSpreadOp::buildGradient(OpBuilder &b, ValueRange gradients, Gradients &operands) {
  Value cells = RoiAlignOp::create(b, getLoc(), gradients[0], getRois(), getIndices(), getHeight(), getWidth(),
                                   getSamplingRatio(), getSpatialScale(), RoiReduction::Average, getHalfPixel(),
                                   /*in_bounds=*/false);
  operands.append({cells, Value(), Value(), Value()});
  return success();
}

LogicalResult RoiAlignPlacesOp::buildGradient(OpBuilder &, ValueRange, Gradients &operands) {
  Value none;
  operands.append(3, none);
  return success();
}

LogicalResult MaxRoiPoolOp::buildGradient(OpBuilder &b, ValueRange gradients, Gradients &operands) {
  Location loc = getLoc();
  Type element = getInput().getType().getElementType();
  TensorExpr dy = castTo(TensorExpr(b, loc, gradients[0]), getComputeType(element));
  Value places = MaxRoiPoolPlacesOp::create(b, loc, getInput(), getRois(), getHeight(), getWidth(), getSpatialScale());
  Value first = createInteger(b, loc, 0);
  Value isNone = CompareOp::create(b, loc, ComparePredicate::lt, places, first);
  Value dx = scatterToPlaces(b, loc, where(isNone, dy.constant(0), dy), MaxOp::create(b, loc, places, first),
                             SizeMath(b, loc).dims(getInput()));
  operands.append({castTo(dy.with(dx), element), Value()});
  return success();
}

//===----------------------------------------------------------------------===//
// GridSampleOp
//===----------------------------------------------------------------------===//

namespace {

/// Where the places of a grid lie along one dimension of the input: [N, O...].
struct GridAxis {
  TensorExpr x, low, high;
  OpFoldResult size;
  SmallVector<TensorExpr> taps, weights;
};

/// Mirrors a coordinate at the borders until it lies within them.
TensorExpr reflect(TensorExpr x, TensorExpr low, TensorExpr high) {
  TensorExpr range = high - low, distance = abs(x - low), flips = floor(distance / range), rest = distance - flips * range;
  Value isOdd = flips - floor(flips / 2.0) * 2.0 == 1.0;
  return where(range > 0.0, where(isOdd, high - rest, low + rest), low);
}
TensorExpr reflectOutside(TensorExpr x, TensorExpr low, TensorExpr high) {
  return where(either(x, x < low, x > high), reflect(x, low, high), x);
}

/// Keys' cubic kernel up to distance 1, and from there to 2.
TensorExpr cubicInner(TensorExpr x) { return (x * 1.25 - 2.25) * x * x + 1.0; }
TensorExpr cubicOuter(TensorExpr x) { return ((x * -0.75 + 3.75) * x - 6.0) * x + 3.0; }

GridAxis locate(GridSampleOp op, TensorExpr g, OpFoldResult extent) {
  TensorExpr size = createSizeLike(g, extent), last = size - 1.0, x = g;
  if (!op.getInElements() && op.getAlignCorners())
    x = (g + 1.0) / 2.0 * last;
  else if (!op.getInElements())
    x = ((g + 1.0) * size - 1.0) / 2.0;
  TensorExpr low = g.constant(op.getAlignCorners() ? 0 : -0.5), high = op.getAlignCorners() ? last : size - 0.5;
  if (op.getInterpolation() == Interpolation::Nearest)
    x = round(x);
  if (op.getPadding() == GridPadding::Border) {
    TensorExpr clamped = where(x > last, last, where(x < 0.0, x.constant(0), x));
    x = where(either(x, x < low, x > high), clamped, x);
  } else if (op.getPadding() == GridPadding::Reflection) {
    x = reflectOutside(x, low, high);
  }
  GridAxis axis{x, low, high, extent, {}, {}};
  if (op.getInterpolation() == Interpolation::Nearest) {
    // After a reflection between half places the number may not be whole.
    axis.taps = {op.getPadding() == GridPadding::Reflection ? where(x < 0.0, ceil(x), floor(x)) : x};
    return axis;
  }
  TensorExpr left = floor(x), t = x - left;
  if (op.getInterpolation() == Interpolation::Linear) {
    axis.taps = {left, left + 1.0};
    axis.weights = {1.0 - t, t};
  } else {
    axis.taps = {left - 1.0, left, left + 1.0, left + 2.0};
    axis.weights = {cubicOuter(t + 1.0), cubicInner(t), cubicInner(1.0 - t), cubicOuter(2.0 - t)};
  }
  return axis;
}

} // namespace

LogicalResult GridSampleOp::decompose(OpBuilder &b, SmallVectorImpl<Value> &results) {
  Location loc = getLoc();
  SizeMath m(b, loc);
  int64_t n = getInput().getType().getRank() - 2;
  Type element = getInput().getType().getElementType(), wide = getComputeType(element);
  TensorExpr input = castTo(TensorExpr(b, loc, getInput()), wide), grid = castTo(input.with(getGrid()), wide);
  // Channels last: a place is one slice.
  auto order = llvm::to_vector(llvm::seq<int64_t>(0, n + 2));
  order.erase(order.begin() + 1);
  order.push_back(1);
  Value data = TransposeOp::create(b, loc, input, order);
  SmallVector<GridAxis> axes;
  for (int64_t i = 0; i < n; ++i) // the grid has the last dimension first
    axes.push_back(locate(*this, takeColumn(grid, n - 1 - i), m.dim(getInput(), 2 + i)));
  SmallVector<OpFoldResult> places = m.dims(getGrid());
  places.pop_back();

  auto read = [&](ArrayRef<TensorExpr> coordinates) -> TensorExpr {
    SmallVector<Value> columns;
    Value isInside;
    for (auto [axis, x] : llvm::zip_equal(axes, coordinates)) {
      bool isReflected = getPadding() == GridPadding::Reflection;
      columns.push_back(toPlaces(isReflected ? reflectOutside(x, axis.low, axis.high) : x, axis.size));
      if (getPadding() != GridPadding::Zeros)
        continue;
      TensorExpr end = createSizeLike(x, axis.size);
      Value within = AndOp::create(b, loc, CompareOp::create(b, loc, ComparePredicate::ge, x, x.constant(0)), x < end);
      isInside = isInside ? AndOp::create(b, loc, isInside, within).getResult() : within;
    }
    Value tuples = joinColumns(b, loc, columns, places);
    TensorExpr value = input.with(GatherNdOp::create(b, loc, data, tuples, /*batch_dims=*/int64_t(1), /*in_bounds=*/true));
    if (isInside)
      value = where(UnsqueezeOp::create(b, loc, isInside, ArrayRef<int64_t>{n + 1}), value, value.constant(0));
    return value;
  };
  std::optional<TensorExpr> sum;
  SmallVector<TensorExpr> coordinates;
  auto interpolate = [&](auto &self, std::optional<TensorExpr> weight) -> void {
    size_t d = coordinates.size();
    if (d == axes.size()) {
      TensorExpr value = read(coordinates);
      if (weight)
        value = value * unsqueeze(*weight, n + 1);
      sum = sum ? *sum + value : value;
      return;
    }
    for (auto [i, tap] : llvm::enumerate(axes[d].taps)) {
      std::optional<TensorExpr> joined = weight;
      if (!axes[d].weights.empty())
        joined = weight ? *weight * axes[d].weights[i] : axes[d].weights[i];
      coordinates.push_back(tap);
      self(self, joined);
      coordinates.pop_back();
    }
  };
  interpolate(interpolate, std::nullopt);
  auto back = llvm::to_vector(llvm::seq<int64_t>(0, n + 1));
  back.insert(back.begin() + 1, n + 1);
  results.push_back(castTo(sum->with(TransposeOp::create(b, loc, *sum, back)), element));
  return success();
}
