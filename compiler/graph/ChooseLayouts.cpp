//===- ChooseLayouts.cpp - Put channels last --------------------*- C++ -*-===//
//
// Before: %0 = nn.conv %x, %w;  %1 = nn.relu %0;  %2 = nn.conv %1, %v
// After:  %t = nn.transpose %x {0, 2, 3, 1}
//         %0 = nn.conv %t, %w {channels_last};  %1 = nn.relu %0
//         %2 = nn.conv %1, %v {channels_last};  %3 = nn.transpose %2 {0, 3, 1, 2}
//
// Precondition: types inferred. Postcondition: spatial ops have channels last.
//
//===----------------------------------------------------------------------===//
#include "compiler/graph/Passes.h"
#include "compiler/graph/Prepare.h"
#include "dialects/nn/NNOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Utils/IndexingUtils.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

namespace nacre::graph {
#define GEN_PASS_DEF_CHOOSELAYOUTSPASS
#include "compiler/graph/Passes.h.inc"
} // namespace nacre::graph

using namespace mlir;
using namespace nacre;

namespace {

/// [0, 2, ..., rank - 1, 1]: channels from second to last.
SmallVector<int64_t> getChannelsLast(int64_t rank) {
  SmallVector<int64_t> permutation{0};
  for (int64_t i = 2; i < rank; ++i)
    permutation.push_back(i);
  permutation.push_back(1);
  return permutation;
}

/// The dimensions, in the order of a permutation, whose sizes are not known to be 1. A value may
/// lack the first dimensions.
SmallVector<int64_t> getPermutedDims(Value value, ArrayRef<int64_t> permutation) {
  auto type = cast<RankedTensorType>(value.getType());
  int64_t missing = permutation.size() - type.getRank();
  SmallVector<int64_t> dims;
  for (int64_t from : permutation)
    if (from >= missing && type.getDimSize(from - missing) != 1)
      dims.push_back(from);
  return dims;
}

/// Whether the permutation moves no element.
bool isView(Value value, ArrayRef<int64_t> permutation) { return llvm::is_sorted(getPermutedDims(value, permutation)); }

/// Whether transposing the value costs nothing at run time.
bool isFreeToTranspose(Value value, ArrayRef<int64_t> permutation) {
  if (isView(value, permutation))
    return true;
  if (cast<RankedTensorType>(value.getType()).getRank() != int64_t(permutation.size()))
    return false;
  auto broadcast = value.getDefiningOp<nn::BroadcastOp>();
  return graph::isKnownAtCompileTime(value) || (broadcast && isView(broadcast.getInput(), permutation));
}

/// The value with its dimensions in another order.
Value transpose(OpBuilder &b, Location loc, Value value, ArrayRef<int64_t> permutation) {
  auto type = cast<RankedTensorType>(value.getType());
  auto broadcast = value.getDefiningOp<nn::BroadcastOp>();
  bool isWhole = type.getRank() == int64_t(permutation.size());
  if (isWhole && graph::isKnownAtCompileTime(value))
    return b.createOrFold<nn::TransposeOp>(loc, value, permutation);
  if (isView(value, permutation)) {
    SmallVector<int64_t> ones, axes, dims = getPermutedDims(value, permutation);
    for (int64_t i = 0; i < type.getRank(); ++i)
      if (type.getDimSize(i) == 1)
        ones.push_back(i);
    for (auto [i, from] : llvm::enumerate(permutation))
      if (!llvm::is_contained(dims, from))
        axes.push_back(i);
    return b.createOrFold<nn::UnsqueezeOp>(loc, b.createOrFold<nn::SqueezeOp>(loc, value, ones), axes);
  }
  if (!broadcast || !isView(broadcast.getInput(), permutation))
    return b.createOrFold<nn::TransposeOp>(loc, value, permutation);
  SmallVector<OpFoldResult> sizes;
  for (int64_t from : permutation)
    sizes.push_back(nn::getElementAsIndex(b, loc, broadcast.getShape(), from));
  return nn::BroadcastOp::create(b, loc, transpose(b, loc, broadcast.getInput(), permutation), nn::createSizes(b, loc, sizes));
}

/// Switches one op to channels last between transposes.
void switchLayout(nn::LayoutOpInterface op) {
  OpBuilder b(op);
  for (unsigned index : op.getLayoutOperands()) {
    Value operand = op->getOperand(index);
    int64_t rank = cast<RankedTensorType>(operand.getType()).getRank();
    op->setOperand(index, transpose(b, op.getLoc(), operand, getChannelsLast(rank)));
  }
  op.setChannelsLast();
  b.setInsertionPointAfter(op);
  for (Value result : op->getResults()) {
    auto type = cast<RankedTensorType>(result.getType());
    SmallVector<int64_t> last = getChannelsLast(type.getRank());
    result.setType(type.clone(applyPermutation(type.getShape(), last)));
    auto back = nn::TransposeOp::create(b, op.getLoc(), type, result, invertPermutationVector(last));
    result.replaceAllUsesExcept(back, back);
  }
}

/// One element that every layout reads alike.
bool isScalar(Value value) {
  auto type = cast<RankedTensorType>(value.getType());
  return type.hasStaticShape() && type.getNumElements() == 1 && type.getRank() <= 1;
}

bool isFreeTransposition(nn::TransposeOp op) { return isFreeToTranspose(op.getInput(), op.getPermutation()); }

/// The permutation to sink below an op, of the last operand that is a transposition and not
/// free: between free ones alone, transpositions would be moved back and forth.
ArrayRef<int64_t> getSinkingPermutation(ValueRange operands) {
  for (Value operand : llvm::reverse(operands))
    if (auto transposed = operand.getDefiningOp<nn::TransposeOp>(); transposed && !isFreeTransposition(transposed))
      return transposed.getPermutation();
  return {};
}

/// Whether an operand comes along when a transposition sinks: it is one of the same kind, or free.
/// Asked of all before anything is built: what a pattern builds and leaves makes it try again, forever.
bool comesAlong(Value operand, ArrayRef<int64_t> permutation) {
  auto transposed = operand.getDefiningOp<nn::TransposeOp>();
  return (transposed && transposed.getPermutation() == permutation) ||
         isFreeToTranspose(operand, invertPermutationVector(permutation));
}

/// An operand that comes along, as it was before the transposition.
Value beforeTranspose(OpBuilder &b, Location loc, Value operand, ArrayRef<int64_t> permutation) {
  auto transposed = operand.getDefiningOp<nn::TransposeOp>();
  return transposed && transposed.getPermutation() == permutation
             ? transposed.getInput()
             : transpose(b, loc, operand, invertPermutationVector(permutation));
}

/// A transposition that moves nothing becomes a view.
struct ViewTransposed : OpRewritePattern<nn::TransposeOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(nn::TransposeOp op, PatternRewriter &rewriter) const override {
    if (!isFreeTransposition(op) || graph::isKnownAtCompileTime(op.getInput()))
      return rewriter.notifyMatchFailure(op, "moves elements, or is computed when the model is compiled");
    rewriter.replaceOp(op, transpose(rewriter, op.getLoc(), op.getInput(), op.getPermutation()));
    return success();
  }
};

/// op(transpose(a), transpose(b)) → transpose(op(a, b)) for element-wise ops. Operands
/// that are free to transpose come along.
struct SinkThroughElementwise : OpInterfaceRewritePattern<nn::ElementwiseOpInterface> {
  using OpInterfaceRewritePattern::OpInterfaceRewritePattern;

  LogicalResult matchAndRewrite(nn::ElementwiseOpInterface op, PatternRewriter &rewriter) const override {
    int64_t rank = cast<RankedTensorType>(op->getResult(0).getType()).getRank();
    SmallVector<Value> full = llvm::filter_to_vector(op->getOperands(), [&](Value operand) {
      return cast<RankedTensorType>(operand.getType()).getRank() == rank;
    });
    ArrayRef<int64_t> permutation = getSinkingPermutation(full);
    if (permutation.empty())
      return rewriter.notifyMatchFailure(op, "no transposed operand of full rank");
    SmallVector<int64_t> inverse = invertPermutationVector(permutation);
    auto staysAsItIs = [](Value operand) { return isScalar(operand) && !operand.getDefiningOp<nn::TransposeOp>(); };
    if (!llvm::all_of(op->getOperands(), [&](Value operand) {
          return staysAsItIs(operand) || comesAlong(operand, permutation);
        }))
      return rewriter.notifyMatchFailure(op, "an operand would need a transposition of its own");
    SmallVector<Value> operands;
    for (Value operand : op->getOperands())
      operands.push_back(staysAsItIs(operand) ? operand
                                              : beforeTranspose(rewriter, op.getLoc(), operand, permutation));
    rewriteBefore(rewriter, op, permutation, [&] {
      Operation *built = rewriter.clone(*op);
      built->setOperands(operands);
      for (Value result : built->getResults()) {
        auto type = cast<RankedTensorType>(result.getType());
        result.setType(type.clone(applyPermutation(type.getShape(), inverse)));
      }
      return built;
    }());
    return success();
  }

  static void rewriteBefore(PatternRewriter &rewriter, Operation *op, ArrayRef<int64_t> permutation,
                            Operation *built) {
    SmallVector<Value> results;
    for (auto [value, old] : llvm::zip(built->getResults(), op->getResults()))
      results.push_back(nn::TransposeOp::create(rewriter, op->getLoc(), old.getType(), value, permutation));
    rewriter.replaceOp(op, results);
  }
};

struct SinkThroughPermutable : OpInterfaceRewritePattern<nn::PermutableOpInterface> {
  using OpInterfaceRewritePattern::OpInterfaceRewritePattern;

  LogicalResult matchAndRewrite(nn::PermutableOpInterface op, PatternRewriter &rewriter) const override {
    SmallVector<Value> operands(op->getOperands());
    SmallVector<unsigned> indices = op.getPermutableOperands();
    ArrayRef<int64_t> permutation = getSinkingPermutation(
        llvm::map_to_vector(indices, [&](unsigned index) { return operands[index]; }));
    if (permutation.empty())
      return rewriter.notifyMatchFailure(op, "no transposed operand");
    if (!llvm::all_of(indices, [&](unsigned index) { return comesAlong(operands[index], permutation); }))
      return rewriter.notifyMatchFailure(op, "an operand would need a transposition of its own");
    for (unsigned index : indices)
      operands[index] = beforeTranspose(rewriter, op->getLoc(), operands[index], permutation);
    FailureOr<Operation *> built = op.buildBeforeTranspose(rewriter, permutation, operands);
    if (failed(built)) {
      for (unsigned index : indices)
        if (Operation *made = operands[index].getDefiningOp(); made && isOpTriviallyDead(made))
          rewriter.eraseOp(made);
      return rewriter.notifyMatchFailure(op, "does not commute with the permutation");
    }
    SinkThroughElementwise::rewriteBefore(rewriter, op, permutation, *built);
    return success();
  }
};

/// reduce(transpose(a)) → transpose(reduce(a)) where dimensions go away: of the few that stay
/// there is often nothing to transpose.
struct SinkThroughReduction : OpRewritePattern<nn::ReduceOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(nn::ReduceOp op, PatternRewriter &rewriter) const override {
    auto transposed = op.getInput().getDefiningOp<nn::TransposeOp>();
    if (!transposed || op.getKeepdims() || isFreeTransposition(transposed))
      return rewriter.notifyMatchFailure(op, "no transposed operand, or dimensions stay in their places");
    SmallVector<int64_t> axes, kept;
    for (auto [i, from] : llvm::enumerate(transposed.getPermutation()))
      (llvm::is_contained(op.getAxes(), int64_t(i)) ? axes : kept).push_back(from);
    llvm::sort(axes);
    Value built = nn::ReduceOp::create(rewriter, op.getLoc(), op.getKind(), transposed.getInput(), axes, /*keepdims=*/false);
    // What stays, numbered in the input's order.
    SmallVector<int64_t> sorted(kept), order;
    llvm::sort(sorted);
    for (int64_t dim : kept)
      order.push_back(llvm::find(sorted, dim) - sorted.begin());
    rewriter.replaceOp(op, isIdentityPermutation(order) ? built : nn::TransposeOp::create(rewriter, op.getLoc(), built, order).getResult());
    return success();
  }
};

/// Of two equal reductions, of which one keeps dimensions, the second is a view of the first.
struct ShareReduction : OpRewritePattern<nn::ReduceOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(nn::ReduceOp op, PatternRewriter &rewriter) const override {
    for (Operation *user : op.getInput().getUsers()) {
      auto first = dyn_cast<nn::ReduceOp>(user);
      if (!first || first.getKind() != op.getKind() || first.getAxes() != op.getAxes() || op.getAxes().empty() ||
          first.getKeepdims() == op.getKeepdims() || first->getBlock() != op->getBlock() || !first->isBeforeInBlock(op))
        continue;
      if (op.getKeepdims())
        rewriter.replaceOpWithNewOp<nn::UnsqueezeOp>(op, op.getType(), first, op.getAxes());
      else
        rewriter.replaceOpWithNewOp<nn::SqueezeOp>(op, op.getType(), first, op.getAxes());
      return success();
    }
    return failure();
  }
};

/// transpose(op(a)) → op(transpose(a)) for element-wise ops, if all that they read is transposed
/// for others too: then sinking has not moved one transposition but made two of it.
struct RaiseOverElementwise : OpRewritePattern<nn::TransposeOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(nn::TransposeOp op, PatternRewriter &rewriter) const override {
    if (findTransposed(op, op.getInput()) || !canRaise(op, op.getInput(), kLongestChain))
      return rewriter.notifyMatchFailure(op, "something would need a transposition of its own");
    rewriter.replaceOp(op, raise(rewriter, op, op.getInput()));
    return success();
  }

private:
  static constexpr unsigned kLongestChain = 4;

  /// A value transposed in `op`'s way by another op before it, or null.
  static Value findTransposed(nn::TransposeOp op, Value value) {
    for (Operation *user : value.getUsers())
      if (auto other = dyn_cast<nn::TransposeOp>(user);
          other && other != op && other.getPermutation() == op.getPermutation() &&
          other->getBlock() == op->getBlock() && other->isBeforeInBlock(op))
        return other;
    return {};
  }

  /// Whether a value that one op alone reads is made element by element of such as are
  /// transposed already, by a few ops.
  static bool canRaise(nn::TransposeOp op, Value value, unsigned depth) {
    auto computed = value.getDefiningOp<nn::ElementwiseOpInterface>();
    auto users = value.getUsers();
    if (depth == 0 || !computed || computed->getNumResults() != 1 || !llvm::all_equal(users))
      return false;
    return llvm::all_of(computed->getOperands(), [&](Value operand) {
      bool isFull = cast<RankedTensorType>(operand.getType()).getRank() == op.getInput().getType().getRank();
      return isScalar(operand) || (isFull && (findTransposed(op, operand) || canRaise(op, operand, depth - 1)));
    });
  }

  static Value raise(PatternRewriter &rewriter, nn::TransposeOp op, Value value) {
    if (Value transposed = findTransposed(op, value))
      return transposed;
    IRMapping mapping;
    for (Value operand : value.getDefiningOp()->getOperands())
      if (!isScalar(operand) && !mapping.contains(operand))
        mapping.map(operand, raise(rewriter, op, operand));
    Operation *built = rewriter.clone(*value.getDefiningOp(), mapping);
    auto type = cast<RankedTensorType>(value.getType());
    built->getResult(0).setType(type.clone(applyPermutation(type.getShape(), op.getPermutation())));
    return built->getResult(0);
  }
};

struct ChooseLayoutsPass : graph::impl::ChooseLayoutsPassBase<ChooseLayoutsPass> {
  void runOnOperation() override {
    getOperation().walk([](nn::LayoutOpInterface op) {
      if (!op.isChannelsLast())
        switchLayout(op);
    });
    RewritePatternSet patterns(&getContext());
    patterns.add<ViewTransposed, SinkThroughElementwise, SinkThroughPermutable, SinkThroughReduction>(&getContext());
    nn::TransposeOp::getCanonicalizationPatterns(patterns, &getContext());
    RewritePatternSet raising(&getContext());
    raising.add<RaiseOverElementwise, ShareReduction>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))) ||
        failed(applyPatternsGreedily(getOperation(), std::move(raising))))
      signalPassFailure();
  }
};

} // namespace
