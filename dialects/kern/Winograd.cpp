//===- Winograd.cpp - Tiles of kern.winograd --------------------*- C++ -*-===//
#include "dialects/kern/KernOps.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace nacre::kern;

LogicalResult WinogradOp::verify() {
  auto input = cast<ShapedType>(getInput().getType()), weights = cast<ShapedType>(getWeights().getType());
  auto destination = cast<ShapedType>(getDestination().getType());
  bool isOnTensors = isa<RankedTensorType>(destination);
  if (getNumResults() != (isOnTensors ? 1 : 0) || (isOnTensors && getResultTypes().front() != destination))
    return emitOpError("expects a result of the destination's type on tensors, and none on memrefs");
  if (input.getRank() != 4 || weights.getRank() != 5 || destination.getRank() != 4)
    return emitOpError("expects operands of rank 4, and weights of rank 5");
  int64_t reads = weights.getDimSize(0);
  if ((reads != 6 && reads != 4) || weights.getDimSize(1) != reads || weights.getDimSize(3) != input.getDimSize(3))
    return emitOpError("expects weights of 6 x 6 or 4 x 4 positions and the input's channels");
  for (int64_t dim : {1, 2}) {
    int64_t places = destination.getDimSize(dim);
    if (ShapedType::isDynamic(places) || ShapedType::isDynamic(input.getDimSize(dim)))
      continue;
    if (places < getWinogradPlaces(reads) || input.getDimSize(dim) != places + 2)
      return emitOpError("expects ") << getWinogradPlaces(reads) << " or more places along dimension " << dim
                                     << ", and 2 more in the input";
  }
  return success();
}

void WinogradOp::getEffects(SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>> &effects) {
  if (getNumResults() != 0)
    return;
  effects.emplace_back(MemoryEffects::Read::get(), &getInputMutable(), SideEffects::DefaultResource::get());
  effects.emplace_back(MemoryEffects::Read::get(), &getWeightsMutable(), SideEffects::DefaultResource::get());
  effects.emplace_back(MemoryEffects::Write::get(), &getDestinationMutable(), SideEffects::DefaultResource::get());
}

//===----------------------------------------------------------------------===//
// TilingInterface: loops are the destination's dimensions
//===----------------------------------------------------------------------===//

SmallVector<utils::IteratorType> WinogradOp::getLoopIteratorTypes() {
  return SmallVector<utils::IteratorType>(4, utils::IteratorType::parallel);
}

SmallVector<Range> WinogradOp::getIterationDomain(OpBuilder &b) {
  SmallVector<Range> ranges;
  for (OpFoldResult size : tensor::getMixedSizes(b, getLoc(), getDestination()))
    ranges.push_back({b.getIndexAttr(0), size, b.getIndexAttr(1)});
  return ranges;
}

FailureOr<TilingResult> WinogradOp::getTiledImplementation(OpBuilder &b, ArrayRef<OpFoldResult> offsets,
                                                           ArrayRef<OpFoldResult> sizes) {
  Location loc = getLoc();
  auto weights = cast<ShapedType>(getWeights().getType());
  int64_t block = weights.getDimSize(4);
  AffineExpr value = b.getAffineDimExpr(0);
  auto apply = [&](AffineExpr expr, OpFoldResult of) {
    return affine::makeComposedFoldedAffineApply(b, loc, AffineMap::get(1, 0, expr), {of});
  };
  OpFoldResult zero = b.getIndexAttr(0), channels = tensor::getMixedSize(b, loc, getInput(), 3);
  auto slice = [&](Value of, ArrayRef<OpFoldResult> at, ArrayRef<OpFoldResult> extents) {
    SmallVector<OpFoldResult> ones(at.size(), b.getIndexAttr(1));
    return tensor::ExtractSliceOp::create(b, loc, of, at, extents, ones);
  };
  auto input = slice(getInput(), {offsets[0], offsets[1], offsets[2], zero},
                     {sizes[0], apply(value + 2, sizes[1]), apply(value + 2, sizes[2]), channels});
  auto panels = slice(getWeights(), {zero, zero, apply(value.floorDiv(block), offsets[3]), zero, zero},
                      {b.getIndexAttr(weights.getDimSize(0)), b.getIndexAttr(weights.getDimSize(1)), apply(value.ceilDiv(block), sizes[3]), channels,
                       b.getIndexAttr(block)});
  auto destination = slice(getDestination(), offsets, sizes);
  auto tiled = WinogradOp::create(b, loc, TypeRange(destination.getType()), input, panels, destination);
  return TilingResult{{tiled}, SmallVector<Value>(tiled->getResults()), {input, panels, destination}};
}

LogicalResult WinogradOp::getResultTilePosition(OpBuilder &, unsigned, ArrayRef<OpFoldResult> offsets,
                                                ArrayRef<OpFoldResult> sizes,
                                                SmallVector<OpFoldResult> &resultOffsets,
                                                SmallVector<OpFoldResult> &resultSizes) {
  resultOffsets.assign(offsets.begin(), offsets.end());
  resultSizes.assign(sizes.begin(), sizes.end());
  return success();
}

FailureOr<TilingResult> WinogradOp::generateResultTileValue(OpBuilder &b, unsigned, ArrayRef<OpFoldResult> offsets,
                                                            ArrayRef<OpFoldResult> sizes) {
  return getTiledImplementation(b, offsets, sizes);
}
