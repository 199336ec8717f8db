//===- QuantConverters.cpp - Quantised operators ----------------*- C++ -*-===//
//
// As compositions of element-wise ops, casts and 32-bit integer contractions, which
// `contract-quantized` makes products of 8-bit integers.
//
//===----------------------------------------------------------------------===//
#include "dialects/nn/CodedTypes.h"
#include "frontends/onnx/ShapeVectors.h"
#include "frontends/onnx/TensorData.h"

using namespace mlir;
using namespace nacre;
using namespace nacre::frontend;

//===----------------------------------------------------------------------===//
// Helpers
//===----------------------------------------------------------------------===//

/// Each element along `axis` repeated `blockSize` times, and cut to the tensor's size:
/// the last block may be shorter.
static Value repeatBlocks(NodeContext &c, Value parameter, Value tensor,
                          int64_t axis, int64_t blockSize) {
  int64_t rank = c.rankOf(tensor);
  auto normal = c.normalizeAxis(axis, rank);
  if (!normal || blockSize < 0 || c.rankOf(parameter) != rank) {
    if (normal)
      (void)c.error("scales of blocks (block_size " + Twine(blockSize) +
                    ") have rank " + Twine(c.rankOf(parameter)) +
                    ", expected blocks of positive size and rank " + Twine(rank));
    return {};
  }
  int64_t size = c.typeOf(tensor).getDimSize(*normal), blocks = c.typeOf(parameter).getDimSize(*normal);
  if (!ShapedType::isDynamic(size) && !ShapedType::isDynamic(blocks) &&
      blocks != llvm::divideCeilSigned(size, blockSize)) {
    (void)c.error("there are " + Twine(blocks) + " blocks of " + Twine(blockSize) + " for " + Twine(size) +
                  " elements");
    return {};
  }
  ShapeVectors v(c);
  Value apart = c.make<nn::UnsqueezeOp>(parameter, ArrayRef<int64_t>{*normal + 1});
  Value shape = v.concat({v.part(v.shape(parameter), 0, *normal + 1),
                          v.constant(blockSize),
                          v.part(v.shape(parameter), *normal + 1, rank)});
  Value all = shape ? c.make<nn::BroadcastOp>(apart, shape) : Value();
  if (!all)
    return {};
  all = c.make<nn::CollapseOp>(all, *normal, *normal + 2);
  Value cut = c.make<nn::SliceOp>(all, v.repeat(0, rank), v.shape(tensor), v.repeat(1, rank));
  // Too few blocks, or another shape, do not pass.
  return cut ? c.make<nn::ReshapeOp>(cut, v.shape(tensor), /*allowzero=*/true) : Value();
}

/// Scales and zero points of a tensor as they broadcast against it: a vector
/// belongs to dimension `axis`, and with a block size they have the tensor's rank.
/// Null for null, or after an error.
static Value alignParameter(NodeContext &c, Value parameter, Value tensor,
                            int64_t axis, int64_t blockSize) {
  if (!parameter || c.hadError())
    return {};
  int64_t rank = NodeContext::rankOf(tensor);
  auto type = NodeContext::typeOf(parameter);
  if (blockSize != 0)
    return repeatBlocks(c, parameter, tensor, axis, blockSize);
  if (type.getRank() == 0 ||
      (type.getRank() == 1 && type.getDimSize(0) == 1 && rank == 0))
    return parameter;
  if (type.getRank() != 1) {
    (void)c.error("a scale or zero point has rank " + Twine(type.getRank()) +
                  ", expected 0 or 1");
    return {};
  }
  // One for all needs no axis, nor does a vector, whose only one it is.
  if (type.getDimSize(0) == 1 || rank == 1)
    return parameter;
  auto normal = c.normalizeAxis(axis, rank);
  if (!normal)
    return {};
  auto behind = llvm::to_vector(llvm::seq<int64_t>(1, rank - *normal));
  return behind.empty() ? parameter
                        : c.make<nn::UnsqueezeOp>(parameter, behind);
}

static Value castTo(NodeContext &c, Value value, Type type) {
  if (!value || c.hadError() ||
      NodeContext::typeOf(value).getElementType() == type)
    return value;
  return c.make<nn::CastOp>(value, type);
}

/// value - zeroPoint as 32-bit integers, of floats as f32.
static Value subtractZero(NodeContext &c, Value value, Value zeroPoint) {
  if (!value || c.hadError())
    return {};
  bool isFloat = isa<FloatType>(NodeContext::typeOf(value).getElementType());
  Type type = isFloat ? Type(c.getBuilder().getF32Type()) : Type(c.getBuilder().getI32Type());
  Value wide = castTo(c, value, type);
  return zeroPoint ? c.make<nn::SubOp>(wide, castTo(c, zeroPoint, type)) : wide;
}

/// What quantisation to floats ends with: add the zero point, convert.
static Value convertToFloat(NodeContext &c, Value scaled, Value zeroPoint, Type type, bool saturates) {
  if (scaled && zeroPoint)
    scaled = c.make<nn::AddOp>(scaled, castTo(c, zeroPoint, NodeContext::typeOf(scaled).getElementType()));
  return scaled ? c.make<nn::CastOp>(scaled, type, saturates) : Value();
}

/// What quantisation ends with: round, add the zero point, saturate, convert.
static Value quantize(NodeContext &c, Value scaled, Value zeroPoint, Type quantized, bool saturates = true) {
  if (c.hadError())
    return {};
  auto type = dyn_cast<IntegerType>(quantized);
  if (!type)
    return convertToFloat(c, scaled, zeroPoint, quantized, saturates);
  Type compute = NodeContext::typeOf(scaled).getElementType();
  // A half can't hold every 16-bit integer.
  if (compute.getIntOrFloatBitWidth() < 32)
    compute = c.getBuilder().getF32Type();
  unsigned width = type.getWidth();
  bool isUnsigned = type.isUnsigned();
  double least = isUnsigned ? 0 : -double(uint64_t(1) << (width - 1));
  double most = double((uint64_t(1) << (isUnsigned ? width : width - 1)) - 1);
  Value rounded = c.make<nn::RoundOp>(castTo(c, scaled, compute));
  if (zeroPoint)
    rounded = c.make<nn::AddOp>(rounded, castTo(c, zeroPoint, compute));
  Value low = c.make<nn::MaxOp>(rounded, c.scalarConstant(compute, least));
  Value both = c.make<nn::MinOp>(low, c.scalarConstant(compute, most));
  return castTo(c, both, type);
}

/// An integer type of 2 to 16 bits or a float of 4 to 8, or null after an error.
static Type quantizedType(NodeContext &c, Type type) {
  if (!type || c.hadError())
    return {};
  bool isPower = isa<Float8E8M0FNUType>(type); // for scales
  if ((nn::isCoded(type) && !isPower) || type.isInteger(8) || type.isInteger(16))
    return type;
  (void)c.error("the element type " + getDataTypeName(getDataType(type)) +
                " is not quantised to; expected integers of 2 to 16 bits or floats of 4 to 8 bits");
  return {};
}

/// What scales are calculated with: their type, f32 for powers of two and integers.
static Type scaleType(NodeContext &c, Value scale) {
  Type type = NodeContext::typeOf(scale).getElementType();
  return nn::isArithmeticFloat(type) ? type : Type(c.getBuilder().getF32Type());
}

//===----------------------------------------------------------------------===//
// Quantise, dequantise
//===----------------------------------------------------------------------===//

static LogicalResult convertQuantizeLinear(NodeContext &c) {
  int64_t axis = c.version() >= 13 ? c.getInt("axis", 1) : 1;
  int64_t block = c.version() >= 21 ? c.getInt("block_size", 0) : 0;
  int64_t wanted = c.version() >= 21 ? c.getInt("output_dtype", 0) : 0;
  int64_t precision = c.version() >= 23 ? c.getInt("precision", 0) : 0;
  bool saturates = c.version() < 19 || c.getInt("saturate", 1) != 0;
  Type type = c.getBuilder().getIntegerType(8, /*isSigned=*/false);
  if (c.hasInput(2))
    type = c.inputType(2).getElementType();
  else if (wanted)
    type = c.elementType(wanted);
  Type quantized = quantizedType(c, type);
  Value scale = alignParameter(c, c.input(1), c.input(0), axis, block);
  Value zeroPoint = alignParameter(c, c.input(2), c.input(0), axis, block);
  if (!quantized || c.hadError())
    return failure();
  Type compute = precision ? c.elementType(precision) : scaleType(c, scale);
  if (!compute)
    return failure();
  if (!nn::isArithmeticFloat(compute))
    return c.error("the precision is " + getDataTypeName(getDataType(compute)) +
                   ", expected a floating-point type of at least 16 bits");
  Value scaled = c.make<nn::DivOp>(castTo(c, c.input(0), compute), castTo(c, scale, compute));
  return c.replaceWith(quantize(c, scaled, zeroPoint, quantized, saturates));
}

static LogicalResult convertDequantizeLinear(NodeContext &c) {
  int64_t axis = c.version() >= 13 ? c.getInt("axis", 1) : 1;
  int64_t block = c.version() >= 21 ? c.getInt("block_size", 0) : 0;
  int64_t wanted = c.version() >= 23 ? c.getInt("output_dtype", 0) : 0;
  Value scale = alignParameter(c, c.input(1), c.input(0), axis, block);
  Value zeroPoint = alignParameter(c, c.input(2), c.input(0), axis, block);
  if (c.hadError())
    return failure();
  Type compute = scaleType(c, scale);
  Type result = wanted ? c.elementType(wanted) : NodeContext::typeOf(scale).getElementType();
  if (!result)
    return failure();
  if (!nn::isArithmeticFloat(result))
    return c.error("the result's element type is " + getDataTypeName(getDataType(result)) +
                   ", expected a floating-point type of at least 16 bits" +
                   (wanted ? "" : ": give output_dtype"));
  Value difference = castTo(c, subtractZero(c, c.input(0), zeroPoint), compute);
  Value y = c.make<nn::MulOp>(difference, castTo(c, scale, compute));
  return c.replaceWith(castTo(c, y, result));
}

//===----------------------------------------------------------------------===//
// Contractions
//===----------------------------------------------------------------------===//

/// A parameter of the rows of a matrix: [M] stands as [M, 1].
static Value alignRows(NodeContext &c, Value parameter) {
  if (!parameter || c.hadError() || NodeContext::rankOf(parameter) != 1 ||
      NodeContext::typeOf(parameter).getDimSize(0) == 1)
    return parameter;
  return c.make<nn::UnsqueezeOp>(parameter, ArrayRef<int64_t>{1});
}

static Value makeMatMul(NodeContext &c, Value a, Value aZero, Value b,
                        Value bZero) {
  if (NodeContext::rankOf(a) < 2 || NodeContext::rankOf(b) < 2) {
    (void)c.error("vectors are not supported");
    return {};
  }
  Value lhs = subtractZero(c, a, alignRows(c, aZero));
  Value rhs = subtractZero(c, b, bZero);
  if (c.hadError())
    return {};
  // A float of 8 bits may meet an integer.
  auto isFloat = [](Value side) { return isa<FloatType>(NodeContext::typeOf(side).getElementType()); };
  if (isFloat(lhs) || isFloat(rhs)) {
    lhs = castTo(c, lhs, c.getBuilder().getF32Type());
    rhs = castTo(c, rhs, c.getBuilder().getF32Type());
  }
  return c.make<nn::MatMulOp>(lhs, rhs, /*transpose_lhs=*/false,
                              /*transpose_rhs=*/false);
}

static LogicalResult convertMatMulInteger(NodeContext &c) {
  return c.replaceWith(
      makeMatMul(c, c.input(0), c.input(2), c.input(1), c.input(3)));
}

/// sums * (scale of a * scale of b) / scale of the result, quantised.
static Value requantize(NodeContext &c, Value sums, Value aScale, Value bScale,
                        Value scale, Value zeroPoint) {
  if (c.hadError())
    return {};
  Type compute = c.getBuilder().getF32Type();
  Type type = quantizedType(c, NodeContext::typeOf(zeroPoint).getElementType());
  Value factor = c.make<nn::DivOp>(
      c.make<nn::MulOp>(castTo(c, aScale, compute), castTo(c, bScale, compute)),
      castTo(c, scale, compute));
  Value scaled = c.make<nn::MulOp>(castTo(c, sums, compute), factor);
  return type ? quantize(c, scaled, zeroPoint, type) : Value();
}

static LogicalResult convertQLinearMatMul(NodeContext &c) {
  Value sums = makeMatMul(c, c.input(0), c.input(2), c.input(3), c.input(5));
  return c.replaceWith(requantize(c, sums, alignRows(c, c.input(1)), c.input(4),
                                  alignRows(c, c.input(6)),
                                  alignRows(c, c.input(7))));
}

static LogicalResult convertConvInteger(NodeContext &c) {
  Value weightZero = alignParameter(c, c.input(3), c.input(1), /*axis=*/0, 0);
  if (c.hadError())
    return failure();
  // Padding is the zero point, which is 0 after it has been taken off.
  Value x = subtractZero(c, c.input(0), c.input(2));
  Value w = subtractZero(c, c.input(1), weightZero);
  return c.replaceWith(makeConv(c, x, w, Value()));
}

static LogicalResult convertQLinearConv(NodeContext &c) {
  Value weightZero = alignParameter(c, c.input(5), c.input(3), /*axis=*/0, 0);
  Value weightScale = alignParameter(c, c.input(4), c.input(0), /*axis=*/1, 0);
  if (c.hadError())
    return failure();
  Value x = subtractZero(c, c.input(0), c.input(2));
  Value w = subtractZero(c, c.input(3), weightZero);
  Value sums = makeConv(c, x, w, c.input(8));
  return c.replaceWith(
      requantize(c, sums, c.input(1), weightScale, c.input(6), c.input(7)));
}

void nacre::frontend::registerQuantConverters(ConverterTable &table) {
  table.add("QuantizeLinear", convertQuantizeLinear);
  table.add("DequantizeLinear", convertDequantizeLinear);
  table.add("MatMulInteger", convertMatMulInteger);
  table.add("QLinearMatMul", convertQLinearMatMul);
  table.add("ConvInteger", convertConvInteger);
  table.add("QLinearConv", convertQLinearConv);
}
