//===- VectorizeTilesEmitter.h - Writer of planned nests ----------*- C++ -*-===//
//
// What the parts of the emitter share: loops (VectorizeTilesEmit.cpp), addresses
// and memory (VectorizeTilesMemory.cpp), the body's ops (VectorizeTilesBody.cpp).
//
//===----------------------------------------------------------------------===//
#ifndef NACRE_COMPILER_TILE_VECTORIZETILESEMITTER_H
#define NACRE_COMPILER_TILE_VECTORIZETILESEMITTER_H

#include "compiler/tile/VectorizeTiles.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

namespace nacre::tile {

using namespace mlir; // a header of three files only

/// Where a loop stands while a block is written: `copies` steps from `iv` on.
struct Position {
  Value iv;
  int64_t copies = 1;
  /// Mask of the last copy's lanes, and how many they are; null: all.
  Value mask = {}, count = {};
  /// Of a grouped loop: so many iterations are in the group, with zeros beside them.
  int64_t group = 0;
};

/// A part of a loop's range that is run with one number of copies.
struct Strip {
  Value low, high;
  int64_t copies;
  /// Runs exactly once.
  bool single;
  /// The last vector is masked to `high`; of a grouped loop, the iterations fill no group.
  bool masked;
};

/// A copy number for each loop; loops that do not matter have 0.
using Coordinate = SmallVector<int64_t, 6>;
using Key = std::pair<void *, int64_t>;

/// What code of a nest is written with: constants, bounds, and memory as addresses.
class NestWriter {
public:
  NestWriter(RewriterBase &b, const Nest &nest)
      : b(b), loc(nest.op->getLoc()), nest(nest), flat(nest.accesses.size()), metadata(nest.accesses.size()) {}

protected:
  //===--- Constants and small helpers ------------------------------------===//

  /// Constants stand before everything else, each once.
  Value constant(TypedAttr attribute) {
    Value &value = constants[attribute];
    if (!value) {
      OpBuilder::InsertionGuard guard(b);
      if (firstConstant)
        b.setInsertionPoint(firstConstant);
      value = arith::ConstantOp::create(b, loc, attribute);
      firstConstant = value.getDefiningOp();
    }
    return value;
  }
  Value index(int64_t value) { return constant(b.getIndexAttr(value)); }
  Value splat(TypedAttr element, VectorType type) {
    return constant(DenseElementsAttr::get(type, ArrayRef<Attribute>(element)));
  }
  Value add(Value a, Value b2) {
    if (!b2 || (a && matchPattern(b2, m_Zero())))
      return a;
    if (!a || matchPattern(a, m_Zero()))
      return b2;
    return arith::AddIOp::create(b, loc, a, b2);
  }
  Value mul(Value a, Value b2) {
    if (matchPattern(b2, m_One()))
      return a;
    if (matchPattern(a, m_Zero()))
      return a;
    return arith::MulIOp::create(b, loc, a, b2);
  }

  /// Loop bounds, and every memref as a flat one that starts at its first element.
  void prepare();
  Value strideOf(unsigned access, const Term &term);
  /// The term's value at `iv`; null: 0.
  Value termAt(unsigned access, const Term &term, Value iv);
  /// What constants in the map's results add to an address; may be null.
  Value constantTerms(unsigned access);

  RewriterBase &b;
  Location loc;
  const Nest &nest;
  SmallVector<Value> bounds;
  SmallVector<Value> flat;
  SmallVector<memref::ExtractStridedMetadataOp> metadata;

private:
  DenseMap<Attribute, Value> constants;
  Operation *firstConstant = nullptr;
};

/// Transposes a square of as many vectors as each has lanes, in registers.
SmallVector<Value> transposeVectors(OpBuilder &b, Location loc, SmallVector<Value> rows);

class Emitter : NestWriter {
public:
  Emitter(RewriterBase &b, const Nest &nest, const Plan &plan)
      : NestWriter(b, nest), plan(plan), positions(nest.loops.size()), moved(nest.accesses.size()) {}

  void run() {
    index(0); // the first constant: others stand before it
    prepare();
    planPrefetch();
    emitParallel(0);
    unroll();
  }

private:
  //===--- Copies ----------------------------------------------------------===//

  VectorType vectorOf(Type element) { return VectorType::get(plan.width, element); }

  int64_t step(unsigned loop) const { return loop == plan.lanes ? plan.width : int(loop) == plan.grouped ? plan.group : 1; }
  bool lanesReduce() const { return nest.loops[plan.lanes].reduction; }

  /// Loops with several copies whose accumulators are partial results.
  LoopSet partialLoops() const {
    LoopSet set = 0;
    for (unsigned loop = 0; loop < nest.loops.size(); ++loop)
      if (nest.loops[loop].reduction && (plan.copies[loop] > 1 || loop == plan.lanes))
        set |= bit(loop);
    return set;
  }

  /// Which accumulator of a block belongs to a copy. A strip of a reduction may
  /// have fewer copies than the plan: it works on the first ones.
  unsigned slot(unsigned output, const Coordinate &at) const {
    LoopSet block = nest.parallel | partialLoops();
    unsigned number = 0, total = 1;
    for (unsigned loop = 0; loop < nest.loops.size(); ++loop) {
      if (!contains(block, loop))
        continue;
      int64_t copies = nest.loops[loop].reduction ? plan.copies[loop] : positions[loop].copies;
      number = number * copies + at[loop];
      total *= copies;
    }
    return output * total + number;
  }

  /// Calls `fn` with every copy of the loops in `loops`.
  void forEach(LoopSet loops, llvm::function_ref<void(const Coordinate &)> fn) {
    Coordinate at(nest.loops.size(), 0);
    while (true) {
      fn(at);
      int loop = nest.loops.size() - 1;
      for (; loop >= 0; --loop) {
        if (!contains(loops, loop))
          continue;
        if (++at[loop] < positions[loop].copies)
          break;
        at[loop] = 0;
      }
      if (loop < 0)
        return;
    }
  }

  int64_t number(LoopSet loops, const Coordinate &at) const {
    int64_t result = 0;
    for (unsigned loop = 0; loop < nest.loops.size(); ++loop)
      if (plan.copies[loop] > 1)
        result = result * plan.copies[loop] + (contains(loops, loop) ? at[loop] : 0);
    return result;
  }

  /// The mask for a copy of the lanes; null: all lanes.
  Value maskAt(const Coordinate &at) const {
    const Position &position = positions[plan.lanes];
    return at[plan.lanes] == position.copies - 1 ? position.mask : Value();
  }

  /// The number of reduction loops that must stand around a computation.
  unsigned depthOf(const ValueInfo &info) const {
    unsigned depth = plan.reductionOrder.size();
    if (info.pinned)
      return depth;
    while (depth > 0 && !contains(info.loops, plan.reductionOrder[depth - 1]))
      --depth;
    return depth;
  }

  //===--- Addresses
  //-------------------------------------------------------===//

  Value addressOf(unsigned access, const Coordinate &at);
  Term inGroups(Term term) const;
  void placeBlock();
  Value offsetTerm(unsigned access, const Term &term, Value sum, const Coordinate &at);
  Value gatherOffsets(unsigned access);
  Value load(unsigned access, const Coordinate &at);
  void store(unsigned access, const Coordinate &at, Value value);
  bool isTransposed(unsigned access) const;
  SmallVector<Value> loadTransposed(unsigned access);

  //===--- What will be needed next (VectorizeTilesPrefetch.cpp) -----------===//

  int64_t panelOf(const Access &access, const Term &block) const;
  void planPrefetch();
  void placePrefetch();
  void emitPrefetch();
  void thinPrefetches(scf::ForOp loop);

  //===--- Body
  //------------------------------------------------------------===//

  void emitBody(unsigned depth);
  void emitArgument(unsigned number, unsigned depth);
  void emitOps(Block &body, unsigned depth);
  void emitEpilogue();
  void emitBodyOp(Operation &op, const Coordinate &at);
  bool fusesIntoAdd(Operation *mul);
  Operation *fusedMul(Operation &op);
  ValueInfo infoOf(Value value) const { return plan.values.lookup(value); }
  Key keyOf(Value value, const Coordinate &at) const {
    return {value.getAsOpaquePointer(), number(infoOf(value).loops, at)};
  }
  //===--- Groups of products (VectorizeTilesGroups.cpp) --------------------===//

  Value loadGroup(unsigned number, const Coordinate &at);
  Value loadOneOfGroup(unsigned number, Value start);
  Value interleave(SmallVector<Value> rows);
  Value addGroups(Operation &sum, const Coordinate &at);

  void define(Value original, const Coordinate &at, Value value);
  Value scalarOf(Value original, const Coordinate &at);
  Value vectorOf(Value original, const Coordinate &at);
  Value formOf(Value original, const Coordinate &at, bool vector) {
    return vector ? vectorOf(original, at) : scalarOf(original, at);
  }

  //===--- Loops
  //-----------------------------------------------------------===//

  int64_t nextCopies(unsigned loop, int64_t copies) const;
  SmallVector<Strip> stripsOf(unsigned loop);
  SmallVector<Strip> reductionStripsOf(unsigned loop);
  void emitParallel(unsigned depth);
  void emitBlock();
  SmallVector<Value> emitReduction(unsigned depth, SmallVector<Value> accumulators);
  SmallVector<Value> emitInnermost(SmallVector<Value> accumulators);
  void place(unsigned loop, const Strip &strip, Value iv);
  Value startOf(unsigned output, const Coordinate &at);
  Value combine(unsigned output, Value a, Value b2);
  Value combineLanes(unsigned output, Value vector);
  bool isUnrolled(unsigned loop, size_t accumulators) const;
  void unroll();

  static constexpr uint64_t kStepsOfBody = 4;

  const Plan &plan;
  SmallVector<scf::ForOp> unrolled;
  SmallVector<Position> positions;
  /// Address of each access for each copy, parallel loops only.
  DenseMap<std::pair<unsigned, int64_t>, Value> bases;
  /// What the reduction loops placed so far add to it.
  SmallVector<Value> moved;
  DenseMap<Key, Value> scalars, vectors;

  /// The operand whose next panel each block of rows asks for a part of.
  struct Ahead {
    unsigned access = 0;
    Value start; ///< Of the operand, as a number; null: there is none.
    int64_t panel = 0; ///< Its elements.
    SmallVector<unsigned> rows; ///< The loops that walk by each panel.
    Value perRow, place;
    Value factor, shift; ///< A step asks for its own distance from the panel's start, times a factor (null: 1), shifted.
    uint64_t stepsOfLine = 1; ///< So many steps ask for one line of the cache.
  } ahead;
};

} // namespace nacre::tile

#endif // NACRE_COMPILER_TILE_VECTORIZETILESEMITTER_H
