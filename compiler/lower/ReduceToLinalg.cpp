//===- ReduceToLinalg.cpp - Reductions and cumulative ops -------*- C++ -*-===//
#include "compiler/lower/Reductions.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace nacre;
using lower::Combiner;
using lower::Lowering;
using lower::RowBuilder;
using nn::Expr;
using nn::ReduceKind;

namespace {

/// Booleans are combined as the bytes 0 and 1.
bool isUnsigned(Value value) {
  Type type = getElementTypeOrSelf(value.getType());
  return type.isUnsignedInteger() || type.isInteger(1);
}

/// nn.reduce → one reducing generic; for means and narrow floats another one over
/// the rows.
struct LowerReduce : Lowering<nn::ReduceOp> {
  using Lowering::Lowering;

  LogicalResult matchAndRewrite(nn::ReduceOp op, Adaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    Value input = adaptor.getInput();
    Type type = getElementTypeOrSelf(input), compute = nn::getComputeType(type);
    Combiner combiner{op.getKind(), isUnsigned(op.getInput())};
    RowBuilder rows(rewriter, op.getLoc(), input, op.getAxes());
    Value result = rows.reduce(
        combiner, compute, {}, [](ArrayRef<Expr> e) { return e[0]; }, op.getKeepdims());
    if (op.getKind() == ReduceKind::mean)
      result = rows.mapRows(type, result, [&](ArrayRef<Expr> e) {
        Expr count = rows.countRow(e[0]);
        return e[0].isFloat() ? e[0] / count : divide(e[0], count, combiner.isUnsigned);
      });
    else if (type != compute)
      result = rows.mapRows(type, result, [](ArrayRef<Expr> e) { return e[0]; });
    rewriter.replaceOp(op, lower::castTo(rewriter, op.getLoc(), result,
                                         getTypeConverter()->convertType(op.getType())));
    return success();
  }
};

struct LowerArgReduce : Lowering<nn::ArgReduceOp> {
  using Lowering::Lowering;

  LogicalResult matchAndRewrite(nn::ArgReduceOp op, Adaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    RowBuilder rows(rewriter, op.getLoc(), adaptor.getInput(), int64_t(op.getAxis()));
    Value result = rows.findExtreme({op.getKind(), isUnsigned(op.getInput())}, op.getSelectLast(),
                                    op.getKeepdims());
    rewriter.replaceOp(op, lower::castTo(rewriter, op.getLoc(), result, op.getType()));
    return success();
  }
};

/// nn.cumulative → a parallel loop over the rows, in each a loop along the axis.
struct LowerCumulative : Lowering<nn::CumulativeOp> {
  using Lowering::Lowering;

  LogicalResult matchAndRewrite(nn::CumulativeOp op, Adaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    Value input = adaptor.getInput();
    Type type = getElementTypeOrSelf(input);
    int64_t axis = op.getAxis();
    SmallVector<OpFoldResult> sizes = nn::getDims(rewriter, loc, input);
    Value init = lower::createEmpty(rewriter, loc, sizes, type);

    SmallVector<OpFoldResult> otherSizes(sizes);
    otherSizes.erase(otherSizes.begin() + axis);
    Value result;
    if (otherSizes.empty()) {
      result = buildRow(op, rewriter, input, init, {}, sizes[axis]);
    } else {
      auto loop = scf::ForallOp::create(rewriter, loc, otherSizes, init, std::nullopt);
      OpBuilder::InsertionGuard guard(rewriter);
      rewriter.setInsertionPointToStart(loop.getBody());
      SmallVector<OpFoldResult> offsets = getAsOpFoldResult(loop.getInductionVars());
      offsets.insert(offsets.begin() + axis, rewriter.getIndexAttr(0));
      SmallVector<OpFoldResult> ones(sizes.size(), rewriter.getIndexAttr(1)), extents = ones;
      extents[axis] = sizes[axis];
      auto rowType = RankedTensorType::get(
          {getConstantIntValue(sizes[axis]).value_or(ShapedType::kDynamic)}, type);
      Value row = tensor::ExtractSliceOp::create(rewriter, loc, rowType,
                                                 loop.getRegionIterArgs()[0], offsets, extents, ones);
      row = buildRow(op, rewriter, input, row, loop.getInductionVars(), sizes[axis]);
      rewriter.setInsertionPointToStart(loop.getTerminator().getBody());
      tensor::ParallelInsertSliceOp::create(rewriter, loc, row, loop.getRegionIterArgs()[0], offsets,
                                            extents, ones);
      result = loop.getResult(0);
    }
    rewriter.replaceOp(op, lower::castTo(rewriter, loc, result,
                                         getTypeConverter()->convertType(op.getType())));
    return success();
  }

private:
  /// Runs along the axis at the place of the other dimensions; returns the row.
  static Value buildRow(nn::CumulativeOp op, OpBuilder &b, Value input, Value row, ValueRange others,
                        OpFoldResult size) {
    Location loc = op.getLoc();
    Combiner combiner{op.getKind()};
    Type type = getElementTypeOrSelf(input), compute = nn::getComputeType(type);
    Value zero = arith::ConstantIndexOp::create(b, loc, 0), one = arith::ConstantIndexOp::create(b, loc, 1);
    Value count = getValueOrCreateConstantIndexOp(b, loc, size);
    Value neutral = arith::ConstantOp::create(b, loc, combiner.getNeutral(compute));
    auto loop = scf::ForOp::create(
        b, loc, zero, count, one, ValueRange{neutral, row},
        [&](OpBuilder &b, Location loc, Value i, ValueRange carried) {
          if (op.getReverse())
            i = arith::SubIOp::create(b, loc, arith::SubIOp::create(b, loc, count, one), i);
          SmallVector<Value> place(others);
          place.insert(place.begin() + op.getAxis(), i);
          Expr sum(b, loc, carried[0]), x = sum.with(tensor::ExtractOp::create(b, loc, input, place));
          if (x.isFloat())
            x = convert(x, false, compute);
          Expr next = combiner.combine(sum, x), out = op.getExclusive() ? sum : next;
          if (out.isFloat())
            out = convert(out, false, type);
          Value inserted = tensor::InsertOp::create(b, loc, out, carried[1], i);
          scf::YieldOp::create(b, loc, ValueRange{next, inserted});
        });
    return loop.getResult(1);
  }
};

} // namespace

void lower::populateReduceToLinalgPatterns(const TypeConverter &converter,
                                           RewritePatternSet &patterns) {
  patterns.add<LowerReduce, LowerArgReduce, LowerCumulative>(converter, patterns.getContext());
}
