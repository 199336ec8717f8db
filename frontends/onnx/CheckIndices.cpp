//===- CheckIndices.cpp - Positions that are known to be wrong --*- C++ -*-===//
#include "frontends/onnx/Converter.h"
#include "dialects/nn/NNShapes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;
using namespace nacre;
using namespace nacre::frontend;

/// What the positions must lie below, as far as it is known. The ops that would compute it
/// in a run are not kept.
static std::optional<nn::KnownInts> getKnownLimits(nn::IndexedOpInterface op) {
  struct Created : OpBuilder::Listener {
    void notifyOperationInserted(Operation *op, OpBuilder::InsertPoint) override { ops.push_back(op); }
    SmallVector<Operation *> ops;
  } created;
  OpBuilder b(op->getContext(), &created);
  b.setInsertionPoint(op);
  auto limits = nn::getKnownInts(op.buildIndexLimit(b));
  for (Operation *made : llvm::reverse(created.ops))
    made->erase();
  return limits;
}

LogicalResult frontend::checkConstantIndices(NodeContext &c, Operation *op) {
  auto indexed = dyn_cast<nn::IndexedOpInterface>(op);
  // What stands in a branch or a loop may never be computed.
  if (!indexed || indexed.isInBounds() || !isa<func::FuncOp>(op->getParentOp()))
    return success();
  auto indices = c.constantInts(indexed.getIndexOperand().get());
  if (!indices || indices->empty())
    return success();
  auto limits = getKnownLimits(indexed);
  if (!limits || limits->empty())
    return success();
  for (auto [i, index] : llvm::enumerate(*indices)) {
    // A vector of limits belongs to the last dimension.
    std::optional<int64_t> limit = (*limits)[i % limits->size()];
    if (!limit || (index < *limit && index >= -*limit))
      continue;
    if (*limit == 0)
      return c.error("index " + Twine(index) + " is into a dimension that has no elements");
    return c.error("index " + Twine(index) + " is out of range, expected " + Twine(-*limit) + " to " + Twine(*limit - 1));
  }
  return success();
}
