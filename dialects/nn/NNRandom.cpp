//===- NNRandom.cpp - Random numbers ----------------------------*- C++ -*-===//
#include "dialects/nn/NNOps.h"
#include "dialects/nn/NNSizeMath.h"

using namespace mlir;
using namespace nacre::nn;

using Predicate = SizeMath::Predicate;

LogicalResult RandomOp::inferReturnTypes(MLIRContext *, std::optional<Location> loc, ValueRange operands,
                                         DictionaryAttr, OpaqueProperties properties, RegionRange,
                                         SmallVectorImpl<Type> &types) {
  auto vector = cast<RankedTensorType>(operands[1].getType());
  Type element = properties.as<Properties *>()->getElement().getValue();
  if (!element.isF32() && !element.isF64())
    return emitOptionalError(loc, "expected random numbers in f32 or f64, found ", element);
  if (vector.getRank() != 1 || vector.isDynamicDim(0))
    return emitOptionalError(loc, "random numbers need a shape of static length, found ", vector);
  SmallVector<int64_t> shape(vector.getDimSize(0), ShapedType::kDynamic);
  if (auto known = getKnownInts(operands[1]))
    for (auto [size, wanted] : llvm::zip(shape, *known))
      if (wanted) {
        if (*wanted < 0)
          return emitOptionalError(loc, "random numbers with a size of ", *wanted);
        size = *wanted;
      }
  types.push_back(RankedTensorType::get(shape, element));
  return success();
}

LogicalResult RandomOp::reifyResultShapes(OpBuilder &b, ReifiedRankedShapedTypeDims &dims) {
  dims.push_back(mixSizes(b, getResult(), [&](int64_t i) { return getElementAsIndex(b, getLoc(), getShape(), i); }));
  return success();
}

void RandomOp::buildChecks(OpBuilder &b, SmallVectorImpl<RuntimeCheck> &checks) {
  SizeMath m(b, getLoc());
  auto type = cast<RankedTensorType>(getType());
  auto known = getKnownInts(getShape());
  for (int64_t i = 0; i < type.getRank(); ++i) {
    if (known && (*known)[i])
      continue;
    std::string where = "dimension " + std::to_string(i);
    OpFoldResult wanted = m.element(getShape(), i);
    // The result's type may know more than the shape: both must agree.
    if (type.isDynamicDim(i))
      checks.push_back({m.compare(Predicate::sge, wanted, m.constant(0)), RuntimeCheck::Shape,
                        "the size of " + where + " is negative"});
    else
      checks.push_back({m.compare(Predicate::eq, wanted, m.constant(type.getDimSize(i))), RuntimeCheck::Shape,
                        "the size of " + where + " is not the expected one"});
  }
}

SmallVector<unsigned> RandomOp::getShapeOperands() { return {1}; }
KernelRole RandomOp::getKernelRole() { return KernelRole::Indexed; }
