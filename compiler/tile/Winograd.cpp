//===- Winograd.cpp - What kern.winograd takes ------------------*- C++ -*-===//
//
// A model of three things: products near the peak, vectors that the two transforms move, and
// weights that come from beyond the second-level cache for each block of rows. Its constants
// were measured on Sapphire Rapids (docs/performance.md).
//
//===----------------------------------------------------------------------===//
#include "compiler/tile/Winograd.h"
#include "llvm/Support/MathExtras.h"
#include <algorithm>
#include <cmath>
#include <optional>

using namespace nacre::tile;

namespace {
/// Products of the windows' and of the positions' contractions, and bytes from far, in a cycle.
constexpr double kDirectProducts = 32 * 0.75, kProducts = 32 * 0.85, kFarBytes = 5;
/// Cycles for a vector of channels of one transformed tile.
constexpr double kTransformIn = 220, kTransformOut = 180;
constexpr int64_t kLanes = 16, kColumns = 32;

/// What fewer tiles than several threads want are worth.
double getPenalty(double tiles) { return tiles < 2 ? 2.2 : tiles < 4 ? 1.1 : 1; }
} // namespace

double WinogradShape::getDirectCost() const {
  double weights = 9. * inputs * outputs;
  return std::max(weights * images * height * width / kDirectProducts, weights * 4 / kFarBytes);
}

WinogradTile WinogradShape::chooseTile(int64_t l2Bytes) const {
  double across = width / 4, all = images * (height / 4) * across;
  auto vectors = [](double channels) { return std::ceil(channels / kLanes); };
  std::optional<WinogradTile> best;
  for (int64_t rows = 4; rows <= height; rows += 4)
    for (int64_t columns = kColumns; columns < outputs + kColumns; columns += kColumns) {
      int64_t part = std::min(columns, outputs);
      if (height % rows || outputs % part)
        continue;
      double places = rows / 4 * across, blocks = outputs / part, passes = images * (height / rows) * blocks;
      double buffers = 36. * 4 * places * (inputs + part), weights = 36. * 4 * inputs * outputs;
      double cost = all * (blocks * kTransformIn * vectors(inputs) + kTransformOut * vectors(outputs));
      // Weights are asked for before their turn, while products are summed; those that do not stay
      // in the cache come for each block of rows again.
      bool stay = blocks == 1 && weights + buffers <= l2Bytes * 0.75;
      double moved = (stay ? 1 : passes / blocks) * weights / kFarBytes;
      cost += std::max(36. * all * inputs * outputs / kProducts, moved);
      if (buffers > l2Bytes / 2)
        cost += passes * (buffers - l2Bytes / 2) * 2 / kFarBytes;
      cost *= getPenalty(passes);
      if (!best || cost < best->cost)
        best = WinogradTile{rows, part, cost};
    }
  return best.value_or(WinogradTile{height, outputs, 1e300});
}
