//===- NNMovement.cpp - Following elements through an op --------*- C++ -*-===//
#include "dialects/nn/NNMovement.h"
#include "dialects/nn/NNOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace nacre;
using namespace nacre::nn;

bool nn::isFollowed(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  return type && type.hasStaticShape() && type.getNumElements() <= maxFollowedElements;
}

void nn::forEachIndex(ArrayRef<int64_t> shape, function_ref<void(ArrayRef<int64_t>)> fn) {
  if (llvm::is_contained(shape, 0))
    return;
  SmallVector<int64_t> index(shape.size(), 0);
  while (true) {
    fn(index);
    int64_t d = static_cast<int64_t>(shape.size()) - 1;
    for (; d >= 0 && ++index[d] == shape[d]; --d)
      index[d] = 0;
    if (d < 0)
      return;
  }
}

int64_t nn::linearIndex(ArrayRef<int64_t> index, ArrayRef<int64_t> shape) {
  int64_t result = 0;
  for (auto [i, size] : llvm::zip(index, shape))
    result = result * size + i;
  return result;
}

LogicalResult nn::pushMappedSources(Operation *op,
                                    function_ref<void(ArrayRef<int64_t>, MutableArrayRef<int64_t>)> map,
                                    SmallVectorImpl<ElementSource> &sources) {
  if (!isFollowed(op->getResult(0)) || !isFollowed(op->getOperand(0)))
    return failure();
  auto input = cast<RankedTensorType>(op->getOperand(0).getType());
  SmallVector<int64_t> from(input.getRank());
  forEachIndex(cast<RankedTensorType>(op->getResult(0).getType()).getShape(), [&](ArrayRef<int64_t> to) {
    map(to, from);
    sources.push_back({0, linearIndex(from, input.getShape())});
  });
  return success();
}

LogicalResult nn::pushSameSources(Operation *op, SmallVectorImpl<ElementSource> &sources) {
  if (!isFollowed(op->getResult(0)) || !isFollowed(op->getOperand(0)))
    return failure();
  int64_t count = cast<RankedTensorType>(op->getResult(0).getType()).getNumElements();
  if (count != cast<RankedTensorType>(op->getOperand(0).getType()).getNumElements())
    return failure();
  for (int64_t i = 0; i < count; ++i)
    sources.push_back({0, i});
  return success();
}

OpFoldResult nn::foldMovement(Operation *op, ArrayRef<Attribute> operands) {
  // Operand 0 is data in every such op: most calls end here.
  if (operands.empty() || !isa_and_present<DenseElementsAttr>(operands.front()))
    return {};
  SmallVector<ElementSource> sources;
  if (failed(cast<MovementOpInterface>(op).getElementSources(sources)))
    return {};
  SmallVector<std::optional<DenseElementsAttr::iterator_range<Attribute>>> values(operands.size());
  SmallVector<Attribute> elements;
  for (ElementSource source : sources) {
    auto attr = dyn_cast_if_present<DenseElementsAttr>(operands[source.operand]);
    if (!attr)
      return {};
    auto &range = values[source.operand];
    if (!range)
      range = attr.getValues<Attribute>();
    elements.push_back((*range)[source.element]);
  }
  auto type = cast<RankedTensorType>(op->getResult(0).getType());
  if (elements.empty()) // DenseElementsAttr has no form for this but raw, empty data.
    return DenseElementsAttr::getFromRawBuffer(type, {});
  return DenseElementsAttr::get(type, elements);
}

//===----------------------------------------------------------------------===//
// Known integers
//===----------------------------------------------------------------------===//

/// A scalar's value, looking through casts between index and integers.
static std::optional<int64_t> getKnownScalar(Value value) {
  while (auto cast = value.getDefiningOp<arith::IndexCastOp>())
    value = cast.getIn();
  APInt constant;
  if (matchPattern(value, m_ConstantInt(&constant)) && constant.getBitWidth() <= 64)
    return constant.getSExtValue();
  return std::nullopt;
}

static std::optional<KnownInts> getKnownIntsWithin(Value value, int depth) {
  if (!isFollowed(value) || depth == 0)
    return std::nullopt;
  auto type = cast<RankedTensorType>(value.getType());
  if (!type.getElementType().isIntOrIndex())
    return std::nullopt;
  if (auto constant = getConstantInts(value))
    return KnownInts(constant->begin(), constant->end());

  KnownInts known(type.getNumElements());
  Operation *op = value.getDefiningOp();
  if (auto elements = dyn_cast_if_present<tensor::FromElementsOp>(op)) {
    for (auto [result, element] : llvm::zip(known, elements.getElements()))
      result = getKnownScalar(element);
  } else if (auto shape = dyn_cast_if_present<ShapeOp>(op)) {
    for (auto [result, size] : llvm::zip(known, shape.getInput().getType().getShape()))
      if (!ShapedType::isDynamic(size))
        result = size;
  } else if (auto movement = dyn_cast_if_present<MovementOpInterface>(op)) {
    SmallVector<ElementSource> sources;
    if (failed(movement.getElementSources(sources)))
      return known;
    SmallVector<std::optional<KnownInts>> operands(op->getNumOperands());
    SmallVector<bool> visited(op->getNumOperands());
    for (auto [result, source] : llvm::zip(known, sources)) {
      auto &operand = operands[source.operand];
      if (!std::exchange(visited[source.operand], true))
        operand = getKnownIntsWithin(op->getOperand(source.operand), depth - 1);
      if (operand)
        result = (*operand)[source.element];
    }
  }
  return known;
}

std::optional<KnownInts> nn::getKnownInts(Value value) { return getKnownIntsWithin(value, 16); }
