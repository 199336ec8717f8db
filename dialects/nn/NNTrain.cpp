//===- NNTrain.cpp - Losses and gradients ---------------------------*- C++ -*-===//
#include "dialects/nn/NNOps.h"
#include "dialects/nn/NNSizeMath.h"

using namespace mlir;
using namespace nacre::nn;

//===----------------------------------------------------------------------===//
// NllLossOp
//===----------------------------------------------------------------------===//

/// The dimension of the input that a dimension of the labels runs along.
static int64_t getInputDim(int64_t labelDim) { return labelDim == 0 ? 0 : labelDim + 1; }

static bool areDifferent(int64_t lhs, int64_t rhs) {
  return lhs != rhs && !ShapedType::isDynamic(lhs) && !ShapedType::isDynamic(rhs);
}

LogicalResult NllLossOp::inferReturnTypes(MLIRContext *, std::optional<Location> loc, ValueRange operands,
                                          DictionaryAttr, OpaqueProperties, RegionRange,
                                          SmallVectorImpl<Type> &types) {
  auto input = cast<RankedTensorType>(operands[0].getType()), labels = cast<RankedTensorType>(operands[1].getType());
  if (input.getRank() < 2 || labels.getRank() != input.getRank() - 1)
    return emitOptionalError(loc, "expected log-probabilities [N, C, D...] and labels [N, D...], found ", input,
                             " and ", labels);
  int64_t classes = input.getDimSize(1);
  if (classes == 0)
    return emitOptionalError(loc, "expected at least one class, found ", input);
  SmallVector<int64_t> shape(labels.getShape());
  for (auto [i, size] : llvm::enumerate(shape)) {
    int64_t inputSize = input.getDimSize(getInputDim(i));
    if (areDifferent(size, inputSize))
      return emitOptionalError(loc, "the labels ", labels, " do not fit the log-probabilities ", input);
    if (ShapedType::isDynamic(size))
      size = inputSize;
  }
  if (operands.size() > 2) {
    auto weights = cast<RankedTensorType>(operands[2].getType());
    if (weights.getRank() != 1 || weights.getElementType() != input.getElementType() ||
        areDifferent(weights.getDimSize(0), classes))
      return emitOptionalError(loc, "expected a weight of type ", input.getElementType(), " for each of ", classes,
                               " classes, found ", weights);
  }
  types.assign(2, input.clone(shape));
  return success();
}

LogicalResult NllLossOp::reifyResultShapes(OpBuilder &b, ReifiedRankedShapedTypeDims &dims) {
  SmallVector<OpFoldResult> sizes;
  for (int64_t i = 0, rank = getLabels().getType().getRank(); i < rank; ++i) {
    // Whichever operand knows it.
    bool isKnown = !getLabels().getType().isDynamicDim(i);
    sizes.push_back(isKnown ? getDim(b, getLoc(), getLabels(), i)
                            : getDim(b, getLoc(), getInput(), getInputDim(i)));
  }
  dims.assign(2, sizes);
  return success();
}

void NllLossOp::buildChecks(OpBuilder &b, SmallVectorImpl<RuntimeCheck> &checks) {
  SizeMath m(b, getLoc());
  for (int64_t i = 0, rank = getLabels().getType().getRank(); i < rank; ++i)
    pushSizeCheck(b, getLoc(), m.dim(getLabels(), i), m.dim(getInput(), getInputDim(i)),
                  "the labels do not fit the log-probabilities in dimension " + std::to_string(i), checks);
  OpFoldResult classes = m.dim(getInput(), 1);
  checks.push_back({m.compare(SizeMath::Predicate::sgt, classes, m.constant(0)), RuntimeCheck::Shape,
                    "there are no classes"});
  if (getClassWeights())
    pushSizeCheck(b, getLoc(), m.dim(getClassWeights(), 0), classes,
                  "there is not one weight for each class", checks);
}

//===----------------------------------------------------------------------===//
// VariableOp, GradientOp
//===----------------------------------------------------------------------===//

LogicalResult VariableOp::inferReturnTypes(MLIRContext *, std::optional<Location>, ValueRange operands,
                                           DictionaryAttr, OpaqueProperties, RegionRange,
                                           SmallVectorImpl<Type> &types) {
  types.push_back(operands[0].getType());
  return success();
}

LogicalResult VariableOp::reifyResultShapes(OpBuilder &b, ReifiedRankedShapedTypeDims &dims) {
  dims.push_back(getDims(b, getLoc(), getInput()));
  return success();
}

LogicalResult VariableOp::buildGradient(OpBuilder &, ValueRange gradients, SmallVectorImpl<Value> &operands) {
  operands.push_back(gradients[0]);
  return success();
}

LogicalResult GradientOp::verify() {
  for (Value x : getXs())
    if (!x.getDefiningOp<VariableOp>())
      return emitOpError("expects nn.variables to derive by, found ") << x;
  if (getAt().empty())
    return success();
  SmallVector<Value> named(getXs());
  llvm::append_range(named, getZs());
  if (getAt().size() != named.size())
    return emitOpError("has ") << named.size() << " variables, but values for " << getAt().size();
  for (auto [variable, value] : llvm::zip(named, getAt()))
    if (!detail::areCompatibleTypes(variable.getType(), value.getType()))
      return emitOpError("a value of the type ") << value.getType() << " for a variable of the type "
                                                 << variable.getType();
  return success();
}

LogicalResult GradientOp::inferReturnTypes(MLIRContext *, std::optional<Location>, ValueRange operands,
                                           DictionaryAttr, OpaqueProperties properties, RegionRange,
                                           SmallVectorImpl<Type> &types) {
  // The xs come after y.
  llvm::append_range(types, operands.slice(1, properties.as<Properties *>()->operandSegmentSizes[1]).getTypes());
  return success();
}

LogicalResult GradientOp::reifyResultShapes(OpBuilder &b, ReifiedRankedShapedTypeDims &dims) {
  for (Value x : getXs())
    dims.push_back(getDims(b, getLoc(), x));
  return success();
}

//===----------------------------------------------------------------------===//
// InTrainingOp, UpdateParameterOp
//===----------------------------------------------------------------------===//

LogicalResult InTrainingOp::verify() {
  auto training = getTraining().getType(), inference = getInference().getType();
  if (training.getElementType() != inference.getElementType() ||
      failed(verifyCompatibleShape(training, inference)))
    return emitOpError("expects values of one type, found ") << training << " and " << inference;
  return success();
}

LogicalResult InTrainingOp::inferReturnTypes(MLIRContext *, std::optional<Location>, ValueRange operands,
                                             DictionaryAttr, OpaqueProperties, RegionRange,
                                             SmallVectorImpl<Type> &types) {
  types.push_back(operands[1].getType());
  return success();
}

LogicalResult InTrainingOp::reifyResultShapes(OpBuilder &b, ReifiedRankedShapedTypeDims &dims) {
  dims.push_back(getDims(b, getLoc(), getInference()));
  return success();
}

/// Only a function that trains is differentiated.
LogicalResult InTrainingOp::buildGradient(OpBuilder &, ValueRange gradients, SmallVectorImpl<Value> &operands) {
  operands.append({gradients[0], Value()});
  return success();
}

LogicalResult UpdateParameterOp::verifySymbolUses(SymbolTableCollection &symbols) {
  return verifySetsParameter(*this, getNameAttr(), getValue(), symbols);
}
