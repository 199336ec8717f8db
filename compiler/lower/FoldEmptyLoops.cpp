//===- FoldEmptyLoops.cpp - Sums over nothing -------------------*- C++ -*-===//
//
// Before: %0 = linalg.fill ins(%zero) outs(%y)
//         %1 = linalg.generic {sum over d1} ins(%x : tensor<?x0xf32>) outs(%0 : tensor<?xf32>)
// After:  %1 is %0
//
// An op that reads or writes a tensor without elements does nothing, as an iteration would meet one.
// Later passes cut loops into parts, of which these have none.
//
// Precondition: structured ops on tensors. Postcondition: none has an operand that is known to have no elements.
//
//===----------------------------------------------------------------------===//
#include "compiler/lower/Passes.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"

namespace nacre::lower {
#define GEN_PASS_DEF_FOLDEMPTYLOOPSPASS
#include "compiler/lower/Passes.h.inc"
} // namespace nacre::lower

using namespace mlir;
using namespace nacre;

namespace {

struct FoldEmptyLoopsPass : lower::impl::FoldEmptyLoopsPassBase<FoldEmptyLoopsPass> {
  void runOnOperation() override {
    auto isEmpty = [](Type type) {
      auto tensor = dyn_cast<RankedTensorType>(type);
      return tensor && llvm::is_contained(tensor.getShape(), 0);
    };
    getOperation()->walk([&](linalg::LinalgOp op) {
      if (!op.hasPureTensorSemantics() || llvm::none_of(op->getOperandTypes(), isEmpty))
        return;
      op->replaceAllUsesWith(op.getDpsInits());
      op->erase();
    });
  }
};

} // namespace
