//===- NNLinear.cpp - Contractions and convolutions -------------*- C++ -*-===//
#include "dialects/nn/NNOps.h"
#include "dialects/nn/NNShapes.h"
#include "dialects/nn/NNSizeMath.h"

using namespace mlir;
using namespace nacre::nn;

//===----------------------------------------------------------------------===//
// MatMulOp
//===----------------------------------------------------------------------===//

LogicalResult MatMulOp::inferReturnTypes(MLIRContext *, std::optional<Location> loc,
                                         ValueRange operands, DictionaryAttr,
                                         OpaqueProperties properties, RegionRange,
                                         SmallVectorImpl<Type> &types) {
  auto lhs = cast<RankedTensorType>(operands[0].getType());
  auto rhs = cast<RankedTensorType>(operands[1].getType());
  Adaptor op(operands, nullptr, properties);
  if (lhs.getRank() < 2 || rhs.getRank() < 2)
    return emitOptionalError(loc, "matmul expects operands of rank 2 or more, found ", lhs, " and ", rhs);
  Type element = getProductType(lhs.getElementType(), rhs.getElementType());
  if (!element)
    return emitOptionalError(loc, "matmul expects one element type, found ", lhs, " and ", rhs);
  auto [m, lk] = std::pair(lhs.getShape().end()[-2], lhs.getShape().back());
  auto [rk, n] = std::pair(rhs.getShape().end()[-2], rhs.getShape().back());
  if (op.getTransposeLhs())
    std::swap(m, lk);
  if (op.getTransposeRhs())
    std::swap(rk, n);
  if (lk != rk && !ShapedType::isDynamic(lk) && !ShapedType::isDynamic(rk))
    return emitOptionalError(loc, "matmul's inner sizes differ: ", lk, " and ", rk);
  auto batch = broadcastShapes(lhs.getShape().drop_back(2), rhs.getShape().drop_back(2));
  if (failed(batch))
    return emitOptionalError(loc, "matmul's batch sizes do not broadcast: ", lhs, " and ", rhs);
  batch->append({m, n});
  types.push_back(RankedTensorType::get(*batch, element));
  return success();
}

LogicalResult MatMulOp::reifyResultShapes(OpBuilder &b, ReifiedRankedShapedTypeDims &dims) {
  auto type = cast<RankedTensorType>(getType());
  int64_t rank = type.getRank();
  SmallVector<OpFoldResult> sizes;
  for (int64_t i = 0; i < rank - 2; ++i) {
    SmallVector<OpFoldResult> candidates;
    for (Value operand : getOperands()) {
      auto operandType = cast<RankedTensorType>(operand.getType());
      int64_t index = i - (rank - operandType.getRank());
      if (index >= 0 && operandType.getDimSize(index) != 1)
        candidates.push_back(getDim(b, getLoc(), operand, index));
    }
    sizes.push_back(type.isDynamicDim(i) ? reifyBroadcastSize(b, getLoc(), candidates)
                                         : OpFoldResult(b.getIndexAttr(type.getDimSize(i))));
  }
  int64_t lhsRank = getLhs().getType().getRank(), rhsRank = getRhs().getType().getRank();
  sizes.push_back(getDim(b, getLoc(), getLhs(), lhsRank - (getTransposeLhs() ? 1 : 2)));
  sizes.push_back(getDim(b, getLoc(), getRhs(), rhsRank - (getTransposeRhs() ? 2 : 1)));
  dims.push_back(std::move(sizes));
  return success();
}

int64_t MatMulOp::getNumInnerDims() { return 2; }

void MatMulOp::buildChecks(OpBuilder &b, SmallVectorImpl<RuntimeCheck> &checks) {
  int64_t lhsRank = getLhs().getType().getRank(), rhsRank = getRhs().getType().getRank();
  pushSizeCheck(b, getLoc(), getDim(b, getLoc(), getLhs(), lhsRank - (getTransposeLhs() ? 2 : 1)),
                getDim(b, getLoc(), getRhs(), rhsRank - (getTransposeRhs() ? 1 : 2)),
                "the inner sizes of the matrices differ", checks);
}

int64_t MatMulOp::getOutputChannelDim() { return cast<RankedTensorType>(getType()).getRank() - 1; }

SmallVector<unsigned> MatMulOp::getScaledOperands() { return {1}; }

void MatMulOp::scaleChannels(OpBuilder &b, Value scale) {
  // A row of rhs belongs to one channel if rhs is transposed, else a column does.
  if (getTransposeRhs() && cast<RankedTensorType>(scale.getType()).getDimSize(0) != 1)
    scale = reshapeTo(b, scale, {-1, 1});
  setOperand(1, MulOp::create(b, getLoc(), getRhs(), scale));
}

KernelRole MatMulOp::getKernelRole() { return KernelRole::Contraction; }

OpFoldResult MatMulOp::buildFlops(OpBuilder &b) {
  SizeMath m(b, getLoc());
  SmallVector<OpFoldResult> factors = m.dims(getResult());
  factors.push_back(m.dim(getLhs(), getLhs().getType().getRank() - (getTransposeLhs() ? 2 : 1)));
  factors.push_back(m.constant(2));
  return m.product(factors);
}

//===----------------------------------------------------------------------===//
// ContractOp
//===----------------------------------------------------------------------===//

namespace {
/// The dimensions of the operands that each loop runs along, as (operand, dimension).
SmallVector<SmallVector<std::pair<unsigned, unsigned>>> getLoopUses(ArrayRef<AffineMap> maps) {
  SmallVector<SmallVector<std::pair<unsigned, unsigned>>> uses(maps.back().getNumDims());
  for (auto [operand, map] : llvm::enumerate(maps.drop_back()))
    for (auto [dim, expr] : llvm::enumerate(map.getResults()))
      if (auto loop = dyn_cast<AffineDimExpr>(expr))
        uses[loop.getPosition()].push_back({operand, dim});
  return uses;
}

/// The size of each loop, dynamic where no operand knows it.
SmallVector<int64_t> getLoopSizes(ValueRange inputs, ArrayRef<AffineMap> maps) {
  SmallVector<int64_t> sizes;
  for (auto &uses : getLoopUses(maps)) {
    int64_t size = ShapedType::kDynamic;
    for (auto [operand, dim] : uses)
      if (int64_t other = cast<RankedTensorType>(inputs[operand].getType()).getDimSize(dim);
          !ShapedType::isDynamic(other))
        size = other;
    sizes.push_back(size);
  }
  return sizes;
}

LogicalResult verifyContractMaps(std::optional<Location> loc, ValueRange inputs,
                                 ArrayRef<AffineMap> maps, bool isWide) {
  if (inputs.empty() || maps.size() != inputs.size() + 1)
    return emitOptionalError(loc, "contract expects one map for each operand and one for the result");
  for (auto [input, map] : llvm::zip(inputs, maps)) {
    auto type = cast<RankedTensorType>(input.getType());
    if (map.getNumSymbols() != 0 || map.getNumDims() != maps.back().getNumDims() ||
        map.getNumResults() != type.getRank())
      return emitOptionalError(loc, "contract's map ", AffineMapAttr::get(map), " does not fit ", type);
    for (auto [expr, size] : llvm::zip(map.getResults(), type.getShape()))
      if (!isa<AffineDimExpr>(expr) && !(isa<AffineConstantExpr>(expr) && size == 1))
        return emitOptionalError(loc, "contract's map ", AffineMapAttr::get(map),
                                 " is neither a loop nor 0 in a dimension of size ", size);
    Type element = getElementTypeOrSelf(type), first = getElementTypeOrSelf(inputs[0].getType());
    bool isByte = element.isInteger() && element.getIntOrFloatBitWidth() == 8;
    if (isWide && !isByte)
      return emitOptionalError(loc, "a wide contract expects 8-bit integers");
    if (element != first && !isWide && !(isByte && isa<FloatType>(first)))
      return emitOptionalError(loc, "contract expects one element type, or 8-bit integers beside floats");
  }
  if (!maps.back().isProjectedPermutation())
    return emitOptionalError(loc, "contract's result map must name each loop at most once");
  SmallVector<int64_t> sizes = getLoopSizes(inputs, maps);
  for (auto [loop, uses] : llvm::enumerate(getLoopUses(maps))) {
    if (uses.empty())
      return emitOptionalError(loc, "no operand of contract has loop ", loop);
    for (auto [operand, dim] : uses)
      if (int64_t size = cast<RankedTensorType>(inputs[operand].getType()).getDimSize(dim);
          !ShapedType::isDynamic(size) && size != sizes[loop])
        return emitOptionalError(loc, "contract's loop ", loop, " has sizes ", sizes[loop], " and ", size);
  }
  return success();
}
} // namespace

LogicalResult ContractOp::inferReturnTypes(MLIRContext *, std::optional<Location> loc,
                                           ValueRange operands, DictionaryAttr,
                                           OpaqueProperties properties, RegionRange,
                                           SmallVectorImpl<Type> &types) {
  Adaptor op(operands, nullptr, properties);
  auto maps = llvm::to_vector(op.getIndexingMaps().getAsValueRange<AffineMapAttr>());
  if (maps.empty() || failed(verifyContractMaps(loc, operands, maps, op.getWide())))
    return failure();
  SmallVector<int64_t> sizes = getLoopSizes(operands, maps), shape;
  for (AffineExpr expr : maps.back().getResults())
    shape.push_back(sizes[cast<AffineDimExpr>(expr).getPosition()]);
  auto first = cast<RankedTensorType>(operands[0].getType());
  types.push_back(first.clone(shape, op.getWide() ? IntegerType::get(first.getContext(), 32) : first.getElementType()));
  return success();
}

LogicalResult ContractOp::reifyResultShapes(OpBuilder &b, ReifiedRankedShapedTypeDims &dims) {
  auto maps = llvm::to_vector(getIndexingMaps().getAsValueRange<AffineMapAttr>());
  auto uses = getLoopUses(maps);
  SmallVector<OpFoldResult> sizes;
  for (auto [i, expr] : llvm::enumerate(maps.back().getResults())) {
    auto [operand, dim] = uses[cast<AffineDimExpr>(expr).getPosition()].front();
    sizes.push_back(getType().isDynamicDim(i) ? getDim(b, getLoc(), getInputs()[operand], dim)
                                              : OpFoldResult(b.getIndexAttr(getType().getDimSize(i))));
  }
  dims.push_back(std::move(sizes));
  return success();
}

void ContractOp::buildChecks(OpBuilder &b, SmallVectorImpl<RuntimeCheck> &checks) {
  auto maps = llvm::to_vector(getIndexingMaps().getAsValueRange<AffineMapAttr>());
  for (auto &uses : getLoopUses(maps))
    for (auto [operand, dim] : ArrayRef(uses).drop_front())
      pushSizeCheck(b, getLoc(), getDim(b, getLoc(), getInputs()[uses[0].first], uses[0].second),
                    getDim(b, getLoc(), getInputs()[operand], dim),
                    "operands differ in the size of a common dimension", checks);
}

KernelRole ContractOp::getKernelRole() { return KernelRole::Contraction; }

OpFoldResult ContractOp::buildFlops(OpBuilder &b) {
  SizeMath m(b, getLoc());
  auto maps = llvm::to_vector(getIndexingMaps().getAsValueRange<AffineMapAttr>());
  SmallVector<OpFoldResult> factors{m.constant(static_cast<int64_t>(getInputs().size()))};
  for (auto &uses : getLoopUses(maps))
    factors.push_back(m.dim(getInputs()[uses[0].first], uses[0].second));
  return m.product(factors);
}
