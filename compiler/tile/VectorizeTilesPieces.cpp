//===- VectorizeTilesPieces.cpp - Sum long products in pieces ----------------===//
//
// Before: c(m, n) += a(m, k) * b(n / 48, k, n % 48)      (packed weights)
// After:  for n0 in steps of 48:
//           c(m, n0 + n) = 0
//           for k0 in steps of 512:
//             c(m, n0 + n) += a(m, k0 + k) * b(n0 / 48, k0 + k, n)
//
// A panel of packed weights that takes a large part of the second-level cache, and the one that
// is asked for meanwhile, drive out the rows of `a`, which all panels share. A result is read and
// written once more for each piece.
//
//===----------------------------------------------------------------------===//
#include "compiler/tile/OpTiler.h"
#include "compiler/tile/VectorizeTiles.h"

using namespace mlir;
using namespace nacre::tile;

namespace {

/// Rows that must share a panel.
constexpr int64_t kFewestRows = 16;

struct Pieces {
  unsigned lanes, steps;
  int64_t block, piece;
};

/// How to cut an op; nothing if no packed operand is that long.
std::optional<Pieces> findPieces(linalg::GenericOp op, const VectorTarget &target) {
  if (!op.hasPureBufferSemantics() || op.getNumDpsInits() != 1 || op.hasIndexSemantics())
    return std::nullopt;
  // The only reduction of more than one step.
  SmallVector<unsigned> reductions;
  op.getReductionDims(reductions);
  SmallVector<int64_t> sizes = op.getStaticLoopRanges();
  llvm::erase_if(reductions, [&](unsigned loop) { return sizes[loop] == 1; });
  if (reductions.size() != 1 || ShapedType::isDynamic(sizes[reductions.front()]))
    return std::nullopt;
  int64_t steps = sizes[reductions.front()];
  AffineExpr step = getAffineDimExpr(reductions.front(), op.getContext());
  for (OpOperand *operand : op.getDpsInputOperands()) {
    // (..., n floordiv block, k, n mod block), or (..., k floordiv group, n mod block, k mod group)
    AffineMap map = op.getMatchingIndexingMap(operand);
    ArrayRef<AffineExpr> results = map.getResults();
    int64_t group = 1;
    if (auto place = dyn_cast_or_null<AffineBinaryOpExpr>(results.empty() ? nullptr : results.back()); place && place.getLHS() == step) {
      if (place.getKind() != AffineExprKind::Mod)
        continue;
      group = cast<AffineConstantExpr>(place.getRHS()).getValue();
      results = results.drop_back();
    }
    if (results.size() < 3)
      continue;
    auto part = dyn_cast<AffineBinaryOpExpr>(results.back());
    auto columns = part && part.getKind() == AffineExprKind::Mod ? dyn_cast<AffineDimExpr>(part.getLHS()) : AffineDimExpr(nullptr);
    if (!columns || results.end()[-2] != (group == 1 ? step : step.floorDiv(group)) || ShapedType::isDynamic(sizes[columns.getPosition()]))
      continue;
    int64_t block = cast<AffineConstantExpr>(part.getRHS()).getValue(), rows = 1;
    for (unsigned loop = 0; loop < op.getNumLoops(); ++loop)
      if (!llvm::is_contained(reductions, loop) && !map.isFunctionOfDim(loop))
        rows *= ShapedType::isDynamic(sizes[loop]) ? kFewestRows : sizes[loop];
    int64_t stepBytes = block * llvm::divideCeil(getElementTypeOrSelf(operand->get()).getIntOrFloatBitWidth(), 8);
    if (steps * stepBytes < target.farBytes / 8 || rows < kFewestRows)
      return std::nullopt;
    int64_t most = llvm::bit_floor(uint64_t(std::max<int64_t>(target.farBytes / 16 / stepBytes, 1))), piece = most;
    while (piece > most / 2 && (steps % piece != 0 || piece % group != 0))
      --piece;
    if (steps % piece != 0)
      piece = llvm::alignTo(most, group);
    return Pieces{columns.getPosition(), reductions.front(), block, piece};
  }
  return std::nullopt;
}

class PieceWriter : OpTiler {
public:
  PieceWriter(RewriterBase &b, linalg::GenericOp op, const Pieces &pieces) : OpTiler(b, op), pieces(pieces) {
    tiles[pieces.lanes] = pieces.block;
    tiles[pieces.steps] = pieces.piece;
  }

  SmallVector<linalg::GenericOp> run(ArrayRef<Operation *> fills, linalg::GenericOp epilogue,
                                     ArrayRef<unsigned> epilogueLoops) {
    OpBuilder::InsertionGuard guard(b);
    findBounds();
    open(pieces.lanes);
    SmallVector<Value> whole = tile(op, ownLoops());
    for (Operation *fill : fills)
      linalg::FillOp::create(b, loc, fill->getOperand(0), whole.back());
    scf::ForOp loop = open(pieces.steps);
    SmallVector<linalg::GenericOp> results = {clone(op, tile(op, ownLoops()))};
    b.setInsertionPointAfter(loop);
    ivs[pieces.steps] = nullptr;
    if (epilogue)
      results.push_back(clone(epilogue, tile(epilogue, epilogueLoops)));
    return results;
  }

private:
  const Pieces &pieces;
};

} // namespace

Staged nacre::tile::cutSteps(RewriterBase &rewriter, linalg::GenericOp op, ArrayRef<Operation *> fills,
                             linalg::GenericOp epilogue, const VectorTarget &target) {
  std::optional<Pieces> pieces = findPieces(op, target);
  if (!pieces)
    return {};
  SmallVector<unsigned> loops;
  if (epilogue) {
    loops = matchEpilogueLoops(op, epilogue);
    if (loops.size() != epilogue.getNumLoops() || epilogue.hasIndexSemantics())
      epilogue = nullptr;
  }
  PieceWriter writer(rewriter, op, *pieces);
  OpBuilder::InsertionGuard guard(rewriter);
  rewriter.setInsertionPoint(epilogue ? epilogue : op);
  Staged cut = {writer.run(fills, epilogue, loops), epilogue};
  for (Operation *fill : fills)
    rewriter.eraseOp(fill);
  if (epilogue)
    rewriter.eraseOp(epilogue);
  rewriter.eraseOp(op);
  return cut;
}
