//===- TileSpace.h - The tiles that a kernel could have ---------*- C++ -*-===//
#ifndef NACRE_COMPILER_TILE_TILESPACE_H
#define NACRE_COMPILER_TILE_TILESPACE_H

#include "mlir/Support/LLVM.h"
#include "llvm/ADT/SmallVector.h"
#include <cstdint>
#include <optional>
#include <string>

namespace nacre::tile {

using TileSizes = llvm::SmallVector<int64_t>;

/// "1x8x0x64" and back; nothing if it is malformed.
std::string toText(llvm::ArrayRef<int64_t> sizes);
std::optional<TileSizes> parseTile(llvm::StringRef text);

/// A loop that tiles are cut of: its iterations (ShapedType::kDynamic: open), and what a tile's are a
/// multiple of. 0: of this one tiles have what was chosen.
struct TileLoop {
  int64_t size, step;
};

/// Tiles around the one that a cost model has chosen: of no loop more than 8 times as much or as little, in
/// all not more than 4 times as much, so that what a tile needs of memory stays near what the model allows.
class TileSpace {
public:
  TileSpace(llvm::ArrayRef<TileLoop> loops, llvm::ArrayRef<int64_t> chosen) : loops(loops), chosen(chosen) {}

  bool contains(llvm::ArrayRef<int64_t> sizes) const;
  /// Tiles of about half or twice as much of one loop, the inner ones first; then those of half of one and
  /// twice of another.
  llvm::SmallVector<TileSizes> getNeighbours(llvm::ArrayRef<int64_t> sizes) const;

private:
  int64_t getExtent(size_t loop, int64_t size) const;
  /// About twice or half of a tile's size; the same if there is none.
  int64_t scale(size_t loop, int64_t size, bool isLarger) const;

  llvm::ArrayRef<TileLoop> loops;
  llvm::ArrayRef<int64_t> chosen;
};

} // namespace nacre::tile

#endif // NACRE_COMPILER_TILE_TILESPACE_H
