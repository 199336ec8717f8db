//===- FoldScales.cpp - Multiply scales into weights ------------*- C++ -*-===//
//
// Before: %0 = nn.conv %x, %w;  %1 = nn.mul %0, %s : tensor<1x64x1x1xf32>
// After:  %v = nn.mul %w, reshape(%s);  %1 = nn.conv %x, %v
//
// This is how an inference-form batch normalisation disappears into its convolution.
//
// Precondition: types inferred. Postcondition: a result of a scalable op whose weights
// and factors are known at compile time is not scaled per channel.
//
//===----------------------------------------------------------------------===//
#include "compiler/graph/Passes.h"
#include "compiler/graph/Prepare.h"
#include "dialects/nn/NNOps.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

namespace nacre::graph {
#define GEN_PASS_DEF_FOLDSCALESPASS
#include "compiler/graph/Passes.h.inc"
} // namespace nacre::graph

using namespace mlir;
using namespace nacre;

namespace {

/// A factor that differs along the channel dimension at most, as a vector; or null.
Value getChannelFactors(PatternRewriter &rewriter, Value factor, RankedTensorType result,
                        int64_t channelDim) {
  auto type = cast<RankedTensorType>(factor.getType());
  if (!type.hasStaticShape() || result.isDynamicDim(channelDim))
    return nullptr;
  int64_t channels = result.getDimSize(channelDim);
  for (int64_t i = 0; i < type.getRank(); ++i) {
    int64_t dim = result.getRank() - type.getRank() + i;
    if (type.getDimSize(i) != 1 && dim != channelDim)
      return nullptr;
  }
  if (type.getNumElements() != channels && type.getNumElements() != 1)
    return nullptr;
  return nn::reshapeTo(rewriter, factor, {type.getNumElements()});
}

struct FoldScale : OpRewritePattern<nn::MulOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(nn::MulOp op, PatternRewriter &rewriter) const override {
    for (auto [scaled, factor] : {std::pair(op.getLhs(), op.getRhs()), std::pair(op.getRhs(), op.getLhs())}) {
      auto producer = scaled.getDefiningOp<nn::ScalableOpInterface>();
      if (!producer || !scaled.hasOneUse() || scaled.getType() != op.getType() ||
          !graph::isKnownAtCompileTime(factor) ||
          !llvm::all_of(producer.getScaledOperands(), [&](unsigned index) {
            return graph::isKnownAtCompileTime(producer->getOperand(index));
          }))
        continue;
      rewriter.setInsertionPoint(op);
      Value factors = getChannelFactors(rewriter, factor, cast<RankedTensorType>(op.getType()),
                                        producer.getOutputChannelDim());
      if (!factors)
        continue;
      // The factor may be defined after the producer: move the producer down to here.
      rewriter.moveOpBefore(producer, op);
      rewriter.setInsertionPoint(producer);
      rewriter.modifyOpInPlace(producer, [&] { producer.scaleChannels(rewriter, factors); });
      rewriter.replaceOp(op, scaled);
      return success();
    }
    return rewriter.notifyMatchFailure(op, "no factor per channel of a scalable op");
  }
};

struct FoldScalesPass : graph::impl::FoldScalesPassBase<FoldScalesPass> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<FoldScale>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace
