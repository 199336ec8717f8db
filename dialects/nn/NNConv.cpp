//===- NNConv.cpp - Convolutions --------------------------------*- C++ -*-===//
#include "dialects/nn/NNShapes.h"
#include "dialects/nn/NNSizeMath.h"
#include "dialects/nn/NNWindow.h"
#include "llvm/Support/CheckedArithmetic.h"

using namespace mlir;
using namespace nacre::nn;

/// Checks ranks and element types, which all convolutions constrain alike.
static LogicalResult verifyConvOperands(std::optional<Location> loc, ValueRange operands) {
  auto input = cast<RankedTensorType>(operands[0].getType());
  auto weight = cast<RankedTensorType>(operands[1].getType());
  if (input.getRank() < 3)
    return emitOptionalError(loc, "expected an input of rank 3 or more, found ", input);
  if (weight.getRank() != input.getRank())
    return emitOptionalError(loc, "expected a weight of the input's rank ", input.getRank(),
                             ", found ", weight);
  Type product = getProductType(input.getElementType(), weight.getElementType());
  if (!product)
    return emitOptionalError(loc, "expected one element type, found ", input.getElementType(), " and ",
                             weight.getElementType());
  if (operands.size() > 2 && getElementTypeOrSelf(operands[2].getType()) != product)
    return emitOptionalError(loc, "expected a bias of ", product, ", found ", getElementTypeOrSelf(operands[2].getType()));
  if (operands.size() > 2 && cast<RankedTensorType>(operands[2].getType()).getRank() != 1)
    return emitOptionalError(loc, "expected a bias of rank 1, found ", operands[2].getType());
  return success();
}

static bool differ(int64_t a, int64_t b) {
  return a != b && !ShapedType::isDynamic(a) && !ShapedType::isDynamic(b);
}

/// The product of a size and a count, kDynamic of an unknown size; nothing if there is none.
static std::optional<int64_t> multiplySize(int64_t size, int64_t count) {
  return ShapedType::isDynamic(size) ? ShapedType::kDynamic : llvm::checkedMul(size, count);
}

//===----------------------------------------------------------------------===//
// ConvOp
//===----------------------------------------------------------------------===//

LogicalResult ConvOp::inferReturnTypes(MLIRContext *context, std::optional<Location> loc,
                                       ValueRange operands, DictionaryAttr,
                                       OpaqueProperties properties, RegionRange,
                                       SmallVectorImpl<Type> &types) {
  if (failed(verifyConvOperands(loc, operands)))
    return failure();
  auto input = cast<RankedTensorType>(operands[0].getType());
  auto weight = cast<RankedTensorType>(operands[1].getType());
  Adaptor op(operands, nullptr, properties);
  int64_t rank = input.getRank(), groups = op.getGroups();
  if (failed(verifyWindow(loc, rank - 2, op.getStrides(), op.getDilations(), op.getPads())))
    return failure();
  int64_t channels = input.getDimSize(getChannelDim(rank, op.getChannelsLast()));
  int64_t outputs = weight.getDimSize(0), perGroup = weight.getDimSize(1);
  if (groups < 1)
    return emitOptionalError(loc, "groups must be positive, found ", groups);
  if (std::optional<int64_t> taken = multiplySize(perGroup, groups); !taken || differ(channels, *taken))
    return emitOptionalError(loc, "the input has ", channels, " channels, but the weight takes ",
                             perGroup, " in each of ", groups, " groups");
  if (!ShapedType::isDynamic(channels) && channels % groups != 0)
    return emitOptionalError(loc, channels, " input channels do not make ", groups, " groups");
  if (!ShapedType::isDynamic(outputs) && outputs % groups != 0)
    return emitOptionalError(loc, outputs, " output channels do not make ", groups, " groups");
  if (op.getBias()) {
    int64_t size = cast<RankedTensorType>(op.getBias().getType()).getDimSize(0);
    if (differ(size, outputs))
      return emitOptionalError(loc, "expected ", outputs, " bias elements, found ", size);
    if (ShapedType::isDynamic(outputs))
      outputs = size;
  }

  SmallVector<int64_t> shape(rank);
  shape[0] = input.getDimSize(0);
  shape[getChannelDim(rank, op.getChannelsLast())] = outputs;
  for (int64_t i = 0; i < rank - 2; ++i) {
    int64_t dim = getFirstSpatialDim(op.getChannelsLast()) + i;
    if (weight.getDimSize(2 + i) == 0)
      return emitOptionalError(loc, "kernel sizes must be positive, found 0");
    FailureOr<int64_t> count = inferWindowCount(context, loc, input.getDimSize(dim),
                                                weight.getDimSize(2 + i), getWindowDim(op, i, {}, {}));
    if (failed(count))
      return failure();
    shape[dim] = *count;
  }
  types.push_back(RankedTensorType::get(shape, getProductType(input.getElementType(), weight.getElementType())));
  return success();
}

LogicalResult ConvOp::reifyResultShapes(OpBuilder &b, ReifiedRankedShapedTypeDims &dims) {
  int64_t rank = getInput().getType().getRank();
  SmallVector<OpFoldResult> sizes(rank);
  sizes[0] = getDim(b, getLoc(), getInput(), 0);
  sizes[getChannelDim(rank, getChannelsLast())] = getDim(b, getLoc(), getWeight(), 0);
  for (int64_t i = 0; i < rank - 2; ++i) {
    int64_t dim = getFirstSpatialDim(getChannelsLast()) + i;
    sizes[dim] = getWindowCount(b, getLoc(),
                                getWindowDim(*this, i, getDim(b, getLoc(), getInput(), dim),
                                             getDim(b, getLoc(), getWeight(), 2 + i)));
  }
  dims.push_back(std::move(sizes));
  return success();
}

/// Checks that are the same for both kinds of convolution, given the sizes that the
/// weight implies.
static void pushConvChecks(OpBuilder &b, Location loc, OpFoldResult channels,
                           OpFoldResult weightChannels, OpFoldResult outputs, Value bias,
                           SmallVectorImpl<RuntimeCheck> &checks) {
  pushSizeCheck(b, loc, channels, weightChannels, "the input's channels are not those of the weight",
                checks);
  if (bias)
    pushSizeCheck(b, loc, outputs, getDim(b, loc, bias, 0),
                  "the bias does not have one element for each output channel", checks);
}

void ConvOp::buildChecks(OpBuilder &b, SmallVectorImpl<RuntimeCheck> &checks) {
  Location loc = getLoc();
  SizeMath m(b, loc);
  int64_t rank = getInput().getType().getRank(), groups = getGroups();
  OpFoldResult outputs = m.dim(getWeight(), 0);
  pushConvChecks(b, loc, m.dim(getInput(), getChannelDim(rank, getChannelsLast())),
                 m.mul(m.dim(getWeight(), 1), m.constant(groups)), outputs, getBias(), checks);
  if (groups > 1)
    pushSizeCheck(b, loc, m.modulo(outputs, m.constant(groups)), m.constant(0),
                  "the weight's output channels do not make the groups", checks);
  for (int64_t i = 0; i < rank - 2; ++i) {
    OpFoldResult size = m.dim(getInput(), getFirstSpatialDim(getChannelsLast()) + i);
    pushWindowCheck(b, loc, getWindowDim(*this, i, size, m.dim(getWeight(), 2 + i)), checks);
  }
}

KernelRole ConvOp::getKernelRole() { return KernelRole::Contraction; }

/// Two for each element of a tensor and each weight that it meets.
static OpFoldResult countConvFlops(OpBuilder &b, Value elements, Value weight) {
  SizeMath m(b, elements.getLoc());
  SmallVector<OpFoldResult> factors = m.dims(elements);
  llvm::append_range(factors, llvm::drop_begin(m.dims(weight)));
  factors.push_back(m.constant(2));
  return m.product(factors);
}

OpFoldResult ConvOp::buildFlops(OpBuilder &b) { return countConvFlops(b, getResult(), getWeight()); }

int64_t ConvOp::getOutputChannelDim() {
  return getChannelDim(cast<RankedTensorType>(getType()).getRank(), getChannelsLast());
}

SmallVector<unsigned> ConvOp::getScaledOperands() {
  return getBias() ? SmallVector<unsigned>{1, 2} : SmallVector<unsigned>{1};
}

void ConvOp::scaleChannels(OpBuilder &b, Value scale) {
  SmallVector<int64_t> perRow(getWeight().getType().getRank(), 1);
  perRow[0] = -1;
  setOperand(1, MulOp::create(b, getLoc(), getWeight(), reshapeTo(b, scale, perRow)));
  if (getBias())
    setOperand(2, MulOp::create(b, getLoc(), getBias(), scale));
}

//===----------------------------------------------------------------------===//
// ConvTransposeOp
//===----------------------------------------------------------------------===//

LogicalResult ConvTransposeOp::inferReturnTypes(MLIRContext *context, std::optional<Location> loc,
                                                ValueRange operands, DictionaryAttr,
                                                OpaqueProperties properties, RegionRange,
                                                SmallVectorImpl<Type> &types) {
  if (failed(verifyConvOperands(loc, operands)))
    return failure();
  auto input = cast<RankedTensorType>(operands[0].getType());
  auto weight = cast<RankedTensorType>(operands[1].getType());
  Adaptor op(operands, nullptr, properties);
  int64_t rank = input.getRank(), spatial = rank - 2, groups = op.getGroups();
  if (failed(verifyWindow(loc, spatial, op.getStrides(), op.getDilations(), op.getPads())))
    return failure();
  if (static_cast<int64_t>(op.getOutputPadding().size()) != spatial ||
      (op.getOutputShape() && static_cast<int64_t>(op.getOutputShape()->size()) != spatial))
    return emitOptionalError(loc, "expected ", spatial, " elements in output_padding and output_shape");
  for (ArrayRef<int64_t> list : {op.getOutputPadding(), op.getOutputShape().value_or(ArrayRef<int64_t>())})
    for (int64_t size : list)
      if (size < 0 || size > kMaxElements)
        return emitOptionalError(loc, "output_padding and output_shape must be from 0 to ", kMaxElements, ", found ", size);
  int64_t channels = input.getDimSize(getChannelDim(rank, op.getChannelsLast()));
  if (groups < 1)
    return emitOptionalError(loc, "groups must be positive, found ", groups);
  if (differ(channels, weight.getDimSize(0)))
    return emitOptionalError(loc, "the input has ", channels, " channels, but the weight takes ",
                             weight.getDimSize(0));
  if (!ShapedType::isDynamic(channels) && channels % groups != 0)
    return emitOptionalError(loc, channels, " input channels do not make ", groups, " groups");
  int64_t perGroup = weight.getDimSize(1);
  std::optional<int64_t> product = multiplySize(perGroup, groups);
  if (!product)
    return emitOptionalError(loc, groups, " groups of ", perGroup, " output channels are too many");
  int64_t outputs = *product;
  if (op.getBias()) {
    int64_t size = cast<RankedTensorType>(op.getBias().getType()).getDimSize(0);
    if (differ(size, outputs))
      return emitOptionalError(loc, "expected ", outputs, " bias elements, found ", size);
    if (ShapedType::isDynamic(outputs))
      outputs = size;
  }

  SmallVector<int64_t> shape(rank);
  shape[0] = input.getDimSize(0);
  shape[getChannelDim(rank, op.getChannelsLast())] = outputs;
  OpBuilder b(context);
  for (int64_t i = 0; i < spatial; ++i) {
    int64_t dim = getFirstSpatialDim(op.getChannelsLast()) + i;
    int64_t size = input.getDimSize(dim), kernel = weight.getDimSize(2 + i);
    if (kernel == 0)
      return emitOptionalError(loc, "kernel sizes must be positive, found 0");
    bool known = !ShapedType::isDynamic(size) && !ShapedType::isDynamic(kernel);
    shape[dim] = ShapedType::kDynamic;
    if (known)
      shape[dim] = *getConstantIntValue(getTransposedSize(
          b, UnknownLoc::get(context),
          getTransposedDim(op, i, b.getIndexAttr(size), b.getIndexAttr(kernel))));
    else if (op.getOutputShape())
      shape[dim] = (*op.getOutputShape())[i];
  }
  types.push_back(RankedTensorType::get(shape, getProductType(input.getElementType(), weight.getElementType())));
  return success();
}

LogicalResult ConvTransposeOp::reifyResultShapes(OpBuilder &b, ReifiedRankedShapedTypeDims &dims) {
  int64_t rank = getInput().getType().getRank();
  SmallVector<OpFoldResult> sizes(rank);
  sizes[0] = getDim(b, getLoc(), getInput(), 0);
  sizes[getChannelDim(rank, getChannelsLast())] =
      computeAffine(b, getLoc(), b.getAffineSymbolExpr(0) * static_cast<int64_t>(getGroups()),
                    {getDim(b, getLoc(), getWeight(), 1)});
  for (int64_t i = 0; i < rank - 2; ++i) {
    int64_t dim = getFirstSpatialDim(getChannelsLast()) + i;
    sizes[dim] = getTransposedSize(b, getLoc(),
                                   getTransposedDim(*this, i, getDim(b, getLoc(), getInput(), dim),
                                                    getDim(b, getLoc(), getWeight(), 2 + i)));
  }
  dims.push_back(std::move(sizes));
  return success();
}

void ConvTransposeOp::buildChecks(OpBuilder &b, SmallVectorImpl<RuntimeCheck> &checks) {
  Location loc = getLoc();
  SizeMath m(b, loc);
  int64_t rank = getInput().getType().getRank(), groups = getGroups();
  OpFoldResult channels = m.dim(getWeight(), 0);
  pushConvChecks(b, loc, m.dim(getInput(), getChannelDim(rank, getChannelsLast())), channels,
                 m.mul(m.dim(getWeight(), 1), m.constant(groups)), getBias(), checks);
  if (groups > 1)
    pushSizeCheck(b, loc, m.modulo(channels, m.constant(groups)), m.constant(0),
                  "the weight's input channels do not make the groups", checks);
}

KernelRole ConvTransposeOp::getKernelRole() { return KernelRole::Contraction; }

OpFoldResult ConvTransposeOp::buildFlops(OpBuilder &b) { return countConvFlops(b, getInput(), getWeight()); }
