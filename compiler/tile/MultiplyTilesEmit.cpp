//===- MultiplyTilesEmit.cpp - Write products of tiles ----------------------===//
//
//   for outer loops, columns in steps of `width`, pieces of the reduction:
//     the right operand's groups of steps into a buffer
//     for inner loops, rows in steps of 32:
//       for columns in steps of 32:
//         2 x 2 tiles of sums = 0
//         for taps, tiles of steps: two tiles of each operand, four products
//         the tiles of sums to memory
//
// Tiles of a strip's rows are configured before it: 16 rows each, or what is left.
//
//===----------------------------------------------------------------------===//
#include "compiler/tile/MultiplyTilesWriter.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace nacre::tile;

//===----------------------------------------------------------------------===//
// Small helpers
//===----------------------------------------------------------------------===//

void ProductWriter::loopOver(Value low, Value high, int64_t step, llvm::function_ref<void(Value)> body) {
  auto loop = scf::ForOp::create(b, loc, low, high, index(step));
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  body(loop.getInductionVar());
}

void ProductWriter::loopsOver(ArrayRef<unsigned> loops, llvm::function_ref<void()> body) {
  if (loops.empty())
    return body();
  loopOver(index(0), bounds[loops.front()], 1, [&](Value iv) {
    ivs[loops.front()] = iv;
    loopsOver(loops.drop_front(), body);
    ivs[loops.front()] = Value();
  });
}

void ProductWriter::overStrips(OpFoldResult total, int64_t size, At body) {
  if (std::optional<int64_t> known = getConstantIntValue(total)) {
    int64_t full = *known / size * size;
    if (full == size)
      body(index(0), b.getIndexAttr(size));
    else if (full)
      loopOver(index(0), index(full), size, [&](Value at) { body(at, b.getIndexAttr(size)); });
    if (full < *known)
      body(index(full), b.getIndexAttr(*known - full));
    return;
  }
  Value bound = valueOf(total), full = sub(bound, arith::RemUIOp::create(b, loc, bound, index(size)));
  loopOver(index(0), full, size, [&](Value at) { body(at, b.getIndexAttr(size)); });
  loopOver(full, bound, size, [&](Value at) { body(at, sub(bound, at)); });
}

Value ProductWriter::linearOf(ArrayRef<unsigned> loops) {
  Value linear = index(0);
  for (unsigned loop : loops)
    linear = add(mul(linear, bounds[loop]), ivs[loop]);
  return linear;
}

Value ProductWriter::addressOf(unsigned access) {
  Value address = constantTerms(access);
  for (const Term &term : nest.accesses[access].terms)
    if (ivs[term.loop])
      address = add(address, termAt(access, term, ivs[term.loop]));
  return address ? address : index(0);
}

Value ProductWriter::bufferOf(int64_t elements, Type element) {
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(entryOfThread(nest.op));
  return memref::AllocaOp::create(b, loc, MemRefType::get({elements}, element), b.getI64IntegerAttr(64));
}

/// Groups that a tap's steps take in a buffer: as tiles of steps, if these are read as they lie.
OpFoldResult ProductWriter::groupsOf(OpFoldResult steps) {
  int64_t unit = plan.movesLeft ? plan.group() : plan.depth;
  if (std::optional<int64_t> known = getConstantIntValue(steps))
    return b.getIndexAttr(llvm::alignTo(*known, unit) / plan.group());
  return mul(ceilDiv(valueOf(steps), unit), index(unit / plan.group()));
}

/// Groups of all inner taps.
Value ProductWriter::allGroupsOf(OpFoldResult steps) {
  Value groups = valueOf(groupsOf(steps));
  for (unsigned loop : plan.innerTaps())
    groups = mul(groups, bounds[loop]);
  return groups;
}

//===----------------------------------------------------------------------===//
// Tiles
//===----------------------------------------------------------------------===//

Value ProductWriter::pointerTo(Value memory, Value element) {
  auto type = cast<MemRefType>(memory.getType());
  auto metadata = memref::ExtractStridedMetadataOp::create(b, loc, memory);
  Value start = memref::ExtractAlignedPointerAsIndexOp::create(b, loc, memory);
  int64_t offset = type.getStridesAndOffset().second;
  element = add(element, ShapedType::isDynamic(offset) ? metadata.getOffset() : index(offset));
  Value address = add(start, mul(element, index(type.getElementTypeBitWidth() / 8)));
  return LLVM::IntToPtrOp::create(b, loc, LLVM::LLVMPointerType::get(b.getContext()),
                                  arith::IndexCastOp::create(b, loc, b.getI64Type(), address).getResult());
}

Value ProductWriter::bytes(Value elements, Type element) {
  return arith::IndexCastOp::create(b, loc, b.getI64Type(), mul(elements, index(element.getIntOrFloatBitWidth() / 8)));
}

/// The layout of `ldtilecfg`: palette 1; bytes of a row from byte 16 on, rows from byte 48 on.
void ProductWriter::configure(const RowTiles &tiles) {
  SmallVector<int8_t> layout(64, 0);
  SmallVector<std::pair<int64_t, Value>> open;
  layout[0] = 1;
  auto set = [&](int64_t number, OpFoldResult rows, int64_t rowBytes) {
    layout[16 + 2 * number] = rowBytes;
    if (std::optional<int64_t> known = getConstantIntValue(rows))
      layout[48 + number] = *known;
    else
      open.push_back({number, cast<Value>(rows)});
  };
  for (auto [row, count] : llvm::enumerate(tiles.counts)) {
    for (int64_t column = 0; column < tiles.columns(); ++column)
      set(tiles.sums(row, column), count, 4 * kTileEdge);
    set(tiles.left(row), count, 4 * plan.depth / plan.group());
  }
  for (int64_t column = 0; column < tiles.columns(); ++column)
    set(tiles.right(column), b.getIndexAttr(plan.depth / plan.group()), 4 * kTileEdge);
  auto type = VectorType::get(64, b.getI8Type());
  vector::StoreOp::create(b, loc, constant(DenseElementsAttr::get(type, ArrayRef<int8_t>(layout))), configuration, index(0));
  for (auto [number, rows] : open)
    memref::StoreOp::create(b, loc, arith::IndexCastOp::create(b, loc, b.getI8Type(), rows), configuration, index(48 + number));
  intrinsic("ldtilecfg", pointerTo(configuration, index(0)));
}

/// The tiles of strips of rows, whole ones first.
SmallVector<ProductWriter::RowTiles> ProductWriter::tilesOf(OpFoldResult rows) {
  OpFoldResult whole = b.getIndexAttr(kTileEdge);
  std::optional<int64_t> known = getConstantIntValue(rows);
  SmallVector<RowTiles> strips;
  if (!known || *known >= 2 * kTileEdge)
    strips.push_back({{whole, whole}});
  if (!known) {
    strips.push_back({{whole}});
    Value rest = arith::RemUIOp::create(b, loc, valueOf(rows), index(kTileEdge));
    // A configuration without rows is none, also where no block of them follows.
    strips.push_back({{arith::MaxUIOp::create(b, loc, rest, index(1)).getResult()}});
    return strips;
  }
  int64_t rest = *known % (2 * kTileEdge);
  if (rest > kTileEdge)
    strips.push_back({{whole, b.getIndexAttr(rest - kTileEdge)}});
  else if (rest)
    strips.push_back({{b.getIndexAttr(rest)}});
  return strips;
}

void ProductWriter::run() {
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPoint(nest.epilogue ? nest.epilogue : nest.op);
  index(0); // the first constant: others stand before it
  prepare();
  int64_t panels = plan.width / kTileEdge, elements = plan.groups * plan.tileSteps();
  if (plan.form != MatrixPlan::Right::Tiles)
    rightGroups = bufferOf(panels * elements, narrow);
  if (plan.movesLeft) {
    leftGroups = bufferOf(2 * elements, narrow);
    leftTiles = bufferOf(2 * elements, narrow);
  } else {
    lastSteps = bufferOf(2 * kTileEdge * plan.tileSteps(), narrow);
  }
  sums = bufferOf(4 * kTileEdge * kTileEdge, wide);
  configuration = bufferOf(64, b.getI8Type());
  SmallVector<RowTiles> strips = tilesOf(sizeOf(plan.rows));
  isConfigured = strips.size() == 1;
  if (isConfigured)
    configure(strips.front());
  loopsOver(plan.outer, [&] {
    overStrips(sizeOf(plan.columns), plan.width, [&](Value column, OpFoldResult count) { emitColumns(column, count); });
  });
  intrinsic("tilerelease", {});
}

void ProductWriter::emitColumns(Value column, OpFoldResult count) {
  loopsOver(ArrayRef(plan.taps).take_front(plan.outerTaps), [&] {
    OpFoldResult steps;
    if (plan.steps.size() == 1) {
      steps = sizeOf(plan.steps[0]);
    } else {
      int64_t extent = 1;
      for (unsigned loop : plan.steps)
        extent *= nest.loops[loop].size;
      steps = b.getIndexAttr(extent);
    }
    if (plan.piece)
      overStrips(steps, plan.piece, [&](Value step, OpFoldResult piece) { emitPiece(column, count, step, piece); });
    else
      emitPiece(column, count, index(0), steps);
  });
}

void ProductWriter::emitPiece(Value column, OpFoldResult columns, Value step, OpFoldResult steps) {
  moveRight(column, columns, step, steps);
  loopsOver(plan.inner, [&] { emitRows(column, columns, step, steps); });
}

void ProductWriter::emitRows(Value column, OpFoldResult columns, Value step, OpFoldResult steps) {
  OpFoldResult rows = sizeOf(plan.rows);
  Value bound = valueOf(rows), low = index(0);
  for (const RowTiles &tiles : tilesOf(rows)) {
    // The last strip takes what is left, the ones before it whole tiles.
    int64_t size = kTileEdge * tiles.counts.size();
    bool isWhole = llvm::all_of(tiles.counts, [](OpFoldResult count) { return isConstantIntValue(count, kTileEdge); });
    Value high = bound;
    if (std::optional<int64_t> known = getConstantIntValue(rows); known && isWhole)
      high = index(*known / size * size);
    else if (isWhole)
      high = sub(bound, arith::RemUIOp::create(b, loc, bound, index(size)));
    if (!isConfigured)
      configure(tiles);
    std::optional<int64_t> first = getConstantIntValue(low), last = getConstantIntValue(high);
    if (first && last && *last - *first <= size)
      emitRow(tiles, low, column, columns, step, steps);
    else
      loopOver(low, high, size, [&](Value row) { emitRow(tiles, row, column, columns, step, steps); });
    low = high;
  }
}

void ProductWriter::emitRow(const RowTiles &tiles, Value row, Value column, OpFoldResult columns, Value step,
                            OpFoldResult steps) {
  OpFoldResult rows = tiles.counts[0];
  if (tiles.counts.size() == 2)
    rows = b.getIndexAttr(kTileEdge + *getConstantIntValue(tiles.counts[1]));
  if (plan.movesLeft)
    moveLeft(tiles, row, rows, step, steps);
  auto block = [&](Value start, OpFoldResult count, int64_t columnTiles) {
    emitBlock({tiles, row, add(column, start), rows, count, columnTiles},
              arith::DivUIOp::create(b, loc, start, index(kTileEdge)), step, steps);
  };
  overStrips(columns, tiles.columns() * kTileEdge, [&](Value start, OpFoldResult count) {
    if (std::optional<int64_t> known = getConstantIntValue(count))
      return block(start, count, llvm::divideCeil(*known, kTileEdge));
    overStrips(count, kTileEdge, [&](Value more, OpFoldResult rest) { block(add(start, more), rest, 1); });
  });
}

void ProductWriter::emitBlock(const Block &block, Value panel, Value step, OpFoldResult steps) {
  const RowTiles &tiles = block.tiles;
  auto eachSum = [&](StringRef name, bool inPlace) {
    for (int64_t row = 0; row < int64_t(tiles.counts.size()); ++row)
      for (int64_t column = 0; column < block.columnTiles; ++column) {
        Value number = tile(tiles.sums(row, column));
        if (name == "tilezero") {
          intrinsic(name, number);
        } else if (!inPlace) {
          Value place = index(row * kTileEdge * tiles.columns() * kTileEdge + column * kTileEdge);
          intrinsic(name, {number, pointerTo(sums, place), bytes(index(tiles.columns() * kTileEdge), wide)});
        } else {
          ivs[plan.rows] = add(block.row, index(row * kTileEdge));
          ivs[plan.columns] = add(block.column, index(column * kTileEdge));
          const Term *term = nest.accesses[nest.inputs].linearAlong(plan.rows);
          intrinsic(name, {number, pointerTo(flat[nest.inputs], addressOf(nest.inputs)),
                           bytes(strideOf(nest.inputs, *term), wide)});
          ivs[plan.rows] = ivs[plan.columns] = Value();
        }
      }
  };
  bool inPlace = writesTiles(block);
  eachSum(inPlace && !startsAtZero ? "tileloadd64" : "tilezero", inPlace);
  if (plan.movesLeft) {
    loopOver(index(0), allGroupsOf(steps), kTileEdge, [&](Value group) {
      multiply(block, [&](int64_t row) { return pointerTo(leftTiles, placeOf(row, group)); },
               bytes(index(plan.tileSteps()), narrow), panel, group);
    });
  } else {
    multiplyWhereTheyAre(block, panel, step, steps);
  }
  eachSum("tilestored64", inPlace);
  if (!inPlace)
    finish(block);
}

/// One tile of steps: `group` is its first in the right operand's buffer.
void ProductWriter::multiply(const Block &block, llvm::function_ref<Value(int64_t)> leftTile, Value leftStride,
                             Value panel, Value group) {
  const RowTiles &tiles = block.tiles;
  int64_t rows = tiles.counts.size();
  auto sign = [&](unsigned input) { return plan.product.isUnsigned[input] ? "u" : "s"; };
  std::string product = narrow.isBF16() ? "tdpbf16ps" : std::string("tdpb") + sign(plan.left) + sign(plan.right) + "d";
  for (int64_t row = 0; row < rows; ++row)
    intrinsic("tileloadd64", {tile(tiles.left(row)), leftTile(row), leftStride});
  Value place = mul(group, index(plan.tileSteps()));
  for (int64_t column = 0; column < block.columnTiles; ++column) {
    Value at;
    if (plan.form == MatrixPlan::Right::Tiles) {
      ivs[plan.columns] = add(block.column, index(column * kTileEdge));
      at = pointerTo(flat[plan.right], add(addressOf(plan.right), place));
      ivs[plan.columns] = Value();
    } else {
      int64_t panelElements = plan.groups * plan.tileSteps();
      at = pointerTo(rightGroups, add(add(mul(panel, index(panelElements)), index(column * panelElements)), place));
    }
    intrinsic("tileloadd64", {tile(tiles.right(column)), at, bytes(index(plan.tileSteps()), narrow)});
    for (int64_t row = 0; row < rows; ++row)
      intrinsic(product, {tile(tiles.sums(row, column)), tile(tiles.left(row)), tile(tiles.right(column))});
  }
}

/// All taps and steps of a block, with tiles of the left operand where it lies.
void ProductWriter::multiplyWhereTheyAre(const Block &block, Value panel, Value step, OpFoldResult steps) {
  const Term *term = nest.accesses[plan.left].linearAlong(plan.rows);
  loopsOver(plan.innerTaps(), [&] {
    ivs[plan.rows] = block.row;
    Value start = add(addressOf(plan.left), step), stride = strideOf(plan.left, *term);
    ivs[plan.rows] = Value();
    Value firstGroup = index(0); // of the tap, where its address does not say it
    if (plan.form != MatrixPlan::Right::Tiles)
      firstGroup = mul(linearOf(plan.innerTaps()), valueOf(groupsOf(steps)));
    auto groupAt = [&](Value at) {
      return add(firstGroup, arith::DivUIOp::create(b, loc, at, index(plan.group())));
    };
    overStrips(steps, plan.depth, [&](Value at, OpFoldResult count) {
      if (isConstantIntValue(count, plan.depth)) {
        auto leftTile = [&](int64_t row) {
          return pointerTo(flat[plan.left], add(add(start, at), mul(stride, index(row * kTileEdge))));
        };
        return multiply(block, leftTile, bytes(stride, narrow), panel, groupAt(at));
      }
      copyLastSteps(block, add(start, at), count);
      auto leftTile = [&](int64_t row) { return pointerTo(lastSteps, index(row * kTileEdge * plan.tileSteps())); };
      multiply(block, leftTile, bytes(index(plan.tileSteps()), narrow), panel, groupAt(at));
    });
  });
}

void nacre::tile::emitProducts(RewriterBase &rewriter, const Nest &nest, const MatrixPlan &plan, bool startsAtZero) {
  ProductWriter(rewriter, nest, plan, startsAtZero).run();
}
