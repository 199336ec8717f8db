//===- AccumulateProducts.cpp - Sum a batch of products ---------*- C++ -*-===//
//
// Before: %p = contraction of %x, %w : tensor<64x24x96xi32>        (m, b, n, k) -> (m, b, n)
//         %y = generic {add the scaled %p} : tensor<64x96xf32>     (m, n, b) -> (m, n)
// After:  %y = scf.for %b = 0 to 24 (%sum) {
//           %p = contraction of %x[:, %b], %w[%b] : tensor<64x96xi32>
//           yield generic {add the scaled %p to %sum} : tensor<64x96xf32> }
//
// The element-wise op is done on a product that is still in registers (VectorizeTiles).
//
// Precondition: kernels are tiled. Postcondition: a contraction of which only sums over one
// dimension of known size are read stands in a loop over it.
//
//===----------------------------------------------------------------------===//
#include "compiler/tile/Passes.h"
#include "dialects/kern/KernOps.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/SCF/Transforms/TileUsingInterface.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

namespace nacre::tile {
#define GEN_PASS_DEF_ACCUMULATEPRODUCTSPASS
#include "compiler/tile/Passes.h.inc"
} // namespace nacre::tile

using namespace mlir;
using namespace nacre;

namespace {

/// A sum along its only reduction loop of what a contraction gives, which nothing else reads.
struct SummedProducts {
  linalg::GenericOp sum, products;
  linalg::FillOp start; ///< Of the products.
  unsigned sumLoop, productsLoop;
};

std::optional<SummedProducts> findProducts(linalg::GenericOp sum) {
  SmallVector<unsigned> summed;
  sum.getReductionDims(summed);
  if (summed.size() != 1 || sum.getNumDpsInits() != 1 || ShapedType::isDynamic(sum.getStaticLoopRanges()[summed[0]]))
    return std::nullopt;
  for (OpOperand *input : sum.getDpsInputOperands()) {
    auto products = input->get().getDefiningOp<linalg::GenericOp>();
    AffineMap map = sum.getMatchingIndexingMap(input);
    if (!products || !products->hasOneUse() || products.getNumReductionLoops() == 0 || products.getNumDpsInputs() < 2 ||
        products.getNumDpsInits() != 1 || !map.isPermutation())
      continue;
    auto start = products.getDpsInits().front().getDefiningOp<linalg::FillOp>();
    AffineMap out = products.getMatchingIndexingMap(products.getDpsInitOperand(0));
    unsigned dim = *map.getResultPosition(getAffineDimExpr(summed[0], sum.getContext()));
    auto loop = dyn_cast<AffineDimExpr>(out.getResult(dim));
    // Lanes run along the last dimension.
    if (start && loop && dim + 1 != map.getNumResults())
      return SummedProducts{sum, products, start, summed[0], loop.getPosition()};
  }
  return std::nullopt;
}

/// Drops a loop of one iteration, and the dimensions that it runs along.
FailureOr<linalg::GenericOp> dropLoop(IRRewriter &rewriter, linalg::GenericOp op, unsigned loop) {
  linalg::ControlDropUnitDims options;
  options.rankReductionStrategy = linalg::ControlDropUnitDims::RankReductionStrategy::ExtractInsertSlice;
  options.controlFn = [loop](Operation *) { return SmallVector<unsigned>{loop}; };
  rewriter.setInsertionPoint(op);
  FailureOr<linalg::DropUnitDimsResult> dropped = linalg::dropUnitDims(rewriter, op, options);
  if (failed(dropped))
    return failure();
  rewriter.replaceOp(op, dropped->replacements);
  return cast<linalg::GenericOp>(dropped->resultOp.getOperation());
}

LogicalResult accumulate(IRRewriter &rewriter, SummedProducts parts) {
  scf::SCFTileAndFuseOptions options;
  SmallVector<OpFoldResult> sizes(parts.sum.getNumLoops(), rewriter.getIndexAttr(0));
  sizes[parts.sumLoop] = rewriter.getIndexAttr(1);
  options.tilingOptions.setTileSizes(sizes);
  options.setFusionControlFn([&](tensor::ExtractSliceOp, OpResult producer, bool) {
    std::optional<scf::SCFTileAndFuseOptions::ControlFnResult> fuse;
    if (producer.getOwner() == parts.products)
      fuse.emplace();
    return fuse;
  });
  rewriter.setInsertionPoint(parts.sum);
  FailureOr<scf::SCFTileAndFuseResult> result =
      scf::tileConsumerAndFuseProducersUsingSCF(rewriter, cast<TilingInterface>(parts.sum.getOperation()), options);
  if (failed(result))
    return parts.sum.emitError("cannot be computed one product at a time");
  for (auto [from, to] : result->replacements)
    rewriter.replaceAllUsesWith(from, to);
  rewriter.eraseOp(parts.sum);
  auto pieces = llvm::to_vector(result->loops.front().getLoopRegions().front()->getOps<linalg::GenericOp>());
  assert(pieces.size() == 2 && "the products and what is done with them");
  FailureOr<linalg::GenericOp> products = dropLoop(rewriter, pieces[0], parts.productsLoop);
  if (failed(products) || failed(dropLoop(rewriter, pieces[1], parts.sumLoop)))
    return failure();
  // Products of an iteration lie in memory of their own, and start anew.
  OpOperand *init = products->getDpsInitOperand(0);
  auto slice = init->get().getDefiningOp<tensor::ExtractSliceOp>();
  SmallVector<OpFoldResult> productSizes;
  for (auto [dim, size] : llvm::enumerate(slice.getMixedSizes()))
    if (!slice.getDroppedDims().test(dim))
      productSizes.push_back(size);
  Location loc = products->getLoc();
  rewriter.setInsertionPoint(*products);
  Value empty = tensor::EmptyOp::create(rewriter, loc, productSizes, slice.getType().getElementType());
  init->set(linalg::FillOp::create(rewriter, loc, parts.start.getInputs(), empty).getResult(0));
  return success();
}

struct AccumulateProductsPass : tile::impl::AccumulateProductsPassBase<AccumulateProductsPass> {
  void runOnOperation() override {
    SmallVector<SummedProducts> all;
    getOperation()->walk([&](linalg::GenericOp sum) {
      if (std::optional<SummedProducts> parts = findProducts(sum))
        all.push_back(*parts);
    });
    IRRewriter rewriter(&getContext());
    for (const SummedProducts &parts : all)
      if (failed(accumulate(rewriter, parts)))
        return signalPassFailure();
  }
};

} // namespace
