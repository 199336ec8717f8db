//===- AbsorbTransposes.cpp - Matrices read in another order ----*- C++ -*-===//
//
// Before: %t = nn.transpose %w {permutation = [1, 0]};  %y = nn.matmul %x, %t
// After:  %y = nn.matmul %x, %w {transpose_rhs}
//
// Before: %g = nn.matmul %x, %dy {transpose_lhs};  %t = nn.transpose %g {permutation = [1, 0]}
// After:  %t = nn.matmul %dy, %x {transpose_lhs}
//
// A product moves its operands into the order that it reads anyway, tile by tile; a transpose
// of its own passes them through memory once more, and so does one of the result. Exporters
// write a layer's weight transposed, so that in training every step would transpose it, what
// is kept for the backward pass would be the transposed weight too, and its gradient would be
// transposed back.
//
// Precondition: types inferred. Postcondition: no operand of nn.matmul that is computed for it in
// each run is an nn.transpose that moves the last dimension to the last but one; nor is such a
// transpose all that reads a product of operands of one rank, one of them transposed.
//
//===----------------------------------------------------------------------===//
#include "compiler/graph/Passes.h"
#include "compiler/graph/Prepare.h"
#include "dialects/nn/NNOps.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

namespace nacre::graph {
#define GEN_PASS_DEF_ABSORBTRANSPOSESPASS
#include "compiler/graph/Passes.h.inc"
} // namespace nacre::graph

using namespace mlir;
using namespace nacre;

namespace {

/// If a transpose moves the last dimension to the last but one: the permutation that does the
/// rest once the last two dimensions are exchanged.
std::optional<SmallVector<int64_t>> getRest(nn::TransposeOp op) {
  auto rest = llvm::to_vector(op.getPermutation());
  unsigned rank = rest.size();
  if (rank < 2 || rest[rank - 2] != int64_t(rank) - 1)
    return std::nullopt;
  std::swap(rest[rank - 2], rest[rank - 1]);
  return rest;
}

Value permute(RewriterBase &b, Location loc, Value value, ArrayRef<int64_t> permutation) {
  return isIdentityPermutation(permutation) ? value : nn::TransposeOp::create(b, loc, value, permutation).getResult();
}

struct AbsorbOperands : OpRewritePattern<nn::MatMulOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(nn::MatMulOp op, PatternRewriter &rewriter) const override {
    Value operands[] = {op.getLhs(), op.getRhs()};
    bool transposed[] = {op.getTransposeLhs(), op.getTransposeRhs()};
    bool any = false;
    for (unsigned i : {0, 1}) {
      auto transpose = operands[i].getDefiningOp<nn::TransposeOp>();
      // What is known is transposed when the model is compiled, and what stands in front of a
      // loop once for all iterations: unless they would transpose it back.
      if (!transpose || graph::isKnownAtCompileTime(operands[i]) ||
          (transpose->getBlock() != op->getBlock() && !transposed[i]))
        continue;
      auto rest = getRest(transpose);
      if (!rest)
        continue;
      operands[i] = permute(rewriter, transpose.getLoc(), transpose.getInput(), *rest);
      transposed[i] = !transposed[i];
      any = true;
    }
    if (!any)
      return rewriter.notifyMatchFailure(op, "no operand is transposed in each run");
    rewriter.replaceOpWithNewOp<nn::MatMulOp>(op, op.getType(), operands[0], operands[1], transposed[0], transposed[1]);
    return success();
  }
};

struct AbsorbResult : OpRewritePattern<nn::TransposeOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(nn::TransposeOp op, PatternRewriter &rewriter) const override {
    auto product = op.getInput().getDefiningOp<nn::MatMulOp>();
    auto rest = getRest(op);
    if (!product || !rest || !product->hasOneUse() || !(product.getTransposeLhs() || product.getTransposeRhs()) ||
        product.getLhs().getType().getRank() != product.getRhs().getType().getRank())
      return rewriter.notifyMatchFailure(op, "not of a product that can be made in the other order");
    Value exchanged = nn::MatMulOp::create(rewriter, product.getLoc(), product.getRhs(), product.getLhs(),
                                           !product.getTransposeRhs(), !product.getTransposeLhs());
    rewriter.replaceOp(op, permute(rewriter, op.getLoc(), exchanged, *rest));
    return success();
  }
};

struct AbsorbTransposesPass : graph::impl::AbsorbTransposesPassBase<AbsorbTransposesPass> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<AbsorbOperands, AbsorbResult>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace
