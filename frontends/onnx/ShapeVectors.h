//===- ShapeVectors.h - Arithmetic on shapes during import ------*- C++ -*-===//
//
// Converters compute shapes, pads and positions as nn ops on small i64 vectors. What
// is constant folds as it is built; the rest becomes scalar arithmetic later.
//
// Vectors that arrive at run time may not even have a known length. What they must fit
// (the rank of an input, the rank that the model declares for an output) tells how
// many elements there can be; that there are no others is required of the run.
//
//===----------------------------------------------------------------------===//
#ifndef NACRE_FRONTENDS_ONNX_SHAPEVECTORS_H
#define NACRE_FRONTENDS_ONNX_SHAPEVECTORS_H

#include "frontends/onnx/Converter.h"

namespace nacre::frontend {

/// All functions give null after an error, and take null where one occurred before.
class ShapeVectors {
public:
  explicit ShapeVectors(NodeContext &c) : c(c) {}

  Value constant(ArrayRef<int64_t> values) { return c.intsConstant(values); }
  /// `length` times the same number.
  Value repeat(int64_t value, int64_t length);
  Value scalar(int64_t value);

  /// The sizes of a tensor; one of them as a vector of length 1.
  Value shape(Value tensor);
  Value size(Value tensor, int64_t index);

  /// Elements [begin, end) of a vector.
  Value part(Value vector, int64_t begin, int64_t end);
  Value concat(ArrayRef<Value> vectors);
  /// Vector of length 1 to scalar and back.
  Value toScalar(Value vector);
  Value toVector(Value scalar);
  /// Any number tensor of one element as an i64 scalar.
  Value toIndexScalar(Value tensor);
  /// The same elements as i64.
  Value toI64(Value tensor);
  Value cast(Value tensor, mlir::Type element);

  Value add(Value lhs, Value rhs) { return binary<nn::AddOp>(lhs, rhs); }
  Value sub(Value lhs, Value rhs) { return binary<nn::SubOp>(lhs, rhs); }
  Value mul(Value lhs, Value rhs) { return binary<nn::MulOp>(lhs, rhs); }
  Value div(Value lhs, Value rhs) { return binary<nn::DivOp>(lhs, rhs); }
  Value min(Value lhs, Value rhs) { return binary<nn::MinOp>(lhs, rhs); }
  Value max(Value lhs, Value rhs) { return binary<nn::MaxOp>(lhs, rhs); }
  Value add(Value lhs, int64_t rhs) { return add(lhs, like(lhs, rhs)); }
  Value sub(Value lhs, int64_t rhs) { return sub(lhs, like(lhs, rhs)); }
  Value mul(Value lhs, int64_t rhs) { return mul(lhs, like(lhs, rhs)); }
  Value div(Value lhs, int64_t rhs) { return div(lhs, like(lhs, rhs)); }
  Value max(Value lhs, int64_t rhs) { return max(lhs, like(lhs, rhs)); }
  Value compare(nn::ComparePredicate predicate, Value lhs, Value rhs);
  Value select(Value condition, Value yes, Value no);

  /// `base` with `updates` at `positions`, negative ones counted from the end.
  Value scatter(Value base, Value positions, Value updates);
  /// A scalar, as many times as `shape` says.
  Value broadcast(Value scalar, Value shape);
  /// The first elements of a vector. Required: `count`, a vector of length 1 and the
  /// number of `what`, is not above its length.
  Value first(Value vector, Value count, const Twine &what);
  /// The elements at `positions`.
  Value pick(Value vector, Value positions);
  /// Axes that may be negative, brought into [0, rank). Required: they are in
  /// [-rank, rank).
  Value normalize(Value axes, int64_t rank);
  /// Sum of a vector, its largest element: scalars.
  Value sum(Value vector);
  Value maximum(Value vector);
  /// Whether all of a vector of booleans hold: a boolean scalar.
  Value all(Value conditions);

  /// The three sizes of a tensor whose dimensions before `axis` (a vector of length 1)
  /// are merged, and those after it: what runs along an axis that arrives at run time
  /// runs along the second. Required: the axis is in [-rank, rank).
  Value sizesAround(Value tensor, Value axis);
  /// How many times each of `rank` dimensions is named by `axes`, which may be of any
  /// length. Required: axes in [-rank, rank), none given twice.
  Value marks(Value axes, int64_t rank);
  /// The elements whose mark is 0, in their order. Required: there are `count`.
  Value unmarked(Value vector, Value marks, int64_t count);
  /// The other way: the elements of `vector` where the mark is 0, else `filler`.
  /// Required: they are as many.
  Value spread(Value vector, Value marks, int64_t filler);

  /// The number of elements of a vector, if it is known.
  std::optional<int64_t> knownLength(Value vector);
  /// The rank of the node's result: the known one, or else what the model declares, or what a run
  /// may have (NodeContext::chooseRank), as the number of `what` would tell it if it were known.
  std::optional<int64_t> resultRank(std::optional<int64_t> known, const Twine &what, llvm::function_ref<OpenRank()> open);
  /// The rank itself; an error if it is above the limit.
  std::optional<int64_t> withinLimit(int64_t rank, const Twine &what);
  /// A rank that is as many as a vector has elements, and `more`.
  OpenRank asLong(Value vector, int64_t more = 0);
  /// The vector itself; an error if it is of another rank.
  Value asVector(Value vector, const Twine &what);
  /// The vector with a known length; a tensor with a known size in one dimension.
  /// Required: it has that length, or size, in elements that are called `what`.
  Value ofLength(Value vector, int64_t length, const Twine &what);
  Value withSize(Value tensor, int64_t dim, int64_t size, const Twine &what);
  /// Required, where types leave it open: vectors have an element for each channel of a tensor, in dimension `dim`. What
  /// types tell, the op checks.
  LogicalResult requireChannels(Value tensor, int64_t dim, ArrayRef<Value> vectors);
  /// The vector behind as many fillers as it lacks (`atEnd`: before them). Required: it
  /// is not longer.
  Value filledUp(Value vector, int64_t length, Value filler, const Twine &what,
                 bool atEnd = true);

  /// Above it, a rank that only a run tells is refused by the run.
  static constexpr int64_t kMostChosen = 8;

private:
  template <typename Op> Value binary(Value lhs, Value rhs) {
    return lhs && rhs ? c.make<Op>(lhs, rhs) : Value();
  }
  Value like(Value vector, int64_t value);
  /// Whether there is one; an error of the node if not.
  bool hasDimension(RankedTensorType type, int64_t index);
  /// For each mark, how many before it are 0.
  Value countUnmarked(Value marks);

  NodeContext &c;
};

} // namespace nacre::frontend

#endif // NACRE_FRONTENDS_ONNX_SHAPEVECTORS_H
