//===- ScatterTapsToLinalg.cpp - The adjoint of taking a window's element *- C++ -*-===//
//
// Before: %dx = nn.scatter_taps %dy, %t, %sizes {kernel = [2, 2], strides = [2, 2], ...}
// After:  %s = linalg.generic {(n, q, r, q', r', c) -> %t[n, q, q', c] == 2 * r + r' ? %dy[n, q, q', c] : 0}
//         %dx = tensor.collapse_shape %s [[0], [1, 2], [3, 4], [5]]
//
// Each place of the result adds up what the windows over it have for it, so that nothing is
// written twice. With a stride s, place s * q + r is in the windows q + u for a few u, whatever
// q is: as tap (r + pad - s * u) / dilation, if that is one. The loops are those of the result
// with q and r apart, then the u.
//
//===----------------------------------------------------------------------===//
#include "compiler/lower/Accumulate.h"
#include "compiler/lower/Indexing.h"
#include "dialects/nn/NNSizeMath.h"
#include "dialects/nn/NNWindow.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace nacre;
using nacre::lower::buildIndex;
using nacre::lower::Lowering;

namespace {

/// One spatial dimension.
struct Place {
  int64_t stride, dilation, kernel;
  int64_t from, count; // the u
  OpFoldResult pad, quotients;
  std::optional<unsigned> remainderLoop, windowLoop; // none: only 0, only `from`
};

Place describe(OpBuilder &b, nn::ScatterTapsOp op, int64_t i, OpFoldResult size) {
  Place place{op.getStrides()[i], op.getDilations()[i], op.getKernel()[i], 0, 1, {}, {}, {}, {}};
  place.pad = nn::getWindowPads(b, op.getLoc(), nn::getPoolDim(op, i, size)).first;
  int64_t reach = (place.kernel - 1) * place.dilation;
  std::optional<int64_t> known = getConstantIntValue(place.pad); // else up to `reach`
  place.from = llvm::divideCeilSigned(known.value_or(0) - reach, place.stride);
  place.count = llvm::divideFloorSigned(place.stride - 1 + known.value_or(reach), place.stride) - place.from + 1;
  place.quotients = nn::computeAffine(b, op.getLoc(), b.getAffineSymbolExpr(0).ceilDiv(place.stride), {size});
  return place;
}

/// The tap as which window q + u has place r. `isTap`, unless that is always one, says whether it is.
Value buildTap(OpBuilder &b, Location loc, const Place &place, Value &isTap) {
  auto index = [&](std::optional<unsigned> loop) -> OpFoldResult {
    return loop ? OpFoldResult(linalg::IndexOp::create(b, loc, *loop).getResult()) : b.getIndexAttr(0);
  };
  AffineExpr r, u, pad;
  bindSymbols(b.getContext(), r, u, pad);
  AffineExpr distance = r + pad - (u + place.from) * place.stride;
  SmallVector<OpFoldResult> symbols{index(place.remainderLoop), index(place.windowLoop), place.pad};
  auto require = [&](Value condition) {
    isTap = isTap ? arith::AndIOp::create(b, loc, isTap, condition).getResult() : condition;
  };
  if (place.dilation != 1)
    require(arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, buildIndex(b, loc, distance % place.dilation, symbols),
                                  arith::ConstantIndexOp::create(b, loc, 0)));
  Value tap = buildIndex(b, loc, distance.floorDiv(place.dilation), symbols);
  if (place.count != 1 || place.kernel < place.stride || place.dilation != 1)
    require(lower::isWithin(b, loc, tap, arith::ConstantIndexOp::create(b, loc, place.kernel)));
  return tap;
}

/// The loops of the generic op, and what it reads.
struct Loops {
  SmallVector<Place> places;
  /// Sizes of the result with q and r apart, those of q and r together, and which are which.
  SmallVector<OpFoldResult> split, whole;
  SmallVector<ReassociationIndices> groups;
  SmallVector<int64_t> window;
  SmallVector<AffineExpr> windowLoops, read;
  /// What the input needs around it.
  SmallVector<OpFoldResult> low, high;
};

Loops describeLoops(OpBuilder &b, nn::ScatterTapsOp op, Value input, ArrayRef<OpFoldResult> sizes) {
  Location loc = op.getLoc();
  nn::SizeMath m(b, loc);
  int64_t rank = sizes.size(), first = nn::getFirstSpatialDim(op.getChannelsLast()), spatial = rank - 2;
  Loops loops;
  loops.whole.assign(sizes.begin(), sizes.end());
  loops.low.assign(rank, b.getIndexAttr(0));
  loops.high = loops.low;
  for (int64_t d = 0; d < rank; ++d) {
    loops.groups.push_back({int64_t(loops.split.size())});
    loops.read.push_back(b.getAffineDimExpr(loops.split.size()));
    int64_t i = d - first;
    if (i < 0 || i >= spatial) {
      loops.split.push_back(sizes[d]);
      continue;
    }
    Place &place = loops.places.emplace_back(describe(b, op, i, sizes[d]));
    loops.split.push_back(place.quotients);
    if (place.stride == 1)
      continue;
    place.remainderLoop = loops.split.size();
    loops.groups.back().push_back(loops.split.size());
    loops.split.push_back(b.getIndexAttr(place.stride));
    loops.whole[d] = m.mul(place.quotients, m.constant(place.stride));
  }
  for (auto [i, place] : llvm::enumerate(loops.places)) {
    int64_t d = first + i, before = std::max<int64_t>(-place.from, 0);
    AffineExpr over = b.getAffineSymbolExpr(0) + (place.from + place.count - 1) - b.getAffineSymbolExpr(1);
    loops.low[d] = b.getIndexAttr(before);
    loops.high[d] = nn::computeAffineMax(b, loc, {over, b.getAffineConstantExpr(0)}, {place.quotients, m.dim(input, d)});
    loops.read[d] = loops.read[d] + (place.from + before);
    if (place.count == 1)
      continue;
    place.windowLoop = loops.split.size() + loops.window.size();
    loops.windowLoops.push_back(b.getAffineDimExpr(*place.windowLoop));
    loops.read[d] = loops.read[d] + loops.windowLoops.back();
    loops.window.push_back(place.count);
  }
  return loops;
}

struct LowerScatterTaps : Lowering<nn::ScatterTapsOp> {
  using Lowering::Lowering;

  LogicalResult matchAndRewrite(nn::ScatterTapsOp op, Adaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    MLIRContext *context = op.getContext();
    Type type = op.getType().getElementType(), tapType = op.getTaps().getType().getElementType();
    SmallVector<OpFoldResult> sizes = lower::resultSizes(rewriter, op);
    Loops loops = describeLoops(rewriter, op, adaptor.getInput(), sizes);
    // No tap stands around the input.
    Value dy = lower::createPadded(rewriter, loc, adaptor.getInput(), loops.low, loops.high, rewriter.getFloatAttr(type, 0.0));
    Value taps = lower::createPadded(rewriter, loc, adaptor.getTaps(), loops.low, loops.high, rewriter.getIntegerAttr(tapType, -1));

    unsigned parallel = loops.split.size(), all = parallel + loops.window.size();
    SmallVector<utils::IteratorType> iterators(parallel, utils::IteratorType::parallel);
    iterators.append(loops.window.size(), utils::IteratorType::reduction);
    SmallVector<Value> inputs{dy, taps};
    SmallVector<AffineMap> maps(2, AffineMap::get(all, 0, loops.read, context));
    auto accumulator = cast<FloatType>(lower::getAccumulatorType(type));
    Value zero = arith::ConstantOp::create(rewriter, loc, rewriter.getFloatAttr(accumulator, 0.0));
    Value init = loops.window.empty() ? lower::createEmpty(rewriter, loc, loops.split, accumulator)
                                      : lower::createFilled(rewriter, loc, loops.split, zero);
    if (!loops.window.empty()) { // tells the sizes of its loops, and is never read
      inputs.push_back(tensor::EmptyOp::create(rewriter, loc, loops.window, rewriter.getI8Type()));
      maps.push_back(AffineMap::get(all, 0, loops.windowLoops, context));
    }
    maps.push_back(AffineMap::getMultiDimIdentityMap(all, context).getMajorSubMap(parallel));
    auto generic = linalg::GenericOp::create(
        rewriter, loc, init.getType(), inputs, init, maps, iterators, [&](OpBuilder &b, Location loc, ValueRange e) {
          Value tap, isTap;
          for (auto [place, size] : llvm::zip(loops.places, op.getKernel())) {
            Value own = buildTap(b, loc, place, isTap);
            tap = tap ? buildIndex(b, loc, b.getAffineSymbolExpr(0) * size + b.getAffineSymbolExpr(1), {tap, own}) : own;
          }
          if (isTap)
            tap = arith::SelectOp::create(b, loc, isTap, tap, arith::ConstantIndexOp::create(b, loc, -2)); // no window has it
          Value isTaken = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, e[1],
                                                arith::IndexCastOp::create(b, loc, tapType, tap));
          Value taken = arith::SelectOp::create(b, loc, isTaken, lower::widen(b, loc, e[0], accumulator), zero);
          linalg::YieldOp::create(b, loc,
                                  loops.window.empty() ? taken : arith::AddFOp::create(b, loc, e.back(), taken).getResult());
        });

    Value result = lower::narrowTensor(rewriter, loc, generic.getResult(0), type);
    if (loops.groups.size() != parallel) {
      auto shape = llvm::map_to_vector(
          loops.whole, [](OpFoldResult size) { return getConstantIntValue(size).value_or(ShapedType::kDynamic); });
      result = tensor::CollapseShapeOp::create(rewriter, loc, RankedTensorType::get(shape, type), result, loops.groups);
    }
    if (!isEqualConstantIntOrValueArray(loops.whole, sizes)) { // places beyond the end
      SmallVector<OpFoldResult> zeros(sizes.size(), rewriter.getIndexAttr(0)), ones(sizes.size(), rewriter.getIndexAttr(1));
      result = tensor::ExtractSliceOp::create(rewriter, loc, result, zeros, sizes, ones);
    }
    rewriter.replaceOp(op, lower::castTo(rewriter, loc, result, op.getType()));
    return success();
  }
};

} // namespace

void lower::populateScatterTapsToLinalgPatterns(const TypeConverter &converter, RewritePatternSet &patterns) {
  patterns.add<LowerScatterTaps>(converter, patterns.getContext());
}
