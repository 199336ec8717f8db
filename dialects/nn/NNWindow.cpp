//===- NNWindow.cpp - Windows that slide over spatial dimensions *- C++ -*-===//
#include "dialects/nn/NNWindow.h"
#include "dialects/nn/NNSizeMath.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "llvm/Support/CheckedArithmetic.h"

using namespace mlir;
using namespace nacre;
using namespace nacre::nn;

namespace {
/// The symbols of the expressions below, and the extent of a dilated kernel.
struct Exprs {
  explicit Exprs(MLIRContext *context, const WindowDim &dim)
      : input(getAffineSymbolExpr(0, context)), kernel(getAffineSymbolExpr(1, context)),
        extent((kernel - 1) * dim.dilation + 1), zero(getAffineConstantExpr(0, context)) {}
  AffineExpr input, kernel, extent, zero;
};
} // namespace

/// Whether there is padding enough to hold the window, whatever the input's size.
static bool alwaysFits(const WindowDim &dim) {
  std::optional<int64_t> kernel = getConstantIntValue(dim.kernel);
  return dim.autoPad != AutoPad::NotSet ||
         (kernel && dim.padBegin + dim.padEnd >= (*kernel - 1) * dim.dilation);
}

OpFoldResult nn::getWindowCount(OpBuilder &b, Location loc, const WindowDim &dim) {
  Exprs e(b.getContext(), dim);
  SmallVector<OpFoldResult> symbols{dim.input, dim.kernel};
  if (dim.autoPad != AutoPad::NotSet)
    return computeAffine(b, loc, e.input.ceilDiv(dim.stride), symbols);

  AffineExpr room = e.input + (dim.padBegin + dim.padEnd) - e.extent;
  OpFoldResult count;
  if (dim.ceilMode) {
    // The last window may hang over the end, but must start in the input or the
    // padding before it.
    AffineExpr starts = (e.input + dim.padBegin).ceilDiv(dim.stride);
    count = computeAffineMin(b, loc, {room.ceilDiv(dim.stride) + 1, starts}, symbols);
  } else {
    count = computeAffine(b, loc, room.floorDiv(dim.stride) + 1, symbols);
  }
  // Saying that a size is not negative keeps it from being compared with others.
  if (alwaysFits(dim))
    return count;
  AffineExpr other = getAffineSymbolExpr(0, b.getContext());
  return computeAffineMax(b, loc, {other, e.zero}, {count});
}

void nn::pushWindowCheck(OpBuilder &b, Location loc, const WindowDim &dim,
                         SmallVectorImpl<RuntimeCheck> &checks) {
  if (alwaysFits(dim))
    return;
  Exprs e(b.getContext(), dim);
  OpFoldResult room = computeAffine(b, loc, e.input + (dim.padBegin + dim.padEnd) - e.extent,
                                    {dim.input, dim.kernel});
  SizeMath m(b, loc);
  checks.push_back({m.compare(SizeMath::Predicate::sge, room, m.constant(0)), RuntimeCheck::Shape,
                    "the window does not fit into the padded input"});
}

std::pair<OpFoldResult, OpFoldResult> nn::getWindowPads(OpBuilder &b, Location loc,
                                                        const WindowDim &dim) {
  MLIRContext *context = b.getContext();
  Exprs e(context, dim);
  SmallVector<OpFoldResult> symbols{dim.input, dim.kernel};
  if (dim.autoPad == AutoPad::NotSet) {
    OpFoldResult begin = b.getIndexAttr(dim.padBegin), end = b.getIndexAttr(dim.padEnd);
    if (!dim.ceilMode)
      return {begin, end};
    // The last window may reach beyond the padding.
    AffineExpr count = getAffineSymbolExpr(2, context);
    symbols.push_back(getWindowCount(b, loc, dim));
    AffineExpr reach = (count - 1) * dim.stride + e.extent - e.input - dim.padBegin;
    return {begin,
            computeAffineMax(b, loc, {reach, getAffineConstantExpr(dim.padEnd, context)}, symbols)};
  }
  AffineExpr missing = (e.input.ceilDiv(dim.stride) - 1) * dim.stride + e.extent - e.input;
  OpFoldResult total = computeAffineMax(b, loc, {missing, e.zero}, symbols);
  AffineExpr sum = getAffineSymbolExpr(0, context);
  OpFoldResult less = computeAffine(b, loc, sum.floorDiv(2), {total}),
               more = computeAffine(b, loc, sum.ceilDiv(2), {total});
  return dim.autoPad == AutoPad::SameUpper ? std::pair(less, more) : std::pair(more, less);
}

FailureOr<int64_t> nn::inferWindowCount(MLIRContext *context, std::optional<Location> loc,
                                        int64_t input, int64_t kernel, WindowDim dim) {
  bool same = dim.autoPad != AutoPad::NotSet;
  if (ShapedType::isDynamic(input) || (ShapedType::isDynamic(kernel) && !same))
    return ShapedType::kDynamic;
  if (!same) {
    std::optional<int64_t> padded = llvm::checkedAdd(input, dim.padBegin + dim.padEnd),
                           extent = llvm::checkedMulAdd(kernel - 1, dim.dilation, int64_t(1));
    if (!padded || !extent)
      return emitOptionalError(loc, "a window of ", kernel, " elements, ", dim.dilation, " apart, on ", input,
                               " and its padding is too large to be computed with");
    if (*padded < *extent)
      return emitOptionalError(loc, "a window of ", *extent, " does not fit into ", *padded,
                               " elements, padding included");
  }
  OpBuilder builder(context);
  dim.input = builder.getIndexAttr(input);
  dim.kernel = builder.getIndexAttr(same ? 1 : kernel);
  return *getConstantIntValue(getWindowCount(builder, UnknownLoc::get(context), dim));
}

/// stride * (input - 1) + output_padding + extent of the kernel: the result before
/// padding is cut off.
static AffineExpr getScatteredSize(MLIRContext *context, const TransposedDim &dim) {
  AffineExpr input = getAffineSymbolExpr(0, context), kernel = getAffineSymbolExpr(1, context);
  return (input - 1) * dim.stride + (kernel - 1) * dim.dilation + 1 + dim.outputPadding;
}

OpFoldResult nn::getTransposedSize(OpBuilder &b, Location loc, const TransposedDim &dim) {
  MLIRContext *context = b.getContext();
  if (dim.outputSize)
    return b.getIndexAttr(*dim.outputSize);
  if (dim.autoPad != AutoPad::NotSet)
    return computeAffine(b, loc, getAffineSymbolExpr(0, context) * dim.stride, {dim.input});
  AffineExpr size = getScatteredSize(context, dim) - (dim.padBegin + dim.padEnd);
  // The constant part for an input of no elements: if it is not negative, no size is.
  std::optional<int64_t> kernel = getConstantIntValue(dim.kernel);
  if (kernel && (*kernel - 1) * dim.dilation + 1 + dim.outputPadding >=
                    dim.stride + dim.padBegin + dim.padEnd)
    return computeAffine(b, loc, size, {dim.input, dim.kernel});
  return computeAffineMax(b, loc, {size, getAffineConstantExpr(0, context)},
                          {dim.input, dim.kernel});
}

OpFoldResult nn::getTransposedCrop(OpBuilder &b, Location loc, const TransposedDim &dim) {
  MLIRContext *context = b.getContext();
  if (!dim.outputSize && dim.autoPad == AutoPad::NotSet)
    return b.getIndexAttr(dim.padBegin);
  AffineExpr surplus = getScatteredSize(context, dim) - getAffineSymbolExpr(2, context);
  OpFoldResult total = computeAffineMax(b, loc, {surplus, getAffineConstantExpr(0, context)},
                                        {dim.input, dim.kernel, getTransposedSize(b, loc, dim)});
  AffineExpr sum = getAffineSymbolExpr(0, context);
  return computeAffine(
      b, loc, dim.autoPad == AutoPad::SameUpper ? sum.floorDiv(2) : sum.ceilDiv(2), {total});
}

LogicalResult nn::verifyWindow(std::optional<Location> loc, int64_t rank, ArrayRef<int64_t> strides,
                               ArrayRef<int64_t> dilations, ArrayRef<int64_t> pads) {
  if (static_cast<int64_t>(strides.size()) != rank || static_cast<int64_t>(dilations.size()) != rank ||
      static_cast<int64_t>(pads.size()) != 2 * rank)
    return emitOptionalError(loc, "expected ", rank, " strides, ", rank, " dilations and ", 2 * rank,
                             " pads, found ", strides.size(), ", ", dilations.size(), " and ",
                             pads.size());
  // Bounded, so that arithmetic on windows does not overflow.
  constexpr int64_t kMaxStep = int64_t(1) << 20, kMaxPad = int64_t(1) << 31;
  auto check = [&](StringRef what, ArrayRef<int64_t> values, int64_t least, int64_t most) -> LogicalResult {
    for (int64_t value : values)
      if (value < least || value > most)
        return emitOptionalError(loc, what, " must be from ", least, " to ", most, ", found ", value);
    return success();
  };
  return success(succeeded(check("strides", strides, 1, kMaxStep)) &&
                 succeeded(check("dilations", dilations, 1, kMaxStep)) &&
                 succeeded(check("pads", pads, 0, kMaxPad)));
}
