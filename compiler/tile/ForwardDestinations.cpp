//===- ForwardDestinations.cpp - Compute into the destination ---*- C++ -*-===//
//
// Before: %f = linalg.fill ins(%0) outs(%empty)
//         %c = matmul ins(%a, %w) outs(%f)
//         %e = generic {add} ins(%c, %b) outs(%empty2)
//         kern.return %e
// After:  %f = linalg.fill ins(%0) outs(%destination)
//         %c = matmul ins(%a, %w) outs(%f)
//         %e = generic {add, reading its init} ins(%b) outs(%c)
//         kern.return %e
//
// Precondition: a kernel of structured ops on tensors.
// Postcondition: a result's chain of inits, of loops too, ends at its destination wherever
// the ops allow it, so that bufferization needs no temporary for it.
//
//===----------------------------------------------------------------------===//
#include "compiler/tile/Passes.h"
#include "dialects/kern/KernOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Interfaces/LoopLikeInterface.h"

namespace nacre::tile {
#define GEN_PASS_DEF_FORWARDDESTINATIONSPASS
#include "compiler/tile/Passes.h.inc"
} // namespace nacre::tile

using namespace mlir;
using namespace nacre;

namespace {

/// Makes an element-wise generic write over one of its inputs where it has a fresh init: one
/// that a structured op of the kernel computes element by element in the same place, or
/// that is the destination itself.
linalg::GenericOp writeOverInput(linalg::GenericOp op, unsigned number, Value destination) {
  if (op.getNumLoops() != op.getNumParallelLoops())
    return op;
  OpOperand *init = op.getDpsInitOperand(number);
  BlockArgument initArgument = op.getMatchingBlockArgument(init);
  if (!init->get().getDefiningOp<tensor::EmptyOp>() || !initArgument.use_empty())
    return op;
  AffineMap map = op.getMatchingIndexingMap(init);
  OpOperand *input = nullptr;
  for (OpOperand *candidate : op.getDpsInputOperands()) {
    if (op.getMatchingIndexingMap(candidate) != map || candidate->get().getType() != init->get().getType())
      continue;
    if (candidate->get() == destination) {
      input = candidate;
      break;
    }
    if (!input && op.getNumDpsInits() == 1 && isa_and_present<linalg::LinalgOp, kern::WinogradOp>(candidate->get().getDefiningOp()))
      input = candidate;
  }
  if (!input)
    return op;
  // The input becomes the init; its block argument is replaced by the init's.
  unsigned index = input->getOperandNumber();
  SmallVector<Value> inputs = op.getDpsInputs(), inits(op.getDpsInits());
  inits[number] = inputs[index];
  inputs.erase(inputs.begin() + index);
  SmallVector<AffineMap> maps = op.getIndexingMapsArray();
  maps.erase(maps.begin() + index);
  OpBuilder b(op);
  auto replacement = linalg::GenericOp::create(
      b, op.getLoc(), op.getResultTypes(), inputs, inits, maps,
      op.getIteratorTypesArray());
  replacement.getRegion().takeBody(op.getRegion());
  Block &body = replacement.getRegion().front();
  body.getArgument(index).replaceAllUsesWith(initArgument);
  body.eraseArgument(index);
  op.replaceAllUsesWith(replacement.getResults());
  op.erase();
  return replacement;
}

/// Whether nothing but `init` may write over its value, or be it: two that are made of one value
/// can't both be computed in its place, and a result that stands in another's destination is
/// lost when that one is stored.
bool isOnlyInit(OpOperand &init) {
  return llvm::all_of(init.get().getUses(), [&](OpOperand &use) {
    if (&use == &init || isa<tensor::ExtractOp, tensor::DimOp>(use.getOwner()))
      return true;
    auto op = dyn_cast<DestinationStyleOpInterface>(use.getOwner());
    return op && op.isDpsInput(&use);
  });
}

/// Follows the chain of inits from a returned value to its start.
void forward(OpResult result, Value destination) {
  for (;;) {
    if (auto loop = dyn_cast<LoopLikeOpInterface>(result.getOwner())) { // what it puts parts into
      auto forall = dyn_cast<scf::ForallOp>(result.getOwner()); // does not tell by the interface
      OpOperand *init = forall ? forall.getTiedOpOperand(result) : loop.getTiedLoopInit(result);
      if (init && init->get().getDefiningOp<tensor::EmptyOp>() && init->get().getType() == destination.getType() &&
          destination.use_empty())
        init->set(destination);
      result = init ? dyn_cast<OpResult>(init->get()) : OpResult();
      if (!result)
        return;
      continue;
    }
    if (auto insertion = dyn_cast<tensor::InsertSliceOp>(result.getOwner())) { // one part of several
      OpOperand &init = insertion.getDestMutable();
      if (init.get().getDefiningOp<tensor::EmptyOp>() && init.get().getType() == destination.getType() && destination.use_empty())
        init.set(destination);
      result = dyn_cast<OpResult>(init.get());
      if (!result)
        return;
      continue;
    }
    auto op = dyn_cast<DestinationStyleOpInterface>(result.getOwner());
    if (!op)
      return;
    if (auto generic = dyn_cast<linalg::GenericOp>(result.getOwner())) {
      unsigned number = result.getResultNumber();
      generic = writeOverInput(generic, number, destination);
      op = cast<DestinationStyleOpInterface>(generic.getOperation());
      result = cast<OpResult>(op->getResult(number));
    }
    OpOperand *init = op.getTiedOpOperand(result);
    Operation *start = init->get().getDefiningOp();
    if (!start || (!isa<tensor::EmptyOp>(start) && !isOnlyInit(*init)))
      return;
    if (isa<tensor::EmptyOp>(start)) {
      if (init->get().getType() == destination.getType())
        init->set(destination);
      return;
    }
    result = cast<OpResult>(init->get());
  }
}

/// The part of a padded destination that a result is put into. It stands where the
/// padding is there: at the start of the kernel. Null if its place is computed later.
Value middleOf(tensor::InsertSliceOp padded) {
  OpBuilder b(padded);
  b.setInsertionPointAfterValue(padded.getDest());
  Operation *next = &*b.getInsertionPoint();
  for (Value place : padded->getOperands().drop_front(2)) // source and destination
    if (Operation *made = place.getDefiningOp(); made && !made->isBeforeInBlock(next))
      return {};
  return tensor::ExtractSliceOp::create(b, padded.getLoc(), padded.getSourceType(), padded.getDest(),
                                        padded.getMixedOffsets(), padded.getMixedSizes(),
                                        padded.getMixedStrides());
}

/// The destination with the dimensions that a result had before some were collapsed; null if
/// that takes more than its own sizes.
Value expandedFor(tensor::CollapseShapeOp collapse, kern::FuncOp func, Value destination) {
  OpBuilder b = OpBuilder::atBlockBegin(&func.getBody().front());
  SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(b, collapse.getLoc(), destination);
  auto groups = collapse.getReassociationIndices();
  std::optional<SmallVector<OpFoldResult>> apart = tensor::ExpandShapeOp::inferOutputShape(
      b, collapse.getLoc(), collapse.getSrcType(), groups, sizes);
  if (!apart)
    return {};
  return tensor::ExpandShapeOp::create(b, collapse.getLoc(), collapse.getSrcType(), destination, groups, *apart);
}

struct ForwardDestinationsPass
    : tile::impl::ForwardDestinationsPassBase<ForwardDestinationsPass> {
  void runOnOperation() override {
    kern::FuncOp func = getOperation();
    Operation *terminator = func.getBody().back().getTerminator();
    for (unsigned i = 0, e = terminator->getNumOperands(); i < e; ++i) {
      auto result = dyn_cast<OpResult>(terminator->getOperand(i));
      if (!result)
        continue;
      Value destination = func.getDestinations()[i];
      auto padded = dyn_cast<tensor::InsertSliceOp>(result.getOwner());
      if (padded && !destination.use_empty()) {
        result = dyn_cast<OpResult>(padded.getSource());
        if (!result)
          continue;
        destination = middleOf(padded);
        if (!destination)
          continue;
      } else if (auto collapse = dyn_cast<tensor::CollapseShapeOp>(result.getOwner())) {
        result = dyn_cast<OpResult>(collapse.getSrc());
        destination = result ? expandedFor(collapse, func, destination) : Value();
        if (!destination)
          continue;
      }
      forward(result, destination);
    }
  }
};

} // namespace
