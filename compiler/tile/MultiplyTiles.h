//===- MultiplyTiles.h - Contractions on the CPU's matrix unit ----*- C++ -*-===//
//
// A contraction of bf16 or of 8-bit integers becomes products of tiles (AMX's tdpbf16ps, tdpbusd, ...):
// 16 rows of 64 bytes of the left operand, as many of the right one, 16 x 16 sums of f32 or i32. In
// the right tile the steps that fill 32 bits (2 of bf16, 4 of 8 bits: a group) lie side by side. `MatrixPlan` says which loops are rows,
// columns and steps of the tiles and what has to be moved into buffers for it;
// `emitProducts` writes the code.
//
//===----------------------------------------------------------------------===//
#ifndef NACRE_COMPILER_TILE_MULTIPLYTILES_H
#define NACRE_COMPILER_TILE_MULTIPLYTILES_H

#include "compiler/tile/VectorizeTiles.h"

namespace nacre::tile {

/// Rows and columns of a tile of sums, and groups of steps that one instruction takes.
constexpr int64_t kTileEdge = 16;

/// Below these numbers of rows and columns moving operands costs more than vectors' arithmetic.
constexpr int64_t kFewestTileRows = 4, kFewestTileColumns = 8;

/// Steps of one tile, of so many side by side: if possible tiles that leave none over.
int64_t getTileDepth(int64_t steps, int64_t group);

/// How a contraction runs on tiles. Loops are the nest's.
struct MatrixPlan {
  TileProduct product;
  /// The inputs whose elements lie along rows and columns of the sums.
  unsigned left = 0, right = 1;
  unsigned rows = 0, columns = 0;
  /// Other parallel loops: around everything, and those that move the left operand alone.
  llvm::SmallVector<unsigned> outer, inner;
  /// Reductions, outer to inner: the last, `steps`, are those of a tile, which lie next to each
  /// other in the left operand; `taps` stand around them.
  llvm::SmallVector<unsigned> taps, steps;
  /// The left operand lies along the rows: its tiles are transposed into a buffer.
  bool movesLeft = false;
  /// How the right operand lies: along the columns, along the one loop of the steps, or
  /// otherwise (then it is copied first); or in tiles already (PackParameters).
  enum class Right { Columns, Steps, Elsewhere, Tiles } form = Right::Columns;
  /// Steps of one tile: whole groups, at most 16 of them.
  int64_t depth = 0;
  /// So many of the taps stand around the buffers, and of the steps so many are in them at once
  /// (0: all). Sums are added to memory then.
  unsigned outerTaps = 0;
  int64_t piece = 0;
  /// Columns that are moved at once, and the most groups of steps for each.
  int64_t width = 64, groups = 0;

  int64_t group() const { return product.group(); }
  /// Steps of a whole tile: elements of one of its rows.
  int64_t tileSteps() const { return kTileEdge * group(); }
  bool isPieced() const { return outerTaps > 0 || piece > 0; }
  llvm::ArrayRef<unsigned> innerTaps() const { return llvm::ArrayRef(taps).drop_front(outerTaps); }

  /// Fails, with the reason, for what such tiles are not for.
  static std::optional<MatrixPlan> get(const Nest &nest, std::string &reason);
};

/// Writes a planned contraction before its last op; the ops stay. `startsAtZero`: what the output
/// holds does not count.
void emitProducts(mlir::RewriterBase &rewriter, const Nest &nest, const MatrixPlan &plan, bool startsAtZero);

} // namespace nacre::tile

#endif // NACRE_COMPILER_TILE_MULTIPLYTILES_H
