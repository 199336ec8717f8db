//===- VectorizeTiles.cpp - Structured ops to register-tiled vector code
//----===//
//
// Before: linalg.generic {mulf; addf} ins(%a, %b) outs(%c) on memrefs
// After:  scf.for (columns) { scf.for (rows) {
//           %acc:16 = scf.for (k) iter_args(16 x vector<16xf32>) { vector.fma
//           ... } vector.store ... } }
//
// Precondition: linalg ops and memref.copy on memrefs with strides.
// Postcondition: each op whose body and addresses allow it is scf and vector
// code.
//
//===----------------------------------------------------------------------===//
#include "compiler/tile/VectorizeTiles.h"
#include "compiler/tile/Passes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Remarks.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/ADT/StringExtras.h"

namespace nacre::tile {
#define GEN_PASS_DEF_VECTORIZETILESPASS
#include "compiler/tile/Passes.h.inc"
} // namespace nacre::tile

using namespace mlir;
using namespace nacre::tile;

namespace {

/// memref.copy and named ops as linalg.generic; null if `op` is neither.
linalg::GenericOp asGeneric(RewriterBase &rewriter, Operation *op) {
  rewriter.setInsertionPoint(op);
  if (auto copy = dyn_cast<memref::CopyOp>(op)) {
    if (!isa<MemRefType>(copy.getSource().getType()) ||
        !isa<MemRefType>(copy.getTarget().getType()))
      return nullptr;
    op = rewriter.replaceOpWithNewOp<linalg::CopyOp>(copy, copy.getSource(),
                                                     copy.getTarget());
  }
  if (auto generic = dyn_cast<linalg::GenericOp>(op))
    return generic;
  auto named = dyn_cast<linalg::LinalgOp>(op);
  if (!named || !named.hasPureBufferSemantics())
    return nullptr;
  FailureOr<linalg::GenericOp> generic =
      linalg::generalizeNamedOp(rewriter, named);
  return succeeded(generic) ? *generic : nullptr;
}

/// The op before `op` that may touch memory.
Operation *previousEffect(Operation *op) {
  do
    op = op->getPrevNode();
  while (op && isMemoryEffectFree(op));
  return op;
}

/// Folds the fills just before a reduction, of the very memory that it reduces
/// into, into the accumulators' start values. Returns the fills.
SmallVector<Operation *> foldFills(Nest &nest) {
  SmallVector<Operation *> fills;
  if (!nest.reduction)
    return fills;
  for (Operation *op = previousEffect(nest.op); op; op = previousEffect(op)) {
    auto fill = dyn_cast<linalg::FillOp>(op);
    if (!fill)
      break;
    Value memory = fill.getDpsInits().front();
    unsigned output = nest.outputs();
    for (auto [number, access] : llvm::enumerate(nest.accesses)) {
      if (access.source != memory)
        continue;
      if (number < nest.inputs)
        return fills;
      output = number - nest.inputs;
    }
    if (output == nest.outputs() || nest.start[output])
      break;
    // Every element must be written: the output's map is a permutation.
    AffineMap map =
        nest.op.getMatchingIndexingMap(nest.op.getDpsInitOperand(output));
    if (!map.isProjectedPermutation())
      break;
    nest.start[output] = fill.getInputs().front();
    fills.push_back(fill);
  }
  return fills;
}

struct VectorizeTilesPass
    : nacre::tile::impl::VectorizeTilesPassBase<VectorizeTilesPass> {
  using VectorizeTilesPassBase::VectorizeTilesPassBase;

  void runOnOperation() override {
    SmallVector<Operation *> ops;
    getOperation()->walk([&](Operation *op) {
      if (isa<linalg::LinalgOp, memref::CopyOp>(op))
        ops.push_back(op);
    });
    IRRewriter rewriter(&getContext());
    SmallVector<linalg::GenericOp> generics;
    for (Operation *op : ops)
      if (!isa<linalg::FillOp>(op))
        if (linalg::GenericOp generic = asGeneric(rewriter, op))
          vectorize(rewriter, generic);
    // Fills that no accumulator has taken.
    ops.clear();
    getOperation()->walk([&](linalg::FillOp fill) { ops.push_back(fill); });
    for (Operation *op : ops)
      if (linalg::GenericOp generic = asGeneric(rewriter, op))
        vectorize(rewriter, generic);
  }

private:
  void vectorize(RewriterBase &rewriter, linalg::GenericOp op) {
    auto named =
        remark::RemarkOpts::name("VectorizeTiles").category("vectorize-tiles");
    std::string reason;
    std::optional<Nest> nest = Nest::get(op, reason);
    std::optional<Plan> plan;
    if (nest)
      plan = Plan::get(*nest, {vectorBits, registers}, reason);
    if (!plan) {
      remark::missed(op.getLoc(), named) << remark::reason("{0}", reason);
      return;
    }
    remark::passed(op.getLoc(), named)
        << remark::add("lanes along {0} loop, {1} wide",
                       nest->loops[plan->lanes].reduction ? "a reduction"
                                                          : "a parallel",
                       plan->width)
        << remark::metric("Copies",
                          llvm::join(llvm::map_range(plan->copies,
                                                     [](int64_t n) {
                                                       return std::to_string(n);
                                                     }),
                                     "x"));
    SmallVector<Operation *> fills = foldFills(*nest);
    emitNest(rewriter, *nest, *plan);
    rewriter.eraseOp(op);
    for (Operation *fill : fills)
      rewriter.eraseOp(fill);
  }
};

} // namespace
