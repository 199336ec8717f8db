//===- Contrib.h - What converters of com.microsoft share -------*- C++ -*-===//
//
// ONNX has no schema for these operators, so converters look at their inputs themselves.
//
//===----------------------------------------------------------------------===//
#ifndef NACRE_FRONTENDS_ONNX_CONTRIB_H
#define NACRE_FRONTENDS_ONNX_CONTRIB_H

#include "frontends/onnx/ShapeVectors.h"

namespace nacre::frontend::contrib {

inline constexpr llvm::StringLiteral kDomain = "com.microsoft";

/// There are `least` inputs or more, all of the first `least` are given, and there are at most
/// `most`.
LogicalResult checkInputs(NodeContext &c, unsigned least, unsigned most);
/// The input has that rank.
LogicalResult checkRank(NodeContext &c, unsigned index, int64_t rank);

/// lhs + rhs, and lhs if there is no rhs.
Value addIfThere(NodeContext &c, Value lhs, Value rhs);
/// The tensor with other sizes; null for null.
Value reshape(NodeContext &c, Value tensor, ArrayRef<Value> sizes);
Value transpose(NodeContext &c, Value tensor, ArrayRef<int64_t> permutation);
/// Elements [begin, end) of a dimension.
Value cut(NodeContext &c, Value tensor, int64_t axis, Value begin, Value end);

// The families.
void registerAttention(ConverterTable &table);
void registerQuantized(ConverterTable &table);

} // namespace nacre::frontend::contrib

#endif // NACRE_FRONTENDS_ONNX_CONTRIB_H
