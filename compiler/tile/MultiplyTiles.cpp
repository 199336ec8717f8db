//===- MultiplyTiles.cpp - Contractions to products of matrix tiles ---------===//
//
// Before: linalg.generic {extf; extf; mulf; addf} ins(%a, %b : bf16) outs(%c : f32) on memrefs
// After:  scf.for (columns) { pairs of %b into a buffer
//           scf.for (rows) { tilezero; scf.for (steps) { tileloadd ..; tdpbf16ps .. }; tilestored } }
//
// Precondition: linalg ops on memrefs with strides; a CPU with AMX for bf16 and 8-bit integers.
// Postcondition: each contraction of bf16 or 8-bit integers that fills tiles is loops of LLVM's intrinsics, vector
// code that moves its operands, and structured ops on blocks of its sums.
//
//===----------------------------------------------------------------------===//
#include "compiler/tile/MultiplyTiles.h"
#include "compiler/support/Remarks.h"
#include "compiler/tile/Passes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Matchers.h"

namespace nacre::tile {
#define GEN_PASS_DEF_MULTIPLYTILESPASS
#include "compiler/tile/Passes.h.inc"
} // namespace nacre::tile

using namespace mlir;
using namespace nacre::tile;

namespace {

bool isZero(Value value) { return matchPattern(value, m_AnyZeroFloat()) || matchPattern(value, m_Zero()); }

struct MultiplyTilesPass : nacre::tile::impl::MultiplyTilesPassBase<MultiplyTilesPass> {
  void runOnOperation() override {
    SmallVector<Operation *> ops;
    getOperation()->walk([&](linalg::LinalgOp op) {
      if (op.getNumReductionLoops() > 0)
        ops.push_back(op);
    });
    IRRewriter rewriter(&getContext());
    for (Operation *op : ops)
      if (linalg::GenericOp generic = asGeneric(rewriter, op))
        rewrite(rewriter, generic);
  }

private:
  void rewrite(RewriterBase &rewriter, linalg::GenericOp op) {
    std::string reason;
    std::optional<Nest> nest = Nest::get(op, nullptr, reason);
    if (!nest || !getTileProduct(op))
      return;
    auto named = nacre::aboutKernel("multiply-tiles", op);
    std::optional<MatrixPlan> plan = MatrixPlan::get(*nest, reason);
    if (!plan) {
      remark::missed(op.getLoc(), named) << remark::reason("{0}", reason);
      return;
    }
    // Sums that start at zero need no memory; those of pieces are added up there.
    SmallVector<Operation *> fills = foldFills(*nest);
    bool startsAtZero = !plan->isPieced() && nest->start[0] && isZero(nest->start[0]);
    bool resultIsNeeded = true;
    if (linalg::GenericOp epilogue = startsAtZero ? findEpilogue(op, resultIsNeeded) : nullptr) {
      std::optional<Nest> both = Nest::get(op, epilogue, reason);
      std::optional<MatrixPlan> planOfBoth = both && !epilogue.hasIndexSemantics() ? MatrixPlan::get(*both, reason) : std::nullopt;
      if (planOfBoth && !planOfBoth->isPieced()) {
        nest = both;
        plan = planOfBoth;
        nest->storesOutputs = resultIsNeeded;
      }
    }
    remark::passed(op.getLoc(), named)
        << remark::add("tiles of {0} steps, right operand {1}{2}{3}", plan->depth,
                       plan->form == MatrixPlan::Right::Columns ? "along columns"
                       : plan->form == MatrixPlan::Right::Steps ? "along steps"
                       : plan->form == MatrixPlan::Right::Tiles ? "in tiles"
                                                                : "copied",
                       plan->movesLeft ? ", left one transposed" : "", nest->epilogue ? ", with the op that follows" : "");
    emitProducts(rewriter, *nest, *plan, startsAtZero);
    if (nest->epilogue)
      rewriter.eraseOp(nest->epilogue);
    rewriter.eraseOp(op);
    if (startsAtZero)
      for (Operation *fill : fills)
        rewriter.eraseOp(fill);
  }
};

} // namespace
