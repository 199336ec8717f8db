//===- ExpandAttention.cpp - Attention as products and a softmax -*- C++ -*-===//
//
// Before: %y, %_ = nn.attention %q, %k, %v mask %m scores raw
// After:  %s = nn.matmul (nn.mul %q, %scale), %k {transpose_rhs}
//         %p = nn.softmax (nn.add %s, (nn.where %masked, 0, (nn.where %m, 0, -inf)))
//         %y = nn.matmul (nn.where %masked, 0, %p), %v
//
// where %masked are the rows whose bias is -inf throughout. Heads that share keys are
// rows of one matrix: [N, H, S, D] is seen as [N, K, H / K * S, D].
//
// Precondition: types inferred; sizes need not be scalar arithmetic yet, for the pass
// makes more of it. Postcondition: no nn.attention is left.
//
//===----------------------------------------------------------------------===//
#include "compiler/graph/Passes.h"
#include "compiler/graph/TensorMath.h"
#include "dialects/nn/Expr.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

namespace nacre::graph {
#define GEN_PASS_DEF_EXPANDATTENTIONPASS
#include "compiler/graph/Passes.h.inc"
} // namespace nacre::graph

using namespace mlir;
using namespace nacre;
using graph::TensorMath;
using nn::ComparePredicate;

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

class Expander {
public:
  Expander(nn::AttentionOp op, OpBuilder &b)
      : op(op), g(b, op.getLoc()), type(op.getQuery().getType().getElementType()) {}

  SmallVector<Value, 2> expand() {
    Value raw = isGrouped() ? ungroup(multiply(group(scaledQuery()), op.getKey()), op.getKey(), 2)
                            : multiply(scaledQuery(), op.getKey());
    Value capped = cap(raw), bias = buildBias();
    Type softmaxType = op.getSoftmaxType().value_or(type);
    Value isMasked = bias && maySeeNothing() ? findMasked(bias) : Value(), seen = bias, zero = g.scalar(type, 0);
    if (isMasked) // a softmax of nothing but -inf, which is NaN, would be a part of the gradient
      seen = g.make<nn::WhereOp>(isMasked, zero, bias);
    Value scores = bias ? g.make<nn::AddOp>(capped, seen) : capped;
    Value probabilities = g.make<nn::SoftmaxOp>(g.cast(scores, softmaxType), 3, /*log=*/false);
    probabilities = g.cast(probabilities, type);
    if (isMasked)
      probabilities = g.make<nn::WhereOp>(isMasked, zero, probabilities);
    Value result = isGrouped() ? ungroup(multiplyValues(group(probabilities)), op.getValue(), 3)
                               : multiplyValues(probabilities);
    switch (op.getKind()) {
    case nn::AttentionScores::Raw:
      return {result, raw};
    case nn::AttentionScores::Capped:
      return {result, capped};
    case nn::AttentionScores::Biased:
      return {result, bias ? g.make<nn::AddOp>(capped, bias) : capped};
    case nn::AttentionScores::Probabilities:
      return {result, probabilities};
    }
    llvm_unreachable("a kind of scores");
  }

private:
  Value multiply(Value query, Value key) { return g.make<nn::MatMulOp>(query, key, false, /*transpose_rhs=*/true); }
  Value multiplyValues(Value probabilities) {
    return g.make<nn::MatMulOp>(probabilities, op.getValue(), false, false);
  }

  /// Whether heads may share keys.
  bool isGrouped() {
    int64_t heads = op.getQuery().getType().getDimSize(1), groups = op.getKey().getType().getDimSize(1);
    return ShapedType::isDynamic(heads) || heads != groups;
  }

  /// [N, H, S, X] → [N, K, H / K * S, X]
  Value group(Value x) {
    Value groups = g.size(op.getKey(), 1);
    Value rows = g.make<nn::MulOp>(g.make<nn::DivOp>(g.size(x, 1), groups), g.size(x, 2));
    Value shape = g.concat({g.size(x, 0), groups, rows, g.size(x, 3)});
    return g.make<nn::ReshapeOp>(x, shape, /*allowzero=*/true);
  }
  /// [N, K, H / K * S, X] → [N, H, S, X]
  Value ungroup(Value x, Value columns, int64_t index) {
    Value query = op.getQuery();
    Value shape = g.concat({g.size(query, 0), g.size(query, 1), g.size(query, 2), g.size(columns, index)});
    return g.make<nn::ReshapeOp>(x, shape, /*allowzero=*/true);
  }

  Value scaledQuery() {
    Value query = op.getQuery(), scale;
    int64_t depth = op.getQuery().getType().getDimSize(3);
    if (auto given = op.getScale())
      scale = g.scalar(type, given->convertToDouble());
    else if (!ShapedType::isDynamic(depth))
      scale = g.scalar(type, 1 / std::sqrt(static_cast<double>(depth)));
    else
      scale = g.cast(g.make<nn::ReciprocalOp>(
                         g.make<nn::SqrtOp>(g.cast(g.toScalar(g.size(query, 3)), nn::getComputeType(type)))), type);
    return g.make<nn::MulOp>(query, scale);
  }

  Value cap(Value scores) {
    double softcap = op.getSoftcap().convertToDouble();
    if (softcap <= 0)
      return scores;
    Value limit = g.scalar(type, softcap);
    return g.make<nn::MulOp>(g.make<nn::TanhOp>(g.make<nn::DivOp>(scores, limit)), limit);
  }

  //===--- The bias -------------------------------------------------------===//

  /// 0, 1, ..., one less than the size of a dimension.
  Value places(Value x, int64_t index) {
    return g.make<nn::RangeOp>(g.integer(0), g.integer(1), g.toScalar(g.size(x, index)));
  }
  Value compare(ComparePredicate predicate, Value lhs, Value rhs) {
    return g.make<nn::CompareOp>(predicate, lhs, rhs);
  }
  /// [N] → [N, 1, 1, 1]
  Value perSample(Value vector) { return g.make<nn::UnsqueezeOp>(vector, ArrayRef<int64_t>{1, 2, 3}); }

  /// Which keys a query sees by its place and the sample's length; null: all.
  Value buildVisible() {
    Value visible;
    auto restrict = [&](Value condition) {
      visible = visible ? g.make<nn::AndOp>(visible, condition) : condition;
    };
    if (op.getLengths())
      restrict(compare(ComparePredicate::lt, places(op.getKey(), 2), perSample(op.getLengths())));
    if (!op.getLeftWindow() && !op.getRightWindow())
      return visible;
    Value keys = places(op.getKey(), 2);
    Value queries = g.make<nn::UnsqueezeOp>(places(op.getQuery(), 2), ArrayRef<int64_t>{1});
    if (op.getOffset())
      queries = g.make<nn::AddOp>(queries, perSample(op.getOffset()));
    // Positions are small, so the largest window is as good as any above it.
    auto places = [&](uint64_t window) { return g.integer(std::min<int64_t>(window, int64_t(1) << 62)); };
    if (auto window = op.getLeftWindow())
      restrict(compare(ComparePredicate::ge, keys, g.make<nn::SubOp>(queries, places(*window))));
    if (auto window = op.getRightWindow())
      restrict(compare(ComparePredicate::le, keys, *window == 0 ? queries : g.make<nn::AddOp>(queries, places(*window))));
    return visible;
  }

  Value toBias(Value visible) {
    return g.make<nn::WhereOp>(visible, g.scalar(type, 0), g.scalar(type, -kInfinity));
  }

  /// What is added to the scores; null: nothing.
  Value buildBias() {
    Value visible = buildVisible(), mask = op.getMask();
    if (mask && getElementTypeOrSelf(mask).isInteger(1)) {
      visible = visible ? g.make<nn::AndOp>(visible, mask) : mask;
      mask = nullptr;
    }
    Value bias = visible ? toBias(visible) : Value();
    if (mask)
      bias = bias ? g.make<nn::AddOp>(bias, mask) : mask;
    if (bias && !broadcastsTo(bias, op.getScores())) {
      Value shape = g.concat({g.size(op.getQuery(), 0), g.size(op.getQuery(), 1), g.size(op.getQuery(), 2),
                              g.size(op.getKey(), 2)});
      bias = g.make<nn::BroadcastOp>(bias, shape);
    }
    return bias;
  }

  /// Whether a tensor is known to broadcast to the type of another.
  static bool broadcastsTo(Value tensor, Value other) {
    ArrayRef<int64_t> from = cast<RankedTensorType>(tensor.getType()).getShape();
    ArrayRef<int64_t> to = cast<RankedTensorType>(other.getType()).getShape().take_back(from.size());
    return llvm::all_of(llvm::zip_equal(from, to), [](auto sizes) {
      auto [size, wanted] = sizes;
      return size == 1 || (size == wanted && !ShapedType::isDynamic(size));
    });
  }

  /// Whether there may be a query without a key to see. Of those up to its own place, the first one is seen.
  bool maySeeNothing() { return op.getMask() || op.getLengths() || op.getOffset() || op.getLeftWindow(); }

  /// The rows without a key that may be seen.
  Value findMasked(Value bias) {
    int64_t last = cast<RankedTensorType>(bias.getType()).getRank() - 1;
    Value most = g.make<nn::ReduceOp>(nn::ReduceKind::max, bias, last, /*keepdims=*/true);
    return compare(ComparePredicate::eq, most, g.scalar(type, -kInfinity));
  }

  nn::AttentionOp op;
  TensorMath g;
  Type type;
};

struct ExpandAttention : OpRewritePattern<nn::AttentionOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(nn::AttentionOp op, PatternRewriter &rewriter) const override {
    rewriter.replaceOp(op, Expander(op, rewriter).expand());
    return success();
  }
};

struct ExpandAttentionPass : graph::impl::ExpandAttentionPassBase<ExpandAttentionPass> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<ExpandAttention>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace
