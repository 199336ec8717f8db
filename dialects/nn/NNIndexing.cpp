//===- NNIndexing.cpp - Reading and writing at computed places --*- C++ -*-===//
#include "dialects/nn/NNMovement.h"
#include "dialects/nn/NNOps.h"
#include "dialects/nn/NNSizeMath.h"

using namespace mlir;
using namespace nacre::nn;

using Predicate = SizeMath::Predicate;

static RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }

/// The known positions of a tensor of indices, brought into [0, limit); `limitOf` gives
/// the limit of each. Fails if one is unknown or out of range.
static FailureOr<SmallVector<int64_t>> getKnownPositions(Value indices,
                                                         llvm::function_ref<int64_t(size_t)> limitOf) {
  auto known = getKnownInts(indices);
  if (!known)
    return failure();
  SmallVector<int64_t> positions;
  for (auto [i, index] : llvm::enumerate(*known)) {
    if (!index)
      return failure();
    int64_t limit = limitOf(i), position = *index < 0 ? *index + limit : *index;
    if (position < 0 || position >= limit)
      return failure();
    positions.push_back(position);
  }
  return positions;
}

/// Reports sizes of `lhs` and `rhs` that are known to differ.
static LogicalResult verifySameSize(std::optional<Location> loc, int64_t lhs, int64_t rhs, StringRef what) {
  if (lhs == rhs || ShapedType::isDynamic(lhs) || ShapedType::isDynamic(rhs))
    return success();
  return emitOptionalError(loc, what, ": sizes ", lhs, " and ", rhs, " differ");
}

/// Adds the check that two sizes are equal (or, with `atMost`, lhs ≤ rhs), unless known.
static void checkSizes(SizeMath &m, OpFoldResult lhs, OpFoldResult rhs, bool atMost, const Twine &text,
                       SmallVectorImpl<RuntimeCheck> &checks) {
  if (!isSameSize(lhs, rhs))
    checks.push_back({m.compare(atMost ? Predicate::sle : Predicate::eq, lhs, rhs), RuntimeCheck::Shape,
                      text.str()});
}

//===----------------------------------------------------------------------===//
// CheckedIndexOp
//===----------------------------------------------------------------------===//

LogicalResult CheckedIndexOp::inferReturnTypes(MLIRContext *, std::optional<Location> loc,
                                               ValueRange operands, DictionaryAttr, OpaqueProperties,
                                               RegionRange, SmallVectorImpl<Type> &types) {
  if (typeOf(operands[1]).getRank() > typeOf(operands[0]).getRank() ||
      failed(broadcastShapes(typeOf(operands[0]).getShape(), typeOf(operands[1]).getShape())))
    return emitOptionalError(loc, "the limit ", typeOf(operands[1]), " does not broadcast to ",
                             typeOf(operands[0]));
  types.push_back(operands[0].getType());
  return success();
}

LogicalResult CheckedIndexOp::reifyResultShapes(OpBuilder &b, ReifiedRankedShapedTypeDims &dims) {
  dims.push_back(getDims(b, getLoc(), getIndices()));
  return success();
}

OpFoldResult CheckedIndexOp::fold(FoldAdaptor adaptor) {
  auto limits = getKnownInts(getLimit());
  if (!limits || !isa_and_present<DenseElementsAttr>(adaptor.getIndices()) || limits->empty() ||
      !llvm::all_of(*limits, [](auto limit) { return limit.has_value(); }))
    return {};
  // A vector of limits belongs to the last dimension.
  auto positions = getKnownPositions(getIndices(), [&](size_t i) { return *(*limits)[i % limits->size()]; });
  if (failed(positions))
    return {};
  auto type = cast<RankedTensorType>(getType());
  unsigned width = type.getElementTypeBitWidth();
  SmallVector<APInt> values;
  for (int64_t position : *positions)
    values.push_back(APInt(width, position, /*isSigned=*/false, /*implicitTrunc=*/true));
  return DenseElementsAttr::get(type, values);
}

//===----------------------------------------------------------------------===//
// GatherOp
//===----------------------------------------------------------------------===//

LogicalResult GatherOp::inferReturnTypes(MLIRContext *, std::optional<Location> loc, ValueRange operands,
                                         DictionaryAttr, OpaqueProperties properties, RegionRange,
                                         SmallVectorImpl<Type> &types) {
  auto data = typeOf(operands[0]), indices = typeOf(operands[1]);
  int64_t axis = properties.as<Properties *>()->getAxis().getInt();
  if (axis < 0 || axis >= data.getRank())
    return emitOptionalError(loc, "gather along dimension ", axis, " of ", data);
  SmallVector<int64_t> shape(data.getShape().take_front(axis));
  llvm::append_range(shape, indices.getShape());
  llvm::append_range(shape, data.getShape().drop_front(axis + 1));
  types.push_back(data.clone(shape));
  return success();
}

LogicalResult GatherOp::reifyResultShapes(OpBuilder &b, ReifiedRankedShapedTypeDims &dims) {
  SmallVector<OpFoldResult> sizes = getDims(b, getLoc(), getData());
  SmallVector<OpFoldResult> indices = getDims(b, getLoc(), getIndices());
  auto *at = sizes.erase(sizes.begin() + getAxis());
  sizes.insert(at, indices.begin(), indices.end());
  dims.push_back(std::move(sizes));
  return success();
}

LogicalResult GatherOp::getElementSources(SmallVectorImpl<ElementSource> &sources) {
  int64_t axis = getAxis(), indexRank = getIndices().getType().getRank();
  auto data = getData().getType();
  if (data.isDynamicDim(axis))
    return failure();
  auto positions = getKnownPositions(getIndices(), [&](size_t) { return data.getDimSize(axis); });
  if (failed(positions))
    return failure();
  return pushMappedSources(*this, [&](ArrayRef<int64_t> to, MutableArrayRef<int64_t> from) {
    llvm::copy(to.take_front(axis), from.begin());
    from[axis] = (*positions)[linearIndex(to.slice(axis, indexRank), getIndices().getType().getShape())];
    llvm::copy(to.drop_front(axis + indexRank), from.begin() + axis + 1);
  }, sources);
}

OpFoldResult GatherOp::fold(FoldAdaptor adaptor) {
  // The elements of a dimension that was resized to what it was.
  Value indices = getIndices();
  if (auto squeeze = indices.getDefiningOp<SqueezeOp>())
    indices = squeeze.getInput();
  if (auto table = indices.getDefiningOp<ResizeTableOp>();
      table && table.getInterpolation() == Interpolation::Nearest && table.isIdentity() &&
      getData().getType() == getType())
    return getData();
  return foldMovement(*this, adaptor.getOperands());
}

Value GatherOp::buildIndexLimit(OpBuilder &b) {
  return createSizeScalar(b, getLoc(), getDim(b, getLoc(), getData(), getAxis()));
}

void GatherOp::buildChecks(OpBuilder &, SmallVectorImpl<RuntimeCheck> &) {}

KernelRole GatherOp::getKernelRole() { return KernelRole::Indexed; }

//===----------------------------------------------------------------------===//
// GatherElementsOp
//===----------------------------------------------------------------------===//

/// In every dimension but `axis`, indices are at most as large as the data.
static LogicalResult verifyElementwiseIndices(std::optional<Location> loc, RankedTensorType data,
                                              RankedTensorType indices, int64_t axis) {
  if (axis < 0 || axis >= data.getRank())
    return emitOptionalError(loc, "dimension ", axis, " of ", data, " does not exist");
  if (indices.getRank() != data.getRank())
    return emitOptionalError(loc, "expected indices of the data's rank ", data.getRank(), ", found ", indices);
  for (auto [i, size, limit] : llvm::enumerate(indices.getShape(), data.getShape()))
    if (static_cast<int64_t>(i) != axis && !ShapedType::isDynamic(size) && !ShapedType::isDynamic(limit) &&
        size > limit)
      return emitOptionalError(loc, "indices ", indices, " are larger than ", data, " in dimension ", i);
  return success();
}

static void checkElementwiseIndices(OpBuilder &b, Location loc, Value data, Value indices, int64_t axis,
                                    SmallVectorImpl<RuntimeCheck> &checks) {
  SizeMath m(b, loc);
  for (int64_t i = 0, rank = typeOf(data).getRank(); i < rank; ++i)
    if (i != axis)
      checkSizes(m, m.dim(indices, i), m.dim(data, i), /*atMost=*/true,
                 "the indices are larger than the data in dimension " + Twine(i), checks);
}

LogicalResult GatherElementsOp::inferReturnTypes(MLIRContext *, std::optional<Location> loc,
                                                 ValueRange operands, DictionaryAttr,
                                                 OpaqueProperties properties, RegionRange,
                                                 SmallVectorImpl<Type> &types) {
  auto data = typeOf(operands[0]), indices = typeOf(operands[1]);
  if (failed(verifyElementwiseIndices(loc, data, indices, properties.as<Properties *>()->getAxis().getInt())))
    return failure();
  types.push_back(data.clone(indices.getShape()));
  return success();
}

LogicalResult GatherElementsOp::reifyResultShapes(OpBuilder &b, ReifiedRankedShapedTypeDims &dims) {
  dims.push_back(getDims(b, getLoc(), getIndices()));
  return success();
}

LogicalResult GatherElementsOp::getElementSources(SmallVectorImpl<ElementSource> &sources) {
  auto data = getData().getType();
  int64_t axis = getAxis();
  if (data.isDynamicDim(axis))
    return failure();
  auto positions = getKnownPositions(getIndices(), [&](size_t) { return data.getDimSize(axis); });
  if (failed(positions))
    return failure();
  return pushMappedSources(*this, [&](ArrayRef<int64_t> to, MutableArrayRef<int64_t> from) {
    llvm::copy(to, from.begin());
    from[axis] = (*positions)[linearIndex(to, getIndices().getType().getShape())];
  }, sources);
}

OpFoldResult GatherElementsOp::fold(FoldAdaptor adaptor) { return foldMovement(*this, adaptor.getOperands()); }

Value GatherElementsOp::buildIndexLimit(OpBuilder &b) {
  return createSizeScalar(b, getLoc(), getDim(b, getLoc(), getData(), getAxis()));
}

void GatherElementsOp::buildChecks(OpBuilder &b, SmallVectorImpl<RuntimeCheck> &checks) {
  checkElementwiseIndices(b, getLoc(), getData(), getIndices(), getAxis(), checks);
}

KernelRole GatherElementsOp::getKernelRole() { return KernelRole::Indexed; }

//===----------------------------------------------------------------------===//
// GatherNdOp
//===----------------------------------------------------------------------===//

/// The length of index tuples, which must be static.
static FailureOr<int64_t> getTupleLength(std::optional<Location> loc, RankedTensorType data,
                                         RankedTensorType indices, int64_t batchDims) {
  if (indices.getRank() == 0 || ShapedType::isDynamic(indices.getShape().back()))
    return emitOptionalError(loc, "expected indices whose last dimension is static, found ", indices);
  int64_t length = indices.getShape().back();
  if (batchDims < 0 || batchDims >= indices.getRank() || length > data.getRank() - batchDims)
    return emitOptionalError(loc, "index tuples of length ", length, " after ", batchDims,
                             " shared dimensions do not fit ", data);
  return length;
}

static Value createTupleLimit(OpBuilder &b, Location loc, Value data, int64_t first, int64_t length) {
  SmallVector<OpFoldResult> limits;
  for (int64_t i = 0; i < length; ++i)
    limits.push_back(getDim(b, loc, data, first + i));
  return createSizes(b, loc, limits);
}

LogicalResult GatherNdOp::inferReturnTypes(MLIRContext *context, std::optional<Location> loc,
                                           ValueRange operands, DictionaryAttr attributes,
                                           OpaqueProperties properties, RegionRange regions,
                                           SmallVectorImpl<Type> &types) {
  Adaptor adaptor(operands, attributes, properties, regions);
  auto data = typeOf(operands[0]), indices = typeOf(operands[1]);
  int64_t batchDims = adaptor.getBatchDims();
  auto length = getTupleLength(loc, data, indices, batchDims);
  if (failed(length))
    return failure();
  SmallVector<int64_t> shape(indices.getShape().drop_back());
  for (int64_t i = 0; i < batchDims; ++i) {
    if (failed(verifySameSize(loc, data.getDimSize(i), shape[i], "shared dimension")))
      return failure();
    if (ShapedType::isDynamic(shape[i]))
      shape[i] = data.getDimSize(i);
  }
  llvm::append_range(shape, data.getShape().drop_front(batchDims + *length));
  types.push_back(data.clone(shape));
  return success();
}

LogicalResult GatherNdOp::reifyResultShapes(OpBuilder &b, ReifiedRankedShapedTypeDims &dims) {
  SmallVector<OpFoldResult> sizes = getDims(b, getLoc(), getIndices());
  sizes.pop_back();
  int64_t first = getBatchDims() + getIndices().getType().getShape().back();
  llvm::append_range(sizes, ArrayRef(getDims(b, getLoc(), getData())).drop_front(first));
  auto type = cast<RankedTensorType>(getType());
  for (auto [size, known] : llvm::zip(sizes, type.getShape()))
    if (!ShapedType::isDynamic(known))
      size = b.getIndexAttr(known);
  dims.push_back(std::move(sizes));
  return success();
}

LogicalResult GatherNdOp::getElementSources(SmallVectorImpl<ElementSource> &sources) {
  auto data = getData().getType(), indices = getIndices().getType();
  int64_t batchDims = getBatchDims(), length = indices.getShape().back(), lead = indices.getRank() - 1;
  if (!isFollowed(getData()) || length == 0)
    return failure();
  auto positions = getKnownPositions(getIndices(), [&](size_t i) {
    return data.getDimSize(batchDims + i % length);
  });
  if (failed(positions))
    return failure();
  return pushMappedSources(*this, [&](ArrayRef<int64_t> to, MutableArrayRef<int64_t> from) {
    llvm::copy(to.take_front(batchDims), from.begin());
    int64_t tuple = linearIndex(to.take_front(lead), indices.getShape().drop_back());
    for (int64_t i = 0; i < length; ++i)
      from[batchDims + i] = (*positions)[tuple * length + i];
    llvm::copy(to.drop_front(lead), from.begin() + batchDims + length);
  }, sources);
}

OpFoldResult GatherNdOp::fold(FoldAdaptor adaptor) { return foldMovement(*this, adaptor.getOperands()); }

Value GatherNdOp::buildIndexLimit(OpBuilder &b) {
  return createTupleLimit(b, getLoc(), getData(), getBatchDims(), getIndices().getType().getShape().back());
}

void GatherNdOp::buildChecks(OpBuilder &b, SmallVectorImpl<RuntimeCheck> &checks) {
  SizeMath m(b, getLoc());
  for (int64_t i = 0; i < static_cast<int64_t>(getBatchDims()); ++i)
    checkSizes(m, m.dim(getData(), i), m.dim(getIndices(), i), /*atMost=*/false,
               "data and indices differ in dimension " + Twine(i), checks);
}

KernelRole GatherNdOp::getKernelRole() { return KernelRole::Indexed; }

//===----------------------------------------------------------------------===//
// ScatterElementsOp
//===----------------------------------------------------------------------===//

/// Strings can only be replaced.
static LogicalResult verifyReduction(std::optional<Location> loc, RankedTensorType data,
                                     ScatterReduction reduction) {
  if (isa<StringType>(data.getElementType()) && reduction != ScatterReduction::Replace)
    return emitOptionalError(loc, "strings cannot be joined by '", stringifyScatterReduction(reduction), "'");
  return success();
}

LogicalResult ScatterElementsOp::inferReturnTypes(MLIRContext *, std::optional<Location> loc,
                                                  ValueRange operands, DictionaryAttr,
                                                  OpaqueProperties properties, RegionRange,
                                                  SmallVectorImpl<Type> &types) {
  auto data = typeOf(operands[0]), indices = typeOf(operands[1]), updates = typeOf(operands[2]);
  if (failed(verifyElementwiseIndices(loc, data, indices, properties.as<Properties *>()->getAxis().getInt())) ||
      failed(verifyReduction(loc, data, properties.as<Properties *>()->getReduction())))
    return failure();
  if (updates.getElementType() != data.getElementType() ||
      failed(verifyCompatibleShape(updates.getShape(), indices.getShape())))
    return emitOptionalError(loc, "expected updates of the shape of the indices ", indices,
                             " and the type of the data ", data, ", found ", updates);
  types.push_back(data);
  return success();
}

LogicalResult ScatterElementsOp::reifyResultShapes(OpBuilder &b, ReifiedRankedShapedTypeDims &dims) {
  dims.push_back(getDims(b, getLoc(), getData()));
  return success();
}

LogicalResult ScatterElementsOp::getElementSources(SmallVectorImpl<ElementSource> &sources) {
  auto data = getData().getType();
  int64_t axis = getAxis();
  if (getReduction() != ScatterReduction::Replace || !isFollowed(getUpdates()) || data.isDynamicDim(axis))
    return failure();
  auto positions = getKnownPositions(getIndices(), [&](size_t) { return data.getDimSize(axis); });
  if (failed(positions) || failed(pushSameSources(*this, sources)))
    return failure();
  auto updates = getUpdates().getType().getShape();
  SmallVector<int64_t> at;
  forEachIndex(updates, [&](ArrayRef<int64_t> index) {
    int64_t update = linearIndex(index, updates);
    at.assign(index.begin(), index.end());
    at[axis] = (*positions)[update];
    sources[linearIndex(at, data.getShape())] = {2, update};
  });
  return success();
}

OpFoldResult ScatterElementsOp::fold(FoldAdaptor adaptor) { return foldMovement(*this, adaptor.getOperands()); }

Value ScatterElementsOp::buildIndexLimit(OpBuilder &b) {
  return createSizeScalar(b, getLoc(), getDim(b, getLoc(), getData(), getAxis()));
}

void ScatterElementsOp::buildChecks(OpBuilder &b, SmallVectorImpl<RuntimeCheck> &checks) {
  SizeMath m(b, getLoc());
  checkElementwiseIndices(b, getLoc(), getData(), getIndices(), getAxis(), checks);
  for (int64_t i = 0, rank = getData().getType().getRank(); i < rank; ++i)
    checkSizes(m, m.dim(getUpdates(), i), m.dim(getIndices(), i), /*atMost=*/false,
               "updates and indices differ in dimension " + Twine(i), checks);
}

KernelRole ScatterElementsOp::getKernelRole() { return KernelRole::Update; }

//===----------------------------------------------------------------------===//
// ScatterNdOp
//===----------------------------------------------------------------------===//

LogicalResult ScatterNdOp::inferReturnTypes(MLIRContext *, std::optional<Location> loc, ValueRange operands,
                                            DictionaryAttr, OpaqueProperties properties, RegionRange,
                                            SmallVectorImpl<Type> &types) {
  auto data = typeOf(operands[0]), indices = typeOf(operands[1]), updates = typeOf(operands[2]);
  auto length = getTupleLength(loc, data, indices, 0);
  if (failed(length) || failed(verifyReduction(loc, data, properties.as<Properties *>()->getReduction())))
    return failure();
  SmallVector<int64_t> expected(indices.getShape().drop_back());
  llvm::append_range(expected, data.getShape().drop_front(*length));
  if (updates.getElementType() != data.getElementType() ||
      failed(verifyCompatibleShape(updates.getShape(), expected)))
    return emitOptionalError(loc, "expected updates of type ", data.clone(expected), ", found ", updates);
  types.push_back(data);
  return success();
}

LogicalResult ScatterNdOp::reifyResultShapes(OpBuilder &b, ReifiedRankedShapedTypeDims &dims) {
  dims.push_back(getDims(b, getLoc(), getData()));
  return success();
}

LogicalResult ScatterNdOp::getElementSources(SmallVectorImpl<ElementSource> &sources) {
  auto data = getData().getType(), indices = getIndices().getType();
  int64_t length = indices.getShape().back(), lead = indices.getRank() - 1;
  if (getReduction() != ScatterReduction::Replace || !isFollowed(getUpdates()) || !isFollowed(getData()) ||
      length == 0)
    return failure();
  auto positions = getKnownPositions(getIndices(), [&](size_t i) { return data.getDimSize(i % length); });
  if (failed(positions) || failed(pushSameSources(*this, sources)))
    return failure();
  auto updates = getUpdates().getType().getShape();
  SmallVector<int64_t> at(data.getRank());
  forEachIndex(updates, [&](ArrayRef<int64_t> index) {
    int64_t tuple = linearIndex(index.take_front(lead), indices.getShape().drop_back());
    for (int64_t i = 0; i < length; ++i)
      at[i] = (*positions)[tuple * length + i];
    llvm::copy(index.drop_front(lead), at.begin() + length);
    sources[linearIndex(at, data.getShape())] = {2, linearIndex(index, updates)};
  });
  return success();
}

OpFoldResult ScatterNdOp::fold(FoldAdaptor adaptor) { return foldMovement(*this, adaptor.getOperands()); }

Value ScatterNdOp::buildIndexLimit(OpBuilder &b) {
  return createTupleLimit(b, getLoc(), getData(), 0, getIndices().getType().getShape().back());
}

void ScatterNdOp::buildChecks(OpBuilder &b, SmallVectorImpl<RuntimeCheck> &checks) {
  SizeMath m(b, getLoc());
  SmallVector<OpFoldResult> expected = m.dims(getIndices()), data = m.dims(getData());
  expected.pop_back();
  llvm::append_range(expected, ArrayRef(data).drop_front(getIndices().getType().getShape().back()));
  for (auto [i, size] : llvm::enumerate(expected))
    checkSizes(m, m.dim(getUpdates(), i), size, /*atMost=*/false,
               "the updates' size of dimension " + Twine(i) + " does not fit data and indices", checks);
}

KernelRole ScatterNdOp::getKernelRole() { return KernelRole::Update; }
