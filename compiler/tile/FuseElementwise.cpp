//===- FuseElementwise.cpp - Merge element-wise generics --------*- C++ -*-===//
//
// Before: %0 = linalg.generic {mulf} ins(%a, %b); %1 = linalg.generic {addf} ins(%0, %c)
// After:  %1 = linalg.generic {mulf; addf} ins(%a, %b, %c)
// A result of the kernel that another is computed from is one of the merged op. An op that
// reads a result with some dimensions collapsed runs over these dimensions itself.
//
//===----------------------------------------------------------------------===//
#include "compiler/tile/Passes.h"
#include "dialects/kern/KernOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

namespace nacre::tile {
#define GEN_PASS_DEF_FUSEELEMENTWISEPASS
#include "compiler/tile/Passes.h.inc"
} // namespace nacre::tile

using namespace mlir;
using namespace nacre;

namespace {

/// Merges an op into the one that reads its result, if the kernel gives that result besides:
/// the merged op gives both.
struct FuseResult : OpRewritePattern<linalg::GenericOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(linalg::GenericOp consumer, PatternRewriter &rewriter) const override {
    for (OpOperand &operand : consumer->getOpOperands()) {
      auto producer = operand.get().getDefiningOp<linalg::GenericOp>();
      auto isReturn = [](Operation *user) { return isa<kern::ReturnOp>(user); };
      auto isReadHere = [&](Operation *user) { return user == consumer || isReturn(user); };
      if (!producer || producer.hasIndexSemantics() || llvm::none_of(producer->getUsers(), isReturn) ||
          !llvm::all_of(producer->getUsers(), isReadHere) || !linalg::areElementwiseOpsFusable(&operand))
        continue;
      FailureOr<linalg::ElementwiseOpFusionResult> fused = linalg::fuseElementwiseOps(rewriter, &operand);
      if (failed(fused))
        continue;
      for (auto [old, replacement] : fused->replacements)
        rewriter.replaceAllUsesWith(old, replacement);
      rewriter.eraseOp(consumer);
      rewriter.eraseOp(producer);
      return success();
    }
    return failure();
  }
};

struct FuseElementwisePass : nacre::tile::impl::FuseElementwisePassBase<FuseElementwisePass> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    linalg::populateElementwiseOpsFusionPatterns(
        patterns, [](OpOperand *fused) { return fused->get().hasOneUse(); });
    linalg::populateFoldReshapeOpsByExpansionPatterns(patterns, [](OpOperand *fused) {
      auto collapse = fused->get().getDefiningOp<tensor::CollapseShapeOp>();
      return collapse && collapse->hasOneUse() && collapse.getSrc().getDefiningOp<linalg::LinalgOp>() &&
             isa<linalg::LinalgOp>(fused->getOwner());
    });
    patterns.add<FuseResult>(&getContext());
    linalg::GenericOp::getCanonicalizationPatterns(patterns, &getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};
} // namespace
