//===- ApproximateMath.cpp - Functions of floats by arithmetic
//--------------===//
//
// Before: %y = math.exp %x : vector<16xf32>
// After:  fused multiply-adds, selections and integer shifts on vector<16xf32>
//
// f16 and bf16 are computed in f32. f64 stays: the library computes it, lane by
// lane.
//
//===----------------------------------------------------------------------===//
#include "compiler/tile/MathFormulas.h"
#include "compiler/tile/Passes.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Transforms/WalkPatternRewriteDriver.h"

namespace nacre::tile {
#define GEN_PASS_DEF_APPROXIMATEMATHPASS
#include "compiler/tile/Passes.h.inc"
} // namespace nacre::tile

using namespace mlir;
using namespace nacre::tile;
using nacre::nn::Expr;

namespace {

/// Replaces an op by a formula in f32.
LogicalResult replaceByFormula(Operation *op, PatternRewriter &rewriter,
                               llvm::function_ref<Expr(ArrayRef<Expr>)> formula) {
  Type type = op->getResult(0).getType(), element = getElementTypeOrSelf(type);
  if (!element.isF32() && !element.isF16() && !element.isBF16())
    return rewriter.notifyMatchFailure(op, "not a float that f32 holds");
  if (!isa<FloatType, VectorType>(type))
    return rewriter.notifyMatchFailure(op, "neither scalar nor vector");
  SmallVector<Expr> operands;
  for (Value operand : op->getOperands()) {
    Expr x(rewriter, op->getLoc(), operand);
    operands.push_back(element.isF32() ? x : x.convert<arith::ExtFOp>(rewriter.getF32Type()));
  }
  Expr result = formula(operands);
  if (!element.isF32())
    result = result.convert<arith::TruncFOp>(element);
  rewriter.replaceOp(op, result.get());
  return success();
}

template <typename Op, Expr (MathFormulas::*formula)(Expr) const>
struct Approximate : OpRewritePattern<Op> {
  Approximate(MLIRContext *context, MathFormulas formulas)
      : OpRewritePattern<Op>(context), formulas(formulas) {}
  LogicalResult matchAndRewrite(Op op, PatternRewriter &rewriter) const override {
    return replaceByFormula(op, rewriter,
                            [&](ArrayRef<Expr> x) { return (formulas.*formula)(x[0]); });
  }
  MathFormulas formulas;
};

struct ApproximatePow : OpRewritePattern<math::PowFOp> {
  ApproximatePow(MLIRContext *context, MathFormulas formulas)
      : OpRewritePattern(context), formulas(formulas) {}
  LogicalResult matchAndRewrite(math::PowFOp op, PatternRewriter &rewriter) const override {
    return replaceByFormula(op, rewriter,
                            [&](ArrayRef<Expr> x) { return formulas.pow(x[0], x[1]); });
  }
  MathFormulas formulas;
};

/// «r > l ? r : l» is one instruction that keeps a NaN in l; that in r is seen to apart.
template <typename Op, arith::CmpFPredicate better>
struct CompareAndSelect : OpRewritePattern<Op> {
  using OpRewritePattern<Op>::OpRewritePattern;
  LogicalResult matchAndRewrite(Op op, PatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    Value l = op.getLhs(), r = op.getRhs();
    Value isBetter = arith::CmpFOp::create(rewriter, loc, better, r, l);
    Value result = arith::SelectOp::create(rewriter, loc, isBetter, r, l);
    if (Attribute known; !matchPattern(r, m_Constant(&known)) || matchPattern(r, m_NaNFloat())) {
      // Not r itself: LLVM would make one selection of both, and that is slower.
      auto element = cast<FloatType>(getElementTypeOrSelf(r));
      Value nan = Expr(rewriter, loc, r).constant(APFloat::getNaN(element.getFloatSemantics()));
      Value isNaN = arith::CmpFOp::create(rewriter, loc, arith::CmpFPredicate::UNO, r, r);
      result = arith::SelectOp::create(rewriter, loc, isNaN, nan, result);
    }
    rewriter.replaceOp(op, result);
    return success();
  }
};

struct ApproximateMathPass : nacre::tile::impl::ApproximateMathPassBase<ApproximateMathPass> {
  using ApproximateMathPassBase::ApproximateMathPassBase;

  void runOnOperation() override {
    using F = MathFormulas;
    RewritePatternSet patterns(&getContext());
    patterns.add<Approximate<math::ExpOp, &F::exp>, Approximate<math::Exp2Op, &F::exp2>,
                 Approximate<math::ExpM1Op, &F::expm1>, Approximate<math::LogOp, &F::log>,
                 Approximate<math::Log2Op, &F::log2>, Approximate<math::Log10Op, &F::log10>,
                 Approximate<math::Log1pOp, &F::log1p>, Approximate<math::SinOp, &F::sin>,
                 Approximate<math::CosOp, &F::cos>, Approximate<math::TanOp, &F::tan>,
                 Approximate<math::AsinOp, &F::asin>, Approximate<math::AcosOp, &F::acos>,
                 Approximate<math::AtanOp, &F::atan>, Approximate<math::SinhOp, &F::sinh>,
                 Approximate<math::CoshOp, &F::cosh>, Approximate<math::TanhOp, &F::tanh>,
                 Approximate<math::AsinhOp, &F::asinh>, Approximate<math::AcoshOp, &F::acosh>,
                 Approximate<math::AtanhOp, &F::atanh>, Approximate<math::ErfOp, &F::erf>,
                 Approximate<math::RsqrtOp, &F::rsqrt>, ApproximatePow>(&getContext(),
                                                                        MathFormulas{fma});
    patterns.add<CompareAndSelect<arith::MaximumFOp, arith::CmpFPredicate::OGT>,
                 CompareAndSelect<arith::MinimumFOp, arith::CmpFPredicate::OLT>>(&getContext());
    walkAndApplyPatterns(getOperation(), std::move(patterns));
  }
};

} // namespace
