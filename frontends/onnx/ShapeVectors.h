//===- ShapeVectors.h - Arithmetic on shapes during import ------*- C++ -*-===//
//
// Converters compute shapes, pads and positions as nn ops on small i64 vectors. What
// is constant folds as it is built; the rest becomes scalar arithmetic later.
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
  /// The elements at `positions`.
  Value pick(Value vector, Value positions);
  /// Axes that may be negative, brought into [0, rank).
  Value normalize(Value axes, int64_t rank);
  /// The positions in [0, length) that are not among `positions` (of static length),
  /// rising.
  Value others(Value positions, int64_t length);

  /// The number of elements of a vector, or an error if it is not known.
  std::optional<int64_t> length(Value vector, StringRef what);

private:
  template <typename Op> Value binary(Value lhs, Value rhs) {
    return lhs && rhs ? c.make<Op>(lhs, rhs) : Value();
  }
  Value like(Value vector, int64_t value);

  NodeContext &c;
};

} // namespace nacre::frontend

#endif // NACRE_FRONTENDS_ONNX_SHAPEVECTORS_H
