//===- VectorizeTilesStage.cpp - Stage an operand that lanes cannot follow --===//
//
// Before: c(m, n) += a(m, k) * b(n, k)
// After:  for n0 in steps of two vectors:
//           buffer(k, n) = b(n0 + n, k)              (transposed in registers)
//           c(m, n0 + n) += a(m, k) * buffer(k, n)   (lanes along n)
//
// Each element is moved once for all rows m; a sum over lanes would cost more.
//
//===----------------------------------------------------------------------===//
#include "compiler/tile/VectorizeTiles.h"
#include "dialects/rt/RtOps.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Linalg/Utils/Utils.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Interfaces/FunctionInterfaces.h"

using namespace mlir;
using namespace nacre::tile;

namespace {

/// Rows from which on moving an operand pays.
constexpr int64_t kFewestRows = 16;
/// The longest reduction that is staged in one piece, and the pieces of longer ones.
constexpr int64_t kLongestReduction = 512, kReductionPiece = 256;

struct Staging {
  unsigned operand;
  /// Of the op: lanes along the output, the reduction along which the operand is
  /// contiguous, and the parallel loops that it moves with besides the lanes.
  unsigned lanes, reduction;
  SmallVector<unsigned> outer;
};

/// The position of a loop in a projected permutation.
std::optional<unsigned> positionOf(AffineMap map, unsigned loop) {
  return map.getResultPosition(getAffineDimExpr(loop, map.getContext()));
}

std::optional<Staging> findStaging(linalg::GenericOp op) {
  if (!op.hasPureBufferSemantics() || op.getNumDpsInits() != 1 || op.hasIndexSemantics())
    return std::nullopt;
  AffineMap out = op.getMatchingIndexingMap(op.getDpsInitOperand(0));
  if (out.getNumResults() == 0 || !out.isProjectedPermutation())
    return std::nullopt;
  Staging staging;
  staging.lanes = cast<AffineDimExpr>(out.getResults().back()).getPosition();
  auto iterators = op.getIteratorTypesArray();
  SmallVector<int64_t> sizes = op.getStaticLoopRanges();
  auto atLeast = [&](unsigned loop, int64_t size) {
    return ShapedType::isDynamic(sizes[loop]) || sizes[loop] >= size;
  };
  if (!atLeast(staging.lanes, 8) || op.getNumReductionLoops() != 1)
    return std::nullopt;
  bool found = false;
  for (OpOperand *operand : op.getDpsInputOperands()) {
    AffineMap map = op.getMatchingIndexingMap(operand);
    if (!isa<MemRefType>(operand->get().getType()) || !map.isFunctionOfDim(staging.lanes))
      continue;
    if (!map.isProjectedPermutation() || map.getNumResults() == 0)
      return std::nullopt;
    unsigned last = cast<AffineDimExpr>(map.getResults().back()).getPosition();
    if (last == staging.lanes)
      continue;
    if (found || iterators[last] != utils::IteratorType::reduction || !atLeast(last, 8) ||
        !cast<MemRefType>(operand->get().getType()).isLastDimUnitStride())
      return std::nullopt;
    found = true;
    staging.operand = operand->getOperandNumber();
    staging.reduction = last;
  }
  if (!found)
    return std::nullopt;
  AffineMap map = op.getIndexingMapsArray()[staging.operand];
  int64_t rows = 1;
  for (unsigned loop = 0; loop < op.getNumLoops(); ++loop) {
    if (iterators[loop] != utils::IteratorType::parallel || loop == staging.lanes)
      continue;
    if (map.isFunctionOfDim(loop))
      staging.outer.push_back(loop);
    else
      rows *= ShapedType::isDynamic(sizes[loop]) ? kFewestRows : sizes[loop];
  }
  if (rows < kFewestRows)
    return std::nullopt;
  return staging;
}

/// Where stack memory of the running thread is taken once.
Block *entryOfThread(Operation *op) {
  while (!isa<FunctionOpInterface, nacre::rt::ParallelOp>(op->getParentOp()))
    op = op->getParentOp();
  return &op->getParentRegion()->front();
}

class Stager {
public:
  Stager(RewriterBase &b, linalg::GenericOp op, const Staging &staging, int64_t lanes)
      : b(b), loc(op.getLoc()), op(op), staging(staging), tiles(op.getNumLoops(), 0) {
    int64_t size = op.getStaticLoopRanges()[staging.reduction];
    whole = !ShapedType::isDynamic(size) && size <= kLongestReduction;
    piece = whole ? size : kReductionPiece;
    for (unsigned loop : staging.outer)
      tiles[loop] = 1;
    tiles[staging.lanes] = lanes;
    if (!whole)
      tiles[staging.reduction] = piece;
  }

  SmallVector<linalg::GenericOp> run(ArrayRef<Operation *> fills, linalg::GenericOp epilogue,
                                     ArrayRef<unsigned> epilogueLoops) {
    b.setInsertionPoint(epilogue && whole ? epilogue : op);
    SmallVector<Range> ranges = cast<linalg::LinalgOp>(op.getOperation()).createLoopRanges(b, loc);
    for (Range range : ranges)
      bounds.push_back(range.size);
    ivs.resize(op.getNumLoops());
    Value zero = arith::ConstantIndexOp::create(b, loc, 0);
    for (unsigned loop = 0; loop < op.getNumLoops(); ++loop) {
      if (!tiles[loop])
        continue;
      auto body = scf::ForOp::create(b, loc, zero,
                                     getValueOrCreateConstantIndexOp(b, loc, bounds[loop]),
                                     arith::ConstantIndexOp::create(b, loc, tiles[loop]));
      b.setInsertionPointToStart(body.getBody());
      ivs[loop] = body.getInductionVar();
    }
    SmallVector<unsigned> identity(op.getNumLoops());
    std::iota(identity.begin(), identity.end(), 0);
    SmallVector<Value> operands = tile(op, identity);
    SmallVector<linalg::GenericOp> results = {stageOperand(operands)};
    if (whole)
      for (Operation *fill : fills)
        linalg::FillOp::create(b, loc, fill->getOperand(0), operands.back());
    results.push_back(clone(op, operands));
    AffineMap map = op.getIndexingMapsArray()[staging.operand];
    SmallVector<AffineMap> maps = op.getIndexingMapsArray();
    maps[staging.operand] = AffineMap::get(
        map.getNumDims(), 0,
        {b.getAffineDimExpr(staging.reduction), b.getAffineDimExpr(staging.lanes)}, b.getContext());
    results.back().setIndexingMapsAttr(b.getAffineMapArrayAttr(maps));
    if (whole && epilogue)
      results.push_back(clone(epilogue, tile(epilogue, epilogueLoops)));
    return results;
  }

  /// The whole reduction is staged in one piece: what stands around the op may stand
  /// in its loops.
  bool whole;

private:
  /// The operands of `other`, whose loops are `loops` of the op, in the current tile.
  SmallVector<Value> tile(linalg::GenericOp other, ArrayRef<unsigned> loops) {
    SmallVector<OpFoldResult> at, sizes, limits;
    for (unsigned loop : loops) {
      if (tiles[loop])
        at.push_back(ivs[loop]);
      sizes.push_back(b.getIndexAttr(tiles[loop]));
      limits.push_back(bounds[loop]);
    }
    return linalg::makeTiledShapes(b, loc, other, other->getOperands(), at, sizes, limits,
                                   /*omitPartialTileCheck=*/false);
  }

  linalg::GenericOp clone(linalg::GenericOp other, ValueRange operands) {
    return cast<linalg::GenericOp>(mlir::clone(b, other.getOperation(), TypeRange(), operands));
  }

  /// Copies the tile of the operand into a buffer, and puts this into `operands`.
  linalg::GenericOp stageOperand(SmallVector<Value> &operands) {
    Value source = operands[staging.operand];
    auto type = cast<MemRefType>(source.getType());
    AffineMap map = op.getIndexingMapsArray()[staging.operand];
    auto bufferType = MemRefType::get({piece, tiles[staging.lanes]}, type.getElementType());
    Value buffer;
    {
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToStart(entryOfThread(op));
      buffer = memref::AllocaOp::create(b, loc, bufferType, b.getI64IntegerAttr(64));
    }
    SmallVector<OpFoldResult> sizes = {
        memref::getMixedSize(b, loc, source, *positionOf(map, staging.reduction)),
        memref::getMixedSize(b, loc, source, *positionOf(map, staging.lanes))};
    SmallVector<OpFoldResult> zeros(2, b.getIndexAttr(0)), ones(2, b.getIndexAttr(1));
    Value target = memref::SubViewOp::create(b, loc, buffer, zeros, sizes, ones);
    // Loops of the copy: reduction, lanes; the operand's other dimensions have size 1.
    SmallVector<AffineExpr> exprs;
    for (AffineExpr expr : map.getResults()) {
      unsigned loop = cast<AffineDimExpr>(expr).getPosition();
      exprs.push_back(loop == staging.reduction ? b.getAffineDimExpr(0)
                      : loop == staging.lanes   ? b.getAffineDimExpr(1)
                                                : b.getAffineConstantExpr(0));
    }
    operands[staging.operand] = target;
    return linalg::GenericOp::create(
        b, loc, source, target,
        ArrayRef<AffineMap>{AffineMap::get(2, 0, exprs, b.getContext()), b.getMultiDimIdentityMap(2)},
        SmallVector<utils::IteratorType>(2, utils::IteratorType::parallel),
        [](OpBuilder &inner, Location at, ValueRange elements) {
          linalg::YieldOp::create(inner, at, elements[0]);
        });
  }

  RewriterBase &b;
  Location loc;
  linalg::GenericOp op;
  const Staging &staging;
  SmallVector<int64_t> tiles;
  int64_t piece;
  SmallVector<OpFoldResult> bounds;
  SmallVector<Value> ivs;
};

} // namespace

SmallVector<linalg::GenericOp>
nacre::tile::stageOperands(RewriterBase &rewriter, linalg::GenericOp op, ArrayRef<Operation *> fills,
                           linalg::GenericOp epilogue, const VectorTarget &target) {
  std::optional<Staging> staging = findStaging(op);
  if (!staging)
    return {};
  SmallVector<unsigned> loops;
  if (epilogue) {
    loops = matchEpilogueLoops(op, epilogue);
    if (loops.size() != epilogue.getNumLoops() || epilogue.hasIndexSemantics())
      epilogue = nullptr;
  }
  unsigned bits =
      cast<MemRefType>(op.getDpsInits().front().getType()).getElementType().getIntOrFloatBitWidth();
  Stager stager(rewriter, op, *staging, 2 * target.vectorBits / std::max(bits, 8u));
  SmallVector<linalg::GenericOp> results = stager.run(fills, epilogue, loops);
  if (stager.whole) {
    for (Operation *fill : fills)
      rewriter.eraseOp(fill);
    if (epilogue)
      rewriter.eraseOp(epilogue);
  }
  rewriter.eraseOp(op);
  return results;
}
