//===- ShapeVectors.cpp - Arithmetic on shapes during import ----*- C++ -*-===//
#include "frontends/onnx/ShapeVectors.h"

using namespace mlir;
using namespace nacre;
using namespace nacre::frontend;

Value ShapeVectors::repeat(int64_t value, int64_t length) {
  return constant(SmallVector<int64_t>(length, value));
}

Value ShapeVectors::scalar(int64_t value) {
  auto type = RankedTensorType::get({}, c.getBuilder().getI64Type());
  return c.constant(DenseElementsAttr::get(type, value));
}

Value ShapeVectors::like(Value vector, int64_t value) {
  return vector ? scalar(value) : Value();
}

Value ShapeVectors::shape(Value tensor) {
  return tensor ? c.make<nn::ShapeOp>(tensor) : Value();
}

Value ShapeVectors::size(Value tensor, int64_t index) {
  if (!tensor)
    return {};
  RankedTensorType type = c.typeOf(tensor);
  if (!type.isDynamicDim(index))
    return constant(type.getDimSize(index));
  return part(shape(tensor), index, index + 1);
}

Value ShapeVectors::part(Value vector, int64_t begin, int64_t end) {
  if (!vector)
    return {};
  return c.make<nn::SliceOp>(vector, constant(begin), constant(end),
                             constant(1));
}

Value ShapeVectors::concat(ArrayRef<Value> vectors) {
  for (Value vector : vectors)
    if (!vector)
      return {};
  return vectors.empty() ? constant({})
                         : c.make<nn::ConcatOp>(ValueRange(vectors), 0);
}

Value ShapeVectors::toScalar(Value vector) {
  if (!vector || c.rankOf(vector) == 0)
    return vector;
  return c.make<nn::SqueezeOp>(
      vector, llvm::to_vector(llvm::seq<int64_t>(0, c.rankOf(vector))));
}

Value ShapeVectors::toVector(Value scalar) {
  if (!scalar || c.rankOf(scalar) == 1)
    return scalar;
  return c.make<nn::ReshapeOp>(scalar, constant(1));
}

Value ShapeVectors::cast(Value tensor, Type element) {
  if (!tensor || c.typeOf(tensor).getElementType() == element)
    return tensor;
  return c.make<nn::CastOp>(tensor, element);
}

Value ShapeVectors::toI64(Value tensor) {
  return cast(tensor, c.getBuilder().getI64Type());
}

Value ShapeVectors::toIndexScalar(Value tensor) {
  return toScalar(toI64(tensor));
}

Value ShapeVectors::compare(nn::ComparePredicate predicate, Value lhs,
                            Value rhs) {
  return lhs && rhs ? c.make<nn::CompareOp>(predicate, lhs, rhs) : Value();
}

Value ShapeVectors::select(Value condition, Value yes, Value no) {
  return condition && yes && no ? c.make<nn::WhereOp>(condition, yes, no)
                                : Value();
}

Value ShapeVectors::scatter(Value base, Value positions, Value updates) {
  if (!base || !positions || !updates)
    return {};
  return c.make<nn::ScatterElementsOp>(base, positions, updates, 0,
                                       nn::ScatterReduction::Replace);
}

Value ShapeVectors::pick(Value vector, Value positions) {
  return vector && positions ? c.make<nn::GatherOp>(vector, positions, 0)
                             : Value();
}

Value ShapeVectors::normalize(Value axes, int64_t rank) {
  Value isNegative = compare(nn::ComparePredicate::lt, axes, like(axes, 0));
  return select(isNegative, add(axes, rank), axes);
}

Value ShapeVectors::others(Value positions, int64_t length) {
  if (!positions)
    return {};
  int64_t taken = c.typeOf(positions).getDimSize(0);
  // Marked ones come last in a stable order by mark.
  Value marks = scatter(repeat(0, length), positions, repeat(1, taken));
  if (!marks)
    return {};
  auto sorted = c.create<nn::TopKOp>(marks, scalar(length - taken), 0,
                                     nn::TopKOrder::Smallest);
  return sorted ? sorted.getIndices() : Value();
}

std::optional<int64_t> ShapeVectors::length(Value vector, StringRef what) {
  if (!vector)
    return std::nullopt;
  RankedTensorType type = c.typeOf(vector);
  if (type.getRank() == 1 && !type.isDynamicDim(0))
    return type.getDimSize(0);
  (void)c.error("the number of " + what +
                " is not known, expected a vector of known length");
  return std::nullopt;
}
