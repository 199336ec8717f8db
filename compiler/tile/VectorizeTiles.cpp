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
#include "compiler/support/Remarks.h"
#include "compiler/tile/Passes.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Affine/Utils.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/ADT/StringExtras.h"

namespace nacre::tile {
#define GEN_PASS_DEF_VECTORIZETILESPASS
#include "compiler/tile/Passes.h.inc"
} // namespace nacre::tile

using namespace mlir;
using namespace nacre::tile;

namespace {

struct VectorizeTilesPass : nacre::tile::impl::VectorizeTilesPassBase<VectorizeTilesPass> {
  using VectorizeTilesPassBase::VectorizeTilesPassBase;

  void runOnOperation() override {
    SmallVector<Operation *> ops;
    getOperation()->walk([&](Operation *op) {
      if (isa<linalg::LinalgOp, memref::CopyOp>(op) && !isa<linalg::FillOp>(op))
        ops.push_back(op);
    });
    IRRewriter rewriter(&getContext());
    SmallVector<linalg::GenericOp> generics;
    for (Operation *op : ops)
      if (linalg::GenericOp generic = asGeneric(rewriter, op))
        generics.push_back(generic);
    for (linalg::GenericOp generic : generics)
      expandIndexMaps(rewriter, generic);
    stageAndVectorize(rewriter, generics);
    // Fills that no accumulator has taken.
    ops.clear();
    getOperation()->walk([&](linalg::FillOp fill) { ops.push_back(fill); });
    for (Operation *op : ops)
      if (linalg::GenericOp generic = asGeneric(rewriter, op)) {
        SmallVector<linalg::GenericOp> alone = {generic};
        vectorize(rewriter, alone, 0);
      }
  }

private:
  VectorTarget getTarget() const {
    return {vectorBits, registers, fma, stageRows, farBytes, dotBF16, dotI8, dotSameI8, dotMixedI8, dotI16};
  }

  /// Tiling has made a body's indices those of the whole tensor by affine maps.
  static void expandIndexMaps(RewriterBase &rewriter, linalg::GenericOp generic) {
    for (auto apply : llvm::make_early_inc_range(generic.getBody()->getOps<affine::AffineApplyOp>())) {
      rewriter.setInsertionPoint(apply);
      auto expanded = affine::expandAffineMap(rewriter, apply.getLoc(), apply.getAffineMap(), apply.getMapOperands());
      rewriter.replaceOp(apply, expanded->front());
    }
  }

  /// An op in `list` is about to go with one before it.
  static void forget(SmallVectorImpl<linalg::GenericOp> &list, linalg::GenericOp op) {
    for (linalg::GenericOp &entry : list)
      if (op && entry == op)
        entry = nullptr;
  }

  /// The ops that replace `list[number]`, if one of its operands is better staged.
  SmallVector<linalg::GenericOp> stage(RewriterBase &rewriter,
                                       SmallVectorImpl<linalg::GenericOp> &list, unsigned number,
                                       StagedPart part) {
    std::string reason;
    std::optional<Nest> nest = Nest::get(list[number], nullptr, reason);
    if (!nest)
      return {};
    bool resultIsNeeded;
    linalg::GenericOp epilogue = findEpilogue(list[number], resultIsNeeded);
    VectorTarget target = getTarget();
    SmallVector<Operation *> fills = foldFills(*nest);
    Staged staged = part == StagedPart::Steps ? cutSteps(rewriter, list[number], fills, epilogue, target)
                                              : stageOperands(rewriter, list[number], fills, epilogue, target, part);
    forget(list, staged.epilogue);
    return std::move(staged.ops);
  }

  /// Vectorizes all of a list, first with rows staged, then columns of what that leaves, or with steps cut.
  void stageAndVectorize(RewriterBase &rewriter, SmallVectorImpl<linalg::GenericOp> &list,
                         ArrayRef<StagedPart> parts = {StagedPart::Rows, StagedPart::Columns, StagedPart::Steps}) {
    for (unsigned i = 0; i < list.size(); ++i) {
      if (!list[i])
        continue; // gone with one before it
      SmallVector<linalg::GenericOp> staged;
      ArrayRef<StagedPart> rest = parts;
      while (!rest.empty() && staged.empty()) {
        staged = stage(rewriter, list, i, rest.front());
        rest = rest.drop_front();
      }
      if (staged.empty())
        vectorize(rewriter, list, i);
      else
        stageAndVectorize(rewriter, staged, rest);
    }
  }

  /// Vectorizes `list[number]`, and maybe with it the op that follows.
  void vectorize(RewriterBase &rewriter, SmallVectorImpl<linalg::GenericOp> &list,
                 unsigned number) {
    linalg::GenericOp op = list[number];
    VectorTarget target = getTarget();
    std::string reason;
    std::optional<Nest> nest;
    std::optional<Plan> plan;
    bool resultIsNeeded = true;
    linalg::GenericOp epilogue = findEpilogue(op, resultIsNeeded);
    if (epilogue && (nest = Nest::get(op, epilogue, reason))) {
      nest->storesOutputs = resultIsNeeded;
      plan = Plan::get(*nest, target, reason);
    }
    if (!plan && (nest = Nest::get(op, nullptr, reason)))
      plan = Plan::get(*nest, target, reason);
    auto named = nacre::aboutKernel("vectorize-tiles", op);
    if (!plan) {
      remark::missed(op.getLoc(), named) << remark::reason("{0}", reason);
      return;
    }
    auto copies = llvm::map_range(plan->copies, [](int64_t n) { return std::to_string(n); });
    remark::passed(op.getLoc(), named)
        << remark::add("{0} lanes along a {1} loop{2}", plan->width,
                       nest->loops[plan->lanes].reduction ? "reduction" : "parallel",
                       nest->epilogue ? ", with the op that follows" : "")
        << remark::add("{0}", plan->grouped >= 0 ? ", products in groups" : "")
        << remark::add(", register blocks of {0} vectors", llvm::join(copies, "x"));
    SmallVector<Operation *> fills = foldFills(*nest);
    emitNest(rewriter, *nest, *plan);
    if (nest->epilogue) {
      forget(list, nest->epilogue);
      rewriter.eraseOp(nest->epilogue);
    }
    rewriter.eraseOp(op);
    for (Operation *fill : fills)
      rewriter.eraseOp(fill);
  }
};

} // namespace
