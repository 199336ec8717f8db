//===- Winograd.h - What kern.winograd takes ----------------------*- C++ -*-===//
#ifndef NACRE_COMPILER_TILE_WINOGRAD_H
#define NACRE_COMPILER_TILE_WINOGRAD_H

#include <cstdint>
#include <optional>
#include <vector>

namespace nacre::tile {

/// The points of the transforms for 4 x 4 places are 0, infinity, and both signs of these, which are exact
/// in binary. Largest errors of f32 sums over 128 channels are twice those of direct sums, with the
/// usual points 1 and 2 seven times. For 2 x 2 places they are 0, infinity, 1 and -1.
constexpr double kNearPoint = 5 / 8., kFarPoint = 3 / 2.;

/// What the costs depend on: products of f32 that a core adds in a cycle, and its second-level cache.
struct WinogradCore {
  int64_t lanes, l2Bytes;
};

/// Images, rows and columns (output channels) of a tile of kern.winograd, and the cost of all tiles in cycles.
struct WinogradTile {
  int64_t images, rows, columns;
  double cost;
};

/// The result's dimensions and the input's channels.
struct WinogradShape {
  int64_t images, height, width, inputs, outputs;

  /// Cycles of the direct convolution on one thread.
  double getDirectCost(WinogradCore core) const;
  /// The tile that takes the least time by transforms of `places` x `places`; few tiles count as slower,
  /// for several threads. Nothing if the result has fewer places.
  std::optional<WinogradTile> chooseTile(int64_t places, WinogradCore core) const;
  /// All tiles that there could be.
  std::vector<WinogradTile> getTiles(int64_t places, WinogradCore core) const;
  /// Cycles of transforming the weights, for those that change from run to run.
  double getWeightsCost(int64_t places) const;
};

} // namespace nacre::tile

#endif // NACRE_COMPILER_TILE_WINOGRAD_H
