//===- ContribQuant.cpp - ONNX Runtime's quantised operators ----*- C++ -*-===//
//
// Sums of products on integers are exact; everything else is computed on numbers and rounded
// once, as ONNX Runtime's tables are made.
//
//===----------------------------------------------------------------------===//
#include "dialects/nn/NodeLocation.h"
#include "frontends/onnx/Contrib.h"

using namespace mlir;
using namespace nacre;
using namespace nacre::frontend;
using namespace nacre::frontend::contrib;

namespace {

/// Numbers are (integer - zero point) * scale; without a zero point it is 0.
struct Quantization {
  Value scale, zeroPoint;
};

Quantization getQuantization(NodeContext &c, unsigned scale) { return {c.input(scale), c.input(scale + 1)}; }

/// One for all, or one for each place of the last dimension.
Value toVectorOfOne(NodeContext &c, Value parameter) {
  bool isOne = parameter && c.rankOf(parameter) == 1 && c.typeOf(parameter).getDimSize(0) == 1;
  return isOne ? c.make<nn::SqueezeOp>(parameter, ArrayRef<int64_t>{0}) : parameter;
}

Value dequantize(NodeContext &c, Value x, Quantization q) {
  ShapeVectors v(c);
  Type f32 = c.getBuilder().getF32Type();
  x = v.cast(x, f32);
  if (q.zeroPoint)
    x = v.sub(x, v.cast(toVectorOfOne(c, q.zeroPoint), f32));
  return v.mul(x, v.cast(toVectorOfOne(c, q.scale), f32));
}

/// In 8 bits: rounded to even, saturated. The type is the zero point's, or `otherwise`.
Value quantize(NodeContext &c, Value x, Quantization q, Type otherwise, bool isScaled = false) {
  if (!x)
    return {};
  ShapeVectors v(c);
  Type f32 = c.getBuilder().getF32Type(), type = q.zeroPoint ? c.typeOf(q.zeroPoint).getElementType() : otherwise;
  bool isUnsigned = type.isUnsignedInteger(8);
  if (!isUnsigned && !type.isSignlessInteger(8)) {
    (void)c.error("expected a result of 8 bits");
    return {};
  }
  Value scaled = isScaled ? x : v.div(x, toVectorOfOne(c, q.scale));
  Value rounded = scaled ? c.make<nn::RoundOp>(scaled) : Value();
  if (q.zeroPoint)
    rounded = v.add(rounded, v.cast(toVectorOfOne(c, q.zeroPoint), f32));
  rounded = v.max(rounded, c.scalarConstant(f32, isUnsigned ? 0 : -128));
  return v.cast(v.min(rounded, c.scalarConstant(f32, isUnsigned ? 255 : 127)), type);
}

//===----------------------------------------------------------------------===//
// By numbers
//===----------------------------------------------------------------------===//

template <typename Op> LogicalResult convertPair(NodeContext &c) {
  if (failed(checkInputs(c, 7, 8)))
    return failure();
  Value lhs = dequantize(c, c.input(0), getQuantization(c, 1)), rhs = dequantize(c, c.input(3), getQuantization(c, 4));
  Value result = lhs && rhs ? c.make<Op>(lhs, rhs) : Value();
  return c.replaceWith(quantize(c, result, getQuantization(c, 6), c.inputType(0).getElementType()));
}

/// Inputs: x, its scale and zero point, those of the result.
LogicalResult convertByNumbers(NodeContext &c, llvm::function_ref<Value(Value)> build) {
  if (failed(checkInputs(c, 4, 5)))
    return failure();
  Value x = dequantize(c, c.input(0), getQuantization(c, 1)), y = x ? build(x) : Value();
  return c.replaceWith(quantize(c, y, getQuantization(c, 3), c.inputType(0).getElementType()));
}

LogicalResult convertSigmoid(NodeContext &c) {
  return convertByNumbers(c, [&](Value x) { return c.make<nn::SigmoidOp>(x); });
}
LogicalResult convertLeakyRelu(NodeContext &c) {
  double alpha = c.getFloat("alpha", 0.01f);
  return convertByNumbers(c, [&](Value x) { return c.make<nn::LeakyReluOp>(x, APFloat(alpha)); });
}

LogicalResult convertSoftmax(NodeContext &c) {
  int64_t axis = c.getInt("axis", -1), opset = c.getInt("opset", 13);
  return convertByNumbers(c, [&](Value x) -> Value {
    auto normal = c.normalizeAxis(axis, c.rankOf(x));
    if (!normal)
      return {};
    if (opset >= 13 || *normal == c.rankOf(x) - 1)
      return c.make<nn::SoftmaxOp>(x, *normal, /*log=*/false);
    // The dimensions from the axis on are one.
    Value rows = c.make<nn::SoftmaxOp>(c.make<nn::CollapseOp>(x, *normal, c.rankOf(x)), *normal, /*log=*/false);
    return c.make<nn::ReshapeOp>(rows, c.make<nn::ShapeOp>(x), /*allowzero=*/true);
  });
}

/// x with its channels in front if they are last, `build`, and back.
Value withChannelsFirst(NodeContext &c, Value x, bool channelsLast, llvm::function_ref<Value(Value)> build) {
  if (!channelsLast)
    return build(x);
  auto front = llvm::to_vector(llvm::seq<int64_t>(0, c.rankOf(x))), back = front;
  std::rotate(front.begin() + 1, front.end() - 1, front.end());
  std::rotate(back.begin() + 1, back.begin() + 2, back.end());
  Value moved = transpose(c, x, front);
  return transpose(c, moved ? build(moved) : Value(), back);
}

LogicalResult convertAveragePool(NodeContext &c) {
  if (failed(checkInputs(c, 4, 5)))
    return failure();
  int64_t rank = c.rankOf(c.input(0)) - 2;
  if (rank < 1)
    return c.error("expected an input of rank 3 or more");
  bool channelsLast = c.getFlag("channels_last"), includePad = c.getFlag("count_include_pad"), ceilMode = c.getFlag("ceil_mode");
  SmallVector<int64_t> kernel = c.getInts("kernel_shape"), strides = c.getInts("strides", SmallVector<int64_t>(rank, 1)),
                       pads = c.getInts("pads", SmallVector<int64_t>(2 * rank, 0)), ones(rank, 1);
  StringRef autoPad = c.getString("auto_pad", "NOTSET");
  auto padding = autoPad == "SAME_UPPER"   ? nn::AutoPad::SameUpper
                 : autoPad == "SAME_LOWER" ? nn::AutoPad::SameLower
                                           : nn::AutoPad::NotSet;
  if (autoPad != "NOTSET")
    pads.assign(2 * rank, 0);
  return convertByNumbers(c, [&](Value x) {
    return withChannelsFirst(c, x, channelsLast, [&](Value moved) {
      return c.make<nn::AvgPoolOp>(moved, kernel, strides, ones, pads, padding, ceilMode, /*channels_last=*/false, includePad);
    });
  });
}

LogicalResult convertGlobalAveragePool(NodeContext &c) {
  bool channelsLast = c.getFlag("channels_last");
  return convertByNumbers(c, [&](Value x) -> Value {
    int64_t rank = c.rankOf(x), first = channelsLast ? 1 : 2;
    if (rank < 3) {
      (void)c.error("the input has rank " + Twine(rank) + ", expected 3 or more");
      return {};
    }
    auto axes = llvm::to_vector(llvm::seq<int64_t>(first, rank - channelsLast));
    return c.make<nn::ReduceOp>(nn::ReduceKind::mean, x, axes, /*keepdims=*/true);
  });
}

/// Inputs: scale and zero point of the result, then three of each part.
LogicalResult convertConcat(NodeContext &c) {
  if (c.numInputs() < 5 || c.numInputs() % 3 != 2)
    return c.error("it has " + Twine(c.numInputs()) + " inputs, expected 2, and 3 for each part");
  // The zero points alone may be left out.
  for (unsigned i = 0; i < c.numInputs(); ++i)
    if (!c.hasInput(i) && (i < 2 ? i != 1 : i % 3 != 1))
      return c.error("input " + Twine(i) + " is missing");
  auto axis = c.normalizeAxis(c.getInt("axis", 0), c.rankOf(c.input(2)));
  if (!axis)
    return failure();
  SmallVector<Value> parts;
  for (unsigned i = 2; i < c.numInputs(); i += 3)
    parts.push_back(dequantize(c, c.input(i), getQuantization(c, i + 1)));
  Value joined = c.hadError() ? Value() : c.make<nn::ConcatOp>(parts, *axis);
  return c.replaceWith(quantize(c, joined, getQuantization(c, 0), c.inputType(2).getElementType()));
}

//===----------------------------------------------------------------------===//
// Sums of products
//===----------------------------------------------------------------------===//

/// Products of integers without their zero points, as i32.
Value multiplyIntegers(NodeContext &c, Value a, Value aZero, Value b, Value bZero, bool transA = false, bool transB = false) {
  ShapeVectors v(c);
  Type i32 = c.getBuilder().getI32Type();
  auto without = [&](Value x, Value zero) {
    x = v.cast(x, i32);
    return zero ? v.sub(x, v.cast(toVectorOfOne(c, zero), i32)) : x;
  };
  if (a && b && (c.rankOf(a) < 2 || c.rankOf(b) < 2)) {
    (void)c.error("vectors are not supported");
    return {};
  }
  Value lhs = without(a, aZero), rhs = without(b, bZero);
  return lhs && rhs ? c.make<nn::MatMulOp>(lhs, rhs, transA, transB) : Value();
}

/// sums * scales + bias
Value toNumbers(NodeContext &c, Value sums, Value aScale, Value bScale, Value bias) {
  ShapeVectors v(c);
  Type f32 = c.getBuilder().getF32Type();
  Value scale = v.mul(v.cast(toVectorOfOne(c, aScale), f32), v.cast(toVectorOfOne(c, bScale), f32));
  return addIfThere(c, v.mul(v.cast(sums, f32), scale), bias);
}

LogicalResult convertMatMulIntegerToFloat(NodeContext &c) {
  if (failed(checkInputs(c, 4, 7)))
    return failure();
  Value sums = multiplyIntegers(c, c.input(0), c.input(4), c.input(1), c.input(5));
  return c.replaceWith(toNumbers(c, sums, c.input(2), c.input(3), c.input(6)));
}

/// The first operand is quantised to unsigned integers of 8 bits by its own range.
LogicalResult convertDynamicQuantizeMatMul(NodeContext &c) {
  if (failed(checkInputs(c, 3, 5)))
    return failure();
  ShapeVectors v(c);
  Type f32 = c.getBuilder().getF32Type(), u8 = c.getBuilder().getIntegerType(8, /*isSigned=*/false);
  Value a = c.input(0), zero = c.scalarConstant(f32, 0);
  auto all = llvm::to_vector(llvm::seq<int64_t>(0, c.rankOf(a)));
  auto extreme = [&](nn::ReduceKind kind) { return c.make<nn::ReduceOp>(kind, a, all, /*keepdims=*/false); };
  Value most = v.max(extreme(nn::ReduceKind::max), zero), least = v.min(extreme(nn::ReduceKind::min), zero);
  Value scale = v.div(v.sub(most, least), c.scalarConstant(f32, 255));
  // Of nothing but zeros any scale will do.
  scale = v.select(v.compare(nn::ComparePredicate::gt, scale, zero), scale, c.scalarConstant(f32, 1));
  Value shift = v.div(v.sub(zero, least), scale);
  Value zeroPoint = quantize(c, shift, {}, u8, /*isScaled=*/true);
  Value rows = zeroPoint ? quantize(c, a, {scale, zeroPoint}, u8) : Value();
  Value sums = multiplyIntegers(c, rows, zeroPoint, c.input(1), c.input(3));
  return c.replaceWith(toNumbers(c, sums, scale, c.input(2), c.input(4)));
}

LogicalResult convertQGemm(NodeContext &c) {
  if (failed(checkInputs(c, 6, 9)) || failed(checkRank(c, 0, 2)) || failed(checkRank(c, 3, 2)))
    return failure();
  ShapeVectors v(c);
  double alpha = c.getFloat("alpha", 1);
  bool transA = c.getFlag("transA"), transB = c.getFlag("transB");
  Value b = c.input(3), zero = c.input(5);
  if (transB) // so that the vectors belong to its last dimension
    b = transpose(c, b, {1, 0});
  Value sums = multiplyIntegers(c, c.input(0), c.input(2), b, zero, transA);
  sums = addIfThere(c, sums, c.hasInput(6) ? v.cast(c.input(6), c.getBuilder().getI32Type()) : Value());
  Value numbers = toNumbers(c, sums, c.input(1), c.input(4), Value());
  if (numbers && alpha != 1)
    numbers = v.mul(numbers, c.scalarConstant(c.typeOf(numbers).getElementType(), alpha));
  if (c.hasInput(7))
    numbers = quantize(c, numbers, getQuantization(c, 7), c.inputType(0).getElementType());
  return c.replaceWith(numbers);
}

//===----------------------------------------------------------------------===//
// MatMulNBits
//===----------------------------------------------------------------------===//

/// Integers of `bits` bits, the lowest of each byte first, along the last dimension; as u8.
Value unpackBits(NodeContext &c, Value bytes, int64_t bits) {
  if (!bytes || bits == 8)
    return bytes;
  int64_t rank = c.rankOf(bytes);
  Type u8 = c.typeOf(bytes).getElementType();
  Value mask = c.scalarConstant(u8, (1 << bits) - 1);
  SmallVector<Value> parts;
  for (int64_t shift = 0; shift < 8; shift += bits) {
    Value moved = shift ? c.make<nn::ShiftRightOp>(bytes, c.scalarConstant(u8, shift)) : bytes;
    Value part = moved ? c.make<nn::AndOp>(moved, mask) : Value();
    parts.push_back(part ? c.make<nn::UnsqueezeOp>(part, ArrayRef<int64_t>{rank}) : Value());
  }
  if (c.hadError())
    return {};
  return c.make<nn::CollapseOp>(c.make<nn::ConcatOp>(parts, rank), rank - 1, rank + 1);
}

/// The second operand has K columns of N rows, in blocks of so many with a scale each.
LogicalResult convertMatMulNBits(NodeContext &c) {
  if (failed(checkInputs(c, 3, 6)) || failed(checkRank(c, 1, 3)))
    return failure();
  ShapeVectors v(c);
  c.ignoreAttr("accuracy_level"); // a hint
  int64_t depth = c.getInt("K", 0), rows = c.getInt("N", 0), bits = c.getInt("bits", 4), block = c.getInt("block_size", 0);
  auto isSize = [](int64_t size) { return size >= 1 && size <= nn::kMaxElements; };
  if (!isSize(depth) || !isSize(rows) || !isSize(block) || (bits != 2 && bits != 4 && bits != 8) || block * bits % 8 != 0)
    return c.error("'K', 'N', 'bits' and 'block_size' are " + Twine(depth) + ", " + Twine(rows) + ", " + Twine(bits) +
                   " and " + Twine(block));
  Type element = c.inputType(0).getElementType();
  int64_t blocks = llvm::divideCeilSigned(depth, block), perByte = 8 / bits;
  auto sized = [&](Value tensor, ArrayRef<int64_t> sizes) { return reshape(c, tensor, v.constant(sizes)); };
  Value weights = v.cast(unpackBits(c, sized(c.input(1), {rows, blocks, block / perByte}), bits), element);
  Value zeroPoints = c.scalarConstant(element, int64_t(1) << (bits - 1));
  if (c.hasInput(3)) {
    bool isPacked = c.inputType(3).getElementType().isUnsignedInteger(8);
    int64_t bytes = llvm::divideCeilSigned(blocks, perByte);
    zeroPoints = isPacked ? unpackBits(c, sized(c.input(3), {rows, bytes}), bits) : sized(c.input(3), {rows, blocks});
    if (isPacked && bytes * perByte != blocks)
      zeroPoints = cut(c, zeroPoints, 1, v.constant(0), v.constant(blocks));
    zeroPoints = sized(v.cast(zeroPoints, element), {rows, blocks, 1});
  }
  Value scales = sized(c.input(2), {rows, blocks, 1});
  if (c.hasInput(4)) {
    // Which block's scale and zero point a column has, wherever it stands.
    Value places = c.rankOf(c.input(4)) == 1 ? cut(c, v.toI64(c.input(4)), 0, v.constant(0), v.constant(depth)) : Value();
    if (!places)
      return c.error("input 4 (g_idx) has rank " + Twine(c.rankOf(c.input(4))) + ", expected 1");
    places = v.ofLength(places, depth, "places in 'g_idx'");
    auto pick = [&](Value perBlock) -> Value {
      Value vectors = sized(perBlock, {rows, blocks});
      return vectors && places ? c.make<nn::GatherOp>(vectors, places, 1, /*in_bounds=*/false) : Value();
    };
    weights = cut(c, sized(weights, {rows, blocks * block}), 1, v.constant(0), v.constant(depth));
    scales = pick(scales);
    if (c.hasInput(3))
      zeroPoints = pick(zeroPoints);
  }
  Value numbers = v.mul(v.sub(weights, zeroPoints), scales);
  if (!c.hasInput(4)) {
    numbers = sized(numbers, {rows, blocks * block});
    if (blocks * block != depth)
      numbers = cut(c, numbers, 1, v.constant(0), v.constant(depth));
  }
  Value product = numbers ? c.make<nn::MatMulOp>(c.input(0), numbers, /*transpose_lhs=*/false, /*transpose_rhs=*/true) : Value();
  return c.replaceWith(addIfThere(c, product, c.input(5)));
}

} // namespace

void contrib::registerQuantized(ConverterTable &table) {
  StringRef domain = kDomain;
  table.add("QLinearAdd", convertPair<nn::AddOp>, domain);
  table.add("QLinearMul", convertPair<nn::MulOp>, domain);
  table.add("QLinearConcat", convertConcat, domain);
  table.add("QLinearSigmoid", convertSigmoid, domain);
  table.add("QLinearLeakyRelu", convertLeakyRelu, domain);
  table.add("QLinearSoftmax", convertSoftmax, domain);
  table.add("QLinearAveragePool", convertAveragePool, domain);
  table.add("QLinearGlobalAveragePool", convertGlobalAveragePool, domain);
  table.add("MatMulIntegerToFloat", convertMatMulIntegerToFloat, domain);
  table.add("DynamicQuantizeMatMul", convertDynamicQuantizeMatMul, domain);
  table.add("QGemm", convertQGemm, domain);
  table.add("MatMulNBits", convertMatMulNBits, domain);
}
