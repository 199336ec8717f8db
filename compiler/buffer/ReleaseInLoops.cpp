//===- ReleaseInLoops.cpp - Bound the memory of loops -----------*- C++ -*-===//
//
// Before: scf.for ... iter_args(%v = %x) { %w = rt.alloc(%n) ...  scf.yield %w }
// After:  %m = rt.mark
//         scf.for ... iter_args(%v = %x) { %w = rt.alloc(%n) ...
//           rt.release_since %m keep(%w)  scf.yield %w }
//
// What an iteration allocates and does not release is needed after it only where it is
// handed to the next. Which buffer that is may depend on data (a value that is kept in some
// iterations, two that change places, one that is carried twice), so the run finds out:
// whatever it has allocated since the loop began, and what is carried is no view of, goes.
// Upstream's ownership-based deallocation finds it out as well, with comparisons of addresses
// in the code; but it takes over the whole function, where it releases at the end of blocks
// instead of after the last use, and it knows no memory that is planned.
//
// Precondition: a host function after PlanMemory. Postcondition: after each iteration of a
// loop no more is allocated than before it, but for what it carries.
//
//===----------------------------------------------------------------------===//
#include "compiler/buffer/Passes.h"
#include "dialects/rt/RtOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Interfaces/LoopLikeInterface.h"

namespace nacre::buffer {
#define GEN_PASS_DEF_RELEASEINLOOPSPASS
#include "compiler/buffer/Passes.h.inc"
} // namespace nacre::buffer

using namespace mlir;
using namespace nacre;

namespace {

/// Whether an iteration leaves behind what it allocates.
bool leavesMemory(LoopLikeOpInterface loop) {
  return loop
      ->walk([](rt::AllocOp alloc) {
        bool isReleased = llvm::any_of(alloc->getUsers(), llvm::IsaPred<rt::ReleaseOp>);
        return isReleased ? WalkResult::advance() : WalkResult::interrupt();
      })
      .wasInterrupted();
}

struct ReleaseInLoopsPass : buffer::impl::ReleaseInLoopsPassBase<ReleaseInLoopsPass> {
  void runOnOperation() override {
    getOperation().walk([](LoopLikeOpInterface loop) {
      if (!leavesMemory(loop))
        return;
      OpBuilder b(loop);
      Value mark = rt::MarkOp::create(b, loop.getLoc(), b.getI64Type());
      // An iteration ends where the last region does, also of a loop with a condition.
      Operation *end = loop.getLoopRegions().back()->front().getTerminator();
      SmallVector<Value> kept = llvm::filter_to_vector(
          end->getOperands(), [](Value value) { return isa<MemRefType>(value.getType()); });
      b.setInsertionPoint(end);
      rt::ReleaseSinceOp::create(b, loop.getLoc(), mark, kept);
    });
  }
};

} // namespace
