//===- ResizeConverters.cpp - Resize and regions of images ------*- C++ -*-===//
#include "dialects/nn/NodeLocation.h"
#include "frontends/onnx/ShapeVectors.h"
#include "frontends/onnx/TensorData.h"

using namespace mlir;
using namespace nacre;
using namespace nacre::frontend;

namespace {

/// What Resize and Upsample of all versions come down to.
struct Resize {
  SmallVector<int64_t> axes;
  /// One element for each axis: new sizes (i64), and what was given: scales (f64).
  Value sizes, scales;
  /// Begins, then ends; null unless the input is cropped.
  Value region;
  nn::Interpolation interpolation = nn::Interpolation::Nearest;
  nn::CoordinateMode coordinates = nn::CoordinateMode::Asymmetric;
  nn::NearestMode nearest = nn::NearestMode::Simple;
  double cubicCoefficient = -0.75, extrapolation = 0;
  bool excludeOutside = false, antialias = false;
};

/// A name of an enumeration of nn, or an error that lists what is expected.
template <typename Enum>
std::optional<Enum> parse(NodeContext &c, StringRef attribute, StringRef value,
                          std::optional<Enum> (*symbolize)(StringRef)) {
  std::optional<Enum> result = symbolize(value);
  if (!result)
    (void)c.error("the attribute '" + attribute + "' is " + nn::quoted(value) + ", which is not supported");
  return result;
}

/// The interpolation by its ONNX name, old or new.
std::optional<nn::Interpolation> parseInterpolation(NodeContext &c, StringRef name) {
  StringRef plain = name == "bilinear" ? "linear" : name == "bicubic" ? "cubic" : name;
  return parse(c, "mode", plain, &nn::symbolizeInterpolation);
}

} // namespace

/// Resizes one dimension.
static Value resizeAxis(NodeContext &c, const Resize &r, Value x, size_t i) {
  ShapeVectors v(c);
  Builder &b = c.getBuilder();
  int64_t axis = r.axes[i], count = r.axes.size();
  Value size = v.toScalar(v.size(x, axis)), target = v.toScalar(v.part(r.sizes, i, i + 1));
  Value scale = r.scales ? v.toScalar(v.part(r.scales, i, i + 1)) : Value();
  bool isCropped = r.coordinates == nn::CoordinateMode::TfCropAndResize;
  if (!size || !target || (r.scales && !scale))
    return {};
  // The same size, known at once.
  bool mayBeShifted = isCropped || r.coordinates == nn::CoordinateMode::TfHalfPixelForNn;
  if (auto known = scale ? c.constantFloats(scale) : std::nullopt; known && (*known)[0] == 1 && !mayBeShifted)
    return x;
  auto before = c.constantInts(size), after = c.constantInts(target);
  if (!scale && before && after && *before == *after && !mayBeShifted)
    return x;

  Type f64 = b.getF64Type();
  Value region = isCropped ? v.concat({v.part(r.region, i, i + 1), v.part(r.region, count + i, count + i + 1)})
                           : c.constant(DenseElementsAttr::get(RankedTensorType::get({2}, f64), ArrayRef<double>{0, 1}));
  int64_t support = r.interpolation == nn::Interpolation::Cubic ? 2 : 1;
  Value taps = v.scalar(r.interpolation == nn::Interpolation::Nearest ? 1 : 2 * support);
  if (r.antialias) {
    // All elements that a place covers where the dimension shrinks.
    Value factor = scale ? scale : v.div(v.cast(target, f64), v.cast(size, f64));
    Value shrink = v.min(factor, c.scalarConstant(f64, 1));
    Value half = v.div(c.scalarConstant(f64, support), shrink);
    taps = half ? v.mul(v.toI64(c.make<nn::CeilOp>(half)), 2) : Value();
  }
  if (!region || !taps)
    return {};
  auto table = c.create<nn::ResizeTableOp>(size, target, region, taps, scale, r.interpolation, r.coordinates,
                                           r.nearest, llvm::APFloat(r.cubicCoefficient), r.excludeOutside,
                                           r.antialias);
  if (!table)
    return {};
  Value result;
  if (r.interpolation == nn::Interpolation::Nearest) {
    Value indices = c.make<nn::SqueezeOp>(table.getIndices(), ArrayRef<int64_t>{1});
    result = indices ? c.make<nn::GatherOp>(x, indices, axis, /*in_bounds=*/true) : Value();
  } else {
    result = c.make<nn::ResampleOp>(x, table.getIndices(), table.getWeights(), axis);
  }
  if (!isCropped || !result)
    return result;
  SmallVector<int64_t> others;
  for (int64_t d = 1; d < c.rankOf(x) - axis; ++d)
    others.push_back(d);
  Value outside = c.make<nn::UnsqueezeOp>(table.getOutside(), others);
  return v.select(outside, c.scalarConstant(c.typeOf(x).getElementType(), r.extrapolation), result);
}

static LogicalResult resize(NodeContext &c, Resize &r) {
  ShapeVectors v(c);
  Value x = c.input(0);
  Type element = c.typeOf(x).getElementType();
  // Integers and f16 are interpolated as f32, and rounded once.
  bool isWidened = r.interpolation != nn::Interpolation::Nearest &&
                   !(isa<FloatType>(element) && element.getIntOrFloatBitWidth() >= 32);
  if (isWidened)
    x = v.cast(x, c.getBuilder().getF32Type());
  for (size_t i = 0; i < r.axes.size() && x; ++i)
    x = resizeAxis(c, r, x, i);
  if (!x)
    return failure();
  if (isWidened && element.isInteger()) {
    unsigned width = element.getIntOrFloatBitWidth();
    bool isUnsigned = element.isUnsignedInteger();
    Type f32 = c.getBuilder().getF32Type();
    x = c.make<nn::RoundOp>(x);
    double low = isUnsigned ? 0 : -std::ldexp(1.0, width - 1), high = std::ldexp(1.0, isUnsigned ? width : width - 1) - 1;
    if (width < 32)
      x = v.min(v.max(x, c.scalarConstant(f32, low)), c.scalarConstant(f32, high));
  }
  return c.replaceWith(v.cast(x, element));
}

/// sizes = trunc(size * scale)
static Value scaleSizes(NodeContext &c, const Resize &r) {
  ShapeVectors v(c);
  Value zeros = c.scalarConstant(c.getBuilder().getF64Type(), 0);
  if (failed(c.require(v.all(v.compare(nn::ComparePredicate::gt, r.scales, zeros)), "a scale is not above 0")))
    return {};
  // One by one: a size that is not known leaves the others known.
  SmallVector<Value> sizes;
  for (auto [i, axis] : llvm::enumerate(r.axes))
    sizes.push_back(v.toI64(v.mul(v.cast(v.size(c.input(0), axis), c.getBuilder().getF64Type()),
                                  v.part(r.scales, int64_t(i), int64_t(i) + 1))));
  return v.concat(sizes);
}

/// A list of numbers that is there but empty counts as absent.
static Value getVector(NodeContext &c, unsigned index) {
  Value input = c.input(index);
  return input && c.rankOf(input) == 1 && c.typeOf(input).getDimSize(0) == 0 ? Value() : input;
}

static LogicalResult convertUpsample(NodeContext &c) {
  ShapeVectors v(c);
  Resize r;
  int64_t rank = c.rankOf(c.input(0));
  auto mode = parseInterpolation(c, c.getString("mode", "nearest"));
  Type f64 = c.getBuilder().getF64Type();
  if (c.version() >= 9) {
    r.scales = v.cast(c.input(1), f64);
  } else {
    SmallVector<double> scales =
        c.version() < 7 ? SmallVector<double>{1, 1, c.getFloat("height_scale", 1), c.getFloat("width_scale", 1)}
                        : c.getFloats("scales");
    r.scales = c.constant(DenseElementsAttr::get(RankedTensorType::get({int64_t(scales.size())}, f64), ArrayRef(scales)));
  }
  r.scales = v.ofLength(r.scales, rank, "scales");
  if (!mode || !r.scales)
    return failure();
  r.interpolation = *mode;
  llvm::append_range(r.axes, llvm::seq<int64_t>(0, rank));
  r.sizes = scaleSizes(c, r);
  return r.sizes ? resize(c, r) : failure();
}

/// Until opset 10: scales only, places as in Upsample.
static LogicalResult convertOldResize(NodeContext &c) { return convertUpsample(c); }

static LogicalResult convertResize(NodeContext &c) {
  if (c.version() < 11)
    return convertOldResize(c);
  ShapeVectors v(c);
  Builder &b = c.getBuilder();
  Type f64 = b.getF64Type();
  Resize r;
  int64_t rank = c.rankOf(c.input(0));
  auto interpolation = parseInterpolation(c, c.getString("mode", "nearest"));
  auto coordinates = parse(c, "coordinate_transformation_mode",
                           c.getString("coordinate_transformation_mode", "half_pixel"), &nn::symbolizeCoordinateMode);
  auto nearest = parse(c, "nearest_mode", c.getString("nearest_mode", "round_prefer_floor"), &nn::symbolizeNearestMode);
  r.cubicCoefficient = c.getFloat("cubic_coeff_a", -0.75);
  r.extrapolation = c.getFloat("extrapolation_value", 0);
  r.excludeOutside = c.getFlag("exclude_outside");
  auto all = llvm::to_vector(llvm::seq<int64_t>(0, rank));
  std::optional<SmallVector<int64_t>> axes = all;
  StringRef policy = "stretch";
  if (c.version() >= 18) {
    r.antialias = c.getFlag("antialias") && interpolation != nn::Interpolation::Nearest;
    policy = c.getString("keep_aspect_ratio_policy", "stretch");
    axes = c.normalizeAxes(c.getInts("axes", all), rank);
  }
  if (!interpolation || !coordinates || !nearest || !axes || c.hadError())
    return failure();
  if (policy != "stretch" && policy != "not_larger" && policy != "not_smaller")
    return c.error("the attribute 'keep_aspect_ratio_policy' is " + nn::quoted(policy) + ", which is not supported");
  r.interpolation = *interpolation;
  r.coordinates = *coordinates;
  r.nearest = *nearest;
  r.axes = *axes;

  Value roi = getVector(c, 1), scales = getVector(c, 2), sizes = v.toI64(getVector(c, 3));
  int64_t count = r.axes.size();
  if (r.coordinates == nn::CoordinateMode::TfCropAndResize) {
    if (!roi)
      return c.error("the input 'roi' is missing");
    r.region = v.cast(v.ofLength(roi, 2 * count, "numbers in 'roi'"), f64);
  }
  if (scales) {
    r.scales = v.cast(v.ofLength(scales, count, "scales"), f64);
    r.sizes = scaleSizes(c, r);
  } else if (sizes) {
    r.sizes = sizes = v.ofLength(sizes, count, "sizes");
    if (policy != "stretch") {
      Value given = v.cast(v.pick(v.shape(c.input(0)), v.constant(r.axes)), f64);
      Value ratios = v.div(v.cast(sizes, f64), given), ratio = v.part(ratios, 0, 1);
      for (int64_t i = 1; i < count; ++i) {
        Value other = v.part(ratios, i, i + 1);
        ratio = policy == "not_larger" ? v.min(ratio, other) : v.max(ratio, other);
      }
      Value exact = v.add(v.mul(given, ratio), c.scalarConstant(f64, 0.5));
      r.sizes = v.toI64(exact);
      r.scales = v.concat(SmallVector<Value>(count, ratio));
    }
  } else {
    return c.error("neither 'scales' nor 'sizes' is given");
  }
  return r.sizes && !c.hadError() ? resize(c, r) : failure();
}

static LogicalResult convertGridSample(NodeContext &c) {
  auto mode = parseInterpolation(c, c.getString("mode", "linear"));
  auto padding = parse(c, "padding_mode", c.getString("padding_mode", "zeros"), &nn::symbolizeGridPadding);
  bool alignCorners = c.getFlag("align_corners");
  if (!mode || !padding)
    return failure();
  // Computed in the wider of both types; integers as floats that hold them, of which the
  // result is truncated, as the standard's reference has it.
  Builder &b = c.getBuilder();
  Type element = c.inputType(0).getElementType(), grid = c.inputType(1).getElementType(), compute = element;
  if (isa<nn::StringType>(element) || element.isInteger(64))
    return c.error("interpolating elements of type " + getDataTypeName(getDataType(element)) + " is not supported");
  if (isa<IntegerType>(element))
    compute = element.getIntOrFloatBitWidth() < 32 ? b.getF32Type() : b.getF64Type();
  if (grid.isF64())
    compute = grid;
  Value x = compute == element ? c.input(0) : c.make<nn::CastOp>(c.input(0), compute);
  Value y = c.make<nn::GridSampleOp>(x, c.input(1), *mode, *padding, alignCorners);
  return y && compute != element ? c.replaceWith<nn::CastOp>(y, element) : c.replaceWith(y);
}

/// The corners or centres of the elements of an image in [-1, 1], times matrices.
static LogicalResult convertAffineGrid(NodeContext &c) {
  ShapeVectors v(c);
  Value theta = c.input(0), size = v.toI64(c.input(1));
  bool alignCorners = c.getFlag("align_corners");
  auto length = v.resultRank(v.knownLength(size), "sizes", [&] { return v.asLong(size); });
  size = length ? v.ofLength(size, *length, "sizes") : Value();
  if (!size)
    return failure();
  int64_t n = *length - 2;
  if (c.rankOf(theta) != 3 || n < 1)
    return c.error("sizes and matrices do not fit together");
  Type element = c.typeOf(theta).getElementType();
  auto number = [&](double value) { return c.scalarConstant(element, value); };
  Value shape = v.part(size, 2, 2 + n);
  SmallVector<Value> coordinates;
  for (int64_t i = n; i-- > 0;) { // the last dimension first
    Value count = v.toScalar(v.part(size, 2 + i, 3 + i)), extent = v.cast(count, element);
    Value start, step;
    if (alignCorners) {
      // One element has no corners.
      Value gaps = v.sub(extent, number(1));
      Value isOne = v.compare(nn::ComparePredicate::le, gaps, number(0));
      step = v.select(isOne, number(0), v.div(number(2), gaps));
      start = number(-1);
    } else {
      step = v.div(number(2), extent);
      start = v.sub(v.div(step, number(2)), number(1));
    }
    Value line = count && start && step ? c.make<nn::RangeOp>(start, step, count) : Value();
    // Along its own dimension, with a last one for the coordinates.
    SmallVector<int64_t> others;
    for (int64_t d = 1; d < n - i; ++d)
      others.push_back(d);
    Value placed = line ? c.make<nn::UnsqueezeOp>(line, others) : Value();
    Value whole = placed && shape ? c.make<nn::BroadcastOp>(placed, shape) : Value();
    coordinates.push_back(whole ? c.make<nn::UnsqueezeOp>(whole, ArrayRef<int64_t>{n}) : Value());
  }
  Value ones = shape ? c.make<nn::BroadcastOp>(number(1), v.concat({shape, v.constant(1)})) : Value();
  coordinates.push_back(ones);
  if (llvm::is_contained(coordinates, Value()))
    return failure();
  Value grid = c.make<nn::ConcatOp>(ValueRange(coordinates), n);
  Value rows = grid ? c.make<nn::CollapseOp>(grid, 0, n) : Value();
  Value moved = rows ? c.make<nn::MatMulOp>(rows, theta, /*transpose_lhs=*/false, /*transpose_rhs=*/true) : Value();
  Value result = v.concat({v.size(theta, 0), shape, v.constant(n)});
  return moved && result ? c.replaceWith<nn::ReshapeOp>(moved, result, /*allowzero=*/true) : failure();
}

static LogicalResult convertCol2Im(NodeContext &c) {
  ShapeVectors v(c);
  Value image = v.toI64(c.input(1)), block = v.toI64(c.input(2));
  auto known = v.knownLength(image) ? v.knownLength(image) : v.knownLength(block);
  auto rank = v.resultRank(known ? std::optional(*known + 2) : std::nullopt, "sizes", [&] { return v.asLong(image, 2); });
  if (!rank)
    return failure();
  int64_t n = *rank - 2;
  image = v.ofLength(image, n, "sizes");
  block = v.ofLength(block, n, "sizes of a block");
  if (!image || !block)
    return failure();
  SmallVector<int64_t> ones(n, 1), zeros(2 * n, 0);
  SmallVector<int64_t> strides = c.getInts("strides", ones), dilations = c.getInts("dilations", ones),
                       pads = c.getInts("pads", zeros);
  return c.replaceWith<nn::Col2ImOp>(c.input(0), image, block, strides, dilations, pads);
}

/// A number of cells.
static std::optional<int64_t> getCells(NodeContext &c, int64_t value, StringRef name) {
  if (value > 0 && value < 1 << 20)
    return value;
  (void)c.error("the attribute '" + name + "' is " + Twine(value) + ", expected a positive number");
  return std::nullopt;
}

static LogicalResult convertRoiAlign(NodeContext &c) {
  Builder &b = c.getBuilder();
  // Until opset 15 regions were not moved.
  StringRef mode = c.getString("mode", "avg");
  StringRef coordinates = c.version() >= 16 ? c.getString("coordinate_transformation_mode", "half_pixel")
                                            : "output_half_pixel";
  auto height = getCells(c, c.getInt("output_height", 1), "output_height");
  auto width = getCells(c, c.getInt("output_width", 1), "output_width");
  int64_t ratio = c.getInt("sampling_ratio", 0);
  double scale = c.getFloat("spatial_scale", 1);
  if (!height || !width)
    return failure();
  if (mode != "avg" && mode != "max")
    return c.error("the attribute 'mode' is " + nn::quoted(mode) + ", expected avg or max");
  if (coordinates != "half_pixel" && coordinates != "output_half_pixel")
    return c.error("the attribute 'coordinate_transformation_mode' is " + nn::quoted(coordinates) +
                   ", expected half_pixel or output_half_pixel");
  if (ratio < 0 || ratio > 4096)
    return c.error("the attribute 'sampling_ratio' is " + Twine(ratio) + ", expected a number from 0 to 4096");
  return c.replaceWith<nn::RoiAlignOp>(c.input(0), c.input(1), c.input(2), *height, *width, ratio,
                                       b.getF32FloatAttr(scale).getValue(),
                                       mode == "max" ? nn::RoiReduction::Max : nn::RoiReduction::Average,
                                       coordinates == "half_pixel");
}

static LogicalResult convertMaxRoiPool(NodeContext &c) {
  SmallVector<int64_t> shape = c.getInts("pooled_shape");
  double scale = c.getFloat("spatial_scale", 1);
  if (shape.size() != 2)
    return c.error("the attribute 'pooled_shape' has " + Twine(shape.size()) + " numbers, expected 2");
  auto height = getCells(c, shape[0], "pooled_shape"), width = getCells(c, shape[1], "pooled_shape");
  if (!height || !width)
    return failure();
  return c.replaceWith<nn::MaxRoiPoolOp>(c.input(0), c.input(1), *height, *width,
                                         c.getBuilder().getF32FloatAttr(scale).getValue());
}

void nacre::frontend::registerResizeConverters(ConverterTable &table) {
  table.add("AffineGrid", convertAffineGrid);
  table.add("Col2Im", convertCol2Im);
  table.add("GridSample", convertGridSample);
  table.add("MaxRoiPool", convertMaxRoiPool);
  table.add("Resize", convertResize);
  table.add("RoiAlign", convertRoiAlign);
  table.add("Upsample", convertUpsample);
}
