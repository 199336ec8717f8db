//===- GenerateConverters.cpp - Tensors made of places ----------*- C++ -*-===//
#include "dialects/nn/NNShapes.h"
#include "frontends/onnx/ShapeVectors.h"

using namespace mlir;
using namespace nacre;
using namespace nacre::frontend;

/// Requires a condition of two comparisons.
static LogicalResult requireBoth(NodeContext &c, Value a, Value b, const Twine &otherwise) {
  Value both = a && b ? c.make<nn::AndOp>(a, b) : Value();
  return c.require(both, otherwise);
}

/// How many numbers from start by delta stay below (above) the limit.
static Value countRange(NodeContext &c, Value start, Value limit, Value delta) {
  ShapeVectors v(c);
  using Predicate = nn::ComparePredicate;
  Type element = c.typeOf(start).getElementType();
  auto known = c.constantInts(delta);
  if (known && (*known)[0] == 0) {
    (void)c.error("delta is 0");
    return {};
  }
  if (isa<FloatType>(element)) {
    // ceil((limit - start) / delta), in f64 as the standard's reference has it.
    Type f64 = c.getBuilder().getF64Type();
    Value step = v.cast(delta, f64), zero = c.scalarConstant(f64, 0);
    Value exact = v.div(v.sub(v.cast(limit, f64), v.cast(start, f64)), step);
    Value whole = exact ? c.make<nn::CeilOp>(exact) : Value();
    // NaN is not at most anything.
    Value isBounded = v.compare(Predicate::le, whole, c.scalarConstant(f64, nn::kMaxElements));
    if (failed(requireBoth(c, v.compare(Predicate::ne, step, zero), isBounded,
                           "delta is 0, or there are more than " + Twine(nn::kMaxElements) + " elements")))
      return {};
    return v.toI64(v.max(whole, zero));
  }
  // Integers, so that sizes stay what they are; small enough for their distance.
  constexpr int64_t kMost = int64_t(1) << 61;
  Value from = v.toI64(start), to = v.toI64(limit);
  for (Value end : {from, to})
    if (element.getIntOrFloatBitWidth() == 64 &&
        failed(requireBoth(c, v.compare(Predicate::ge, end, v.scalar(-kMost)),
                           v.compare(Predicate::le, end, v.scalar(kMost)),
                           "start or limit is beyond " + Twine(kMost))))
      return {};
  if (known && (*known)[0] >= -kMost && (*known)[0] <= kMost) {
    int64_t step = (*known)[0], width = step > 0 ? step : -step;
    Value distance = step > 0 ? v.sub(to, from) : v.sub(from, to);
    Value count = width == 1 ? distance : v.div(v.add(distance, width - 1), width);
    return v.max(count, 0);
  }
  Value step = v.max(v.toI64(delta), -INT64_MAX), zero = v.scalar(0);
  if (failed(c.require(v.compare(Predicate::ne, step, zero), "delta is 0")))
    return {};
  Value isUp = v.compare(Predicate::gt, step, zero);
  Value distance = v.max(v.select(isUp, v.sub(to, from), v.sub(from, to)), 0);
  Value width = v.max(v.select(isUp, step, v.sub(zero, step)), 1);
  // (distance - 1) / width + 1 does not overflow.
  return v.select(v.compare(Predicate::gt, distance, zero), v.add(v.div(v.sub(distance, 1), width), 1), zero);
}

static LogicalResult convertRange(NodeContext &c) {
  ShapeVectors v(c);
  if (c.version() >= 27)
    if (auto stash = c.getOptionalInt("stash_type"); stash && *stash != 1 && *stash != 11)
      return c.error("the attribute 'stash_type' is " + Twine(*stash) + ", expected 1 (f32) or 11 (f64)");
  Value start = v.toScalar(c.input(0)), limit = v.toScalar(c.input(1)), delta = v.toScalar(c.input(2));
  Value count = start && limit && delta ? countRange(c, start, limit, delta) : Value();
  return count ? c.replaceWith<nn::RangeOp>(start, delta, count) : failure();
}

static LogicalResult convertEyeLike(NodeContext &c) {
  ShapeVectors v(c);
  Value x = c.input(0);
  if (c.rankOf(x) != 2)
    return c.error("the input has rank " + Twine(c.rankOf(x)) + ", expected 2");
  Type element = c.hasAttr("dtype") ? c.elementType(c.getInt("dtype", 1)) : c.typeOf(x).getElementType();
  int64_t k = c.getInt("k", 0);
  if (!element)
    return failure();
  auto range = [&](int64_t dimension, int64_t from) {
    Value count = v.toScalar(v.size(x, dimension));
    return count ? c.make<nn::RangeOp>(v.scalar(from), v.scalar(1), count) : Value();
  };
  Value rows = range(0, k), columns = range(1, 0);
  Value column = rows ? c.make<nn::UnsqueezeOp>(rows, ArrayRef<int64_t>{1}) : Value();
  Value isDiagonal = v.compare(nn::ComparePredicate::eq, column, columns);
  return isDiagonal ? c.replaceWith(v.cast(isDiagonal, element)) : failure();
}

static LogicalResult convertTrilu(NodeContext &c) {
  ShapeVectors v(c);
  bool upper = c.getFlag("upper", true);
  Value k = c.hasInput(1) ? v.toIndexScalar(c.input(1)) : v.scalar(0);
  return k ? c.replaceWith<nn::TriluOp>(c.input(0), k, upper ? nn::Triangle::Upper : nn::Triangle::Lower)
           : failure();
}

static LogicalResult convertReverseSequence(NodeContext &c) {
  ShapeVectors v(c);
  int64_t batch = c.getInt("batch_axis", 1), time = c.getInt("time_axis", 0);
  Value lengths = v.toI64(c.input(1));
  return lengths ? c.replaceWith<nn::ReverseSequenceOp>(c.input(0), lengths, batch, time) : failure();
}

void nacre::frontend::registerGenerateConverters(ConverterTable &table) {
  table.add("EyeLike", convertEyeLike);
  table.add("Range", convertRange);
  table.add("ReverseSequence", convertReverseSequence);
  table.add("Trilu", convertTrilu);
  table.add("Trilu", convertTrilu, "com.microsoft");
}
