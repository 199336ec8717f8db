//===- Winograd.h - What kern.winograd takes ----------------------*- C++ -*-===//
#ifndef NACRE_COMPILER_TILE_WINOGRAD_H
#define NACRE_COMPILER_TILE_WINOGRAD_H

#include <cstdint>

namespace nacre::tile {

/// The points of the transforms are 0, infinity, and both signs of these, which are exact in binary.
/// Largest errors of f32 sums over 128 channels are twice those of direct sums, with the usual
/// points 1 and 2 seven times.
constexpr double kNearPoint = 5 / 8., kFarPoint = 3 / 2.;

/// Rows and columns (output channels) of a tile of kern.winograd, and the cost of all tiles.
struct WinogradTile {
  int64_t rows, columns;
  double cost;
};

/// The result's dimensions and the input's channels.
struct WinogradShape {
  int64_t images, height, width, inputs, outputs;

  /// Cycles of the direct convolution on one thread of a core with two units of 16 lanes.
  double getDirectCost() const;
  /// The tile that takes the least time; few tiles count as slower, for several threads.
  WinogradTile chooseTile(int64_t l2Bytes) const;
};

} // namespace nacre::tile

#endif // NACRE_COMPILER_TILE_WINOGRAD_H
