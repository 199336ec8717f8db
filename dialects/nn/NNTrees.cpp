//===- NNTrees.cpp - Decision trees -----------------------------*- C++ -*-===//
#include "dialects/nn/NNChecks.h"
#include "dialects/nn/NNOps.h"
#include "dialects/nn/NNSizeMath.h"

using namespace mlir;
using namespace nacre::nn;

static RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }

LogicalResult TreeLeavesOp::inferReturnTypes(MLIRContext *context, std::optional<Location> loc, ValueRange operands,
                                             DictionaryAttr, OpaqueProperties, RegionRange,
                                             SmallVectorImpl<Type> &types) {
  auto input = typeOf(operands[0]);
  if (input.getRank() != 2)
    return emitOptionalError(loc, "expected rows of features, found ", input);
  for (Value operand : operands.drop_front())
    if (typeOf(operand).getRank() != 1)
      return emitOptionalError(loc, "expected vectors of roots and nodes, found ", operand.getType());
  ValueRange nodes = operands.drop_front(2);
  if (failed(verifyCompatibleDims(llvm::map_to_vector(nodes, [](Value v) { return typeOf(v).getDimSize(0); }))))
    return emitOptionalError(loc, "what describes the nodes differs in length");
  if (typeOf(operands[3]).getElementType() != input.getElementType())
    return emitOptionalError(loc, "expected splits of the features' type, found ", operands[3].getType());
  types.push_back(
      RankedTensorType::get({input.getDimSize(0), typeOf(operands[1]).getDimSize(0)}, IntegerType::get(context, 64)));
  return success();
}

LogicalResult TreeLeavesOp::reifyResultShapes(OpBuilder &b, ReifiedRankedShapedTypeDims &dims) {
  dims.push_back({getDim(b, getLoc(), getInput(), 0), getDim(b, getLoc(), getRoots(), 0)});
  return success();
}

void TreeLeavesOp::buildChecks(OpBuilder &b, SmallVectorImpl<RuntimeCheck> &checks) {
  SizeMath m(b, getLoc());
  for (Value other : {Value(getSplits()), Value(getOutcomes()), Value(getYes()), Value(getNo())})
    checkSame(m, m.dim(getFeatures(), 0), m.dim(other, 0), "what describes the nodes differs in length", checks);
  checkNotEmpty(m, {m.dim(getInput(), 1), m.dim(getFeatures(), 0)}, checks);
}

KernelRole TreeLeavesOp::getKernelRole() { return KernelRole::Alone; }
