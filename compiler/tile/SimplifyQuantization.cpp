//===- SimplifyQuantization.cpp - Rounded values in fewer operations --------===//
//
// Before: %q = divf %x, s;  %r = roundeven %q;  %z = addf %r, zp;  %v = clamp %z to [0, 255]
//         %i = trunci (saturating fptosi %v) to i8
//         %f = mulf (sitofp (subi (extui %i), zp)), s               (quantised, and dequantised again)
// After:  %c = clamp %x to [-zp * s, (255 - zp) * s];  %r = roundeven (%c / s, by three products)
//         %v = addf %r, zp;  %i = trunci (fptosi %v)                (where something reads it)
//         %f = mulf %r, s
//
// A division by a constant is a product with its reciprocal and two fused steps that correct it, which
// give the same bits (P. Markstein, "Computation of elementary functions on the IBM RISC System/6000
// processor", 1990) where nothing over- or underflows: so the clamp comes first, and says the same, as
// rounding keeps the order. What is an integer as a float already, in a range that bytes hold, is not
// converted to one and back. All results are bit for bit what they were, also those of NaN: 0.
//
// Precondition: structured ops, fused. Postcondition: the same values.
//
//===----------------------------------------------------------------------===//
#include "compiler/tile/Passes.h"
#include "dialects/kern/KernOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

namespace nacre::tile {
#define GEN_PASS_DEF_SIMPLIFYQUANTIZATIONPASS
#include "compiler/tile/Passes.h.inc"
} // namespace nacre::tile

using namespace mlir;

namespace {

std::optional<float> getFloat(Value value) {
  APFloat number(0.0f);
  if (!value.getType().isF32() || !matchPattern(value, m_ConstantFloat(&number)))
    return std::nullopt;
  return number.convertToFloat();
}

/// A value limited to constants, NaN left as it is: `low > x ? low : x`, then `high < that ? high : that`.
struct Clamp {
  Value input;
  float low, high;
};

/// `bound predicate x ? bound : x`: x and the bound.
std::optional<std::pair<Value, float>> matchBound(Value value, arith::CmpFPredicate predicate) {
  auto select = value.getDefiningOp<arith::SelectOp>();
  auto compare = select ? select.getCondition().getDefiningOp<arith::CmpFOp>() : nullptr;
  if (!compare || compare.getPredicate() != predicate || compare.getLhs() != select.getTrueValue() ||
      compare.getRhs() != select.getFalseValue())
    return std::nullopt;
  std::optional<float> bound = getFloat(select.getTrueValue());
  return bound ? std::optional(std::pair(select.getFalseValue(), *bound)) : std::nullopt;
}

std::optional<Clamp> matchClamp(Value value) {
  auto high = matchBound(value, arith::CmpFPredicate::OLT);
  auto low = high ? matchBound(high->first, arith::CmpFPredicate::OGT) : std::nullopt;
  return low && low->second <= high->second ? std::optional(Clamp{low->first, low->second, high->second}) : std::nullopt;
}

bool isInteger(float number) { return std::trunc(number) == number && std::abs(number) <= 1 << 16; }

/// A rounded value, and the integer that is added to it.
struct Rounded {
  math::RoundEvenOp op;
  std::optional<float> zero; ///< nullopt: nothing is added, also not 0, which turns -0 into 0.
  float added() const { return zero.value_or(0); }
};
std::optional<Rounded> matchRounded(Value value) {
  Rounded rounded;
  if (auto sum = value.getDefiningOp<arith::AddFOp>()) {
    std::optional<float> zero = getFloat(sum.getRhs());
    if (!zero || !isInteger(*zero))
      return std::nullopt;
    rounded.zero = zero;
    value = sum.getLhs();
  }
  rounded.op = value.getDefiningOp<math::RoundEvenOp>();
  return rounded.op ? std::optional(rounded) : std::nullopt;
}

Value makeFloat(OpBuilder &b, Location loc, float value) {
  return arith::ConstantOp::create(b, loc, b.getF32FloatAttr(value));
}

Value isOrdered(OpBuilder &b, Location loc, Value x) { return arith::CmpFOp::create(b, loc, arith::CmpFPredicate::ORD, x, x); }

/// In range: as an i32, if it is no NaN.
struct DropRangeCheck : OpRewritePattern<arith::AndIOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(arith::AndIOp op, PatternRewriter &rewriter) const override {
    auto above = op.getLhs().getDefiningOp<arith::CmpFOp>(), below = op.getRhs().getDefiningOp<arith::CmpFOp>();
    if (!above || !below || above.getLhs() != below.getLhs() || above.getPredicate() != arith::CmpFPredicate::OGE ||
        below.getPredicate() != arith::CmpFPredicate::OLT)
      return rewriter.notifyMatchFailure(op, "no check of a range");
    std::optional<Clamp> clamp = matchClamp(above.getLhs());
    std::optional<float> least = getFloat(above.getRhs()), end = getFloat(below.getRhs());
    if (!clamp || !least || !end || clamp->low < *least || clamp->high >= *end)
      return rewriter.notifyMatchFailure(op, "no value that is limited to it");
    rewriter.replaceOp(op, isOrdered(rewriter, op.getLoc(), above.getLhs()));
    return success();
  }
};

/// A float from an integer that was one: it is that float, of NaN what the integer was.
template <typename ToFloat> struct DropRoundTrip : OpRewritePattern<ToFloat> {
  using OpRewritePattern<ToFloat>::OpRewritePattern;

  LogicalResult matchAndRewrite(ToFloat op, PatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    auto fail = [&](const char *why) { return rewriter.notifyMatchFailure(op, why); };
    Value integer = op.getIn();
    APInt zero(32, 0);
    if (auto difference = integer.getDefiningOp<arith::SubIOp>()) {
      if (!matchPattern(difference.getRhs(), m_ConstantInt(&zero)))
        return fail("a zero point that is no constant");
      integer = difference.getLhs();
    }
    bool isUnsigned = isa_and_present<arith::ExtUIOp>(integer.getDefiningOp());
    if (!op.getType().isF32() || !integer.getType().isInteger(32) || !isa_and_present<arith::ExtUIOp, arith::ExtSIOp>(integer.getDefiningOp()))
      return fail("no integer that was narrower");
    auto narrow = integer.getDefiningOp()->getOperand(0).getDefiningOp<arith::TruncIOp>();
    auto guarded = narrow ? narrow.getIn().getDefiningOp<arith::SelectOp>() : nullptr;
    auto truncated = guarded ? guarded.getTrueValue().getDefiningOp<arith::FPToSIOp>() : nullptr;
    auto ordered = guarded ? guarded.getCondition().getDefiningOp<arith::CmpFOp>() : nullptr;
    APInt otherwise;
    if (!truncated || !ordered || ordered.getPredicate() != arith::CmpFPredicate::ORD || ordered.getLhs() != truncated.getIn() ||
        ordered.getRhs() != truncated.getIn() || !matchPattern(guarded.getFalseValue(), m_ConstantInt(&otherwise)))
      return fail("no conversion from a float in range");
    unsigned width = narrow.getType().getIntOrFloatBitWidth();
    std::optional<Clamp> clamp = matchClamp(truncated.getIn());
    double least = isUnsigned ? 0 : -std::ldexp(1, width - 1), most = std::ldexp(1, isUnsigned ? width : width - 1) - 1;
    if (width > 16 || !zero.isSignedIntN(17) || !clamp || clamp->low < least || clamp->high > most || !isInteger(clamp->low) ||
        !isInteger(clamp->high) || !matchRounded(clamp->input))
      return fail("no float that is such an integer");
    APInt narrowOtherwise = otherwise.trunc(width);
    float ofNaN = isUnsigned ? float(narrowOtherwise.getZExtValue()) : float(narrowOtherwise.getSExtValue());
    Value value = arith::SelectOp::create(rewriter, loc, ordered, truncated.getIn(), makeFloat(rewriter, loc, ofNaN));
    rewriter.replaceOpWithNewOp<arith::AddFOp>(op, value, makeFloat(rewriter, loc, float(-zero.getSExtValue()))); // 0: no -0
    return success();
  }
};

/// The clamp before the rounding, which then limits what is divided; the division by fused products.
struct ClampFirst : OpRewritePattern<arith::SelectOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(arith::SelectOp op, PatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    std::optional<Clamp> clamp = matchClamp(op);
    std::optional<Rounded> rounded = clamp ? matchRounded(clamp->input) : std::nullopt;
    auto division = rounded ? rounded->op.getOperand().getDefiningOp<arith::DivFOp>() : nullptr;
    std::optional<float> divisor = division ? getFloat(division.getRhs()) : std::nullopt;
    // Far from the ends of f32: the correction's smallest part is 2^-48 of the quotient.
    if (!divisor || !(*divisor > 0x1p-60f && *divisor < 0x1p60f) || !isInteger(clamp->low) || !isInteger(clamp->high))
      return rewriter.notifyMatchFailure(op, "no quotient by a constant that is rounded and limited");
    auto bound = [&](float limit) { return makeFloat(rewriter, loc, float((double(limit) - rounded->added()) * double(*divisor))); };
    Value low = bound(clamp->low), high = bound(clamp->high), x = division.getLhs();
    auto limit = [&](arith::CmpFPredicate predicate, Value limit) {
      x = arith::SelectOp::create(rewriter, loc, arith::CmpFOp::create(rewriter, loc, predicate, limit, x), limit, x);
    };
    limit(arith::CmpFPredicate::OGT, low);
    limit(arith::CmpFPredicate::OLT, high);
    Value reciprocal = makeFloat(rewriter, loc, 1 / *divisor), negative = makeFloat(rewriter, loc, -*divisor);
    Value first = arith::MulFOp::create(rewriter, loc, x, reciprocal);
    Value error = math::FmaOp::create(rewriter, loc, first, negative, x);
    Value quotient = math::FmaOp::create(rewriter, loc, error, reciprocal, first);
    Value nearest = math::RoundEvenOp::create(rewriter, loc, quotient);
    if (rounded->zero)
      nearest = arith::AddFOp::create(rewriter, loc, nearest, makeFloat(rewriter, loc, *rounded->zero));
    rewriter.replaceOp(op, nearest);
    return success();
  }
};

/// (n + zp) - zp: n, of NaN what the selection says.
struct DropZeroPoint : OpRewritePattern<arith::AddFOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(arith::AddFOp op, PatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    auto select = op.getLhs().getDefiningOp<arith::SelectOp>();
    auto ordered = select ? select.getCondition().getDefiningOp<arith::CmpFOp>() : nullptr;
    std::optional<Rounded> rounded = select ? matchRounded(select.getTrueValue()) : std::nullopt;
    std::optional<float> taken = getFloat(op.getRhs()), otherwise = select ? getFloat(select.getFalseValue()) : std::nullopt;
    if (!rounded || !rounded->zero || !taken || !otherwise || *taken != -*rounded->zero || !ordered ||
        ordered.getPredicate() != arith::CmpFPredicate::ORD || ordered.getLhs() != select.getTrueValue() ||
        !rounded->op.getOperand().getDefiningOp<math::FmaOp>())
      return rewriter.notifyMatchFailure(op, "no sum of a limited integer and what is taken off again");
    Value positive = arith::AddFOp::create(rewriter, loc, rounded->op, makeFloat(rewriter, loc, 0)); // no -0
    Value condition = isOrdered(rewriter, loc, positive);
    rewriter.replaceOpWithNewOp<arith::SelectOp>(op, condition, positive, makeFloat(rewriter, loc, *otherwise + *taken));
    return success();
  }
};

struct SimplifyQuantizationPass : nacre::tile::impl::SimplifyQuantizationPassBase<SimplifyQuantizationPass> {
  using Base::Base;

  void runOnOperation() override {
    // What a clamp promises is used before the clamp is moved.
    RewritePatternSet uses(&getContext()), clamps(&getContext());
    uses.add<DropRangeCheck, DropRoundTrip<arith::SIToFPOp>, DropRoundTrip<arith::UIToFPOp>>(&getContext());
    clamps.add<ClampFirst, DropZeroPoint>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(uses))) ||
        failed(applyPatternsGreedily(getOperation(), std::move(clamps))))
      signalPassFailure();
  }
};

} // namespace
