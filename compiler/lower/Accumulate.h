//===- Accumulate.h - Arithmetic of contractions ----------------*- C++ -*-===//
//
// Sums of products: narrow floats are summed in f32 and rounded once, at the end;
// integers wrap around in their own width.
//
//===----------------------------------------------------------------------===//
#ifndef NACRE_COMPILER_LOWER_ACCUMULATE_H
#define NACRE_COMPILER_LOWER_ACCUMULATE_H

#include "mlir/IR/Builders.h"
#include "mlir/IR/ValueRange.h"
#include <functional>

namespace nacre::lower {

/// The type in which a sum over elements of `type` is kept.
mlir::Type getAccumulatorType(mlir::Type type);

/// A scalar in the wider float or integer `type`, an integer of up to 32 bits also in a float; unchanged
/// if it has it already.
mlir::Value widen(mlir::OpBuilder &b, mlir::Location loc, mlir::Value value, mlir::Type type, bool isUnsigned = false);
/// A scalar rounded to the narrower float `type`; unchanged if it has it already.
mlir::Value narrow(mlir::OpBuilder &b, mlir::Location loc, mlir::Value value, mlir::Type type);

/// Sum, product of two scalars of one type, float or integer.
mlir::Value buildAdd(mlir::OpBuilder &b, mlir::Location loc, mlir::Value lhs, mlir::Value rhs);
mlir::Value buildMul(mlir::OpBuilder &b, mlir::Location loc, mlir::Value lhs, mlir::Value rhs);

/// Body of a contraction of elements of two nn types: yields e[2] + e[0] * e[1] in the type of e[2].
using BodyBuilder = std::function<void(mlir::OpBuilder &, mlir::Location, mlir::ValueRange)>;
BodyBuilder multiplyAdd(mlir::Type lhs, mlir::Type rhs);

/// A tensor converted element by element to `type` (narrow), if it has another.
mlir::Value narrowTensor(mlir::OpBuilder &b, mlir::Location loc, mlir::Value tensor, mlir::Type type);

} // namespace nacre::lower

#endif // NACRE_COMPILER_LOWER_ACCUMULATE_H
