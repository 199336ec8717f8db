//===- NNAttention.cpp - Attention ------------------------------*- C++ -*-===//
#include "dialects/nn/NNOps.h"

using namespace mlir;
using namespace nacre::nn;

static RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }

LogicalResult AttentionOp::inferReturnTypes(MLIRContext *, std::optional<Location> loc, ValueRange operands,
                                            DictionaryAttr, OpaqueProperties, RegionRange,
                                            SmallVectorImpl<Type> &types) {
  RankedTensorType query = typeOf(operands[0]), key = typeOf(operands[1]), value = typeOf(operands[2]);
  for (RankedTensorType type : {query, key, value})
    if (type.getRank() != 4 || type.getElementType() != query.getElementType())
      return emitOptionalError(loc, "attention expects query, key and value of rank 4 and one type, found ",
                               type, " beside ", query);
  // A size that several operands have: what one of them knows, if they agree.
  auto common = [&](StringRef what, std::initializer_list<int64_t> sizes) -> FailureOr<int64_t> {
    int64_t known = ShapedType::kDynamic;
    for (int64_t size : sizes) {
      if (!ShapedType::isDynamic(size) && !ShapedType::isDynamic(known) && size != known)
        return emitOptionalError(loc, "attention's operands differ in the ", what, ": ", known, " and ", size);
      known = ShapedType::isDynamic(size) ? known : size;
    }
    return known;
  };
  auto batch = common("number of samples", {query.getDimSize(0), key.getDimSize(0), value.getDimSize(0)});
  auto heads = common("number of heads of key and value", {key.getDimSize(1), value.getDimSize(1)});
  auto keys = common("number of keys and values", {key.getDimSize(2), value.getDimSize(2)});
  auto depth = common("size of query and key", {query.getDimSize(3), key.getDimSize(3)});
  if (failed(batch) || failed(heads) || failed(keys) || failed(depth))
    return failure();
  int64_t queryHeads = query.getDimSize(1);
  if (!ShapedType::isDynamic(queryHeads) && !ShapedType::isDynamic(*heads) &&
      (*heads == 0 ? queryHeads != 0 : queryHeads % *heads != 0))
    return emitOptionalError(loc, "attention cannot part ", queryHeads, " heads into ", *heads, " groups");
  types.push_back(query.clone({*batch, queryHeads, query.getDimSize(2), value.getDimSize(3)}));
  types.push_back(query.clone({*batch, queryHeads, query.getDimSize(2), *keys}));
  return success();
}

LogicalResult AttentionOp::reifyResultShapes(OpBuilder &b, ReifiedRankedShapedTypeDims &dims) {
  SmallVector<OpFoldResult> query = getDims(b, getLoc(), getQuery());
  for (OpFoldResult last : {getDim(b, getLoc(), getValue(), 3), getDim(b, getLoc(), getKey(), 2)})
    dims.push_back({query[0], query[1], query[2], last});
  return success();
}

LogicalResult AttentionOp::verify() {
  ArrayRef<int64_t> scores = getScores().getType().getShape();
  if (Value mask = getMask()) {
    RankedTensorType type = typeOf(mask);
    if (!type.getElementType().isInteger(1) && type.getElementType() != getQuery().getType().getElementType())
      return emitOpError("expects a mask of booleans or of the query's type, found ") << type;
    auto broadcast = broadcastShapes(type.getShape(), scores);
    if (failed(broadcast) || failed(verifyCompatibleShape(*broadcast, scores)))
      return emitOpError("expects a mask that broadcasts to ") << getScores().getType() << ", found " << type;
  }
  for (Value vector : {getLengths(), getOffset()}) {
    if (!vector)
      continue;
    RankedTensorType type = typeOf(vector);
    bool one = vector == getOffset() && type.getRank() == 1 && type.getDimSize(0) == 1;
    if (type.getRank() != 1 || (!one && failed(verifyCompatibleShape(type.getShape(), scores.take_front()))))
      return emitOpError("expects one number for each of ") << scores[0] << " samples, found " << type;
  }
  for (auto window : {getLeftWindow(), getRightWindow()})
    if (window && int64_t(*window) < 0)
      return emitOpError("expects windows of 0 places or more, found ") << int64_t(*window);
  if (getSoftmaxType() && !isa<FloatType>(*getSoftmaxType()))
    return emitOpError("expects a softmax of floating-point numbers, found ") << *getSoftmaxType();
  return success();
}
