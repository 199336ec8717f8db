//===- NormalizeToLinalg.cpp - Softmax and normalisations -------*- C++ -*-===//
//
// Each op is several passes over rows, which tiling fuses:
//
//   softmax:   m = max(x);  e = exp(x - m);  s = sum(e);  e * (1 / s)
//   normalize: m = sum(x) / n;  v = sum((x - m)^2);  (x - m) * (1 / sqrt(v / n + epsilon))
//
//===----------------------------------------------------------------------===//
#include "compiler/lower/Reductions.h"

using namespace mlir;
using namespace nacre;
using lower::Lowering;
using lower::RowBuilder;
using nn::Expr;
using nn::ReduceKind;

namespace {

Expr first(ArrayRef<Expr> e) { return e[0]; }

struct LowerSoftmax : Lowering<nn::SoftmaxOp> {
  using Lowering::Lowering;

  LogicalResult matchAndRewrite(nn::SoftmaxOp op, Adaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    Value input = adaptor.getInput();
    Type type = getElementTypeOrSelf(input), compute = nn::getComputeType(type);
    RowBuilder rows(rewriter, op.getLoc(), input, int64_t(op.getAxis()));
    Value maximum = rows.reduce({ReduceKind::max}, compute, {}, first);
    if (op.getLog()) {
      Value sum = rows.reduce({ReduceKind::sum}, compute, maximum,
                              [](ArrayRef<Expr> e) { return exp(e[0] - e[1]); });
      Value log = rows.mapRows(compute, sum, [](ArrayRef<Expr> e) { return nn::log(e[0]); });
      rewriter.replaceOp(op, rows.mapElements(type, input, {maximum, log}, [](ArrayRef<Expr> e) {
        return e[0] - e[1] - e[2];
      }));
      return success();
    }
    Value powers = rows.mapElements(compute, input, maximum,
                                    [](ArrayRef<Expr> e) { return exp(e[0] - e[1]); });
    RowBuilder powerRows(rewriter, op.getLoc(), powers, int64_t(op.getAxis()));
    Value sum = powerRows.reduce({ReduceKind::sum}, compute, {}, first);
    Value factor = rows.mapRows(compute, sum, [](ArrayRef<Expr> e) { return 1.0 / e[0]; });
    rewriter.replaceOp(op, rows.mapElements(type, powers, factor,
                                            [](ArrayRef<Expr> e) { return e[0] * e[1]; }));
    return success();
  }
};

struct LowerHardmax : Lowering<nn::HardmaxOp> {
  using Lowering::Lowering;

  LogicalResult matchAndRewrite(nn::HardmaxOp op, Adaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    Value input = adaptor.getInput();
    int64_t axis = op.getAxis();
    Type type = getElementTypeOrSelf(input);
    RowBuilder rows(rewriter, op.getLoc(), input, axis);
    Value place = rows.findExtreme({ReduceKind::max}, /*last=*/false, /*keepdims=*/false);
    rewriter.replaceOp(op, rows.mapElements(type, input, place, [&](ArrayRef<Expr> e) {
      return select(RowBuilder::getIndex(e[0], axis) == e[1], e[0].constant(1), e[0].constant(0));
    }));
    return success();
  }
};

struct LowerNormalize : Lowering<nn::NormalizeOp> {
  using Lowering::Lowering;

  LogicalResult matchAndRewrite(nn::NormalizeOp op, Adaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    Value input = adaptor.getInput();
    Type type = getElementTypeOrSelf(input), compute = nn::getComputeType(type);
    RowBuilder rows(rewriter, op.getLoc(), input, op.getAxes());
    double epsilon = op.getEpsilon().convertToDouble();
    auto invert = [&](ArrayRef<Expr> e) {
      return 1.0 / sqrt(e[0] / rows.countRow(e[0]) + epsilon);
    };
    if (op.getRms()) {
      Value squares = rows.reduce({ReduceKind::sum}, compute, {},
                                  [](ArrayRef<Expr> e) { return e[0] * e[0]; });
      Value factor = rows.mapRows(compute, squares, invert);
      rewriter.replaceOp(op, rows.mapElements(type, input, factor,
                                              [](ArrayRef<Expr> e) { return e[0] * e[1]; }));
      return success();
    }
    Value sum = rows.reduce({ReduceKind::sum}, compute, {}, first);
    Value mean = rows.mapRows(compute, sum, [&](ArrayRef<Expr> e) { return e[0] / rows.countRow(e[0]); });
    Value squares = rows.reduce({ReduceKind::sum}, compute, mean, [](ArrayRef<Expr> e) {
      Expr distance = e[0] - e[1];
      return distance * distance;
    });
    Value factor = rows.mapRows(compute, squares, invert);
    rewriter.replaceOp(op, rows.mapElements(type, input, {mean, factor}, [](ArrayRef<Expr> e) {
      return (e[0] - e[1]) * e[2];
    }));
    return success();
  }
};

} // namespace

void lower::populateNormalizeToLinalgPatterns(const TypeConverter &converter,
                                              RewritePatternSet &patterns) {
  patterns.add<LowerSoftmax, LowerHardmax, LowerNormalize>(converter, patterns.getContext());
}
