//===- Quantized.cpp - Values that are scaled integers ----------*- C++ -*-===//
#include "compiler/graph/Quantized.h"
#include "compiler/graph/Prepare.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace nacre;
using graph::elementOf, graph::Narrow, graph::Quantized, graph::TensorMath, graph::typeOf;

bool graph::isByte(Value value) { return isa<IntegerType>(elementOf(value)) && elementOf(value).getIntOrFloatBitWidth() == 8; }

/// The integer that all elements of a constant, converted or reshaped, are.
static std::optional<int64_t> getUniform(Value value) {
  Operation *op = value.getDefiningOp();
  bool isWidened = true; // by each conversion: else it may be another number, but for 0
  for (; isa_and_present<nn::CastOp, nn::UnsqueezeOp, nn::ReshapeOp>(op); op = op->getOperand(0).getDefiningOp()) {
    Type from = elementOf(op->getOperand(0)), to = elementOf(op->getResult(0));
    if (isa<nn::CastOp>(op))
      isWidened &= isa<IntegerType>(from) && isa<IntegerType>(to) && !to.isUnsignedInteger() &&
                   from.getIntOrFloatBitWidth() < to.getIntOrFloatBitWidth();
  }
  Attribute data;
  if (auto constant = dyn_cast_or_null<nn::ConstantOp>(op))
    data = constant.getValue();
  else if (auto get = dyn_cast_or_null<nn::GetParameterOp>(op)) {
    auto parameter = SymbolTable::lookupNearestSymbolFrom<nn::ParameterOp>(op, get.getNameAttr());
    if (parameter && !parameter.getTrainable())
      data = parameter.getValue();
  }
  auto element = dyn_cast_or_null<IntegerType>(op ? elementOf(op->getResult(0)) : Type());
  if (!element)
    return std::nullopt;
  auto toInteger = [&](const APInt &bits) -> std::optional<int64_t> {
    if (!bits.isZero() && !isWidened)
      return std::nullopt;
    return element.isUnsigned() ? int64_t(bits.getZExtValue()) : bits.getSExtValue();
  };
  if (auto resource = dyn_cast_or_null<DenseResourceElementsAttr>(data)) {
    AsmResourceBlob *blob = resource.getRawHandle().getBlob();
    if (!blob || blob->getData().empty() || !llvm::all_equal(blob->getData()))
      return std::nullopt;
    char byte = blob->getData().front();
    if (byte != 0 && element.getWidth() != 8)
      return std::nullopt;
    return toInteger(APInt(8, uint8_t(byte)));
  }
  auto elements = dyn_cast_or_null<DenseIntElementsAttr>(data);
  if (!elements || elements.empty() || !llvm::all_equal(elements))
    return std::nullopt;
  return toInteger(*elements.begin());
}

std::optional<Quantized> graph::getQuantized(Value value) {
  Quantized result;
  auto shape = typeOf(value).getShape();
  if (isa<FloatType>(elementOf(value))) {
    auto scaled = value.getDefiningOp<nn::MulOp>();
    if (!scaled)
      return std::nullopt;
    for (auto [integers, scale] : {std::pair(scaled.getLhs(), scaled.getRhs()), std::pair(scaled.getRhs(), scaled.getLhs())}) {
      auto cast = integers.getDefiningOp<nn::CastOp>();
      if (!cast || !isa<IntegerType>(elementOf(cast.getInput())) || typeOf(integers).getShape() != shape)
        continue;
      result.scale = scale;
      value = cast.getInput();
      break;
    }
    if (!result.scale)
      return std::nullopt;
  }
  if (auto difference = value.getDefiningOp<nn::SubOp>(); difference && elementOf(value).isInteger(32)) {
    if (typeOf(difference.getLhs()).getShape() != shape)
      return std::nullopt;
    if (getUniform(difference.getRhs()) != 0)
      result.zero = difference.getRhs();
    value = difference.getLhs();
  }
  if (auto cast = value.getDefiningOp<nn::CastOp>(); cast && elementOf(value).isInteger(32))
    value = cast.getInput();
  if (!isByte(value) || typeOf(value).getShape() != shape)
    return std::nullopt;
  result.values = value;
  return result;
}

std::optional<int64_t> graph::getOtherZero(const Quantized &quantized) {
  std::optional<int64_t> zero = quantized.zero ? getUniform(quantized.zero) : 0;
  return zero ? std::optional(quantized.isUnsigned() ? *zero - 128 : *zero + 128) : std::nullopt;
}

void graph::changeSign(TensorMath &m, OpBuilder &b, Quantized &quantized) {
  bool wasUnsigned = quantized.isUnsigned();
  auto constant = [&](int64_t value) -> Value {
    auto type = RankedTensorType::get({}, b.getI32Type());
    return nn::ConstantOp::create(b, quantized.values.getLoc(), type, DenseIntElementsAttr::get(type, int32_t(value)));
  };
  int64_t zero = *getOtherZero(quantized);
  Value moved = m.make<nn::AddOp>(m.cast(quantized.values, b.getI32Type()), constant(wasUnsigned ? -128 : 128));
  quantized.values = m.cast(moved, wasUnsigned ? b.getI8Type() : b.getIntegerType(8, /*isSigned=*/false));
  quantized.zero = zero == 0 ? Value() : constant(zero);
}

Quantized *graph::findWrongSign(Quantized &values, Quantized &weights) {
  Quantized &wrong = values.isUnsigned() ? weights : values;
  bool isSame = values.isUnsigned() == weights.isUnsigned();
  return isSame && graph::isKnownAtCompileTime(weights.values) && getOtherZero(wrong) ? &wrong : nullptr;
}

namespace {
using Bounds = std::pair<int64_t, int64_t>;

Bounds join(Bounds a, Bounds b) { return {std::min(a.first, b.first), std::max(a.second, b.second)}; }

/// What an integer type holds; nothing of types that hold more than 8 bits.
std::optional<Bounds> getRangeOfType(Type type) {
  auto integer = dyn_cast<IntegerType>(type);
  if (!integer || integer.getWidth() > 8)
    return std::nullopt;
  int64_t values = int64_t(1) << integer.getWidth();
  return integer.isUnsigned() || values == 2 ? Bounds(0, values - 1) : Bounds(-values / 2, values / 2 - 1);
}

/// The least and the largest element of data: integers of at most 256, also as floats.
std::optional<Bounds> getRangeOfData(ElementsAttr data) {
  ArrayRef<char> bytes;
  if (auto resource = dyn_cast_or_null<DenseResourceElementsAttr>(data)) {
    if (AsmResourceBlob *blob = resource.getRawHandle().getBlob())
      bytes = blob->getData();
  } else if (auto dense = dyn_cast_or_null<DenseElementsAttr>(data)) {
    bytes = dense.getRawData(); // of a splat one element
  }
  Type element = data ? data.getElementType() : Type();
  if (bytes.empty())
    return std::nullopt;
  Bounds range{INT64_MAX, INT64_MIN};
  auto readAs = [&](auto number) -> std::optional<Bounds> {
    for (size_t i = 0; i + sizeof number <= bytes.size(); i += sizeof number) {
      std::memcpy(&number, bytes.data() + i, sizeof number);
      if (!(number >= -256 && number <= 256) || decltype(number)(int64_t(number)) != number)
        return std::nullopt;
      range = join(range, Bounds(number, number));
    }
    return range;
  };
  if (element.isF32())
    return readAs(float());
  if (element.isInteger(32))
    return readAs(int32_t());
  if (!element.isInteger(8))
    return std::nullopt;
  return element.isUnsignedInteger() ? readAs(uint8_t()) : readAs(int8_t());
}

/// The least and the largest value that integers can have, seen through what moves and converts them, or floats
/// that are such integers.
std::optional<Bounds> getRange(Value value, unsigned depth = 0) {
  constexpr unsigned kDeepest = 16;
  Operation *op = value.getDefiningOp();
  if (!op || depth > kDeepest)
    return std::nullopt;
  std::optional<Bounds> held = getRangeOfType(elementOf(value)), range;
  if (auto constant = dyn_cast<nn::ConstantOp>(op)) {
    range = getRangeOfData(constant.getValue());
  } else if (auto get = dyn_cast<nn::GetParameterOp>(op)) {
    auto parameter = SymbolTable::lookupNearestSymbolFrom<nn::ParameterOp>(get, get.getNameAttr());
    range = parameter ? getRangeOfData(dyn_cast<ElementsAttr>(parameter.getValue())) : std::nullopt;
  } else if (isa<nn::CastOp, nn::ReshapeOp, nn::UnsqueezeOp, nn::SqueezeOp, nn::CollapseOp, nn::SliceOp, nn::TransposeOp>(op)) {
    range = getRange(op->getOperand(0), depth + 1);
  } else if (auto difference = dyn_cast<nn::SubOp>(op); difference && !elementOf(value).isUnsignedInteger()) {
    auto left = getRange(difference.getLhs(), depth + 1), right = getRange(difference.getRhs(), depth + 1);
    if (left && right)
      range = Bounds(left->first - right->second, left->second - right->first);
  } else if (auto joined = dyn_cast<nn::ConcatOp>(op)) {
    range = getRange(joined.getInputs().front(), depth + 1);
    for (Value part : joined.getInputs().drop_front()) {
      auto other = getRange(part, depth + 1);
      range = range && other ? std::optional(join(*range, *other)) : std::nullopt;
    }
  } else if (isa<nn::AndOp>(op) && elementOf(value).isUnsignedInteger()) {
    for (Value mask : op->getOperands())
      if (auto bits = getRange(mask, depth + 1); bits && bits->first >= 0)
        range = Bounds(0, range ? std::min(range->second, bits->second) : bits->second);
  }
  // What the type does not hold has wrapped around.
  if (range && held && (range->first < held->first || range->second > held->second))
    range.reset();
  return range ? range : held;
}
} // namespace

std::optional<Narrow> graph::getNarrow(Value weights) {
  auto scaled = weights.getDefiningOp<nn::MulOp>();
  if (!scaled || !isa<FloatType>(elementOf(weights)))
    return std::nullopt;
  for (auto [numbers, scale] : {std::pair(scaled.getLhs(), scaled.getRhs()), std::pair(scaled.getRhs(), scaled.getLhs())}) {
    if (typeOf(numbers).getShape() != typeOf(weights).getShape())
      continue;
    std::optional<Bounds> range = getRange(numbers);
    if (!range)
      continue;
    MLIRContext *context = weights.getContext();
    if (range->first >= -128 && range->second <= 127)
      return Narrow{numbers, IntegerType::get(context, 8), scale};
    if (range->first >= 0 && range->second <= 255)
      return Narrow{numbers, IntegerType::get(context, 8, IntegerType::Unsigned), scale};
  }
  return std::nullopt;
}
