//===- VectorizeTilesPieces.cpp - Sum long products in pieces ----------------===//
//
// Before: c(m, n) += a(m, k) * b(n / 48, k, n % 48)      (packed weights)
// After:  for n0 in steps of 48:
//           c(m, n0 + n) = a(m, k) * b(n0 / 48, k, n)      (of 512 steps)
//           for k0 from 512 in steps of 512:
//             c(m, n0 + n) += a(m, k0 + k) * b(n0 / 48, k0 + k, n)
//
// A panel of packed weights that takes a large part of the second-level cache, and the one that
// is asked for meanwhile, drive out the rows of `a`, which all panels share. A result is read and
// written once more for each piece. The taps of a convolution's window are pieces first.
//
//===----------------------------------------------------------------------===//
#include "compiler/tile/OpTiler.h"
#include "compiler/tile/VectorizeTiles.h"
#include "dialects/kern/KernOps.h"

using namespace mlir;
using namespace nacre::tile;

namespace {

/// Rows that must share a panel.
constexpr int64_t kFewestRows = 16;
/// More products than this part are better left out than read in pieces.
constexpr double kMostSkipped = 0.125;

struct Pieces {
  unsigned lanes;
  int64_t block;
  /// Reduction loops that are cut, outer ones first, and into how many steps.
  SmallVector<std::pair<unsigned, int64_t>> steps;
};

/// The part of an op's products that are left out because a window reaches into padding there (kern.halo): a piece
/// of the window does not know.
double findSkipped(linalg::GenericOp op) {
  double skipped = 0;
  auto halos = op->getAttrOfType<ArrayAttr>(nacre::kern::kHalo);
  if (!halos)
    return 0;
  for (auto halo : halos.getAsRange<nacre::kern::HaloAttr>()) {
    int64_t outside = 0;
    for (int64_t place = 0; place < halo.getPlaces(); ++place)
      for (int64_t tap = 0; tap < halo.getTaps(); ++tap) {
        int64_t at = place * halo.getStride() + tap * halo.getDilation() - halo.getBegin();
        outside += at < 0 || at >= halo.getSize();
      }
    skipped = std::max(skipped, double(outside) / double(std::max<int64_t>(halo.getPlaces() * halo.getTaps(), 1)));
  }
  return skipped;
}

/// Cuts reductions, the outer ones first, until there are at most so many steps; of the innermost, parts of one size
/// where there is such a size, and of whole groups.
SmallVector<std::pair<unsigned, int64_t>> cutReductions(ArrayRef<unsigned> reductions, ArrayRef<int64_t> sizes, int64_t most, int64_t group) {
  SmallVector<std::pair<unsigned, int64_t>> cut;
  int64_t steps = 1;
  for (unsigned loop : reductions)
    steps *= sizes[loop];
  for (unsigned loop : reductions.drop_back())
    if (steps > most) {
      steps /= sizes[loop];
      cut.emplace_back(loop, 1);
    }
  if (steps > most) {
    steps = sizes[reductions.back()];
    int64_t piece = most;
    while (piece > most / 2 && (steps % piece != 0 || piece % group != 0))
      --piece;
    cut.emplace_back(reductions.back(), steps % piece != 0 ? int64_t(llvm::alignTo(most, group)) : piece);
  }
  return cut;
}

/// How to cut an op; nothing if no packed operand is that long.
std::optional<Pieces> findPieces(linalg::GenericOp op, const VectorTarget &target) {
  if (!op.hasPureBufferSemantics() || op.getNumDpsInits() != 1 || op.hasIndexSemantics())
    return std::nullopt;
  // The reductions of more than one step.
  SmallVector<unsigned> reductions;
  op.getReductionDims(reductions);
  SmallVector<int64_t> sizes = op.getStaticLoopRanges();
  llvm::erase_if(reductions, [&](unsigned loop) { return sizes[loop] == 1; });
  if (reductions.empty() || llvm::any_of(reductions, [&](unsigned loop) { return ShapedType::isDynamic(sizes[loop]); }))
    return std::nullopt;
  AffineExpr step = getAffineDimExpr(reductions.back(), op.getContext());
  for (OpOperand *operand : op.getDpsInputOperands()) {
    // (..., n floordiv block, taps, k, n mod block), or (..., k floordiv group, n mod block, k mod group)
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
    bool hasTaps = llvm::all_of(ArrayRef(reductions).drop_back(), [&](unsigned loop) {
      return llvm::is_contained(results, getAffineDimExpr(loop, op.getContext()));
    });
    if (!hasTaps)
      continue;
    int64_t block = cast<AffineConstantExpr>(part.getRHS()).getValue(), rows = 1, steps = 1;
    for (unsigned loop = 0; loop < op.getNumLoops(); ++loop)
      if (llvm::is_contained(reductions, loop))
        steps *= sizes[loop];
      else if (!map.isFunctionOfDim(loop))
        rows *= ShapedType::isDynamic(sizes[loop]) ? kFewestRows : sizes[loop];
    int64_t stepBytes = block * llvm::divideCeil(getElementTypeOrSelf(operand->get()).getIntOrFloatBitWidth(), 8);
    if (steps * stepBytes < target.farBytes / 8 || rows < kFewestRows || findSkipped(op) > kMostSkipped)
      return std::nullopt;
    int64_t most = llvm::bit_floor(uint64_t(std::max<int64_t>(target.farBytes / 16 / stepBytes, 1)));
    return Pieces{columns.getPosition(), block, cutReductions(reductions, sizes, most, group)};
  }
  return std::nullopt;
}

class PieceWriter : OpTiler {
public:
  PieceWriter(RewriterBase &b, linalg::GenericOp op, const Pieces &pieces) : OpTiler(b, op), pieces(pieces) {
    tiles[pieces.lanes] = pieces.block;
    for (auto [loop, piece] : pieces.steps)
      tiles[loop] = piece;
  }

  SmallVector<linalg::GenericOp> run(ArrayRef<Operation *> fills, linalg::GenericOp epilogue,
                                     ArrayRef<unsigned> epilogueLoops) {
    OpBuilder::InsertionGuard guard(b);
    findBounds();
    open(pieces.lanes);
    SmallVector<linalg::GenericOp> results;
    if (!fills.empty()) {
      // The first piece starts from nothing: its sums need not wait for memory that is only written.
      place(arith::ConstantIndexOp::create(b, loc, 0));
      SmallVector<Value> operands = tile(op, ownLoops());
      for (Operation *fill : fills)
        linalg::FillOp::create(b, loc, fill->getOperand(0), operands.back());
      results.push_back(clone(op, operands));
    }
    Value first = arith::ConstantIndexOp::create(b, loc, results.size()), one = arith::ConstantIndexOp::create(b, loc, 1);
    auto loop = scf::ForOp::create(b, loc, first, arith::ConstantIndexOp::create(b, loc, countPieces()), one);
    b.setInsertionPointToStart(loop.getBody());
    place(loop.getInductionVar());
    results.push_back(clone(op, tile(op, ownLoops())));
    b.setInsertionPointAfter(loop);
    for (auto [step, piece] : pieces.steps)
      ivs[step] = nullptr;
    if (epilogue)
      results.push_back(clone(epilogue, tile(epilogue, epilogueLoops)));
    return results;
  }

private:
  int64_t countOf(unsigned loop) { return llvm::divideCeil(op.getStaticLoopRanges()[loop], tiles[loop]); }

  int64_t countPieces() {
    int64_t count = 1;
    for (auto [loop, piece] : pieces.steps)
      count *= countOf(loop);
    return count;
  }

  /// Sets where the loops that are cut stand in a piece, by its number.
  void place(Value number) {
    for (auto [loop, piece] : llvm::reverse(pieces.steps)) {
      Value count = arith::ConstantIndexOp::create(b, loc, countOf(loop));
      Value own = arith::RemUIOp::create(b, loc, number, count);
      ivs[loop] = arith::MulIOp::create(b, loc, own, arith::ConstantIndexOp::create(b, loc, piece));
      number = arith::DivUIOp::create(b, loc, number, count);
    }
  }

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
