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
#include "compiler/tile/ContractionTiles.h"
#include "compiler/tile/InPlaceUpdate.h"
#include "compiler/tile/LoopTracer.h"
#include "compiler/tile/Passes.h"
#include "compiler/tile/RootOp.h"
#include "compiler/tile/TileSpace.h"
#include "compiler/tile/Winograd.h"
#include "dialects/kern/KernOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include <cmath>
#include <numeric>

namespace nacre::tile {
#define GEN_PASS_DEF_CHOOSETILESPASS
#include "compiler/tile/Passes.h.inc"
} // namespace nacre::tile

using namespace mlir;
using namespace nacre;

namespace {

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
    tile::LoopTracer tracer(root);
    SmallVector<int64_t> ranges;
    for (int64_t size : root.getStaticLoopRanges())
      ranges.push_back(tile::assume(size));

    // Scalar operations of the whole kernel, and the op that has most of them.
    int64_t work = 0, heaviest = 0;
    linalg::LinalgOp anchor = root;
    for (Operation *op : tracer.getOps()) {
      auto linalgOp = cast<linalg::LinalgOp>(op);
      int64_t iterations = 1;
      for (int64_t size : linalgOp.getStaticLoopRanges())
        iterations *= tile::assume(size);
      int64_t bodyOps = std::max<int64_t>(1, llvm::range_size(linalgOp.getBlock()->without_terminator()));
      work += iterations * bodyOps;
      if (iterations > heaviest) {
        heaviest = iterations;
        anchor = linalgOp;
      }
    }
    auto about = aboutKernel("choose-tiles", func);
    bool isContraction = anchor.getNumReductionLoops() > 0 && anchor.getNumDpsInputs() >= 2;
    int64_t least = isContraction ? findLeastProducts(func) : minWork;
    if (work < least) {
      remark::missed(func.getLoc(), about)
          << remark::reason("no tiles: about {0} scalar operations, fewer than the {1} that are worth several threads", work, least);
      return;
    }

    std::string reason;
    std::optional<tile::ContractionTiles> contraction;
    if (isContraction && anchor.getNumDpsInits() == 1)
      contraction = tile::chooseContractionTiles(root, anchor, tracer, {l1Bytes, l2Bytes, matrixTiles});
    SmallVector<int64_t> sizes = contraction ? contraction->sizes : tileElements(root, ranges, tracer, reason);
    if (contraction)
      reason = contraction->reason;
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
    int64_t grain = std::clamp<int64_t>(least / 2 / std::max<int64_t>(1, work / tiles), 1,
                                        std::max<int64_t>(1, tiles / 2));
    func.setTilingAttr(kern::TilingAttr::get(&getContext(), sizes, grain));
    remark::passed(func.getLoc(), about) << remark::add("tiles of {0} of the loops {1} (0: the whole loop): {2}",
                                                        tile::toText(sizes), getLoopText(root), reason)
                                         << remark::add("; {0} tiles, {1} to a thread at least", tiles, grain);
  }

private:
  /// Operations of products below which a kernel is not divided: a core is done with them about as soon as another one
  /// has got what they read, unless it is what is read that takes long.
  int64_t findLeastProducts(kern::FuncOp func) {
    // In a cycle; `minWork` is about operations that are no products.
    constexpr int64_t kOperations = 6, kNearBytes = 8;
    int64_t cycles = minWork / kOperations, bytes = 0;
    for (Type type : func.getArgumentTypes()) {
      auto shaped = dyn_cast<RankedTensorType>(type);
      if (!shaped || !shaped.getElementType().isIntOrFloat())
        return minWork;
      int64_t elements = 1;
      for (int64_t size : shaped.getShape())
        elements *= tile::assume(size);
      bytes += llvm::divideCeil(elements * shaped.getElementTypeBitWidth(), 8);
    }
    return bytes / kNearBytes > cycles ? minWork.getValue() : std::max(minWork.getValue(), cycles * 2 * lanes);
  }

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
  static tile::TileSizes decide(const tile::Choice &choice, linalg::LinalgOp root, const tile::LoopTracer &tracer,
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
                                    const tile::LoopTracer &tracer, std::string &reason) {
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
      sizes[i] = tile::divide(ranges[i], limit);
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
};

} // namespace
