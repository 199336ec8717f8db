//===- TileSpace.cpp - The tiles that a kernel could have -------*- C++ -*-===//
#include "compiler/tile/TileSpace.h"
#include "mlir/IR/BuiltinTypes.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace nacre::tile;

std::string nacre::tile::toText(ArrayRef<int64_t> sizes) {
  return llvm::join(llvm::map_range(sizes, [](int64_t size) { return std::to_string(size); }), "x");
}

std::optional<TileSizes> nacre::tile::parseTile(StringRef text) {
  TileSizes sizes;
  for (StringRef part : llvm::split(text, 'x')) {
    uint32_t size;
    if (part.getAsInteger(10, size))
      return std::nullopt;
    sizes.push_back(size);
  }
  return sizes;
}

int64_t TileSpace::getExtent(size_t loop, int64_t size) const {
  return size == 0 && !ShapedType::isDynamic(loops[loop].size) ? loops[loop].size : size;
}

bool TileSpace::contains(ArrayRef<int64_t> sizes) const {
  if (sizes.size() != loops.size())
    return false;
  double volume = 1; // of the chosen one's
  for (size_t i = 0; i < loops.size(); ++i) {
    auto [size, step] = loops[i];
    if (sizes[i] == chosen[i])
      continue;
    int64_t extent = getExtent(i, sizes[i]), was = getExtent(i, chosen[i]);
    bool isWhole = extent == size;
    if (step == 0 || extent < 1 || was < 1 || (extent % step != 0 && !isWhole) ||
        (!ShapedType::isDynamic(size) && extent > size) || extent > was * 8 || extent * 8 < was)
      return false;
    volume *= double(extent) / double(was);
  }
  return volume <= 4;
}

int64_t TileSpace::scale(size_t loop, int64_t size, bool isLarger) const {
  auto [whole, step] = loops[loop];
  int64_t extent = getExtent(loop, size);
  if (step == 0 || extent < 1)
    return size;
  int64_t wanted = std::max<int64_t>(1, isLarger ? extent * 2 / step : extent / 2 / step);
  if (ShapedType::isDynamic(whole))
    return wanted * step;
  if (wanted * step >= whole)
    return whole;
  // One that divides the loop, if it is near.
  for (int64_t divisor = wanted; divisor * 4 > wanted * 3; --divisor)
    if (whole % (divisor * step) == 0)
      return divisor * step;
  return wanted * step;
}

SmallVector<TileSizes> TileSpace::getNeighbours(ArrayRef<int64_t> sizes) const {
  SmallVector<TileSizes> found;
  auto add = [&](TileSizes next) {
    bool isOther = false;
    for (size_t i = 0; i < loops.size(); ++i)
      isOther |= getExtent(i, next[i]) != getExtent(i, sizes[i]);
    if (isOther && contains(next) && !llvm::is_contained(found, next))
      found.push_back(std::move(next));
  };
  auto with = [&](size_t loop, bool isLarger, TileSizes next) {
    next[loop] = scale(loop, next[loop], isLarger);
    return next;
  };
  TileSizes here(sizes);
  for (bool isLarger : {false, true})
    for (size_t i = loops.size(); i-- > 0;)
      add(with(i, isLarger, here));
  for (size_t i = loops.size(); i-- > 0;)
    for (size_t j = loops.size(); j-- > 0;)
      if (TileSizes less = with(i, false, here), both = with(j, true, less); i != j && less != here && both != less)
        add(both);
  return found;
}
