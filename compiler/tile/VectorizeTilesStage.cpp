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
// take a page each, so that every block of rows m would fetch them from far again.
// Rows of the other operand that move far with each step of the reduction, a(k, m), are
// moved into a second buffer, 128 at a time, once for all columns. Each of their lines would
// else be fetched for 8 rows and be gone before the next 8, as they share few sets:
//
//   for k0 in pieces:
//     rows(k, m) = a(k0 + k, m)
//     for n0 in steps of two vectors: as above, with rows
//
// Where sizes are not known, the loops ask for them:
//
//   if m and k are large: as above
//   else:                 c(m, n) += a(m, k) * b(k, n)
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

/// Iterations that must share an element before moving it pays.
constexpr int64_t kFewestRows = 16;
/// The buffer holds at most so many elements for each lane; fewer where rows are staged too,
/// which then stay in the first-level cache.
constexpr int64_t kLongestColumn = 1024, kLongestWithRows = 256;
/// Rows pay to stage that are so far apart, if they are read for so many columns; so many at
/// a time, which are padded for not to share sets of the cache.
constexpr int64_t kScatteredBytes = 512, kFewestColumns = 32, kFewestSteps = 64, kStagedRows = 128, kRowPadding = 16;

struct Staging {
  unsigned operand;
  /// Loops of the op: the lanes along the output, the reductions that the operand moves
  /// with, and the parallel loops that it moves with besides the lanes.
  unsigned lanes;
  SmallVector<unsigned> reductions, outer;
  /// The reduction that is done in pieces, and their size. -1: the whole is staged.
  int pieced = -1;
  int64_t piece = 0;
  /// An operand whose rows are staged besides, and the loop of the op along them. -1: none.
  int rowsOperand = -1;
  unsigned rows = 0;
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

/// How many bytes a memref's dimension `dim` is from one index to the next.
int64_t bytesApart(MemRefType type, unsigned dim) {
  SmallVector<int64_t> strides;
  int64_t offset;
  if (failed(type.getStridesAndOffset(strides, offset)))
    return 0;
  Type element = type.getElementType();
  int64_t bits = element.isIndex() ? 64 : element.getIntOrFloatBitWidth();
  return ShapedType::isDynamic(strides[dim]) ? ShapedType::kDynamic : strides[dim] * bits / 8;
}

/// Looks for an input with rows to stage: it is contiguous along a parallel loop that the
/// staged operand does not move with, and its elements for consecutive steps of the
/// reduction are far apart.
void findRows(linalg::GenericOp op, ArrayRef<unsigned> sharing, Staging &staging) {
  SmallVector<int64_t> sizes = op.getStaticLoopRanges();
  if (op.getNumDpsInputs() != 2 || staging.reductions.size() != op.getNumReductionLoops())
    return;
  int64_t steps = 1;
  for (unsigned loop : staging.reductions)
    steps *= ShapedType::isDynamic(sizes[loop]) ? kFewestSteps : sizes[loop];
  if (steps < kFewestSteps || (!ShapedType::isDynamic(sizes[staging.lanes]) && sizes[staging.lanes] < kFewestColumns))
    return;
  for (OpOperand *operand : op.getDpsInputOperands()) {
    auto type = dyn_cast<MemRefType>(operand->get().getType());
    AffineMap map = op.getMatchingIndexingMap(operand);
    if (!type || operand->getOperandNumber() == staging.operand || !map.isProjectedPermutation())
      continue;
    unsigned last = cast<AffineDimExpr>(map.getResults().back()).getPosition();
    bool moves = llvm::all_of(map.getResults(), [&](AffineExpr expr) {
      unsigned loop = cast<AffineDimExpr>(expr).getPosition();
      return loop == last || llvm::is_contained(staging.reductions, loop) || llvm::is_contained(staging.outer, loop);
    });
    auto dim = map.getResultPosition(getAffineDimExpr(staging.reductions.back(), op.getContext()));
    if (!llvm::is_contained(sharing, last) || !moves || !dim ||
        (!ShapedType::isDynamic(sizes[last]) && sizes[last] < kFewestRows))
      continue;
    int64_t apart = bytesApart(type, *dim);
    if (!ShapedType::isDynamic(apart) && apart < kScatteredBytes)
      continue;
    staging.rowsOperand = operand->getOperandNumber();
    staging.rows = last;
  }
}

std::optional<Staging> findStaging(linalg::GenericOp op, int64_t manyRows) {
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
  if (!atLeast(staging.lanes, 8) || op.getNumReductionLoops() == 0)
    return std::nullopt;
  OpOperand *found = nullptr;
  bool followed = false;
  for (OpOperand *operand : op.getDpsInputOperands()) {
    AffineMap map = op.getMatchingIndexingMap(operand);
    if (!isa<MemRefType>(operand->get().getType()) || !map.isFunctionOfDim(staging.lanes))
      continue;
    // Lanes can follow along the last dimension.
    auto last = dyn_cast<AffineDimExpr>(map.getResults().back());
    bool elsewhere = llvm::any_of(map.getResults().drop_back(), [&](AffineExpr expr) {
      return expr.isFunctionOfDim(staging.lanes);
    });
    bool follows = last && last.getPosition() == staging.lanes && !elsewhere;
    if (follows && (found || !map.isProjectedPermutation()))
      continue;
    if ((found && !followed) || !map.isProjectedPermutation())
      return std::nullopt;
    found = operand;
    followed = follows;
  }
  if (!found)
    return std::nullopt;
  staging.operand = found->getOperandNumber();
  AffineMap map = op.getMatchingIndexingMap(found);
  SmallVector<unsigned> sharing;
  int64_t rows = 1, column = 1;
  for (unsigned loop = 0; loop < op.getNumLoops(); ++loop) {
    if (loop == staging.lanes)
      continue;
    bool isReduction = iterators[loop] == utils::IteratorType::reduction;
    if (!map.isFunctionOfDim(loop)) {
      if (!isReduction) {
        sharing.push_back(loop);
        rows *= ShapedType::isDynamic(sizes[loop]) ? kFewestRows : sizes[loop];
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
  if (rows < kFewestRows || staging.reductions.empty())
    return std::nullopt;
  int64_t size = sizes[staging.pieced];
  findRows(op, sharing, staging);
  int64_t longest = staging.rowsOperand >= 0 ? kLongestWithRows : kLongestColumn;
  if (!ShapedType::isDynamic(size) && column <= longest) {
    staging.pieced = -1;
  } else {
    int64_t rest = ShapedType::isDynamic(size) ? column : column / size;
    staging.piece = llvm::bit_floor(uint64_t(longest / rest));
    if (staging.piece < 8)
      return std::nullopt;
  }
  if (staging.rowsOperand >= 0) {
    if (!staging.require({staging.rows}, sizes, kFewestRows) || !staging.require({staging.lanes}, sizes, kFewestColumns) ||
        !staging.require(staging.reductions, sizes, kFewestSteps))
      return std::nullopt;
  } else if (followed) {
    unsigned dim = *map.getResultPosition(getAffineDimExpr(staging.reductions.back(), op.getContext()));
    int64_t apart = bytesApart(cast<MemRefType>(found->get().getType()), dim);
    if ((!ShapedType::isDynamic(apart) && apart < 8 * manyRows) ||
        !staging.require(sharing, sizes, manyRows) ||
        !staging.require(staging.reductions, sizes, manyRows / 2))
      return std::nullopt;
  }
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
    for (unsigned loop : staging.outer)
      tiles[loop] = 1;
    tiles[staging.lanes] = lanes;
    if (staging.pieced >= 0)
      tiles[staging.pieced] = staging.piece;
    if (int64_t rows = op.getStaticLoopRanges()[staging.rows];
        staging.rowsOperand >= 0 && (ShapedType::isDynamic(rows) || rows > kStagedRows))
      tiles[staging.rows] = kStagedRows;
  }

  /// Writes everything at the builder's position. `epilogue` may be null.
  SmallVector<linalg::GenericOp> run(ArrayRef<Operation *> fills, linalg::GenericOp epilogue,
                                     ArrayRef<unsigned> epilogueLoops) {
    for (Range range : cast<linalg::LinalgOp>(op.getOperation()).createLoopRanges(b, loc))
      bounds.push_back(range.size);
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
    ivs.resize(op.getNumLoops());
    Value zero = arith::ConstantIndexOp::create(b, loc, 0);
    scf::ForOp outermost;
    SmallVector<unsigned> order;
    for (unsigned loop = 0; loop < op.getNumLoops(); ++loop)
      if (tiles[loop] && (loop != staging.lanes || staging.rowsOperand < 0))
        order.push_back(loop);
    if (staging.rowsOperand >= 0)
      order.push_back(staging.lanes);
    SmallVector<unsigned> identity(op.getNumLoops());
    std::iota(identity.begin(), identity.end(), 0);
    SmallVector<linalg::GenericOp> results;
    SmallVector<AffineMap> maps = op.getIndexingMapsArray();
    Value rows;
    for (unsigned loop : order) {
      if (loop == staging.lanes && staging.rowsOperand >= 0) {
        int64_t lanes = std::exchange(tiles[staging.lanes], 0); // all columns, still
        SmallVector<Value> operands = tile(op, identity);
        tiles[staging.lanes] = lanes;
        maps[staging.rowsOperand] = bufferMap(staging.rows);
        results.push_back(stageOperand(operands[staging.rowsOperand], op.getIndexingMapsArray()[staging.rowsOperand],
                                       maps[staging.rowsOperand], kRowPadding, rows));
      }
      auto body = scf::ForOp::create(b, loc, zero,
                                     getValueOrCreateConstantIndexOp(b, loc, bounds[loop]),
                                     arith::ConstantIndexOp::create(b, loc, tiles[loop]));
      if (!outermost)
        outermost = body;
      b.setInsertionPointToStart(body.getBody());
      ivs[loop] = body.getInductionVar();
    }
    SmallVector<Value> operands = tile(op, identity);
    maps[staging.operand] = bufferMap(staging.lanes);
    Value source = operands[staging.operand];
    results.push_back(stageOperand(source, op.getIndexingMapsArray()[staging.operand], maps[staging.operand],
                                   /*padding=*/0, operands[staging.operand]));
    if (rows)
      operands[staging.rowsOperand] = rows;
    if (whole)
      for (Operation *fill : fills)
        linalg::FillOp::create(b, loc, fill->getOperand(0), operands.back());
    results.push_back(clone(op, operands));
    results.back().setIndexingMapsAttr(b.getAffineMapArrayAttr(maps));
    if (epilogue && whole) {
      results.push_back(clone(epilogue, tile(epilogue, epilogueLoops)));
    } else if (epilogue) {
      b.setInsertionPointAfter(outermost);
      results.push_back(cast<linalg::GenericOp>(b.clone(*epilogue)));
    }
    return results;
  }

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

  /// From the op's loops to a buffer: reductions, then the loop along which it is contiguous.
  AffineMap bufferMap(unsigned last) {
    SmallVector<AffineExpr> exprs;
    for (unsigned loop : staging.reductions)
      exprs.push_back(b.getAffineDimExpr(loop));
    exprs.push_back(b.getAffineDimExpr(last));
    return AffineMap::get(op.getNumLoops(), 0, exprs, b.getContext());
  }

  /// Copies a tile into a buffer, which goes to `target`. `from` and `to` map the op's loops to
  /// both; the buffer's rows are `padding` elements longer than it needs.
  linalg::GenericOp stageOperand(Value source, AffineMap from, AffineMap to, int64_t padding, Value &target) {
    SmallVector<int64_t> shape, sizes = op.getStaticLoopRanges();
    SmallVector<OpFoldResult> used;
    for (AffineExpr expr : to.getResults()) {
      unsigned loop = cast<AffineDimExpr>(expr).getPosition();
      shape.push_back(tiles[loop] ? tiles[loop] : sizes[loop]);
      used.push_back(memref::getMixedSize(b, loc, source, *from.getResultPosition(expr)));
    }
    shape.back() += padding;
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
    target = memref::SubViewOp::create(b, loc, buffer, zeros, used, ones);
    // The copy's loops are the buffer's dimensions; others of the operand have size 1.
    SmallVector<AffineExpr> exprs;
    for (AffineExpr expr : from.getResults()) {
      auto position = to.getResultPosition(expr);
      exprs.push_back(position ? b.getAffineDimExpr(*position) : b.getAffineConstantExpr(0));
    }
    return linalg::GenericOp::create(
        b, loc, source, target,
        ArrayRef<AffineMap>{AffineMap::get(rank, 0, exprs, b.getContext()),
                            b.getMultiDimIdentityMap(rank)},
        SmallVector<utils::IteratorType>(rank, utils::IteratorType::parallel),
        [](OpBuilder &inner, Location at, ValueRange elements) {
          linalg::YieldOp::create(inner, at, elements[0]);
        });
  }

  RewriterBase &b;
  Location loc;
  linalg::GenericOp op;
  const Staging &staging;
  SmallVector<int64_t> tiles;
  SmallVector<OpFoldResult> bounds;
  SmallVector<Value> ivs;
};

} // namespace

Staged nacre::tile::stageOperands(RewriterBase &rewriter, linalg::GenericOp op,
                                  ArrayRef<Operation *> fills, linalg::GenericOp epilogue,
                                  const VectorTarget &target) {
  std::optional<Staging> staging = findStaging(op, target.stageRows);
  if (!staging)
    return {};
  SmallVector<unsigned> loops;
  if (epilogue) {
    loops = matchEpilogueLoops(op, epilogue);
    if (loops.size() != epilogue.getNumLoops() || epilogue.hasIndexSemantics())
      epilogue = nullptr;
  }
  Type element = cast<MemRefType>(op.getDpsInits().front().getType()).getElementType();
  unsigned bits = element.isIndex() ? 64 : element.getIntOrFloatBitWidth();
  Stager stager(rewriter, op, *staging, 2 * target.vectorBits / std::max(bits, 8u));
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
