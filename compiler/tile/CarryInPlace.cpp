//===- CarryInPlace.cpp - A loop's states stay where they are ---*- C++ -*-===//
//
// Before: scf.for (%h = %h0) { %s = matmul(%h); %n = generic {tanh} ins(%s) outs(%empty); yield %n }
// After:  scf.for (%h = %h0) { %s = matmul(%h); %n = generic {tanh} ins(%s) outs(%h); yield %n }
//
// An op that stands after all that reads the old state writes over it. Another state is copied
// there at the end of the iteration.
//
// Precondition: structured ops on tensors. Postcondition: what a kernel's loop carries is
// written into what it carried before, so that temporaries of an iteration end with it
// (HoistTemporaries takes one place for those of all).
//
//===----------------------------------------------------------------------===//
#include "compiler/tile/Passes.h"
#include "dialects/kern/KernOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

namespace nacre::tile {
#define GEN_PASS_DEF_CARRYINPLACEPASS
#include "compiler/tile/Passes.h.inc"
} // namespace nacre::tile

using namespace mlir;
using namespace nacre;

namespace {

bool isView(Operation *op) {
  return isa<tensor::ExtractSliceOp, tensor::CastOp, tensor::ExpandShapeOp, tensor::CollapseShapeOp>(op);
}

/// What a value lies in: through views, and to what an op writes into.
Value getMemory(Value value) {
  while (auto result = dyn_cast<OpResult>(value)) {
    Operation *op = result.getOwner();
    if (isView(op))
      value = op->getOperand(0);
    else if (auto insert = dyn_cast<tensor::InsertSliceOp>(op))
      value = insert.getDest();
    else if (auto writer = dyn_cast<DestinationStyleOpInterface>(op))
      value = writer.getTiedOpOperand(result)->get();
    else if (auto loop = dyn_cast<scf::ForOp>(op))
      value = loop.getTiedLoopInit(result)->get();
    else
      break;
  }
  return value;
}

/// Whether all that reads a state, itself or parts of it, stands before an op of the loop, which
/// may read each element where it writes it.
bool isReadBefore(Value state, linalg::GenericOp op, OpOperand *init) {
  for (OpOperand &use : state.getUses()) {
    Operation *user = use.getOwner(), *inBlock = op->getBlock()->findAncestorOpInBlock(*user);
    if (user == op) {
      bool isPart = isa<OpResult>(state);
      if (isPart || op.getMatchingIndexingMap(&use) != op.getMatchingIndexingMap(init))
        return false;
    } else if (isView(user) && user->getBlock() == op->getBlock()) {
      if (!isReadBefore(user->getResult(0), op, init))
        return false;
    } else if (!inBlock || !inBlock->isBeforeInBlock(op)) {
      return false;
    }
  }
  return true;
}

bool writeOver(scf::ForOp loop, BlockArgument state, Value next) {
  auto op = next.getDefiningOp<linalg::GenericOp>();
  if (!op || op->getBlock() != loop.getBody() || op.getNumLoops() != op.getNumParallelLoops())
    return false;
  OpOperand *init = op.getDpsInitOperand(cast<OpResult>(next).getResultNumber());
  bool isFresh = init->get().getDefiningOp<tensor::EmptyOp>() && init->get().getType() == state.getType() &&
                 op.getMatchingBlockArgument(init).use_empty();
  if (!isFresh || !isReadBefore(state, op, init))
    return false;
  init->set(state);
  return true;
}

Value createCopy(OpBuilder &b, Location loc, Value from, Value to) {
  return linalg::CopyOp::create(b, loc, from, to).getResult(0);
}

void carryInPlace(scf::ForOp loop) {
  auto yield = cast<scf::YieldOp>(loop.getBody()->getTerminator());
  SmallVector<unsigned> copied;
  for (auto [i, state] : llvm::enumerate(loop.getRegionIterArgs()))
    if (Value next = yield.getOperand(i); isa<RankedTensorType>(state.getType()) && getMemory(next) != state &&
                                          !writeOver(loop, state, next))
      copied.push_back(i);
  OpBuilder b(yield);
  Location loc = loop.getLoc();
  // One that is in the place of another state is saved before that is overwritten.
  for (unsigned i : copied)
    if (auto other = dyn_cast<BlockArgument>(getMemory(yield.getOperand(i))); other && other.getOwner() == loop.getBody()) {
      Value from = yield.getOperand(i);
      SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(b, loc, from);
      Value empty = tensor::EmptyOp::create(b, loc, sizes, getElementTypeOrSelf(from.getType()));
      if (empty.getType() != from.getType())
        empty = tensor::CastOp::create(b, loc, from.getType(), empty);
      yield.setOperand(i, createCopy(b, loc, from, empty));
    }
  for (unsigned i : copied)
    yield.setOperand(i, createCopy(b, loc, yield.getOperand(i), loop.getRegionIterArg(i)));
}

struct CarryInPlacePass : tile::impl::CarryInPlacePassBase<CarryInPlacePass> {
  void runOnOperation() override { getOperation()->walk([](scf::ForOp loop) { carryInPlace(loop); }); }
};

} // namespace
