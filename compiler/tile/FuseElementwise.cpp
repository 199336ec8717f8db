//===- FuseElementwise.cpp - Merge element-wise generics --------*- C++ -*-===//
//
// Before: %0 = linalg.generic {mulf} ins(%a, %b); %1 = linalg.generic {addf} ins(%0, %c)
// After:  %1 = linalg.generic {mulf; addf} ins(%a, %b, %c)
// A result of the kernel that another is computed from is one of the merged op. An op that
// reads a result with some dimensions collapsed runs over these dimensions itself. A body that
// rounds to a narrow float and selects then by a constant selects before it rounds.
//
//===----------------------------------------------------------------------===//
#include "compiler/tile/Passes.h"
#include "dialects/kern/KernOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

namespace nacre::tile {
#define GEN_PASS_DEF_FUSEELEMENTWISEPASS
#include "compiler/tile/Passes.h.inc"
} // namespace nacre::tile

using namespace mlir;
using namespace nacre;

namespace {

/// Merges an op into the one that reads its result, if the kernel gives that result besides:
/// the merged op gives both.
struct FuseResult : OpRewritePattern<linalg::GenericOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(linalg::GenericOp consumer, PatternRewriter &rewriter) const override {
    for (OpOperand &operand : consumer->getOpOperands()) {
      auto producer = operand.get().getDefiningOp<linalg::GenericOp>();
      auto isReturn = [](Operation *user) { return isa<kern::ReturnOp>(user); };
      auto isReadHere = [&](Operation *user) { return user == consumer || isReturn(user); };
      if (!producer || producer.hasIndexSemantics() || llvm::none_of(producer->getUsers(), isReturn) ||
          !llvm::all_of(producer->getUsers(), isReadHere) || !linalg::areElementwiseOpsFusable(&operand))
        continue;
      FailureOr<linalg::ElementwiseOpFusionResult> fused = linalg::fuseElementwiseOps(rewriter, &operand);
      if (failed(fused))
        continue;
      for (auto [old, replacement] : fused->replacements)
        rewriter.replaceAllUsesWith(old, replacement);
      rewriter.eraseOp(consumer);
      rewriter.eraseOp(producer);
      return success();
    }
    return failure();
  }
};

/// Compares a value with a constant, and chooses one of the two, before the value is rounded to a type that is
/// compared in f32 only:
///   %t = truncf %x; select (cmpf olt, %t, c), c, %t  ->  truncf (select (cmpf olt, %x, ext c), ext c, %x)
/// Rounding keeps the order, and c is what it was. But for the sign of a zero: what is rounded to -0 is below it.
struct SelectBeforeRounding : OpRewritePattern<arith::SelectOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(arith::SelectOp op, PatternRewriter &rewriter) const override {
    auto compare = op.getCondition().getDefiningOp<arith::CmpFOp>();
    if (!compare || !(op.getType().isBF16() || op.getType().isF16()))
      return rewriter.notifyMatchFailure(op, "no selection of narrow floats by their order");
    Value constant = op.getTrueValue(), rounded = op.getFalseValue();
    if (rounded.getDefiningOp<arith::ConstantOp>())
      std::swap(constant, rounded);
    auto number = constant.getDefiningOp<arith::ConstantOp>();
    auto truncate = rounded.getDefiningOp<arith::TruncFOp>();
    auto isOne = [&](Value value) { return value == constant || value == rounded; };
    using P = arith::CmpFPredicate;
    bool isOrder = llvm::is_contained({P::OGT, P::OGE, P::OLT, P::OLE, P::UGT, P::UGE, P::ULT, P::ULE}, compare.getPredicate());
    if (!number || !truncate || !isOrder || !isOne(compare.getLhs()) || !isOne(compare.getRhs()) ||
        compare.getLhs() == compare.getRhs())
      return rewriter.notifyMatchFailure(op, "no selection between a rounded value and the constant that it is compared with");
    Type wide = truncate.getIn().getType();
    APFloat value = cast<FloatAttr>(number.getValue()).getValue();
    bool losesInfo;
    value.convert(cast<FloatType>(wide).getFloatSemantics(), APFloat::rmNearestTiesToEven, &losesInfo);
    Value extended = arith::ConstantOp::create(rewriter, op.getLoc(), rewriter.getFloatAttr(wide, value));
    auto widen = [&](Value one) { return one == constant ? extended : truncate.getIn(); };
    Value order = arith::CmpFOp::create(rewriter, op.getLoc(), compare.getPredicate(), widen(compare.getLhs()), widen(compare.getRhs()));
    Value chosen = arith::SelectOp::create(rewriter, op.getLoc(), order, widen(op.getTrueValue()), widen(op.getFalseValue()));
    rewriter.replaceOpWithNewOp<arith::TruncFOp>(op, op.getType(), chosen);
    return success();
  }
};

struct FuseElementwisePass : nacre::tile::impl::FuseElementwisePassBase<FuseElementwisePass> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    linalg::populateElementwiseOpsFusionPatterns(
        patterns, [](OpOperand *fused) { return fused->get().hasOneUse(); });
    linalg::populateFoldReshapeOpsByExpansionPatterns(patterns, [](OpOperand *fused) {
      auto collapse = fused->get().getDefiningOp<tensor::CollapseShapeOp>();
      return collapse && collapse->hasOneUse() && collapse.getSrc().getDefiningOp<linalg::LinalgOp>() &&
             isa<linalg::LinalgOp>(fused->getOwner());
    });
    patterns.add<FuseResult, SelectBeforeRounding>(&getContext());
    linalg::GenericOp::getCanonicalizationPatterns(patterns, &getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};
} // namespace
