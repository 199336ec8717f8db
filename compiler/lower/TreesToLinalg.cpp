//===- TreesToLinalg.cpp - Ways through decision trees ----------*- C++ -*-===//
//
// Before: %leaves = nn.tree_leaves %x from %roots at %features, %splits, %outcomes to %yes, %no
// After:  %leaves = linalg.generic {(row, tree) -> scf.while: the next node, until it is a leaf}
//
//===----------------------------------------------------------------------===//
#include "compiler/lower/Indexing.h"
#include "dialects/nn/Expr.h"
#include "dialects/nn/NNSizeMath.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace nacre;
using nacre::lower::Lowering;
using nn::Expr;

namespace {

struct LowerTreeLeaves : Lowering<nn::TreeLeavesOp> {
  using Lowering::Lowering;

  LogicalResult matchAndRewrite(nn::TreeLeavesOp op, Adaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    nn::SizeMath m(rewriter, loc);
    Value nodeCount = m.value(m.dim(op.getFeatures(), 0)), featureCount = m.value(m.dim(op.getInput(), 1));
    Type wide = nn::getComputeType(op.getInput().getType().getElementType());
    auto constant = [](OpBuilder &b, Location l, int64_t value) -> Value {
      return arith::ConstantIndexOp::create(b, l, value);
    };
    auto loadNumber = [](OpBuilder &b, Location l, Value tensor, ValueRange at, Value original) -> Value {
      Value integer = tensor::ExtractOp::create(b, l, tensor, at);
      return lower::toIndex(b, l, integer, getElementTypeOrSelf(original));
    };
    auto isNode = [&](OpBuilder &b, Location l, Value next) -> Value {
      return arith::CmpIOp::create(b, l, arith::CmpIPredicate::sge, next, constant(b, l, 0));
    };

    // Which node is next after one, for a row.
    auto step = [&](OpBuilder &b, Location l, Value row, Value node) -> Value {
      Value at = lower::clampPosition(b, l, node, nodeCount);
      Value feature = lower::clampPosition(b, l, loadNumber(b, l, adaptor.getFeatures(), at, op.getFeatures()), featureCount);
      auto load = [&](Value tensor, ValueRange places) -> Expr {
        Expr stored(b, l, tensor::ExtractOp::create(b, l, tensor, places));
        return stored.getType() == wide ? stored : stored.convert<arith::ExtFOp>(wide);
      };
      Expr x = load(adaptor.getInput(), {row, feature}), split = load(adaptor.getSplits(), at);
      Expr outcomes(b, l, tensor::ExtractOp::create(b, l, adaptor.getOutcomes(), at));
      auto bit = [&](int64_t value) { return outcomes.constant(value); };
      Expr outcome = nn::select(x < split, bit(1), nn::select(x == split, bit(2), nn::select(x > split, bit(4), bit(8))));
      Value isYes = (outcomes & outcome) != 0.0;
      return arith::SelectOp::create(b, l, isYes, loadNumber(b, l, adaptor.getYes(), at, op.getYes()),
                                     loadNumber(b, l, adaptor.getNo(), at, op.getNo()));
    };
    auto descend = [&](OpBuilder &b, Location l, ValueRange, ValueRange places) -> Value {
      Value root = loadNumber(b, l, adaptor.getRoots(), places[1], op.getRoots());
      Type index = b.getIndexType();
      auto way = scf::WhileOp::create(
          b, l, TypeRange{index, index}, ValueRange{root, constant(b, l, 0)},
          [&](OpBuilder &n, Location at, ValueRange state) {
            Value isShort = arith::CmpIOp::create(n, at, arith::CmpIPredicate::slt, state[1], nodeCount);
            scf::ConditionOp::create(n, at, arith::AndIOp::create(n, at, isNode(n, at, state[0]), isShort), state);
          },
          [&](OpBuilder &n, Location at, ValueRange state) {
            Value steps = arith::AddIOp::create(n, at, state[1], constant(n, at, 1));
            scf::YieldOp::create(n, at, ValueRange{step(n, at, places[0], state[0]), steps});
          });
      Value end = way.getResult(0), leaf = arith::SubIOp::create(b, l, constant(b, l, -1), end);
      leaf = arith::SelectOp::create(b, l, isNode(b, l, end), constant(b, l, 0), leaf);
      return arith::IndexCastOp::create(b, l, b.getI64Type(), leaf);
    };
    Value result = lower::createElements(rewriter, loc, {}, {}, lower::resultSizes(rewriter, op),
                                         rewriter.getI64Type(), descend);
    rewriter.replaceOp(op, lower::castTo(rewriter, loc, result, op.getType()));
    return success();
  }
};

} // namespace

void lower::populateTreesToLinalgPatterns(const TypeConverter &converter, RewritePatternSet &patterns) {
  patterns.add<LowerTreeLeaves>(converter, patterns.getContext());
}
