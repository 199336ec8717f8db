//===- VectorizeTilesStage.cpp - Stage an operand before it is read often ---===//
//
// Before: c(m, n) += a(m, k) * b(n, k)
// After:  for n0 in steps of two vectors:
//           buffer(k, n) = b(n0 + n, k)              (transposed in registers)
//           c(m, n0 + n) += a(m, k) * buffer(k, n)   (lanes along n)
//
// Each element is moved once for all rows m; a sum over lanes would cost more. An
// operand b(k, n), which lanes can follow, is staged too if there are many rows and
// its own are far apart: two vectors of each of them fill few sets of the caches and
// take a page each, so that every block of rows m would fetch them from far again. And
// so is one whose columns are longer than the cache: pieces of them stay there.
//
// For the same reason an operand a(k, m), as in the gradient of a weight, is staged
// before: of each of its rows a block of rows m reads a few elements, for every two
// vectors of columns n again.
//
//         for m0 in steps of 128:
//           buffer(k, m) = a(k, m0 + m)
//           c(m0 + m, n) += buffer(k, m) * b(k, n)   (and b as above)
//
// Where sizes are not known, the loops ask for them:
//
//   if m and k are large: as above
//   else:                 c(m, n) += a(m, k) * b(k, n)
//
//===----------------------------------------------------------------------===//
#include "compiler/tile/OpTiler.h"
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

/// Iterations that must share an element before moving it pays.
constexpr int64_t kFewestRows = 16;
/// The buffer holds at most so many elements for each lane, or for each row (of 64 bits half):
/// all that is on a thread's stack is less than half a MiB.
constexpr int64_t kLongestColumn = 1024, kLongestRow = 512, kShortestColumn = 8;
/// Rows of an operand a(k, m) in the buffer, and the columns that must share them.
constexpr int64_t kRows = 128, kFewestColumns = 64;

struct Staging {
  unsigned operand;
  /// Loops of the op: the buffer's last dimension (the lanes along the output, or rows of
  /// it) and how many of its iterations are staged at once, the reductions that the operand
  /// moves with, the parallel loops that it moves with besides, and those that share it.
  unsigned along;
  int64_t width = 0;
  SmallVector<unsigned> reductions, outer, sharing;
  /// The reduction that is done in pieces, and their size. -1: the whole is staged.
  int pieced = -1;
  int64_t piece = 0;
  /// What must hold for it to pay, where sizes are not known: the iterations of these
  /// loops together are at least so many.
  SmallVector<std::pair<SmallVector<unsigned>, int64_t>> conditions;

  /// Adds a condition. Fails if it is known not to hold.
  bool require(ArrayRef<unsigned> loops, ArrayRef<int64_t> sizes, int64_t limit) {
    SmallVector<unsigned> unknown;
    for (unsigned loop : loops) {
      if (ShapedType::isDynamic(sizes[loop]))
        unknown.push_back(loop);
      else
        limit = llvm::divideCeil(limit, std::max<int64_t>(sizes[loop], 1));
    }
    if (!unknown.empty() && limit > 1)
      conditions.push_back({unknown, limit});
    return !unknown.empty() || limit <= 1;
  }
};

int64_t bitsOf(Type element) { return element.isIndex() ? 64 : element.getIntOrFloatBitWidth(); }

/// Says how an operand is staged in a buffer of at most `longest` times the width. Fails if
/// fewer than `fewest` iterations share an element or no reduction reads it.
std::optional<Staging> describe(linalg::GenericOp op, OpOperand *operand, unsigned along, int64_t longest,
                                int64_t fewest) {
  Staging staging;
  staging.operand = operand->getOperandNumber();
  staging.along = along;
  AffineMap map = op.getMatchingIndexingMap(operand);
  SmallVector<int64_t> sizes = op.getStaticLoopRanges();
  auto iterators = op.getIteratorTypesArray();
  int64_t sharing = 1, column = 1;
  for (unsigned loop = 0; loop < op.getNumLoops(); ++loop) {
    if (loop == along)
      continue;
    bool isReduction = iterators[loop] == utils::IteratorType::reduction;
    if (!map.isFunctionOfDim(loop)) {
      if (!isReduction) {
        staging.sharing.push_back(loop);
        sharing *= ShapedType::isDynamic(sizes[loop]) ? fewest : sizes[loop];
      }
      continue;
    }
    (isReduction ? staging.reductions : staging.outer).push_back(loop);
    if (!isReduction)
      continue;
    // The longest reduction is done in pieces if the column is too long.
    if (ShapedType::isDynamic(sizes[loop])) {
      if (staging.pieced >= 0 && ShapedType::isDynamic(sizes[staging.pieced]))
        return std::nullopt;
      staging.pieced = loop;
    } else {
      column *= std::max<int64_t>(sizes[loop], 1);
      if (staging.pieced < 0 || (!ShapedType::isDynamic(sizes[staging.pieced]) &&
                                 sizes[loop] > sizes[staging.pieced]))
        staging.pieced = loop;
    }
  }
  if (sharing < fewest || staging.reductions.empty())
    return std::nullopt;
  int64_t size = sizes[staging.pieced];
  if (!ShapedType::isDynamic(size) && column <= longest) {
    staging.pieced = -1;
  } else {
    int64_t rest = ShapedType::isDynamic(size) ? column : column / size;
    staging.piece = llvm::bit_floor(uint64_t(longest / rest));
    if (staging.piece * rest < kShortestColumn)
      return std::nullopt;
  }
  return staging;
}

/// How many bytes the steps of the operand's innermost reduction lie apart in memory.
int64_t bytesApart(linalg::GenericOp op, const Staging &staging) {
  AffineMap map = op.getIndexingMapsArray()[staging.operand];
  unsigned dim = *map.getResultPosition(getAffineDimExpr(staging.reductions.back(), op.getContext()));
  auto type = cast<MemRefType>(op->getOperand(staging.operand).getType());
  SmallVector<int64_t> strides;
  int64_t offset;
  if (failed(type.getStridesAndOffset(strides, offset)))
    return 0;
  return ShapedType::isDynamic(strides[dim]) ? ShapedType::kDynamic : strides[dim] * bitsOf(type.getElementType()) / 8;
}

/// The operand's reductions are known to go so far that no cache keeps what they read for the
/// next rows; staged in pieces it is kept.
bool spansFar(linalg::GenericOp op, const Staging &staging, const VectorTarget &target) {
  int64_t bytes = bytesApart(op, staging);
  for (unsigned loop : staging.reductions) {
    int64_t size = op.getStaticLoopRanges()[loop];
    if (ShapedType::isDynamic(size) || bytes <= 0)
      return false;
    bytes *= size;
  }
  return staging.pieced >= 0 && bytes >= target.farBytes;
}

/// The loop of the lanes along the output; nothing if the op is of no form that is staged.
std::optional<unsigned> findLanes(linalg::GenericOp op) {
  if (!op.hasPureBufferSemantics() || op.getNumDpsInits() != 1 || op.hasIndexSemantics() ||
      op.getNumReductionLoops() == 0)
    return std::nullopt;
  AffineMap out = op.getMatchingIndexingMap(op.getDpsInitOperand(0));
  if (out.getNumResults() == 0 || !out.isProjectedPermutation())
    return std::nullopt;
  unsigned lanes = cast<AffineDimExpr>(out.getResults().back()).getPosition();
  int64_t size = op.getStaticLoopRanges()[lanes];
  if (!ShapedType::isDynamic(size) && size < 8)
    return std::nullopt;
  return lanes;
}

/// An operand that moves with the lanes and that they cannot follow, or from far.
std::optional<Staging> findColumns(linalg::GenericOp op, int64_t lanes, const VectorTarget &target) {
  OpOperand *found = nullptr;
  bool followed = false;
  for (OpOperand *operand : op.getDpsInputOperands()) {
    AffineMap map = op.getMatchingIndexingMap(operand);
    if (!isa<MemRefType>(operand->get().getType()) || !map.isFunctionOfDim(lanes))
      continue;
    // Lanes can follow along the last dimension.
    auto last = dyn_cast<AffineDimExpr>(map.getResults().back());
    bool elsewhere = llvm::any_of(map.getResults().drop_back(),
                                  [&](AffineExpr expr) { return expr.isFunctionOfDim(lanes); });
    bool follows = last && last.getPosition() == lanes && !elsewhere;
    if (follows && (found || !map.isProjectedPermutation()))
      continue;
    if ((found && !followed) || !map.isProjectedPermutation())
      return std::nullopt;
    found = operand;
    followed = follows;
  }
  if (!found)
    return std::nullopt;
  auto staging = describe(op, found, lanes, kLongestColumn, kFewestRows);
  if (!staging)
    return std::nullopt;
  SmallVector<int64_t> sizes = op.getStaticLoopRanges();
  int64_t apart = bytesApart(op, *staging);
  if (followed && !spansFar(op, *staging, target) &&
      ((!ShapedType::isDynamic(apart) && apart < 16 * target.stageRows) ||
       !staging->require(staging->sharing, sizes, target.stageRows) ||
       !staging->require(staging->reductions, sizes, target.stageRows)))
    return std::nullopt;
  int64_t bits = bitsOf(cast<MemRefType>(op.getDpsInits().front().getType()).getElementType());
  staging->width = 2 * target.vectorBits / std::max<int64_t>(bits, 8);
  return staging;
}

/// An operand that is the same for all lanes and lies along rows of the output, and whose
/// reductions go so far that no cache keeps them.
std::optional<Staging> findRows(linalg::GenericOp op, unsigned lanes, const VectorTarget &target) {
  SmallVector<int64_t> sizes = op.getStaticLoopRanges();
  for (OpOperand *operand : op.getDpsInputOperands()) {
    AffineMap map = op.getMatchingIndexingMap(operand);
    if (!isa<MemRefType>(operand->get().getType()) || map.isFunctionOfDim(lanes) ||
        !map.isProjectedPermutation() || map.getNumResults() == 0)
      continue;
    unsigned rows = cast<AffineDimExpr>(map.getResults().back()).getPosition();
    if (op.getIteratorTypesArray()[rows] == utils::IteratorType::reduction)
      continue;
    int64_t bits = std::max<int64_t>(bitsOf(getElementTypeOrSelf(operand->get())), 32);
    auto staging = describe(op, operand, rows, kLongestRow * 32 / bits, kFewestColumns);
    int64_t apart = staging ? bytesApart(op, *staging) : 0;
    if (apart <= 0 || !staging->require(rows, sizes, kFewestRows) ||
        !staging->require(staging->sharing, sizes, kFewestColumns) ||
        !staging->require(staging->reductions, sizes, llvm::divideCeil(target.farBytes, apart)))
      continue;
    staging->width = kRows;
    return staging;
  }
  return std::nullopt;
}

class Stager : OpTiler {
public:
  Stager(RewriterBase &b, linalg::GenericOp op, const Staging &staging) : OpTiler(b, op), staging(staging) {
    for (unsigned loop : staging.outer)
      tiles[loop] = 1;
    tiles[staging.along] = staging.width;
    if (staging.pieced >= 0)
      tiles[staging.pieced] = staging.piece;
  }

  /// Writes everything at the builder's position. `epilogue` may be null.
  SmallVector<linalg::GenericOp> run(ArrayRef<Operation *> fills, linalg::GenericOp epilogue,
                                     ArrayRef<unsigned> epilogueLoops) {
    findBounds();
    if (staging.conditions.empty())
      return runStaged(fills, epilogue, epilogueLoops);
    auto choice = scf::IfOp::create(b, loc, pays(), /*withElseRegion=*/true);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPoint(choice.thenYield());
    SmallVector<linalg::GenericOp> results = runStaged(fills, epilogue, epilogueLoops);
    b.setInsertionPoint(choice.elseYield());
    for (Operation *fill : fills)
      b.clone(*fill);
    results.push_back(cast<linalg::GenericOp>(b.clone(*op)));
    if (epilogue)
      results.push_back(cast<linalg::GenericOp>(b.clone(*epilogue)));
    return results;
  }

private:
  /// The conditions that are asked when the code runs.
  Value pays() {
    Value all;
    for (auto &[loops, limit] : staging.conditions) {
      Value product;
      for (unsigned loop : loops) {
        Value size = getValueOrCreateConstantIndexOp(b, loc, bounds[loop]);
        product = product ? arith::MulIOp::create(b, loc, product, size).getResult() : size;
      }
      Value holds = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::sge, product,
                                          arith::ConstantIndexOp::create(b, loc, limit));
      all = all ? arith::AndIOp::create(b, loc, all, holds).getResult() : holds;
    }
    return all;
  }

  SmallVector<linalg::GenericOp> runStaged(ArrayRef<Operation *> fills, linalg::GenericOp epilogue,
                                           ArrayRef<unsigned> epilogueLoops) {
    OpBuilder::InsertionGuard guard(b);
    bool whole = staging.pieced < 0;
    if (!whole)
      for (Operation *fill : fills)
        b.clone(*fill);
    scf::ForOp outermost;
    for (unsigned loop = 0; loop < op.getNumLoops(); ++loop) {
      if (!tiles[loop])
        continue;
      scf::ForOp body = open(loop);
      if (!outermost)
        outermost = body;
    }
    SmallVector<Value> operands = tile(op, ownLoops());
    SmallVector<linalg::GenericOp> results = {stageOperand(operands)};
    if (whole)
      for (Operation *fill : fills)
        linalg::FillOp::create(b, loc, fill->getOperand(0), operands.back());
    results.push_back(clone(op, operands));
    SmallVector<AffineMap> maps = op.getIndexingMapsArray();
    maps[staging.operand] = bufferMap();
    results.back().setIndexingMapsAttr(b.getAffineMapArrayAttr(maps));
    if (epilogue && whole) {
      results.push_back(clone(epilogue, tile(epilogue, epilogueLoops)));
    } else if (epilogue) {
      b.setInsertionPointAfter(outermost);
      results.push_back(cast<linalg::GenericOp>(b.clone(*epilogue)));
    }
    return results;
  }

  /// From the op's loops to the buffer: reductions, then lanes or rows.
  AffineMap bufferMap() {
    SmallVector<AffineExpr> exprs;
    for (unsigned loop : staging.reductions)
      exprs.push_back(b.getAffineDimExpr(loop));
    exprs.push_back(b.getAffineDimExpr(staging.along));
    return AffineMap::get(op.getNumLoops(), 0, exprs, b.getContext());
  }

  /// Copies the tile of the operand into a buffer, and puts this into `operands`.
  linalg::GenericOp stageOperand(SmallVector<Value> &operands) {
    Value source = operands[staging.operand];
    AffineMap from = op.getIndexingMapsArray()[staging.operand], to = bufferMap();
    SmallVector<int64_t> shape, sizes = op.getStaticLoopRanges();
    SmallVector<OpFoldResult> used;
    for (AffineExpr expr : to.getResults()) {
      unsigned loop = cast<AffineDimExpr>(expr).getPosition();
      shape.push_back(tiles[loop] ? tiles[loop] : sizes[loop]);
      used.push_back(memref::getMixedSize(b, loc, source, *from.getResultPosition(expr)));
    }
    Value buffer;
    {
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToStart(entryOfThread(op));
      auto element = cast<MemRefType>(source.getType()).getElementType();
      buffer = memref::AllocaOp::create(b, loc, MemRefType::get(shape, element),
                                        b.getI64IntegerAttr(64));
    }
    unsigned rank = shape.size();
    SmallVector<OpFoldResult> zeros(rank, b.getIndexAttr(0)), ones(rank, b.getIndexAttr(1));
    Value target = memref::SubViewOp::create(b, loc, buffer, zeros, used, ones);
    // The copy's loops are the buffer's dimensions; others of the operand have size 1.
    SmallVector<AffineExpr> exprs;
    for (AffineExpr expr : from.getResults()) {
      auto position = to.getResultPosition(expr);
      exprs.push_back(position ? b.getAffineDimExpr(*position) : b.getAffineConstantExpr(0));
    }
    operands[staging.operand] = target;
    return linalg::GenericOp::create(
        b, loc, source, target,
        ArrayRef<AffineMap>{AffineMap::get(rank, 0, exprs, b.getContext()),
                            b.getMultiDimIdentityMap(rank)},
        SmallVector<utils::IteratorType>(rank, utils::IteratorType::parallel),
        [](OpBuilder &inner, Location at, ValueRange elements) {
          linalg::YieldOp::create(inner, at, elements[0]);
        });
  }

  const Staging &staging;
};

} // namespace

Block *nacre::tile::entryOfThread(Operation *op) {
  while (!isa<FunctionOpInterface, nacre::rt::ParallelOp>(op->getParentOp()))
    op = op->getParentOp();
  return &op->getParentRegion()->front();
}

Staged nacre::tile::stageOperands(RewriterBase &rewriter, linalg::GenericOp op,
                                  ArrayRef<Operation *> fills, linalg::GenericOp epilogue,
                                  const VectorTarget &target, StagedPart part) {
  std::optional<unsigned> lanes = findLanes(op);
  if (!lanes)
    return {};
  std::optional<Staging> staging =
      part == StagedPart::Rows ? findRows(op, *lanes, target) : findColumns(op, *lanes, target);
  if (!staging)
    return {};
  SmallVector<unsigned> loops;
  if (epilogue) {
    loops = matchEpilogueLoops(op, epilogue);
    if (loops.size() != epilogue.getNumLoops() || epilogue.hasIndexSemantics())
      epilogue = nullptr;
  }
  Stager stager(rewriter, op, *staging);
  OpBuilder::InsertionGuard guard(rewriter);
  rewriter.setInsertionPoint(epilogue ? epilogue : op);
  Staged staged = {stager.run(fills, epilogue, loops), epilogue};
  for (Operation *fill : fills)
    rewriter.eraseOp(fill);
  if (epilogue)
    rewriter.eraseOp(epilogue);
  rewriter.eraseOp(op);
  return staged;
}
