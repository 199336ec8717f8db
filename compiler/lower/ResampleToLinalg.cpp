//===- ResampleToLinalg.cpp - Resize and grid_sample ------------*- C++ -*-===//
//
// nn.resize_table becomes small generics that compute, in f64, where each place of a
// resized dimension lies in the input and what its neighbours weigh; nn.resample reads
// them in a generic that reduces over the taps.
//
//===----------------------------------------------------------------------===//
#include "compiler/lower/Accumulate.h"
#include "compiler/lower/Coordinates.h"
#include "compiler/lower/Indexing.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace nacre;
using nacre::lower::Lowering;
using nn::Expr;

namespace {

/// An index as a number of type f64.
Expr toFloat(OpBuilder &b, Location loc, Value index) { return lower::toFloat(b, loc, index, b.getF64Type()); }

/// A number as an index in [0, size).
Value toIndexBelow(Expr x, Value size) {
  OpBuilder &b = x.getBuilder();
  Location loc = x.getLoc();
  Value one = arith::ConstantIndexOp::create(b, loc, 1);
  return lower::toIndexWithin(x, arith::SubIOp::create(b, loc, size, one));
}

/// Keys' cubic kernel with coefficient a; x ≥ 0.
Expr cubicKernel(Expr x, double a) {
  Expr inner = ((x * (a + 2) - (a + 3)) * x) * x + 1.0;
  Expr outer = ((x * a - 5 * a) * x + 8 * a) * x - 4 * a;
  return nn::select(x <= 1.0, inner, nn::select(x < 2.0, outer, x.constant(0.0)));
}

//===----------------------------------------------------------------------===//
// resize_table
//===----------------------------------------------------------------------===//

struct LowerResizeTable : Lowering<nn::ResizeTableOp> {
  using Lowering::Lowering;

  /// Where in the input a place of the result lies.
  static Expr locate(nn::ResizeTableOp op, Expr place, Expr size, Expr count, Expr scale, Expr begin, Expr end) {
    using Mode = nn::CoordinateMode;
    Expr resized = scale * size;
    auto halfPixel = [&] { return (place + 0.5) / scale - 0.5; };
    auto unlessOne = [&](Expr one, Expr other) { return nn::select(resized == 1.0, one, other); };
    switch (op.getCoordinates()) {
    case Mode::HalfPixel:
      return halfPixel();
    case Mode::HalfPixelSymmetric:
      return (size / 2.0) * (1.0 - count / resized) + halfPixel();
    case Mode::PytorchHalfPixel:
      return unlessOne(place.constant(-0.5), halfPixel());
    case Mode::AlignCorners:
      return unlessOne(place.constant(0.0), place * (size - 1.0) / (resized - 1.0));
    case Mode::Asymmetric:
      return place / scale;
    case Mode::TfHalfPixelForNn:
      return (place + 0.5) / scale;
    case Mode::TfCropAndResize: {
      Expr extent = (end - begin) * (size - 1.0);
      return unlessOne(extent / 2.0, place * extent / (resized - 1.0)) + begin * (size - 1.0);
    }
    }
    llvm_unreachable("every mode is handled");
  }

  static Expr pickNearest(nn::ResizeTableOp op, Expr x, Expr scale) {
    switch (op.getNearest()) {
    case nn::NearestMode::RoundPreferFloor:
      return ceil(x - 0.5);
    case nn::NearestMode::RoundPreferCeil:
      return floor(x + 0.5);
    case nn::NearestMode::Ceil:
      return ceil(x);
    case nn::NearestMode::Floor:
      return floor(x);
    case nn::NearestMode::Simple:
      return nn::select(scale < 1.0, ceil(x), floor(x));
    }
    llvm_unreachable("every mode is handled");
  }

  LogicalResult matchAndRewrite(nn::ResizeTableOp op, Adaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    nn::SizeMath m(rewriter, loc);
    OpFoldResult count = lower::resultSizes(rewriter, op, 0)[0], taps = lower::resultSizes(rewriter, op, 0)[1];
    Value size = m.value(m.element(op.getSize(), 0)), countValue = m.value(count), tapsValue = m.value(taps);
    Type f64 = rewriter.getF64Type(), f32 = rewriter.getF32Type();
    auto element = [&](Value tensor, ValueRange at) -> Value {
      return tensor::ExtractOp::create(rewriter, loc, tensor, at);
    };
    auto numberOf = [&](Value index) -> Expr { return toFloat(rewriter, loc, index); };
    Value scale = adaptor.getScale() ? element(adaptor.getScale(), {})
                                     : (numberOf(m.value(count)) / numberOf(size)).get();
    Value begin = element(adaptor.getRegion(), m.value(m.constant(0))), end = element(adaptor.getRegion(), m.value(m.constant(1)));
    bool isNearest = op.getInterpolation() == nn::Interpolation::Nearest;
    bool isLinear = op.getInterpolation() == nn::Interpolation::Linear;
    double coefficient = op.getCubicCoefficient().convertToDouble();

    // Where each place lies.
    Value located = lower::createElements(
        rewriter, loc, {}, {}, count, f64, [&](OpBuilder &b, Location l, ValueRange, ValueRange places) -> Value {
          auto at = [&](Value value) { return Expr(b, l, value); };
          return locate(op, toFloat(b, l, places[0]), toFloat(b, l, size), toFloat(b, l, countValue), at(scale),
                        at(begin), at(end));
        });
    AffineMap row = AffineMap::get(2, 0, rewriter.getAffineDimExpr(0));
    SmallVector<OpFoldResult> both{count, taps};

    // The element of a tap, before it is brought into the input: for linear and cubic
    // ones, the taps stand around the element left of the place.
    auto element0 = [&](OpBuilder &b, Location l, Expr x, Value tap) -> Expr {
      if (isNearest)
        return pickNearest(op, x, Expr(b, l, scale));
      Value half = arith::DivSIOp::create(b, l, tapsValue, arith::ConstantIndexOp::create(b, l, 2));
      Expr offset = toFloat(b, l, tap) - toFloat(b, l, half) + 1.0;
      return floor(x) + offset;
    };
    Value indices = lower::createElements(
        rewriter, loc, located, row, both, rewriter.getI64Type(),
        [&](OpBuilder &b, Location l, ValueRange inputs, ValueRange places) -> Value {
          Expr at = element0(b, l, Expr(b, l, inputs[0]), places[1]);
          return arith::IndexCastOp::create(b, l, b.getI64Type(), toIndexBelow(at, size));
        });

    // Weights, not normalised: f64 until they are.
    auto weigh = [&](OpBuilder &b, Location l, Value where, Value tap) -> Expr {
      Expr x(b, l, where);
      if (isNearest)
        return x.constant(1.0);
      Expr at = element0(b, l, x, tap), distance = nn::abs(at - x);
      if (op.getAntialias()) {
        Expr factor(b, l, scale);
        distance = distance * nn::select(factor < 1.0, factor, factor.constant(1.0));
      }
      Expr weight = isLinear ? nn::select(distance < 1.0, 1.0 - distance, distance.constant(0.0))
                             : cubicKernel(distance, coefficient);
      if (!op.getExcludeOutside())
        return weight;
      Expr isInside = (at >= 0.0) & (at <= toFloat(b, l, size) - 1.0);
      return nn::select(isInside, weight, weight.constant(0.0));
    };
    bool isNormalised = !isNearest && (op.getAntialias() || op.getExcludeOutside());
    SmallVector<Value> inputs{located};
    SmallVector<AffineMap> maps{row};
    if (isNormalised) {
      Value zero = arith::ConstantOp::create(rewriter, loc, rewriter.getF64FloatAttr(0));
      Value init = lower::createFilled(rewriter, loc, count, zero);
      Value shape = lower::createEmpty(rewriter, loc, taps, f64); // only says how many taps there are
      AffineMap column = AffineMap::get(2, 0, rewriter.getAffineDimExpr(1));
      auto sums = linalg::GenericOp::create(
          rewriter, loc, init.getType(), ValueRange{located, shape}, init, ArrayRef<AffineMap>{row, column, row},
          ArrayRef<utils::IteratorType>{utils::IteratorType::parallel, utils::IteratorType::reduction},
          [&](OpBuilder &b, Location l, ValueRange arguments) {
            Value tap = linalg::IndexOp::create(b, l, 1);
            Expr sum = Expr(b, l, arguments[2]) + weigh(b, l, arguments[0], tap);
            linalg::YieldOp::create(b, l, sum.get());
          });
      inputs.push_back(sums.getResult(0));
      maps.push_back(row);
    }
    Value weights = lower::createElements(
        rewriter, loc, inputs, maps, both, f32,
        [&](OpBuilder &b, Location l, ValueRange arguments, ValueRange places) -> Value {
          Expr weight = weigh(b, l, arguments[0], places[1]);
          if (isNormalised)
            weight = weight / Expr(b, l, arguments[1]);
          return arith::TruncFOp::create(b, l, f32, weight);
        });
    Value outside = lower::createElements(
        rewriter, loc, located, rewriter.getMultiDimIdentityMap(1), count, rewriter.getI8Type(),
        [&](OpBuilder &b, Location l, ValueRange arguments, ValueRange) -> Value {
          Expr x(b, l, arguments[0]);
          Expr result = (x < 0.0) | (x > toFloat(b, l, size) - 1.0);
          return arith::ExtUIOp::create(b, l, b.getI8Type(), result);
        });
    SmallVector<Value> results{indices, weights, outside};
    for (auto [result, original] : llvm::zip(results, op.getResultTypes()))
      result = lower::castTo(rewriter, loc, result, getTypeConverter()->convertType(original));
    rewriter.replaceOp(op, results);
    return success();
  }
};

//===----------------------------------------------------------------------===//
// resample
//===----------------------------------------------------------------------===//

struct LowerResample : Lowering<nn::ResampleOp> {
  using Lowering::Lowering;

  LogicalResult matchAndRewrite(nn::ResampleOp op, Adaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    nn::SizeMath m(rewriter, loc);
    SmallVector<OpFoldResult> sizes = lower::resultSizes(rewriter, op);
    int64_t rank = sizes.size(), axis = op.getAxis();
    Type element = getElementTypeOrSelf(adaptor.getInput()), wide = lower::getAccumulatorType(element);
    Value size = m.value(m.dim(op.getInput(), axis));
    AffineExpr tap = rewriter.getAffineDimExpr(rank);
    AffineMap table = AffineMap::get(rank + 1, 0, {rewriter.getAffineDimExpr(axis), tap}, rewriter.getContext());
    AffineMap out = rewriter.getMultiDimIdentityMap(rank + 1).dropResult(rank);
    SmallVector<utils::IteratorType> iterators(rank, utils::IteratorType::parallel);
    iterators.push_back(utils::IteratorType::reduction);
    Value zero = arith::ConstantOp::create(rewriter, loc, rewriter.getZeroAttr(wide));
    Value init = lower::createFilled(rewriter, loc, sizes, zero);
    auto sum = linalg::GenericOp::create(
        rewriter, loc, init.getType(), ValueRange{adaptor.getIndices(), adaptor.getWeights()}, init,
        ArrayRef<AffineMap>{table, table, out}, iterators,
        [&](OpBuilder &b, Location l, ValueRange arguments) {
          SmallVector<Value> from;
          for (int64_t i = 0; i < rank; ++i)
            from.push_back(linalg::IndexOp::create(b, l, i));
          Value index = arith::IndexCastOp::create(b, l, b.getIndexType(), arguments[0]);
          from[axis] = lower::clampPosition(b, l, index, size);
          Value value = lower::widen(b, l, tensor::ExtractOp::create(b, l, adaptor.getInput(), from), wide);
          Expr weight(b, l, lower::widen(b, l, arguments[1], wide));
          linalg::YieldOp::create(b, l, (Expr(b, l, arguments[2]) + weight * Expr(b, l, value)).get());
        });
    Value result = lower::narrowTensor(rewriter, loc, sum.getResult(0), element);
    rewriter.replaceOp(op, lower::castTo(rewriter, loc, result, op.getType()));
    return success();
  }
};

//===----------------------------------------------------------------------===//
// grid_sample
//===----------------------------------------------------------------------===//

struct LowerGridSample : Lowering<nn::GridSampleOp> {
  using Lowering::Lowering;

  /// Mirrors a coordinate at the borders until it lies within them. A range of one
  /// point has only that.
  static Expr reflect(Expr x, Expr low, Expr high) {
    Expr range = high - low, zero = x.constant(0.0);
    Expr distance = nn::abs(x - low);
    // distance = flips * range + rest, computed without overflow of integers.
    Expr flips = floor(distance / range), rest = distance - flips * range;
    Expr isOdd = (flips - floor(flips / 2.0) * 2.0) == 1.0;
    Expr inside = nn::select(isOdd, high - rest, low + rest);
    return nn::select(range > zero, inside, low);
  }

  LogicalResult matchAndRewrite(nn::GridSampleOp op, Adaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    nn::SizeMath m(rewriter, loc);
    SmallVector<OpFoldResult> sizes = lower::resultSizes(rewriter, op);
    int64_t n = op.getInput().getType().getRank() - 2;
    Type element = getElementTypeOrSelf(adaptor.getInput()), wide = lower::getAccumulatorType(element);
    SmallVector<Value> extents;
    for (int64_t i = 0; i < n; ++i)
      extents.push_back(m.value(m.dim(op.getInput(), 2 + i)));
    bool alignCorners = op.getAlignCorners();
    nn::GridPadding padding = op.getPadding();

    auto sample = [&](OpBuilder &b, Location l, ValueRange, ValueRange places) -> Value {
      auto toWide = [&](Value index) -> Expr {
        Value integer = arith::IndexCastOp::create(b, l, b.getI64Type(), index);
        return {b, l, arith::SIToFPOp::create(b, l, wide, integer)};
      };
      struct Axis {
        Expr x, low, high;
        Value extent;
        SmallVector<Expr> taps, weights;
      };
      SmallVector<Axis> axes;
      for (int64_t i = 0; i < n; ++i) {
        SmallVector<Value> at{places[0]};
        llvm::append_range(at, places.drop_front(2));
        at.push_back(arith::ConstantIndexOp::create(b, l, n - 1 - i)); // the last dimension comes first
        Expr g(b, l, lower::widen(b, l, tensor::ExtractOp::create(b, l, adaptor.getGrid(), at), wide));
        Expr size = toWide(extents[i]);
        Expr x = g;
        if (!op.getInElements())
          x = alignCorners ? (g + 1.0) / 2.0 * (size - 1.0) : ((g + 1.0) * size - 1.0) / 2.0;
        Expr low = x.constant(alignCorners ? 0.0 : -0.5), high = alignCorners ? size - 1.0 : size - 0.5;
        if (op.getInterpolation() == nn::Interpolation::Nearest)
          x = x.apply<math::RoundEvenOp>();
        // The place itself is brought inside first, then each of its neighbours.
        if (padding == nn::GridPadding::Border) {
          Expr last = size - 1.0;
          Expr clamped = nn::select(x > last, last, nn::select(x < 0.0, x.constant(0.0), x));
          x = nn::select((x < low) | (x > high), clamped, x);
        } else if (padding == nn::GridPadding::Reflection) {
          x = nn::select((x < low) | (x > high), reflect(x, low, high), x);
        }
        Axis axis{x, low, high, extents[i], {}, {}};
        if (op.getInterpolation() == nn::Interpolation::Nearest) {
          // After a reflection between half places the number may not be whole.
          axis.taps = {padding == nn::GridPadding::Reflection ? x.apply<math::TruncOp>() : x};
        } else {
          Expr left = floor(x), t = x - left;
          if (op.getInterpolation() == nn::Interpolation::Linear) {
            axis.taps = {left, left + 1.0};
            axis.weights = {1.0 - t, t};
          } else {
            axis.taps = {left - 1.0, left, left + 1.0, left + 2.0};
            axis.weights = {cubicKernel(t + 1.0, -0.75), cubicKernel(t, -0.75), cubicKernel(1.0 - t, -0.75),
                            cubicKernel(2.0 - t, -0.75)};
          }
        }
        axes.push_back(std::move(axis));
      }

      // One element, with its coordinates brought inside.
      auto pixel = [&](ArrayRef<Expr> coordinates) -> Expr {
        SmallVector<Value> at{places[0], places[1]};
        Value isInside = arith::ConstantIntOp::create(b, l, 1, 1);
        for (auto [axis, x] : llvm::zip(axes, coordinates)) {
          Expr inside = x;
          if (padding == nn::GridPadding::Reflection)
            inside = nn::select((x < axis.low) | (x > axis.high), reflect(x, axis.low, axis.high), x);
          if (padding == nn::GridPadding::Zeros) {
            Expr within = (x >= 0.0) & (x <= toWide(axis.extent) - 1.0);
            isInside = arith::AndIOp::create(b, l, isInside, within);
          }
          at.push_back(toIndexBelow(inside, axis.extent));
        }
        Expr value(b, l, lower::widen(b, l, tensor::ExtractOp::create(b, l, adaptor.getInput(), at), wide));
        if (padding != nn::GridPadding::Zeros)
          return value;
        return nn::select(value.with(isInside), value, value.constant(0.0));
      };
      // Interpolates along the last dimension first, as the standard does.
      SmallVector<Expr> coordinates;
      auto interpolate = [&](auto &self) -> Expr {
        size_t d = coordinates.size();
        if (d == axes.size())
          return pixel(coordinates);
        std::optional<Expr> sum;
        for (auto [i, tap] : llvm::enumerate(axes[d].taps)) {
          coordinates.push_back(tap);
          Expr value = self(self);
          coordinates.pop_back();
          if (!axes[d].weights.empty())
            value = axes[d].weights[i] * value;
          sum = sum ? *sum + value : value;
        }
        return *sum;
      };
      return lower::narrow(b, l, interpolate(interpolate), element);
    };
    Value result = lower::createElements(rewriter, loc, {}, {}, sizes, element, sample);
    rewriter.replaceOp(op, lower::castTo(rewriter, loc, result, op.getType()));
    return success();
  }
};

} // namespace

void lower::populateResampleToLinalgPatterns(const TypeConverter &converter, RewritePatternSet &patterns) {
  patterns.add<LowerResizeTable, LowerResample, LowerGridSample>(converter, patterns.getContext());
}
