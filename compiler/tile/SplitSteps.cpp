//===- SplitSteps.cpp - Threads share the columns of a loop's products -------===//
//
// Before: scf.for %t (%h' = %h0) { %s = matmul(%h', %w); %n = tanh(%s); yield %n }
// After:  scf.for %t (%h' = %h0) {
//           %s = scf.forall (%c) = 0 to 2048 step 64 { matmul(%h', columns [%c, %c + 64) of %w) }
//           %n = tanh(%s); yield %n }
//
// The few rows of a recurrent layer read all of its weights in each step. Shared among threads,
// these stay in the cores' own caches from step to step; threads wait for each other once a step.
//
// Precondition: structured ops on tensors, after split-loops. Postcondition: a contraction that
// stands in a loop, in no scf.forall, and has much to do, is an scf.forall over its columns.
//
//===----------------------------------------------------------------------===//
#include "compiler/tile/Passes.h"
#include "compiler/tile/VectorizeTiles.h"
#include "dialects/kern/KernOps.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/SCF/Transforms/TileUsingInterface.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

namespace nacre::tile {
#define GEN_PASS_DEF_SPLITSTEPSPASS
#include "compiler/tile/Passes.h.inc"
} // namespace nacre::tile

using namespace mlir;
using namespace nacre;

namespace {

/// Products in a step that take several times as long as to wait for all threads.
constexpr int64_t kLeastWork = 1 << 17;

struct SplitStepsPass : tile::impl::SplitStepsPassBase<SplitStepsPass> {
  void runOnOperation() override {
    SmallVector<linalg::GenericOp> contractions;
    getOperation()->walk([&](linalg::GenericOp op) {
      if (isa<scf::ForOp>(op->getParentOp()) && !op->getParentOfType<scf::ForallOp>() && findColumns(op) >= 0)
        contractions.push_back(op);
    });
    for (linalg::GenericOp op : contractions)
      if (failed(split(op)))
        return signalPassFailure();
  }

private:
  /// The loop along which the result is contiguous; -1 if this is no contraction with much to do.
  static int64_t findColumns(linalg::GenericOp op) {
    if (op.getNumReductionLoops() == 0 || op.getNumDpsInputs() < 2 || op.getNumDpsInits() != 1)
      return -1;
    int64_t work = 1;
    for (int64_t size : op.getStaticLoopRanges())
      work *= ShapedType::isDynamic(size) ? 1 : size;
    AffineMap out = op.getMatchingIndexingMap(op.getDpsInitOperand(0));
    auto columns = out.getNumResults() ? dyn_cast<AffineDimExpr>(out.getResults().back()) : AffineDimExpr(nullptr);
    if (work < kLeastWork || !columns)
      return -1;
    int64_t size = op.getStaticLoopRanges()[columns.getPosition()];
    bool isEnough = !ShapedType::isDynamic(size) && size > tile::getTileColumns(op, columns.getPosition());
    return isEnough ? columns.getPosition() : -1;
  }

  LogicalResult split(linalg::GenericOp op) {
    int64_t columns = findColumns(op);
    SmallVector<int64_t> sizes(op.getNumLoops(), 0);
    sizes[columns] = tile::getTileColumns(op, columns);
    IRRewriter rewriter(&getContext());
    scf::SCFTileAndFuseOptions options;
    options.tilingOptions.setLoopType(scf::SCFTilingOptions::LoopType::ForallOp);
    options.tilingOptions.setTileSizes(getAsIndexOpFoldResult(&getContext(), sizes));
    // The fill that it starts from, and nothing that other ops need too.
    options.setFusionControlFn([](tensor::ExtractSliceOp, OpResult producer, bool) {
      std::optional<scf::SCFTileAndFuseOptions::ControlFnResult> fuse;
      if (isa<linalg::FillOp>(producer.getOwner()))
        fuse.emplace();
      return fuse;
    });
    FailureOr<scf::SCFTileAndFuseResult> result =
        scf::tileConsumerAndFuseProducersUsingSCF(rewriter, cast<TilingInterface>(op.getOperation()), options);
    if (failed(result))
      return op.emitError("cannot be tiled along its columns");
    for (auto [from, to] : result->replacements)
      rewriter.replaceAllUsesWith(from, to);
    rewriter.eraseOp(op);
    return success();
  }
};

} // namespace
