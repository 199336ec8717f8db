//===- MultiplyTilesMove.cpp - Operands of tile products in buffers ---------===//
//
// The right operand, in panels of 16 columns: of each two steps a row of 16 pairs.
//
//   b(k, n) side by side along n: rows k and k + 1, interleaved
//   b(k, n) side by side along k: squares of 16 x 16 pairs, transposed in registers
//   otherwise: copied first, then as rows
//
// A left operand a(k, m) that lies along m is moved in the same way, and then its squares of
// 16 x 16 pairs are transposed into tiles.
//
//===----------------------------------------------------------------------===//
#include "compiler/tile/MultiplyTilesWriter.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace nacre::tile;

/// The first `count` of so many lanes; null: all.
Value ProductWriter::maskOf(OpFoldResult count, int64_t lanes) {
  auto type = VectorType::get(lanes, b.getI1Type());
  std::optional<int64_t> known = getConstantIntValue(count);
  if (!known)
    return vector::CreateMaskOp::create(b, loc, type, cast<Value>(count));
  if (*known >= lanes)
    return nullptr;
  SmallVector<bool> set(lanes, false);
  std::fill_n(set.begin(), std::max<int64_t>(*known, 0), true);
  return constant(DenseElementsAttr::get(type, set));
}

Value ProductWriter::loadLanes(VectorType type, Value memory, Value address, Value mask) {
  if (!mask)
    return vector::LoadOp::create(b, loc, type, memory, address);
  return vector::MaskedLoadOp::create(b, loc, type, memory, address, mask, constant(b.getZeroAttr(type)));
}

void ProductWriter::moveRight(Value column, OpFoldResult columns, Value step, OpFoldResult steps) {
  switch (plan.form) {
  case MatrixPlan::Right::Columns:
    ivs[plan.columns] = column;
    pairRows(plan.right, plan.columns, columns, plan.width / kTileEdge, step, steps, rightPairs);
    ivs[plan.columns] = Value();
    break;
  case MatrixPlan::Right::Steps:
    pairSteps(column, columns, step, steps);
    break;
  case MatrixPlan::Right::Elsewhere:
    pairCopy(column, columns, step, steps);
    break;
  case MatrixPlan::Right::Tiles:
    return;
  }
  if (!plan.movesLeft)
    return;
  Value pairs = valueOf(pairsOf(steps));
  for (unsigned loop : plan.innerTaps())
    pairs = mul(pairs, bounds[loop]);
  clearPairs(pairs, mul(ceilDiv(pairs, kTileEdge), index(kTileEdge)), plan.width / kTileEdge, rightPairs);
}

/// Zeros from one pair to another.
void ProductWriter::clearPairs(Value from, Value to, int64_t panels, Value buffer) {
  Value zeros = constant(b.getZeroAttr(VectorType::get(kTileSteps, b.getBF16Type())));
  loopOver(from, to, 1, [&](Value pair) {
    for (int64_t panel = 0; panel < panels; ++panel)
      vector::StoreOp::create(b, loc, zeros, buffer, placeOf(panel, pair));
  });
}

void ProductWriter::pairRows(unsigned access, unsigned along, OpFoldResult count, int64_t panels, Value step,
                             OpFoldResult steps, Value buffer) {
  const Term *term = nest.accesses[access].linearAlong(plan.steps[0]);
  loopsOver(plan.innerTaps(), [&] {
    ivs[plan.steps[0]] = step;
    Value start = addressOf(access), stride = strideOf(access, *term);
    ivs[plan.steps[0]] = Value();
    Value firstPair = mul(linearOf(plan.innerTaps()), valueOf(pairsOf(steps)));
    auto address = [&](Value at) { return add(start, mul(at, stride)); };
    pairRows({flat[access], address}, count, panels, steps, firstPair, buffer);
  });
}

void ProductWriter::pairRows(Rows rows, OpFoldResult count, int64_t panels, OpFoldResult steps, Value firstPair,
                             Value buffer) {
  // Two panels are one vector of each row.
  constexpr int64_t kLanes = 2 * kTileEdge;
  auto type = VectorType::get(kLanes, b.getBF16Type());
  std::optional<int64_t> known = getConstantIntValue(count);
  if (known)
    panels = llvm::divideCeil(*known, kTileEdge);
  SmallVector<Value> masks;
  for (int64_t panel = 0; panel < panels; panel += 2) {
    OpFoldResult rest;
    if (known)
      rest = b.getIndexAttr(*known - panel * kTileEdge);
    else
      rest = sub(cast<Value>(count), min(cast<Value>(count), index(panel * kTileEdge)));
    masks.push_back(maskOf(rest, kLanes));
  }
  SmallVector<int64_t> low, high;
  for (int64_t lane = 0; lane < kTileEdge; ++lane) {
    llvm::append_values(low, lane, kLanes + lane);
    llvm::append_values(high, kTileEdge + lane, kLanes + kTileEdge + lane);
  }
  auto writePair = [&](Value pair, bool hasSecond) {
    Value step = mul(pair, index(2)), first = rows.address(step);
    Value second = hasSecond ? rows.address(add(step, index(1))) : Value();
    for (int64_t panel = 0; panel < panels; panel += 2) {
      Value lane = index(panel * kTileEdge), mask = masks[panel / 2];
      Value a = loadLanes(type, rows.memory, add(first, lane), mask);
      Value c = second ? loadLanes(type, rows.memory, add(second, lane), mask) : constant(b.getZeroAttr(type));
      Value place = add(firstPair, pair);
      vector::StoreOp::create(b, loc, vector::ShuffleOp::create(b, loc, a, c, low), buffer, placeOf(panel, place));
      if (panel + 1 < panels)
        vector::StoreOp::create(b, loc, vector::ShuffleOp::create(b, loc, a, c, high), buffer, placeOf(panel + 1, place));
    }
  };
  Value whole, all;
  if (std::optional<int64_t> number = getConstantIntValue(steps)) {
    whole = index(*number / 2);
    all = index((*number + 1) / 2);
  } else {
    whole = arith::DivUIOp::create(b, loc, cast<Value>(steps), index(2));
    all = ceilDiv(cast<Value>(steps), 2);
  }
  loopOver(index(0), whole, 1, [&](Value pair) { writePair(pair, true); });
  if (whole != all)
    loopOver(whole, all, 1, [&](Value pair) { writePair(pair, false); });
  Value end = valueOf(pairsOf(steps));
  if (end != all)
    clearPairs(add(firstPair, all), add(firstPair, end), panels, buffer);
}

/// Squares of a right operand that lies along the steps.
void ProductWriter::pairSteps(Value column, OpFoldResult columns, Value step, OpFoldResult steps) {
  const Term *term = nest.accesses[plan.right].linearAlong(plan.columns);
  auto narrow = VectorType::get(kTileSteps, b.getBF16Type()), wide = VectorType::get(kTileEdge, b.getI32Type());
  std::optional<int64_t> known = getConstantIntValue(columns), open = getConstantIntValue(pairsOf(steps));
  loopsOver(plan.innerTaps(), [&] {
    ivs[plan.columns] = column;
    ivs[plan.steps[0]] = step;
    Value start = addressOf(plan.right), stride = strideOf(plan.right, *term);
    ivs[plan.columns] = ivs[plan.steps[0]] = Value();
    Value firstPair = mul(linearOf(plan.innerTaps()), valueOf(pairsOf(steps)));
    overStrips(steps, kTileSteps, [&](Value at, OpFoldResult count) {
      Value mask = maskOf(count, kTileSteps), pair = arith::DivUIOp::create(b, loc, at, index(2));
      // Of a last square as many pairs as the tap has room for.
      int64_t pairs = kTileEdge;
      if (std::optional<int64_t> from = getConstantIntValue(at); from && open)
        pairs = std::min(pairs, *open - *from / 2);
      int64_t panels = known ? llvm::divideCeil(*known, kTileEdge) : plan.width / kTileEdge;
      for (int64_t panel = 0; panel < panels; ++panel) {
        SmallVector<Value> rows;
        for (int64_t row = panel * kTileEdge; row < (panel + 1) * kTileEdge; ++row) {
          Value lanes = constant(b.getZeroAttr(narrow));
          if (!known || row < *known) {
            Value number = index(row);
            if (!known) // rows beyond the end read the last one again
              number = min(number, sub(cast<Value>(columns), index(1)));
            lanes = loadLanes(narrow, flat[plan.right], add(add(start, at), mul(number, stride)), mask);
          }
          rows.push_back(vector::BitCastOp::create(b, loc, wide, lanes));
        }
        rows = transposeVectors(b, loc, std::move(rows));
        for (int64_t row = 0; row < pairs; ++row)
          vector::StoreOp::create(b, loc, vector::BitCastOp::create(b, loc, narrow, rows[row]), rightPairs,
                                  placeOf(panel, add(add(firstPair, pair), index(row))));
      }
    });
  });
}

/// A right operand that lies otherwise is copied: taps, steps, columns.
void ProductWriter::pairCopy(Value column, OpFoldResult columns, Value step, OpFoldResult steps) {
  const Access &right = nest.accesses[plan.right];
  SmallVector<unsigned> loops(plan.innerTaps());
  llvm::append_range(loops, plan.steps);
  loops.push_back(plan.columns);
  int64_t rank = loops.size(), room = plan.piece ? plan.piece : 1;
  SmallVector<OpFoldResult> sizes, from, to(rank);
  for (unsigned loop : loops) {
    bool isStep = llvm::is_contained(plan.steps, loop);
    sizes.push_back(loop == plan.columns ? columns : isStep && plan.piece ? steps : sizeOf(loop));
    const Term *term = right.linearAlong(loop);
    from.push_back(term->isStatic() ? OpFoldResult(b.getIndexAttr(term->stride)) : strideOf(plan.right, *term));
    if (isStep && !plan.piece)
      room *= nest.loops[loop].size;
  }
  int64_t elements = plan.width;
  for (int64_t dim = rank - 1; dim >= 0; --dim) {
    to[dim] = b.getIndexAttr(dim == rank - 1 ? 1 : elements);
    if (dim < rank - 1)
      elements *= llvm::is_contained(plan.steps, loops[dim]) && plan.piece ? plan.piece : nest.loops[loops[dim]].size;
  }
  if (!rightCopy)
    rightCopy = bufferOf(elements, right.element);
  ivs[plan.columns] = column;
  if (plan.steps.size() == 1)
    ivs[plan.steps[0]] = step;
  Value source = viewOf(plan.right, sizes, from);
  ivs[plan.columns] = ivs[plan.steps[0]] = Value();
  Value target = memref::ReinterpretCastOp::create(b, loc, typeOf(right.element, sizes, to, b.getIndexAttr(0)), rightCopy,
                                                   b.getIndexAttr(0), sizes, to);
  linalg::GenericOp::create(b, loc, source, target, SmallVector<AffineMap>(2, b.getMultiDimIdentityMap(rank)),
                            SmallVector<utils::IteratorType>(rank, utils::IteratorType::parallel),
                            [](OpBuilder &inner, Location at, ValueRange elements) {
                              linalg::YieldOp::create(inner, at, elements[0]);
                            });
  loopsOver(plan.innerTaps(), [&] {
    Value tap = linearOf(plan.innerTaps()), firstPair = mul(tap, valueOf(pairsOf(steps)));
    Value start = mul(tap, index(room * plan.width));
    auto address = [&](Value at) { return add(start, mul(at, index(plan.width))); };
    pairRows({rightCopy, address}, columns, plan.width / kTileEdge, steps, firstPair, rightPairs);
  });
}

/// The tiles of a strip of rows: pairs, then squares of them transposed.
void ProductWriter::moveLeft(const RowTiles &tiles, Value row, OpFoldResult rows, Value step, OpFoldResult steps) {
  int64_t panels = tiles.counts.size();
  ivs[plan.rows] = row;
  pairRows(plan.left, plan.rows, rows, panels, step, steps, leftPairs);
  ivs[plan.rows] = Value();
  Value pairs = valueOf(pairsOf(steps));
  for (unsigned loop : plan.innerTaps())
    pairs = mul(pairs, bounds[loop]);
  Value end = mul(ceilDiv(pairs, kTileEdge), index(kTileEdge));
  clearPairs(pairs, end, panels, leftPairs);
  auto narrow = VectorType::get(kTileSteps, b.getBF16Type()), wide = VectorType::get(kTileEdge, b.getI32Type());
  loopOver(index(0), end, kTileEdge, [&](Value pair) {
    for (int64_t panel = 0; panel < panels; ++panel) {
      SmallVector<Value> square;
      for (int64_t i = 0; i < kTileEdge; ++i)
        square.push_back(vector::BitCastOp::create(
            b, loc, wide, loadLanes(narrow, leftPairs, placeOf(panel, add(pair, index(i))), Value())));
      square = transposeVectors(b, loc, std::move(square));
      for (int64_t i = 0; i < kTileEdge; ++i)
        vector::StoreOp::create(b, loc, vector::BitCastOp::create(b, loc, narrow, square[i]), leftTiles,
                                placeOf(panel, add(pair, index(i))));
    }
  });
}

/// The last steps of the left operand's rows, from `start` on, with zeros behind them.
void ProductWriter::copyLastSteps(const Block &block, Value start, OpFoldResult count) {
  auto type = VectorType::get(kTileSteps, b.getBF16Type());
  Value mask = maskOf(count, kTileSteps);
  const Term *term = nest.accesses[plan.left].linearAlong(plan.rows);
  Value stride = strideOf(plan.left, *term);
  for (auto [number, rows] : llvm::enumerate(block.tiles.counts)) {
    Value first = index(number * kTileEdge), place = index(number * kTileElements);
    loopOver(index(0), valueOf(rows), 1, [&](Value row) {
      Value lanes = loadLanes(type, flat[plan.left], add(start, mul(add(first, row), stride)), mask);
      vector::StoreOp::create(b, loc, lanes, lastSteps, add(place, mul(row, index(kTileSteps))));
    });
  }
}
