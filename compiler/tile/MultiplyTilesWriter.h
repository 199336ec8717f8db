//===- MultiplyTilesWriter.h - Writer of products of tiles --------*- C++ -*-===//
//
// What the parts of the writer share: loops and products (MultiplyTilesEmit.cpp), operands in
// buffers (MultiplyTilesMove.cpp), what becomes of the sums (MultiplyTilesStore.cpp).
//
//===----------------------------------------------------------------------===//
#ifndef NACRE_COMPILER_TILE_MULTIPLYTILESWRITER_H
#define NACRE_COMPILER_TILE_MULTIPLYTILESWRITER_H

#include "compiler/tile/MultiplyTiles.h"
#include "compiler/tile/VectorizeTilesEmitter.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

namespace nacre::tile {

class ProductWriter : NestWriter {
public:
  ProductWriter(RewriterBase &b, const Nest &nest, const MatrixPlan &plan, bool startsAtZero)
      : NestWriter(b, nest), plan(plan), startsAtZero(startsAtZero), narrow(plan.product.element),
        wide(nest.accesses[nest.inputs].element), ivs(nest.loops.size()) {}

  void run();

private:
  using At = llvm::function_ref<void(Value start, OpFoldResult count)>;

  //===--- Small helpers ---------------------------------------------------===//

  Value valueOf(OpFoldResult size) {
    std::optional<int64_t> known = getConstantIntValue(size);
    return known ? index(*known) : cast<Value>(size);
  }
  OpFoldResult sizeOf(unsigned loop) const {
    return nest.loops[loop].isStatic() ? OpFoldResult(b.getIndexAttr(nest.loops[loop].size)) : OpFoldResult(bounds[loop]);
  }
  Value sub(Value a, Value b2) { return arith::SubIOp::create(b, loc, a, b2); }
  Value min(Value a, Value b2) { return arith::MinUIOp::create(b, loc, a, b2); }
  /// `value` divided by `divisor`, rounded up.
  Value ceilDiv(Value value, int64_t divisor) {
    return arith::DivUIOp::create(b, loc, add(value, index(divisor - 1)), index(divisor));
  }
  OpFoldResult groupsOf(OpFoldResult steps);
  Value allGroupsOf(OpFoldResult steps);

  /// Runs `body` for pieces of `size`, then for what is left.
  void overStrips(OpFoldResult total, int64_t size, At body);
  /// A loop from `low` to `high`, with its induction variable in `body`.
  void loopOver(Value low, Value high, int64_t step, llvm::function_ref<void(Value)> body);
  /// The loops of the nest, outer to inner, with their positions in `ivs`.
  void loopsOver(ArrayRef<unsigned> loops, llvm::function_ref<void()> body);
  /// The position of `loops` as one number, outer to inner.
  Value linearOf(ArrayRef<unsigned> loops);
  /// The address of an access where the loops stand; may be null.
  Value addressOf(unsigned access);
  /// A buffer on the running thread's stack.
  Value bufferOf(int64_t elements, Type element);

  //===--- Tiles (MultiplyTilesEmit.cpp) -----------------------------------===//

  /// Rows of a strip: of its one or two tiles.
  struct RowTiles {
    SmallVector<OpFoldResult, 2> counts;
    int64_t columns() const { return counts.size() == 2 ? 2 : 4; }
    int64_t sums(int64_t row, int64_t column) const { return row * columns() + column; }
    int64_t left(int64_t row) const { return 4 + row; }
    int64_t right(int64_t column) const { return counts.size() == 2 ? 6 + column : 5 + column % 3; }
  };
  /// A block of sums: where it begins, and how much of it there is.
  struct Block {
    const RowTiles &tiles;
    Value row, column;          ///< In the nest.
    OpFoldResult rows, columns; ///< Their numbers.
    int64_t columnTiles;
  };

  void intrinsic(StringRef name, ValueRange arguments) {
    LLVM::CallIntrinsicOp::create(b, loc, b.getStringAttr("llvm.x86." + name), arguments);
  }
  Value tile(int64_t number) { return LLVM::ConstantOp::create(b, loc, b.getI8Type(), b.getI8IntegerAttr(number)); }
  Value pointerTo(Value flatMemref, Value element);
  Value bytes(Value elements, Type element);
  void configure(const RowTiles &tiles);
  void emitColumns(Value column, OpFoldResult count);
  void emitPiece(Value column, OpFoldResult columns, Value step, OpFoldResult steps);
  void emitRows(Value column, OpFoldResult columns, Value step, OpFoldResult steps);
  void emitRow(const RowTiles &tiles, Value row, Value column, OpFoldResult columns, Value step, OpFoldResult steps);
  void emitBlock(const Block &block, Value panel, Value step, OpFoldResult steps);
  void multiply(const Block &block, llvm::function_ref<Value(int64_t)> leftTile, Value leftStride, Value panel, Value group);
  void multiplyWhereTheyAre(const Block &block, Value panel, Value step, OpFoldResult steps);
  SmallVector<RowTiles> tilesOf(OpFoldResult rows);

  //===--- Operands in buffers (MultiplyTilesMove.cpp) ----------------------===//

  /// Rows of elements, some of which become groups: at `address(step)` of `memory` begin those of a
  /// step.
  struct Rows {
    Value memory;
    llvm::function_ref<Value(Value)> address;
  };
  void moveRight(Value column, OpFoldResult columns, Value step, OpFoldResult steps);
  void moveLeft(const RowTiles &tiles, Value row, OpFoldResult rows, Value step, OpFoldResult steps);
  /// All inner taps' rows of an operand that lies along `along`, as groups in `buffer`.
  void groupRows(unsigned access, unsigned along, OpFoldResult count, int64_t panels, Value step, OpFoldResult steps, Value buffer);
  void groupRows(Rows rows, OpFoldResult count, int64_t panels, OpFoldResult steps, Value firstGroup, Value buffer);
  void groupSteps(Value column, OpFoldResult columns, Value step, OpFoldResult steps);
  void groupCopy(Value column, OpFoldResult columns, Value step, OpFoldResult steps);
  void clearGroups(Value from, Value to, int64_t panels, Value buffer);
  void copyLastSteps(const Block &block, Value step, OpFoldResult count);
  Value maskOf(OpFoldResult count, int64_t lanes);
  Value loadLanes(VectorType type, Value memory, Value address, Value mask);
  SmallVector<Value> interleave(ArrayRef<Value> rows);
  /// A vector's elements as another type of 64 bytes.
  Value as(Type element, Value vector) {
    auto type = VectorType::get(64 * 8 / element.getIntOrFloatBitWidth(), element);
    return vector.getType() == type ? vector : vector::BitCastOp::create(b, loc, type, vector).getResult();
  }
  VectorType tileRow() { return VectorType::get(plan.tileSteps(), narrow); }
  /// Where a panel's group begins in a buffer of groups.
  Value placeOf(int64_t panel, Value group) {
    return add(index(panel * plan.groups * plan.tileSteps()), mul(group, index(plan.tileSteps())));
  }

  //===--- Sums (MultiplyTilesStore.cpp) ------------------------------------===//

  bool writesTiles(const Block &block) const;
  void finish(const Block &block);
  MemRefType typeOf(Type element, ArrayRef<OpFoldResult> sizes, ArrayRef<OpFoldResult> strides, OpFoldResult offset);
  Value viewOf(unsigned access, ArrayRef<OpFoldResult> sizes, ArrayRef<OpFoldResult> strides);
  std::pair<Value, AffineMap> blockOf(const Block &block, unsigned access);

  const MatrixPlan &plan;
  bool startsAtZero;
  /// The elements that are multiplied, and those of the sums.
  Type narrow, wide;
  SmallVector<Value> ivs;
  /// Groups of the right operand; tiles of the left one, and groups to make them from; its last
  /// steps; sums; a tile configuration.
  Value rightGroups, rightCopy, leftTiles, leftGroups, lastSteps, sums, configuration;
  bool isConfigured = false;
};

} // namespace nacre::tile

#endif // NACRE_COMPILER_TILE_MULTIPLYTILESWRITER_H
