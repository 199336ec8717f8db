//===- ConvConverters.cpp - Convolution and pooling -------------*- C++ -*-===//
#include "dialects/nn/Expr.h"
#include "dialects/nn/NodeLocation.h"
#include "frontends/onnx/ShapeVectors.h"
#include "llvm/ADT/Sequence.h"
#include "llvm/Support/FormatVariadic.h"
#include <cmath>

using namespace mlir;
using namespace nacre;
using namespace nacre::frontend;

namespace {

/// The attributes of a sliding window, of any operator that has one.
struct WindowAttributes {
  SmallVector<int64_t> kernel, strides, dilations, pads;
  nn::AutoPad autoPad = nn::AutoPad::NotSet;
  bool ceilMode = false;
};

/// Reads them all; an attribute that this operator lacks in this version has been
/// refused by the schema. Null after an error.
std::optional<WindowAttributes> readWindow(NodeContext &c) {
  int64_t rank = NodeContext::rankOf(c.input(0)) - 2;
  if (rank < 1) {
    (void)c.error("expected an input of rank 3 or more, found rank " + Twine(rank + 2));
    return std::nullopt;
  }
  WindowAttributes window;
  window.kernel = c.getInts("kernel_shape");
  window.strides = c.getInts("strides", SmallVector<int64_t>(rank, 1));
  window.dilations = c.getInts("dilations", SmallVector<int64_t>(rank, 1));
  window.pads = c.getInts("pads", SmallVector<int64_t>(2 * rank, 0));
  window.ceilMode = c.getFlag("ceil_mode");
  StringRef autoPad = c.getString("auto_pad", "NOTSET");
  if (autoPad == "SAME_UPPER")
    window.autoPad = nn::AutoPad::SameUpper;
  else if (autoPad == "SAME_LOWER")
    window.autoPad = nn::AutoPad::SameLower;
  else if (autoPad != "NOTSET" && autoPad != "VALID")
    (void)c.error("auto_pad is " + nn::quoted(autoPad) + ", expected NOTSET, VALID, SAME_UPPER or SAME_LOWER");
  if (autoPad != "NOTSET") {
    // Pads are computed; with them no window hangs over the end.
    window.pads.assign(2 * rank, 0);
    window.ceilMode = false;
  }
  return c.hadError() ? std::nullopt : std::optional(window);
}

/// Checks kernel_shape, if given, against the weight, which knows better.
void checkKernelShape(NodeContext &c, ArrayRef<int64_t> kernel, RankedTensorType weight) {
  if (kernel.empty())
    return;
  ArrayRef<int64_t> sizes = weight.getShape().drop_front(std::min<int64_t>(2, weight.getRank()));
  bool matches = kernel.size() == sizes.size();
  for (auto [given, size] : llvm::zip(kernel, sizes))
    matches &= given == size || ShapedType::isDynamic(size);
  if (!matches)
    (void)c.error("kernel_shape does not match the weight");
}

LogicalResult convertConv(NodeContext &c) {
  return c.replaceWith(makeConv(c, c.input(0), c.input(1), c.input(2)));
}

LogicalResult convertConvTranspose(NodeContext &c) {
  auto window = readWindow(c);
  int64_t groups = c.getInt("group", 1);
  if (!window)
    return failure();
  int64_t rank = NodeContext::rankOf(c.input(0)) - 2;
  SmallVector<int64_t> padding = c.getInts("output_padding", SmallVector<int64_t>(rank, 0));
  auto shape = c.getOptionalInts("output_shape");
  checkKernelShape(c, window->kernel, c.inputType(1));
  // Some exporters give batch and channels too.
  if (shape && static_cast<int64_t>(shape->size()) == rank + 2)
    shape->erase(shape->begin(), shape->begin() + 2);
  return c.replaceWith<nn::ConvTransposeOp>(
      c.input(0), c.input(1), c.input(2), window->strides, window->dilations, window->pads, padding,
      shape ? c.getBuilder().getDenseI64ArrayAttr(*shape) : nullptr, window->autoPad, groups,
      /*channels_last=*/false);
}

//===----------------------------------------------------------------------===//
// DeformConv
//===----------------------------------------------------------------------===//

Value product(ShapeVectors &v, Value sizes, int64_t count) {
  Value all = v.part(sizes, 0, 1);
  for (int64_t i = 1; i < count; ++i)
    all = v.mul(all, v.part(sizes, i, i + 1));
  return all;
}

/// What the converter of DeformConv is given. Vectors of sizes have an element for each
/// spatial dimension.
struct DeformedWindow {
  WindowAttributes window;
  int64_t rank, groups, offsetGroups; // rank: of space
  Value kernel, places;               // sizes
  Value taps, placeCount;             // their products
};

/// Required: offsets are given for as many places as the window has.
LogicalResult checkPlaces(NodeContext &c, const DeformedWindow &d) {
  ShapeVectors v(c);
  int64_t n = d.rank;
  SmallVector<int64_t> padding, steps(d.window.strides);
  for (int64_t i = 0; i < n; ++i)
    padding.push_back(d.window.pads[i] + d.window.pads[n + i]);
  Value reach = v.add(v.mul(v.sub(d.kernel, 1), v.constant(d.window.dilations)), 1);
  Value room = v.sub(v.add(v.part(v.shape(c.input(0)), 2, 2 + n), v.constant(padding)), reach);
  // A window that does not fit has no place, and division rounds to 0.
  Value count = v.div(v.max(v.add(room, v.constant(steps)), 0), v.constant(steps));
  Value isRight = v.all(v.compare(nn::ComparePredicate::eq, count, d.places));
  return isRight ? c.require(isRight, "the offsets are not those of the window's places") : failure();
}

/// Where each tap of the window reads, [N * offset groups, taps, places, 1..., dimensions],
/// the last dimension first.
Value makeTapGrid(NodeContext &c, const DeformedWindow &d, Type wide) {
  ShapeVectors v(c);
  int64_t n = d.rank;
  Value offset = c.input(2), groups = v.constant(d.offsetGroups);
  Value apart = v.concat({v.size(offset, 0), groups, d.kernel, v.constant(n), d.places});
  Value offsets = apart ? c.make<nn::ReshapeOp>(v.cast(offset, wide), apart, /*allowzero=*/true) : Value();
  auto line = [&](int64_t start, int64_t step, Value count, int64_t dim) -> Value {
    Value from = c.scalarConstant(wide, start), by = c.scalarConstant(wide, step), scalar = v.toScalar(count);
    Value numbers = from && by && scalar ? c.make<nn::RangeOp>(from, by, scalar) : Value();
    SmallVector<int64_t> others = llvm::to_vector(llvm::seq<int64_t>(0, 2 * n));
    others.erase(others.begin() + dim);
    return numbers ? c.make<nn::UnsqueezeOp>(numbers, others) : Value();
  };
  SmallVector<Value> coordinates;
  for (int64_t i = n; i-- > 0;) {
    Value taps = line(0, d.window.dilations[i], v.part(d.kernel, i, i + 1), i);
    Value places = line(-d.window.pads[i], d.window.strides[i], v.part(d.places, i, i + 1), n + i);
    Value own = offsets && taps && places ? c.make<nn::GatherOp>(offsets, v.scalar(i), 2 + n, /*in_bounds=*/true) : Value();
    Value moved = v.add(own, v.add(taps, places));
    coordinates.push_back(moved ? c.make<nn::UnsqueezeOp>(moved, ArrayRef<int64_t>{2 * n + 2}) : Value());
  }
  if (llvm::is_contained(coordinates, Value()))
    return {};
  Value grid = c.make<nn::ConcatOp>(coordinates, 2 * n + 2);
  SmallVector<Value> shape{v.mul(v.size(offset, 0), groups)};
  if (n == 1)
    shape.push_back(v.mul(d.taps, d.placeCount));
  else
    shape.append({d.taps, d.placeCount, v.repeat(1, n - 2)});
  shape.push_back(v.constant(n));
  Value sizes = v.concat(shape);
  return grid && sizes ? c.make<nn::ReshapeOp>(grid, sizes, /*allowzero=*/true) : Value();
}

/// The input is sampled at what each tap reads, and the samples are multiplied by the weights
/// as a matrix product, which takes most of the time.
LogicalResult convertDeformConv(NodeContext &c) {
  auto window = readWindow(c);
  if (!window)
    return failure();
  ShapeVectors v(c);
  Value x = c.input(0), weight = c.input(1), offset = c.input(2), bias = c.input(3), mask = c.input(4);
  int64_t rank = c.rankOf(x), n = rank - 2;
  DeformedWindow d{*window, n, c.getInt("group", 1), c.getInt("offset_group", 1), {}, {}, {}, {}};
  auto isPositive = [](int64_t number) { return number > 0; };
  if (int64_t(window->strides.size()) != n || int64_t(window->dilations.size()) != n ||
      int64_t(window->pads.size()) != 2 * n || !llvm::all_of(window->strides, isPositive) ||
      !llvm::all_of(window->dilations, isPositive))
    return c.error("expected " + Twine(n) + " positive strides and dilations, and " + Twine(2 * n) + " pads");
  constexpr int64_t kMostPad = int64_t(1) << 31; // sums of such are numbers
  for (int64_t pad : window->pads)
    if (pad < -kMostPad || pad > kMostPad)
      return c.error("pads must be from " + Twine(-kMostPad) + " to " + Twine(kMostPad) + ", found " + Twine(pad));
  for (Value other : {weight, offset, mask})
    if (other && c.rankOf(other) != rank)
      return c.error("an input has rank " + Twine(c.rankOf(other)) + ", expected " + Twine(rank));
  if (bias && c.rankOf(bias) != 1)
    return c.error("the bias has rank " + Twine(c.rankOf(bias)) + ", expected 1");
  auto divides = [](int64_t groups, int64_t size) {
    return groups > 0 && (ShapedType::isDynamic(size) || size % groups == 0);
  };
  int64_t channels = c.inputType(0).getDimSize(1), perGroup = c.inputType(1).getDimSize(1);
  if (!divides(d.groups, channels) || !divides(d.offsetGroups, channels) || !divides(d.groups, c.inputType(1).getDimSize(0)) ||
      (!ShapedType::isDynamic(channels) && !ShapedType::isDynamic(perGroup) && perGroup != channels / d.groups))
    return c.error(Twine(d.groups) + " groups and " + Twine(d.offsetGroups) + " groups of offsets do not fit the channels");
  checkKernelShape(c, window->kernel, c.inputType(1));
  d.kernel = v.part(v.shape(weight), 2, rank);
  d.places = v.part(v.shape(offset), 2, rank);
  d.taps = product(v, d.kernel, n);
  d.placeCount = product(v, d.places, n);
  if (c.hadError() || failed(checkPlaces(c, d)))
    return failure();

  auto reshape = [&](Value tensor, ArrayRef<Value> sizes) -> Value {
    Value shape = v.concat(sizes);
    return tensor && shape ? c.make<nn::ReshapeOp>(tensor, shape, /*allowzero=*/true) : Value();
  };
  Type element = c.inputType(0).getElementType();
  Value grid = makeTapGrid(c, d, nn::getComputeType(element));
  Value groups = v.constant(d.groups), offsetGroups = v.constant(d.offsetGroups);
  Value batch = v.size(x, 0), images = v.mul(batch, offsetGroups);
  Value apart = reshape(x, {images, v.div(v.size(x, 1), offsetGroups), v.part(v.shape(x), 2, rank)});
  Value samples = grid && apart ? c.make<nn::GridSampleOp>(apart, grid, nn::Interpolation::Linear, nn::GridPadding::Zeros,
                                                           /*align_corners=*/true, /*in_elements=*/true)
                                : Value();
  if (mask)
    samples = v.mul(reshape(samples, {images, v.div(v.size(x, 1), offsetGroups), d.taps, d.placeCount}),
                    reshape(mask, {images, v.constant(1), d.taps, d.placeCount}));
  Value columns = reshape(samples, {batch, groups, v.mul(v.div(v.size(x, 1), groups), d.taps), d.placeCount});
  Value rows = reshape(weight, {groups, v.div(v.size(weight, 0), groups), v.mul(v.size(weight, 1), d.taps)});
  Value sums = rows && columns ? c.make<nn::MatMulOp>(rows, columns, false, false) : Value();
  Value result = reshape(sums, {batch, v.size(weight, 0), d.places});
  if (bias)
    result = v.add(result, reshape(bias, {v.size(bias, 0), v.repeat(1, n)}));
  return result ? c.replaceWith(result) : failure();
}

LogicalResult convertMaxPool(NodeContext &c) {
  auto w = readWindow(c);
  int64_t order = c.getInt("storage_order", 0);
  if (order != 0 && order != 1)
    return c.error("storage_order is " + Twine(order) + ", expected 0 or 1");
  if (!w)
    return failure();
  if (!c.hasOutput(1))
    return c.replaceWith<nn::MaxPoolOp>(c.input(0), w->kernel, w->strides, w->dilations, w->pads,
                                        w->autoPad, w->ceilMode, /*channels_last=*/false);
  return c.replaceWith<nn::MaxPoolWithIndicesOp>(
      c.input(0), w->kernel, w->strides, w->dilations, w->pads, w->autoPad, w->ceilMode,
      /*channels_last=*/false, /*column_major=*/order == 1);
}

LogicalResult convertAveragePool(NodeContext &c) {
  auto w = readWindow(c);
  bool includePad = c.getFlag("count_include_pad");
  if (!w)
    return failure();
  return c.replaceWith<nn::AvgPoolOp>(c.input(0), w->kernel, w->strides, w->dilations, w->pads,
                                      w->autoPad, w->ceilMode, /*channels_last=*/false, includePad);
}

/// The order of a norm, which need not be whole in opset 1; nullopt after an error.
std::optional<double> getOrder(NodeContext &c) {
  double p = c.version() < 2 ? c.getFloat("p", 2) : c.getInt("p", 2);
  if (p >= 1 && std::isfinite(p))
    return p;
  if (p < 1 && p > 0)
    (void)c.error("p is " + llvm::formatv("{0}", p).str() + ", expected a number from 1 on");
  else
    (void)c.error("p is " + llvm::formatv("{0:f0}", p).str() + ", expected a positive number");
  return std::nullopt;
}

LogicalResult convertLpPool(NodeContext &c) {
  auto w = readWindow(c);
  auto p = getOrder(c);
  if (!w || !p)
    return failure();
  auto pool = [&](Value x, int64_t order) {
    return c.make<nn::LpPoolOp>(x, w->kernel, w->strides, w->dilations, w->pads, w->autoPad, w->ceilMode,
                                /*channels_last=*/false, order);
  };
  if (*p == std::floor(*p) && *p < 0x1p31)
    return c.replaceWith(pool(c.input(0), int64_t(*p)));
  Type type = c.inputType(0).getElementType(), f32 = c.getBuilder().getF32Type();
  Type wide = type.getIntOrFloatBitWidth() < 32 ? f32 : type;
  Value x = wide == type ? c.input(0) : c.make<nn::CastOp>(c.input(0), wide);
  x = makeRoot(c, pool(c.make<nn::PowOp>(c.make<nn::AbsOp>(x), c.scalarConstant(wide, *p)), 1), *p);
  return wide == type ? c.replaceWith(x) : c.replaceWith<nn::CastOp>(x, type);
}

/// All spatial dimensions of input 0, reduced to 1.
Value reduceSpatial(NodeContext &c, nn::ReduceKind kind, Value input) {
  if (!input)
    return {};
  int64_t rank = NodeContext::rankOf(input);
  if (rank < 2) {
    (void)c.error("expected an input of rank 2 or more, found rank " + Twine(rank));
    return {};
  }
  return c.make<nn::ReduceOp>(kind, input, llvm::to_vector(llvm::seq<int64_t>(2, rank)),
                              /*keepdims=*/true);
}

template <nn::ReduceKind kind> LogicalResult convertGlobalPool(NodeContext &c) {
  return c.replaceWith(reduceSpatial(c, kind, c.input(0)));
}

/// (sum of |x|^p)^(1/p); narrow floats as f32 in between.
LogicalResult convertGlobalLpPool(NodeContext &c) {
  auto p = getOrder(c);
  if (!p)
    return failure();
  Type type = c.inputType(0).getElementType();
  Value x = c.input(0);
  if (type.getIntOrFloatBitWidth() < 32)
    x = c.make<nn::CastOp>(x, Type(c.getBuilder().getF32Type()));
  x = c.make<nn::AbsOp>(x);
  if (!x)
    return failure();
  Type wide = NodeContext::typeOf(x).getElementType();
  if (*p > 1)
    x = c.make<nn::PowOp>(x, c.scalarConstant(wide, *p));
  x = reduceSpatial(c, nn::ReduceKind::sum, x);
  if (*p > 1)
    x = makeRoot(c, x, *p);
  if (wide != type)
    x = c.make<nn::CastOp>(x, type);
  return c.replaceWith(x);
}

} // namespace

Value nacre::frontend::makeConv(NodeContext &c, Value input, Value weight, Value bias) {
  auto window = readWindow(c);
  int64_t groups = c.getInt("group", 1);
  if (!window)
    return {};
  checkKernelShape(c, window->kernel, NodeContext::typeOf(weight));
  return c.make<nn::ConvOp>(input, weight, bias, window->strides, window->dilations, window->pads,
                            window->autoPad, groups, /*channels_last=*/false);
}

void nacre::frontend::registerConvConverters(ConverterTable &table) {
  table.add("Conv", convertConv);
  table.add("ConvTranspose", convertConvTranspose);
  table.add("DeformConv", convertDeformConv);
  table.add("MaxPool", convertMaxPool);
  table.add("AveragePool", convertAveragePool);
  table.add("LpPool", convertLpPool);
  table.add("GlobalAveragePool", convertGlobalPool<nn::ReduceKind::mean>);
  table.add("GlobalMaxPool", convertGlobalPool<nn::ReduceKind::max>);
  table.add("GlobalLpPool", convertGlobalLpPool);
}
