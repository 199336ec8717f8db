//===- NNShape.cpp - Ops that move elements ---------------------*- C++ -*-===//
#include "dialects/nn/NNMovement.h"
#include "dialects/nn/NNOps.h"
#include "dialects/nn/NNSizeMath.h"
#include "dialects/nn/NNVectors.h"
#include "mlir/Dialect/Utils/IndexingUtils.h"

using namespace mlir;
using namespace nacre::nn;

//===----------------------------------------------------------------------===//
// TransposeOp
//===----------------------------------------------------------------------===//

LogicalResult TransposeOp::verify() {
  if (static_cast<int64_t>(getPermutation().size()) != getInput().getType().getRank() ||
      !isPermutationVector(getPermutation()))
    return emitOpError("expects a permutation of ") << getInput().getType().getRank() << " dimensions";
  return success();
}

LogicalResult TransposeOp::inferReturnTypes(MLIRContext *, std::optional<Location> loc,
                                            ValueRange operands, DictionaryAttr,
                                            OpaqueProperties properties, RegionRange,
                                            SmallVectorImpl<Type> &types) {
  auto type = cast<RankedTensorType>(operands[0].getType());
  ArrayRef<int64_t> permutation = properties.as<Properties *>()->getPermutation();
  if (static_cast<int64_t>(permutation.size()) != type.getRank() || !isPermutationVector(permutation))
    return emitOptionalError(loc, "transpose expects a permutation of ", type.getRank(), " dimensions");
  types.push_back(type.clone(applyPermutation(type.getShape(), permutation)));
  return success();
}

LogicalResult TransposeOp::reifyResultShapes(OpBuilder &b, ReifiedRankedShapedTypeDims &dims) {
  dims.push_back(applyPermutation(getDims(b, getLoc(), getInput()), getPermutation()));
  return success();
}

LogicalResult TransposeOp::getElementSources(SmallVectorImpl<ElementSource> &sources) {
  return pushMappedSources(*this, [&](ArrayRef<int64_t> to, MutableArrayRef<int64_t> from) {
    for (auto [i, dimension] : llvm::enumerate(getPermutation()))
      from[dimension] = to[i];
  }, sources);
}

OpFoldResult TransposeOp::fold(FoldAdaptor adaptor) {
  if (isIdentityPermutation(getPermutation()) && getInput().getType() == getType())
    return getInput();
  if (auto producer = getInput().getDefiningOp<TransposeOp>()) {
    setOperand(producer.getInput());
    setPermutation(applyPermutation(producer.getPermutation(), getPermutation()));
    return getResult();
  }
  return foldMovement(*this, adaptor.getOperands());
}

KernelRole TransposeOp::getKernelRole() { return KernelRole::View; }

//===----------------------------------------------------------------------===//
// BroadcastOp
//===----------------------------------------------------------------------===//

LogicalResult BroadcastOp::inferReturnTypes(MLIRContext *, std::optional<Location> loc,
                                            ValueRange operands, DictionaryAttr, OpaqueProperties,
                                            RegionRange, SmallVectorImpl<Type> &types) {
  auto input = cast<RankedTensorType>(operands[0].getType());
  FailureOr<int64_t> length = inferLength(loc, operands[1], "the shape");
  if (failed(length))
    return failure();
  int64_t rank = *length;
  if (ShapedType::isDynamic(rank))
    return emitOptionalError(loc, "broadcast needs a shape of static length");
  if (rank < input.getRank())
    return emitOptionalError(loc, "broadcast to a smaller rank: ", input.getRank(), " to ", rank);
  SmallVector<int64_t> shape(rank, ShapedType::kDynamic);
  if (auto known = getKnownInts(operands[1]))
    for (auto [size, wanted] : llvm::zip(shape, *known))
      if (wanted) {
        if (*wanted < 0)
          return emitOptionalError(loc, "broadcast to a size of ", *wanted);
        size = *wanted;
      }
  for (auto [i, size] : llvm::enumerate(input.getShape())) {
    int64_t &wanted = shape[rank - input.getRank() + i];
    if (ShapedType::isDynamic(size) || size == 1)
      continue;
    if (ShapedType::isDynamic(wanted))
      wanted = size;
    else if (wanted != size)
      return emitOptionalError(loc, "cannot broadcast ", input, ": size ", size, " to ", wanted);
  }
  types.push_back(RankedTensorType::get(shape, input.getElementType()));
  return success();
}

LogicalResult BroadcastOp::reifyResultShapes(OpBuilder &b, ReifiedRankedShapedTypeDims &dims) {
  dims.push_back(mixSizes(b, getResult(), [&](int64_t i) { return getElementAsIndex(b, getLoc(), getShape(), i); }));
  return success();
}

void BroadcastOp::buildChecks(OpBuilder &b, SmallVectorImpl<RuntimeCheck> &checks) {
  using Predicate = SizeMath::Predicate;
  SizeMath m(b, getLoc());
  auto type = cast<RankedTensorType>(getType());
  auto known = getKnownInts(getShape());
  int64_t offset = type.getRank() - getInput().getType().getRank();
  for (int64_t i = 0; i < type.getRank(); ++i) {
    std::string where = "dimension " + std::to_string(i);
    OpFoldResult wanted = m.element(getShape(), i);
    if (!(*known)[i])
      checks.push_back({m.compare(Predicate::sge, wanted, m.constant(0)), RuntimeCheck::Shape,
                        "the size of " + where + " is negative"});
    if (i < offset || getInput().getType().getDimSize(i - offset) == 1)
      continue;
    // The result's type may know more than the shape: both must agree.
    OpFoldResult size = m.dim(getInput(), i - offset);
    if (size == wanted)
      continue;
    Value fits = m.compare(Predicate::eq, size, wanted);
    if (getInput().getType().isDynamicDim(i - offset))
      fits = b.createOrFold<arith::OrIOp>(getLoc(), fits, m.compare(Predicate::eq, size, m.constant(1)));
    checks.push_back({fits, RuntimeCheck::Shape, "the size of " + where + " is neither 1 nor the wanted one"});
  }
}

LogicalResult BroadcastOp::getElementSources(SmallVectorImpl<ElementSource> &sources) {
  return pushMappedSources(*this, [&](ArrayRef<int64_t> to, MutableArrayRef<int64_t> from) {
    for (auto [i, size] : llvm::enumerate(getInput().getType().getShape()))
      from[i] = size == 1 ? 0 : to[to.size() - from.size() + i];
  }, sources);
}

OpFoldResult BroadcastOp::fold(FoldAdaptor adaptor) {
  if (getInput().getType() == getType() && getType().hasStaticShape())
    return getInput();
  return foldMovement(*this, adaptor.getOperands());
}

SmallVector<unsigned> BroadcastOp::getShapeOperands() { return {1}; }

KernelRole BroadcastOp::getKernelRole() { return KernelRole::View; }

//===----------------------------------------------------------------------===//
// ShapeOp
//===----------------------------------------------------------------------===//

LogicalResult ShapeOp::inferReturnTypes(MLIRContext *context, std::optional<Location>,
                                        ValueRange operands, DictionaryAttr, OpaqueProperties,
                                        RegionRange, SmallVectorImpl<Type> &types) {
  int64_t rank = cast<RankedTensorType>(operands[0].getType()).getRank();
  types.push_back(RankedTensorType::get({rank}, IntegerType::get(context, 64)));
  return success();
}

LogicalResult ShapeOp::reifyResultShapes(OpBuilder &b, ReifiedRankedShapedTypeDims &dims) {
  dims.push_back({b.getIndexAttr(getInput().getType().getRank())});
  return success();
}

OpFoldResult ShapeOp::fold(FoldAdaptor) {
  if (getInput().getType().hasStaticShape())
    return DenseIntElementsAttr::get(cast<ShapedType>(getType()), getInput().getType().getShape());
  return {};
}

KernelRole ShapeOp::getKernelRole() { return KernelRole::Host; }

//===----------------------------------------------------------------------===//
// SizeOp
//===----------------------------------------------------------------------===//

LogicalResult SizeOp::inferReturnTypes(MLIRContext *context, std::optional<Location>, ValueRange,
                                       DictionaryAttr, OpaqueProperties, RegionRange,
                                       SmallVectorImpl<Type> &types) {
  types.push_back(RankedTensorType::get({}, IntegerType::get(context, 64)));
  return success();
}

LogicalResult SizeOp::reifyResultShapes(OpBuilder &, ReifiedRankedShapedTypeDims &dims) {
  dims.emplace_back();
  return success();
}

OpFoldResult SizeOp::fold(FoldAdaptor) {
  if (getInput().getType().hasStaticShape())
    return DenseIntElementsAttr::get(cast<ShapedType>(getType()), getInput().getType().getNumElements());
  return {};
}

KernelRole SizeOp::getKernelRole() { return KernelRole::Host; }

//===----------------------------------------------------------------------===//
// Sizes as scalars
//===----------------------------------------------------------------------===//

LogicalResult ShapeOp::buildScalars(OpBuilder &b, ArrayRef<SmallVector<Value>>,
                                    SmallVectorImpl<Value> &results) {
  SizeMath m(b, getLoc());
  for (OpFoldResult size : m.dims(getInput()))
    results.push_back(m.valueI64(size));
  return success();
}

LogicalResult SizeOp::buildScalars(OpBuilder &b, ArrayRef<SmallVector<Value>>,
                                   SmallVectorImpl<Value> &results) {
  SizeMath m(b, getLoc());
  results.push_back(m.valueI64(m.product(m.dims(getInput()))));
  return success();
}
