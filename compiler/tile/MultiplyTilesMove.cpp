//===- MultiplyTilesMove.cpp - Operands of tile products in buffers ---------===//
//
// The right operand, in panels of 16 columns: of each group of steps a row of 16 groups.
//
//   b(k, n) side by side along n: rows k, k + 1, ... interleaved
//   b(k, n) side by side along k: squares of 16 x 16 groups, transposed in registers
//   otherwise: copied first, then as rows
//
// A left operand a(k, m) that lies along m is moved in the same way, and then its squares of
// 16 x 16 groups are transposed into tiles.
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
    groupRows(plan.right, plan.columns, columns, plan.width / kTileEdge, step, steps, rightGroups);
    ivs[plan.columns] = Value();
    break;
  case MatrixPlan::Right::Steps:
    groupSteps(column, columns, step, steps);
    break;
  case MatrixPlan::Right::Elsewhere:
    groupCopy(column, columns, step, steps);
    break;
  case MatrixPlan::Right::Tiles:
    return;
  }
  if (!plan.movesLeft)
    return;
  Value groups = allGroupsOf(steps);
  clearGroups(groups, mul(ceilDiv(groups, kTileEdge), index(kTileEdge)), plan.width / kTileEdge, rightGroups);
}

/// Zeros from one group to another.
void ProductWriter::clearGroups(Value from, Value to, int64_t panels, Value buffer) {
  Value zeros = constant(b.getZeroAttr(tileRow()));
  loopOver(from, to, 1, [&](Value group) {
    for (int64_t panel = 0; panel < panels; ++panel)
      vector::StoreOp::create(b, loc, zeros, buffer, placeOf(panel, group));
  });
}

void ProductWriter::groupRows(unsigned access, unsigned along, OpFoldResult count, int64_t panels, Value step,
                             OpFoldResult steps, Value buffer) {
  const Term *term = nest.accesses[access].linearAlong(plan.steps[0]);
  loopsOver(plan.innerTaps(), [&] {
    ivs[plan.steps[0]] = step;
    Value start = addressOf(access), stride = strideOf(access, *term);
    ivs[plan.steps[0]] = Value();
    Value firstGroup = mul(linearOf(plan.innerTaps()), valueOf(groupsOf(steps)));
    auto address = [&](Value at) { return add(start, mul(at, stride)); };
    groupRows({flat[access], address}, count, panels, steps, firstGroup, buffer);
  });
}

void ProductWriter::groupRows(Rows rows, OpFoldResult count, int64_t panels, OpFoldResult steps, Value firstGroup,
                             Value buffer) {
  // Two panels are one vector of each row.
  constexpr int64_t kLanes = 2 * kTileEdge;
  auto type = VectorType::get(kLanes, narrow);
  Value none = constant(b.getZeroAttr(type));
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
  // The group of so many steps from `step` on; the rest of it is zeros.
  auto writeGroup = [&](Value step, Value group, int64_t number) {
    SmallVector<Value> from;
    for (int64_t i = 0; i < number; ++i)
      from.push_back(rows.address(add(step, index(i))));
    for (int64_t panel = 0; panel < panels; panel += 2) {
      SmallVector<Value> lanes;
      for (Value row : from)
        lanes.push_back(loadLanes(type, rows.memory, add(row, index(panel * kTileEdge)), masks[panel / 2]));
      lanes.resize(plan.group(), none);
      SmallVector<Value> both = interleave(lanes);
      Value place = add(firstGroup, group);
      vector::StoreOp::create(b, loc, both[0], buffer, placeOf(panel, place));
      if (panel + 1 < panels)
        vector::StoreOp::create(b, loc, both[1], buffer, placeOf(panel + 1, place));
    }
  };
  int64_t size = plan.group();
  Value end = valueOf(groupsOf(steps)), last;
  if (std::optional<int64_t> number = getConstantIntValue(steps)) {
    last = index(llvm::divideCeil(*number, size));
    loopOver(index(0), index(*number / size), 1, [&](Value group) { writeGroup(mul(group, index(size)), group, size); });
    if (*number % size)
      writeGroup(index(*number / size * size), index(*number / size), *number % size);
  } else {
    Value bound = cast<Value>(steps), whole = arith::DivUIOp::create(b, loc, bound, index(size));
    last = ceilDiv(bound, size);
    loopOver(index(0), whole, 1, [&](Value group) { writeGroup(mul(group, index(size)), group, size); });
    Value left = sub(bound, mul(whole, index(size)));
    for (int64_t number = 1; number < size; ++number) {
      Value is = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, left, index(number));
      auto choice = scf::IfOp::create(b, loc, is, /*withElseRegion=*/false);
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPoint(choice.thenYield());
      writeGroup(mul(whole, index(size)), whole, number);
    }
  }
  if (end != last)
    clearGroups(add(firstGroup, last), add(firstGroup, end), panels, buffer);
}

/// Of a group's rows of 32 lanes, lane by lane: the first 16 lanes' groups, and the others'.
SmallVector<Value> ProductWriter::interleave(ArrayRef<Value> rows) {
  SmallVector<Value> vectors(rows);
  for (int64_t unit = narrow.getIntOrFloatBitWidth(); unit < 32; unit *= 2) {
    // Neighbours become pairs: of elements, then of pairs.
    SmallVector<Value> next;
    bool isLast = unit == 16;
    for (size_t i = 0; i < vectors.size(); i += 2) {
      Value a = vectors[i], c = vectors[i + 1];
      if (unit != narrow.getIntOrFloatBitWidth())
        a = as(b.getIntegerType(unit), a), c = as(b.getIntegerType(unit), c);
      int64_t lanes = cast<VectorType>(a.getType()).getNumElements();
      for (int64_t begin = 0; begin < lanes; begin += isLast ? lanes / 2 : lanes) {
        SmallVector<int64_t> order;
        for (int64_t lane = begin; lane < begin + (isLast ? lanes / 2 : lanes); ++lane)
          llvm::append_values(order, lane, lanes + lane);
        next.push_back(vector::ShuffleOp::create(b, loc, a, c, order));
      }
    }
    vectors = std::move(next);
  }
  for (Value &vector : vectors)
    vector = as(narrow, vector);
  return vectors;
}

/// Squares of a right operand that lies along the steps.
void ProductWriter::groupSteps(Value column, OpFoldResult columns, Value step, OpFoldResult steps) {
  const Term *term = nest.accesses[plan.right].linearAlong(plan.columns);
  std::optional<int64_t> known = getConstantIntValue(columns), open = getConstantIntValue(groupsOf(steps));
  loopsOver(plan.innerTaps(), [&] {
    ivs[plan.columns] = column;
    ivs[plan.steps[0]] = step;
    Value start = addressOf(plan.right), stride = strideOf(plan.right, *term);
    ivs[plan.columns] = ivs[plan.steps[0]] = Value();
    Value firstGroup = mul(linearOf(plan.innerTaps()), valueOf(groupsOf(steps)));
    overStrips(steps, plan.tileSteps(), [&](Value at, OpFoldResult count) {
      Value mask = maskOf(count, plan.tileSteps()), group = arith::DivUIOp::create(b, loc, at, index(plan.group()));
      // Of a last square as many groups as the tap has room for.
      int64_t groups = kTileEdge;
      if (std::optional<int64_t> from = getConstantIntValue(at); from && open)
        groups = std::min(groups, *open - *from / plan.group());
      int64_t panels = known ? llvm::divideCeil(*known, kTileEdge) : plan.width / kTileEdge;
      for (int64_t panel = 0; panel < panels; ++panel) {
        SmallVector<Value> rows;
        for (int64_t row = panel * kTileEdge; row < (panel + 1) * kTileEdge; ++row) {
          Value lanes = constant(b.getZeroAttr(tileRow()));
          if (!known || row < *known) {
            Value number = index(row);
            if (!known) // rows beyond the end read the last one again
              number = min(number, sub(cast<Value>(columns), index(1)));
            lanes = loadLanes(tileRow(), flat[plan.right], add(add(start, at), mul(number, stride)), mask);
          }
          rows.push_back(as(b.getI32Type(), lanes));
        }
        rows = transposeVectors(b, loc, std::move(rows));
        for (int64_t row = 0; row < groups; ++row)
          vector::StoreOp::create(b, loc, as(narrow, rows[row]), rightGroups,
                                  placeOf(panel, add(add(firstGroup, group), index(row))));
      }
    });
  });
}

/// A right operand that lies otherwise is copied: columns innermost, else in the order in which it
/// lies, so that it is read in order.
void ProductWriter::groupCopy(Value column, OpFoldResult columns, Value step, OpFoldResult steps) {
  const Access &right = nest.accesses[plan.right];
  SmallVector<unsigned> loops(plan.innerTaps());
  llvm::append_range(loops, plan.steps);
  if (plan.steps.size() == 1) // several make one number in their own order
    llvm::sort(loops, [&](unsigned l, unsigned r) { return right.strideAlong(l) > right.strideAlong(r); });
  loops.push_back(plan.columns);
  int64_t rank = loops.size(), elements = plan.width;
  SmallVector<OpFoldResult> sizes, from, to(rank, b.getIndexAttr(1));
  for (unsigned loop : loops) {
    bool isPieced = plan.piece && llvm::is_contained(plan.steps, loop);
    sizes.push_back(loop == plan.columns ? columns : isPieced ? steps : sizeOf(loop));
    const Term *term = right.linearAlong(loop);
    from.push_back(term->isStatic() ? OpFoldResult(b.getIndexAttr(term->stride)) : strideOf(plan.right, *term));
  }
  DenseMap<unsigned, int64_t> strides;
  for (int64_t dim = rank - 2; dim >= 0; --dim) {
    to[dim] = b.getIndexAttr(elements);
    strides[loops[dim]] = elements;
    elements *= plan.piece && llvm::is_contained(plan.steps, loops[dim]) ? plan.piece : nest.loops[loops[dim]].size;
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
    Value start = index(0), firstGroup = mul(linearOf(plan.innerTaps()), valueOf(groupsOf(steps)));
    for (unsigned tap : plan.innerTaps())
      start = add(start, mul(ivs[tap], index(strides[tap])));
    auto address = [&](Value at) { return add(start, mul(at, index(strides[plan.steps.back()]))); };
    groupRows({rightCopy, address}, columns, plan.width / kTileEdge, steps, firstGroup, rightGroups);
  });
}

/// The tiles of a strip of rows: groups, then squares of them transposed.
void ProductWriter::moveLeft(const RowTiles &tiles, Value row, OpFoldResult rows, Value step, OpFoldResult steps) {
  int64_t panels = tiles.counts.size();
  ivs[plan.rows] = row;
  groupRows(plan.left, plan.rows, rows, panels, step, steps, leftGroups);
  ivs[plan.rows] = Value();
  Value groups = allGroupsOf(steps), end = mul(ceilDiv(groups, kTileEdge), index(kTileEdge));
  clearGroups(groups, end, panels, leftGroups);
  loopOver(index(0), end, kTileEdge, [&](Value group) {
    for (int64_t panel = 0; panel < panels; ++panel) {
      SmallVector<Value> square;
      for (int64_t i = 0; i < kTileEdge; ++i)
        square.push_back(as(b.getI32Type(), loadLanes(tileRow(), leftGroups, placeOf(panel, add(group, index(i))), Value())));
      square = transposeVectors(b, loc, std::move(square));
      for (int64_t i = 0; i < kTileEdge; ++i)
        vector::StoreOp::create(b, loc, as(narrow, square[i]), leftTiles, placeOf(panel, add(group, index(i))));
    }
  });
}

/// The last steps of the left operand's rows, from `start` on, with zeros behind them.
void ProductWriter::copyLastSteps(const Block &block, Value start, OpFoldResult count) {
  int64_t size = plan.tileSteps();
  Value mask = maskOf(count, size);
  const Term *term = nest.accesses[plan.left].linearAlong(plan.rows);
  Value stride = strideOf(plan.left, *term);
  for (auto [number, rows] : llvm::enumerate(block.tiles.counts)) {
    Value first = index(number * kTileEdge), place = index(number * kTileEdge * size);
    loopOver(index(0), valueOf(rows), 1, [&](Value row) {
      Value lanes = loadLanes(tileRow(), flat[plan.left], add(start, mul(add(first, row), stride)), mask);
      vector::StoreOp::create(b, loc, lanes, lastSteps, add(place, mul(row, index(size))));
    });
  }
}
