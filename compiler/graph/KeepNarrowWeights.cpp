//===- KeepNarrowWeights.cpp - Products with 8-bit weights ------*- C++ -*-===//
//
// Before: %w = nn.mul (nn.cast %q : i8 to f32), %scales         (weights [n, b, s], a scale for each block of s)
//         %y = nn.matmul %x, (nn.reshape %w) {transpose_rhs}
// After:  %y = nn.contract (nn.reshape %x), %q, %scales          (m, n, b, s) -> (m, b, s), (n, b, s), (n, b)
//
// A product of few rows takes as long as its weights take to be read: those of 8 bits a quarter of
// the time that they would take as f32. With one scale for a column it is on the result. A zero point is taken
// from the weights ahead of time, where the difference fits 8 bits.
//
// Precondition: types inferred; quantised operands on both sides are contracted. Postcondition: products
// of f32 of few rows (or an open number) with weights that are known, scaled 8-bit integers
// read these.
//
//===----------------------------------------------------------------------===//
#include "compiler/graph/Passes.h"
#include "compiler/graph/Prepare.h"
#include "compiler/graph/Quantized.h"
#include "dialects/nn/NNShapes.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

namespace nacre::graph {
#define GEN_PASS_DEF_KEEPNARROWWEIGHTSPASS
#include "compiler/graph/Passes.h.inc"
} // namespace nacre::graph

using namespace mlir;
using namespace nacre;
using graph::elementOf, graph::getNarrow, graph::Narrow, graph::TensorMath, graph::typeOf;

namespace {

/// Whether a scale moves along none of the dimensions of `shape` but `dims`.
bool movesOnlyAlong(Value scale, ArrayRef<int64_t> shape, ArrayRef<int64_t> dims) {
  auto type = typeOf(scale);
  for (int64_t i = 0, first = shape.size() - type.getRank(); i < type.getRank(); ++i)
    if (type.getDimSize(i) != 1 && !llvm::is_contained(dims, first + i))
      return false;
  return true;
}

struct KeepNarrow : OpRewritePattern<nn::MatMulOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(nn::MatMulOp op, PatternRewriter &rewriter) const override {
    Value rows = op.getLhs(), weights = op.getRhs();
    auto rowsType = typeOf(rows), type = typeOf(weights);
    if (!elementOf(op).isF32() || !elementOf(rows).isF32() || op.getTransposeLhs() || type.getRank() != 2 ||
        !type.hasStaticShape() || !graph::isKnownAtCompileTime(weights))
      return rewriter.notifyMatchFailure(op, "no product of f32 with a known matrix");
    // More rows make up for weights that are converted once, ahead of time.
    constexpr int64_t kMostRows = 8;
    int64_t count = 1;
    for (int64_t size : rowsType.getShape().drop_back())
      count = ShapedType::isDynamic(size) || count == ShapedType::kDynamic ? ShapedType::kDynamic : count * size;
    if (!ShapedType::isDynamic(count) && count > kMostRows)
      return rewriter.notifyMatchFailure(op, "many rows");

    Operation *view = weights.getDefiningOp();
    bool isReshaped = isa_and_present<nn::ReshapeOp, nn::CollapseOp>(view);
    std::optional<Narrow> narrow = getNarrow(isReshaped ? view->getOperand(0) : weights);
    if (!narrow)
      return rewriter.notifyMatchFailure(op, "the matrix is not one of scaled 8-bit integers");
    ArrayRef<int64_t> shape = typeOf(narrow->numbers).getShape();
    bool transposed = op.getTransposeRhs();
    int64_t columns = transposed ? 0 : shape.size() - 1;
    if (shape.size() == 2 && !isReshaped && movesOnlyAlong(narrow->scale, shape, columns))
      return contractColumns(op, *narrow, transposed, rewriter);
    // Blocks: [n, b, s], or [b, s, n] that is not transposed.
    int64_t block = transposed ? 1 : 0, step = transposed ? 2 : 1;
    bool isSplit = shape.size() == 3 && isReshaped && shape[columns] == type.getDimSize(columns == 0 ? 0 : 1);
    if (!isSplit || !movesOnlyAlong(narrow->scale, shape, {columns, block}))
      return rewriter.notifyMatchFailure(op, "scales are not those of blocks of the matrix");
    return contractBlocks(op, *narrow, columns, block, step, rewriter);
  }

private:
  static LogicalResult replace(nn::MatMulOp op, Value product, PatternRewriter &rewriter) {
    if (product.getType() != op.getType())
      product = tensor::CastOp::create(rewriter, op.getLoc(), op.getType(), product);
    rewriter.replaceOp(op, product);
    return success();
  }

  static Value contract(nn::MatMulOp op, ArrayRef<Value> operands, ArrayRef<AffineMap> maps, PatternRewriter &rewriter) {
    return nn::ContractOp::create(rewriter, op.getLoc(), ValueRange(operands), rewriter.getAffineMapArrayAttr(maps));
  }

  /// One scale for each column, or for all.
  static LogicalResult contractColumns(nn::MatMulOp op, Narrow weights, bool transposed, PatternRewriter &rewriter) {
    int64_t outer = typeOf(op.getLhs()).getRank() - 1;
    SmallVector<AffineExpr> left;
    for (int64_t i = 0; i <= outer + 1; ++i)
      left.push_back(rewriter.getAffineDimExpr(i));
    AffineExpr n = left[outer], k = left[outer + 1];
    SmallVector<AffineExpr> result(left.begin(), left.begin() + outer + 1);
    left.erase(left.begin() + outer);
    auto map = [&](ArrayRef<AffineExpr> exprs) { return AffineMap::get(outer + 2, 0, exprs, rewriter.getContext()); };
    TensorMath m(rewriter, op.getLoc());
    Value product = contract(op, {op.getLhs(), m.cast(weights.numbers, weights.type)},
                             {map(left), transposed ? map({n, k}) : map({k, n}), map(result)}, rewriter);
    Value scale = nn::reshapeTo(rewriter, weights.scale, {typeOf(weights.scale).getNumElements()});
    return replace(op, m.make<nn::MulOp>(product, scale), rewriter);
  }

  /// A scale for each column and block of steps.
  static LogicalResult contractBlocks(nn::MatMulOp op, Narrow weights, int64_t columns, int64_t block, int64_t step,
                                      PatternRewriter &rewriter) {
    ArrayRef<int64_t> shape = typeOf(weights.numbers).getShape();
    int64_t outer = typeOf(op.getLhs()).getRank() - 1;
    SmallVector<int64_t> sizes(outer, 0); // as they are
    sizes.append({shape[block], shape[step]});
    SmallVector<AffineExpr> left, result;
    for (int64_t i = 0; i < outer; ++i)
      left.push_back(rewriter.getAffineDimExpr(i));
    AffineExpr n = rewriter.getAffineDimExpr(outer), b = rewriter.getAffineDimExpr(outer + 1), s = rewriter.getAffineDimExpr(outer + 2);
    result = left;
    result.push_back(n);
    left.append({b, s});
    SmallVector<AffineExpr> numbers(3);
    numbers[columns] = n, numbers[block] = b, numbers[step] = s;
    // The scale without its dimension of one step, and with those that it is broadcast along.
    SmallVector<AffineExpr> scales;
    SmallVector<int64_t> scaleSizes;
    for (int64_t dim = 0; dim < 3; ++dim) {
      int64_t own = dim - 3 + typeOf(weights.scale).getRank(), size = own < 0 ? 1 : typeOf(weights.scale).getDimSize(own);
      if (dim == step)
        continue;
      scaleSizes.push_back(size);
      scales.push_back(size == 1 && shape[dim] != 1 ? rewriter.getAffineConstantExpr(0) : numbers[dim]);
    }
    auto map = [&](ArrayRef<AffineExpr> exprs) { return AffineMap::get(outer + 3, 0, exprs, rewriter.getContext()); };
    TensorMath m(rewriter, op.getLoc());
    Value rows = m.make<nn::ReshapeOp>(op.getLhs(), m.ints(sizes)), scale = nn::reshapeTo(rewriter, weights.scale, scaleSizes);
    Value product = contract(op, {rows, m.cast(weights.numbers, weights.type), scale},
                             {map(left), map(numbers), map(scales), map(result)}, rewriter);
    return replace(op, product, rewriter);
  }
};

struct KeepNarrowWeightsPass : graph::impl::KeepNarrowWeightsPassBase<KeepNarrowWeightsPass> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<KeepNarrow>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace
