//===- ShapeVectors.cpp - Arithmetic on shapes during import ----*- C++ -*-===//
#include "frontends/onnx/ShapeVectors.h"
#include "frontends/onnx/TensorData.h"

using namespace mlir;
using namespace nacre;
using namespace nacre::frontend;

Value ShapeVectors::repeat(int64_t value, int64_t length) {
  // Of dimensions that a tensor does not have.
  if (length < 0) {
    (void)c.error("a tensor has " + Twine(-length) + " dimensions less than expected");
    return {};
  }
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

bool ShapeVectors::hasDimension(RankedTensorType type, int64_t index) {
  if (index >= 0 && index < type.getRank())
    return true;
  (void)c.error("a tensor has rank " + Twine(type.getRank()) + ", expected at least " + Twine(std::max<int64_t>(index, 0) + 1));
  return false;
}

Value ShapeVectors::size(Value tensor, int64_t index) {
  if (!tensor)
    return {};
  RankedTensorType type = c.typeOf(tensor);
  if (!hasDimension(type, index))
    return {};
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
  for (Type type : {element, c.typeOf(tensor).getElementType()})
    if (isa<nn::StringType>(type)) {
      (void)c.error("it would make strings of numbers, or numbers of strings: expected a numeric element type");
      return {};
    }
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

Value ShapeVectors::broadcast(Value scalar, Value shape) {
  return scalar && shape ? c.make<nn::BroadcastOp>(scalar, shape) : Value();
}

Value ShapeVectors::first(Value vector, Value count, const Twine &what) {
  if (!vector || !count)
    return {};
  int64_t length = *knownLength(vector);
  Value fits = compare(nn::ComparePredicate::le, toScalar(count), scalar(length));
  if (failed(c.require(fits, "the number of " + what + " is above " + Twine(length))))
    return {};
  return c.make<nn::SliceOp>(vector, constant(0), count, constant(1));
}

Value ShapeVectors::pick(Value vector, Value positions) {
  return vector && positions ? c.make<nn::GatherOp>(vector, positions, 0)
                             : Value();
}

Value ShapeVectors::normalize(Value axes, int64_t rank) {
  Value isBelow = all(compare(nn::ComparePredicate::lt, axes, like(axes, rank)));
  Value isAbove = all(compare(nn::ComparePredicate::ge, axes, like(axes, -rank)));
  std::string outOfRange = "an axis is out of range for rank " + std::to_string(rank);
  if (failed(c.require(isBelow, outOfRange)) || failed(c.require(isAbove, outOfRange)))
    return {};
  Value isNegative = compare(nn::ComparePredicate::lt, axes, like(axes, 0));
  return select(isNegative, add(axes, rank), axes);
}

Value ShapeVectors::sum(Value vector) {
  if (knownLength(vector) == 0)
    return scalar(0);
  return vector ? c.make<nn::ReduceOp>(nn::ReduceKind::sum, vector, ArrayRef<int64_t>{0}, false)
                : Value();
}

Value ShapeVectors::maximum(Value vector) {
  return vector ? c.make<nn::ReduceOp>(nn::ReduceKind::max, vector, ArrayRef<int64_t>{0}, false)
                : Value();
}

Value ShapeVectors::all(Value conditions) {
  Value violated = conditions ? c.make<nn::NotOp>(conditions) : Value();
  return compare(nn::ComparePredicate::eq, sum(toI64(violated)), like(violated, 0));
}

//===----------------------------------------------------------------------===//
// Axes
//===----------------------------------------------------------------------===//

Value ShapeVectors::sizesAround(Value tensor, Value axis) {
  if (!tensor || !axis)
    return {};
  int64_t rank = c.rankOf(tensor);
  axis = normalize(axis, rank);
  Value sizes = shape(tensor), places = constant(llvm::to_vector(llvm::seq<int64_t>(0, rank)));
  SmallVector<Value> products;
  for (auto side : {nn::ComparePredicate::lt, nn::ComparePredicate::eq, nn::ComparePredicate::gt}) {
    Value factors = select(compare(side, places, axis), sizes, like(sizes, 1));
    products.push_back(factors ? c.make<nn::ReduceOp>(nn::ReduceKind::prod, factors,
                                                      ArrayRef<int64_t>{0}, /*keepdims=*/true)
                               : Value());
  }
  return concat(products);
}

Value ShapeVectors::marks(Value axes, int64_t rank) {
  if (!axes)
    return {};
  // Where the length is not known: which of as many as there can be are there.
  Value isThere;
  if (!knownLength(axes)) {
    Value size = shape(axes);
    axes = filledUp(axes, rank, scalar(0), "axes");
    Value places = constant(llvm::to_vector(llvm::seq<int64_t>(0, rank)));
    isThere = compare(nn::ComparePredicate::lt, places, size);
  }
  if (!axes || rank == 0 || *knownLength(axes) == 0) {
    if (axes && *knownLength(axes) != 0)
      (void)c.error("it has axes, but its input has no dimensions");
    return repeat(0, rank);
  }
  Value normal = normalize(axes, rank);
  SmallVector<Value> counts;
  for (int64_t i = 0; i < rank; ++i) {
    Value isNamed = compare(nn::ComparePredicate::eq, normal, like(normal, i));
    if (isThere && isNamed)
      isNamed = c.make<nn::AndOp>(isNamed, isThere);
    counts.push_back(toVector(sum(toI64(isNamed))));
  }
  Value marks = concat(counts);
  Value distinct = compare(nn::ComparePredicate::le, maximum(marks), like(marks, 1));
  return succeeded(c.require(distinct, "an axis is given twice")) ? marks : Value();
}

Value ShapeVectors::countUnmarked(Value marks) {
  if (!marks)
    return {};
  Value isUnmarked = toI64(compare(nn::ComparePredicate::eq, marks, like(marks, 0)));
  SmallVector<Value> counts{constant(0)};
  for (int64_t i = 0; i + 1 < *knownLength(marks); ++i)
    counts.push_back(add(counts.back(), part(isUnmarked, i, i + 1)));
  return concat(counts);
}

Value ShapeVectors::unmarked(Value vector, Value marks, int64_t count) {
  if (!vector || !marks)
    return {};
  Value isUnmarked = compare(nn::ComparePredicate::eq, marks, like(marks, 0));
  Value fits = compare(nn::ComparePredicate::eq, sum(toI64(isUnmarked)), like(marks, count));
  if (failed(c.require(fits, "the number of axes does not leave " + Twine(count) + " dimensions")))
    return {};
  Value places = countUnmarked(marks);
  SmallVector<Value> elements;
  for (int64_t i = 0; i < count; ++i) {
    Value isHere = compare(nn::ComparePredicate::eq, places, like(places, i));
    Value isElement = isHere && isUnmarked ? c.make<nn::AndOp>(isHere, isUnmarked) : Value();
    elements.push_back(toVector(sum(select(isElement, vector, like(vector, 0)))));
  }
  return concat(elements);
}

Value ShapeVectors::spread(Value vector, Value marks, int64_t filler) {
  if (!vector || !marks)
    return {};
  Value isUnmarked = compare(nn::ComparePredicate::eq, marks, like(marks, 0));
  int64_t count = *knownLength(vector), length = *knownLength(marks);
  Value fits = compare(nn::ComparePredicate::eq, sum(toI64(isUnmarked)), like(marks, count));
  if (failed(c.require(fits, "the number of axes is not " + Twine(length - count))))
    return {};
  Value places = countUnmarked(marks), spread = repeat(0, length);
  for (int64_t i = 0; i < count; ++i) {
    Value isHere = compare(nn::ComparePredicate::eq, places, like(places, i));
    spread = select(isHere, part(vector, i, i + 1), spread);
  }
  return select(isUnmarked, spread, like(marks, filler));
}

//===----------------------------------------------------------------------===//
// Lengths
//===----------------------------------------------------------------------===//

std::optional<int64_t> ShapeVectors::knownLength(Value vector) {
  if (!vector)
    return std::nullopt;
  RankedTensorType type = c.typeOf(vector);
  if (type.getRank() != 1 || type.isDynamicDim(0))
    return std::nullopt;
  return type.getDimSize(0);
}

OpenRank ShapeVectors::asLong(Value vector, int64_t more) {
  return {vector ? add(toScalar(shape(vector)), more) : Value(), more, kMostChosen};
}

std::optional<int64_t> ShapeVectors::resultRank(std::optional<int64_t> known, const Twine &what,
                                                llvm::function_ref<OpenRank()> open) {
  auto rank = known ? known : c.declaredRank(0);
  if (!rank)
    rank = c.chooseRank(open(), what);
  return rank ? withinLimit(*rank, what) : std::nullopt;
}

std::optional<int64_t> ShapeVectors::withinLimit(int64_t rank, const Twine &what) {
  if (rank <= kMaxRank)
    return rank;
  (void)c.error("the result has rank " + Twine(rank) + ", as there are so many " + what + ", expected at most " +
                Twine(kMaxRank));
  return std::nullopt;
}

Value ShapeVectors::asVector(Value vector, const Twine &what) {
  if (!vector || c.rankOf(vector) == 1)
    return vector;
  (void)c.error("a tensor of rank " + Twine(c.rankOf(vector)) + " holds the " + what + ", expected a vector");
  return {};
}

Value ShapeVectors::ofLength(Value vector, int64_t length, const Twine &what) {
  return withSize(asVector(vector, what), 0, length, what);
}

Value ShapeVectors::withSize(Value tensor, int64_t dim, int64_t size, const Twine &what) {
  if (!tensor || size < 0 || !hasDimension(c.typeOf(tensor), dim))
    return {};
  int64_t known = c.typeOf(tensor).getDimSize(dim);
  if (known == size)
    return tensor;
  if (!ShapedType::isDynamic(known)) {
    (void)c.error("it has " + Twine(known) + " " + what + ", expected " + Twine(size));
    return {};
  }
  Value fits = compare(nn::ComparePredicate::eq, toScalar(this->size(tensor, dim)), scalar(size));
  if (failed(c.require(fits, "the number of " + what + " is not " + Twine(size))))
    return {};
  SmallVector<Value> sizes;
  for (int64_t i = 0; i < c.rankOf(tensor); ++i)
    sizes.push_back(i == dim ? constant(size) : this->size(tensor, i));
  return c.make<nn::ReshapeOp>(tensor, concat(sizes), /*allowzero=*/true);
}

Value ShapeVectors::filledUp(Value vector, int64_t length, Value filler, const Twine &what, bool atEnd) {
  vector = asVector(vector, what);
  if (!vector || !filler || knownLength(vector) == length)
    return vector;
  Value lacking = sub(constant(length), shape(vector));
  Value fits = compare(nn::ComparePredicate::ge, toScalar(lacking), scalar(0));
  if (failed(c.require(fits, "the number of " + what + " is above " + Twine(length))))
    return {};
  Value pads = atEnd ? concat({constant(0), lacking}) : concat({lacking, constant(0)});
  Value filled = pads ? c.make<nn::PadOp>(vector, pads, filler, nn::PadMode::Constant) : Value();
  return filled ? c.make<nn::ReshapeOp>(filled, constant(length), /*allowzero=*/true) : Value();
}

LogicalResult ShapeVectors::requireChannels(Value tensor, int64_t dim, ArrayRef<Value> vectors) {
  for (Value vector : vectors) {
    if (!tensor || !vector || c.rankOf(tensor) < 2 || c.rankOf(vector) != 1 ||
        !(c.typeOf(tensor).isDynamicDim(dim) || c.typeOf(vector).isDynamicDim(0)))
      continue;
    Value fits = compare(nn::ComparePredicate::eq, toScalar(size(vector, 0)), toScalar(size(tensor, dim)));
    if (failed(c.require(fits, "a vector has not an element for each channel")))
      return failure();
  }
  return success();
}
