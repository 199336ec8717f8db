//===- ExpandNormalizations.cpp - Channel normalisations as other ops -*- C++ -*-===//
//
// Before: %y = nn.batch_norm %x, %scale, %bias, %mean, %variance
// After:  %f = %scale / sqrt(%variance + epsilon);  %o = %bias - %mean * %f
//         %y = nn.add (nn.mul %x, %f), %o
//
// What is computed from parameters moves to @prepare, and the rest joins kernels as
// any element-wise op. nn.group_norm becomes a reshape, nn.normalize and a reshape,
// before it is scaled and moved.
//
// Precondition: types inferred. Postcondition: no nn.batch_norm; no nn.group_norm with
// channels_last. (One without waits for its layout: the pass runs again then.)
//
//===----------------------------------------------------------------------===//
#include "compiler/graph/Passes.h"
#include "compiler/graph/TensorMath.h"
#include "dialects/nn/Expr.h"
#include "dialects/nn/TensorExpr.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "llvm/ADT/Sequence.h"

namespace nacre::graph {
#define GEN_PASS_DEF_EXPANDNORMALIZATIONSPASS
#include "compiler/graph/Passes.h.inc"
} // namespace nacre::graph

using namespace mlir;
using namespace nacre;
using graph::TensorMath;
using nn::TensorExpr;

namespace {

/// A vector of the channels in the input's rank, which broadcasts to it.
Value alignChannels(TensorMath &g, Value vector, RankedTensorType input, bool channelsLast) {
  SmallVector<int64_t> others;
  for (int64_t i = 0; i < input.getRank(); ++i)
    if (i != (channelsLast ? input.getRank() - 1 : 1))
      others.push_back(i);
  return g.make<nn::UnsqueezeOp>(vector, others);
}

struct ExpandBatchNorm : OpRewritePattern<nn::BatchNormOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(nn::BatchNormOp op, PatternRewriter &rewriter) const override {
    SmallVector<Value> results;
    if (failed(op.decompose(rewriter, results)))
      return rewriter.notifyMatchFailure(op, "it cannot be decomposed");
    // What is scaled by parameters of open size is of one, where the op knows its input's.
    for (auto [result, type] : llvm::zip_equal(results, op->getResultTypes()))
      if (result.getType() != type)
        result = tensor::CastOp::create(rewriter, op.getLoc(), type, result);
    rewriter.replaceOp(op, results);
    return success();
  }
};

struct ExpandGroupNorm : OpRewritePattern<nn::GroupNormOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(nn::GroupNormOp op, PatternRewriter &rewriter) const override {
    TensorMath g(rewriter, op.getLoc());
    Value x = op.getInput();
    if (!op.getChannelsLast())
      return rewriter.notifyMatchFailure(op, "its layout is not chosen");
    RankedTensorType input = op.getInput().getType();
    int64_t rank = input.getRank(), groups = op.getGroups();
    Type element = input.getElementType(), compute = nn::getComputeType(element);
    for (Value operand : op->getOperands())
      if (Type type = nn::getComputeType(getElementTypeOrSelf(operand)); type.isF64())
        compute = type;

    x = g.cast(x, compute);
    if (groups == 0) {
      auto axes = llvm::to_vector(llvm::seq<int64_t>(1, rank - 1));
      x = g.make<nn::NormalizeOp>(x, axes, op.getEpsilon(), false);
    } else {
      // [N, D1..Dn, G, C / G]
      SmallVector<int64_t> shape(rank - 1, 0);
      shape.append({groups, -1});
      auto axes = llvm::to_vector(llvm::seq<int64_t>(1, rank - 1));
      axes.push_back(rank);
      Value whole = g.make<nn::ShapeOp>(x);
      x = g.make<nn::ReshapeOp>(x, g.ints(shape), false);
      x = g.make<nn::NormalizeOp>(x, axes, op.getEpsilon(), false);
      x = g.make<nn::ReshapeOp>(x, whole, true);
    }
    Value scale = alignChannels(g, g.cast(op.getScale(), compute), input, op.getChannelsLast());
    Value bias = alignChannels(g, g.cast(op.getBias(), compute), input, op.getChannelsLast());
    TensorExpr normal(rewriter, op.getLoc(), x);
    rewriter.replaceOp(op, g.cast(normal * normal.with(scale) + normal.with(bias), element));
    return success();
  }
};

struct ExpandNormalizationsPass
    : graph::impl::ExpandNormalizationsPassBase<ExpandNormalizationsPass> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<ExpandBatchNorm, ExpandGroupNorm>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace
