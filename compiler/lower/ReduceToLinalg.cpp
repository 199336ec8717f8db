//===- ReduceToLinalg.cpp - Reductions and cumulative ops -------*- C++ -*-===//
#include "compiler/lower/Indexing.h"
#include "compiler/lower/Reductions.h"
#include "dialects/nn/NNSizeMath.h"
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

/// nn.reduce_marked → a window over each dimension: as long as the dimension where it
/// is marked, else of size 1. The result has size 1 or the dimension's there.
struct LowerReduceMarked : Lowering<nn::ReduceMarkedOp> {
  using Lowering::Lowering;

  LogicalResult matchAndRewrite(nn::ReduceMarkedOp op, Adaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    nn::SizeMath m(rewriter, loc);
    Combiner combiner{op.getKind(), isUnsigned(op.getInput())};
    Type type = getElementTypeOrSelf(adaptor.getInput()), compute = nn::getComputeType(type);
    SmallVector<OpFoldResult> sizes = lower::resultSizes(rewriter, op), windows;
    for (auto [i, size] : llvm::enumerate(m.dims(op.getInput())))
      windows.push_back(m.select(nn::SizeMath::Predicate::eq, m.element(op.getMarks(), i),
                                 m.constant(0), m.constant(1), size));
    Value result = reduceWindows(rewriter, loc, adaptor.getInput(), combiner, compute, sizes, windows);

    // A mean's divisor, and the rounding of narrow floats.
    bool isMean = op.getKind() == ReduceKind::mean;
    Value count = isMean ? m.valueI64(m.product(windows)) : Value();
    if (isMean || type != compute)
      result = lower::createElements(
          rewriter, loc, result, rewriter.getMultiDimIdentityMap(sizes.size()), sizes, type,
          [&](OpBuilder &b, Location bodyLoc, ValueRange e, ValueRange) {
            Expr x(b, bodyLoc, e[0]);
            if (isMean) {
              Expr divisor = convert(x.with(count), false, compute);
              x = x.isFloat() ? x / divisor : divide(x, divisor, combiner.isUnsigned);
            }
            return (x.isFloat() ? convert(x, false, type) : x).get();
          });
    rewriter.replaceOp(op, lower::castTo(rewriter, loc, result,
                                         getTypeConverter()->convertType(op.getType())));
    return success();
  }

private:
  /// result[o] = the combination of input[o + k] over k in the windows, as `type`.
  static Value reduceWindows(OpBuilder &b, Location loc, Value input, Combiner combiner, Type type,
                             ArrayRef<OpFoldResult> sizes, ArrayRef<OpFoldResult> windows) {
    int64_t rank = sizes.size();
    SmallVector<AffineExpr> read, window, out;
    for (int64_t i = 0; i < rank; ++i) {
      out.push_back(b.getAffineDimExpr(i));
      window.push_back(b.getAffineDimExpr(rank + i));
      read.push_back(out.back() + window.back());
    }
    SmallVector<AffineMap> maps;
    for (ArrayRef<AffineExpr> map : {read, window, out})
      maps.push_back(AffineMap::get(2 * rank, 0, map, b.getContext()));
    SmallVector<utils::IteratorType> iterators(rank, utils::IteratorType::parallel);
    iterators.append(rank, utils::IteratorType::reduction);
    // Tells the loops' extents and is never read.
    Value extents = lower::createEmpty(b, loc, windows, b.getI8Type());
    Value neutral = arith::ConstantOp::create(b, loc, combiner.getNeutral(type));
    Value init = lower::createFilled(b, loc, sizes, neutral);
    return linalg::GenericOp::create(
               b, loc, init.getType(), ValueRange{input, extents}, init, maps, iterators,
               [&](OpBuilder &b, Location loc, ValueRange e) {
                 Expr element(b, loc, e[0]);
                 if (element.isFloat())
                   element = convert(element, false, type);
                 linalg::YieldOp::create(b, loc, combiner.combine(element.with(e[2]), element).get());
               })
        .getResult(0);
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
    if (llvm::is_contained(op.getType().getShape(), 0)) { // no row to slice
      rewriter.replaceOp(op, input);
      return success();
    }
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
  patterns.add<LowerReduce, LowerReduceMarked, LowerArgReduce, LowerCumulative>(converter, patterns.getContext());
}
