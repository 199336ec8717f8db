//===- SplitBlocks.cpp - Parameters of blocks without repetition -*- C++ -*-===//
//
// Before: %s = nn.collapse (nn.broadcast (nn.unsqueeze %scales)) : tensor<24x32x8xf32> to tensor<768x8xf32>
//         %w = nn.mul %q, %s : tensor<768x8xf32>                  (a scale for each 32 rows)
// After:  %b = nn.mul (nn.reshape %q), (nn.unsqueeze %scales) : tensor<24x32x8xf32>
//         %w = nn.collapse %b : tensor<24x32x8xf32> to tensor<768x8xf32>
//
// So that who multiplies with such weights sees their blocks.
//
// Precondition: types inferred. Postcondition: element-wise ops that are known at compile time
// have no operand whose elements are repeated in blocks of known sizes.
//
//===----------------------------------------------------------------------===//
#include "compiler/graph/KernelRoles.h"
#include "compiler/graph/Passes.h"
#include "compiler/graph/Prepare.h"
#include "compiler/graph/TensorMath.h"
#include "dialects/nn/NNShapes.h"
#include "mlir/Dialect/Utils/StructuredOpsUtils.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

namespace nacre::graph {
#define GEN_PASS_DEF_SPLITBLOCKSPASS
#include "compiler/graph/Passes.h.inc"
} // namespace nacre::graph

using namespace mlir;
using namespace nacre;
using graph::TensorMath, graph::typeOf;

namespace {

/// What is repeated along blocks if that is how the collapsed values are made; null if not.
Value getRepeated(nn::CollapseOp collapse) {
  auto broadcast = collapse.getInput().getDefiningOp<nn::BroadcastOp>();
  bool isSameRank = broadcast && typeOf(broadcast.getInput()).getRank() == typeOf(broadcast).getRank();
  return isSameRank ? broadcast.getInput() : Value();
}

/// Whether an element-wise op has no operand that is broadcast, but scalars.
bool isPlain(Operation *op) {
  return op->getNumResults() == 1 && graph::isElementwise(op) && llvm::all_of(op->getOperands(), [&](Value operand) {
    return typeOf(operand).getRank() == 0 || typeOf(operand).getShape() == typeOf(op->getResult(0)).getShape();
  });
}

Value splitResult(RewriterBase &rewriter, Operation *op, ArrayRef<int64_t> blocks);

/// A value in blocks, with a size of 1 where its elements are repeated along them.
Value split(RewriterBase &rewriter, Value value, ArrayRef<int64_t> blocks) {
  if (typeOf(value).getRank() == 0)
    return value;
  Operation *op = value.getDefiningOp();
  auto collapse = dyn_cast<nn::CollapseOp>(op);
  if (collapse && typeOf(collapse.getInput()).getShape() == blocks)
    return getRepeated(collapse) ? getRepeated(collapse) : collapse.getInput();
  return op->hasOneUse() && isPlain(op) ? splitResult(rewriter, op, blocks) : nn::reshapeTo(rewriter, value, blocks);
}

Value splitResult(RewriterBase &rewriter, Operation *op, ArrayRef<int64_t> blocks) {
  SmallVector<Value> operands;
  SmallVector<int64_t> shape;
  for (Value operand : op->getOperands()) {
    operands.push_back(split(rewriter, operand, blocks));
    shape = *nn::broadcastShapes(shape, typeOf(operands.back()).getShape());
  }
  return mlir::clone(rewriter, op, typeOf(op->getResult(0)).clone(shape), operands)->getResult(0);
}

struct ComputeBlocks : RewritePattern {
  explicit ComputeBlocks(MLIRContext *context) : RewritePattern(MatchAnyOpTypeTag(), /*benefit=*/1, context) {}

  LogicalResult matchAndRewrite(Operation *op, PatternRewriter &rewriter) const override {
    nn::CollapseOp repeated;
    for (Value operand : op->getOperands()) {
      while (auto cast = operand.getDefiningOp<nn::CastOp>())
        operand = cast.getInput();
      if (auto collapse = operand.getDefiningOp<nn::CollapseOp>(); collapse && getRepeated(collapse))
        repeated = collapse;
    }
    if (!repeated || isa<nn::CastOp>(op) || !typeOf(repeated.getInput()).hasStaticShape() || !isPlain(op) ||
        typeOf(repeated).getShape() != typeOf(op->getResult(0)).getShape() || !graph::isKnownAtCompileTime(op->getResult(0)))
      return rewriter.notifyMatchFailure(op, "not known, or nothing is repeated");
    ArrayRef<int64_t> blocks = typeOf(repeated.getInput()).getShape();
    Value made = splitResult(rewriter, op, blocks);
    if (typeOf(made).getShape() != blocks) { // of repeated elements alone
      TensorMath m(rewriter, op->getLoc());
      made = m.make<nn::BroadcastOp>(made, m.ints(blocks));
    }
    rewriter.replaceOpWithNewOp<nn::CollapseOp>(op, made, repeated.getBegin(), repeated.getEnd());
    return success();
  }
};

struct SplitBlocksPass : graph::impl::SplitBlocksPassBase<SplitBlocksPass> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<ComputeBlocks>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace
