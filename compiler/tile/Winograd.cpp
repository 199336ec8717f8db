//===- Winograd.cpp - What kern.winograd takes ------------------*- C++ -*-===//
//
// A model of three things: products at 3/4 of the peak, vectors that the two transforms move, and
// weights that come from beyond the second-level cache for each block of rows.
//
//===----------------------------------------------------------------------===//
#include "compiler/tile/Winograd.h"
#include "llvm/Support/MathExtras.h"
#include <algorithm>
#include <cmath>
#include <optional>

using namespace nacre::tile;

namespace {
/// Products, and bytes from far, in a cycle.
constexpr double kProducts = 32 * 0.75, kFarBytes = 8;
/// Cycles for a vector of channels of one transformed tile, in or out.
constexpr double kTransform = 100;
constexpr int64_t kLanes = 16, kEnoughTiles = 4, kColumns = 32;
} // namespace

double WinogradShape::getDirectCost() const {
  double weights = 9. * inputs * outputs;
  return weights * images * height * width / kProducts + weights * 4 / kFarBytes;
}

WinogradTile WinogradShape::chooseTile(int64_t l2Bytes) const {
  double across = width / 4, all = images * (height / 4) * across;
  std::optional<WinogradTile> best;
  int64_t bestTiles = 0;
  for (int64_t rows = 4; rows <= height; rows += 4)
    for (int64_t columns = kColumns; columns < outputs + kColumns; columns += kColumns) {
      int64_t width = std::min(columns, outputs);
      if (height % rows || outputs % width)
        continue;
      double places = rows / 4 * across, blocks = outputs / width;
      double buffers = 36. * 4 * places * (inputs + width), weights = 36. * 4 * inputs * width;
      double cost = 36. * all * inputs * outputs / kProducts;
      // Few places share each step of the weights.
      cost *= places < 8 ? 8 / places : 1;
      cost += kTransform * all * (blocks * std::ceil(inputs / double(kLanes)) + std::ceil(outputs / double(kLanes)));
      double passes = images * (height / rows) * blocks;
      // Weights that stay in the cache are read once for all rows.
      bool stay = blocks == 1 && weights + buffers <= l2Bytes * 0.75;
      cost += weights * (stay ? 1 : passes) / kFarBytes;
      if (buffers > l2Bytes * 0.75)
        cost += buffers * passes * 2 / kFarBytes;
      int64_t enough = std::min<int64_t>(images * (height / rows) * blocks, kEnoughTiles);
      if (!best || enough > bestTiles || (enough == bestTiles && cost < best->cost)) {
        best = WinogradTile{rows, width, cost};
        bestTiles = enough;
      }
    }
  return best.value_or(WinogradTile{height, outputs, 1e300});
}
