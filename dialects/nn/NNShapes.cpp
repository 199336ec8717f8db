//===- NNShapes.cpp - Helpers for shape inference ---------------*- C++ -*-===//
#include "dialects/nn/NNOps.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace nacre;
using namespace nacre::nn;

std::optional<SmallVector<int64_t>> nn::getConstantInts(Value value) {
  DenseIntElementsAttr attr;
  if (!value || !matchPattern(value, m_Constant(&attr)))
    return std::nullopt;
  bool isUnsigned = attr.getElementType().isUnsignedInteger();
  SmallVector<int64_t> result;
  for (const APInt &element : attr.getValues<APInt>())
    result.push_back(isUnsigned ? element.getZExtValue() : element.getSExtValue());
  return result;
}

FailureOr<SmallVector<int64_t>> nn::broadcastShapes(ArrayRef<int64_t> lhs, ArrayRef<int64_t> rhs) {
  if (lhs.size() < rhs.size())
    std::swap(lhs, rhs);
  SmallVector<int64_t> result(lhs);
  size_t offset = lhs.size() - rhs.size();
  for (auto [i, size] : llvm::enumerate(rhs)) {
    int64_t &other = result[offset + i];
    if (size == other || size == 1)
      continue;
    if (other == 1 || ShapedType::isDynamic(other))
      other = size;
    else if (!ShapedType::isDynamic(size))
      return failure();
  }
  return result;
}

OpFoldResult nn::getDim(OpBuilder &builder, Location loc, Value tensor, int64_t index) {
  auto type = cast<RankedTensorType>(tensor.getType());
  if (!type.isDynamicDim(index))
    return builder.getIndexAttr(type.getDimSize(index));
  if (auto *resolver = dynamic_cast<SizeResolver *>(builder.getListener()))
    if (OpFoldResult size = resolver->resolveDim(tensor, index))
      return size;
  return getAsOpFoldResult(
      builder.createOrFold<tensor::DimOp>(loc, tensor, static_cast<int64_t>(index)));
}

SmallVector<OpFoldResult> nn::getDims(OpBuilder &builder, Location loc, Value tensor) {
  SmallVector<OpFoldResult> dims;
  for (int64_t i = 0, e = cast<RankedTensorType>(tensor.getType()).getRank(); i < e; ++i)
    dims.push_back(getDim(builder, loc, tensor, i));
  return dims;
}

int64_t nn::getKnownSize(Value operand, int64_t index) {
  auto known = getKnownInts(operand);
  return known && (*known)[index] && *(*known)[index] >= 0 ? *(*known)[index] : ShapedType::kDynamic;
}

FailureOr<int64_t> nn::inferSize(std::optional<Location> loc, Value operand, StringRef what, int64_t index) {
  auto known = getKnownInts(operand);
  if (known && (*known)[index] && *(*known)[index] < 0)
    return emitOptionalError(loc, what, " is ", *(*known)[index], ", expected no negative number");
  return getKnownSize(operand, index);
}

SmallVector<OpFoldResult> nn::mixSizes(OpBuilder &builder, Value result,
                                       llvm::function_ref<OpFoldResult(int64_t)> dynamic) {
  SmallVector<OpFoldResult> sizes;
  for (auto [i, size] : llvm::enumerate(cast<RankedTensorType>(result.getType()).getShape()))
    sizes.push_back(ShapedType::isDynamic(size) ? dynamic(i) : OpFoldResult(builder.getIndexAttr(size)));
  return sizes;
}

LogicalResult nn::verifySizes(std::optional<Location> loc, TypeRange types) {
  for (Type type : types) {
    auto tensor = dyn_cast<RankedTensorType>(type);
    uint64_t count = 1;
    for (auto [i, size] : llvm::enumerate(tensor ? tensor.getShape() : ArrayRef<int64_t>())) {
      if (ShapedType::isDynamic(size))
        continue;
      if (size < 0)
        return emitOptionalError(loc, "dimension ", i, " of a result has the negative size ", size);
      // Zeros count as ones: no partial product is larger either.
      count = llvm::SaturatingMultiply<uint64_t>(count, std::max<int64_t>(size, 1));
      if (count > static_cast<uint64_t>(kMaxElements))
        return emitOptionalError(loc, "a result has the type ", type, ", expected at most ", kMaxElements,
                                 " elements");
    }
  }
  return success();
}

LogicalResult nn::verifyScalars(std::optional<Location> loc, ValueRange values) {
  for (Value value : values)
    if (cast<RankedTensorType>(value.getType()).getRank() != 0)
      return emitOptionalError(loc, "expected a scalar, found ", value.getType());
  return success();
}

OpFoldResult nn::getElementAsIndex(OpBuilder &builder, Location loc, Value tensor, int64_t index) {
  if (auto known = getKnownInts(tensor); known && (*known)[index])
    return builder.getIndexAttr(*(*known)[index]);
  SmallVector<Value> position;
  if (cast<RankedTensorType>(tensor.getType()).getRank() != 0)
    position.push_back(arith::ConstantIndexOp::create(builder, loc, index));
  Value element = builder.createOrFold<tensor::ExtractOp>(loc, tensor, position);
  if (auto cast = element.getDefiningOp<arith::IndexCastOp>(); cast && cast.getIn().getType().isIndex())
    return cast.getIn();
  return getAsOpFoldResult(
      builder.createOrFold<arith::IndexCastOp>(loc, builder.getIndexType(), element));
}

/// The values of expressions over constants, or nullopt where a symbol is an SSA value.
static std::optional<SmallVector<int64_t>> foldAffine(ArrayRef<AffineExpr> exprs,
                                                      ArrayRef<OpFoldResult> symbols,
                                                      MLIRContext *context) {
  SmallVector<Attribute> constants, results;
  for (OpFoldResult symbol : symbols) {
    std::optional<int64_t> value = getConstantIntValue(symbol);
    if (!value)
      return std::nullopt;
    constants.push_back(IntegerAttr::get(IndexType::get(context), *value));
  }
  AffineMap map = AffineMap::get(0, symbols.size(), exprs, context);
  if (failed(map.constantFold(constants, results)))
    return std::nullopt;
  return llvm::map_to_vector(
      results, [](Attribute result) { return cast<IntegerAttr>(result).getInt(); });
}

static Value createSizeTensor(OpBuilder &b, Location loc, ArrayRef<OpFoldResult> sizes,
                              ArrayRef<int64_t> shape) {
  auto type = RankedTensorType::get(shape, b.getI64Type());
  if (auto known = getConstantIntValues(sizes))
    return ConstantOp::create(b, loc, type, DenseIntElementsAttr::get(type, *known));
  SizeMath math(b, loc);
  SmallVector<Value> elements;
  for (OpFoldResult size : sizes)
    elements.push_back(math.valueI64(size));
  return tensor::FromElementsOp::create(b, loc, type, elements);
}

Value nn::createSizes(OpBuilder &b, Location loc, ArrayRef<OpFoldResult> sizes) {
  return createSizeTensor(b, loc, sizes, static_cast<int64_t>(sizes.size()));
}

Value nn::createSizeScalar(OpBuilder &b, Location loc, OpFoldResult size) {
  return createSizeTensor(b, loc, size, {});
}

OpFoldResult nn::computeAffine(OpBuilder &builder, Location loc, AffineExpr expr,
                               ArrayRef<OpFoldResult> symbols) {
  if (auto folded = foldAffine(expr, symbols, builder.getContext()))
    return builder.getIndexAttr(folded->front());
  return affine::makeComposedFoldedAffineApply(builder, loc, AffineMap::get(0, symbols.size(), expr),
                                               symbols);
}

OpFoldResult nn::computeAffineMin(OpBuilder &builder, Location loc, ArrayRef<AffineExpr> exprs,
                                  ArrayRef<OpFoldResult> symbols) {
  if (auto folded = foldAffine(exprs, symbols, builder.getContext()))
    return builder.getIndexAttr(*llvm::min_element(*folded));
  return affine::makeComposedFoldedAffineMin(
      builder, loc, AffineMap::get(0, symbols.size(), exprs, builder.getContext()), symbols);
}

OpFoldResult nn::computeAffineMax(OpBuilder &builder, Location loc, ArrayRef<AffineExpr> exprs,
                                  ArrayRef<OpFoldResult> symbols) {
  if (auto folded = foldAffine(exprs, symbols, builder.getContext()))
    return builder.getIndexAttr(*llvm::max_element(*folded));
  return affine::makeComposedFoldedAffineMax(
      builder, loc, AffineMap::get(0, symbols.size(), exprs, builder.getContext()), symbols);
}

bool nn::detail::areCompatibleTypes(TypeRange lhs, TypeRange rhs) {
  if (lhs.size() != rhs.size())
    return false;
  return llvm::all_of(llvm::zip(lhs, rhs), [](auto pair) {
    auto [l, r] = pair;
    auto lt = dyn_cast<ShapedType>(l), rt = dyn_cast<ShapedType>(r);
    if (!lt || !rt)
      return l == r;
    return lt.getElementType() == rt.getElementType() && succeeded(verifyCompatibleShape(lt, rt));
  });
}

LogicalResult nn::detail::inferenceError(std::optional<Location> loc, const Twine &message) {
  return emitOptionalError(loc, message);
}

LogicalResult nn::detail::inferBroadcastType(std::optional<Location> loc, TypeRange operands,
                                             Type elementType, SmallVectorImpl<Type> &types) {
  SmallVector<int64_t> shape;
  for (Type type : operands) {
    auto tensor = dyn_cast<RankedTensorType>(type);
    if (!tensor)
      return inferenceError(loc, "expected ranked tensors");
    auto joined = broadcastShapes(shape, tensor.getShape());
    if (failed(joined))
      return emitOptionalError(loc, "shapes do not broadcast: ", operands);
    shape = std::move(*joined);
  }
  if (!elementType) {
    elementType = getElementTypeOrSelf(operands.front());
    for (Type type : operands.drop_front())
      if (getElementTypeOrSelf(type) != elementType)
        return emitOptionalError(loc, "element types differ: ", operands);
  }
  types.push_back(RankedTensorType::get(shape, elementType));
  return success();
}

OpFoldResult nn::reifyBroadcastSize(OpBuilder &builder, Location loc,
                                    ArrayRef<OpFoldResult> sizes) {
  Value size;
  for (OpFoldResult candidate : sizes) {
    Value other = getValueOrCreateConstantIndexOp(builder, loc, candidate);
    if (!size || size == other) {
      size = other;
      continue;
    }
    Value one = arith::ConstantIndexOp::create(builder, loc, 1);
    Value isOne = builder.createOrFold<arith::CmpIOp>(loc, arith::CmpIPredicate::eq, size, one);
    size = builder.createOrFold<arith::SelectOp>(loc, isOne, other, size);
  }
  return getAsOpFoldResult(size);
}

LogicalResult nn::detail::reifyBroadcastShape(OpBuilder &builder, Operation *op,
                                              ReifiedRankedShapedTypeDims &dims) {
  Location loc = op->getLoc();
  auto type = cast<RankedTensorType>(op->getResult(0).getType());
  SmallVector<OpFoldResult> sizes;
  for (int64_t i = 0; i < type.getRank(); ++i) {
    if (!type.isDynamicDim(i)) {
      sizes.push_back(builder.getIndexAttr(type.getDimSize(i)));
      continue;
    }
    // Every operand that is not statically 1 here has the size, or 1.
    SmallVector<OpFoldResult> candidates;
    for (Value operand : op->getOperands()) {
      auto operandType = cast<RankedTensorType>(operand.getType());
      int64_t index = i - (type.getRank() - operandType.getRank());
      if (index >= 0 && operandType.getDimSize(index) != 1)
        candidates.push_back(getDim(builder, loc, operand, index));
    }
    sizes.push_back(reifyBroadcastSize(builder, loc, candidates));
  }
  dims.assign(op->getNumResults(), sizes);
  return success();
}
