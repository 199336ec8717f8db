//===- Quantized.h - Values that are scaled integers ------------*- C++ -*-===//
//
// What the passes share that multiply such values as the integers that they are.
//
//===----------------------------------------------------------------------===//
#ifndef NACRE_COMPILER_GRAPH_QUANTIZED_H
#define NACRE_COMPILER_GRAPH_QUANTIZED_H

#include "compiler/graph/TensorMath.h"
#include <optional>

namespace nacre::graph {

/// scale * (values - zero): of i32 without a scale.
struct Quantized {
  mlir::Value values;      ///< 8-bit integers.
  mlir::Value zero, scale; ///< i32 and a float; null: 0 and 1.

  bool isUnsigned() const { return elementOf(values).isUnsignedInteger(); }
};

bool isByte(mlir::Value value);

/// A product with a scale, or a difference of i32, as what it was dequantised from.
std::optional<Quantized> getQuantized(mlir::Value value);

/// The zero point of the same values in the other sign; nothing if it is not one constant.
std::optional<int64_t> getOtherZero(const Quantized &quantized);
void changeSign(TensorMath &m, mlir::OpBuilder &b, Quantized &quantized);
/// What of a product has to change its sign for x86, which multiplies unsigned by signed bytes: constant weights if
/// both are unsigned, the values if both are signed. Null: nothing, or it cannot.
Quantized *findWrongSign(Quantized &values, Quantized &weights);

/// Sums of so many products of bytes that an i32 holds any of them.
inline bool fitsSum(int64_t steps) { return !mlir::ShapedType::isDynamic(steps) && steps <= INT32_MAX / (255 * 255); }

/// scale * numbers, numbers that `type`, of 8 bits, holds.
struct Narrow {
  mlir::Value numbers;
  mlir::Type type;
  mlir::Value scale;
};

/// A product with a scale of numbers that are such, by what is known of them.
std::optional<Narrow> getNarrow(mlir::Value value);

} // namespace nacre::graph

#endif // NACRE_COMPILER_GRAPH_QUANTIZED_H
