//===- FourierConverters.cpp - Fourier transforms ---------------*- C++ -*-===//
//
// Transforms are products with matrices of cosines and sines in f64, so that what cancels
// in a fast transform cancels here as well. Angles are exact: they are reduced as integers.
//
//===----------------------------------------------------------------------===//
#include "frontends/onnx/Loops.h"
#include "frontends/onnx/ShapeVectors.h"
#include "llvm/ADT/Sequence.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace nacre;
using namespace nacre::frontend;

/// States that a number, a vector of length 1, has at least that value.
static LogicalResult requireAtLeast(NodeContext &c, ShapeVectors &v, Value number, int64_t least,
                                    const Twine &otherwise) {
  if (!number)
    return failure();
  return c.require(v.compare(nn::ComparePredicate::ge, v.toScalar(number), v.scalar(least)), otherwise);
}

namespace {

/// A transform along one dimension of tensors whose last dimension holds real and
/// imaginary parts, or real ones alone.
class Transform {
public:
  Transform(NodeContext &c, bool isInverse, bool isOneSided)
      : c(c), v(c), wide(c.getBuilder().getF64Type()), isInverse(isInverse), isOneSided(isOneSided) {}

  /// `length`, a vector of length 1, is the number of places in time. Null after an error.
  Value apply(Value x, Value length, int64_t axis) {
    if (!x || failed(requireAtLeast(c, v, length, 1, "the transform's length is below 1")))
      return {};
    Type type = c.typeOf(x).getElementType();
    Value half = v.add(v.div(length, 2), 1);
    Value rows = isInverse && isOneSided ? half : length; // of what is read
    Value columns = isOneSided && !isInverse ? half : length;
    x = fit(v.cast(x, wide), rows, axis);
    if (!x)
      return {};
    Value tableCos = table(rows, columns, length, /*sine=*/false), tableSin = table(rows, columns, length, true);
    // [..., places, ...] → [..., ..., places]
    int64_t rank = c.rankOf(x) - 1;
    auto toLast = llvm::to_vector(llvm::seq<int64_t>(0, rank));
    std::rotate(toLast.begin() + axis, toLast.begin() + axis + 1, toLast.end());
    auto fromLast = llvm::to_vector(llvm::seq<int64_t>(0, rank));
    std::rotate(fromLast.begin() + axis, fromLast.end() - 1, fromLast.end());
    auto multiply = [&](Value part, Value matrix) { return c.make<nn::MatMulOp>(part, matrix, false, false); };
    Value real = c.make<nn::TransposeOp>(partOf(x, 0), toLast);
    bool isReal = c.typeOf(x).getDimSize(rank) == 1;
    Value imaginary = isReal ? Value() : c.make<nn::TransposeOp>(partOf(x, 1), toLast);
    if (isInverse && isOneSided) {
      Value weights = mirrorWeights(rows, length);
      real = c.make<nn::MulOp>(real, weights);
      imaginary = imaginary ? c.make<nn::MulOp>(imaginary, weights) : Value();
    }
    // exp(-i a) forwards, exp(i a) backwards.
    Value sine = isInverse ? tableSin : c.make<nn::NegOp>(tableSin);
    Value resultReal = multiply(real, tableCos), resultImaginary = multiply(real, sine);
    if (imaginary) {
      resultReal = c.make<nn::SubOp>(resultReal, multiply(imaginary, sine));
      resultImaginary = c.make<nn::AddOp>(resultImaginary, multiply(imaginary, tableCos));
    }
    SmallVector<Value> parts{resultReal};
    if (!(isInverse && isOneSided))
      parts.push_back(resultImaginary);
    for (Value &part : parts) {
      part = c.make<nn::TransposeOp>(part, fromLast);
      if (isInverse)
        part = c.make<nn::DivOp>(part, v.cast(v.toScalar(length), wide));
      part = c.make<nn::UnsqueezeOp>(part, ArrayRef<int64_t>{rank});
    }
    if (c.hadError())
      return {};
    Value result = parts.size() == 1 ? parts[0] : c.make<nn::ConcatOp>(ValueRange(parts), rank);
    return v.cast(result, type);
  }

private:
  Value places(Value count) { return c.make<nn::RangeOp>(v.scalar(0), v.scalar(1), v.toScalar(count)); }

  /// Cut, or filled with zeros, to `size` places; parts of unknown number become two.
  Value fit(Value x, Value size, int64_t axis) {
    if (!x)
      return {};
    int64_t rank = c.rankOf(x);
    SmallVector<Value> more(2 * rank, v.constant(0));
    more[rank + axis] = v.sub(size, v.size(x, axis));
    if (c.typeOf(x).isDynamicDim(rank - 1))
      more[2 * rank - 1] = v.sub(v.constant(2), v.size(x, rank - 1));
    Value pads = v.concat(more);
    return pads ? c.make<nn::PadOp>(x, pads, c.scalarConstant(wide, 0), nn::PadMode::Constant) : Value();
  }

  /// The real or imaginary part of x.
  Value partOf(Value x, int64_t index) {
    return c.make<nn::GatherOp>(x, v.scalar(index), c.rankOf(x) - 1, /*in_bounds=*/true);
  }

  /// The cosine, or sine, of 2 pi j k / length.
  Value table(Value rows, Value columns, Value length, bool sine) {
    Value product = c.make<nn::MulOp>(c.make<nn::UnsqueezeOp>(places(rows), ArrayRef<int64_t>{1}), places(columns));
    Value turn = v.cast(c.make<nn::ModOp>(product, v.toScalar(length)), wide);
    Value angle = c.make<nn::DivOp>(c.make<nn::MulOp>(turn, c.scalarConstant(wide, 2 * llvm::numbers::pi)),
                                    v.cast(v.toScalar(length), wide));
    return sine ? c.make<nn::SinOp>(angle) : c.make<nn::CosOp>(angle);
  }

  /// 2 for each frequency whose mirror image is not given, 1 for the two that have none.
  Value mirrorWeights(Value rows, Value length) {
    Value frequency = places(rows);
    auto isSame = [&](Value l, Value r) { return c.make<nn::CompareOp>(nn::ComparePredicate::eq, l, r); };
    Value isAlone = c.make<nn::OrOp>(isSame(frequency, v.scalar(0)),
                                     isSame(c.make<nn::MulOp>(frequency, v.scalar(2)), v.toScalar(length)));
    return c.make<nn::WhereOp>(isAlone, c.scalarConstant(wide, 1), c.scalarConstant(wide, 2));
  }

  NodeContext &c;
  ShapeVectors v;
  Type wide;
  bool isInverse, isOneSided;
};

} // namespace

/// Whether the last dimension can hold the parts of complex numbers.
static bool mayBeComplex(RankedTensorType type) {
  int64_t parts = type.getShape().back();
  return ShapedType::isDynamic(parts) || parts == 1 || parts == 2;
}

/// Along an axis, a vector of length 1, that only a run tells: the dimensions before and
/// behind it are merged. Without a length it is the dimension's.
static LogicalResult transformAlong(NodeContext &c, Value axis, Value length, bool isInverse, bool isOneSided) {
  ShapeVectors v(c);
  Value x = c.input(0);
  int64_t rank = c.rankOf(x);
  axis = v.normalize(axis, rank);
  Value sizes = v.sizesAround(x, axis), parts = v.size(x, rank - 1);
  if (!sizes || !parts)
    return failure();
  Value isInside = v.compare(nn::ComparePredicate::lt, v.toScalar(axis), v.scalar(rank - 1));
  if (failed(c.require(isInside, "the axis is that of real and imaginary parts")))
    return failure();
  Value size = v.part(sizes, 1, 2);
  if (!length)
    length = isInverse && isOneSided ? v.mul(v.sub(size, 1), 2) : size;
  Value merged = v.concat({v.part(sizes, 0, 2), v.div(v.part(sizes, 2, 3), v.max(parts, 1)), parts});
  if (!merged)
    return failure();
  Value y = Transform(c, isInverse, isOneSided).apply(c.make<nn::ReshapeOp>(x, merged, /*allowzero=*/true), length, 1);
  if (!y)
    return failure();
  Value shape = v.scatter(v.shape(x), axis, v.size(y, 1));
  shape = v.concat({v.part(shape, 0, rank - 1), v.size(y, 3)});
  return shape ? c.replaceWith<nn::ReshapeOp>(y, shape, /*allowzero=*/true) : failure();
}

/// Until opset 19 the axis was an attribute.
static LogicalResult convertDFT(NodeContext &c) {
  ShapeVectors v(c);
  Value x = c.input(0);
  int64_t rank = c.rankOf(x);
  bool isInverse = c.getFlag("inverse"), isOneSided = c.getFlag("onesided");
  int64_t wanted = c.version() < 20 ? c.getInt("axis", 1) : -2;
  bool hasAxis = c.version() >= 20 && c.hasInput(2);
  if (hasAxis && !mayHaveOneElement(c.inputType(2)))
    return c.error("input 2 (axis) has more or fewer elements than 1");
  auto given = hasAxis ? c.constantInts(c.input(2)) : std::nullopt;
  if (given)
    wanted = given->front();
  if (rank < 2 || !mayBeComplex(c.inputType(0)))
    return c.error("expected an input of rank 2 or more whose last dimension has size 1 or 2");
  Value length = c.hasInput(1) ? v.toVector(v.toIndexScalar(c.input(1))) : Value();
  if (hasAxis && !given)
    return transformAlong(c, v.toVector(v.toIndexScalar(c.input(2))), length, isInverse, isOneSided);
  auto axis = c.normalizeAxis(wanted, rank);
  if (!axis)
    return failure();
  if (*axis == rank - 1)
    return c.error("axis " + Twine(wanted) + " is that of real and imaginary parts");
  if (!length)
    length = isInverse && isOneSided ? v.mul(v.sub(v.size(x, *axis), 1), 2) : v.size(x, *axis);
  return c.replaceWith(Transform(c, isInverse, isOneSided).apply(x, length, *axis));
}

/// com.microsoft's Rfft and Irfft: real signals along the last dimension, and half of their
/// frequencies.
template <bool isInverse> static LogicalResult convertRealTransform(NodeContext &c) {
  ShapeVectors v(c);
  if (c.numInputs() != 1 || !c.hasInput(0) || c.rankOf(c.input(0)) < 1 + isInverse)
    return c.error("expected one tensor of rank " + Twine(1 + isInverse) + " or more");
  if (c.getInt("signal_ndim", 1) != 1 || c.getInt("normalized", 0) != 0 || c.getInt("onesided", 1) != 1)
    return c.error("signals of several dimensions, normalised or two-sided transforms are not supported");
  Value x = c.input(0);
  if (!isInverse)
    x = c.make<nn::UnsqueezeOp>(x, ArrayRef<int64_t>{c.rankOf(x)});
  if (!x || !mayBeComplex(c.typeOf(x)))
    return c.error("the last dimension is not that of real and imaginary parts");
  int64_t axis = c.rankOf(x) - 2;
  Value length = isInverse ? v.mul(v.sub(v.size(x, axis), 1), 2) : v.size(x, axis);
  Value y = Transform(c, isInverse, /*isOneSided=*/true).apply(x, length, axis);
  if (!y || !isInverse)
    return y ? c.replaceWith(y) : failure();
  return c.replaceWith<nn::GatherOp>(y, v.scalar(0), axis + 1, /*in_bounds=*/true);
}

/// Windows of the signal, `frame_step` apart, each weighted and transformed.
static LogicalResult convertSTFT(NodeContext &c) {
  ShapeVectors v(c);
  Value x = c.input(0), window = c.input(2);
  bool isOneSided = c.getFlag("onesided", true);
  if (c.rankOf(x) != 3 || !mayBeComplex(c.inputType(0)))
    return c.error("expected a signal of rank 3 whose last dimension has size 1 or 2");
  if (window && c.rankOf(window) != 1)
    return c.error("the window has rank " + Twine(c.rankOf(window)) + ", expected 1");
  Value step = v.toIndexScalar(c.input(1)), length;
  if (c.hasInput(3))
    length = v.toVector(v.toIndexScalar(c.input(3)));
  else if (window)
    length = v.size(window, 0);
  else
    return c.error("neither 'window' nor 'frame_length' is given");
  if (failed(requireAtLeast(c, v, v.toVector(step), 1, "the frames' step is below 1")))
    return failure();
  Value room = v.sub(v.size(x, 1), length);
  if (failed(requireAtLeast(c, v, room, 0, "a frame is longer than the signal")))
    return failure();
  Value count = v.add(v.div(room, v.max(v.toVector(step), 1)), 1);
  if (c.hadError())
    return failure();
  auto places = [&](Value number) {
    return c.make<nn::RangeOp>(v.scalar(0), v.scalar(1), v.toScalar(number));
  };
  Value begins = c.make<nn::MulOp>(places(count), step);
  Value indices = c.make<nn::AddOp>(c.make<nn::UnsqueezeOp>(begins, ArrayRef<int64_t>{1}), places(length));
  Value frames = c.make<nn::GatherOp>(x, indices, 1, /*in_bounds=*/false);
  if (window) {
    // A window of another length does not pass.
    Value weights = c.make<nn::ReshapeOp>(window, v.concat({length, v.constant(1)}), /*allowzero=*/true);
    frames = c.make<nn::MulOp>(frames, weights);
  }
  return c.replaceWith(Transform(c, /*isInverse=*/false, isOneSided).apply(frames, length, 2));
}

/// Triangles over the frequencies of a transform, one for each column, whose corners lie
/// evenly on the mel scale: mel(f) = 2595 lg(1 + f / 700).
static LogicalResult convertMelWeightMatrix(NodeContext &c) {
  ShapeVectors v(c);
  Type wide = c.getBuilder().getF64Type();
  Type type = c.elementType(c.getInt("output_datatype", 1));
  for (unsigned i = 0; i < 5; ++i)
    if (!mayHaveOneElement(c.inputType(i)))
      return c.error("input " + Twine(i) + " has more or fewer elements than 1");
  if (!type)
    return failure();
  Value count = v.toIndexScalar(c.input(0)), length = v.toIndexScalar(c.input(1)), rate = v.toIndexScalar(c.input(2));
  auto number = [&](double value) { return c.scalarConstant(wide, value); };
  auto edge = [&](unsigned index) {
    Value hertz = c.make<nn::ReshapeOp>(v.cast(c.input(index), wide), c.intsConstant({}), /*allowzero=*/true);
    Value ratio = c.make<nn::AddOp>(number(1), c.make<nn::DivOp>(hertz, number(700)));
    return c.make<nn::MulOp>(c.make<nn::LogOp>(ratio), number(2595 / llvm::numbers::ln10));
  };
  for (auto [value, what] : {std::pair(count, "the number of bands"), {length, "the transform's length"},
                             {rate, "the sample rate"}})
    if (failed(requireAtLeast(c, v, v.toVector(value), 1, Twine(what) + " is below 1")))
      return failure();
  auto places = [&](Value number) { return c.make<nn::RangeOp>(v.scalar(0), v.scalar(1), number); };
  Value low = edge(3), corners = v.add(count, 2);
  Value step = c.make<nn::DivOp>(c.make<nn::SubOp>(edge(4), low), v.cast(corners, wide));
  Value mels = c.make<nn::AddOp>(c.make<nn::MulOp>(v.cast(places(corners), wide), step), low);
  Value hertz = c.make<nn::MulOp>(
      c.make<nn::SubOp>(c.make<nn::PowOp>(number(10), c.make<nn::DivOp>(mels, number(2595))), number(1)), number(700));
  Value bins = c.make<nn::MulOp>(hertz, v.cast(v.add(length, 1), wide));
  bins = c.make<nn::FloorOp>(c.make<nn::DivOp>(bins, v.cast(rate, wide)));
  if (c.hadError())
    return failure();
  Value frequencies = c.make<nn::UnsqueezeOp>(v.cast(places(v.add(v.div(length, 2), 1)), wide), ArrayRef<int64_t>{1});
  auto corner = [&](int64_t first) {
    return c.make<nn::GatherOp>(bins, v.add(places(count), first), 0, /*in_bounds=*/true);
  };
  Value lower = corner(0), center = corner(1), higher = corner(2);
  auto sub = [&](Value lhs, Value rhs) { return c.make<nn::SubOp>(lhs, rhs); };
  auto isAtLeast = [&](Value lhs, Value rhs) { return c.make<nn::CompareOp>(nn::ComparePredicate::ge, lhs, rhs); };
  auto both = [&](Value lhs, Value rhs) { return c.make<nn::AndOp>(lhs, rhs); };
  // A slope of no width is the place of its corner alone.
  Value one = number(1), width = sub(center, lower);
  Value rising = c.make<nn::DivOp>(sub(frequencies, lower), c.make<nn::MaxOp>(width, one));
  rising = c.make<nn::WhereOp>(c.make<nn::CompareOp>(nn::ComparePredicate::eq, width, number(0)), one, rising);
  rising = c.make<nn::WhereOp>(both(isAtLeast(frequencies, lower), isAtLeast(center, frequencies)), rising, number(0));
  Value falling = c.make<nn::DivOp>(sub(higher, frequencies), c.make<nn::MaxOp>(sub(higher, center), one));
  Value isFalling = both(isAtLeast(frequencies, center),
                         c.make<nn::CompareOp>(nn::ComparePredicate::lt, frequencies, higher));
  return c.replaceWith(v.cast(c.make<nn::WhereOp>(isFalling, falling, rising), type));
}

void nacre::frontend::registerFourierConverters(ConverterTable &table) {
  table.add("DFT", convertDFT);
  table.add("Rfft", convertRealTransform<false>, "com.microsoft");
  table.add("Irfft", convertRealTransform<true>, "com.microsoft");
  table.add("STFT", convertSTFT);
  table.add("MelWeightMatrix", convertMelWeightMatrix);
}
