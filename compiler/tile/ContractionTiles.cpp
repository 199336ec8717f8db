//===- ContractionTiles.cpp - Tiles of sums of products ---------*- C++ -*-===//
#include "compiler/tile/ContractionTiles.h"
#include "compiler/tile/VectorizeTiles.h"
#include "mlir/Interfaces/DataLayoutInterfaces.h"
#include "llvm/Support/FormatVariadic.h"
#include <cmath>

using namespace mlir;
using namespace nacre;
using namespace nacre::tile;

int64_t tile::divide(int64_t size, int64_t limit) {
  if (size <= limit)
    return size;
  for (int64_t divisor = limit; divisor > limit / 2; --divisor)
    if (size % divisor == 0)
      return divisor;
  return limit;
}

namespace {

/// Bytes of an operand that the given number of iterations of each loop touch.
int64_t getFootprint(linalg::LinalgOp op, OpOperand &operand, ArrayRef<int64_t> sizes) {
  auto type = cast<RankedTensorType>(operand.get().getType());
  AffineMap map = op.getMatchingIndexingMap(&operand);
  int64_t elements = 1;
  for (AffineExpr expr : map.getResults()) {
    // The extent of an affine expression: the sum of its terms' extents; of a window with strides
    // no more than what is read.
    int64_t extent = 1, read = 1;
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
  constexpr int64_t kLongColumn = 32;
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

class Chooser {
public:
  Chooser(linalg::LinalgOp root, linalg::LinalgOp anchor, const LoopTracer &tracer, const ContractionTarget &target)
      : root(root), anchor(anchor), tracer(tracer), target(target) {
    for (int64_t size : anchor.getStaticLoopRanges())
      anchorSizes.push_back(assume(size));
    anchor.getParallelDims(parallel);
    root.getParallelDims(rootParallel);
  }

  std::optional<ContractionTiles> choose();

private:
  // Of two vectors of columns, so many rows at least keep the units busy.
  static constexpr int64_t kMinTiles = 8, kFewestRows = 6, kAssumedRows = 512, kSumBytes = 4;

  struct MatrixTile {
    int64_t rows, columns;
  };

  bool matchLoops();
  bool isOpen(size_t i) { return ShapedType::isDynamic(root.getStaticLoopRanges()[rootParallel[i]]); }
  bool isOneOfMany(size_t i);
  int64_t getRange(size_t i);
  /// Whether the columns are moved into a buffer for the rows of this loop.
  bool isInPlace(size_t i) { return readsColumnsInPlace(anchor, parallel.back(), parallel[i]); }
  int64_t chooseColumns(int64_t range);
  int64_t chooseRows(size_t i, int64_t range);
  std::string explain();
  std::optional<MatrixTile> chooseMatrixTile();
  int64_t chooseUnsharedColumns(int64_t range, int64_t places);

  linalg::LinalgOp root, anchor;
  const LoopTracer &tracer;
  const ContractionTarget &target;
  /// Sizes of the anchor's loops in a tile, as far as they are chosen.
  SmallVector<int64_t> anchorSizes;
  /// The anchor's parallel loops are the root's: both write the same shape, but for loops of the anchor
  /// that are summed over in between, one iteration at a time (AccumulateProducts).
  SmallVector<unsigned> parallel, rootParallel;
  bool isSummed = false, movesRows = false, isWide = false;
  std::optional<MatrixTile> matrixTile;
  int64_t panel = 0, mostRows = 0;
  /// Of what is chosen: tiles that the loops still outside can make, and a tile's rows and columns.
  int64_t tiles = 1, movedRows = 1, columnsOfTile = 1, rowsOfTile = 1;
};

/// Whether the loops correspond.
bool Chooser::matchLoops() {
  SmallVector<unsigned> summed = tracer.getSummedLoops(anchor);
  isSummed = !summed.empty() && summed.back() != parallel.back() && parallel.size() - summed.size() == rootParallel.size();
  if (isSummed)
    llvm::erase_if(parallel, [&](unsigned loop) { return llvm::is_contained(summed, loop); });
  bool isSame = parallel.size() == rootParallel.size() && (root.getNumReductionLoops() == 0 || isSummed);
  return isSame || root == anchor;
}

/// The places of each image of a number that only a run knows: rows enough, for an image at a time.
bool Chooser::isOneOfMany(size_t i) {
  constexpr int64_t kEnoughRows = 32;
  int64_t rows = 1;
  for (size_t inner = i + 1; inner < parallel.size(); ++inner) {
    if (isOpen(inner))
      return false;
    rows *= inner + 1 < parallel.size() ? root.getStaticLoopRanges()[rootParallel[inner]] : 1;
  }
  return isOpen(i) && rows >= kEnoughRows;
}

int64_t Chooser::getRange(size_t i) {
  if (isOneOfMany(i))
    return 1;
  return isOpen(i) && isInPlace(i) ? kAssumedRows : assume(root.getStaticLoopRanges()[rootParallel[i]]);
}

int64_t Chooser::chooseColumns(int64_t range) {
  if (matrixTile)
    return std::min(range, matrixTile->columns);
  if (movesAlongColumns(anchor, parallel.back()))
    return chooseUnsharedColumns(range, tiles / range);
  if (movesRows)
    return divide(range, 4 * panel);
  // Columns that are moved are shared by all rows, so these are not divided for the sake of many tiles.
  constexpr int64_t kFewestColumns = 32;
  int64_t sharing = 1;
  for (size_t row = 0; row + 1 < parallel.size(); ++row)
    sharing *= isInPlace(row) ? getRange(row) : 1;
  int64_t most = panel;
  if (sharing > 1)
    most = std::min<int64_t>(most, llvm::alignTo(llvm::divideCeil(tiles / sharing, kMinTiles), kFewestColumns));
  return std::min(range, most);
}

/// The largest size whose rows fit the cache and that leaves tiles enough.
int64_t Chooser::chooseRows(size_t i, int64_t range) {
  // Moving a column costs as much as ten rows' products of it.
  constexpr int64_t kSharingRows = 64;
  bool inPlace = isInPlace(i), isMoved = inPlace || matrixTile, isNext = i + 2 == parallel.size();
  // Of a window's rows all but the last are read again: some more than fit do well.
  int64_t cache = isWide && isNext ? target.l1Bytes * 5 / 4 : target.l2Bytes * 3 / 4;
  auto fits = [&](int64_t candidate) {
    anchorSizes[parallel[i]] = candidate;
    bool isSmall = isMoved ? movedRows * candidate <= mostRows
                           : getFootprint(anchor, *anchor.getDpsInputOperand(0), anchorSizes) <= cache;
    // What blocks are added to is read and written for each of them.
    isSmall &= !isSummed || rowsOfTile * candidate * columnsOfTile * kSumBytes <= target.l1Bytes / 2;
    bool isShared = inPlace && movedRows * candidate <= kSharingRows;
    return isSmall && (tiles / candidate >= kMinTiles || isShared || (isNext && candidate <= kFewestRows));
  };
  // Matrices of a batch share nothing: how many there are is for the threads.
  bool isBatch = !isNext && movesAlongColumns(anchor, parallel[i]);
  int64_t size = isBatch ? 1 : range;
  while (size > 1 && !fits(size))
    size = size > 2 ? divide(range, size - 1) : 1;
  return size;
}

std::optional<ContractionTiles> Chooser::choose() {
  panel = getTileColumns(anchor, parallel.back());
  if (!matchLoops())
    return std::nullopt;
  for (unsigned loop : parallel)
    anchorSizes[loop] = 1;
  movesRows = parallel.size() > 1 &&
              readsRowsFromFar(anchor, parallel.back(), parallel[parallel.size() - 2], target.l2Bytes) &&
              isInPlace(parallel.size() - 2);
  mostRows = movesRows ? 128 : 1280; // 8 images of 12 x 12 places
  matrixTile = chooseMatrixTile();
  if (matrixTile)
    mostRows = matrixTile->rows;
  for (size_t i = 0; i < parallel.size(); ++i)
    tiles *= getRange(i);
  ContractionTiles chosen;
  chosen.sizes.assign(root.getNumLoops(), 0);
  for (size_t i = parallel.size(); i-- > 0;) {
    if (tracer.getFixedLoops()[rootParallel[i]])
      continue;
    bool isLast = i + 1 == parallel.size();
    int64_t size = isLast ? chooseColumns(getRange(i)) : chooseRows(i, getRange(i));
    if (isLast)
      isWide = size > panel && !movesRows;
    anchorSizes[parallel[i]] = size;
    movedRows *= isInPlace(i) || (matrixTile && !isLast) ? size : 1;
    (isLast ? columnsOfTile : rowsOfTile) *= size;
    tiles /= size;
    chosen.sizes[rootParallel[i]] = size;
  }
  chosen.reason = explain();
  return chosen;
}

std::string Chooser::explain() {
  for (auto [i, iterator] : llvm::enumerate(anchor.getIteratorTypesArray()))
    if (iterator == utils::IteratorType::reduction)
      anchorSizes[i] = assume(anchor.getStaticLoopRanges()[i]);
  double rowBytes = getFootprint(anchor, *anchor.getDpsInputOperand(0), anchorSizes);
  std::string reason;
  if (movesAlongColumns(anchor, parallel.back()))
    reason = "no columns share what is read: all of them, or so many vectors that a few rows of the window fit the first-level cache";
  else if (llvm::any_of(llvm::seq<size_t>(0, parallel.size()), [&](size_t i) { return isInPlace(i); }))
    reason = llvm::formatv("columns in panels of {0}, moved into a buffer for at most {1} rows", std::min(panel, columnsOfTile), mostRows);
  else
    reason = llvm::formatv("columns in panels of {0}; the rows read {1:f1} KiB, which should stay in three quarters of the "
                           "second-level cache's {2} KiB while there are tiles enough",
                           panel, rowBytes / 1024, target.l2Bytes / 1024);
  if (matrixTile)
    reason += "; rows and columns for the matrix unit";
  if (movesRows)
    reason += "; rows are moved into a buffer, as they lie far apart";
  return reason;
}

/// The tile that takes the least time on a matrix unit, of those that leave tiles enough: 512
/// products of bf16 a cycle are so many that reading the operands counts, the left one once for
/// each 64 columns, the right one once for each tile.
std::optional<Chooser::MatrixTile> Chooser::chooseMatrixTile() {
  // Elements or bytes a cycle, of a core of Sapphire Rapids.
  constexpr double kGroups = 256, kNearBytes = 40, kFarBytes = 6, kMovedRight = 8, kMovedLeft = 4;
  constexpr int64_t kPanel = 64, kLeftPanel = 256;
  auto generic = dyn_cast<linalg::GenericOp>(anchor.getOperation());
  std::optional<TileProduct> product = target.matrixTiles && generic ? getTileProduct(generic) : std::nullopt;
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
      time += leftBytes / kFarBytes + (passes - 1) * leftBytes / (leftBytes <= target.l2Bytes / 2 ? kNearBytes : kFarBytes);
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
int64_t Chooser::chooseUnsharedColumns(int64_t range, int64_t places) {
  SmallVector<int64_t> sizes = anchorSizes;
  constexpr int64_t kManyPlaces = 512, kFewPlaces = 7;
  sizes[parallel.back()] = range;
  if (parallel.size() > 1)
    sizes[parallel[parallel.size() - 2]] = kFewPlaces;
  if (places >= kManyPlaces &&
      getFootprint(anchor, *anchor.getDpsInputOperand(0), sizes) <= target.l1Bytes)
    return range;
  for (int64_t even : {64, 48, 32})
    if (range % even == 0)
      return even;
  return std::min<int64_t>(range, 64);
}

} // namespace

std::optional<ContractionTiles> tile::chooseContractionTiles(linalg::LinalgOp root, linalg::LinalgOp anchor,
                                                             const LoopTracer &tracer, const ContractionTarget &target) {
  return Chooser(root, anchor, tracer, target).choose();
}

int64_t tile::getTileColumns(linalg::LinalgOp op, unsigned columns) {
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
