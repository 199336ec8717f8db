//===- NNText.cpp - Strings, and what the host library does -----*- C++ -*-===//
#include "dialects/nn/NNOps.h"
#include "dialects/nn/NNSizeMath.h"

using namespace mlir;
using namespace nacre::nn;

static RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }

//===----------------------------------------------------------------------===//
// StringConstantOp
//===----------------------------------------------------------------------===//

LogicalResult StringConstantOp::verify() {
  if (static_cast<int64_t>(getValues().size()) != cast<RankedTensorType>(getType()).getNumElements())
    return emitOpError("has ") << getValues().size() << " strings for " << getType();
  return success();
}

KernelRole StringConstantOp::getKernelRole() { return KernelRole::Host; }

//===----------------------------------------------------------------------===//
// StringNormalizeOp
//===----------------------------------------------------------------------===//

LogicalResult StringNormalizeOp::inferReturnTypes(MLIRContext *context, std::optional<Location> loc,
                                                  ValueRange operands, DictionaryAttr, OpaqueProperties,
                                                  RegionRange, SmallVectorImpl<Type> &types) {
  auto input = typeOf(operands[0]);
  for (Value operand : operands)
    if (typeOf(operand).getRank() != 1)
      return emitOptionalError(loc, "expected vectors of strings, found ", operand.getType());
  int64_t size = input.getDimSize(0);
  types.push_back(input.clone({ShapedType::isDynamic(size) ? size : std::max<int64_t>(size, 1)}));
  types.push_back(RankedTensorType::get({}, IntegerType::get(context, 64)));
  return success();
}

LogicalResult StringNormalizeOp::reifyResultShapes(OpBuilder &b, ReifiedRankedShapedTypeDims &dims) {
  SizeMath m(b, getLoc());
  auto words = typeOf(getWords());
  dims.push_back({words.isDynamicDim(0) ? m.max(m.dim(getInput(), 0), m.constant(1))
                                        : m.constant(words.getDimSize(0))});
  dims.emplace_back();
  return success();
}

//===----------------------------------------------------------------------===//
// StringCountPiecesOp, StringSplitOp
//===----------------------------------------------------------------------===//

LogicalResult StringCountPiecesOp::inferReturnTypes(MLIRContext *context, std::optional<Location> loc,
                                                    ValueRange operands, DictionaryAttr, OpaqueProperties,
                                                    RegionRange, SmallVectorImpl<Type> &types) {
  if (failed(verifyScalars(loc, operands[1])))
    return failure();
  types.push_back(typeOf(operands[0]).clone(IntegerType::get(context, 64)));
  return success();
}

LogicalResult StringCountPiecesOp::reifyResultShapes(OpBuilder &b, ReifiedRankedShapedTypeDims &dims) {
  dims.push_back(getDims(b, getLoc(), getInput()));
  return success();
}

LogicalResult StringSplitOp::inferReturnTypes(MLIRContext *, std::optional<Location> loc, ValueRange operands,
                                              DictionaryAttr, OpaqueProperties, RegionRange,
                                              SmallVectorImpl<Type> &types) {
  if (failed(verifyScalars(loc, operands.drop_front())))
    return failure();
  auto known = getKnownInts(operands[2]);
  SmallVector<int64_t> shape(typeOf(operands[0]).getShape());
  shape.push_back(known && (*known)[0] && *(*known)[0] >= 0 ? *(*known)[0] : ShapedType::kDynamic);
  types.push_back(typeOf(operands[0]).clone(shape));
  return success();
}

LogicalResult StringSplitOp::reifyResultShapes(OpBuilder &b, ReifiedRankedShapedTypeDims &dims) {
  SizeMath m(b, getLoc());
  SmallVector<OpFoldResult> sizes = getDims(b, getLoc(), getInput());
  int64_t last = typeOf(getResult()).getShape().back();
  // Negative counts, which no import makes, leave no room.
  sizes.push_back(ShapedType::isDynamic(last) ? m.max(m.element(getCount(), 0), m.constant(0)) : m.constant(last));
  dims.push_back(std::move(sizes));
  return success();
}

SmallVector<unsigned> StringSplitOp::getShapeOperands() { return {2}; }

//===----------------------------------------------------------------------===//
// StringBytesOp, DecodeImageOp
//===----------------------------------------------------------------------===//

LogicalResult StringBytesOp::inferReturnTypes(MLIRContext *context, std::optional<Location> loc, ValueRange operands,
                                              DictionaryAttr, OpaqueProperties, RegionRange,
                                              SmallVectorImpl<Type> &types) {
  if (failed(verifyScalars(loc, operands)))
    return failure();
  auto known = getKnownInts(operands[1]);
  int64_t count = known && (*known)[0] && *(*known)[0] >= 0 ? *(*known)[0] : ShapedType::kDynamic;
  types.push_back(RankedTensorType::get({count}, IntegerType::get(context, 8, IntegerType::Unsigned)));
  return success();
}

LogicalResult StringBytesOp::reifyResultShapes(OpBuilder &b, ReifiedRankedShapedTypeDims &dims) {
  SizeMath m(b, getLoc());
  int64_t size = typeOf(getResult()).getDimSize(0);
  dims.push_back({ShapedType::isDynamic(size) ? m.max(m.element(getCount(), 0), m.constant(0)) : m.constant(size)});
  return success();
}

SmallVector<unsigned> StringBytesOp::getShapeOperands() { return {1}; }

LogicalResult DecodeImageOp::inferReturnTypes(MLIRContext *context, std::optional<Location> loc, ValueRange operands,
                                              DictionaryAttr, OpaqueProperties, RegionRange,
                                              SmallVectorImpl<Type> &types) {
  if (typeOf(operands[0]).getRank() != 1)
    return emitOptionalError(loc, "expected the bytes of a file, found ", operands[0].getType());
  types.push_back(RankedTensorType::get({}, StringType::get(context)));
  types.push_back(RankedTensorType::get({3}, IntegerType::get(context, 64)));
  return success();
}

LogicalResult DecodeImageOp::reifyResultShapes(OpBuilder &b, ReifiedRankedShapedTypeDims &dims) {
  dims.emplace_back();
  dims.push_back({b.getIndexAttr(3)});
  return success();
}

//===----------------------------------------------------------------------===//
// LookupOp
//===----------------------------------------------------------------------===//

LogicalResult LookupOp::verify() {
  auto keys = typeOf(getKeys()), values = typeOf(getValues()), otherwise = typeOf(getOtherwise());
  if (keys.getRank() != 1 || keys.getElementType() != typeOf(getInput()).getElementType())
    return emitOpError("expects a vector of keys of the input's type, found ") << keys;
  if (values.getRank() != 1 || failed(verifyCompatibleShape(keys.getShape(), values.getShape())))
    return emitOpError("expects a value for each key, found ") << values << " for " << keys;
  if (otherwise.getRank() != 0 || otherwise.getElementType() != values.getElementType())
    return emitOpError("expects a scalar of the values' type, found ") << otherwise;
  return success();
}

//===----------------------------------------------------------------------===//
// NgramsOp
//===----------------------------------------------------------------------===//

LogicalResult NgramsOp::inferReturnTypes(MLIRContext *context, std::optional<Location> loc, ValueRange operands,
                                         DictionaryAttr, OpaqueProperties properties, RegionRange,
                                         SmallVectorImpl<Type> &types) {
  auto input = typeOf(operands[0]), pool = typeOf(operands[1]);
  if (input.getRank() == 0)
    return emitOptionalError(loc, "expected rows of words, found ", input);
  bool isText = isa<StringType>(input.getElementType());
  if (pool.getRank() != 1 || (isText ? pool.getElementType() != input.getElementType()
                                     : !pool.getElementType().isSignlessInteger(64)) ||
      (!isText && !input.getElementType().isSignlessInteger(32) && !input.getElementType().isSignlessInteger(64)))
    return emitOptionalError(loc, "expected words and n-grams of one kind, found ", input, " and ", pool);
  SmallVector<int64_t> shape(input.getShape());
  shape.back() = properties.as<Properties *>()->getSize().getInt();
  types.push_back(RankedTensorType::get(shape, Float32Type::get(context)));
  return success();
}

LogicalResult NgramsOp::reifyResultShapes(OpBuilder &b, ReifiedRankedShapedTypeDims &dims) {
  SmallVector<OpFoldResult> sizes = getDims(b, getLoc(), getInput());
  sizes.back() = b.getIndexAttr(getSize());
  dims.push_back(std::move(sizes));
  return success();
}
