//===- ForallToParallel.cpp - Tiles on the session's threads ----*- C++ -*-===//
//
// Before: scf.forall (%i, %j) in (%m, %n) { ... }
// After:  rt.parallel (%begin, %end) to %m * %n grain 1 {
//           scf.for %t = %begin to %end { %i, %j = delinearize %t into (%m, %n) ... } }
//
// Precondition: memrefs. Postcondition: no scf.forall is left.
//
//===----------------------------------------------------------------------===//
#include "compiler/tile/Passes.h"
#include "dialects/kern/KernOps.h"
#include "dialects/rt/RtOps.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/SCF/Transforms/Transforms.h"

namespace nacre::tile {
#define GEN_PASS_DEF_FORALLTOPARALLELPASS
#include "compiler/tile/Passes.h.inc"
} // namespace nacre::tile

using namespace mlir;
using namespace nacre;

namespace {

/// The number of iterations of each dimension of a forall.
SmallVector<OpFoldResult> getTripCounts(OpBuilder &b, scf::ForallOp op) {
  SmallVector<OpFoldResult> counts;
  AffineExpr lower, upper, step;
  bindSymbols(b.getContext(), lower, upper, step);
  for (auto [l, u, s] :
       llvm::zip(op.getMixedLowerBound(), op.getMixedUpperBound(), op.getMixedStep()))
    counts.push_back(affine::makeComposedFoldedAffineApply(
        b, op.getLoc(), (upper - lower).ceilDiv(step), {l, u, s}));
  return counts;
}

void convert(scf::ForallOp op, int64_t grain) {
  Location loc = op.getLoc();
  OpBuilder b(op);
  SmallVector<OpFoldResult> counts = getTripCounts(b, op);
  OpFoldResult total = b.getIndexAttr(1);
  AffineExpr s0, s1;
  bindSymbols(b.getContext(), s0, s1);
  for (OpFoldResult count : counts)
    total = affine::makeComposedFoldedAffineApply(b, loc, s0 * s1, {total, count});
  SmallVector<Value> lowers, steps;
  for (auto [lower, step] : llvm::zip(op.getMixedLowerBound(), op.getMixedStep())) {
    lowers.push_back(getValueOrCreateConstantIndexOp(b, loc, lower));
    steps.push_back(getValueOrCreateConstantIndexOp(b, loc, step));
  }
  Value one = arith::ConstantIndexOp::create(b, loc, 1);

  auto parallel = rt::ParallelOp::create(
      b, loc, getValueOrCreateConstantIndexOp(b, loc, total), grain);
  // A loop's iterations read the same weights.
  parallel.setAlternating(isa<scf::ForOp>(op->getParentOp()));
  Block &body = parallel.getBody().front();
  b.setInsertionPointToStart(&body);
  auto loop = scf::ForOp::create(b, loc, body.getArgument(0), body.getArgument(1), one);
  b.setInsertionPointToStart(loop.getBody());
  SmallVector<Value> indices;
  if (counts.size() == 1)
    indices.push_back(loop.getInductionVar());
  else
    llvm::append_range(indices, affine::AffineDelinearizeIndexOp::create(
                                    b, loc, loop.getInductionVar(), counts)
                                    .getResults());
  for (auto [index, lower, step] : llvm::zip(indices, lowers, steps))
    index = affine::makeComposedAffineApply(
        b, loc, AffineMap::get(1, 2, b.getAffineDimExpr(0) * s1 + s0),
        {OpFoldResult(index), OpFoldResult(lower), OpFoldResult(step)});
  op.getTerminator()->erase();
  for (auto [argument, index] : llvm::zip(op.getInductionVars(), indices))
    argument.replaceAllUsesWith(index);
  Block *source = op.getBody();
  loop.getBody()->getOperations().splice(Block::iterator(loop.getBody()->getTerminator()),
                                         source->getOperations());
  op.erase();
}

struct ForallToParallelPass : tile::impl::ForallToParallelPassBase<ForallToParallelPass> {
  void runOnOperation() override {
    kern::FuncOp func = getOperation();
    int64_t grain = func.getTilingAttr() ? func.getTilingAttr().getGrain() : 1;
    SmallVector<scf::ForallOp> outer, inner;
    func.walk([&](scf::ForallOp op) {
      (op->getParentOfType<scf::ForallOp>() ? inner : outer).push_back(op);
    });
    IRRewriter rewriter(&getContext());
    for (scf::ForallOp op : inner) {
      rewriter.setInsertionPoint(op);
      if (failed(scf::forallToForLoop(rewriter, op)))
        return signalPassFailure();
    }
    for (scf::ForallOp op : outer)
      convert(op, grain);
  }
};

} // namespace
