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
#include "dialects/nn/NNWindow.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace nacre;
using nacre::lower::Lowering;

namespace {

/// A convolution whose input is padded already.
struct PaddedConv {
  Value input, weight;
  SmallVector<OpFoldResult> resultSizes;
  ArrayRef<int64_t> strides, dilations;
  int64_t groups;
  bool channelsLast;
};

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

  Type accumulator = lower::getAccumulatorType(inputType.getElementType());
  Value zero = arith::ConstantOp::create(b, loc, b.getZeroAttr(accumulator));
  Value init = lower::createFilled(b, loc, sizes, zero);
  Value result = linalg::GenericOp::create(b, loc, init.getType(), ValueRange{input, weight}, init,
                                           maps, iterators, lower::buildMultiplyAdd)
                     .getResult(0);
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
    for (int64_t i = 0; i < rank - 2; ++i)
      std::tie(low[first + i], high[first + i]) = nn::getWindowPads(
          rewriter, loc,
          nn::getWindowDim(op, i, nn::getDim(rewriter, loc, input, first + i),
                           nn::getDim(rewriter, loc, adaptor.getWeight(), 2 + i)));
    Attribute zero = rewriter.getZeroAttr(inputType.getElementType());
    input = lower::createPadded(rewriter, loc, input, low, high, cast<TypedAttr>(zero));

    Value sum = buildConv(rewriter, loc, {input, adaptor.getWeight(), sizes, op.getStrides(),
                                          op.getDilations(), static_cast<int64_t>(op.getGroups()),
                                          op.getChannelsLast()});
    Value result = buildEpilogue(rewriter, loc, sum, adaptor.getBias(), inputType.getElementType(),
                                 op.getChannelsLast());
    rewriter.replaceOp(op, lower::castTo(rewriter, loc, result, getTypeConverter()->convertType(op.getType())));
    return success();
  }
};

} // namespace

void lower::populateConvToLinalgPatterns(const TypeConverter &converter,
                                         RewritePatternSet &patterns) {
  patterns.add<LowerConv>(converter, patterns.getContext());
}
