//===- PooledRegionsToLinalg.cpp - Largest elements of regions --*- C++ -*-===//
//
// max_roi_pool, and where its elements stand: each is looked for in its cell.
//
//===----------------------------------------------------------------------===//
#include "compiler/lower/Regions.h"

using namespace mlir;
using namespace nacre;
using namespace nacre::lower::regions;
using lower::toFloat, lower::toIndexWithin;
using nacre::lower::Lowering;
using nn::Expr;

namespace {

/// Loops over the elements of a cell of nn.max_roi_pool, from those values, which
/// `body` makes anew of the element, its place among the images, and what there was.
template <typename Op>
SmallVector<Value>
loopOverElements(OpBuilder &b, Location l, Op op, Value input, Value rois, ValueRange places, ArrayRef<Value> extents,
                 ValueRange inits,
                 llvm::function_ref<SmallVector<Value>(OpBuilder &, Location, Value, ValueRange, ValueRange)> body) {
  Type wide = lower::getAccumulatorType(getElementTypeOrSelf(input));
  double scale = op.getSpatialScale().convertToDouble();
  auto number = [&](int64_t i) { return loadNumber(b, l, rois, places[0], i, wide); };
  auto round = [&](Expr x) { return floor(x * scale + 0.5); };
  Value last = arith::SubIOp::create(b, l, extents[0], constantIndex(b, l, 1));
  Value image = toIndexWithin(number(0), last);
  SmallVector<Value> begins;
  SmallVector<OpFoldResult> counts;
  for (int64_t d = 0; d < 2; ++d) {
    Expr begin = round(number(2 - d)), end = round(number(4 - d));
    Expr length = end - begin + 1.0;
    length = nn::select(length > 1.0, length, length.constant(1.0));
    Expr size = length / static_cast<double>(d == 0 ? op.getHeight() : op.getWidth());
    Expr place = toFloat(b, l, places[2 + d], wide);
    Value low = toIndexWithin(floor(place * size) + begin, extents[2 + d]);
    Value high = toIndexWithin(ceil((place + 1.0) * size) + begin, extents[2 + d]);
    Value count = arith::SubIOp::create(b, l, high, low);
    begins.push_back(low);
    counts.push_back(arith::MaxSIOp::create(b, l, count, constantIndex(b, l, 0)).getResult());
  }
  return lower::createLoops(b, l, counts, inits,
                            [&](OpBuilder &n, Location at, ValueRange within, ValueRange carried) -> SmallVector<Value> {
                              SmallVector<Value> from{image, places[1]};
                              for (auto [begin, place] : llvm::zip_equal(begins, within))
                                from.push_back(arith::AddIOp::create(n, at, begin, place));
                              return body(n, at, tensor::ExtractOp::create(n, at, input, from), from, carried);
                            });
}

struct LowerMaxRoiPool : Lowering<nn::MaxRoiPoolOp> {
  using Lowering::Lowering;

  LogicalResult matchAndRewrite(nn::MaxRoiPoolOp op, Adaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    SmallVector<OpFoldResult> sizes = lower::resultSizes(rewriter, op);
    Type element = getElementTypeOrSelf(adaptor.getInput());
    SmallVector<Value> extents = getSizeValues(rewriter, loc, op.getInput());
    auto cell = [&](OpBuilder &b, Location l, ValueRange, ValueRange places) -> Value {
      return loopOverElements(b, l, op, adaptor.getInput(), adaptor.getRois(), places, extents,
                              {constantZero(b, l, element), constantBool(b, l, false)},
                              [&](OpBuilder &n, Location at, Value element, ValueRange, ValueRange carried) {
                                Expr value(n, at, element), best(n, at, carried[0]), seen(n, at, carried[1]);
                                Value next = nn::select(seen, nn::max(best, value), value);
                                return SmallVector<Value>{next, constantBool(n, at, true)};
                              })
          .front();
    };
    Value result = lower::createElements(rewriter, loc, {}, {}, sizes, element, cell);
    rewriter.replaceOp(op, lower::castTo(rewriter, loc, result, op.getType()));
    return success();
  }
};

struct LowerMaxRoiPoolPlaces : Lowering<nn::MaxRoiPoolPlacesOp> {
  using Lowering::Lowering;

  LogicalResult matchAndRewrite(nn::MaxRoiPoolPlacesOp op, Adaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    Type i64 = rewriter.getI64Type();
    SmallVector<Value> extents = getSizeValues(rewriter, loc, op.getInput());
    auto cell = [&](OpBuilder &b, Location l, ValueRange, ValueRange places) -> Value {
      Value none = arith::ConstantIntOp::create(b, l, i64, -1);
      Value zero = constantZero(b, l, getElementTypeOrSelf(adaptor.getInput()));
      return loopOverElements(b, l, op, adaptor.getInput(), adaptor.getRois(), places, extents, {none, zero},
                              [&](OpBuilder &n, Location at, Value element, ValueRange from, ValueRange carried) {
                                Expr value(n, at, element), best(n, at, carried[1]), place(n, at, carried[0]);
                                Expr better = isBetter(value, best) | (place < 0.0);
                                Expr own(n, at, linearize(n, at, from, extents));
                                return SmallVector<Value>{nn::select(better, own, place), nn::select(better, value, best)};
                              })
          .front();
    };
    Value result = lower::createElements(rewriter, loc, {}, {}, lower::resultSizes(rewriter, op), i64, cell);
    rewriter.replaceOp(op, lower::castTo(rewriter, loc, result, op.getType()));
    return success();
  }
};

} // namespace

void lower::populatePooledRegionsToLinalgPatterns(const TypeConverter &converter, RewritePatternSet &patterns) {
  patterns.add<LowerMaxRoiPool, LowerMaxRoiPoolPlaces>(converter, patterns.getContext());
}
