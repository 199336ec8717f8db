//===- NNLinearGradients.cpp - Of contractions ------------------*- C++ -*-===//
#include "dialects/nn/NNOps.h"

using namespace mlir;
using namespace nacre::nn;

LogicalResult MatMulOp::buildGradient(OpBuilder &b, ValueRange gradients, SmallVectorImpl<Value> &operands) {
  Location loc = getLoc();
  Value dy = gradients[0], lhs = getLhs(), rhs = getRhs();
  bool lt = getTransposeLhs(), rt = getTransposeRhs();
  auto multiply = [&](Value l, Value r, bool transposeLeft, bool transposeRight) {
    return MatMulOp::create(b, loc, l, r, transposeLeft, transposeRight).getResult();
  };
  operands.push_back(lt ? multiply(rhs, dy, rt, true) : multiply(dy, rhs, false, !rt));
  // A layer on [batch..., features] is one product over all of the batch: no gradient of
  // the weight for each part of it that is then summed.
  int64_t rank = getLhs().getType().getRank();
  if (!lt && rank > 2 && getRhs().getType().getRank() == 2) {
    lhs = CollapseOp::create(b, loc, lhs, 0, rank - 1);
    dy = CollapseOp::create(b, loc, dy, 0, rank - 1);
  }
  operands.push_back(rt ? multiply(dy, lhs, true, lt) : multiply(lhs, dy, !lt, false));
  return success();
}

/// The gradient of an input is a contraction of the result's with all other inputs, if
/// each of the input's loops is in one of these.
LogicalResult ContractOp::buildGradient(OpBuilder &b, ValueRange gradients, SmallVectorImpl<Value> &operands) {
  auto maps = llvm::to_vector(getIndexingMaps().getAsValueRange<AffineMapAttr>());
  unsigned loops = maps.back().getNumDims();
  for (auto [i, input] : llvm::enumerate(getInputs())) {
    SmallVector<Value> factors{gradients[0]};
    SmallVector<AffineMap> factorMaps{maps.back()};
    llvm::SmallBitVector covered(loops);
    for (auto [j, other] : llvm::enumerate(getInputs()))
      if (i != j) {
        factors.push_back(other);
        factorMaps.push_back(maps[j]);
      }
    for (AffineMap map : factorMaps)
      for (AffineExpr expr : map.getResults())
        if (auto loop = dyn_cast<AffineDimExpr>(expr))
          covered.set(loop.getPosition());
    // Dimensions of size 1 that no loop runs along are inserted afterwards.
    SmallVector<AffineExpr> results;
    SmallVector<int64_t> ones;
    for (auto [dim, expr] : llvm::enumerate(maps[i].getResults())) {
      if (isa<AffineDimExpr>(expr))
        results.push_back(expr);
      else
        ones.push_back(dim);
    }
    AffineMap result = AffineMap::get(loops, 0, results, getContext());
    if (!covered.all() || !result.isProjectedPermutation())
      return failure();
    factorMaps.push_back(result);
    Value gradient = ContractOp::create(b, getLoc(), factors, b.getAffineMapArrayAttr(factorMaps));
    if (!ones.empty())
      gradient = UnsqueezeOp::create(b, getLoc(), gradient, ones);
    operands.push_back(gradient);
  }
  return success();
}
