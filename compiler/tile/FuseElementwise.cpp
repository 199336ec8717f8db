//===- FuseElementwise.cpp - Merge element-wise generics --------*- C++ -*-===//
//
// Before: %0 = linalg.generic {mulf} ins(%a, %b); %1 = linalg.generic {addf} ins(%0, %c)
// After:  %1 = linalg.generic {mulf; addf} ins(%a, %b, %c)
//
//===----------------------------------------------------------------------===//
#include "compiler/tile/Passes.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

namespace nacre::tile {
#define GEN_PASS_DEF_FUSEELEMENTWISEPASS
#include "compiler/tile/Passes.h.inc"
} // namespace nacre::tile

using namespace mlir;

namespace {
struct FuseElementwisePass : nacre::tile::impl::FuseElementwisePassBase<FuseElementwisePass> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    linalg::populateElementwiseOpsFusionPatterns(
        patterns, [](OpOperand *fused) { return fused->get().hasOneUse(); });
    linalg::GenericOp::getCanonicalizationPatterns(patterns, &getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};
} // namespace
