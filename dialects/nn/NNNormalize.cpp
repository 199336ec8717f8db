//===- NNNormalize.cpp - Softmax and normalisations -------------*- C++ -*-===//
#include "dialects/nn/NNOps.h"

using namespace mlir;
using namespace nacre::nn;

/// The input's type, if `axes` are rising and among its dimensions.
static LogicalResult inferRowType(std::optional<Location> loc, Value input, ArrayRef<int64_t> axes,
                                  SmallVectorImpl<Type> &types) {
  auto type = cast<RankedTensorType>(input.getType());
  for (auto [i, axis] : llvm::enumerate(axes))
    if (axis < 0 || axis >= type.getRank() || (i > 0 && axis <= axes[i - 1]))
      return emitOptionalError(loc, "expected rising axes below ", type.getRank(), ", found [", axes,
                               "]");
  types.push_back(type);
  return success();
}

//===----------------------------------------------------------------------===//
// SoftmaxOp, HardmaxOp
//===----------------------------------------------------------------------===//

LogicalResult SoftmaxOp::inferReturnTypes(MLIRContext *, std::optional<Location> loc,
                                          ValueRange operands, DictionaryAttr attributes,
                                          OpaqueProperties properties, RegionRange regions,
                                          SmallVectorImpl<Type> &types) {
  Adaptor op(operands, attributes, properties, regions);
  return inferRowType(loc, operands[0], int64_t(op.getAxis()), types);
}

FailureOr<Operation *> SoftmaxOp::buildBeforeTranspose(OpBuilder &b, ArrayRef<int64_t> permutation,
                                                       ValueRange operands) {
  int64_t axis = permutation[getAxis()];
  return SoftmaxOp::create(b, getLoc(), operands[0], axis, getLog()).getOperation();
}

LogicalResult HardmaxOp::inferReturnTypes(MLIRContext *, std::optional<Location> loc,
                                          ValueRange operands, DictionaryAttr attributes,
                                          OpaqueProperties properties, RegionRange regions,
                                          SmallVectorImpl<Type> &types) {
  Adaptor op(operands, attributes, properties, regions);
  return inferRowType(loc, operands[0], int64_t(op.getAxis()), types);
}

//===----------------------------------------------------------------------===//
// NormalizeOp
//===----------------------------------------------------------------------===//

LogicalResult NormalizeOp::inferReturnTypes(MLIRContext *, std::optional<Location> loc,
                                            ValueRange operands, DictionaryAttr attributes,
                                            OpaqueProperties properties, RegionRange regions,
                                            SmallVectorImpl<Type> &types) {
  Adaptor op(operands, attributes, properties, regions);
  return inferRowType(loc, operands[0], op.getAxes(), types);
}

FailureOr<Operation *> NormalizeOp::buildBeforeTranspose(OpBuilder &b, ArrayRef<int64_t> permutation,
                                                         ValueRange operands) {
  SmallVector<int64_t> axes;
  for (int64_t axis : getAxes())
    axes.push_back(permutation[axis]);
  llvm::sort(axes);
  return NormalizeOp::create(b, getLoc(), operands[0], axes, getEpsilon(), getRms()).getOperation();
}

//===----------------------------------------------------------------------===//
// BatchNormOp, GroupNormOp
//===----------------------------------------------------------------------===//

/// Whether the operands but the first have the size of the channels.
template <typename Op>
static LogicalResult verifyChannels(Op op) {
  RankedTensorType input = op.getInput().getType();
  if (input.getRank() < 2)
    return op.emitOpError("expects an input of rank 2 or more, found ") << input;
  int64_t channels = input.getDimSize(op.getChannelsLast() ? input.getRank() - 1 : 1);
  for (Value operand : op->getOperands().drop_front()) {
    auto type = cast<RankedTensorType>(operand.getType());
    if (type.getRank() != 1 || failed(verifyCompatibleShape(type.getShape(), ArrayRef(channels))))
      return op.emitOpError("expects a vector of the channels' size ") << channels << ", found " << type;
  }
  return success();
}

LogicalResult BatchNormOp::verify() { return verifyChannels(*this); }

LogicalResult BatchNormOp::inferReturnTypes(MLIRContext *, std::optional<Location>, ValueRange operands,
                                            DictionaryAttr, OpaqueProperties, RegionRange,
                                            SmallVectorImpl<Type> &types) {
  types.push_back(operands[0].getType());
  return success();
}

bool BatchNormOp::isChannelsLast() { return getChannelsLast(); }
void BatchNormOp::setChannelsLast() { setChannelsLastAttr(UnitAttr::get(getContext())); }

LogicalResult GroupNormOp::verify() {
  RankedTensorType input = getInput().getType();
  if (failed(verifyChannels(*this)))
    return failure();
  int64_t channels = input.getDimSize(getChannelsLast() ? input.getRank() - 1 : 1);
  int64_t groups = getGroups();
  if (groups < 0 || (groups > 0 && !ShapedType::isDynamic(channels) && channels % groups != 0))
    return emitOpError("cannot part ") << channels << " channels into " << groups << " groups";
  return success();
}

LogicalResult GroupNormOp::inferReturnTypes(MLIRContext *, std::optional<Location>, ValueRange operands,
                                            DictionaryAttr, OpaqueProperties, RegionRange,
                                            SmallVectorImpl<Type> &types) {
  types.push_back(operands[0].getType());
  return success();
}

bool GroupNormOp::isChannelsLast() { return getChannelsLast(); }
void GroupNormOp::setChannelsLast() { setChannelsLastAttr(UnitAttr::get(getContext())); }
