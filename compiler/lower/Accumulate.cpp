//===- Accumulate.cpp - Arithmetic of contractions --------------*- C++ -*-===//
#include "compiler/lower/Accumulate.h"
#include "compiler/lower/Lowering.h"
#include "dialects/nn/NNShapes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace nacre;

Type lower::getAccumulatorType(Type type) {
  bool isNarrow = isa<FloatType>(type) && type.getIntOrFloatBitWidth() < 32;
  return isNarrow ? Float32Type::get(type.getContext()) : type;
}

Value lower::widen(OpBuilder &b, Location loc, Value value, Type type, bool isUnsigned) {
  if (value.getType() == type)
    return value;
  if (isa<FloatType>(type) && isa<IntegerType>(value.getType())) {
    Value wide = widen(b, loc, value, b.getI32Type(), isUnsigned);
    return arith::SIToFPOp::create(b, loc, type, wide);
  }
  if (isa<FloatType>(type))
    return arith::ExtFOp::create(b, loc, type, value);
  return isUnsigned ? arith::ExtUIOp::create(b, loc, type, value).getResult()
                    : arith::ExtSIOp::create(b, loc, type, value).getResult();
}

Value lower::narrow(OpBuilder &b, Location loc, Value value, Type type) {
  return value.getType() == type ? value : arith::TruncFOp::create(b, loc, type, value).getResult();
}

Value lower::buildAdd(OpBuilder &b, Location loc, Value lhs, Value rhs) {
  if (isa<FloatType>(lhs.getType()))
    return arith::AddFOp::create(b, loc, lhs, rhs);
  return arith::AddIOp::create(b, loc, lhs, rhs);
}

Value lower::buildMul(OpBuilder &b, Location loc, Value lhs, Value rhs) {
  if (isa<FloatType>(lhs.getType()))
    return arith::MulFOp::create(b, loc, lhs, rhs);
  return arith::MulIOp::create(b, loc, lhs, rhs);
}

lower::BodyBuilder lower::multiplyAdd(Type lhs, Type rhs) {
  return [l = lhs.isUnsignedInteger(), r = rhs.isUnsignedInteger()](OpBuilder &b, Location loc, ValueRange e) {
    Type type = e[2].getType();
    Value product = buildMul(b, loc, widen(b, loc, e[0], type, l), widen(b, loc, e[1], type, r));
    linalg::YieldOp::create(b, loc, buildAdd(b, loc, e[2], product));
  };
}

Value lower::narrowTensor(OpBuilder &b, Location loc, Value tensor, Type type) {
  auto tensorType = cast<RankedTensorType>(tensor.getType());
  if (tensorType.getElementType() == type)
    return tensor;
  int64_t rank = tensorType.getRank();
  Value empty = createEmpty(b, loc, nn::getDims(b, loc, tensor), type);
  SmallVector<AffineMap> maps(2, b.getMultiDimIdentityMap(rank));
  SmallVector<utils::IteratorType> iterators(rank, utils::IteratorType::parallel);
  return linalg::GenericOp::create(b, loc, empty.getType(), tensor, empty, maps, iterators,
                                   [&](OpBuilder &b, Location loc, ValueRange e) {
                                     linalg::YieldOp::create(b, loc, narrow(b, loc, e[0], type));
                                   })
      .getResult(0);
}
