//===- TrainToLinalg.cpp - Losses and updates of parameters -----*- C++ -*-===//
#include "compiler/lower/Indexing.h"
#include "dialects/nn/Expr.h"
#include "dialects/rt/RtOps.h"

using namespace mlir;
using namespace nacre;
using nacre::lower::Lowering;
using nn::Expr;

namespace {

/// nn.nll_loss → one generic over the labels. A bad label is recorded and read as 0.
struct LowerNllLoss : Lowering<nn::NllLossOp> {
  using Lowering::Lowering;

  LogicalResult matchAndRewrite(nn::NllLossOp op, Adaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    nn::SizeMath m(rewriter, loc);
    SmallVector<OpFoldResult> sizes = lower::resultSizes(rewriter, op);
    Value input = adaptor.getInput(), classWeights = adaptor.getClassWeights();
    Type type = getElementTypeOrSelf(input);
    Value classes = m.value(m.dim(input, 1)), empty = lower::createEmpty(rewriter, loc, sizes, type);
    AffineMap identity = rewriter.getMultiDimIdentityMap(sizes.size());
    Type types[] = {empty.getType(), empty.getType()};
    auto generic = linalg::GenericOp::create(
        rewriter, loc, types, adaptor.getLabels(), ValueRange{empty, empty}, ArrayRef{identity, identity, identity},
        SmallVector<utils::IteratorType>(sizes.size(), utils::IteratorType::parallel),
        [&](OpBuilder &b, Location bodyLoc, ValueRange e) {
          Expr label(b, bodyLoc, e[0]);
          Expr position = label.with(lower::toIndex(b, bodyLoc, label, label.getType()));
          // As unsigned numbers, negative ones are too large as well.
          Expr isGood = less(position, position.with(classes), /*isUnsigned=*/true), isCounted = isGood;
          if (auto ignored = op.getIgnoreIndex()) {
            Expr isIgnored = position == position.with(arith::ConstantIndexOp::create(b, bodyLoc, *ignored));
            isCounted = isGood & ~isIgnored;
            isGood = isGood | isIgnored;
          }
          rt::CheckOp::create(b, loc, isGood, rt::Status::InvalidValue, "a label is out of range");
          SmallVector<Value> from{select(isCounted, position, position.with(arith::ConstantIndexOp::create(b, bodyLoc, 0)))};
          Value row = from.front();
          for (size_t i = 0; i < sizes.size(); ++i)
            from.push_back(linalg::IndexOp::create(b, bodyLoc, i));
          std::swap(from[0], from[1]);
          Expr zero(b, bodyLoc, arith::ConstantOp::create(b, bodyLoc, b.getZeroAttr(type)));
          Value loss = tensor::ExtractOp::create(b, bodyLoc, input, from), weight = zero.constant(1);
          if (classWeights)
            weight = tensor::ExtractOp::create(b, bodyLoc, classWeights, row);
          loss = nn::computeWide(b, bodyLoc, {loss, weight}, [&](ArrayRef<Expr> x) {
            return classWeights ? -(x[0] * x[1]) : -x[0];
          });
          linalg::YieldOp::create(b, bodyLoc, ValueRange{select(isCounted, zero.with(loss), zero),
                                                         select(isCounted, zero.with(weight), zero)});
        });
    SmallVector<Value> results;
    for (auto [result, old] : llvm::zip(generic.getResults(), op.getResults()))
      results.push_back(lower::castTo(rewriter, loc, result, old.getType()));
    rewriter.replaceOp(op, results);
    return success();
  }
};

} // namespace

void lower::populateTrainToLinalgPatterns(const TypeConverter &converter, RewritePatternSet &patterns) {
  patterns.add<LowerNllLoss>(converter, patterns.getContext());
}
