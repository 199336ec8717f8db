//===- PartsToLinalg.cpp - Slice, concat, pad -------------------*- C++ -*-===//
//
// Slices are generics that read at computed places, so that they are tiled and fused
// as element-wise ops are. Concatenation writes each part into its place, in slabs that
// threads share where there is a dimension for it:
//
// Before: %y = nn.concat %a, %b along 0 : (tensor<2x?xf32>, tensor<3x?xf32>) -> tensor<5x?xf32>
// After:  %0 = tensor.insert_slice %a into %empty[0, 0] [2, %n] [1, 1]
//         %y = tensor.insert_slice %b into %0[2, 0] [3, %n] [1, 1]
//
//===----------------------------------------------------------------------===//
#include "compiler/lower/Indexing.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace nacre;
using nacre::lower::Lowering;

namespace {

/// nn.slice → reads at begin + place * step.
struct LowerSlice : Lowering<nn::SliceOp> {
  using Lowering::Lowering;

  LogicalResult matchAndRewrite(nn::SliceOp op, Adaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    SmallVector<nn::SliceRange> ranges;
    SmallVector<OpFoldResult> counts;
    SmallVector<bool> isPartial;
    for (int64_t i = 0, rank = op.getInput().getType().getRank(); i < rank; ++i) {
      ranges.push_back(op.getRange(rewriter, i));
      counts.push_back(ranges.back().count);
      isPartial.push_back(!isConstantIntValue(ranges.back().begin, 0) ||
                          !isConstantIntValue(ranges.back().step, 1));
    }
    auto place = [&](OpBuilder &b, Location loc, int64_t d, Value i) {
      nn::SizeMath m(b, loc);
      return m.value(m.add(m.mul(i, ranges[d].step), ranges[d].begin));
    };
    rewriter.replaceOp(op, lower::createRemapped(rewriter, op.getLoc(), adaptor.getInput(), counts,
                                                 isPartial, place, /*tabulate=*/false));
    return success();
  }
};

struct LowerConcat : Lowering<nn::ConcatOp> {
  using Lowering::Lowering;

  LogicalResult matchAndRewrite(nn::ConcatOp op, Adaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    nn::SizeMath m(rewriter, loc);
    SmallVector<OpFoldResult> sizes = lower::resultSizes(rewriter, op);
    int64_t axis = op.getAxis(), rank = sizes.size();
    Value result = lower::createEmpty(rewriter, loc, sizes, getElementTypeOrSelf(adaptor.getInputs()[0]));
    SmallVector<Value> inputs;
    for (auto [input, original] : llvm::zip(adaptor.getInputs(), op.getInputs())) {
      SmallVector<OpFoldResult> part = m.dims(original);
      // A dimension that the result knows statically is as large in every part.
      for (int64_t i = 0; i < rank; ++i)
        if (i != axis && getConstantIntValue(sizes[i]))
          part[i] = sizes[i];
      auto partType = cast<RankedTensorType>(input.getType());
      SmallVector<int64_t> shape;
      for (OpFoldResult size : part)
        shape.push_back(getConstantIntValue(size).value_or(ShapedType::kDynamic));
      if (partType.getShape() != ArrayRef(shape))
        input = tensor::CastOp::create(rewriter, loc, partType.clone(shape), input);
      inputs.push_back(input);
    }
    std::optional<int64_t> shared = findSharedDim(cast<RankedTensorType>(result.getType()), axis);
    if (!shared) {
      rewriter.replaceOp(op, insertAll(rewriter, loc, inputs, result, axis, {}));
      return success();
    }
    lower::Part slab{SmallVector<OpFoldResult>(rank, m.constant(0)), sizes, {}};
    slab.sizes[*shared] = m.constant(1);
    auto type = cast<RankedTensorType>(result.getType());
    SmallVector<int64_t> shape(type.getShape());
    shape[*shared] = 1;
    slab.type = type.clone(shape);
    rewriter.replaceOp(op, lower::createParallelParts(
                               rewriter, loc, sizes[*shared], result,
                               [&](ValueRange places) {
                                 slab.offsets[*shared] = places[0];
                                 return SmallVector<lower::Part>{slab};
                               },
                               [&](OpBuilder &b, Location at, ValueRange places, ValueRange pieces) -> SmallVector<Value> {
                                 return {insertAll(b, at, inputs, pieces[0], axis, std::pair(*shared, places[0]))};
                               }));
    return success();
  }

private:
  /// A dimension along which threads may share the work, if there is enough of it.
  static std::optional<int64_t> findSharedDim(RankedTensorType type, int64_t axis) {
    constexpr int64_t kAssumed = 16, kFewest = 8, kWork = 1 << 15;
    int64_t elements = 1;
    for (int64_t size : type.getShape())
      elements *= ShapedType::isDynamic(size) ? kAssumed : size;
    if (elements >= kWork)
      for (int64_t i = 0; i < type.getRank(); ++i)
        if (i != axis && (type.isDynamicDim(i) || type.getDimSize(i) >= kFewest))
          return i;
    return std::nullopt;
  }

  /// The inputs, or of each the part at a place in one dimension, one after the other.
  static Value insertAll(OpBuilder &b, Location loc, ValueRange inputs, Value result, int64_t axis,
                         std::optional<std::pair<int64_t, Value>> at) {
    nn::SizeMath m(b, loc);
    int64_t rank = cast<RankedTensorType>(result.getType()).getRank();
    SmallVector<OpFoldResult> zeros(rank, m.constant(0)), ones(rank, m.constant(1)), offsets = zeros;
    for (Value input : inputs) {
      SmallVector<OpFoldResult> part = tensor::getMixedSizes(b, loc, input);
      if (at) {
        SmallVector<OpFoldResult> from = zeros;
        from[at->first] = at->second;
        part[at->first] = m.constant(1);
        input = tensor::ExtractSliceOp::create(b, loc, input, from, part, ones);
      }
      result = tensor::InsertSliceOp::create(b, loc, input, result, offsets, part, ones);
      offsets[axis] = m.add(offsets[axis], part[axis]);
    }
    return result;
  }
};

/// The place in a dimension of `size` that nn.pad reads for `place` (see mapPadded).
Value mapPadded(nn::SizeMath &m, nn::PadMode mode, OpFoldResult place, OpFoldResult size) {
  using Predicate = nn::SizeMath::Predicate;
  OpFoldResult zero = m.constant(0), last = m.sub(size, m.constant(1));
  switch (mode) {
  case nn::PadMode::Edge:
    return m.value(m.max(m.min(place, last), zero));
  case nn::PadMode::Wrap:
    return m.value(m.modulo(place, size));
  case nn::PadMode::Reflect: {
    OpFoldResult period = m.mul(last, m.constant(2));
    OpFoldResult folded = m.modulo(place, period);
    return m.value(m.select(Predicate::slt, folded, size, folded, m.sub(period, folded)));
  }
  case nn::PadMode::Constant:
    break;
  }
  llvm_unreachable("constant padding reads no place outside");
}

/// nn.pad → fill and insert_slice (constant), or reads at computed places.
struct LowerPad : Lowering<nn::PadOp> {
  using Lowering::Lowering;

  LogicalResult matchAndRewrite(nn::PadOp op, Adaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    nn::SizeMath m(rewriter, loc);
    SmallVector<OpFoldResult> sizes = lower::resultSizes(rewriter, op), inputSizes = m.dims(op.getInput());
    int64_t rank = sizes.size();
    SmallVector<OpFoldResult> low;
    for (int64_t i = 0; i < rank; ++i)
      low.push_back(m.element(op.getPads(), i));
    if (op.getMode() != nn::PadMode::Constant) {
      SmallVector<bool> isPadded;
      for (int64_t i = 0; i < rank; ++i)
        isPadded.push_back(!isConstantIntValue(low[i], 0) || !nn::isSameSize(sizes[i], inputSizes[i]));
      auto place = [&](OpBuilder &b, Location bodyLoc, int64_t d, Value i) {
        nn::SizeMath body(b, bodyLoc);
        return mapPadded(body, op.getMode(), body.sub(i, low[d]), inputSizes[d]);
      };
      rewriter.replaceOp(op, lower::createRemapped(rewriter, loc, adaptor.getInput(), sizes, isPadded, place,
                                                   /*tabulate=*/true));
      return success();
    }
    // What of the input remains, and where it lands.
    SmallVector<OpFoldResult> from, to, counts, ones(rank, m.constant(1));
    OpFoldResult zero = m.constant(0);
    for (int64_t i = 0; i < rank; ++i) {
      OpFoldResult high = m.element(op.getPads(), rank + i);
      OpFoldResult begin = m.max(m.sub(zero, low[i]), zero);
      OpFoldResult end = m.add(inputSizes[i], m.min(high, zero));
      OpFoldResult count = m.max(m.sub(end, begin), zero);
      // Nothing remains: stay inside of both tensors.
      auto orZero = [&](OpFoldResult offset) {
        return m.select(nn::SizeMath::Predicate::eq, count, zero, zero, offset);
      };
      from.push_back(orZero(begin));
      to.push_back(orZero(m.max(low[i], zero)));
      counts.push_back(count);
    }
    Value value = tensor::ExtractOp::create(rewriter, loc, adaptor.getValue(), ValueRange());
    Value result = lower::createFilled(rewriter, loc, sizes, value);
    Value kept = tensor::ExtractSliceOp::create(rewriter, loc, adaptor.getInput(), from, counts, ones);
    rewriter.replaceOpWithNewOp<tensor::InsertSliceOp>(op, kept, result, to, counts, ones);
    return success();
  }
};

} // namespace

void lower::populatePartsToLinalgPatterns(const TypeConverter &converter, RewritePatternSet &patterns) {
  patterns.add<LowerSlice, LowerConcat, LowerPad>(converter, patterns.getContext());
}
