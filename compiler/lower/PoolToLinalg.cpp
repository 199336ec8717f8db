//===- PoolToLinalg.cpp - Pooling -------------------------------*- C++ -*-===//
//
// Before: %y = nn.max_pool %x {kernel = [3, 3], ...} : (tensor<NxCxHxW>)
// After:  %p = tensor.pad %x                      (with the reduction's neutral element)
//         %y = linalg.generic {(n, c, h*s + k*d, w*s + l*d), (k, l) -> (n, c, h, w)} {max}
//
// Loops are those of the result, then those of the window, whose sizes come from an
// operand that is never read. An average divides by counts that are computed for
// each dimension apart.
//
//===----------------------------------------------------------------------===//
#include "compiler/lower/Accumulate.h"
#include "compiler/lower/Indexing.h"
#include "dialects/nn/NNWindow.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace nacre;
using nacre::lower::Lowering;
using nacre::lower::buildIndex;
using nacre::lower::isWithin;

namespace {

using Body = function_ref<SmallVector<Value>(OpBuilder &, Location, ValueRange)>;

Value constant(OpBuilder &b, Location loc, TypedAttr value) {
  return arith::ConstantOp::create(b, loc, value);
}

/// Reduces the windows of `op` over `input` into tensors that start as `initial`.
/// The body gets the input's element, that of `perWindow`, if there is one, and the results so far.
template <typename Op>
SmallVector<Value> reduceWindows(OpBuilder &b, Op op, Value input, TypedAttr padding,
                                 ArrayRef<TypedAttr> initial, Body body, Value perWindow = {}) {
  Location loc = op.getLoc();
  int64_t rank = cast<RankedTensorType>(input.getType()).getRank(), spatial = rank - 2;
  int64_t first = nn::getFirstSpatialDim(op.getChannelsLast());
  SmallVector<OpFoldResult> sizes = lower::resultSizes(b, op);

  SmallVector<OpFoldResult> low(rank, b.getIndexAttr(0)), high = low;
  for (int64_t i = 0; i < spatial; ++i)
    std::tie(low[first + i], high[first + i]) = nn::getWindowPads(
        b, loc, nn::getPoolDim(op, i, nn::getDim(b, loc, input, first + i)));
  input = lower::createPadded(b, loc, input, low, high, padding);

  SmallVector<AffineExpr> read, window, result;
  for (int64_t i = 0; i < rank; ++i)
    result.push_back(b.getAffineDimExpr(i));
  read = result;
  for (int64_t i = 0; i < spatial; ++i) {
    window.push_back(b.getAffineDimExpr(rank + i));
    read[first + i] = result[first + i] * op.getStrides()[i] + window[i] * op.getDilations()[i];
  }
  SmallVector<AffineMap> maps{AffineMap::get(rank + spatial, 0, read, b.getContext()),
                              AffineMap::get(rank + spatial, 0, window, b.getContext())};
  SmallVector<Value> inputs{input, tensor::EmptyOp::create(b, loc, op.getKernel(), b.getI8Type())}, inits;
  if (perWindow) {
    inputs.push_back(perWindow);
    maps.push_back(AffineMap::get(rank + spatial, 0, result, b.getContext()));
  }
  for (TypedAttr value : initial) {
    inits.push_back(lower::createFilled(b, loc, sizes, constant(b, loc, value)));
    maps.push_back(AffineMap::get(rank + spatial, 0, result, b.getContext()));
  }
  SmallVector<utils::IteratorType> iterators(rank, utils::IteratorType::parallel);
  iterators.append(spatial, utils::IteratorType::reduction);
  auto generic = linalg::GenericOp::create(
      b, loc, TypeRange(inits), inputs, inits, maps, iterators,
      [&](OpBuilder &b, Location loc, ValueRange e) {
        SmallVector<Value> elements{e[0]};
        llvm::append_range(elements, e.drop_front(2));
        linalg::YieldOp::create(b, loc, body(b, loc, elements));
      });
  return SmallVector<Value>(generic.getResults());
}

/// The smallest value of a type as storage holds it.
TypedAttr getLowest(OpBuilder &b, Type original, Type stored) {
  if (auto type = dyn_cast<FloatType>(stored))
    return b.getFloatAttr(type, APFloat::getInf(type.getFloatSemantics(), /*Negative=*/true));
  unsigned width = stored.getIntOrFloatBitWidth();
  return b.getIntegerAttr(stored, original.isUnsignedInteger() ? APInt::getMinValue(width)
                                                               : APInt::getSignedMinValue(width));
}

/// Whether `value` is larger than the best so far, or the first NaN.
Value isBetter(OpBuilder &b, Location loc, Value value, Value best, bool isUnsigned) {
  if (!isa<FloatType>(value.getType()))
    return arith::CmpIOp::create(
        b, loc, isUnsigned ? arith::CmpIPredicate::ugt : arith::CmpIPredicate::sgt, value, best);
  // «unordered or greater» holds if either is NaN; the best so far must not be.
  Value greater = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::UGT, value, best);
  Value ordered = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::ORD, best, best);
  return arith::AndIOp::create(b, loc, greater, ordered);
}

struct LowerMaxPool : Lowering<nn::MaxPoolOp> {
  using Lowering::Lowering;

  LogicalResult matchAndRewrite(nn::MaxPoolOp op, Adaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    Type original = op.getType().getElementType(),
         type = getElementTypeOrSelf(adaptor.getInput().getType());
    TypedAttr lowest = getLowest(rewriter, original, type);
    Value result =
        reduceWindows(rewriter, op, adaptor.getInput(), lowest, lowest,
                      [&](OpBuilder &b, Location loc, ValueRange e) -> SmallVector<Value> {
                        if (isa<FloatType>(type))
                          return {arith::MaximumFOp::create(b, loc, e[1], e[0])};
                        if (original.isUnsignedInteger())
                          return {arith::MaxUIOp::create(b, loc, e[1], e[0])};
                        return {arith::MaxSIOp::create(b, loc, e[1], e[0])};
                      })[0];
    rewriter.replaceOp(op, lower::castTo(rewriter, op.getLoc(), result,
                                         getTypeConverter()->convertType(op.getType())));
    return success();
  }
};

struct LowerMaxPoolWithIndices : Lowering<nn::MaxPoolWithIndicesOp> {
  using Lowering::Lowering;

  LogicalResult matchAndRewrite(nn::MaxPoolWithIndicesOp op, Adaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    Value input = adaptor.getInput();
    Type original = op.getResult().getType().getElementType(),
         type = getElementTypeOrSelf(input.getType());
    int64_t rank = op.getInput().getType().getRank(), spatial = rank - 2;
    int64_t first = nn::getFirstSpatialDim(op.getChannelsLast());

    // Where the window's element stands: batch, channel, spatial places.
    SmallVector<OpFoldResult> sizes = nn::getDims(rewriter, loc, input);
    SmallVector<int64_t> order{0, nn::getChannelDim(rank, op.getChannelsLast())};
    SmallVector<OpFoldResult> begins;
    for (int64_t i = 0; i < spatial; ++i) {
      order.push_back(first + i);
      begins.push_back(
          nn::getWindowPads(rewriter, loc, nn::getPoolDim(op, i, sizes[first + i])).first);
    }
    if (op.getColumnMajor())
      std::reverse(order.begin() + 2, order.end());

    auto body = [&](OpBuilder &b, Location loc, ValueRange e) -> SmallVector<Value> {
      Value inside = arith::ConstantOp::create(b, loc, b.getBoolAttr(true));
      Value place;
      auto size = [&](int64_t dim) { return getValueOrCreateConstantIndexOp(b, loc, sizes[dim]); };
      for (int64_t dim : order) {
        Value index = linalg::IndexOp::create(b, loc, dim);
        if (int64_t i = dim - first; i >= 0 && i < spatial) {
          Value tap = linalg::IndexOp::create(b, loc, rank + i);
          AffineExpr expr = b.getAffineSymbolExpr(0) * op.getStrides()[i] +
                            b.getAffineSymbolExpr(1) * op.getDilations()[i] -
                            b.getAffineSymbolExpr(2);
          index = buildIndex(b, loc, expr, {index, tap, begins[i]});
          inside = arith::AndIOp::create(b, loc, inside, isWithin(b, loc, index, size(dim)));
        }
        place = place ? arith::AddIOp::create(
                            b, loc, arith::MulIOp::create(b, loc, place, size(dim)), index)
                            .getResult()
                      : index;
      }
      place = arith::IndexCastOp::create(b, loc, b.getI64Type(), place);
      // The first element of the input counts even if it is the smallest value.
      Value none = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::slt, e[2],
                                         constant(b, loc, b.getI64IntegerAttr(0)));
      Value better = isBetter(b, loc, e[0], e[1], original.isUnsignedInteger());
      Value take = arith::AndIOp::create(b, loc, inside, arith::OrIOp::create(b, loc, better, none));
      return {arith::SelectOp::create(b, loc, take, e[0], e[1]),
              arith::SelectOp::create(b, loc, take, place, e[2])};
    };
    TypedAttr lowest = getLowest(rewriter, original, type);
    SmallVector<Value> results =
        reduceWindows(rewriter, op, input, lowest, {lowest, rewriter.getI64IntegerAttr(-1)}, body);
    for (auto [result, value] : llvm::zip(results, op->getResults()))
      result = lower::castTo(rewriter, loc, result, getTypeConverter()->convertType(value.getType()));
    rewriter.replaceOp(op, results);
    return success();
  }
};

struct LowerMaxPoolTaps : Lowering<nn::MaxPoolTapsOp> {
  using Lowering::Lowering;

  LogicalResult matchAndRewrite(nn::MaxPoolTapsOp op, Adaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    Value input = adaptor.getInput();
    int64_t rank = op.getInput().getType().getRank(), first = nn::getFirstSpatialDim(op.getChannelsLast());
    Type type = getElementTypeOrSelf(input.getType()), tapType = op.getType().getElementType();
    SmallVector<OpFoldResult> sizes = nn::getDims(rewriter, loc, input);
    SmallVector<OpFoldResult> begins;
    SmallVector<bool> isPadded;
    for (size_t i = 0; i < op.getKernel().size(); ++i) {
      auto [begin, end] = nn::getWindowPads(rewriter, loc, nn::getPoolDim(op, i, sizes[first + i]));
      begins.push_back(begin);
      isPadded.push_back(!isConstantIntValue(begin, 0) || !isConstantIntValue(end, 0));
    }
    auto none = rewriter.getIntegerAttr(tapType, llvm::product_of(op.getKernel()));
    auto body = [&](OpBuilder &b, Location loc, ValueRange e) -> SmallVector<Value> {
      Value tap, x = e[0], pooled = e[1], best = e[2];
      // A NaN is what the pooling makes of a window that has one.
      Value isIt = arith::OrIOp::create(b, loc, arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OEQ, x, pooled),
                                        arith::CmpFOp::create(b, loc, arith::CmpFPredicate::UNO, x, x));
      for (auto [i, size] : llvm::enumerate(op.getKernel())) {
        Value at = linalg::IndexOp::create(b, loc, rank + i);
        tap = tap ? buildIndex(b, loc, b.getAffineSymbolExpr(0) * size + b.getAffineSymbolExpr(1), {tap, at}) : at;
        if (!isPadded[i])
          continue;
        AffineExpr place = b.getAffineSymbolExpr(0) * op.getStrides()[i] +
                           b.getAffineSymbolExpr(1) * op.getDilations()[i] - b.getAffineSymbolExpr(2);
        Value window = linalg::IndexOp::create(b, loc, first + i);
        isIt = arith::AndIOp::create(b, loc, isIt,
                                     isWithin(b, loc, buildIndex(b, loc, place, {window, at, begins[i]}),
                                              getValueOrCreateConstantIndexOp(b, loc, sizes[first + i])));
      }
      Value number = arith::IndexCastOp::create(b, loc, tapType, tap);
      Value own = arith::SelectOp::create(b, loc, isIt, number, constant(b, loc, none));
      return {arith::MinSIOp::create(b, loc, best, own)};
    };
    Value taps = reduceWindows(rewriter, op, input, getLowest(rewriter, type, type), TypedAttr(none), body,
                               adaptor.getPooled())[0];
    rewriter.replaceOp(op, lower::castTo(rewriter, loc, taps, getTypeConverter()->convertType(op.getType())));
    return success();
  }
};

/// The number of elements that count in each window along one dimension: a 1-D
/// tensor of `type`.
Value buildCounts(OpBuilder &b, Location loc, const nn::WindowDim &dim, bool includePadding,
                  FloatType type) {
  auto [padBegin, padEnd] = nn::getWindowPads(b, loc, dim);
  if (dim.autoPad == nn::AutoPad::NotSet)
    padEnd = b.getIndexAttr(dim.padEnd); // not what ceil_mode reads beyond it
  OpFoldResult places = nn::getWindowCount(b, loc, dim);
  Value empty = lower::createEmpty(b, loc, {places}, type);
  AffineMap identity = b.getMultiDimIdentityMap(1);
  return linalg::GenericOp::create(
             b, loc, empty.getType(), ValueRange{}, empty, identity, utils::IteratorType::parallel,
             [&](OpBuilder &b, Location loc, ValueRange) {
               AffineExpr place, begin, end, input, s0, zero, last;
               bindSymbols(b.getContext(), place, begin, end, input);
               s0 = b.getAffineSymbolExpr(0);
               zero = b.getAffineConstantExpr(0);
               last = b.getAffineConstantExpr(*getConstantIntValue(dim.kernel));
               // The window's elements first..stop-1 stand where counting begins and ends.
               AffineExpr start = place * dim.stride - begin;
               AffineExpr from = includePadding ? -begin : zero;
               AffineExpr to = includePadding ? input + end : input;
               SmallVector<OpFoldResult> symbols{linalg::IndexOp::create(b, loc, 0).getResult(),
                                                 padBegin, padEnd, dim.input};
               OpFoldResult first = nn::computeAffineMax(
                   b, loc, {(from - start).ceilDiv(dim.dilation), zero}, symbols);
               OpFoldResult stop = nn::computeAffineMin(
                   b, loc, {(to - start).ceilDiv(dim.dilation), last}, symbols);
               OpFoldResult count = nn::computeAffineMax(
                   b, loc, {s0 - b.getAffineSymbolExpr(1), zero}, {stop, first});
               Value number = arith::IndexCastOp::create(
                   b, loc, b.getI64Type(), getValueOrCreateConstantIndexOp(b, loc, count));
               linalg::YieldOp::create(b, loc,
                                       arith::SIToFPOp::create(b, loc, type, number).getResult());
             })
      .getResult(0);
}

struct LowerAvgPool : Lowering<nn::AvgPoolOp> {
  using Lowering::Lowering;

  LogicalResult matchAndRewrite(nn::AvgPoolOp op, Adaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    Type type = op.getType().getElementType();
    auto accumulator = cast<FloatType>(lower::getAccumulatorType(type));
    int64_t rank = op.getType().getRank(), first = nn::getFirstSpatialDim(op.getChannelsLast());
    Value sum = reduceWindows(rewriter, op, adaptor.getInput(), rewriter.getFloatAttr(type, 0.0),
                              TypedAttr(rewriter.getFloatAttr(accumulator, 0.0)),
                              [&](OpBuilder &b, Location loc, ValueRange e) -> SmallVector<Value> {
                                return {arith::AddFOp::create(
                                    b, loc, e[1], lower::widen(b, loc, e[0], accumulator))};
                              })[0];

    // Dimensions whose windows differ in what they count; the others count alike.
    SmallVector<Value> inputs{sum};
    SmallVector<AffineMap> maps(2, rewriter.getMultiDimIdentityMap(rank));
    double sameCount = 1;
    for (int64_t i = 0; i < rank - 2; ++i) {
      nn::WindowDim dim = nn::getPoolDim(op, i, nn::getDim(rewriter, loc, adaptor.getInput(), first + i));
      bool same = dim.autoPad != nn::AutoPad::NotSet;
      bool overhangs = dim.ceilMode && !same;
      bool padded = same || dim.padBegin != 0 || dim.padEnd != 0;
      if (!overhangs && (!padded || op.getCountIncludePad())) {
        sameCount *= op.getKernel()[i];
        continue;
      }
      inputs.push_back(buildCounts(rewriter, loc, dim, op.getCountIncludePad(), accumulator));
      maps.insert(maps.end() - 1, AffineMap::get(rank, 0, rewriter.getAffineDimExpr(first + i)));
    }
    Value empty = lower::createEmpty(rewriter, loc, nn::getDims(rewriter, loc, sum), type);
    SmallVector<utils::IteratorType> iterators(rank, utils::IteratorType::parallel);
    auto mean = linalg::GenericOp::create(
        rewriter, loc, empty.getType(), inputs, empty, maps, iterators,
        [&](OpBuilder &b, Location loc, ValueRange e) {
          Value count = constant(b, loc, b.getFloatAttr(accumulator, sameCount));
          for (Value factor : e.drop_front().drop_back())
            count = arith::MulFOp::create(b, loc, count, factor);
          Value result = arith::DivFOp::create(b, loc, e[0], count);
          linalg::YieldOp::create(b, loc, lower::narrow(b, loc, result, type));
        });
    rewriter.replaceOp(op, lower::castTo(rewriter, loc, mean.getResult(0), op.getType()));
    return success();
  }
};

struct LowerLpPool : Lowering<nn::LpPoolOp> {
  using Lowering::Lowering;

  LogicalResult matchAndRewrite(nn::LpPoolOp op, Adaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    Type type = op.getType().getElementType();
    auto accumulator = cast<FloatType>(lower::getAccumulatorType(type));
    int64_t p = op.getP(), rank = op.getType().getRank();
    auto power = [&](OpBuilder &b, Location loc, Value x, double exponent) -> Value {
      return math::PowFOp::create(b, loc, x,
                                  constant(b, loc, b.getFloatAttr(accumulator, exponent)));
    };
    Value sum = reduceWindows(
        rewriter, op, adaptor.getInput(), rewriter.getFloatAttr(type, 0.0),
        TypedAttr(rewriter.getFloatAttr(accumulator, 0.0)),
        [&](OpBuilder &b, Location loc, ValueRange e) -> SmallVector<Value> {
          Value x = lower::widen(b, loc, e[0], accumulator);
          if (p == 2)
            x = arith::MulFOp::create(b, loc, x, x);
          else
            x = math::AbsFOp::create(b, loc, x);
          if (p > 2)
            x = power(b, loc, x, p);
          return {arith::AddFOp::create(b, loc, e[1], x)};
        })[0];

    Value empty = lower::createEmpty(rewriter, loc, nn::getDims(rewriter, loc, sum), type);
    SmallVector<AffineMap> maps(2, rewriter.getMultiDimIdentityMap(rank));
    SmallVector<utils::IteratorType> iterators(rank, utils::IteratorType::parallel);
    auto norm = linalg::GenericOp::create(
        rewriter, loc, empty.getType(), sum, empty, maps, iterators,
        [&](OpBuilder &b, Location loc, ValueRange e) {
          Value x = e[0];
          if (p == 2)
            x = math::SqrtOp::create(b, loc, x);
          else if (p > 2)
            x = power(b, loc, x, 1.0 / p);
          linalg::YieldOp::create(b, loc, lower::narrow(b, loc, x, type));
        });
    rewriter.replaceOp(op, lower::castTo(rewriter, loc, norm.getResult(0), op.getType()));
    return success();
  }
};

} // namespace

void lower::populatePoolToLinalgPatterns(const TypeConverter &converter,
                                         RewritePatternSet &patterns) {
  patterns.add<LowerMaxPool, LowerMaxPoolWithIndices, LowerMaxPoolTaps, LowerAvgPool, LowerLpPool>(
      converter, patterns.getContext());
}
