//===- Winograd.cpp - What kern.winograd takes ------------------*- C++ -*-===//
//
// A model of three things: products near the peak, vectors that the two transforms move, and
// weights that come from beyond the second-level cache for each block of rows. Its constants
// were measured on Sapphire Rapids and Zen 4 (docs/performance.md).
//
//===----------------------------------------------------------------------===//
#include "compiler/tile/Winograd.h"
#include "llvm/Support/MathExtras.h"
#include <algorithm>
#include <cmath>

using namespace nacre::tile;

namespace {
/// What a core does in a cycle, or in how many.
struct Rates {
  /// Bytes in a cycle of what comes from memory, as weights do, and of what was there before, from the last-level cache.
  double farBytes, nearBytes;
  /// Cycles for a vector of channels of one transformed tile, for each place that it reads.
  double transformIn, transformOut;
};
/// Of Sapphire Rapids, with two units of 16 lanes, and of Zen 4.
Rates getRates(WinogradCore core) { return core.lanes > 16 ? Rates{3, 8, 16, 10} : Rates{5, 5, 6, 5}; }

/// Cycles for an element of the transformed weights.
constexpr double kTransformWeights = 2;
constexpr int64_t kLanes = 16, kColumns = 32;

/// Products of contractions in a cycle.
double getProducts(WinogradCore core) { return double(core.lanes) * 0.95; }

/// What fewer tiles than several threads want are worth.
double getPenalty(double tiles) { return tiles < 2 ? 2.2 : tiles < 4 ? 1.1 : 1; }
} // namespace

double WinogradShape::getDirectCost(WinogradCore core) const {
  double weights = 9. * inputs * outputs;
  return std::max(weights * images * height * width / getProducts(core), weights * 4 / getRates(core).farBytes);
}

double WinogradShape::getWeightsCost(int64_t places) const {
  double reads = (places + 2) * (places + 2);
  return reads * inputs * outputs * kTransformWeights;
}

std::optional<WinogradTile> WinogradShape::chooseTile(int64_t places, WinogradCore core) const {
  std::vector<WinogradTile> tiles = getTiles(places, core);
  auto best = std::min_element(tiles.begin(), tiles.end(), [](const WinogradTile &l, const WinogradTile &r) { return l.cost < r.cost; });
  return best == tiles.end() ? std::nullopt : std::optional(*best);
}

std::vector<WinogradTile> WinogradShape::getTiles(int64_t places, WinogradCore core) const {
  double reads = (places + 2) * (places + 2);
  auto vectors = [](double channels) { return std::ceil(channels / kLanes); };
  std::vector<WinogradTile> all;
  const Rates rates = getRates(core);
  if (width < places)
    return all;
  auto tryTile = [&](int64_t together, int64_t rows) {
    for (int64_t columns = kColumns; columns < outputs + kColumns; columns += kColumns) {
      int64_t part = std::min(columns, outputs);
      if (outputs % part)
        continue;
      double across = llvm::divideCeil(width, places), tiles = together * llvm::divideCeil(rows, places) * across;
      double bands = images / together * (height / rows), sum = bands * tiles;
      double blocks = outputs / part, passes = bands * blocks;
      double buffers = reads * 4 * tiles * (inputs + part), weights = reads * 4 * inputs * outputs;
      double cost = sum * reads * (blocks * rates.transformIn * vectors(inputs) + rates.transformOut * vectors(outputs));
      // Weights are asked for before their turn, while products are summed; those that do not stay
      // in the cache come for each block of rows again.
      bool stay = blocks == 1 && weights + buffers <= core.l2Bytes * 0.75;
      double moved = weights / rates.farBytes + (stay ? 0 : passes / blocks - 1) * weights / rates.nearBytes;
      cost += std::max(reads * sum * inputs * outputs / getProducts(core), moved);
      if (buffers > core.l2Bytes / 2)
        cost += passes * (buffers - core.l2Bytes / 2) * 2 / rates.nearBytes;
      cost *= getPenalty(passes);
      all.push_back({together, rows, part, cost});
    }
  };
  for (int64_t rows = places; rows < height; ++rows)
    if (height % rows == 0)
      tryTile(1, rows);
  for (int64_t together = 1; together <= images && height >= places; ++together)
    if (images % together == 0)
      tryTile(together, height);
  return all;
}
