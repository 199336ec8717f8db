//===- NNSpatialGradients.cpp - Of convolutions and pooling -----*- C++ -*-===//
//
// A convolution, as a function of its input, is the adjoint of a transposed one with the
// same weight, and the other way round. As a function of its weight it is a convolution
// too: of the input with the result's gradient, where batch and channels change places,
// and strides and dilations.
//
//===----------------------------------------------------------------------===//
#include "dialects/nn/NNSizeMath.h"
#include "dialects/nn/NNWindow.h"
#include "dialects/nn/gradients/Places.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "llvm/ADT/Sequence.h"

using namespace mlir;
using namespace nacre::nn;

using Gradients = SmallVectorImpl<Value>;

namespace {

/// How a window moves over a tensor with channels first.
struct Windows {
  SmallVector<int64_t> strides, dilations, pads;
  int64_t groups = 1;
  /// Where padding depends on sizes that only a run knows: the elements to add in each spatial
  /// dimension (`pads` are 0 then).
  SmallVector<OpFoldResult> before = {}, after = {};
};

/// Puts paddings that may be known only in the run into `windows`.
void setPadding(Windows &windows, ArrayRef<OpFoldResult> before, ArrayRef<OpFoldResult> after) {
  int64_t spatial = before.size();
  SmallVector<OpFoldResult> all(before);
  llvm::append_range(all, after);
  std::optional<SmallVector<int64_t>> known = getConstantIntValues(all);
  windows.pads = known ? *known : SmallVector<int64_t>(2 * spatial, 0);
  if (!known) {
    windows.before.assign(before.begin(), before.end());
    windows.after.assign(after.begin(), after.end());
  }
}

/// Of a convolution or a pooling. Fails with channels last.
template <typename Op>
FailureOr<Windows> getWindows(OpBuilder &b, Op op, llvm::function_ref<OpFoldResult(int64_t)> kernelOf) {
  if (op.getChannelsLast())
    return failure();
  Windows windows{SmallVector<int64_t>(op.getStrides()), SmallVector<int64_t>(op.getDilations()),
                  SmallVector<int64_t>(op.getPads())};
  if (op.getAutoPad() == AutoPad::NotSet)
    return windows;
  SmallVector<OpFoldResult> before, after;
  for (int64_t i = 0, spatial = windows.strides.size(); i < spatial; ++i) {
    OpFoldResult size = getDim(b, op.getLoc(), op.getInput(), 2 + i);
    auto [begin, end] = getWindowPads(b, op.getLoc(), getWindowDim(op, i, size, kernelOf(i)));
    before.push_back(begin);
    after.push_back(end);
  }
  setPadding(windows, before, after);
  return windows;
}

/// What windows slide over, with the padding that only a run knows.
Value padAtRunTime(OpBuilder &b, Location loc, Value tensor, const Windows &windows) {
  if (windows.before.empty())
    return tensor;
  SmallVector<OpFoldResult> low(2, b.getIndexAttr(0)), high = low;
  llvm::append_range(low, windows.before);
  llvm::append_range(high, windows.after);
  return padWithZeros(b, loc, tensor, low, high);
}

/// The sizes of that, of a tensor of `sizes`.
SmallVector<OpFoldResult> getPaddedSizes(OpBuilder &b, Location loc, SmallVector<OpFoldResult> sizes,
                                         const Windows &windows) {
  SizeMath m(b, loc);
  for (auto [i, before, after] : llvm::enumerate(windows.before, windows.after))
    sizes[2 + i] = m.add(sizes[2 + i], m.add(before, after));
  return sizes;
}

/// A tensor of `sizes` out of its padding.
Value cropAtRunTime(OpBuilder &b, Location loc, Value padded, ArrayRef<OpFoldResult> sizes, const Windows &windows) {
  if (windows.before.empty())
    return padded;
  SizeMath m(b, loc);
  SmallVector<OpFoldResult> starts(2, m.constant(0)), ends, ones(sizes.size(), m.constant(1));
  llvm::append_range(starts, windows.before);
  for (auto [start, size] : llvm::zip_equal(starts, sizes))
    ends.push_back(m.add(start, size));
  return SliceOp::create(b, loc, padded, createSizes(b, loc, starts), createSizes(b, loc, ends), createSizes(b, loc, ones));
}

/// The elements from the beginning, as many as `sizes`; all of them if that is known.
Value takeFirst(OpBuilder &b, Location loc, Value tensor, ArrayRef<OpFoldResult> sizes) {
  if (isEqualConstantIntOrValueArray(getDims(b, loc, tensor), sizes))
    return tensor;
  SmallVector<OpFoldResult> zeros(sizes.size(), b.getIndexAttr(0)), ones(sizes.size(), b.getIndexAttr(1));
  return SliceOp::create(b, loc, tensor, createSizes(b, loc, zeros), createSizes(b, loc, sizes),
                         createSizes(b, loc, ones));
}

Value createFilled(OpBuilder &b, Location loc, Value like, double value, ArrayRef<OpFoldResult> sizes) {
  return BroadcastOp::create(b, loc, TensorExpr(b, loc, like).constant(value), createSizes(b, loc, sizes));
}

/// What a convolution's input of the spatial `sizes` gets from its result's gradient.
Value scatterWindows(OpBuilder &b, Location loc, Value dy, Value weight, ArrayRef<OpFoldResult> sizes,
                     const Windows &windows) {
  // Up to stride - 1 elements at the end are in no window.
  SizeMath m(b, loc);
  SmallVector<int64_t> rest;
  SmallVector<OpFoldResult> all{m.dim(dy, 0), m.mul(m.dim(weight, 1), m.constant(windows.groups))};
  int64_t spatial = sizes.size();
  for (int64_t i = 0; i < spatial; ++i) {
    TransposedDim dim{m.dim(dy, 2 + i),         m.dim(weight, 2 + i), windows.strides[i],
                      windows.dilations[i],     windows.pads[i],      windows.pads[spatial + i]};
    std::optional<int64_t> missing = getConstantIntValue(m.sub(sizes[i], getTransposedSize(b, loc, dim)));
    // In ceil mode the last window may hang over the end instead.
    rest.push_back(std::max<int64_t>(missing.value_or(windows.strides[i] - 1), 0));
    all.push_back(sizes[i]);
  }
  Value scattered = ConvTransposeOp::create(
      b, loc, dy, weight, Value(), b.getDenseI64ArrayAttr(windows.strides), b.getDenseI64ArrayAttr(windows.dilations),
      b.getDenseI64ArrayAttr(windows.pads), b.getDenseI64ArrayAttr(rest), DenseI64ArrayAttr(), AutoPad::NotSet,
      windows.groups, /*channels_last=*/false);
  return takeFirst(b, loc, scattered, all);
}

/// Of a window that is written out tap by tap.
constexpr int64_t kMostTaps = 128;

/// For each tap of a window, in row-major order, the elements that it meets: one for each of
/// `places`' spatial dimensions, which are the last ones of the input.
SmallVector<Value> readTaps(OpBuilder &b, Location loc, Value input, Value places, ArrayRef<int64_t> kernel,
                            ArrayRef<int64_t> strides, ArrayRef<int64_t> dilations,
                            ArrayRef<std::pair<OpFoldResult, OpFoldResult>> padding) {
  SizeMath m(b, loc);
  auto type = cast<RankedTensorType>(input.getType());
  int64_t rank = type.getRank(), spatial = kernel.size(), taps = llvm::product_of(kernel);
  SmallVector<OpFoldResult> pads(2 * rank, b.getIndexAttr(0));
  for (int64_t i = 0; i < spatial; ++i)
    std::tie(pads[2 + i], pads[rank + 2 + i]) = padding[i];
  auto scalar = RankedTensorType::get({}, type.getElementType());
  Value zero = ConstantOp::create(b, loc, scalar, DenseElementsAttr::get(scalar, b.getZeroAttr(type.getElementType())));
  Value padded = PadOp::create(b, loc, input, createSizes(b, loc, pads), zero, PadMode::Constant);
  SmallVector<Value> rows;
  for (int64_t tap = 0; tap < taps; ++tap) {
    SmallVector<OpFoldResult> starts(rank, b.getIndexAttr(0)), ends = m.dims(padded), steps(rank, b.getIndexAttr(1));
    for (int64_t i = spatial - 1, rest = tap; i >= 0; rest /= kernel[i], --i) {
      int64_t start = rest % kernel[i] * dilations[i];
      starts[2 + i] = b.getIndexAttr(start);
      steps[2 + i] = b.getIndexAttr(strides[i]);
      // The last place's element is the last that is read.
      OpFoldResult reach = m.mul(m.sub(m.dim(places, 2 + i), m.constant(1)), m.constant(strides[i]));
      ends[2 + i] = m.add(reach, m.constant(start + 1));
    }
    rows.push_back(SliceOp::create(b, loc, padded, createSizes(b, loc, starts), createSizes(b, loc, ends),
                                   createSizes(b, loc, steps)));
  }
  return rows;
}

/// Of few input channels: a matrix product for each sample, whose sum it is. The left side has a
/// row for each tap and channel, the elements that the tap meets, which is as many copies of the
/// input as there are taps.
Value multiplyWindows(OpBuilder &b, Location loc, Value input, Value dy, Value weight, const Windows &windows) {
  SizeMath m(b, loc);
  auto type = cast<RankedTensorType>(weight.getType());
  int64_t rank = type.getRank(), spatial = rank - 2;
  auto reshape = [&](Value value, ArrayRef<OpFoldResult> sizes) -> Value {
    return ReshapeOp::create(b, loc, value, createSizes(b, loc, sizes), /*allowzero=*/true, /*exact=*/true);
  };
  SmallVector<std::pair<OpFoldResult, OpFoldResult>> pads;
  for (int64_t i = 0; i < spatial; ++i)
    pads.push_back({b.getIndexAttr(windows.pads[i]), b.getIndexAttr(windows.pads[spatial + i])});
  ArrayRef<int64_t> kernel = type.getShape().drop_front(2);
  SmallVector<Value> rows = readTaps(b, loc, input, dy, kernel, windows.strides, windows.dilations, pads);
  SmallVector<OpFoldResult> places = m.dims(dy);
  OpFoldResult samples = places[0], channels = m.dim(weight, 1), outputs = m.dim(weight, 0);
  OpFoldResult count = m.product(ArrayRef(places).drop_front(2));
  // [N, taps and channels, D...] by [N, D..., O]
  Value left = reshape(ConcatOp::create(b, loc, rows, 1), {samples, m.mul(channels, m.constant(rows.size())), count});
  auto last = llvm::to_vector(llvm::seq<int64_t>(0, rank));
  std::rotate(last.begin() + 1, last.begin() + 2, last.end());
  Value right = reshape(TransposeOp::create(b, loc, dy, last), {samples, count, outputs});
  Value products = MatMulOp::create(b, loc, left, right, /*transpose_lhs=*/false, /*transpose_rhs=*/false);
  Value product = ReduceOp::create(b, loc, ReduceKind::sum, products, ArrayRef<int64_t>{0}, /*keepdims=*/false);
  SmallVector<OpFoldResult> apart;
  SmallVector<int64_t> back{rank - 1, rank - 2};
  for (int64_t i = 0; i < spatial; ++i) {
    apart.push_back(m.dim(weight, 2 + i));
    back.push_back(i);
  }
  apart.append({channels, outputs});
  return TransposeOp::create(b, loc, reshape(product, apart), back);
}

/// The gradient of a convolution's weight [O, C / groups, K...]: the input's windows, each
/// times the gradient of what it gave.
Value correlateWindows(OpBuilder &b, Location loc, Value input, Value dy, Value weight, const Windows &windows) {
  SizeMath m(b, loc);
  // A convolution has the input's channels as its batch: of few there is little to work on at once.
  constexpr int64_t kFewChannels = 8;
  auto weightType = cast<RankedTensorType>(weight.getType());
  if (windows.groups == 1 && weightType.hasStaticShape() && weightType.getDimSize(1) <= kFewChannels &&
      ShapedType::getNumElements(weightType.getShape().drop_front(2)) <= kMostTaps)
    return multiplyWindows(b, loc, input, dy, weight, windows);
  int64_t rank = cast<RankedTensorType>(input.getType()).getRank(), groups = windows.groups, spatial = rank - 2;
  // What no window reaches, as strides leave it over, makes places of which there are no weights.
  SmallVector<int64_t> pads(windows.pads);
  SmallVector<OpFoldResult> reached = m.dims(input);
  for (int64_t i = 0; i < spatial; ++i) {
    OpFoldResult windowsReach = m.mul(m.sub(m.dim(dy, 2 + i), m.constant(1)), m.constant(windows.strides[i]));
    OpFoldResult tapsReach = m.mul(m.sub(m.dim(weight, 2 + i), m.constant(1)), m.constant(windows.dilations[i]));
    OpFoldResult needed = m.add(m.add(windowsReach, tapsReach), m.constant(1 - pads[i] - pads[spatial + i]));
    std::optional<int64_t> over = getConstantIntValue(m.sub(reached[2 + i], needed));
    if (!over || *over <= 0)
      continue;
    int64_t fromPad = std::min(*over, pads[spatial + i]);
    pads[spatial + i] -= fromPad;
    reached[2 + i] = m.sub(reached[2 + i], m.constant(*over - fromPad));
  }
  input = takeFirst(b, loc, input, reached);
  auto swapped = llvm::to_vector(llvm::seq<int64_t>(0, rank));
  std::swap(swapped[0], swapped[1]);
  if (groups == 1) {
    input = TransposeOp::create(b, loc, input, swapped);
  } else {
    // [N, groups * C', D...] -> [C', groups * N, D...]: each group convolves its own.
    SmallVector<OpFoldResult> sizes = m.dims(input), apart = sizes, joined = sizes;
    OpFoldResult perGroup = m.dim(weight, 1);
    apart[1] = perGroup;
    apart.insert(apart.begin() + 1, m.constant(groups));
    joined[0] = perGroup;
    joined[1] = m.mul(m.constant(groups), sizes[0]);
    auto order = llvm::to_vector(llvm::seq<int64_t>(0, rank + 1));
    std::swap(order[0], order[2]);
    Value parts = reshapeToSizes(b, loc, input, apart);
    input = reshapeToSizes(b, loc, TransposeOp::create(b, loc, parts, order), joined);
  }
  Value places = TransposeOp::create(b, loc, dy, swapped);
  Value gradient = ConvOp::create(
      b, loc, input, places, Value(), b.getDenseI64ArrayAttr(windows.dilations), b.getDenseI64ArrayAttr(windows.strides),
      b.getDenseI64ArrayAttr(pads), AutoPad::NotSet, groups, /*channels_last=*/false);
  // Of sizes that are not known elements in no window may be left.
  return takeFirst(b, loc, TransposeOp::create(b, loc, gradient, swapped), m.dims(weight));
}

/// Of a bias: the sum over all places of a channel.
Value sumPlaces(OpBuilder &b, Location loc, Value dy) {
  auto axes = llvm::to_vector(llvm::seq<int64_t>(0, cast<RankedTensorType>(dy.getType()).getRank()));
  axes.erase(axes.begin() + 1);
  return ReduceOp::create(b, loc, ReduceKind::sum, dy, axes, /*keepdims=*/false);
}

} // namespace

LogicalResult ConvOp::buildGradient(OpBuilder &b, ValueRange gradients, Gradients &operands) {
  Location loc = getLoc();
  auto kernelOf = [&](int64_t i) { return getDim(b, loc, getWeight(), 2 + i); };
  FailureOr<Windows> windows = getWindows(b, *this, kernelOf);
  if (failed(windows))
    return failure();
  windows->groups = getGroups();
  SmallVector<OpFoldResult> sizes = getDims(b, loc, getInput()), padded = getPaddedSizes(b, loc, sizes, *windows);
  Value dx = scatterWindows(b, loc, gradients[0], getWeight(), ArrayRef(padded).drop_front(2), *windows);
  operands.push_back(cropAtRunTime(b, loc, dx, sizes, *windows));
  Value input = padAtRunTime(b, loc, getInput(), *windows);
  operands.push_back(correlateWindows(b, loc, input, gradients[0], getWeight(), *windows));
  if (getBias())
    operands.push_back(sumPlaces(b, loc, gradients[0]));
  return success();
}

LogicalResult ConvTransposeOp::buildGradient(OpBuilder &b, ValueRange gradients, Gradients &operands) {
  Location loc = getLoc();
  if (getChannelsLast())
    return failure();
  SizeMath m(b, loc);
  Windows windows{SmallVector<int64_t>(getStrides()), SmallVector<int64_t>(getDilations()),
                  SmallVector<int64_t>(getPads()), static_cast<int64_t>(getGroups())};
  // What was cut off before; at the end as much as makes the windows those of the input.
  SmallVector<OpFoldResult> before, after;
  for (int64_t i = 0, spatial = windows.strides.size(); i < spatial; ++i) {
    TransposedDim dim = getTransposedDim(*this, i, m.dim(getInput(), 2 + i), m.dim(getWeight(), 2 + i));
    OpFoldResult crop = getTransposedCrop(b, loc, dim), rest = m.constant(windows.pads[spatial + i]);
    if (getOutputShape() || getAutoPad() != AutoPad::NotSet) {
      TransposedDim whole{dim.input, dim.kernel, dim.stride, dim.dilation, 0, 0};
      OpFoldResult end = m.add(m.dim(gradients[0], 2 + i), crop);
      rest = m.max(m.sub(getTransposedSize(b, loc, whole), end), m.constant(0));
    }
    before.push_back(crop);
    after.push_back(rest);
  }
  setPadding(windows, before, after);
  Value dy = padAtRunTime(b, loc, gradients[0], windows);
  Value dx = ConvOp::create(b, loc, dy, getWeight(), Value(), b.getDenseI64ArrayAttr(windows.strides),
                            b.getDenseI64ArrayAttr(windows.dilations), b.getDenseI64ArrayAttr(windows.pads),
                            AutoPad::NotSet, windows.groups, /*channels_last=*/false);
  operands.push_back(takeFirst(b, loc, dx, m.dims(getInput())));
  operands.push_back(correlateWindows(b, loc, dy, getInput(), getWeight(), windows));
  if (getBias())
    operands.push_back(sumPlaces(b, loc, gradients[0]));
  return success();
}

/// What a pooling's input gets from the gradient of the sums of its windows.
template <typename Op>
static Value scatterSums(OpBuilder &b, Op op, Value dy, const Windows &windows) {
  // Each channel by itself.
  Location loc = op.getLoc();
  SizeMath m(b, loc);
  SmallVector<OpFoldResult> sizes = m.dims(op.getInput()), padded = getPaddedSizes(b, loc, sizes, windows);
  SmallVector<OpFoldResult> rows = m.dims(dy), kernel(2, m.constant(1));
  rows[0] = m.mul(rows[0], rows[1]);
  rows[1] = m.constant(1);
  for (int64_t size : op.getKernel())
    kernel.push_back(m.constant(size));
  Value ones = createFilled(b, loc, dy, 1, kernel);
  Value dx = scatterWindows(b, loc, reshapeToSizes(b, loc, dy, rows), ones, ArrayRef(padded).drop_front(2), windows);
  return cropAtRunTime(b, loc, reshapeToSizes(b, loc, dx, padded), sizes, windows);
}

LogicalResult AvgPoolOp::buildGradient(OpBuilder &b, ValueRange gradients, Gradients &operands) {
  Location loc = getLoc();
  SizeMath m(b, loc);
  FailureOr<Windows> windows = getWindows(b, *this, [&](int64_t i) { return m.constant(getKernel()[i]); });
  if (failed(windows))
    return failure();
  TensorExpr dy(b, loc, gradients[0]);
  int64_t spatial = getKernel().size(), elements = 1;
  for (int64_t size : getKernel())
    elements *= size;
  bool isExplicit = getAutoPad() == AutoPad::NotSet, includesPad = getCountIncludePad();
  bool isPadded = !windows->before.empty() || llvm::any_of(windows->pads, [](int64_t pad) { return pad != 0; });
  // With auto_pad no window hangs over the end.
  if ((!getCeilMode() || !isExplicit) && (includesPad || !isPadded)) {
    operands.push_back(scatterSums(b, *this, dy / double(elements), *windows));
    return success();
  }
  // The elements that each window has, summed as it sums them. Where padding counts it is a
  // part of what is summed; then there may be windows in it that the pooling has not.
  SmallVector<OpFoldResult> sizes(2, m.constant(1)), places = sizes;
  SmallVector<int64_t> pads(getPads());
  for (int64_t i = 0; i < spatial; ++i) {
    sizes.push_back(m.dim(getInput(), 2 + i));
    places.push_back(m.dim(dy, 2 + i));
    if (includesPad)
      sizes.back() = m.add(sizes.back(), m.constant(pads[i] + pads[spatial + i]));
  }
  if (includesPad)
    llvm::fill(pads, 0);
  Value counts = LpPoolOp::create(b, loc, createFilled(b, loc, dy, 1, sizes), getKernelAttr(), getStridesAttr(),
                                  getDilationsAttr(), b.getDenseI64ArrayAttr(pads), getAutoPad(), getCeilMode(),
                                  /*channels_last=*/false, /*p=*/int64_t(1));
  TensorExpr share = dy / dy.with(takeFirst(b, loc, counts, places));
  operands.push_back(scatterSums(b, *this, share, *windows));
  return success();
}

LogicalResult LpPoolOp::buildGradient(OpBuilder &b, ValueRange gradients, Gradients &operands) {
  Location loc = getLoc();
  SizeMath m(b, loc);
  FailureOr<Windows> windows = getWindows(b, *this, [&](int64_t i) { return m.constant(getKernel()[i]); });
  if (failed(windows))
    return failure();
  TensorExpr dy(b, loc, gradients[0]), x = dy.with(getInput()), y = dy.with(getResult());
  int64_t p = getP();
  auto power = [&](TensorExpr base, int64_t exponent) {
    return base.with(PowOp::create(b, loc, base, base.constant(double(exponent))).getResult());
  };
  TensorExpr sign = x.with(SignOp::create(b, loc, x)), own = sign, share = dy;
  if (p == 2)
    own = x;
  else if (p > 2)
    own = sign * power(abs(x), p - 1);
  // The norm of zeros alone has a kink, where PyTorch's norm has the gradient 0.
  if (p != 1)
    share = where(y == 0.0, dy.constant(0), p == 2 ? dy / y : dy / power(y, p - 1));
  operands.push_back(own * own.with(scatterSums(b, *this, share, *windows)));
  return success();
}

/// Adds each window's gradient where its largest element stands.
template <typename Op>
static Value scatterToLargest(OpBuilder &b, Op op, Value dy) {
  SizeMath m(b, op.getLoc());
  int64_t first = getFirstSpatialDim(op.getChannelsLast());
  SmallVector<OpFoldResult> sizes;
  for (int64_t i = 0, e = op.getKernel().size(); i < e; ++i)
    sizes.push_back(m.dim(op.getInput(), first + i));
  Value taps = MaxPoolTapsOp::create(b, op.getLoc(), op.getInput(), op.getResult(), op.getKernelAttr(),
                                     op.getStridesAttr(), op.getDilationsAttr(), op.getPadsAttr(), op.getAutoPad(),
                                     op.getCeilMode(), op.getChannelsLast());
  return ScatterTapsOp::create(b, op.getLoc(), dy, taps, createSizes(b, op.getLoc(), sizes), op.getKernelAttr(),
                               op.getStridesAttr(), op.getDilationsAttr(), op.getPadsAttr(), op.getAutoPad(),
                               op.getCeilMode(), op.getChannelsLast());
}

LogicalResult MaxPoolOp::buildGradient(OpBuilder &b, ValueRange gradients, Gradients &operands) {
  operands.push_back(scatterToLargest(b, *this, gradients[0]));
  return success();
}

LogicalResult MaxPoolWithIndicesOp::buildGradient(OpBuilder &b, ValueRange gradients, Gradients &operands) {
  operands.push_back(gradients[0] ? scatterToLargest(b, *this, gradients[0]) : Value());
  return success();
}

LogicalResult ScatterTapsOp::buildGradient(OpBuilder &b, ValueRange gradients, Gradients &operands) {
  if (getChannelsLast() || llvm::product_of(getKernel()) > kMostTaps)
    return failure();
  Location loc = getLoc();
  TensorExpr dy(b, loc, gradients[0]), zero = dy.constant(0), sum = zero;
  SmallVector<std::pair<OpFoldResult, OpFoldResult>> pads;
  for (int64_t i = 0, e = getKernel().size(); i < e; ++i)
    pads.push_back(getWindowPads(b, loc, getPoolDim(*this, i, getDim(b, loc, dy, 2 + i))));
  for (auto [tap, elements] : llvm::enumerate(readTaps(b, loc, dy, getInput(), getKernel(), getStrides(), getDilations(), pads))) {
    auto type = cast<RankedTensorType>(getTaps().getType());
    auto scalar = RankedTensorType::get({}, type.getElementType());
    Value number = ConstantOp::create(b, loc, DenseElementsAttr::get(scalar, b.getIntegerAttr(type.getElementType(), tap)));
    Value isTaken = CompareOp::create(b, loc, ComparePredicate::eq, getTaps(), number);
    TensorExpr taken = where(isTaken, dy.with(elements), zero);
    sum = tap == 0 ? taken : sum + taken;
  }
  operands.append({sum, Value(), Value()});
  return success();
}
