//===- NNLinear.cpp - Contractions and convolutions -------------*- C++ -*-===//
#include "dialects/nn/NNOps.h"
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
  if (lhs.getElementType() != rhs.getElementType())
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
  types.push_back(RankedTensorType::get(*batch, lhs.getElementType()));
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

std::optional<int64_t> MatMulOp::getFlops() {
  auto type = cast<RankedTensorType>(getType());
  int64_t k = getLhs().getType().getDimSize(getLhs().getType().getRank() - (getTransposeLhs() ? 2 : 1));
  if (!type.hasStaticShape() || ShapedType::isDynamic(k))
    return std::nullopt;
  return 2 * type.getNumElements() * k;
}
