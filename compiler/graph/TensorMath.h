//===- TensorMath.h - Composites written as other nn ops --------*- C++ -*-===//
//
// What patterns share that write one nn op as others: casts, sizes and constants.
// Formulas on floats are written with dialects/nn/TensorExpr.h.
//
//===----------------------------------------------------------------------===//
#ifndef NACRE_COMPILER_GRAPH_TENSORMATH_H
#define NACRE_COMPILER_GRAPH_TENSORMATH_H

#include "dialects/nn/NNOps.h"
#include "mlir/IR/Builders.h"

namespace nacre::graph {

inline mlir::RankedTensorType typeOf(mlir::Value value) { return llvm::cast<mlir::RankedTensorType>(value.getType()); }
inline mlir::Type elementOf(mlir::Value value) { return typeOf(value).getElementType(); }

class TensorMath {
public:
  using Value = mlir::Value;
  using Type = mlir::Type;

  TensorMath(mlir::OpBuilder &b, mlir::Location loc) : b(b), loc(loc) {}

  /// The result of an op with inferred types, folded.
  template <typename Op, typename... Args>
  Value make(Args &&...args) {
    return b.createOrFold<Op>(loc, std::forward<Args>(args)...);
  }

  Value cast(Value x, Type type) {
    return mlir::getElementTypeOrSelf(x) == type ? x : make<nn::CastOp>(x, type);
  }
  /// A constant of rank 0, of a float type; several i64.
  Value scalar(Type type, double value) {
    auto tensor = mlir::RankedTensorType::get({}, type);
    mlir::Attribute element = b.getFloatAttr(type, value);
    return nn::ConstantOp::create(b, loc, tensor, mlir::DenseElementsAttr::get(tensor, element));
  }
  Value ints(llvm::ArrayRef<int64_t> values) {
    auto type = mlir::RankedTensorType::get(static_cast<int64_t>(values.size()), b.getI64Type());
    return nn::ConstantOp::create(b, loc, type, mlir::DenseIntElementsAttr::get(type, values));
  }
  /// An i64 constant of rank 0.
  Value integer(int64_t value) {
    auto type = mlir::RankedTensorType::get({}, b.getI64Type());
    return nn::ConstantOp::create(b, loc, type, mlir::DenseIntElementsAttr::get(type, value));
  }

  /// A size as an i64 vector of length 1, several together, and one as a scalar.
  Value size(Value x, int64_t index) {
    auto type = llvm::cast<mlir::RankedTensorType>(x.getType());
    if (!type.isDynamicDim(index))
      return ints(type.getDimSize(index));
    return make<nn::SliceOp>(make<nn::ShapeOp>(x), ints(index), ints(index + 1), ints(1));
  }
  Value concat(llvm::ArrayRef<Value> vectors) { return make<nn::ConcatOp>(mlir::ValueRange(vectors), 0); }
  Value toScalar(Value vector) { return make<nn::SqueezeOp>(vector, llvm::ArrayRef<int64_t>(0)); }

private:
  mlir::OpBuilder &b;
  mlir::Location loc;
};

} // namespace nacre::graph

#endif // NACRE_COMPILER_GRAPH_TENSORMATH_H
