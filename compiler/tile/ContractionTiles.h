//===- ContractionTiles.h - Tiles of sums of products -----------*- C++ -*-===//
#ifndef NACRE_COMPILER_TILE_CONTRACTIONTILES_H
#define NACRE_COMPILER_TILE_CONTRACTIONTILES_H

#include "compiler/tile/LoopTracer.h"
#include <optional>
#include <string>

namespace nacre::tile {

/// A size that is not known at compile time is taken for this one.
inline constexpr int64_t kAssumedDynamicSize = 128;

inline int64_t assume(int64_t size) { return mlir::ShapedType::isDynamic(size) ? kAssumedDynamicSize : size; }

/// A divisor of `size` at most `limit`, if one is not much smaller; else the limit.
int64_t divide(int64_t size, int64_t limit);

/// What contractions are tiled for.
struct ContractionTarget {
  int64_t l1Bytes, l2Bytes;
  bool matrixTiles;
};

/// Sizes of a tile in the root's loops (0: the whole loop), and why they are so.
struct ContractionTiles {
  llvm::SmallVector<int64_t> sizes;
  std::string reason;
};

/// Of a kernel where most is done by the contraction `anchor`: panels of 64 columns or so; as many rows as keep the
/// other input in three quarters of the second-level cache, or as many as make up for moving the columns if they are
/// not packed; and more columns than 64 where rows are moved too; but tiles enough for several threads.
/// Nothing if the root's loops are not the contraction's.
std::optional<ContractionTiles> chooseContractionTiles(mlir::linalg::LinalgOp root, mlir::linalg::LinalgOp anchor,
                                                       const LoopTracer &tracer, const ContractionTarget &target);

} // namespace nacre::tile

#endif // NACRE_COMPILER_TILE_CONTRACTIONTILES_H
