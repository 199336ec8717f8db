//===- MultiplyTilesStore.cpp - What becomes of tiles of sums ---------------===//
//
// Whole tiles that nothing is computed from go straight to the output. Others go into a buffer of
// the first-level cache, and a structured op of two loops reads them there: the epilogue, or the
// output's columns that are less than a tile.
//
//===----------------------------------------------------------------------===//
#include "compiler/tile/MultiplyTilesWriter.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"

using namespace mlir;
using namespace nacre::tile;

MemRefType ProductWriter::typeOf(Type element, ArrayRef<OpFoldResult> sizes, ArrayRef<OpFoldResult> strides, OpFoldResult offset) {
  SmallVector<int64_t> shape, steps;
  SmallVector<Value> open;
  dispatchIndexOpFoldResults(sizes, open, shape);
  dispatchIndexOpFoldResults(strides, open, steps);
  int64_t start = getConstantIntValue(offset).value_or(ShapedType::kDynamic);
  return MemRefType::get(shape, element, StridedLayoutAttr::get(b.getContext(), start, steps));
}

/// An access where the loops stand, as a memref of its own.
Value ProductWriter::viewOf(unsigned number, ArrayRef<OpFoldResult> sizes, ArrayRef<OpFoldResult> strides) {
  const Access &access = nest.accesses[number];
  int64_t start = cast<MemRefType>(access.source.getType()).getStridesAndOffset().second;
  Value begin = ShapedType::isDynamic(start) ? metadata[number].getOffset() : index(start);
  OpFoldResult offset = getAsOpFoldResult(add(addressOf(number), begin));
  return memref::ReinterpretCastOp::create(b, loc, typeOf(access.element, sizes, strides, offset), access.source, offset,
                                           sizes, strides);
}

bool ProductWriter::writesTiles(const Block &block) const {
  std::optional<int64_t> columns = getConstantIntValue(block.columns);
  return !nest.epilogue && columns && *columns % kTileEdge == 0;
}

/// An access in the rows and columns of a block: a memref, and the dimensions that it has of both.
std::pair<Value, AffineMap> ProductWriter::blockOf(const Block &block, unsigned number) {
  const Access &access = nest.accesses[number];
  if (access.scalar)
    return {access.source, AffineMap::get(2, 0, b.getContext())};
  SmallVector<OpFoldResult> sizes, strides;
  SmallVector<AffineExpr> dims;
  for (auto [dim, loop] : llvm::enumerate(std::array{plan.rows, plan.columns})) {
    const Term *term = access.linearAlong(loop);
    if (!term)
      continue;
    sizes.push_back(dim == 0 ? block.rows : block.columns);
    strides.push_back(term->isStatic() ? OpFoldResult(b.getIndexAttr(term->stride)) : strideOf(number, *term));
    dims.push_back(b.getAffineDimExpr(dim));
  }
  ivs[plan.rows] = block.row;
  ivs[plan.columns] = block.column;
  Value view = viewOf(number, sizes, strides);
  ivs[plan.rows] = ivs[plan.columns] = Value();
  return {view, AffineMap::get(2, 0, dims, b.getContext())};
}

void ProductWriter::finish(const Block &block) {
  SmallVector<OpFoldResult> sizes = {block.rows, block.columns},
                            strides = {b.getIndexAttr(block.tiles.columns() * kTileEdge), b.getIndexAttr(1)};
  Value result = memref::ReinterpretCastOp::create(b, loc, typeOf(wide, sizes, strides, b.getIndexAttr(0)), sums,
                                                   b.getIndexAttr(0), sizes, strides);
  SmallVector<utils::IteratorType> parallel(2, utils::IteratorType::parallel);
  AffineMap identity = b.getMultiDimIdentityMap(2);
  if (nest.storesOutputs || !nest.epilogue) {
    auto [output, map] = blockOf(block, nest.inputs);
    linalg::GenericOp::create(b, loc, result, output, ArrayRef<AffineMap>{identity, map}, parallel,
                              [&](OpBuilder &inner, Location at, ValueRange elements) {
                                Value sum = elements[0];
                                if (!startsAtZero && isa<FloatType>(wide))
                                  sum = arith::AddFOp::create(inner, at, elements[1], sum);
                                else if (!startsAtZero)
                                  sum = arith::AddIOp::create(inner, at, elements[1], sum);
                                linalg::YieldOp::create(inner, at, sum);
                              });
  }
  if (!nest.epilogue)
    return;
  SmallVector<Value> operands = {result};
  SmallVector<AffineMap> maps = {identity};
  SmallVector<int64_t> position; // of each of the epilogue's operands, among the new ones
  unsigned last = nest.accesses.size() - 1;
  for (unsigned number = nest.epilogueStart(); number <= last; ++number) {
    bool isUsed = number == last || nest.isRead(number) || (nest.accesses[number].scalar && nest.accesses[number].used);
    position.push_back(nest.isResult(number) || !isUsed ? 0 : operands.size());
    if (number != last && position.back() == 0)
      continue;
    auto [view, map] = blockOf(block, number);
    operands.push_back(view);
    maps.push_back(map);
  }
  linalg::GenericOp epilogue = nest.epilogue;
  linalg::GenericOp::create(
      b, epilogue.getLoc(), ArrayRef(operands).drop_back(), operands.back(), maps, parallel,
      [&](OpBuilder &inner, Location at, ValueRange elements) {
        IRMapping mapping;
        for (auto [argument, from] : llvm::zip(epilogue.getBody()->getArguments(), position))
          mapping.map(argument, elements[from]);
        for (Operation &op : *epilogue.getBody())
          inner.clone(op, mapping);
      });
}
