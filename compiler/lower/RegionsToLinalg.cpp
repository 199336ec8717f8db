//===- RegionsToLinalg.cpp - Samples of regions of images -------*- C++ -*-===//
//
// roi_align and what its gradients are made of. Each result element is computed from the
// places that it depends on, so that no two writes meet; but nn.roi_spread adds each cell's
// share to the elements that it is made of, blocks of channels in parallel.
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

/// Samples in a region of unlimited size would be an endless loop.
constexpr int64_t maxSamples = 4096;

/// A cell of a region along one of the two dimensions: where it begins, how large it is, and
/// how many samples it takes.
struct CellAxis {
  Expr begin, size, count;
  Value samples, extent;
};

/// Of nn.roi_align and the ops beside it. `cell` are the cell's places along both dimensions,
/// `extents` the images' sizes along these.
template <typename Op>
SmallVector<CellAxis> locateCell(OpBuilder &b, Location l, Op op, Value rois, Value region, ValueRange cell,
                                 ValueRange extents, Type wide) {
  double scale = op.getSpatialScale().convertToDouble(), offset = op.getHalfPixel() ? 0.5 : 0.0;
  auto coordinate = [&](int64_t i) { return loadNumber(b, l, rois, region, i, wide) * scale - offset; };
  SmallVector<CellAxis> axes;
  for (int64_t d = 0; d < 2; ++d) {
    Expr begin = coordinate(1 - d), length = coordinate(3 - d) - begin;
    if (!op.getHalfPixel())
      length = nn::select(length > 1.0, length, length.constant(1.0));
    Expr size = length / static_cast<double>(d == 0 ? op.getHeight() : op.getWidth());
    Value samples = op.getSamplingRatio() > 0 ? constantIndex(b, l, op.getSamplingRatio())
                                              : toIndexWithin(ceil(size), constantIndex(b, l, maxSamples));
    axes.push_back(
        {begin + toFloat(b, l, cell[d], wide) * size, size, toFloat(b, l, samples, wide), samples, extents[d]});
  }
  return axes;
}

/// The number of samples of a cell, at least 1.
Expr countSamples(ArrayRef<CellAxis> axes) {
  Expr count = axes[0].count * axes[1].count;
  return nn::select(count > 1.0, count, count.constant(1.0));
}

/// The two neighbours of a sample in one dimension, and their weights.
struct Neighbours {
  Value isInside, low, high;
  Expr toLow, toHigh;
};

Neighbours locateSample(OpBuilder &n, Location at, const CellAxis &axis, Value sample) {
  Type wide = axis.begin.getType();
  Expr begin(n, at, axis.begin), size(n, at, axis.size), count(n, at, axis.count);
  Expr x = begin + (toFloat(n, at, sample, wide) + 0.5) * size / count;
  Expr extent = toFloat(n, at, axis.extent, wide);
  Expr isInside = (x >= -1.0) & (x <= extent);
  Expr place = nn::select(x > 0.0, x, x.constant(0.0));
  Value one = constantIndex(n, at, 1), last = arith::SubIOp::create(n, at, axis.extent, one);
  Value low = toIndexWithin(floor(place), last);
  Value high = arith::MinSIOp::create(n, at, arith::AddIOp::create(n, at, low, one), last);
  Value isLast = arith::CmpIOp::create(n, at, arith::CmpIPredicate::eq, low, last);
  Expr toHigh = nn::select(x.with(isLast), x.constant(0.0), place - toFloat(n, at, low, wide));
  return {isInside, low, high, 1.0 - toHigh, toHigh};
}

/// One of the four elements that a sample is made of.
struct Tap {
  Value row, column;
  Expr weight;
};
struct Sample {
  Expr isInside;
  SmallVector<Tap> taps;
};

Sample createSample(OpBuilder &n, Location at, ArrayRef<CellAxis> axes, ValueRange samples) {
  Neighbours y = locateSample(n, at, axes[0], samples[0]), x = locateSample(n, at, axes[1], samples[1]);
  Sample sample{Expr(n, at, y.isInside) & Expr(n, at, x.isInside), {}};
  for (auto [row, rowWeight] : {std::pair(y.low, y.toLow), std::pair(y.high, y.toHigh)})
    for (auto [column, columnWeight] : {std::pair(x.low, x.toLow), std::pair(x.high, x.toHigh)})
      sample.taps.push_back({row, column, rowWeight * columnWeight});
  return sample;
}

struct LowerRoiAlign : Lowering<nn::RoiAlignOp> {
  using Lowering::Lowering;

  LogicalResult matchAndRewrite(nn::RoiAlignOp op, Adaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    SmallVector<OpFoldResult> sizes = lower::resultSizes(rewriter, op);
    Type element = getElementTypeOrSelf(adaptor.getInput()), wide = lower::getAccumulatorType(element);
    Type indexType = getElementTypeOrSelf(op.getIndices());
    SmallVector<Value> extents = getSizeValues(rewriter, loc, op.getInput());

    auto cell = [&](OpBuilder &b, Location l, ValueRange, ValueRange places) -> Value {
      Value region = places[0], channel = places[1];
      Value integer = tensor::ExtractOp::create(b, l, adaptor.getIndices(), region);
      Value image = lower::loadPosition(b, l, integer, indexType, extents[0], op.getInBounds());
      SmallVector<CellAxis> axes = locateCell(b, l, op, adaptor.getRois(), region, places.drop_front(2),
                                              ArrayRef(extents).drop_front(2), wide);
      bool isMax = op.getReduction() == nn::RoiReduction::Max;
      SmallVector<Value> result = lower::createLoops(
          b, l, {axes[0].samples, axes[1].samples}, {constantZero(b, l, wide), constantBool(b, l, false)},
          [&](OpBuilder &n, Location at, ValueRange samples, ValueRange carried) -> SmallVector<Value> {
            Sample sample = createSample(n, at, axes, samples);
            SmallVector<Expr> parts;
            for (const Tap &tap : sample.taps) {
              Value value =
                  tensor::ExtractOp::create(n, at, adaptor.getInput(), ValueRange{image, channel, tap.row, tap.column});
              parts.push_back(tap.weight * Expr(n, at, lower::widen(n, at, value, wide)));
            }
            Expr joined = isMax ? nn::max(nn::max(parts[0], parts[1]), nn::max(parts[2], parts[3]))
                                : parts[0] + parts[1] + parts[2] + parts[3];
            Expr value = nn::select(sample.isInside, joined, joined.constant(0.0)), before(n, at, carried[0]);
            Value yes = constantBool(n, at, true);
            if (!isMax)
              return {before + value, yes};
            return {nn::select(before.with(carried[1]), nn::max(before, value), value), yes};
          });
      Expr total(b, l, result[0]);
      return lower::narrow(b, l, isMax ? total : total / countSamples(axes), element);
    };
    Value result = lower::createElements(rewriter, loc, {}, {}, sizes, element, cell);
    rewriter.replaceOp(op, lower::castTo(rewriter, loc, result, op.getType()));
    return success();
  }
};

/// nn.roi_spread → a loop over blocks of channels, each of which adds the samples of all cells,
/// channels last, so that an element of the block is one vector.
struct LowerRoiSpread : Lowering<nn::RoiSpreadOp> {
  using Lowering::Lowering;

  LogicalResult matchAndRewrite(nn::RoiSpreadOp op, Adaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    nn::SizeMath m(rewriter, loc);
    SmallVector<OpFoldResult> sizes = lower::resultSizes(rewriter, op), partSizes(sizes);
    Type element = getElementTypeOrSelf(adaptor.getInput()), wide = lower::getAccumulatorType(element);
    Type indexType = getElementTypeOrSelf(op.getIndices());
    SmallVector<Value> extents = llvm::map_to_vector(sizes, [&](OpFoldResult size) { return m.value(size); });
    Value empty = lower::createEmpty(rewriter, loc, sizes, wide);
    int64_t block = getBlock(sizes[1]);
    partSizes[1] = m.constant(block);
    SmallVector<int64_t> partShape(cast<RankedTensorType>(empty.getType()).getShape());
    partShape[1] = block;
    auto parts = [&](ValueRange places) -> SmallVector<lower::Part> {
      OpBuilder b(rewriter.getContext());
      b.setInsertionPointToEnd(places[0].getParentBlock());
      SmallVector<OpFoldResult> offsets(4, m.constant(0));
      offsets[1] = nn::SizeMath(b, loc).mul(places[0], m.constant(block));
      return {{offsets, partSizes, RankedTensorType::get(partShape, wide)}};
    };
    auto laneType = RankedTensorType::get(block, wide);
    auto parallel = [](int64_t rank) { return SmallVector<utils::IteratorType>(rank, utils::IteratorType::parallel); };
    SmallVector<OpFoldResult> cells{m.dim(op.getInput(), 0), m.constant(op.getHeight()), m.constant(op.getWidth())};
    auto spread = [&](OpBuilder &b, Location l, ValueRange places, ValueRange pieces) -> SmallVector<Value> {
      nn::SizeMath inner(b, l);
      Value zero = constantZero(b, l, wide), first = inner.value(inner.mul(places[0], m.constant(block)));
      Value zeros = lower::createFilled(b, l, {sizes[0], sizes[2], sizes[3], m.constant(block)}, zero);
      auto addCell = [&](OpBuilder &c, Location cl, ValueRange cell, ValueRange carried) -> SmallVector<Value> {
        Value integer = tensor::ExtractOp::create(c, cl, adaptor.getIndices(), cell[0]);
        Value image = lower::loadPosition(c, cl, integer, indexType, extents[0], /*inBounds=*/false);
        SmallVector<CellAxis> axes = locateCell(c, cl, op, adaptor.getRois(), cell[0], cell.drop_front(),
                                                ArrayRef(extents).drop_front(2), wide);
        Expr count = countSamples(axes);
        Value shares = lower::createElements(
            c, cl, {}, {}, {m.constant(block)}, wide, [&](OpBuilder &n, Location at, ValueRange, ValueRange lane) -> Value {
              Value channel = arith::AddIOp::create(n, at, first, lane[0]);
              Value dy = tensor::ExtractOp::create(n, at, adaptor.getInput(), ValueRange{cell[0], channel, cell[1], cell[2]});
              return Expr(n, at, lower::widen(n, at, dy, wide)) / Expr(n, at, count);
            });
        auto addSample = [&](OpBuilder &n, Location at, ValueRange samples, ValueRange into) -> SmallVector<Value> {
          Sample sample = createSample(n, at, axes, samples);
          Value whole = into[0];
          OpFoldResult zeroth = m.constant(0), one = m.constant(1);
          SmallVector<OpFoldResult> laneSizes{one, one, one, m.constant(block)}, ones(4, one);
          for (const Tap &tap : sample.taps) {
            SmallVector<OpFoldResult> at4{image, tap.row, tap.column, zeroth};
            Value there = tensor::ExtractSliceOp::create(n, at, laneType, whole, at4, laneSizes, ones);
            AffineMap identity = n.getMultiDimIdentityMap(1);
            auto sum = linalg::GenericOp::create(
                n, at, laneType, shares, there, {identity, identity}, parallel(1),
                [&](OpBuilder &body, Location bl, ValueRange e) {
                  Expr share(body, bl, e[0]), before(body, bl, e[1]);
                  Expr part = share * Expr(body, bl, tap.weight);
                  Value added = before + nn::select(Expr(body, bl, sample.isInside), part, part.constant(0));
                  linalg::YieldOp::create(body, bl, added);
                });
            whole = tensor::InsertSliceOp::create(n, at, sum.getResult(0), whole, at4, laneSizes, ones);
          }
          return {whole};
        };
        return lower::createLoops(c, cl, {axes[0].samples, axes[1].samples}, carried, addSample);
      };
      Value sums = lower::createLoops(b, l, cells, zeros, addCell).front();
      AffineExpr n, c, h, w;
      bindDims(b.getContext(), n, c, h, w);
      auto map = AffineMap::get(4, 0, {n, h, w, c}, b.getContext());
      auto moved = linalg::GenericOp::create(
          b, l, pieces[0].getType(), sums, pieces[0], {map, b.getMultiDimIdentityMap(4)}, parallel(4),
          [](OpBuilder &body, Location bl, ValueRange e) { linalg::YieldOp::create(body, bl, e[0]); });
      return {moved.getResult(0)};
    };
    OpFoldResult blocks = m.div(sizes[1], m.constant(block));
    Value result = lower::createParallelParts(rewriter, loc, blocks, empty, parts, spread).front();
    result = lower::narrowTensor(rewriter, loc, result, element);
    rewriter.replaceOp(op, lower::castTo(rewriter, loc, result, op.getType()));
    return success();
  }

  /// How many channels are computed at once.
  static int64_t getBlock(OpFoldResult channels) {
    std::optional<int64_t> known = getConstantIntValue(channels);
    for (int64_t block : {16, 8, 4, 2})
      if (known && *known % block == 0)
        return block;
    return 1;
  }
};

/// As the maximum of nn.roi_align, with the place and the weight of the best part.
struct LowerRoiAlignPlaces : Lowering<nn::RoiAlignPlacesOp> {
  using Lowering::Lowering;

  LogicalResult matchAndRewrite(nn::RoiAlignPlacesOp op, Adaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    Type wide = getElementTypeOrSelf(op.getWeights()), indexType = getElementTypeOrSelf(op.getIndices());
    SmallVector<Value> extents = getSizeValues(rewriter, loc, op.getInput());
    auto cell = [&](OpBuilder &b, Location l, ValueRange, ValueRange places) -> SmallVector<Value> {
      Value region = places[0], channel = places[1];
      Value integer = tensor::ExtractOp::create(b, l, adaptor.getIndices(), region);
      Value image = lower::loadPosition(b, l, integer, indexType, extents[0], /*inBounds=*/false);
      SmallVector<CellAxis> axes = locateCell(b, l, op, adaptor.getRois(), region, places.drop_front(2),
                                              ArrayRef(extents).drop_front(2), wide);
      Value none = constantZero(b, l, b.getI64Type()), nothing = constantZero(b, l, wide);
      SmallVector<Value> result = lower::createLoops(
          b, l, {axes[0].samples, axes[1].samples}, {none, nothing, nothing, constantBool(b, l, false)},
          [&](OpBuilder &n, Location at, ValueRange samples, ValueRange carried) -> SmallVector<Value> {
            Sample sample = createSample(n, at, axes, samples);
            // The best of the sample; outside of the image that is 0, of no element.
            SmallVector<Expr> best;
            for (const Tap &tap : sample.taps) {
              SmallVector<Value> from{image, channel, tap.row, tap.column};
              Value value = tensor::ExtractOp::create(n, at, adaptor.getInput(), from);
              Expr part = tap.weight * Expr(n, at, lower::widen(n, at, value, wide));
              Expr place(n, at, linearize(n, at, from, extents));
              SmallVector<Expr> own{place, tap.weight, part};
              if (best.empty()) {
                best = own;
                continue;
              }
              Expr better = isBetter(part, best[2]);
              for (auto [kept, other] : llvm::zip_equal(best, own))
                kept = nn::select(better, other, kept);
            }
            Expr seen(n, at, carried[3]), zero = best[2].constant(0.0);
            best = {nn::select(sample.isInside, best[0], Expr(n, at, none)),
                    nn::select(sample.isInside, best[1], zero), nn::select(sample.isInside, best[2], zero)};
            Expr better = isBetter(best[2], Expr(n, at, carried[2])) | ~seen;
            SmallVector<Value> next;
            for (auto [old, own] : llvm::zip(carried, best))
              next.push_back(nn::select(better, own, Expr(n, at, old)));
            next.push_back(constantBool(n, at, true));
            return next;
          });
      return {result[0], result[1]};
    };
    SmallVector<Value> results = lower::createElements(rewriter, loc, {}, {}, lower::resultSizes(rewriter, op),
                                                       {rewriter.getI64Type(), wide}, cell);
    for (auto [made, result] : llvm::zip_equal(results, op.getResults()))
      made = lower::castTo(rewriter, loc, made, result.getType());
    rewriter.replaceOp(op, results);
    return success();
  }
};

} // namespace

void lower::populateRegionsToLinalgPatterns(const TypeConverter &converter, RewritePatternSet &patterns) {
  patterns.add<LowerRoiAlign, LowerRoiSpread, LowerRoiAlignPlaces>(converter, patterns.getContext());
}
