//===- ContractBlocked.cpp - Products with scales of blocks -----*- C++ -*-===//
//
// Before: %x = nn.mul (nn.cast %qx : ui8 to f32), %sx : tensor<4x768xf32>
//         %w = nn.mul (nn.cast %qw : i8 to f32), %sw : tensor<24x32x8xf32>       (a scale for each 32 steps)
//         %y = nn.matmul %x, (nn.collapse %w) : tensor<4x8xf32>
// After:  %p = nn.contract (nn.reshape %qx), %qw {wide}                          (m, b, n, s) -> (m, b, n)
//         %y = nn.mul (nn.reduce sum, (nn.mul (nn.cast %p to f32), %sw) along b), %sx
//
// A block's products are summed as integers, which is exact, and blocks as floats. Zero points z of the values and
// those of the weights, v, are taken from a block's sum p:
//   sum over s of (qx - z) * (qw - v)  =  p - z * sum qw - v * sum qx + steps * z * v
// What the sums of all blocks take is many times the result: they are a kernel with their sum (form-kernels), of
// which a tile holds one block's at a time (accumulate-products).
//
// A convolution of windows of one place is such a product of each place's channels. In a larger window a scale is for
// one place of it, as the standard has blocks along one axis: there is next to nothing to sum before it is scaled.
//
// Precondition: types inferred, blocks split, other quantised operands contracted. Postcondition: no product of f32
// of values that are scaled 8-bit integers, one scale for each row or for all, and a known matrix of such with a scale
// for each block of steps; but for sums that i32 might not hold. So of convolutions of one place, without strides.
//
//===----------------------------------------------------------------------===//
#include "compiler/graph/KernelRoles.h"
#include "compiler/graph/Passes.h"
#include "compiler/graph/Prepare.h"
#include "compiler/graph/Quantized.h"
#include "dialects/nn/NNShapes.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

namespace nacre::graph {
#define GEN_PASS_DEF_CONTRACTBLOCKEDPASS
#include "compiler/graph/Passes.h.inc"
} // namespace nacre::graph

using namespace mlir;
using namespace nacre;
using graph::elementOf, graph::Quantized, graph::TensorMath, graph::typeOf;

namespace {

/// A matrix of scaled integers in blocks, and which of its three dimensions is which.
struct BlockedWeights {
  Quantized quantized;
  Type type; ///< That the integers are converted to: they may be of another, but fit it.
  int64_t columns, block, step;

  int64_t sizeOf(int64_t dim) const { return typeOf(quantized.values).getDimSize(dim); }
};

/// Whether a parameter (may be null) of a three-dimensional value does not move along `dim`.
bool staysAlong(Value parameter, int64_t dim) {
  int64_t own = parameter ? dim - 3 + typeOf(parameter).getRank() : -1;
  return own < 0 || typeOf(parameter).getDimSize(own) == 1;
}

std::optional<BlockedWeights> getBlockedWeights(Value matrix, bool transposed) {
  if (auto transpose = matrix.getDefiningOp<nn::TransposeOp>(); transpose && typeOf(matrix).getRank() == 2) {
    matrix = transpose.getInput();
    transposed ^= transpose.getPermutation()[0] == 1;
  }
  Operation *view = matrix.getDefiningOp();
  if (!isa_and_present<nn::CollapseOp, nn::ReshapeOp>(view) || typeOf(matrix).getRank() != 2 || !graph::isKnownAtCompileTime(matrix))
    return std::nullopt;
  Value blocks = view->getOperand(0);
  auto type = typeOf(blocks);
  BlockedWeights weights{{}, {}, transposed ? 0 : 2, transposed ? 1 : 0, transposed ? 2 : 1};
  if (type.getRank() != 3 || !type.hasStaticShape() || type.getDimSize(weights.columns) != typeOf(matrix).getDimSize(transposed ? 0 : 1))
    return std::nullopt;
  // Without a zero point where the differences fit.
  if (auto narrow = graph::getNarrow(blocks)) {
    weights.quantized = {narrow->numbers, {}, narrow->scale};
    weights.type = narrow->type;
  } else if (auto quantized = graph::getQuantized(blocks)) {
    weights.quantized = *quantized;
    weights.type = elementOf(quantized->values);
  } else {
    return std::nullopt;
  }
  bool isWhole = staysAlong(weights.quantized.zero, weights.step) && staysAlong(weights.quantized.scale, weights.step);
  return isWhole ? std::optional(weights) : std::nullopt;
}

/// Whether a parameter (may be null) of a value is one for all columns.
bool isOfRows(Value parameter) {
  return !parameter || typeOf(parameter).getRank() == 0 || typeOf(parameter).getShape().back() == 1;
}

struct ContractBlocked : OpRewritePattern<nn::MatMulOp> {
  ContractBlocked(MLIRContext *context, bool mixedSigns) : OpRewritePattern(context), mixedSigns(mixedSigns) {}

  LogicalResult matchAndRewrite(nn::MatMulOp op, PatternRewriter &rewriter) const override {
    TensorMath m(rewriter, op.getLoc());
    std::optional<Quantized> x;
    if (!isa<FloatType>(elementOf(op)) || op.getTransposeLhs() || !(x = graph::getQuantized(op.getLhs())) ||
        ShapedType::isDynamic(typeOf(x->values).getShape().back()) || !isOfRows(x->zero) || !isOfRows(x->scale))
      return rewriter.notifyMatchFailure(op, "no product of quantised values with one scale and zero point for a row");
    std::optional<BlockedWeights> w = getBlockedWeights(op.getRhs(), op.getTransposeRhs());
    if (!w)
      return rewriter.notifyMatchFailure(op, "the matrix is not one of integers with a scale for each block");
    int64_t blocks = w->sizeOf(w->block), steps = w->sizeOf(w->step);
    if (!graph::fitsSum(steps) || blocks * steps != typeOf(x->values).getShape().back())
      return rewriter.notifyMatchFailure(op, "sums that i32 might not hold");
    Quantized &weights = w->quantized;
    weights.values = m.cast(weights.values, w->type);
    if (Quantized *wrong = mixedSigns ? graph::findWrongSign(*x, weights) : nullptr)
      graph::changeSign(m, rewriter, *wrong);

    int64_t outer = typeOf(x->values).getRank() - 1;
    SmallVector<int64_t> sizes(outer, 0); // as they are
    sizes.append({blocks, steps});
    Value values = m.make<nn::ReshapeOp>(x->values, m.ints(sizes));
    Value sums = contract(m, rewriter, values, *w);
    // Along blocks and columns.
    auto toMatrix = [&](Value parameter) -> Value {
      if (typeOf(parameter).getRank() == 0)
        return parameter;
      SmallVector<int64_t> shape(3, 1);
      llvm::copy(typeOf(parameter).getShape(), shape.end() - typeOf(parameter).getRank());
      shape.erase(shape.begin() + w->step);
      Value matrix = nn::reshapeTo(rewriter, parameter, shape);
      return w->columns == 0 ? m.make<nn::TransposeOp>(matrix, ArrayRef<int64_t>{1, 0}) : matrix;
    };
    Type i32 = rewriter.getI32Type();
    auto sumOf = [&](Value of, int64_t dim, bool keepdims) {
      return m.make<nn::ReduceOp>(nn::ReduceKind::sum, m.cast(of, i32), ArrayRef<int64_t>{dim}, keepdims);
    };
    Value zero = x->zero && typeOf(x->zero).getRank() > 1 ? m.make<nn::UnsqueezeOp>(x->zero, ArrayRef<int64_t>{typeOf(x->zero).getRank()}) : x->zero;
    Value shift = weights.zero ? toMatrix(weights.zero) : Value();
    if (zero) {
      // What it is multiplied with is known.
      Value total = toMatrix(sumOf(weights.values, w->step, /*keepdims=*/true));
      if (shift)
        total = m.make<nn::SubOp>(total, m.make<nn::MulOp>(shift, m.cast(m.integer(steps), i32)));
      sums = m.make<nn::SubOp>(sums, m.make<nn::MulOp>(zero, total));
    }
    if (shift)
      sums = m.make<nn::SubOp>(sums, m.make<nn::MulOp>(sumOf(values, outer + 1, /*keepdims=*/true), shift));

    // A narrow float does not hold the sums.
    Type element = elementOf(op), wide = element.getIntOrFloatBitWidth() < 32 ? rewriter.getF32Type() : element;
    Value scaled = m.make<nn::MulOp>(m.cast(sums, wide), m.cast(toMatrix(weights.scale), wide));
    Value all = m.make<nn::ReduceOp>(nn::ReduceKind::sum, scaled, ArrayRef<int64_t>{outer}, /*keepdims=*/false);
    Value result = m.cast(m.make<nn::MulOp>(all, m.cast(x->scale, wide)), element);
    rewriter.replaceOp(op, result.getType() == op.getType() ? result : m.make<tensor::CastOp>(op.getType(), result));
    return success();
  }

private:
  /// The sums of each block's products, [..., m, b, n].
  static Value contract(TensorMath &m, OpBuilder &b, Value values, const BlockedWeights &weights) {
    int64_t outer = typeOf(values).getRank() - 2;
    SmallVector<AffineExpr> all;
    for (int64_t i = 0; i < outer + 3; ++i)
      all.push_back(b.getAffineDimExpr(i));
    AffineExpr block = all[outer], column = all[outer + 1], step = all[outer + 2];
    SmallVector<AffineExpr> left(all.begin(), all.begin() + outer + 1), right(3), result(all.begin(), all.end() - 1);
    left.push_back(step);
    right[weights.columns] = column, right[weights.block] = block, right[weights.step] = step;
    SmallVector<AffineMap> maps;
    for (ArrayRef<AffineExpr> exprs : {ArrayRef(left), ArrayRef(right), ArrayRef(result)})
      maps.push_back(AffineMap::get(outer + 3, 0, exprs, b.getContext()));
    return m.make<nn::ContractOp>(ValueRange{values, weights.quantized.values}, b.getAffineMapArrayAttr(maps), /*wide=*/true);
  }

  bool mixedSigns;
};

/// A value that element-wise ops compute, moved: what they are computed of is, as `move` does it.
Value moveOperands(RewriterBase &rewriter, Value value, llvm::function_ref<Value(Value)> move) {
  if (typeOf(value).getRank() == 0)
    return value;
  Operation *op = value.getDefiningOp();
  if (!op || op->getNumResults() != 1 || !graph::isElementwise(op))
    return move(value);
  SmallVector<Value> operands;
  SmallVector<int64_t> shape;
  for (Value operand : op->getOperands()) {
    operands.push_back(moveOperands(rewriter, operand, move));
    shape = *nn::broadcastShapes(shape, typeOf(operands.back()).getShape());
  }
  return mlir::clone(rewriter, op, typeOf(value).clone(shape), operands)->getResult(0);
}

/// A convolution of windows of one place as a product of channels, the last dimension of the values then.
struct MultiplyPlaces : OpRewritePattern<nn::ConvOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(nn::ConvOp op, PatternRewriter &rewriter) const override {
    auto isOne = [](int64_t size) { return size == 1; };
    auto isZero = [](int64_t size) { return size == 0; };
    auto weight = typeOf(op.getWeight());
    if (!isa<FloatType>(elementOf(op)) || op.getChannelsLast() || op.getGroups() != 1 ||
        !llvm::all_of(weight.getShape().drop_front(2), isOne) || !llvm::all_of(op.getStrides(), isOne) ||
        !llvm::all_of(op.getPads(), isZero))
      return rewriter.notifyMatchFailure(op, "windows of more than one place, or not all of them");
    auto collapse = op.getWeight().getDefiningOp<nn::CollapseOp>();
    if (!collapse || collapse.getBegin() != 1 || collapse.getEnd() != 3 || !graph::isKnownAtCompileTime(collapse) ||
        !typeOf(collapse.getInput()).hasStaticShape())
      return rewriter.notifyMatchFailure(op, "weights without blocks of channels");
    auto x = graph::getQuantized(op.getInput());
    if (!x || (x->zero && typeOf(x->zero).getRank() > 0) || typeOf(x->scale).getRank() > 0)
      return rewriter.notifyMatchFailure(op, "the values are not quantised by one scale");
    int64_t rank = weight.getRank();
    TensorMath m(rewriter, op.getLoc());
    Value blocks = moveOperands(rewriter, collapse.getInput(), [&](Value value) {
      return nn::reshapeTo(rewriter, value, typeOf(value).getShape().drop_back(rank - 2));
    });
    SmallVector<int64_t> toLast{0}, toFirst{0, rank - 1};
    for (int64_t i = 2; i < rank; ++i)
      toLast.push_back(i), toFirst.push_back(i - 1);
    toLast.push_back(1);
    Value values = moveOperands(rewriter, op.getInput(), [&](Value value) { return m.make<nn::TransposeOp>(value, toLast); });
    Value product = m.make<nn::MatMulOp>(values, m.make<nn::CollapseOp>(blocks, int64_t(1), int64_t(3)), /*transpose_lhs=*/false,
                                         /*transpose_rhs=*/true);
    if (op.getBias())
      product = m.make<nn::AddOp>(product, op.getBias());
    Value result = m.make<nn::TransposeOp>(product, toFirst);
    rewriter.replaceOp(op, result.getType() == op.getType() ? result : m.make<tensor::CastOp>(op.getType(), result));
    return success();
  }
};

struct ContractBlockedPass : graph::impl::ContractBlockedPassBase<ContractBlockedPass> {
  using Base::Base;

  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<ContractBlocked>(&getContext(), mixedSigns);
    patterns.add<MultiplyPlaces>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace
