//===- NNRegions.cpp - Regions of images ------------------------*- C++ -*-===//
#include "dialects/nn/Expr.h"
#include "dialects/nn/NNChecks.h"
#include "dialects/nn/NNOps.h"
#include "dialects/nn/NNSizeMath.h"

using namespace mlir;
using namespace nacre::nn;

static RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }

//===----------------------------------------------------------------------===//
// RoiAlignOp, MaxRoiPoolOp
//===----------------------------------------------------------------------===//

/// [regions, channels, height, width]
static LogicalResult inferRegions(std::optional<Location> loc, RankedTensorType input, RankedTensorType rois,
                                  int64_t columns, int64_t height, int64_t width, SmallVectorImpl<Type> &types) {
  if (input.getRank() != 4)
    return emitOptionalError(loc, "expected images [N, C, H, W], found ", input);
  if (rois.getRank() != 2 || failed(verifyCompatibleDims({rois.getDimSize(1), columns})))
    return emitOptionalError(loc, "expected regions of ", columns, " numbers, found ", rois);
  if (height < 1 || width < 1)
    return emitOptionalError(loc, "expected a positive size, found ", height, " x ", width);
  types.push_back(input.clone({rois.getDimSize(0), input.getDimSize(1), height, width}));
  return success();
}

static SmallVector<OpFoldResult> reifyRegions(OpBuilder &b, Location loc, Value result, Value input, Value rois) {
  return mixSizes(b, result, [&](int64_t i) {
    return i == 0 ? getDim(b, loc, rois, 0) : getDim(b, loc, input, 1);
  });
}

LogicalResult RoiAlignOp::inferReturnTypes(MLIRContext *context, std::optional<Location> loc,
                                           ValueRange operands, DictionaryAttr attributes,
                                           OpaqueProperties properties, RegionRange regions,
                                           SmallVectorImpl<Type> &types) {
  Adaptor adaptor(operands, attributes, properties, regions);
  RankedTensorType images = typeOf(operands[2]), rois = typeOf(operands[1]);
  if (images.getRank() != 1 ||
      (rois.getRank() == 2 && failed(verifyCompatibleDims({images.getDimSize(0), rois.getDimSize(0)}))))
    return emitOptionalError(loc, "expected one image for each region, found ", operands[2].getType());
  if (static_cast<int64_t>(adaptor.getSamplingRatio()) < 0)
    return emitOptionalError(loc, "the sampling ratio is negative");
  return inferRegions(loc, typeOf(operands[0]), typeOf(operands[1]), 4, adaptor.getHeight(),
                      adaptor.getWidth(), types);
}

LogicalResult RoiAlignOp::reifyResultShapes(OpBuilder &b, ReifiedRankedShapedTypeDims &dims) {
  dims.push_back(reifyRegions(b, getLoc(), getResult(), getInput(), getRois()));
  return success();
}

OpOperand &RoiAlignOp::getIndexOperand() { return getIndicesMutable(); }
bool RoiAlignOp::isInBounds() { return getInBounds(); }
void RoiAlignOp::markInBounds() { setInBounds(true); }
Value RoiAlignOp::buildIndexLimit(OpBuilder &b) {
  return createSizeScalar(b, getLoc(), getDim(b, getLoc(), getInput(), 0));
}

/// What the regions of nn.roi_align and of the ops beside it must be.
template <typename Op>
static void checkRegions(OpBuilder &b, Op op, SmallVectorImpl<RuntimeCheck> &checks) {
  SizeMath m(b, op.getLoc());
  checkSame(m, m.dim(op.getRois(), 0), m.dim(op.getIndices(), 0), "there is not one image for each region", checks);
  checkSame(m, m.dim(op.getRois(), 1), m.constant(4), "a region has not four numbers", checks);
}

void RoiAlignOp::buildChecks(OpBuilder &b, SmallVectorImpl<RuntimeCheck> &checks) {
  SizeMath m(b, getLoc());
  checkRegions(b, *this, checks);
  checkNotEmpty(m, ArrayRef(m.dims(getInput())).drop_front(2), checks);
}

KernelRole RoiAlignOp::getKernelRole() { return KernelRole::Indexed; }

LogicalResult MaxRoiPoolOp::inferReturnTypes(MLIRContext *context, std::optional<Location> loc,
                                             ValueRange operands, DictionaryAttr attributes,
                                             OpaqueProperties properties, RegionRange regions,
                                             SmallVectorImpl<Type> &types) {
  Adaptor adaptor(operands, attributes, properties, regions);
  return inferRegions(loc, typeOf(operands[0]), typeOf(operands[1]), 5, adaptor.getHeight(),
                      adaptor.getWidth(), types);
}

LogicalResult MaxRoiPoolOp::reifyResultShapes(OpBuilder &b, ReifiedRankedShapedTypeDims &dims) {
  dims.push_back(reifyRegions(b, getLoc(), getResult(), getInput(), getRois()));
  return success();
}

template <typename Op>
static void checkPooledRegions(OpBuilder &b, Op op, SmallVectorImpl<RuntimeCheck> &checks) {
  Location loc = op.getLoc();
  SizeMath m(b, loc);
  checkSame(m, m.dim(op.getRois(), 1), m.constant(5), "a region has not five numbers", checks);
  SmallVector<OpFoldResult> sizes = m.dims(op.getInput());
  checkNotEmpty(m, {sizes[0], sizes[2], sizes[3]}, checks);
  // The first of each region's numbers.
  auto vector = [&](int64_t rows, int64_t columns) {
    return createSizes(b, loc, {m.constant(rows), m.constant(columns)});
  };
  Value images = SliceOp::create(b, loc, op.getRois(), vector(0, 0), vector(INT64_MAX, 1), vector(1, 1));
  pushRangeCheck(b, loc, images, m.sub(sizes[0], m.constant(1)), "a region is of an image that is not there", checks);
}

void MaxRoiPoolOp::buildChecks(OpBuilder &b, SmallVectorImpl<RuntimeCheck> &checks) {
  checkPooledRegions(b, *this, checks);
}

KernelRole MaxRoiPoolOp::getKernelRole() { return KernelRole::Indexed; }

//===----------------------------------------------------------------------===//
// RoiSpreadOp, RoiAlignPlacesOp, MaxRoiPoolPlacesOp
//===----------------------------------------------------------------------===//

LogicalResult RoiSpreadOp::inferReturnTypes(MLIRContext *context, std::optional<Location> loc, ValueRange operands,
                                            DictionaryAttr attributes, OpaqueProperties properties,
                                            RegionRange regions, SmallVectorImpl<Type> &types) {
  Adaptor adaptor(operands, attributes, properties, regions);
  RankedTensorType input = typeOf(operands[0]), rois = typeOf(operands[1]), images = typeOf(operands[2]);
  int64_t height = adaptor.getHeight(), width = adaptor.getWidth();
  if (images.getRank() != 1 || static_cast<int64_t>(adaptor.getSamplingRatio()) < 0)
    return emitOptionalError(loc, "expected one image for each region and a sampling ratio that is not negative");
  if (input.getRank() != 4 || height < 1 || width < 1 ||
      failed(verifyCompatibleShape(input.getShape().drop_front(2), ArrayRef<int64_t>{height, width})))
    return emitOptionalError(loc, "expected regions of ", height, " x ", width, " cells, found ", input);
  if (rois.getRank() != 2 ||
      failed(verifyCompatibleShape(rois.getShape(), ArrayRef<int64_t>{input.getDimSize(0), 4})) ||
      failed(verifyCompatibleDims({images.getDimSize(0), input.getDimSize(0)})))
    return emitOptionalError(loc, "expected four numbers and one image for each region, found ", rois, " and ", images);
  SmallVector<int64_t> shape;
  for (int64_t i = 0; i < 3; ++i) {
    FailureOr<int64_t> size = inferSize(loc, operands[3], "a size of the images", i);
    if (failed(size))
      return failure();
    shape.push_back(*size);
  }
  shape.insert(shape.begin() + 1, input.getDimSize(1));
  types.push_back(input.clone(shape));
  return success();
}

LogicalResult RoiSpreadOp::reifyResultShapes(OpBuilder &b, ReifiedRankedShapedTypeDims &dims) {
  dims.push_back(mixSizes(b, getResult(), [&](int64_t i) {
    return i == 1 ? getDim(b, getLoc(), getInput(), 1) : getElementAsIndex(b, getLoc(), getSizes(), i == 0 ? 0 : i - 1);
  }));
  return success();
}

void RoiSpreadOp::buildChecks(OpBuilder &b, SmallVectorImpl<RuntimeCheck> &checks) {
  SizeMath m(b, getLoc());
  checkRegions(b, *this, checks);
  checkSame(m, m.dim(getSizes(), 0), m.constant(3), "there are not three sizes of images", checks);
  checkSame(m, m.dim(getInput(), 0), m.dim(getRois(), 0), "there are not cells for each region", checks);
  checkSame(m, m.dim(getInput(), 2), m.constant(getHeight()), "a region has another number of cells", checks);
  checkSame(m, m.dim(getInput(), 3), m.constant(getWidth()), "a region has another number of cells", checks);
  checkNotEmpty(m, {m.element(getSizes(), 0), m.element(getSizes(), 1), m.element(getSizes(), 2)}, checks);
}

SmallVector<unsigned> RoiSpreadOp::getShapeOperands() { return {3}; }
KernelRole RoiSpreadOp::getKernelRole() { return KernelRole::Alone; }

LogicalResult RoiAlignPlacesOp::inferReturnTypes(MLIRContext *context, std::optional<Location> loc,
                                                 ValueRange operands, DictionaryAttr attributes,
                                                 OpaqueProperties properties, RegionRange regions,
                                                 SmallVectorImpl<Type> &types) {
  Adaptor adaptor(operands, attributes, properties, regions);
  RankedTensorType images = typeOf(operands[2]), rois = typeOf(operands[1]);
  if (images.getRank() != 1 || static_cast<int64_t>(adaptor.getSamplingRatio()) < 0 ||
      (rois.getRank() == 2 && failed(verifyCompatibleDims({images.getDimSize(0), rois.getDimSize(0)}))))
    return emitOptionalError(loc, "expected one image for each region and a sampling ratio that is not negative");
  if (failed(inferRegions(loc, typeOf(operands[0]), rois, 4, adaptor.getHeight(), adaptor.getWidth(), types)))
    return failure();
  auto cells = cast<RankedTensorType>(types[0]);
  types.assign({cells.clone(IntegerType::get(context, 64)), cells.clone(getComputeType(cells.getElementType()))});
  return success();
}

LogicalResult RoiAlignPlacesOp::reifyResultShapes(OpBuilder &b, ReifiedRankedShapedTypeDims &dims) {
  for (Value result : getResults())
    dims.push_back(reifyRegions(b, getLoc(), result, getInput(), getRois()));
  return success();
}

void RoiAlignPlacesOp::buildChecks(OpBuilder &b, SmallVectorImpl<RuntimeCheck> &checks) {
  SizeMath m(b, getLoc());
  checkRegions(b, *this, checks);
  SmallVector<OpFoldResult> sizes = m.dims(getInput());
  checkNotEmpty(m, {sizes[0], sizes[2], sizes[3]}, checks);
}

KernelRole RoiAlignPlacesOp::getKernelRole() { return KernelRole::Alone; }

LogicalResult MaxRoiPoolPlacesOp::inferReturnTypes(MLIRContext *context, std::optional<Location> loc,
                                                   ValueRange operands, DictionaryAttr attributes,
                                                   OpaqueProperties properties, RegionRange regions,
                                                   SmallVectorImpl<Type> &types) {
  Adaptor adaptor(operands, attributes, properties, regions);
  if (failed(inferRegions(loc, typeOf(operands[0]), typeOf(operands[1]), 5, adaptor.getHeight(), adaptor.getWidth(),
                          types)))
    return failure();
  types[0] = cast<RankedTensorType>(types[0]).clone(IntegerType::get(context, 64));
  return success();
}

LogicalResult MaxRoiPoolPlacesOp::reifyResultShapes(OpBuilder &b, ReifiedRankedShapedTypeDims &dims) {
  dims.push_back(reifyRegions(b, getLoc(), getResult(), getInput(), getRois()));
  return success();
}

void MaxRoiPoolPlacesOp::buildChecks(OpBuilder &b, SmallVectorImpl<RuntimeCheck> &checks) {
  checkPooledRegions(b, *this, checks);
}

KernelRole MaxRoiPoolPlacesOp::getKernelRole() { return KernelRole::Indexed; }
