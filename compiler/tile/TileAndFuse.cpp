//===- TileAndFuse.cpp - Tile a kernel's root op ----------------*- C++ -*-===//
//
// Before: %f = fill(%d); %c = matmul(%a, %w, %f); %e = relu(%c)
// After:  scf.forall (%i, %j) ... shared_outs(%o = %d) {
//           %f = fill(tile of %o); %c = matmul(tiles of %a, %w, %f); %e = relu(%c)
//           scf.forall.in_parallel { tensor.parallel_insert_slice %e into %o } }
//
// Precondition: `tiling` is set. Postcondition: the kernel's work stands in one
// scf.forall.
//
//===----------------------------------------------------------------------===//
#include "compiler/tile/Passes.h"
#include "compiler/tile/RootOp.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/SCF/Transforms/TileUsingInterface.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

namespace nacre::tile {
#define GEN_PASS_DEF_TILEANDFUSEPASS
#include "compiler/tile/Passes.h.inc"
} // namespace nacre::tile

using namespace mlir;
using namespace nacre;

namespace {
struct TileAndFusePass : tile::impl::TileAndFusePassBase<TileAndFusePass> {
  void runOnOperation() override {
    kern::FuncOp func = getOperation();
    kern::TilingAttr tiling = func.getTilingAttr();
    TilingInterface root = tile::getRootOp(func);
    if (!tiling || !root || llvm::all_of(tiling.getSizes(), [](int64_t size) { return size == 0; }))
      return;
    if (size_t loops = root.getLoopIteratorTypes().size(); tiling.getSizes().size() != loops) {
      func.emitError("tiling names ") << tiling.getSizes().size() << " loops, but the root op has " << loops;
      return signalPassFailure();
    }
    IRRewriter rewriter(&getContext());
    scf::SCFTileAndFuseOptions options;
    options.tilingOptions.setLoopType(scf::SCFTilingOptions::LoopType::ForallOp);
    options.tilingOptions.setTileSizes(getAsIndexOpFoldResult(&getContext(), tiling.getSizes()));
    FailureOr<scf::SCFTileAndFuseResult> result = scf::tileConsumerAndFuseProducersUsingSCF(
        rewriter, root, options);
    if (failed(result)) {
      root->emitError("cannot be tiled by ") << tiling;
      return signalPassFailure();
    }
    for (auto [from, to] : result->replacements)
      rewriter.replaceAllUsesWith(from, to);
    // A producer with two consumers is fused for each of them, into tiles of the
    // destination from outside and from inside of the loop. Both hold the same, and with
    // one name for it the copies are equal: CSE leaves one.
    for (LoopLikeOpInterface loop : result->loops)
      for (auto [init, argument] : llvm::zip(loop.getInits(), loop.getRegionIterArgs()))
        rewriter.replaceUsesWithIf(init, argument, [&, loop = loop](OpOperand &use) {
          return loop->isProperAncestor(use.getOwner());
        });
  }
};
} // namespace
