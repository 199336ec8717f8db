//===- ChooseTiles.cpp - Decide a kernel's tile sizes -----------*- C++ -*-===//
//
// Before: kern.func @matmul(...)
// After:  kern.func @matmul(...) attributes {tiling = #kern.tiling<[64, 64, 0]>}
//
// Precondition: a kernel of structured ops on tensors.
// Postcondition: `tiling` is set if the kernel should be tiled; `kern.choices` tells of other tiles, if
// they are asked for.
//
//===----------------------------------------------------------------------===//
#include "compiler/support/Remarks.h"
#include "compiler/tile/Choices.h"
#include "compiler/tile/InPlaceUpdate.h"
#include "compiler/tile/Passes.h"
#include "compiler/tile/RootOp.h"
#include "compiler/tile/TileSpace.h"
#include "compiler/tile/VectorizeTiles.h"
#include "compiler/tile/Winograd.h"
#include "dialects/kern/KernOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Interfaces/DataLayoutInterfaces.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SetVector.h"
#include <cmath>
#include <numeric>

namespace nacre::tile {
#define GEN_PASS_DEF_CHOOSETILESPASS
#include "compiler/tile/Passes.h.inc"
} // namespace nacre::tile

using namespace mlir;
using namespace nacre;

namespace {

/// A size that is not known at compile time is taken for this one.
constexpr int64_t kAssumedDynamicSize = 128;

int64_t assume(int64_t size) { return ShapedType::isDynamic(size) ? kAssumedDynamicSize : size; }

/// For each dimension of a value: the root loop that runs along it (-1: none), and
/// whether some reduction runs along it.
struct DimUse {
  int64_t loop = -1;
  bool reduced = false;
};

/// Follows the root's loops through the kernel's producers.
class LoopTracer {
public:
  explicit LoopTracer(linalg::LinalgOp root) : fixed(root.getNumLoops()) {
    SmallVector<int64_t> loops(root.getNumLoops());
    for (auto [i, loop] : llvm::enumerate(loops))
      loop = i;
    visit(root, loops);
  }

  /// Loops that must not be tiled: a reduction would be repeated in every tile.
  ArrayRef<bool> getFixedLoops() const { return fixed; }
  /// Loops that run along the last dimension of a tensor from memory which the root's innermost
  /// loop crosses: the tensor is transposed on the way.
  SmallVector<int64_t> getTransposedLoops(int64_t innermost) const {
    llvm::SmallSetVector<int64_t, 2> loops;
    for (auto &[value, dims] : uses) {
      bool isComputed = isa_and_present<linalg::LinalgOp>(value.getDefiningOp());
      bool crosses = !dims.empty() && llvm::any_of(ArrayRef(dims).drop_back(), [&](DimUse dim) { return dim.loop == innermost; });
      if (!isComputed && crosses && dims.back().loop >= 0 && dims.back().loop != innermost)
        loops.insert(dims.back().loop);
    }
    SmallVector<int64_t> sorted(loops.begin(), loops.end());
    llvm::sort(sorted);
    return sorted;
  }
  /// All structured ops that the root depends on, itself included.
  ArrayRef<Operation *> getOps() const { return ops.getArrayRef(); }
  /// The parallel loops of an op that no loop of the root runs along: what they compute is summed for the root.
  SmallVector<unsigned> getSummedLoops(linalg::LinalgOp op) const {
    SmallVector<unsigned> summed;
    for (auto [loop, rootLoop, iterator] : llvm::enumerate(rootLoopsOf.at(op), op.getIteratorTypesArray()))
      if (rootLoop < 0 && iterator == utils::IteratorType::parallel)
        summed.push_back(loop);
    return summed;
  }

private:
  void visit(linalg::LinalgOp op, ArrayRef<int64_t> rootLoops) {
    ops.insert(op);
    rootLoopsOf[op].assign(rootLoops.begin(), rootLoops.end());
    auto iterators = op.getIteratorTypesArray();
    for (OpOperand &operand : op->getOpOperands()) {
      AffineMap map = op.getMatchingIndexingMap(&operand);
      auto &dims = uses[operand.get()];
      dims.resize(map.getNumResults());
      SmallVector<int64_t> loops(map.getNumResults(), -1);
      for (auto [i, expr] : llvm::enumerate(map.getResults()))
        expr.walk([&, i = i](AffineExpr inner) {
          auto dim = dyn_cast<AffineDimExpr>(inner);
          if (!dim)
            return;
          bool reduction = iterators[dim.getPosition()] == utils::IteratorType::reduction;
          int64_t loop = reduction ? -1 : rootLoops[dim.getPosition()];
          // A window (d0 + d1) is tiled along d0 and may overlap: not a repetition.
          bool isPlain = isa<AffineDimExpr>(expr);
          if (loop >= 0) {
            if (dims[i].reduced)
              fixed[loop] = true;
            dims[i].loop = loop;
            loops[i] = loop;
          } else if (reduction && isPlain) {
            dims[i].reduced = true;
            if (dims[i].loop >= 0)
              fixed[dims[i].loop] = true;
          }
        });
      auto result = dyn_cast<OpResult>(operand.get());
      auto producer = result ? dyn_cast<linalg::LinalgOp>(result.getOwner()) : nullptr;
      if (!producer)
        continue;
      AffineMap out = producer.getIndexingMapMatchingResult(result);
      SmallVector<int64_t> producerLoops(producer.getNumLoops(), -1);
      for (auto [expr, loop] : llvm::zip(out.getResults(), loops))
        if (auto dim = dyn_cast<AffineDimExpr>(expr))
          producerLoops[dim.getPosition()] = loop;
      visit(producer, producerLoops);
    }
  }

  SmallVector<bool> fixed;
  llvm::SetVector<Operation *> ops;
  llvm::DenseMap<Operation *, SmallVector<int64_t>> rootLoopsOf;
  llvm::DenseMap<Value, SmallVector<DimUse>> uses;
};

/// Bytes of an operand that the given number of iterations of each loop touch.
int64_t getFootprint(linalg::LinalgOp op, OpOperand &operand, ArrayRef<int64_t> sizes) {
  auto type = cast<RankedTensorType>(operand.get().getType());
  AffineMap map = op.getMatchingIndexingMap(&operand);
  int64_t elements = 1;
  for (AffineExpr expr : map.getResults()) {
    // The extent of an affine expression: the sum of its terms' extents; of a window with strides
    // no more than what is read.
    int64_t extent = 1, read = 1;
    SmallVector<int64_t> coefficients;
    for (unsigned dim = 0; dim < map.getNumDims(); ++dim)
      if (expr.isFunctionOfDim(dim)) {
        int64_t scale = 1;
        expr.walk([&](AffineExpr inner) {
          auto product = dyn_cast<AffineBinaryOpExpr>(inner);
          if (product && product.getKind() == AffineExprKind::Mul &&
              product.getLHS().isFunctionOfDim(dim))
            if (auto constant = dyn_cast<AffineConstantExpr>(product.getRHS()))
              scale = constant.getValue();
        });
        extent += scale * (sizes[dim] - 1);
        read *= sizes[dim];
      }
    elements *= std::min(extent, read);
  }
  return elements * static_cast<int64_t>(DataLayout().getTypeSize(type.getElementType()));
}

/// Some input is read along the columns for every row again, and is not packed: its
/// columns are moved into a buffer once for each tile (VectorizeTilesStage.cpp) if they
/// are long.
bool readsColumnsInPlace(linalg::LinalgOp op, unsigned columns, unsigned rows) {
  constexpr int64_t kLongColumn = 128;
  int64_t steps = 1;
  for (auto [size, iterator] : llvm::zip(op.getStaticLoopRanges(), op.getIteratorTypesArray()))
    if (iterator == utils::IteratorType::reduction)
      steps *= assume(size);
  return steps >= kLongColumn && llvm::any_of(op.getDpsInputOperands(), [&](OpOperand *operand) {
    AffineMap map = op.getMatchingIndexingMap(operand);
    return map.isProjectedPermutation() && map.isFunctionOfDim(columns) &&
           !map.isFunctionOfDim(rows);
  });
}

/// Some input lies along the rows, is read for every column again, and its reduction spans
/// `farBytes`: its rows are moved into a buffer once for each tile (VectorizeTilesStage.cpp).
bool readsRowsFromFar(linalg::LinalgOp op, unsigned columns, unsigned rows, int64_t farBytes) {
  return llvm::any_of(op.getDpsInputOperands(), [&](OpOperand *operand) {
    AffineMap map = op.getMatchingIndexingMap(operand);
    auto type = dyn_cast<RankedTensorType>(operand->get().getType());
    return type && map.isProjectedPermutation() && type.getRank() > 1 && !map.isFunctionOfDim(columns) &&
           map.getResults().back() == getAffineDimExpr(rows, op.getContext()) &&
           assume(type.getShape().end()[-2]) * assume(type.getShape().back()) *
                   int64_t(DataLayout().getTypeSize(type.getElementType())) >= farBytes;
  });
}

/// All that is read moves along the columns, as in a depthwise convolution: no row of
/// registers is shared by them.
bool movesAlongColumns(linalg::LinalgOp op, unsigned columns) {
  return llvm::all_of(op.getDpsInputOperands(), [&](OpOperand *operand) {
    return op.getMatchingIndexingMap(operand).isFunctionOfDim(columns);
  });
}

/// A divisor of `size` at most `limit`, if one is not much smaller; else the limit.
int64_t divide(int64_t size, int64_t limit) {
  if (size <= limit)
    return size;
  for (int64_t divisor = limit; divisor > limit / 2; --divisor)
    if (size % divisor == 0)
      return divisor;
  return limit;
}

/// Elements of a line of the cache, as a rule.
constexpr int64_t kLine = 16;

struct ChooseTilesPass : tile::impl::ChooseTilesPassBase<ChooseTilesPass> {
  using Base::Base;

  void runOnOperation() override {
    kern::FuncOp func = getOperation();
    if (func.getTilingAttr())
      return;
    if (auto winograd = findWinograd(func)) {
      func.setTilingAttr(kern::TilingAttr::get(&getContext(), tileWinograd(func, winograd), /*grain=*/1));
      return;
    }
    auto root = dyn_cast_or_null<linalg::LinalgOp>(tile::getRootOp(func).getOperation());
    if (!root || root.getNumLoops() == 0 || tile::getInPlaceUpdate(func)) // BatchUpdates cuts these
      return;
    LoopTracer tracer(root);
    SmallVector<int64_t> ranges;
    for (int64_t size : root.getStaticLoopRanges())
      ranges.push_back(assume(size));

    // Scalar operations of the whole kernel, and the op that has most of them.
    int64_t work = 0, heaviest = 0;
    linalg::LinalgOp anchor = root;
    for (Operation *op : tracer.getOps()) {
      auto linalgOp = cast<linalg::LinalgOp>(op);
      int64_t iterations = 1;
      for (int64_t size : linalgOp.getStaticLoopRanges())
        iterations *= assume(size);
      int64_t bodyOps = std::max<int64_t>(1, llvm::range_size(linalgOp.getBlock()->without_terminator()));
      work += iterations * bodyOps;
      if (iterations > heaviest) {
        heaviest = iterations;
        anchor = linalgOp;
      }
    }
    auto about = aboutKernel("choose-tiles", func);
    if (work < minWork) {
      remark::missed(func.getLoc(), about)
          << remark::reason("no tiles: about {0} scalar operations, fewer than the {1} that are worth several threads", work, minWork.getValue());
      return;
    }

    bool isContraction = anchor.getNumReductionLoops() > 0 && anchor.getNumDpsInputs() >= 2;
    std::string reason;
    SmallVector<int64_t> sizes = isContraction && anchor.getNumDpsInits() == 1
                                     ? tileContraction(root, anchor, ranges, tracer, reason)
                                     : tileElements(root, ranges, tracer, reason);
    auto countTiles = [&] {
      int64_t tiles = 1;
      for (auto [size, range] : llvm::zip(sizes, ranges))
        if (size != 0)
          tiles *= llvm::divideCeil(range, size);
      return tiles;
    };
    if (countTiles() <= 1 && !llvm::any_of(root.getStaticLoopRanges(), ShapedType::isDynamic)) {
      remark::missed(func.getLoc(), about) << remark::reason("no tiles: all fits one: {0}", reason);
      return;
    }
    tile::Choice choice(func, "tiles", decisions, recordChoices);
    if (!choice.isIdle())
      sizes = decide(choice, root, tracer, sizes);
    int64_t tiles = countTiles();
    int64_t grain = std::clamp<int64_t>(minWork / 2 / std::max<int64_t>(1, work / tiles), 1,
                                        std::max<int64_t>(1, tiles / 2));
    func.setTilingAttr(kern::TilingAttr::get(&getContext(), sizes, grain));
    remark::passed(func.getLoc(), about) << remark::add("tiles of {0} of the loops {1} (0: the whole loop): {2}",
                                                        tile::toText(sizes), getLoopText(root), reason)
                                         << remark::add("; {0} tiles, {1} to a thread at least", tiles, grain);
  }

private:
  static std::string getLoopText(linalg::LinalgOp root) {
    SmallVector<std::string> sizes = llvm::map_to_vector(root.getStaticLoopRanges(), [](int64_t size) {
      return ShapedType::isDynamic(size) ? std::string("?") : std::to_string(size);
    });
    return llvm::join(sizes, "x");
  }

  static kern::WinogradOp findWinograd(kern::FuncOp func) {
    auto ops = func.getOps<kern::WinogradOp>();
    return ops.empty() ? nullptr : *ops.begin();
  }

  /// The tile that is decided for, or the model's; with those around it.
  static tile::TileSizes decide(const tile::Choice &choice, linalg::LinalgOp root, const LoopTracer &tracer,
                                ArrayRef<int64_t> chosen) {
    // Panels of packed operands, along the last parallel loop, stay whole.
    int64_t block = 1;
    for (Operation *op : tracer.getOps())
      for (AffineMap map : cast<linalg::LinalgOp>(op).getIndexingMapsArray())
        map.walkExprs([&](AffineExpr expr) {
          auto part = dyn_cast<AffineBinaryOpExpr>(expr);
          auto constant = part && part.getKind() == AffineExprKind::Mod ? dyn_cast<AffineConstantExpr>(part.getRHS()) : nullptr;
          if (constant)
            block = std::lcm(block, constant.getValue());
        });
    SmallVector<tile::TileLoop> loops;
    for (auto [size, iterator, fixed] : llvm::zip(root.getStaticLoopRanges(), root.getIteratorTypesArray(), tracer.getFixedLoops()))
      loops.push_back({size, iterator == utils::IteratorType::parallel && !fixed ? 1 : 0});
    auto last = llvm::find_if(llvm::reverse(loops), [](tile::TileLoop loop) { return loop.step != 0; });
    if (last != loops.rend())
      last->step = block;
    tile::TileSpace space(loops, chosen);
    tile::TileSizes sizes(chosen);
    if (choice.getDecision()) {
      std::optional<tile::TileSizes> decided = tile::parseTile(*choice.getDecision());
      if (decided && space.contains(*decided))
        sizes = *decided;
      else
        choice.warnOfDecision();
    }
    SmallVector<std::string> others;
    for (ArrayRef<int64_t> other : space.getNeighbours(sizes))
      others.push_back(tile::toText(other));
    choice.record(tile::toText(sizes), others);
    return sizes;
  }

  /// Whole rows of places, or several images, whose transformed values fit the second-level cache.
  SmallVector<int64_t> tileWinograd(kern::FuncOp func, kern::WinogradOp op) {
    auto result = cast<ShapedType>(op.getDestination().getType()), input = cast<ShapedType>(op.getInput().getType());
    tile::WinogradShape shape = {assumeOne(result.getDimSize(0)), result.getDimSize(1), result.getDimSize(2),
                                 input.getDimSize(3), result.getDimSize(3)};
    int64_t places = kern::getWinogradPlaces(cast<ShapedType>(op.getWeights().getType()).getDimSize(0));
    auto tile = shape.chooseTile(places, {lanes, l2Bytes});
    assert(tile && "kern.winograd has as many places as a tile");
    auto getSizes = [](tile::WinogradTile tile) { return tile::TileSizes{tile.images, tile.rows, 0, tile.columns}; };
    tile::TileSizes sizes = getSizes(*tile);
    remark::passed(op.getLoc(), aboutKernel("choose-tiles", func))
        << remark::add("tiles of {0} images, {1} rows and {2} channels: {3:f0} thousand cycles by the cost model", tile->images,
                       tile->rows, tile->columns, tile->cost / 1000);
    tile::Choice choice(func, "tiles", decisions, recordChoices);
    if (choice.isIdle())
      return sizes;
    // Those that the model thinks little worse of.
    constexpr double kUnsure = 1.3;
    constexpr size_t kMost = 8;
    std::vector<tile::WinogradTile> near = shape.getTiles(places, {lanes, l2Bytes});
    llvm::erase_if(near, [&](tile::WinogradTile other) { return other.cost > tile->cost * kUnsure; });
    llvm::stable_sort(near, [](tile::WinogradTile l, tile::WinogradTile r) { return l.cost < r.cost; });
    near.resize(std::min(near.size(), kMost));
    if (choice.getDecision()) {
      auto decided = llvm::find_if(near, [&](tile::WinogradTile other) { return tile::toText(getSizes(other)) == *choice.getDecision(); });
      if (decided != near.end())
        sizes = getSizes(*decided);
      else
        choice.warnOfDecision();
    }
    SmallVector<std::string> others;
    for (tile::WinogradTile other : near)
      if (getSizes(other) != sizes)
        others.push_back(tile::toText(getSizes(other)));
    choice.record(tile::toText(sizes), others);
    return sizes;
  }
  static int64_t assumeOne(int64_t size) { return ShapedType::isDynamic(size) ? 1 : size; }

  /// Tiles that hold about half of the first-level cache, whole inner loops first. What is
  /// transposed on the way is read in squares, so that whole lines of the cache are used.
  SmallVector<int64_t> tileElements(linalg::LinalgOp root, ArrayRef<int64_t> ranges,
                                    const LoopTracer &tracer, std::string &reason) {
    reason = ("inner loops first, as many elements as half of the first-level cache's " + Twine(l1Bytes / 1024) + " KiB hold").str();
    auto iterators = root.getIteratorTypesArray();
    int64_t volume = l1Bytes / 8;
    // What a fixed loop covers, each tile covers.
    for (auto [range, fixed] : llvm::zip(ranges, tracer.getFixedLoops()))
      if (fixed)
        volume = std::max<int64_t>(1, volume / range);
    SmallVector<int64_t> sizes(ranges.size(), 0);
    auto take = [&](int64_t i, int64_t limit) {
      if (tracer.getFixedLoops()[i] || iterators[i] != utils::IteratorType::parallel)
        return;
      sizes[i] = divide(ranges[i], limit);
      volume = std::max<int64_t>(1, volume / sizes[i]);
      if (sizes[i] == ranges[i] && !ShapedType::isDynamic(root.getStaticLoopRanges()[i]))
        sizes[i] = 0;
    };
    SmallVector<int64_t> square = tracer.getTransposedLoops(ranges.size() - 1);
    if (!square.empty())
      square.push_back(ranges.size() - 1);
    int64_t edge = llvm::bit_floor(uint64_t(std::pow(volume, 1.0 / std::max<size_t>(1, square.size()))));
    for (int64_t i : square)
      take(i, std::max<int64_t>(edge, kLine));
    for (int64_t i = ranges.size() - 1; i >= 0; --i)
      if (!llvm::is_contained(square, i))
        take(i, volume);
    return sizes;
  }

  /// Panels of 64 columns or so; as many rows as keep the other input in three quarters of the second-
  /// level cache, or as many as make up for moving the columns if they are not packed; and
  /// more columns than 64 where rows are moved too; but tiles enough for several threads.
  SmallVector<int64_t> tileContraction(linalg::LinalgOp root, linalg::LinalgOp anchor,
                                       ArrayRef<int64_t> ranges, const LoopTracer &tracer, std::string &reason) {
    // Of two vectors of columns, so many rows at least keep the units busy.
    constexpr int64_t kMinTiles = 8, kFewestRows = 6, kAssumedRows = 512, kSumBytes = 4;
    SmallVector<int64_t> anchorSizes;
    for (int64_t size : anchor.getStaticLoopRanges())
      anchorSizes.push_back(assume(size));
    // The anchor's parallel loops are the root's: both write the same shape, but for loops of the anchor
    // that are summed over in between, one iteration at a time (AccumulateProducts).
    SmallVector<unsigned> parallel, rootParallel, summed = tracer.getSummedLoops(anchor);
    anchor.getParallelDims(parallel);
    root.getParallelDims(rootParallel);
    const int64_t columns = tile::getTileColumns(anchor, parallel.back());
    SmallVector<int64_t> sizes(ranges.size(), 0);
    bool isSummed = !summed.empty() && summed.back() != parallel.back() && parallel.size() - summed.size() == rootParallel.size();
    if (isSummed)
      llvm::erase_if(parallel, [&](unsigned loop) { return llvm::is_contained(summed, loop); });
    if (parallel.size() != rootParallel.size() || (root.getNumReductionLoops() != 0 && !isSummed))
      if (root != anchor)
        return tileElements(root, ranges, tracer, reason);

    for (unsigned loop : parallel)
      anchorSizes[loop] = 1;
    auto rootLoop = [&](size_t i) { return rootParallel[i]; };
    auto inPlace = [&](size_t i) {
      return readsColumnsInPlace(anchor, parallel.back(), parallel[i]);
    };
    // The places of each image of a number that only a run knows: rows enough, for an image at a time.
    auto isOneOfMany = [&](size_t i) {
      constexpr int64_t kEnoughRows = 32;
      int64_t rows = 1;
      for (size_t inner = i + 1; inner + 1 < parallel.size(); ++inner)
        rows *= root.getStaticLoopRanges()[rootLoop(inner)];
      auto isOpen = [&](unsigned loop) { return ShapedType::isDynamic(root.getStaticLoopRanges()[loop]); };
      return isOpen(rootLoop(i)) && llvm::none_of(ArrayRef(rootParallel).slice(i + 1), isOpen) && rows >= kEnoughRows;
    };
    auto rangeOf = [&](size_t i) {
      bool isDynamic = ShapedType::isDynamic(root.getStaticLoopRanges()[rootLoop(i)]);
      if (isOneOfMany(i))
        return int64_t(1);
      return isDynamic && inPlace(i) ? kAssumedRows : ranges[rootLoop(i)];
    };
    bool movesRows = parallel.size() > 1 &&
                     readsRowsFromFar(anchor, parallel.back(), parallel[parallel.size() - 2], l2Bytes) &&
                     readsColumnsInPlace(anchor, parallel.back(), parallel[parallel.size() - 2]);
    int64_t mostRows = movesRows ? 128 : 1280; // 8 images of 12 x 12 places
    std::optional<MatrixTile> matrixTile = chooseMatrixTile(anchor, parallel);
    if (matrixTile)
      mostRows = matrixTile->rows;
    int64_t tiles = 1, movedRows = 1, columnsOfTile = 1, rowsOfTile = 1;
    bool isWide = false;
    for (size_t i = 0; i < parallel.size(); ++i)
      tiles *= rangeOf(i);
    for (int64_t i = parallel.size() - 1; i >= 0; --i) {
      int64_t loop = rootLoop(i), range = rangeOf(i);
      if (tracer.getFixedLoops()[loop])
        continue;
      int64_t size;
      if (i == static_cast<int64_t>(parallel.size()) - 1) {
        size = movesRows ? divide(range, 4 * columns) : std::min(range, columns);
        if (movesAlongColumns(anchor, parallel.back()))
          size = chooseUnsharedColumns(anchor, parallel, anchorSizes, range, tiles / range);
        if (matrixTile)
          size = std::min(range, matrixTile->columns);
        isWide = size > columns && !movesRows;
      } else {
        // The largest size whose rows fit the cache and that leaves tiles enough.
        bool moved = inPlace(i) || matrixTile, isNext = i == static_cast<int64_t>(parallel.size()) - 2;
        // Of a window's rows all but the last are read again: some more than fit do well.
        int64_t cache = isWide && isNext ? l1Bytes * 5 / 4 : l2Bytes * 3 / 4;
        auto fits = [&](int64_t candidate) {
          anchorSizes[parallel[i]] = candidate;
          bool isSmall =
              moved ? movedRows * candidate <= mostRows
                    : getFootprint(anchor, *anchor.getDpsInputOperand(0), anchorSizes) <= cache;
          // What blocks are added to is read and written for each of them.
          isSmall &= !isSummed || rowsOfTile * candidate * columnsOfTile * kSumBytes <= l1Bytes / 2;
          return isSmall && (tiles / candidate >= kMinTiles || (isNext && candidate <= kFewestRows));
        };
        // Matrices of a batch share nothing: how many there are is for the threads.
        bool isBatch = !isNext && movesAlongColumns(anchor, parallel[i]);
        size = isBatch ? 1 : range;
        anchorSizes[parallel[i]] = size;
        while (size > 1 && !fits(size))
          size = size > 2 ? divide(range, size - 1) : 1;
      }
      anchorSizes[parallel[i]] = size;
      bool isRow = inPlace(i) || (matrixTile && i != static_cast<int64_t>(parallel.size()) - 1);
      movedRows *= isRow ? size : 1;
      (i == static_cast<int64_t>(parallel.size()) - 1 ? columnsOfTile : rowsOfTile) *= size;
      tiles /= size;
      sizes[loop] = size;
    }
    for (auto [i, iterator] : llvm::enumerate(anchor.getIteratorTypesArray()))
      if (iterator == utils::IteratorType::reduction)
        anchorSizes[i] = assume(anchor.getStaticLoopRanges()[i]);
    double rowBytes = getFootprint(anchor, *anchor.getDpsInputOperand(0), anchorSizes);
    if (movesAlongColumns(anchor, parallel.back()))
      reason = "no columns share what is read: all of them, or so many vectors that a few rows of the window fit the first-level cache";
    else if (llvm::any_of(llvm::seq<size_t>(0, parallel.size()), inPlace))
      reason = llvm::formatv("columns in panels of {0}, moved into a buffer for at most {1} rows", columns, mostRows);
    else
      reason = llvm::formatv("columns in panels of {0}; the rows read {1:f1} KiB, which should stay in three quarters of the "
                             "second-level cache's {2} KiB while there are tiles enough",
                             columns, rowBytes / 1024, l2Bytes / 1024);
    if (matrixTile)
      reason += "; rows and columns for the matrix unit";
    if (movesRows)
      reason += "; rows are moved into a buffer, as they lie far apart";
    return sizes;
  }

  struct MatrixTile {
    int64_t rows, columns;
  };

  /// The tile that takes the least time on a matrix unit, of those that leave tiles enough: 512
  /// products of bf16 a cycle are so many that reading the operands counts, the left one once for
  /// each 64 columns, the right one once for each tile.
  std::optional<MatrixTile> chooseMatrixTile(linalg::LinalgOp anchor, ArrayRef<unsigned> parallel) {
    // Elements or bytes a cycle, of a core of Sapphire Rapids.
    constexpr double kGroups = 256, kNearBytes = 40, kFarBytes = 6, kMovedRight = 8, kMovedLeft = 4;
    constexpr int64_t kPanel = 64, kLeftPanel = 256, kMinTiles = 8;
    auto generic = dyn_cast<linalg::GenericOp>(anchor.getOperation());
    std::optional<tile::TileProduct> product = matrixTiles && generic ? tile::getTileProduct(generic) : std::nullopt;
    if (!product)
      return std::nullopt;
    double elementBytes = 4.0 / product->group(), products = kGroups * product->group();
    OpOperand *left = generic.getDpsInputOperand(0), *right = generic.getDpsInputOperand(1);
    if (generic.getMatchingIndexingMap(left).isFunctionOfDim(parallel.back()))
      std::swap(left, right);
    AffineMap leftMap = generic.getMatchingIndexingMap(left), rightMap = generic.getMatchingIndexingMap(right);
    double rows = 1, batches = 1, steps = 1, columns = assume(anchor.getStaticLoopRanges()[parallel.back()]);
    for (auto [loop, size, iterator] : llvm::enumerate(anchor.getStaticLoopRanges(), anchor.getIteratorTypesArray())) {
      if (loop == parallel.back())
        continue;
      (iterator == utils::IteratorType::reduction ? steps : rightMap.isFunctionOfDim(loop) ? batches : rows) *= assume(size);
    }
    double rowBytes = elementBytes;
    for (int64_t size : cast<ShapedType>(left->get().getType()).getShape())
      rowBytes *= assume(size);
    rowBytes /= rows * batches;
    auto last = dyn_cast<AffineDimExpr>(leftMap.getResults().back());
    bool movesLeft = last && anchor.getIteratorTypesArray()[last.getPosition()] == utils::IteratorType::parallel;
    bool movesRight = rightMap.isProjectedPermutation();
    std::optional<MatrixTile> best;
    double bestTime = 0, bestTiles = 0;
    for (int64_t width = kPanel; width <= 8 * kPanel; width *= 2)
      for (int64_t height = 16; height <= 2048; height *= 2) {
        double r = std::min<double>(height, rows), c = std::min<double>(width, columns);
        double tiles = batches * std::ceil(rows / r) * std::ceil(columns / c), time = r * c * steps / products;
        double leftBytes = r * rowBytes, passes = std::ceil(c / kPanel);
        time += leftBytes / kFarBytes + (passes - 1) * leftBytes / (leftBytes <= l2Bytes / 2 ? kNearBytes : kFarBytes);
        if (movesLeft)
          time += r * steps / kMovedLeft * std::ceil(c / kLeftPanel);
        time += c * steps * (elementBytes / kFarBytes + (movesRight ? 1 / kMovedRight : 0));
        time *= tiles;
        double enough = std::min<double>(tiles, kMinTiles);
        if (!best || enough > bestTiles || (enough == bestTiles && time < bestTime)) {
          best = {height, width};
          bestTime = time;
          bestTiles = enough;
        }
      }
    return best;
  }

  /// Columns of a tile in which no register block shares what is read, as in a depthwise
  /// convolution: all of them if there are tiles enough without cutting them (memory is
  /// then read in order) and the rows of a window over a few places fit the first-level
  /// cache, else whole vectors.
  int64_t chooseUnsharedColumns(linalg::LinalgOp anchor, ArrayRef<unsigned> parallel,
                                SmallVector<int64_t> sizes, int64_t range, int64_t places) {
    constexpr int64_t kManyPlaces = 512, kFewPlaces = 7;
    sizes[parallel.back()] = range;
    if (parallel.size() > 1)
      sizes[parallel[parallel.size() - 2]] = kFewPlaces;
    if (places >= kManyPlaces &&
        getFootprint(anchor, *anchor.getDpsInputOperand(0), sizes) <= l1Bytes)
      return range;
    for (int64_t even : {64, 48, 32})
      if (range % even == 0)
        return even;
    return std::min<int64_t>(range, 64);
  }
};

} // namespace

int64_t nacre::tile::getTileColumns(linalg::LinalgOp op, unsigned columns) {
  constexpr int64_t kColumns = 64, kColumnsOfFewRows = 128;
  int64_t block = 1, rows = 1;
  for (auto [loop, size, iterator] : llvm::enumerate(op.getStaticLoopRanges(), op.getIteratorTypesArray()))
    if (loop != columns && iterator == utils::IteratorType::parallel)
      rows *= assume(size);
  for (OpOperand *operand : op.getDpsInputOperands())
    for (AffineExpr expr : op.getMatchingIndexingMap(operand).getResults())
      if (auto part = dyn_cast<AffineBinaryOpExpr>(expr))
        if (part.getKind() == AffineExprKind::Mod && part.getLHS() == getAffineDimExpr(columns, op.getContext()))
          block = std::max(block, cast<AffineConstantExpr>(part.getRHS()).getValue());
  // Few rows wait for memory, which several panels at a time come faster from.
  return rows < kFewestSharingRows ? llvm::alignDown(kColumnsOfFewRows, block) : llvm::alignTo(kColumns, block);
}
