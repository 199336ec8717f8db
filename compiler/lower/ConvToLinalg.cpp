//===- ConvToLinalg.cpp - Convolutions --------------------------*- C++ -*-===//
//
// Before: %y = nn.conv %x, %w bias %b {groups, pads...} : (tensor<NxHxWxC>, tensor<OxIxKxL>, ...)
// After:  %p = tensor.pad %x                             (where there is padding)
//         %a = linalg.generic {(n, h*s + k*d, w*s + l*d, c), (o, c, k, l) -> (n, h, w, o)} {fma}
//         %y = linalg.generic {(n, h, w, o), (o) -> (n, h, w, o)} {add}
//
// Loops are (n, spatial..., group, o, kernel..., c), in either layout. The group
// loop exists only with groups; o or c is left out where a group has one channel, so
// that a depthwise convolution is (n, spatial..., channel, kernel...).
//
//===----------------------------------------------------------------------===//
#include "compiler/lower/Accumulate.h"
#include "compiler/lower/Lowering.h"
#include "dialects/kern/KernOps.h"
#include "dialects/nn/NNWindow.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace nacre;
using nacre::lower::Lowering;

namespace {

/// A convolution whose input is padded already.
struct PaddedConv {
  Value input, weight;
  /// The nn types of elements of both, and of the result.
  Type inputElement, weightElement, element;
  SmallVector<OpFoldResult> resultSizes;
  ArrayRef<int64_t> strides, dilations;
  int64_t groups;
  bool channelsLast;
  /// For each spatial dimension the elements of the padding in front, and those between the
  /// padding; none where they are not told.
  SmallVector<std::pair<OpFoldResult, OpFoldResult>> inner = {};
};

/// Says which taps of a convolution's windows meet nothing but padding: place loops start at
/// loop 1, tap loops at `firstTap`.
ArrayAttr describeHalo(linalg::GenericOp op, const PaddedConv &conv, unsigned firstTap) {
  SmallVector<Attribute> halos;
  SmallVector<int64_t> sizes = op.getStaticLoopRanges();
  for (auto [i, inner] : llvm::enumerate(conv.inner)) {
    unsigned place = 1 + i, tap = firstTap + i;
    std::optional<int64_t> begin = getConstantIntValue(inner.first), size = getConstantIntValue(inner.second);
    if (!begin || !size || ShapedType::isDynamic(sizes[place]) || ShapedType::isDynamic(sizes[tap]))
      continue;
    int64_t reach = (sizes[place] - 1) * conv.strides[i] + (sizes[tap] - 1) * conv.dilations[i];
    if (sizes[tap] > 1 && (*begin > 0 || *begin + *size <= reach))
      halos.push_back(kern::HaloAttr::get(op.getContext(), place, tap, conv.strides[i], conv.dilations[i], *begin, *size,
                                          sizes[place], sizes[tap]));
  }
  return halos.empty() ? ArrayAttr() : ArrayAttr::get(op.getContext(), halos);
}

/// Splits dimension `dim` of a tensor into (groups, rest).
Value splitGroups(OpBuilder &b, Location loc, Value tensor, int64_t dim, int64_t groups) {
  auto type = cast<RankedTensorType>(tensor.getType());
  SmallVector<OpFoldResult> sizes = nn::getDims(b, loc, tensor);
  AffineExpr size = getAffineSymbolExpr(0, b.getContext());
  OpFoldResult rest = nn::computeAffine(b, loc, size.floorDiv(groups), {sizes[dim]});
  sizes[dim] = b.getIndexAttr(groups);
  sizes.insert(sizes.begin() + dim + 1, rest);
  SmallVector<int64_t> shape(type.getShape());
  shape[dim] = groups;
  shape.insert(shape.begin() + dim + 1,
               type.isDynamicDim(dim) ? ShapedType::kDynamic : type.getDimSize(dim) / groups);
  SmallVector<ReassociationIndices> reassociation;
  for (int64_t i = 0; i < type.getRank(); ++i)
    reassociation.push_back({i < dim ? i : i == dim ? i : i + 1});
  reassociation[dim].push_back(dim + 1);
  return tensor::ExpandShapeOp::create(b, loc, type.clone(shape), tensor, reassociation, sizes);
}

/// Joins dimensions `dim` and `dim` + 1.
Value joinDims(OpBuilder &b, Location loc, Value tensor, int64_t dim) {
  SmallVector<ReassociationIndices> reassociation;
  for (int64_t i = 0, e = cast<RankedTensorType>(tensor.getType()).getRank(); i < e; ++i)
    if (i == dim + 1)
      reassociation.back().push_back(i);
    else
      reassociation.push_back({i});
  return tensor::CollapseShapeOp::create(b, loc, tensor, reassociation);
}

/// One linalg.generic that accumulates the convolution; its result has the type that
/// lower::getAccumulatorType says.
Value buildConv(OpBuilder &b, Location loc, const PaddedConv &conv) {
  auto inputType = cast<RankedTensorType>(conv.input.getType());
  auto weightType = cast<RankedTensorType>(conv.weight.getType());
  int64_t spatial = inputType.getRank() - 2;
  int64_t channelDim = nn::getChannelDim(inputType.getRank(), conv.channelsLast);
  bool grouped = conv.groups > 1;
  bool oneInput = grouped && weightType.getDimSize(1) == 1;
  bool oneOutput = grouped && weightType.getDimSize(0) == conv.groups;

  // Views in which groups are a dimension.
  Value input = conv.input, weight = conv.weight;
  SmallVector<OpFoldResult> sizes = conv.resultSizes;
  if (grouped && !oneInput)
    input = splitGroups(b, loc, input, channelDim, conv.groups);
  if (oneInput)
    weight = joinDims(b, loc, weight, 0);
  if (grouped && !oneOutput) {
    weight = splitGroups(b, loc, weight, 0, conv.groups);
    AffineExpr size = getAffineSymbolExpr(0, b.getContext());
    OpFoldResult rest = nn::computeAffine(b, loc, size.floorDiv(conv.groups), {sizes[channelDim]});
    sizes[channelDim] = b.getIndexAttr(conv.groups);
    sizes.insert(sizes.begin() + channelDim + 1, rest);
  }

  // Loops, in order; their expressions by meaning.
  SmallVector<utils::IteratorType> iterators;
  auto addLoop = [&](utils::IteratorType kind) {
    iterators.push_back(kind);
    return b.getAffineDimExpr(iterators.size() - 1);
  };
  auto parallel = utils::IteratorType::parallel, reduction = utils::IteratorType::reduction;
  AffineExpr n = addLoop(parallel);
  SmallVector<AffineExpr> places, taps, group, output, channel;
  for (int64_t i = 0; i < spatial; ++i)
    places.push_back(addLoop(parallel));
  if (grouped)
    group.push_back(addLoop(parallel));
  if (!oneOutput)
    output.push_back(addLoop(parallel));
  for (int64_t i = 0; i < spatial; ++i)
    taps.push_back(addLoop(reduction));
  if (!oneInput)
    channel.push_back(addLoop(reduction));

  SmallVector<AffineExpr> reads;
  for (int64_t i = 0; i < spatial; ++i)
    reads.push_back(places[i] * conv.strides[i] + taps[i] * conv.dilations[i]);
  auto dataMap = [&](ArrayRef<AffineExpr> channels, ArrayRef<AffineExpr> positions) {
    SmallVector<AffineExpr> exprs{n};
    llvm::append_range(exprs, group);
    llvm::append_range(exprs, channels);
    exprs.insert(conv.channelsLast ? exprs.begin() + 1 : exprs.end(), positions.begin(),
                 positions.end());
    return AffineMap::get(iterators.size(), 0, exprs, b.getContext());
  };
  SmallVector<AffineExpr> weightExprs;
  for (ArrayRef<AffineExpr> part : {ArrayRef(group), ArrayRef(output), ArrayRef(channel), ArrayRef(taps)})
    llvm::append_range(weightExprs, part);
  SmallVector<AffineMap> maps{dataMap(channel, reads),
                              AffineMap::get(iterators.size(), 0, weightExprs, b.getContext()),
                              dataMap(output, places)};

  Type accumulator = lower::getAccumulatorType(conv.element);
  Value zero = arith::ConstantOp::create(b, loc, b.getZeroAttr(accumulator));
  Value init = lower::createFilled(b, loc, sizes, zero);
  auto generic = linalg::GenericOp::create(b, loc, init.getType(), ValueRange{input, weight}, init, maps, iterators,
                                           lower::multiplyAdd(conv.inputElement, conv.weightElement));
  if (ArrayAttr halos = describeHalo(generic, conv, cast<AffineDimExpr>(taps.front()).getPosition()))
    generic->setAttr(kern::kHalo, halos);
  Value result = generic.getResult(0);
  return grouped && !oneOutput ? joinDims(b, loc, result, channelDim) : result;
}

/// Adds `bias` along the channels, if there is one, and rounds to `type`.
Value buildEpilogue(OpBuilder &b, Location loc, Value sum, Value bias, Type type, bool channelsLast) {
  auto sumType = cast<RankedTensorType>(sum.getType());
  int64_t rank = sumType.getRank();
  if (!bias && sumType.getElementType() == type)
    return sum;
  SmallVector<Value> inputs{sum};
  SmallVector<AffineMap> maps(2, b.getMultiDimIdentityMap(rank));
  if (bias) {
    inputs.push_back(bias);
    AffineExpr channel = b.getAffineDimExpr(nn::getChannelDim(rank, channelsLast));
    maps.insert(maps.begin() + 1, AffineMap::get(rank, 0, channel));
  }
  Value empty = lower::createEmpty(b, loc, nn::getDims(b, loc, sum), type);
  SmallVector<utils::IteratorType> iterators(rank, utils::IteratorType::parallel);
  return linalg::GenericOp::create(
             b, loc, empty.getType(), inputs, empty, maps, iterators,
             [&](OpBuilder &b, Location loc, ValueRange e) {
               Value value = e[0];
               if (bias)
                 value = lower::buildAdd(b, loc, value,
                                         lower::widen(b, loc, e[1], value.getType()));
               linalg::YieldOp::create(b, loc, lower::narrow(b, loc, value, type));
             })
      .getResult(0);
}

struct LowerConv : Lowering<nn::ConvOp> {
  using Lowering::Lowering;

  LogicalResult matchAndRewrite(nn::ConvOp op, Adaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    Value input = adaptor.getInput();
    auto inputType = cast<RankedTensorType>(input.getType());
    int64_t rank = inputType.getRank(), first = nn::getFirstSpatialDim(op.getChannelsLast());
    SmallVector<OpFoldResult> sizes = lower::resultSizes(rewriter, op);

    SmallVector<OpFoldResult> low(rank, rewriter.getIndexAttr(0)), high = low;
    SmallVector<std::pair<OpFoldResult, OpFoldResult>> inner;
    for (int64_t i = 0; i < rank - 2; ++i) {
      OpFoldResult size = nn::getDim(rewriter, loc, input, first + i);
      std::tie(low[first + i], high[first + i]) = nn::getWindowPads(
          rewriter, loc, nn::getWindowDim(op, i, size, nn::getDim(rewriter, loc, adaptor.getWeight(), 2 + i)));
      inner.push_back({low[first + i], size});
    }
    Attribute zero = rewriter.getZeroAttr(inputType.getElementType());
    bool knownWindow = !llvm::any_of(op.getWeight().getType().getShape().drop_front(2), ShapedType::isDynamic);
    input = lower::createPadded(rewriter, loc, input, low, high, cast<TypedAttr>(zero), knownWindow);

    Type element = op.getType().getElementType();
    Value sum = buildConv(rewriter, loc, {input, adaptor.getWeight(), op.getInput().getType().getElementType(),
                                          op.getWeight().getType().getElementType(), element, sizes, op.getStrides(),
                                          op.getDilations(), static_cast<int64_t>(op.getGroups()),
                                          op.getChannelsLast(), inner});
    Value result = buildEpilogue(rewriter, loc, sum, adaptor.getBias(), getElementTypeOrSelf(getTypeConverter()->convertType(op.getType())),
                                 op.getChannelsLast());
    rewriter.replaceOp(op, lower::castTo(rewriter, loc, result, getTypeConverter()->convertType(op.getType())));
    return success();
  }
};

/// The input of a transposed convolution with its elements set apart by the strides,
/// 0 between and around them: what a convolution with the flipped kernel reads.
Value spreadInput(OpBuilder &b, nn::ConvTransposeOp op, Value input, Value weight,
                  ArrayRef<OpFoldResult> resultSizes) {
  Location loc = op.getLoc();
  auto type = cast<RankedTensorType>(input.getType());
  int64_t rank = type.getRank(), first = nn::getFirstSpatialDim(op.getChannelsLast());
  SmallVector<OpFoldResult> inputSizes = nn::getDims(b, loc, input), sizes = inputSizes;
  // Element 0 comes to stand at `shift`, which may be negative.
  SmallVector<OpFoldResult> shifts;
  AffineExpr s0 = b.getAffineSymbolExpr(0), s1 = b.getAffineSymbolExpr(1);
  for (int64_t i = 0; i < rank - 2; ++i) {
    OpFoldResult kernel = nn::getDim(b, loc, weight, 2 + i);
    AffineExpr reach = (s0 - 1) * op.getDilations()[i];
    OpFoldResult crop = nn::getTransposedCrop(
        b, loc, nn::getTransposedDim(op, i, inputSizes[first + i], kernel));
    shifts.push_back(nn::computeAffine(b, loc, reach - s1, {kernel, crop}));
    sizes[first + i] = nn::computeAffine(b, loc, reach + s1, {kernel, resultSizes[first + i]});
  }

  Value empty = lower::createEmpty(b, loc, sizes, type.getElementType());
  SmallVector<utils::IteratorType> iterators(rank, utils::IteratorType::parallel);
  return linalg::GenericOp::create(
             b, loc, empty.getType(), ValueRange{}, empty, b.getMultiDimIdentityMap(rank), iterators,
             [&](OpBuilder &b, Location loc, ValueRange) {
               Value zero = arith::ConstantIndexOp::create(b, loc, 0), inside;
               auto both = [&](Value condition) {
                 inside = inside ? arith::AndIOp::create(b, loc, inside, condition).getResult()
                                 : condition;
               };
               SmallVector<Value> places;
               for (int64_t dim = 0; dim < rank; ++dim) {
                 Value place = linalg::IndexOp::create(b, loc, dim);
                 if (int64_t i = dim - first; i >= 0 && i < rank - 2) {
                   int64_t stride = op.getStrides()[i];
                   auto index = [&](AffineExpr expr) {
                     return getValueOrCreateConstantIndexOp(
                         b, loc, nn::computeAffine(b, loc, expr, {place, shifts[i]}));
                   };
                   if (stride > 1)
                     both(arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq,
                                                index((s0 - s1) % stride), zero));
                   Value element = index((s0 - s1).floorDiv(stride));
                   // One unsigned comparison covers both ends.
                   Value size = getValueOrCreateConstantIndexOp(b, loc, inputSizes[dim]);
                   Value fits =
                       arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ult, element, size);
                   both(fits);
                   place = arith::SelectOp::create(b, loc, fits, element, zero);
                 }
                 places.push_back(place);
               }
               // An input without elements must not be read at all.
               Value element =
                   scf::IfOp::create(
                       b, loc, inside,
                       [&](OpBuilder &b, Location loc) {
                         scf::YieldOp::create(
                             b, loc, tensor::ExtractOp::create(b, loc, input, places).getResult());
                       },
                       [&](OpBuilder &b, Location loc) {
                         scf::YieldOp::create(
                             b, loc,
                             arith::ConstantOp::create(b, loc, b.getZeroAttr(type.getElementType()))
                                 .getResult());
                       })
                       .getResult(0);
               linalg::YieldOp::create(b, loc, element);
             })
      .getResult(0);
}

/// [C, O / groups, K...] to the layout of a convolution, [O, C / groups, K...], each
/// kernel read backwards.
Value flipWeight(OpBuilder &b, Location loc, Value weight, int64_t groups) {
  if (groups > 1)
    weight = splitGroups(b, loc, weight, 0, groups);
  auto type = cast<RankedTensorType>(weight.getType());
  int64_t rank = type.getRank(), inputs = groups > 1 ? 1 : 0, outputs = inputs + 1;
  SmallVector<OpFoldResult> sizes = nn::getDims(b, loc, weight), flipped = sizes;
  std::swap(flipped[inputs], flipped[outputs]);
  Value empty = lower::createEmpty(b, loc, flipped, type.getElementType());
  SmallVector<utils::IteratorType> iterators(rank, utils::IteratorType::parallel);
  Value result =
      linalg::GenericOp::create(
          b, loc, empty.getType(), ValueRange{}, empty, b.getMultiDimIdentityMap(rank), iterators,
          [&](OpBuilder &b, Location loc, ValueRange) {
            SmallVector<Value> places;
            for (int64_t dim = 0; dim < rank; ++dim) {
              Value place = linalg::IndexOp::create(b, loc, dim);
              AffineExpr backwards = b.getAffineSymbolExpr(0) - 1 - b.getAffineSymbolExpr(1);
              if (dim > outputs)
                place = getValueOrCreateConstantIndexOp(
                    b, loc, nn::computeAffine(b, loc, backwards, {sizes[dim], place}));
              places.push_back(place);
            }
            std::swap(places[inputs], places[outputs]);
            linalg::YieldOp::create(b, loc,
                                    tensor::ExtractOp::create(b, loc, weight, places).getResult());
          })
          .getResult(0);
  return groups > 1 ? joinDims(b, loc, result, 0) : result;
}

/// nn.conv_transpose → the convolution of the spread input with the flipped kernel.
struct LowerConvTranspose : Lowering<nn::ConvTransposeOp> {
  using Lowering::Lowering;

  LogicalResult matchAndRewrite(nn::ConvTransposeOp op, Adaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    int64_t groups = op.getGroups();
    SmallVector<OpFoldResult> sizes = lower::resultSizes(rewriter, op);
    Value input = spreadInput(rewriter, op, adaptor.getInput(), adaptor.getWeight(), sizes);
    Value weight = flipWeight(rewriter, loc, adaptor.getWeight(), groups);
    SmallVector<int64_t> strides(op.getStrides().size(), 1);
    Value sum = buildConv(rewriter, loc, {input, weight, op.getInput().getType().getElementType(),
                                          op.getWeight().getType().getElementType(), op.getType().getElementType(), sizes, strides, op.getDilations(), groups,
                                          op.getChannelsLast()});
    Value result = buildEpilogue(rewriter, loc, sum, adaptor.getBias(),
                                 getElementTypeOrSelf(adaptor.getInput()), op.getChannelsLast());
    rewriter.replaceOp(op, lower::castTo(rewriter, loc, result, getTypeConverter()->convertType(op.getType())));
    return success();
  }
};

} // namespace

void lower::populateConvToLinalgPatterns(const TypeConverter &converter,
                                         RewritePatternSet &patterns) {
  patterns.add<LowerConv, LowerConvTranspose>(converter, patterns.getContext());
}
