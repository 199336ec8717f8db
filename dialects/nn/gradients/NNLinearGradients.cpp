//===- NNLinearGradients.cpp - Of contractions ------------------*- C++ -*-===//
#include "dialects/nn/NNSizeMath.h"
#include "dialects/nn/gradients/Places.h"
#include "llvm/ADT/Sequence.h"

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

/// What is zero where two dimensions are at different places.
static TensorExpr keepDiagonal(TensorExpr x, int64_t rank, int64_t l, int64_t r, OpFoldResult size) {
  OpBuilder &b = x.getBuilder();
  Location loc = x.getLoc();
  Value places = createPlaces(b, loc, b.getIndexAttr(0), b.getIndexAttr(1), size);
  auto along = [&](int64_t dim) {
    auto others = llvm::to_vector(llvm::seq<int64_t>(0, rank));
    others.erase(others.begin() + dim);
    return UnsqueezeOp::create(b, loc, places, others).getResult();
  };
  return where(CompareOp::create(b, loc, ComparePredicate::eq, along(l), along(r)), x, x.constant(0));
}

/// The gradient of an input is a contraction of the result's with all other inputs.
LogicalResult ContractOp::buildGradient(OpBuilder &b, ValueRange gradients, SmallVectorImpl<Value> &operands) {
  Location loc = getLoc();
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
    // Dimensions of size 1 that no loop runs along are inserted afterwards, and so are those
    // of a diagonal. Along loops of this input alone each element counts for all.
    SmallVector<AffineExpr> results, alone;
    SmallVector<OpFoldResult> aloneSizes;
    SmallVector<int64_t> inserted;
    SmallVector<std::pair<int64_t, int64_t>> diagonals;
    llvm::SmallDenseMap<unsigned, int64_t> dimOf;
    for (auto [dim, expr] : llvm::enumerate(maps[i].getResults())) {
      auto loop = dyn_cast<AffineDimExpr>(expr);
      if (!loop) {
        inserted.push_back(dim);
        continue;
      }
      auto [found, isNew] = dimOf.try_emplace(loop.getPosition(), dim);
      if (!isNew) {
        inserted.push_back(dim);
        diagonals.emplace_back(found->second, dim);
        continue;
      }
      results.push_back(expr);
      if (covered[loop.getPosition()])
        continue;
      alone.push_back(expr);
      aloneSizes.push_back(getDim(b, loc, input, dim));
    }
    if (!alone.empty()) {
      Value one = TensorExpr(b, loc, gradients[0]).constant(1);
      factors.push_back(BroadcastOp::create(b, loc, one, createSizes(b, loc, aloneSizes)));
      factorMaps.push_back(AffineMap::get(loops, 0, alone, getContext()));
    }
    factorMaps.push_back(AffineMap::get(loops, 0, results, getContext()));
    TensorExpr gradient(b, loc, ContractOp::create(b, loc, factors, b.getAffineMapArrayAttr(factorMaps)));
    if (!inserted.empty())
      gradient = gradient.with(UnsqueezeOp::create(b, loc, gradient, inserted));
    for (auto [l, r] : diagonals)
      gradient = keepDiagonal(gradient, maps[i].getNumResults(), l, r, getDim(b, loc, input, l));
    operands.push_back(gradient);
  }
  return success();
}
