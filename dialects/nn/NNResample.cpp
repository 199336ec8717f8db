//===- NNResample.cpp - Interpolation between elements ----------*- C++ -*-===//
#include "dialects/nn/NNChecks.h"
#include "dialects/nn/NNMovement.h"
#include "dialects/nn/NNOps.h"
#include "dialects/nn/NNSizeMath.h"
#include "dialects/nn/NNVectors.h"
#include "dialects/nn/NNWindow.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace nacre::nn;

using Predicate = SizeMath::Predicate;

static RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }

//===----------------------------------------------------------------------===//
// ResizeTableOp
//===----------------------------------------------------------------------===//

LogicalResult ResizeTableOp::inferReturnTypes(MLIRContext *context, std::optional<Location> loc,
                                              ValueRange operands, DictionaryAttr, OpaqueProperties,
                                              RegionRange, SmallVectorImpl<Type> &types) {
  for (auto [i, operand] : llvm::enumerate(operands))
    if (i != 2 && typeOf(operand).getRank() != 0)
      return emitOptionalError(loc, "expected a scalar, found ", operand.getType());
  if (typeOf(operands[2]).getShape() != ArrayRef<int64_t>{2})
    return emitOptionalError(loc, "expected begin and end of a region, found ", operands[2].getType());
  FailureOr<int64_t> count = inferSize(loc, operands[1], "the new size"),
                     taps = inferSize(loc, operands[3], "the number of taps");
  if (failed(count) || failed(taps))
    return failure();
  types.push_back(RankedTensorType::get({*count, *taps}, IntegerType::get(context, 64)));
  types.push_back(RankedTensorType::get({*count, *taps}, Float32Type::get(context)));
  types.push_back(RankedTensorType::get(ArrayRef(*count), IntegerType::get(context, 1)));
  return success();
}

LogicalResult ResizeTableOp::reifyResultShapes(OpBuilder &b, ReifiedRankedShapedTypeDims &dims) {
  auto sizeOf = [&](int64_t i) { return getElementAsIndex(b, getLoc(), i == 0 ? getCount() : getTaps(), 0); };
  dims.push_back(mixSizes(b, getIndices(), sizeOf));
  dims.push_back(mixSizes(b, getWeights(), sizeOf));
  dims.push_back(mixSizes(b, getOutside(), sizeOf));
  return success();
}

void ResizeTableOp::buildChecks(OpBuilder &b, SmallVectorImpl<RuntimeCheck> &checks) {
  SizeMath m(b, getLoc());
  auto require = [&](Predicate predicate, Value scalar, int64_t limit, StringRef text) {
    checks.push_back({m.compare(predicate, m.element(scalar, 0), m.constant(limit)), RuntimeCheck::Value,
                      text.str()});
  };
  require(Predicate::sge, getCount(), 0, "the new size is negative");
  require(Predicate::sge, getTaps(), 1, "no element is looked at");
  // Nothing but nothing can be made of nothing.
  Value some = m.compare(Predicate::sgt, m.element(getSize(), 0), m.constant(0));
  Value none = m.compare(Predicate::eq, m.element(getCount(), 0), m.constant(0));
  checks.push_back({b.createOrFold<arith::OrIOp>(getLoc(), some, none), RuntimeCheck::Shape,
                    "a dimension without elements cannot become larger"});
}

bool ResizeTableOp::isIdentity() {
  if (getScale() || getCoordinates() == CoordinateMode::TfCropAndResize ||
      getCoordinates() == CoordinateMode::TfHalfPixelForNn)
    return false;
  auto scalarOf = [](Value tensor) -> OpFoldResult {
    auto known = getKnownInts(tensor);
    if (known && (*known)[0])
      return Builder(tensor.getContext()).getIndexAttr(*(*known)[0]);
    auto whole = tensor.getDefiningOp<tensor::FromElementsOp>();
    return whole ? OpFoldResult(whole.getElements()[0]) : OpFoldResult();
  };
  OpFoldResult size = scalarOf(getSize()), count = scalarOf(getCount());
  return size && count && isSameSize(size, count);
}

SmallVector<unsigned> ResizeTableOp::getShapeOperands() { return {0, 1, 3}; }
KernelRole ResizeTableOp::getKernelRole() { return KernelRole::Alone; }

//===----------------------------------------------------------------------===//
// ResampleOp
//===----------------------------------------------------------------------===//

LogicalResult ResampleOp::inferReturnTypes(MLIRContext *, std::optional<Location> loc, ValueRange operands,
                                           DictionaryAttr, OpaqueProperties properties, RegionRange,
                                           SmallVectorImpl<Type> &types) {
  auto input = typeOf(operands[0]), indices = typeOf(operands[1]), weights = typeOf(operands[2]);
  int64_t axis = properties.as<Properties *>()->getAxis().getInt();
  if (axis < 0 || axis >= input.getRank())
    return emitOptionalError(loc, "resample along dimension ", axis, " of ", input);
  if (indices.getRank() != 2 || failed(verifyCompatibleShape(indices.getShape(), weights.getShape())))
    return emitOptionalError(loc, "expected indices and weights of one shape of rank 2, found ", indices,
                             " and ", weights);
  SmallVector<int64_t> shape(input.getShape());
  shape[axis] = ShapedType::isDynamic(indices.getDimSize(0)) ? weights.getDimSize(0) : indices.getDimSize(0);
  types.push_back(input.clone(shape));
  return success();
}

LogicalResult ResampleOp::reifyResultShapes(OpBuilder &b, ReifiedRankedShapedTypeDims &dims) {
  int64_t axis = getAxis();
  dims.push_back(mixSizes(b, getResult(), [&](int64_t i) {
    return i == axis ? getDim(b, getLoc(), getIndices(), 0) : getDim(b, getLoc(), getInput(), i);
  }));
  return success();
}

void ResampleOp::buildChecks(OpBuilder &b, SmallVectorImpl<RuntimeCheck> &checks) {
  SizeMath m(b, getLoc());
  for (int64_t i = 0; i < 2; ++i)
    checkSame(m, m.dim(getIndices(), i), m.dim(getWeights(), i), "indices and weights differ in shape", checks);
  Value some = m.compare(Predicate::sgt, m.dim(getInput(), getAxis()), m.constant(0));
  Value none = m.compare(Predicate::eq, m.dim(getIndices(), 0), m.constant(0));
  checks.push_back({b.createOrFold<arith::OrIOp>(getLoc(), some, none), RuntimeCheck::Shape,
                    "a dimension without elements cannot become larger"});
}

OpFoldResult ResampleOp::fold(FoldAdaptor) {
  auto table = getIndices().getDefiningOp<ResizeTableOp>();
  if (table && table == getWeights().getDefiningOp<ResizeTableOp>() && table.isIdentity() &&
      getInput().getType() == getType())
    return getInput();
  return {};
}

KernelRole ResampleOp::getKernelRole() { return KernelRole::Indexed; }

//===----------------------------------------------------------------------===//
// GridSampleOp
//===----------------------------------------------------------------------===//

LogicalResult GridSampleOp::inferReturnTypes(MLIRContext *context, std::optional<Location> loc,
                                             ValueRange operands, DictionaryAttr attributes,
                                             OpaqueProperties properties, RegionRange regions,
                                             SmallVectorImpl<Type> &types) {
  Adaptor adaptor(operands, attributes, properties, regions);
  auto input = typeOf(operands[0]), grid = typeOf(operands[1]);
  int64_t rank = input.getRank();
  if (rank < 3 || grid.getRank() != rank ||
      failed(verifyCompatibleDims({grid.getShape().back(), rank - 2})))
    return emitOptionalError(loc, "a grid ", grid, " does not fit ", input);
  if (failed(verifyCompatibleDims({grid.getDimSize(0), input.getDimSize(0)})))
    return emitOptionalError(loc, "input and grid have different batch sizes: ", input, " and ", grid);
  if (adaptor.getInterpolation() == Interpolation::Cubic && rank > 4)
    return emitOptionalError(loc, "cubic interpolation of more than two dimensions");
  if (grid.getElementType().isF64() && !input.getElementType().isF64())
    return emitOptionalError(loc, "a grid of f64 needs an input of f64, found ", input);
  SmallVector<int64_t> shape(input.getShape().take_front(2));
  if (ShapedType::isDynamic(shape[0]))
    shape[0] = grid.getDimSize(0);
  llvm::append_range(shape, grid.getShape().drop_front().drop_back());
  types.push_back(input.clone(shape));
  return success();
}

LogicalResult GridSampleOp::reifyResultShapes(OpBuilder &b, ReifiedRankedShapedTypeDims &dims) {
  dims.push_back(mixSizes(b, getResult(), [&](int64_t i) {
    return i < 2 ? getDim(b, getLoc(), getInput(), i) : getDim(b, getLoc(), getGrid(), i - 1);
  }));
  return success();
}

void GridSampleOp::buildChecks(OpBuilder &b, SmallVectorImpl<RuntimeCheck> &checks) {
  SizeMath m(b, getLoc());
  int64_t rank = typeOf(getInput()).getRank();
  checkSame(m, m.dim(getInput(), 0), m.dim(getGrid(), 0), "input and grid have different batch sizes", checks);
  checkSame(m, m.dim(getGrid(), rank - 1), m.constant(rank - 2), "the grid has not one coordinate for each dimension",
            checks);
  checkNotEmpty(m, ArrayRef(m.dims(getInput())).drop_front(2), checks);
}

KernelRole GridSampleOp::getKernelRole() { return KernelRole::Indexed; }

//===----------------------------------------------------------------------===//
// Col2ImOp
//===----------------------------------------------------------------------===//

LogicalResult Col2ImOp::inferReturnTypes(MLIRContext *context, std::optional<Location> loc, ValueRange operands,
                                         DictionaryAttr attributes, OpaqueProperties properties,
                                         RegionRange regions, SmallVectorImpl<Type> &types) {
  Adaptor adaptor(operands, attributes, properties, regions);
  auto input = typeOf(operands[0]);
  FailureOr<int64_t> length = inferLength(loc, operands[1], "the image's shape"),
                     blockLength = inferLength(loc, operands[2], "the block's shape");
  if (failed(length) || failed(blockLength))
    return failure();
  int64_t n = *length;
  if (input.getRank() != 3)
    return emitOptionalError(loc, "expected blocks [N, C * block, L], found ", input);
  if (ShapedType::isDynamic(n) || *blockLength != n)
    return emitOptionalError(loc, "expected image and block of one static length, found ", operands[1].getType(),
                             " and ", operands[2].getType());
  if (failed(verifyWindow(loc, n, adaptor.getStrides(), adaptor.getDilations(), adaptor.getPads())))
    return failure();
  int64_t channels = input.getDimSize(1);
  for (int64_t i = 0; i < n; ++i) {
    int64_t block = getKnownSize(operands[2], i);
    if (ShapedType::isDynamic(block) || ShapedType::isDynamic(channels))
      channels = ShapedType::kDynamic;
    else if (block == 0 || channels % block != 0)
      return emitOptionalError(loc, "dimension 1 of ", input, " does not hold whole blocks");
    else
      channels /= block;
  }
  SmallVector<int64_t> shape{input.getDimSize(0), channels};
  for (int64_t i = 0; i < n; ++i) {
    FailureOr<int64_t> size = inferSize(loc, operands[1], "a size of the image", i);
    if (failed(size))
      return failure();
    shape.push_back(*size);
  }
  types.push_back(input.clone(shape));
  return success();
}

static OpFoldResult getBlockSize(SizeMath &m, Value block) {
  SmallVector<OpFoldResult> sizes;
  for (int64_t i = 0; i < typeOf(block).getDimSize(0); ++i)
    sizes.push_back(m.element(block, i));
  return m.product(sizes);
}

LogicalResult Col2ImOp::reifyResultShapes(OpBuilder &b, ReifiedRankedShapedTypeDims &dims) {
  SizeMath m(b, getLoc());
  dims.push_back(mixSizes(b, getResult(), [&](int64_t i) {
    return i == 0   ? m.dim(getInput(), 0)
           : i == 1 ? m.div(m.dim(getInput(), 1), getBlockSize(m, getBlock()))
                    : m.element(getImage(), i - 2);
  }));
  return success();
}

void Col2ImOp::buildChecks(OpBuilder &b, SmallVectorImpl<RuntimeCheck> &checks) {
  SizeMath m(b, getLoc());
  int64_t n = typeOf(getImage()).getDimSize(0);
  SmallVector<OpFoldResult> places;
  for (int64_t i = 0; i < n; ++i) {
    OpFoldResult image = m.element(getImage(), i), block = m.element(getBlock(), i);
    checks.push_back({m.compare(Predicate::sge, image, m.constant(0)), RuntimeCheck::Value, "an image size is negative"});
    checks.push_back({m.compare(Predicate::sgt, block, m.constant(0)), RuntimeCheck::Value, "a block size is not positive"});
    OpFoldResult extent = m.add(m.mul(m.sub(block, m.constant(1)), m.constant(getDilations()[i])), m.constant(1));
    OpFoldResult padded = m.add(image, m.constant(getPads()[i] + getPads()[n + i]));
    OpFoldResult room = m.max(m.add(m.sub(padded, extent), m.constant(getStrides()[i])), m.constant(0));
    places.push_back(m.div(room, m.constant(getStrides()[i])));
  }
  checkSame(m, m.product(places), m.dim(getInput(), 2), "the number of blocks does not fit the image", checks);
  OpFoldResult blockSize = getBlockSize(m, getBlock()), total = m.dim(getInput(), 1);
  checkSame(m, m.mul(m.div(total, blockSize), blockSize), total, "dimension 1 does not hold whole blocks", checks);
}

SmallVector<unsigned> Col2ImOp::getShapeOperands() { return {1, 2}; }
KernelRole Col2ImOp::getKernelRole() { return KernelRole::Indexed; }

//===----------------------------------------------------------------------===//
// CacheWriteOp
//===----------------------------------------------------------------------===//

LogicalResult CacheWriteOp::inferReturnTypes(MLIRContext *context, std::optional<Location> loc,
                                             ValueRange operands, DictionaryAttr attributes,
                                             OpaqueProperties properties, RegionRange regions,
                                             SmallVectorImpl<Type> &types) {
  Adaptor adaptor(operands, attributes, properties, regions);
  auto cache = typeOf(operands[0]), update = typeOf(operands[1]);
  int64_t axis = adaptor.getAxis();
  if (axis < 1 || axis >= cache.getRank())
    return emitOptionalError(loc, "cache_write along dimension ", axis, " of ", cache);
  if (update.getRank() != cache.getRank() || update.getElementType() != cache.getElementType())
    return emitOptionalError(loc, "an update ", update, " does not fit the cache ", cache);
  for (auto [i, size, room] : llvm::enumerate(update.getShape(), cache.getShape()))
    if (!ShapedType::isDynamic(size) && !ShapedType::isDynamic(room) &&
        (static_cast<int64_t>(i) == axis ? size > room : size != room))
      return emitOptionalError(loc, "an update ", update, " does not fit the cache ", cache);
  auto positions = typeOf(operands[2]);
  if (positions.getRank() != 1 || failed(verifyCompatibleDims({positions.getDimSize(0), cache.getDimSize(0)})))
    return emitOptionalError(loc, "expected one position for each batch entry, found ", positions);
  types.push_back(cache);
  return success();
}

LogicalResult CacheWriteOp::reifyResultShapes(OpBuilder &b, ReifiedRankedShapedTypeDims &dims) {
  dims.push_back(getDims(b, getLoc(), getCache()));
  return success();
}

OpOperand &CacheWriteOp::getIndexOperand() { return getPositionsMutable(); }
bool CacheWriteOp::isInBounds() { return getInBounds() || getCircular(); }
void CacheWriteOp::markInBounds() { setInBounds(true); }
Value CacheWriteOp::buildIndexLimit(OpBuilder &b) {
  SizeMath m(b, getLoc());
  OpFoldResult last = m.sub(m.dim(getCache(), getAxis()), m.dim(getUpdate(), getAxis()));
  return createSizeScalar(b, getLoc(), m.add(last, m.constant(1)));
}

void CacheWriteOp::buildChecks(OpBuilder &b, SmallVectorImpl<RuntimeCheck> &checks) {
  SizeMath m(b, getLoc());
  for (int64_t i = 0, axis = getAxis(); i < typeOf(getCache()).getRank(); ++i) {
    if (i != axis)
      checkSame(m, m.dim(getCache(), i), m.dim(getUpdate(), i),
                "cache and update differ in dimension " + Twine(i), checks);
    else
      checks.push_back({m.compare(Predicate::sle, m.dim(getUpdate(), i), m.dim(getCache(), i)),
                        RuntimeCheck::Shape, "the update is larger than the cache"});
  }
  checkSame(m, m.dim(getPositions(), 0), m.dim(getCache(), 0), "there is not one position for each batch entry",
            checks);
}

KernelRole CacheWriteOp::getKernelRole() { return KernelRole::Indexed; }
