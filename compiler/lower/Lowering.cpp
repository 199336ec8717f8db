//===- Lowering.cpp - What lowering patterns share --------------*- C++ -*-===//
#include "compiler/lower/Lowering.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace nacre;

static Type convertElementType(Type type) {
  if (type.isInteger(1))
    return IntegerType::get(type.getContext(), 8);
  if (type.isUnsignedInteger())
    return IntegerType::get(type.getContext(), type.getIntOrFloatBitWidth());
  return type;
}

lower::StorageTypeConverter::StorageTypeConverter() {
  addConversion([](Type type) { return type; });
  addConversion([](RankedTensorType type) -> Type {
    return type.clone(convertElementType(type.getElementType()));
  });
  auto cast = [](OpBuilder &b, Type type, ValueRange inputs, Location loc) -> Value {
    return UnrealizedConversionCastOp::create(b, loc, type, inputs).getResult(0);
  };
  addSourceMaterialization(cast);
  addTargetMaterialization(cast);
}

Value lower::loadElement(OpBuilder &b, Location loc, Value stored, Type original) {
  if (!original.isInteger(1) || stored.getType().isInteger(1))
    return stored;
  Value zero = arith::ConstantOp::create(b, loc, b.getZeroAttr(stored.getType()));
  return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ne, stored, zero);
}

Value lower::storeElement(OpBuilder &b, Location loc, Value element, Type original) {
  if (!original.isInteger(1) || !element.getType().isInteger(1))
    return element;
  return arith::ExtUIOp::create(b, loc, b.getI8Type(), element);
}

SmallVector<OpFoldResult> lower::resultSizes(OpBuilder &b, Operation *op, unsigned index) {
  ReifiedRankedShapedTypeDims dims;
  LogicalResult reified = reifyResultShapes(b, op, dims);
  assert(succeeded(reified) && "every nn op reifies its result shapes");
  (void)reified;
  return dims[index];
}

Value lower::createEmpty(OpBuilder &b, Location loc, ArrayRef<OpFoldResult> sizes, Type elementType) {
  return tensor::EmptyOp::create(b, loc, sizes, elementType);
}

Value lower::createFilled(OpBuilder &b, Location loc, ArrayRef<OpFoldResult> sizes, Value scalar) {
  Value empty = createEmpty(b, loc, sizes, scalar.getType());
  return linalg::FillOp::create(b, loc, scalar, empty).getResult(0);
}

Value lower::createPadded(OpBuilder &b, Location loc, Value tensor, ArrayRef<OpFoldResult> low,
                          ArrayRef<OpFoldResult> high, TypedAttr scalar) {
  if (llvm::all_of(llvm::concat<const OpFoldResult>(low, high),
                   [](OpFoldResult size) { return isConstantIntValue(size, 0); }))
    return tensor;
  Value padding = arith::ConstantOp::create(b, loc, scalar);
  return tensor::PadOp::create(b, loc, /*resultType=*/Type(), tensor, low, high, padding);
}

Value lower::castTo(OpBuilder &b, Location loc, Value tensor, Type type) {
  return tensor.getType() == type ? tensor : tensor::CastOp::create(b, loc, type, tensor).getResult();
}
