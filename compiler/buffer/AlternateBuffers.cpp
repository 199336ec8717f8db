//===- AlternateBuffers.cpp - Two places for what a loop carries *- C++ -*-===//
//
// Before: scf.for ... iter_args(%v = %x) { %w = memref.alloc() : memref<16xf32>
//           kern.call @k ins(%v) outs(%w)  scf.yield %w }
// After:  %a = memref.alloc()  %b = memref.alloc()  %turn = memref.alloc() : memref<i1>
//         scf.for ... iter_args(%v = %x) { %even = memref.load %turn[]  (and store its opposite)
//           %w = arith.select %even, %a, %b  kern.call @k ins(%v) outs(%w)  scf.yield %w }
//
// A buffer of static size that an iteration makes and hands to the next, which does not
// hand it on, is dead in the one after: two places are enough for all iterations, and the
// arena can have them. What may live longer (a value that is kept in some iterations, or
// passes through several) stays where it is: ReleaseInLoops.
//
// Precondition: a host function on memrefs, before PlanMemory. Postcondition: no loop
// allocates what it carries for one iteration, if its size is static.
//
//===----------------------------------------------------------------------===//
#include "compiler/buffer/Passes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Bufferization/IR/BufferViewFlowOpInterface.h"
#include "mlir/Dialect/Bufferization/Transforms/BufferViewFlowAnalysis.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Interfaces/ControlFlowInterfaces.h"
#include "mlir/Interfaces/LoopLikeInterface.h"
#include "mlir/Interfaces/ViewLikeInterface.h"

namespace nacre::buffer {
#define GEN_PASS_DEF_ALTERNATEBUFFERSPASS
#include "compiler/buffer/Passes.h.inc"
} // namespace nacre::buffer

using namespace mlir;
using namespace nacre;

namespace {

/// Whether upstream's analysis knows which buffers the results of all ops are views of: it
/// takes the results of others as buffers of their own.
bool isKnownFlow(LoopLikeOpInterface loop) {
  auto isBuffer = [](Type type) { return isa<BaseMemRefType>(type); };
  return !loop
              ->walk([&](Operation *op) {
                bool isKnown = isa<ViewLikeOpInterface, RegionBranchOpInterface, bufferization::BufferViewFlowOpInterface>(op) ||
                               llvm::none_of(op->getResultTypes(), isBuffer) || llvm::none_of(op->getOperandTypes(), isBuffer);
                return isKnown ? WalkResult::advance() : WalkResult::interrupt();
              })
              .wasInterrupted();
}

/// Whether the buffer, made in an iteration, is handed to the next one and no further.
bool livesForTheNextIteration(Value buffer, LoopLikeOpInterface loop, const BufferViewFlowAnalysis &flow) {
  auto yielded = loop.getYieldedValues();
  auto isYielded = [&](const BufferViewFlowAnalysis::ValueSetT &views) {
    return llvm::any_of(yielded, [&](Value value) { return views.contains(value); });
  };
  auto views = flow.resolve(buffer);
  if (!isYielded(views))
    return false;
  return llvm::none_of(llvm::zip_equal(yielded, loop.getRegionIterArgs()), [&](auto pair) {
    auto [value, argument] = pair;
    return views.contains(value) && isYielded(flow.resolve(argument));
  });
}

/// Gives the buffers, all of one loop, two places each, outside of it.
void alternate(LoopLikeOpInterface loop, ArrayRef<memref::AllocOp> allocs) {
  OpBuilder b(loop);
  Location loc = loop.getLoc();
  Value no = arith::ConstantIntOp::create(b, loc, 0, 1), yes = arith::ConstantIntOp::create(b, loc, 1, 1);
  Value turn = memref::AllocOp::create(b, loc, MemRefType::get({}, b.getI1Type()));
  memref::StoreOp::create(b, loc, no, turn);
  Block &body = loop.getLoopRegions().back()->front();
  b.setInsertionPointToStart(&body);
  Value isOdd = memref::LoadOp::create(b, loc, turn);
  memref::StoreOp::create(b, loc, arith::XOrIOp::create(b, loc, isOdd, yes), turn);
  for (memref::AllocOp alloc : allocs) {
    b.setInsertionPoint(loop);
    Value other = b.clone(*alloc)->getResult(0);
    b.setInsertionPointAfter(isOdd.getDefiningOp());
    auto place = arith::SelectOp::create(b, alloc.getLoc(), isOdd, alloc, other);
    alloc->moveBefore(loop);
    alloc->getResult(0).replaceAllUsesExcept(place, place);
  }
}

struct AlternateBuffersPass : buffer::impl::AlternateBuffersPassBase<AlternateBuffersPass> {
  void runOnOperation() override {
    // Inner loops first: the places that they get may be what the outer loop carries.
    getOperation().walk([&](LoopLikeOpInterface loop) {
      Region *body = loop.getLoopRegions().back();
      SmallVector<memref::AllocOp> allocs;
      body->walk([&](memref::AllocOp alloc) {
        if (alloc.getType().hasStaticShape() && alloc->getParentOfType<LoopLikeOpInterface>() == loop)
          allocs.push_back(alloc);
      });
      if (allocs.empty() || loop.getYieldedValues().size() != loop.getRegionIterArgs().size() || !isKnownFlow(loop))
        return;
      BufferViewFlowAnalysis flow(loop);
      llvm::erase_if(allocs, [&](memref::AllocOp alloc) { return !livesForTheNextIteration(alloc, loop, flow); });
      if (!allocs.empty())
        alternate(loop, allocs);
    });
  }
};

} // namespace
