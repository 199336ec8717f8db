//===- RegionsToLinalg.cpp - Regions, blocks and caches ---------*- C++ -*-===//
//
// roi_align, max_roi_pool, col2im, cache_write: each result element is computed from
// the places that it depends on, so that no two writes meet.
//
//===----------------------------------------------------------------------===//
#include "compiler/lower/Accumulate.h"
#include "compiler/lower/Indexing.h"
#include "dialects/nn/Expr.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace nacre;
using nacre::lower::Lowering;
using nn::Expr;

namespace {

Expr floor(Expr x) { return x.apply<math::FloorOp>(); }
Expr ceil(Expr x) { return x.apply<math::CeilOp>(); }

/// An index as a number of a float type.
Expr toFloat(OpBuilder &b, Location loc, Value index, Type type) {
  Value wide = arith::IndexCastOp::create(b, loc, b.getI64Type(), index);
  return {b, loc, arith::SIToFPOp::create(b, loc, type, wide)};
}

/// A number as an index in [low, high]; NaN becomes low.
Value toIndexBetween(Expr x, double low, Value high) {
  OpBuilder &b = x.getBuilder();
  Location loc = x.getLoc();
  Expr limit = toFloat(b, loc, high, x.getType());
  Expr above = nn::select(x > low, x, x.constant(low));
  Expr bounded = nn::select(above < limit, above, limit);
  Value integer = arith::FPToSIOp::create(b, loc, b.getI64Type(), bounded);
  return arith::MinSIOp::create(b, loc, arith::IndexCastOp::create(b, loc, b.getIndexType(), integer), high);
}

Value constantIndex(OpBuilder &b, Location loc, int64_t value) { return arith::ConstantIndexOp::create(b, loc, value); }

/// Samples in a region of unlimited size would be an endless loop.
constexpr int64_t maxSamples = 4096;

//===----------------------------------------------------------------------===//
// roi_align
//===----------------------------------------------------------------------===//

struct LowerRoiAlign : Lowering<nn::RoiAlignOp> {
  using Lowering::Lowering;

  LogicalResult matchAndRewrite(nn::RoiAlignOp op, Adaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    nn::SizeMath m(rewriter, loc);
    SmallVector<OpFoldResult> sizes = lower::resultSizes(rewriter, op);
    Type element = getElementTypeOrSelf(adaptor.getInput()), wide = lower::getAccumulatorType(element);
    Type indexType = getElementTypeOrSelf(op.getIndices());
    SmallVector<Value> extents;
    for (OpFoldResult size : m.dims(op.getInput()))
      extents.push_back(m.value(size));
    double scale = op.getSpatialScale().convertToDouble(), offset = op.getHalfPixel() ? 0.5 : 0.0;

    auto cell = [&](OpBuilder &b, Location l, ValueRange, ValueRange places) -> Value {
      Value region = places[0], channel = places[1];
      Value integer = tensor::ExtractOp::create(b, l, adaptor.getIndices(), region);
      Value image = lower::loadPosition(b, l, integer, indexType, extents[0], op.getInBounds());
      auto coordinate = [&](int64_t i) -> Expr {
        Value at = tensor::ExtractOp::create(b, l, adaptor.getRois(), ValueRange{region, constantIndex(b, l, i)});
        return Expr(b, l, lower::widen(b, l, at, wide)) * scale - offset;
      };
      // For each of the two dimensions: where the cell begins, how large it is, and how
      // many samples it takes.
      struct Axis {
        Expr begin, size, count;
        Value samples, extent;
      };
      SmallVector<Axis> axes;
      for (int64_t d = 0; d < 2; ++d) {
        Expr begin = coordinate(1 - d), length = coordinate(3 - d) - begin;
        if (!op.getHalfPixel())
          length = nn::select(length > 1.0, length, length.constant(1.0));
        Expr size = length / static_cast<double>(d == 0 ? op.getHeight() : op.getWidth());
        Value samples = op.getSamplingRatio() > 0
                            ? constantIndex(b, l, op.getSamplingRatio())
                            : toIndexBetween(ceil(size), 0, constantIndex(b, l, maxSamples));
        axes.push_back({begin + toFloat(b, l, places[2 + d], wide) * size, size, toFloat(b, l, samples, wide),
                        samples, extents[2 + d]});
      }
      // The two neighbours of a sample in one dimension, and their weights.
      struct Neighbours {
        Value isInside, low, high;
        Expr toLow, toHigh;
      };
      auto locate = [&](OpBuilder &n, Location at, const Axis &axis, Value sample) -> Neighbours {
        Expr begin(n, at, axis.begin), size(n, at, axis.size), count(n, at, axis.count);
        Expr x = begin + (toFloat(n, at, sample, wide) + 0.5) * size / count;
        Expr extent = toFloat(n, at, axis.extent, wide);
        Expr isInside = (x >= -1.0) & (x <= extent);
        Expr place = nn::select(x > 0.0, x, x.constant(0.0));
        Value one = constantIndex(n, at, 1), last = arith::SubIOp::create(n, at, axis.extent, one);
        Value low = toIndexBetween(floor(place), 0, last);
        Value high = arith::MinSIOp::create(n, at, arith::AddIOp::create(n, at, low, one), last);
        Value isLast = arith::CmpIOp::create(n, at, arith::CmpIPredicate::eq, low, last);
        Expr toHigh = nn::select(x.with(isLast), x.constant(0.0), place - toFloat(n, at, low, wide));
        return {isInside, low, high, 1.0 - toHigh, toHigh};
      };
      bool isMax = op.getReduction() == nn::RoiReduction::Max;
      Value zero = arith::ConstantOp::create(b, l, b.getZeroAttr(wide));
      Value none = arith::ConstantIntOp::create(b, l, 0, 1);
      SmallVector<Value> result = lower::createLoops(
          b, l, {axes[0].samples, axes[1].samples}, {zero, none},
          [&](OpBuilder &n, Location at, ValueRange samples, ValueRange carried) -> SmallVector<Value> {
            Neighbours y = locate(n, at, axes[0], samples[0]), x = locate(n, at, axes[1], samples[1]);
            Expr inside = Expr(n, at, y.isInside) & Expr(n, at, x.isInside);
            auto part = [&](Value row, Value column, Expr rowWeight, Expr columnWeight) -> Expr {
              Value value = tensor::ExtractOp::create(n, at, adaptor.getInput(), ValueRange{image, channel, row, column});
              return rowWeight * columnWeight * Expr(n, at, lower::widen(n, at, value, wide));
            };
            Expr p1 = part(y.low, x.low, y.toLow, x.toLow), p2 = part(y.low, x.high, y.toLow, x.toHigh),
                 p3 = part(y.high, x.low, y.toHigh, x.toLow), p4 = part(y.high, x.high, y.toHigh, x.toHigh);
            Expr joined = isMax ? nn::max(nn::max(p1, p2), nn::max(p3, p4)) : p1 + p2 + p3 + p4;
            Expr sample = nn::select(inside, joined, joined.constant(0.0)), before(n, at, carried[0]);
            Value yes = arith::ConstantIntOp::create(n, at, 1, 1);
            if (!isMax)
              return {before + sample, yes};
            return {nn::select(before.with(carried[1]), nn::max(before, sample), sample), yes};
          });
      Expr total(b, l, result[0]);
      if (!isMax) {
        Expr count = axes[0].count * axes[1].count;
        total = total / nn::select(count > 1.0, count, count.constant(1.0));
      }
      return lower::narrow(b, l, total, element);
    };
    Value result = lower::createElements(rewriter, loc, {}, {}, sizes, element, cell);
    rewriter.replaceOp(op, lower::castTo(rewriter, loc, result, op.getType()));
    return success();
  }
};

//===----------------------------------------------------------------------===//
// max_roi_pool
//===----------------------------------------------------------------------===//

struct LowerMaxRoiPool : Lowering<nn::MaxRoiPoolOp> {
  using Lowering::Lowering;

  LogicalResult matchAndRewrite(nn::MaxRoiPoolOp op, Adaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    nn::SizeMath m(rewriter, loc);
    SmallVector<OpFoldResult> sizes = lower::resultSizes(rewriter, op);
    Type element = getElementTypeOrSelf(adaptor.getInput()), wide = lower::getAccumulatorType(element);
    SmallVector<Value> extents;
    for (OpFoldResult size : m.dims(op.getInput()))
      extents.push_back(m.value(size));
    double scale = op.getSpatialScale().convertToDouble();
    auto cell = [&](OpBuilder &b, Location l, ValueRange, ValueRange places) -> Value {
      auto number = [&](int64_t i) -> Expr {
        Value at = tensor::ExtractOp::create(b, l, adaptor.getRois(), ValueRange{places[0], constantIndex(b, l, i)});
        return {b, l, lower::widen(b, l, at, wide)};
      };
      auto round = [&](Expr x) { return floor(x * scale + 0.5); };
      Value last = arith::SubIOp::create(b, l, extents[0], constantIndex(b, l, 1));
      Value image = toIndexBetween(number(0), 0, last);
      SmallVector<Value> begins, counts;
      for (int64_t d = 0; d < 2; ++d) {
        Expr begin = round(number(2 - d)), end = round(number(4 - d));
        Expr length = end - begin + 1.0;
        length = nn::select(length > 1.0, length, length.constant(1.0));
        Expr size = length / static_cast<double>(d == 0 ? op.getHeight() : op.getWidth());
        Expr place = toFloat(b, l, places[2 + d], wide);
        Value low = toIndexBetween(floor(place * size) + begin, 0, extents[2 + d]);
        Value high = toIndexBetween(ceil((place + 1.0) * size) + begin, 0, extents[2 + d]);
        Value count = arith::SubIOp::create(b, l, high, low);
        begins.push_back(low);
        counts.push_back(arith::MaxSIOp::create(b, l, count, constantIndex(b, l, 0)));
      }
      Value zero = arith::ConstantOp::create(b, l, b.getZeroAttr(element)), none = arith::ConstantIntOp::create(b, l, 0, 1);
      return lower::createLoops(b, l, {counts[0], counts[1]}, {zero, none},
                                [&](OpBuilder &n, Location at, ValueRange within, ValueRange carried) -> SmallVector<Value> {
                                  Value row = arith::AddIOp::create(n, at, begins[0], within[0]);
                                  Value column = arith::AddIOp::create(n, at, begins[1], within[1]);
                                  Expr value(n, at, tensor::ExtractOp::create(n, at, adaptor.getInput(),
                                                                              ValueRange{image, places[1], row, column}));
                                  Expr best(n, at, carried[0]);
                                  return {nn::select(best.with(carried[1]), nn::max(best, value), value),
                                          arith::ConstantIntOp::create(n, at, 1, 1)};
                                })
          .front();
    };
    Value result = lower::createElements(rewriter, loc, {}, {}, sizes, element, cell);
    rewriter.replaceOp(op, lower::castTo(rewriter, loc, result, op.getType()));
    return success();
  }
};

//===----------------------------------------------------------------------===//
// col2im
//===----------------------------------------------------------------------===//

/// Each image element sums the block elements that lie on it.
struct LowerCol2Im : Lowering<nn::Col2ImOp> {
  using Lowering::Lowering;

  LogicalResult matchAndRewrite(nn::Col2ImOp op, Adaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    nn::SizeMath m(rewriter, loc);
    using Predicate = nn::SizeMath::Predicate;
    SmallVector<OpFoldResult> sizes = lower::resultSizes(rewriter, op);
    int64_t n = op.getStrides().size();
    Type element = getElementTypeOrSelf(adaptor.getInput()), wide = lower::getAccumulatorType(element);
    SmallVector<OpFoldResult> blocks, counts; // size of a block, number of blocks
    for (int64_t i = 0; i < n; ++i) {
      OpFoldResult block = m.element(op.getBlock(), i), stride = m.constant(op.getStrides()[i]);
      OpFoldResult extent = m.add(m.mul(m.sub(block, m.constant(1)), m.constant(op.getDilations()[i])), m.constant(1));
      OpFoldResult room = m.sub(m.add(sizes[2 + i], m.constant(op.getPads()[i] + op.getPads()[n + i])), extent);
      blocks.push_back(block);
      counts.push_back(m.div(m.max(m.add(room, stride), m.constant(0)), stride));
    }
    auto sumBlocks = [&](OpBuilder &b, Location l, ValueRange, ValueRange places) -> Value {
      Value zero = arith::ConstantOp::create(b, l, b.getZeroAttr(wide));
      Value sum = lower::createLoops(
                      b, l, blocks, zero,
                      [&](OpBuilder &inner, Location at, ValueRange within, ValueRange carried) -> SmallVector<Value> {
                        nn::SizeMath math(inner, at);
                        Value isThere = arith::ConstantIntOp::create(inner, at, 1, 1);
                        // Channel and position of the element in the blocks, row-major.
                        OpFoldResult channel = places[1], position = math.constant(0);
                        for (int64_t i = 0; i < n; ++i) {
                          OpFoldResult stride = math.constant(op.getStrides()[i]);
                          OpFoldResult shifted =
                              math.sub(math.add(places[2 + i], math.constant(op.getPads()[i])),
                                       math.mul(within[i], math.constant(op.getDilations()[i])));
                          OpFoldResult number = math.div(math.max(shifted, math.constant(0)), stride);
                          for (Value condition : {math.compare(Predicate::sge, shifted, math.constant(0)),
                                                  math.compare(Predicate::eq, math.mul(number, stride), shifted),
                                                  math.compare(Predicate::slt, number, counts[i])})
                            isThere = arith::AndIOp::create(inner, at, isThere, condition);
                          channel = math.add(math.mul(channel, blocks[i]), within[i]);
                          position = math.add(math.mul(position, counts[i]), number);
                        }
                        Value safe = math.value(math.constant(0));
                        Value column = arith::SelectOp::create(inner, at, isThere, math.value(position), safe);
                        Value row = arith::SelectOp::create(inner, at, isThere, math.value(channel), safe);
                        auto branch = scf::IfOp::create(
                            inner, at, isThere,
                            [&](OpBuilder &then, Location tl) {
                              Value value = tensor::ExtractOp::create(then, tl, adaptor.getInput(),
                                                                      ValueRange{places[0], row, column});
                              scf::YieldOp::create(then, tl, lower::widen(then, tl, value, wide));
                            },
                            [&](OpBuilder &otherwise, Location el) {
                              Value nothing = arith::ConstantOp::create(otherwise, el, otherwise.getZeroAttr(wide));
                              scf::YieldOp::create(otherwise, el, nothing);
                            });
                        return {lower::buildAdd(inner, at, carried[0], branch.getResult(0))};
                      })
                      .front();
      return lower::narrow(b, l, sum, element);
    };
    Value result = lower::createElements(rewriter, loc, {}, {}, sizes, element, sumBlocks);
    rewriter.replaceOp(op, lower::castTo(rewriter, loc, result, getTypeConverter()->convertType(op.getType())));
    return success();
  }
};

//===----------------------------------------------------------------------===//
// cache_write
//===----------------------------------------------------------------------===//

/// Each element asks whether the update covers it.
struct LowerCacheWrite : Lowering<nn::CacheWriteOp> {
  using Lowering::Lowering;

  LogicalResult matchAndRewrite(nn::CacheWriteOp op, Adaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    nn::SizeMath m(rewriter, loc);
    SmallVector<OpFoldResult> sizes = lower::resultSizes(rewriter, op);
    int64_t rank = sizes.size(), axis = op.getAxis();
    Value room = m.value(sizes[axis]), length = m.value(m.dim(op.getUpdate(), axis));
    AffineMap batch = AffineMap::get(rank, 0, rewriter.getAffineDimExpr(0));
    Value limit = m.value(m.add(m.sub(sizes[axis], m.dim(op.getUpdate(), axis)), m.constant(1)));
    Value result = lower::createElements(
        rewriter, loc, {adaptor.getPositions(), adaptor.getCache()}, {batch, rewriter.getMultiDimIdentityMap(rank)},
        sizes, getElementTypeOrSelf(adaptor.getCache()),
        [&](OpBuilder &b, Location l, ValueRange inputs, ValueRange places) -> Value {
          nn::SizeMath math(b, l);
          Value position = arith::IndexCastOp::create(b, l, b.getIndexType(), inputs[0]);
          if (!op.getCircular() && !op.getInBounds())
            position = lower::clampPosition(b, l, position, limit);
          OpFoldResult distance = math.sub(places[axis], position);
          if (op.getCircular())
            distance = math.modulo(distance, room);
          Value isCovered = arith::AndIOp::create(
              b, l, math.compare(nn::SizeMath::Predicate::sge, distance, math.constant(0)),
              math.compare(nn::SizeMath::Predicate::slt, distance, length));
          auto branch = scf::IfOp::create(
              b, l, isCovered,
              [&](OpBuilder &then, Location tl) {
                SmallVector<Value> from(places);
                from[axis] = math.value(distance);
                Value value = tensor::ExtractOp::create(then, tl, adaptor.getUpdate(), from);
                scf::YieldOp::create(then, tl, value);
              },
              [&](OpBuilder &otherwise, Location el) { scf::YieldOp::create(otherwise, el, inputs[1]); });
          return branch.getResult(0);
        });
    rewriter.replaceOp(op, result);
    return success();
  }
};

} // namespace

void lower::populateRegionsToLinalgPatterns(const TypeConverter &converter, RewritePatternSet &patterns) {
  patterns.add<LowerRoiAlign, LowerMaxRoiPool, LowerCol2Im, LowerCacheWrite>(converter, patterns.getContext());
}
