//===- VectorizeTilesEmit.cpp - Write a planned nest as vector code
//---------===//
//
//   scf.for (parallel loops, in strips: full blocks, then remainders)
//     accumulators = outputs, start value, or neutral elements
//     scf.for (reduction loops) iter_args(accumulators)
//       loads of what moves with this loop; body; new accumulators
//     outputs = accumulators
//
// A value is computed at the depth of the innermost reduction loop that it
// moves with, once for each copy of the loops that it moves with.
//
//===----------------------------------------------------------------------===//
#include "compiler/tile/VectorizeTiles.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace nacre::tile;

namespace {

/// Where a loop stands while a block is written: `copies` steps from `iv` on.
struct Position {
  Value iv;
  int64_t copies = 1;
  /// Mask of the last copy's lanes; null: all.
  Value mask;
};

/// A part of a loop's range that is run with one number of copies.
struct Strip {
  Value low, high;
  int64_t copies;
  /// Runs exactly once.
  bool single;
  /// The last vector is masked to `high`.
  bool masked;
};

/// A copy number for each loop; loops that do not matter have 0.
using Coordinate = SmallVector<int64_t, 6>;
using Key = std::pair<void *, int64_t>;

class Emitter {
public:
  Emitter(RewriterBase &b, const Nest &nest, const Plan &plan)
      : b(b), loc(nest.op->getLoc()), nest(nest), plan(plan), positions(nest.loops.size()),
        flat(nest.accesses.size()), metadata(nest.accesses.size()), moved(nest.accesses.size()) {}

  void run() {
    index(0); // the first constant: others stand before it
    prepare();
    emitParallel(0);
  }

private:
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
  VectorType vectorOf(Type element) { return VectorType::get(plan.width, element); }

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

  int64_t step(unsigned loop) const { return loop == plan.lanes ? plan.width : 1; }
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

  void prepare();
  Value strideOf(unsigned access, const Term &term);
  Value termAt(unsigned access, const Term &term, Value iv);
  Value addressOf(unsigned access, const Coordinate &at);
  void placeBlock();
  Value offsetTerm(unsigned access, const Term &term, Value sum, const Coordinate &at);
  Value gatherOffsets(unsigned access);
  Value load(unsigned access, const Coordinate &at);
  void store(unsigned access, const Coordinate &at, Value value);

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
  void define(Value original, const Coordinate &at, Value value);
  Value scalarOf(Value original, const Coordinate &at);
  Value vectorOf(Value original, const Coordinate &at);
  Value formOf(Value original, const Coordinate &at, bool vector) {
    return vector ? vectorOf(original, at) : scalarOf(original, at);
  }

  //===--- Loops
  //-----------------------------------------------------------===//

  SmallVector<Strip> stripsOf(unsigned loop);
  void emitParallel(unsigned depth);
  void emitBlock();
  SmallVector<Value> emitReduction(unsigned depth, SmallVector<Value> accumulators);
  SmallVector<Value> emitInnermost(SmallVector<Value> accumulators);
  void place(unsigned loop, const Strip &strip, Value iv);
  Value startOf(unsigned output, const Coordinate &at);
  Value combine(unsigned output, Value a, Value b2);
  Value combineLanes(unsigned output, Value vector);

  RewriterBase &b;
  Location loc;
  const Nest &nest;
  const Plan &plan;
  SmallVector<Position> positions;
  SmallVector<Value> bounds;
  SmallVector<Value> flat;
  SmallVector<memref::ExtractStridedMetadataOp> metadata;
  /// Address of each access for each copy, parallel loops only.
  DenseMap<std::pair<unsigned, int64_t>, Value> bases;
  /// What the reduction loops placed so far add to it.
  SmallVector<Value> moved;
  DenseMap<Key, Value> scalars, vectors;
  DenseMap<Attribute, Value> constants;
  Operation *firstConstant = nullptr;
};

//===----------------------------------------------------------------------===//
// Addresses
//===----------------------------------------------------------------------===//

/// Loop bounds, and every memref as a flat one that starts at its first
/// element.
void Emitter::prepare() {
  SmallVector<Range> ranges =
      cast<linalg::LinalgOp>(linalg::GenericOp(nest.op).getOperation()).createLoopRanges(b, loc);
  for (const Loop &loop : nest.loops) {
    if (loop.isStatic()) {
      bounds.push_back(index(loop.size));
      continue;
    }
    Value bound;
    for (unsigned origin : loop.origin) {
      Value size = getValueOrCreateConstantIndexOp(b, loc, ranges[origin].size);
      bound = bound ? arith::MulIOp::create(b, loc, bound, size).getResult() : size;
    }
    bounds.push_back(bound);
  }
  for (auto [number, access] : llvm::enumerate(nest.accesses)) {
    if (!nest.isRead(number) && !nest.isWritten(number))
      continue;
    auto type = cast<MemRefType>(access.source.getType());
    SmallVector<int64_t> strides;
    int64_t offset;
    (void)type.getStridesAndOffset(strides, offset);
    bool isStatic = type.hasStaticShape() && llvm::none_of(strides, ShapedType::isDynamic);
    if (!isStatic || ShapedType::isDynamic(offset))
      metadata[number] = memref::ExtractStridedMetadataOp::create(b, loc, access.source);
    // One more than the largest offset.
    OpFoldResult size;
    if (isStatic) {
      int64_t extent = 1;
      for (auto [dim, stride] : llvm::zip(type.getShape(), strides))
        extent += (dim - 1) * stride;
      size = b.getIndexAttr(std::max<int64_t>(extent, 0));
    } else {
      Value extent = index(1);
      for (unsigned dim = 0; dim < strides.size(); ++dim) {
        Value length =
            type.isDynamicDim(dim) ? metadata[number].getSizes()[dim] : index(type.getDimSize(dim));
        Value stride = ShapedType::isDynamic(strides[dim]) ? metadata[number].getStrides()[dim]
                                                           : index(strides[dim]);
        Value last = arith::SubIOp::create(b, loc, length, index(1));
        extent = add(extent, mul(last, stride));
      }
      size = extent;
    }
    OpFoldResult start = ShapedType::isDynamic(offset) ? OpFoldResult(metadata[number].getOffset())
                                                       : OpFoldResult(b.getIndexAttr(offset));
    int64_t staticSize = isStatic ? *getConstantIntValue(size) : ShapedType::kDynamic;
    MemRefLayoutAttrInterface layout;
    if (offset != 0)
      layout = StridedLayoutAttr::get(b.getContext(), offset, {1});
    auto flatType = MemRefType::get({staticSize}, access.element, layout, type.getMemorySpace());
    flat[number] = memref::ReinterpretCastOp::create(b, loc, flatType, access.source, start,
                                                     ArrayRef<OpFoldResult>{size},
                                                     ArrayRef<OpFoldResult>{b.getIndexAttr(1)});
  }
}

Value Emitter::strideOf(unsigned access, const Term &term) {
  if (term.isStatic())
    return index(term.stride);
  OpBuilder::InsertionGuard guard(b);
  Value stride = metadata[access].getStrides()[term.dim];
  return term.factor == 1 ? stride : mul(stride, index(term.factor));
}

/// The term's value at `iv`.
Value Emitter::termAt(unsigned access, const Term &term, Value iv) {
  // Loops count from 0 up, so unsigned division is right and cheaper.
  if (term.kind == Term::FloorDiv)
    iv = arith::DivUIOp::create(b, loc, iv, index(term.divisor));
  else if (term.kind == Term::Mod)
    iv = arith::RemUIOp::create(b, loc, iv, index(term.divisor));
  return mul(iv, strideOf(access, term));
}

/// Adds what copy `at` of the term's loop has beyond copy 0 (linear), or all of
/// the term (packed).
Value Emitter::offsetTerm(unsigned access, const Term &term, Value sum, const Coordinate &at) {
  int64_t offset = at[term.loop] * step(term.loop);
  if (term.kind != Term::Linear)
    return add(sum, termAt(access, term, add(positions[term.loop].iv, index(offset))));
  if (offset == 0)
    return sum;
  if (term.isStatic())
    return add(sum, index(offset * term.stride));
  return add(sum, mul(strideOf(access, term), index(offset)));
}

/// Computes the addresses of the block that starts at the parallel loops'
/// positions.
void Emitter::placeBlock() {
  bases.clear();
  std::fill(moved.begin(), moved.end(), Value());
  for (auto [number, access] : llvm::enumerate(nest.accesses)) {
    if (!flat[number])
      continue;
    Value common;
    for (auto [dim, factor] : access.constants) {
      Term term;
      auto type = cast<MemRefType>(access.source.getType());
      term.stride = type.getStridesAndOffset().first[dim];
      term.factor = factor;
      term.dim = dim;
      if (term.isStatic())
        term.stride *= factor;
      common = add(common, strideOf(number, term));
    }
    for (const Term &term : access.terms)
      if (contains(nest.parallel, term.loop) && term.kind == Term::Linear)
        common = add(common, termAt(number, term, positions[term.loop].iv));
    LoopSet loops = access.loops & nest.parallel;
    forEach(loops, [&, number = number, &access = access](const Coordinate &at) {
      Value address = common;
      for (const Term &term : access.terms)
        if (contains(nest.parallel, term.loop))
          address = offsetTerm(number, term, address, at);
      bases[{number, this->number(loops, at)}] = address ? address : index(0);
    });
  }
}

Value Emitter::addressOf(unsigned number, const Coordinate &at) {
  const Access &access = nest.accesses[number];
  Value address = bases.lookup({number, this->number(access.loops & nest.parallel, at)});
  address = add(address, moved[number]);
  for (const Term &term : access.terms)
    if (contains(nest.reduction, term.loop))
      address = offsetTerm(number, term, address, at);
  return address;
}

/// Offsets of the lanes from the first, for an operand that is not contiguous.
Value Emitter::gatherOffsets(unsigned number) {
  const Access &access = nest.accesses[number];
  SmallVector<int64_t> fixed(plan.width, 0);
  Value dynamic;
  for (const Term &term : access.terms) {
    if (term.loop != plan.lanes || (term.kind == Term::FloorDiv && term.divisor % plan.width == 0))
      continue;
    for (int64_t lane = 0; lane < plan.width && term.isStatic(); ++lane)
      fixed[lane] += term.stride * (term.kind == Term::FloorDiv ? lane / term.divisor
                                    : term.kind == Term::Mod    ? lane % term.divisor
                                                                : lane);
    if (!term.isStatic()) {
      auto type = vectorOf(b.getIndexType());
      Value ramp = vector::StepOp::create(b, loc, type);
      Value stride = vector::BroadcastOp::create(b, loc, type, strideOf(number, term));
      dynamic = add(dynamic, arith::MulIOp::create(b, loc, ramp, stride));
    }
  }
  bool narrow = !dynamic && llvm::all_of(fixed, [](int64_t v) { return llvm::isInt<32>(v); });
  auto type = vectorOf(narrow ? Type(b.getI32Type()) : Type(b.getIndexType()));
  SmallVector<Attribute> elements;
  for (int64_t value : fixed)
    elements.push_back(b.getIntegerAttr(type.getElementType(), value));
  Value offsets = constant(DenseElementsAttr::get(type, elements));
  return dynamic ? arith::AddIOp::create(b, loc, offsets, dynamic).getResult() : offsets;
}

Value Emitter::load(unsigned number, const Coordinate &at) {
  const Access &access = nest.accesses[number];
  Value address = addressOf(number, at);
  Access::Lanes along = access.along(plan.lanes, plan.width);
  if (along == Access::None)
    return memref::LoadOp::create(b, loc, flat[number], address);
  auto type = vectorOf(access.element);
  if (along == Access::Same)
    return vector::BroadcastOp::create(
        b, loc, type, memref::LoadOp::create(b, loc, flat[number], address).getResult());
  Value mask = maskAt(at);
  if (along == Access::Contiguous && !mask)
    return vector::LoadOp::create(b, loc, type, flat[number], address);
  Value none = constant(b.getZeroAttr(type));
  if (along == Access::Contiguous)
    return vector::MaskedLoadOp::create(b, loc, type, flat[number], address, mask, none);
  if (!mask)
    mask = constant(DenseElementsAttr::get(vectorOf(b.getI1Type()), true));
  return vector::GatherOp::create(b, loc, type, flat[number], address, gatherOffsets(number), mask,
                                  none);
}

void Emitter::store(unsigned number, const Coordinate &at, Value value) {
  Value address = addressOf(number, at);
  if (!isa<VectorType>(value.getType())) {
    memref::StoreOp::create(b, loc, value, flat[number], address);
    return;
  }
  if (Value mask = maskAt(at))
    vector::MaskedStoreOp::create(b, loc, flat[number], address, mask, value);
  else
    vector::StoreOp::create(b, loc, value, flat[number], address);
}

//===----------------------------------------------------------------------===//
// Body
//===----------------------------------------------------------------------===//

void Emitter::define(Value original, const Coordinate &at, Value value) {
  Key key = keyOf(original, at);
  if (isa<VectorType>(value.getType())) {
    vectors[key] = value;
    return;
  }
  scalars[key] = value;
  bool ramp = infoOf(original).form == ValueInfo::Ramp;
  auto needsVector = [&](Operation *user) {
    return isa<linalg::YieldOp>(user) || llvm::any_of(user->getResults(), [&](Value result) {
             return infoOf(result).form == ValueInfo::Varying;
           });
  };
  if (!llvm::any_of(original.getUsers(), needsVector))
    return;
  auto type = vectorOf(value.getType());
  if (Attribute known; !ramp && matchPattern(value, m_Constant(&known))) {
    vectors[key] = splat(cast<TypedAttr>(known), type);
    return;
  }
  Value wide = vector::BroadcastOp::create(b, loc, type, value);
  if (ramp) {
    Value lanes = vector::StepOp::create(b, loc, vectorOf(b.getIndexType()));
    if (!type.getElementType().isIndex())
      lanes = arith::IndexCastOp::create(b, loc, type, lanes);
    wide = arith::AddIOp::create(b, loc, wide, lanes);
  }
  vectors[key] = wide;
}

Value Emitter::scalarOf(Value original, const Coordinate &at) {
  Value value = scalars.lookup(keyOf(original, at));
  return value ? value : original; // captured from above
}

Value Emitter::vectorOf(Value original, const Coordinate &at) {
  if (Value value = vectors.lookup(keyOf(original, at)))
    return value;
  Attribute splatted;
  if (matchPattern(original, m_Constant(&splatted)))
    return splat(cast<TypedAttr>(splatted), vectorOf(original.getType()));
  return vector::BroadcastOp::create(b, loc, vectorOf(original.getType()), scalarOf(original, at));
}

/// The multiplication that `op` (an addition to an accumulator) does not round.
Operation *Emitter::fusedMul(Operation &op) {
  if (!isa<arith::AddFOp>(op) || !nest.reduction)
    return nullptr;
  Type type = op.getResult(0).getType();
  if (!type.isF32() && !type.isF64())
    return nullptr;
  for (unsigned side : {0u, 1u}) {
    auto argument = dyn_cast<BlockArgument>(op.getOperand(1 - side));
    auto mul = op.getOperand(side).getDefiningOp<arith::MulFOp>();
    if (argument && argument.getOwner() == &nest.body() && argument.getArgNumber() >= nest.inputs &&
        mul && mul->hasOneUse() && depthOf(infoOf(mul)) == plan.reductionOrder.size())
      return mul;
  }
  return nullptr;
}

bool Emitter::fusesIntoAdd(Operation *mul) {
  return isa<arith::MulFOp>(mul) && mul->hasOneUse() && fusedMul(**mul->user_begin()) == mul;
}

void Emitter::emitBodyOp(Operation &op, const Coordinate &at) {
  if (auto indexOp = dyn_cast<linalg::IndexOp>(op)) {
    int loop = nest.loopOf[indexOp.getDim()];
    Value value = index(0);
    if (loop >= 0)
      value = add(positions[loop].iv, index(at[loop] * step(loop)));
    return define(indexOp, at, value);
  }
  bool vector = infoOf(op.getResult(0)).form == ValueInfo::Varying;
  if (Operation *mul = fusedMul(op)) {
    Value addend = op.getOperand(op.getOperand(0) == mul->getResult(0) ? 1 : 0);
    Value x = formOf(mul->getOperand(0), at, vector), y = formOf(mul->getOperand(1), at, vector),
          z = formOf(addend, at, vector);
    Value fused = vector ? vector::FMAOp::create(b, loc, x, y, z).getResult()
                         : math::FmaOp::create(b, loc, x, y, z).getResult();
    return define(op.getResult(0), at, fused);
  }
  IRMapping mapping;
  for (Value operand : op.getOperands())
    mapping.map(operand, formOf(operand, at, vector));
  Operation *clone = b.clone(op, mapping);
  if (Value mask = vector && isIntegerDivision(&op) ? maskAt(at) : Value()) {
    // Lanes beyond the end must not trap.
    Value divisor = clone->getOperand(1);
    b.setInsertionPoint(clone);
    auto type = cast<VectorType>(divisor.getType());
    Value one = splat(b.getIntegerAttr(type.getElementType(), 1), type);
    clone->setOperand(1, arith::SelectOp::create(b, loc, mask, divisor, one));
    b.setInsertionPointAfter(clone);
  }
  for (auto [original, result] : llvm::zip(op.getResults(), clone->getResults())) {
    if (vector)
      result.setType(vectorOf(result.getType()));
    define(original, at, result);
  }
}

/// Computes what belongs at `depth`.
void Emitter::emitBody(unsigned depth) {
  for (unsigned number = 0; number < nest.inputs; ++number)
    emitArgument(number, depth);
  emitOps(nest.body(), depth);
}

void Emitter::emitArgument(unsigned number, unsigned depth) {
  const Access &access = nest.accesses[number];
  BlockArgument argument = nest.argumentOf(number);
  if (!access.used || depthOf(infoOf(argument)) != depth)
    return;
  forEach(access.loops, [&](const Coordinate &at) {
    define(argument, at, access.scalar ? access.source : load(number, at));
  });
}

void Emitter::emitOps(Block &body, unsigned depth) {
  for (Operation &op : body.without_terminator()) {
    if (op.hasTrait<OpTrait::ConstantLike>()) {
      if (depth == 0)
        define(op.getResult(0), Coordinate(nest.loops.size(), 0),
               constant(cast<TypedAttr>(cast<arith::ConstantOp>(op).getValue())));
      continue;
    }
    ValueInfo info = infoOf(op.getResult(0));
    if (depthOf(info) != depth || fusesIntoAdd(&op))
      continue;
    forEach(info.loops, [&](const Coordinate &at) { emitBodyOp(op, at); });
  }
}

/// Computes the epilogue on the results of a block and stores its results.
void Emitter::emitEpilogue() {
  linalg::GenericOp epilogue = nest.epilogue;
  for (unsigned number = nest.epilogueStart(); number < nest.accesses.size(); ++number)
    if (!nest.isResult(number))
      emitArgument(number, 0);
  emitOps(*epilogue.getBody(), 0);
  unsigned last = nest.accesses.size() - 1;
  Value yielded = epilogue.getBody()->getTerminator()->getOperand(0);
  forEach(nest.parallel,
          [&](const Coordinate &at) { store(last, at, formOf(yielded, at, !lanesReduce())); });
}

//===----------------------------------------------------------------------===//
// Loops
//===----------------------------------------------------------------------===//

SmallVector<Strip> Emitter::stripsOf(unsigned number) {
  const Loop &loop = nest.loops[number];
  int64_t width = step(number), copies = plan.copies[number];
  SmallVector<Strip> strips;
  if (loop.isStatic()) {
    int64_t block = width * copies, full = loop.size / block * block, rest = loop.size - full;
    if (full)
      strips.push_back({index(0), index(full), copies, full == block, false});
    if (rest)
      strips.push_back({index(full), index(loop.size), int64_t(llvm::divideCeil(rest, width)), true,
                        rest % width != 0});
    return strips;
  }
  Value low = index(0), bound = bounds[number];
  for (; copies > 1; copies = number == plan.lanes ? 1 : copies / 2) {
    Value rest = arith::SubIOp::create(b, loc, bound, low);
    Value tail = arith::RemUIOp::create(b, loc, rest, index(width * copies));
    Value high = arith::SubIOp::create(b, loc, bound, tail);
    strips.push_back({low, high, copies, false, false});
    low = high;
  }
  if (width == 1) {
    strips.push_back({low, bound, 1, false, false});
    return strips;
  }
  Value rest = arith::SubIOp::create(b, loc, bound, low);
  Value tail = arith::RemUIOp::create(b, loc, rest, index(width));
  Value high = arith::SubIOp::create(b, loc, bound, tail);
  strips.push_back({low, high, 1, false, false});
  strips.push_back({high, bound, 1, false, true});
  return strips;
}

void Emitter::place(unsigned loop, const Strip &strip, Value iv) {
  Position &position = positions[loop];
  position.iv = iv;
  position.copies = strip.copies;
  position.mask = Value();
  if (!strip.masked)
    return;
  Value last = add(iv, index((strip.copies - 1) * plan.width));
  Value count = arith::SubIOp::create(b, loc, strip.high, last);
  if (nest.loops[loop].isStatic()) // single: a constant
    count = index(nest.loops[loop].size % plan.width);
  position.mask = vector::CreateMaskOp::create(b, loc, vectorOf(b.getI1Type()), ValueRange{count});
}

void Emitter::emitParallel(unsigned depth) {
  if (depth == plan.parallelOrder.size())
    return emitBlock();
  unsigned loop = plan.parallelOrder[depth];
  for (const Strip &strip : stripsOf(loop)) {
    if (strip.single) {
      place(loop, strip, strip.low);
      emitParallel(depth + 1);
      continue;
    }
    auto body = scf::ForOp::create(b, loc, strip.low, strip.high, index(strip.copies * step(loop)));
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(body.getBody());
    place(loop, strip, body.getInductionVar());
    emitParallel(depth + 1);
  }
}

Value Emitter::startOf(unsigned output, const Coordinate &at) {
  unsigned number = nest.inputs + output;
  if (!nest.start[output])
    return load(number, at);
  if (!contains(nest.accesses[number].loops, plan.lanes))
    return nest.start[output];
  return vectorOf(nest.start[output], at);
}

Value Emitter::combine(unsigned output, Value a, Value b2) {
  Operation *combiner = nest.combiner(output);
  IRMapping mapping;
  mapping.map(combiner->getOperand(0), a);
  mapping.map(combiner->getOperand(1), b2);
  Operation *clone = b.clone(*combiner, mapping);
  clone->getResult(0).setType(a.getType());
  return clone->getResult(0);
}

/// Halves the vector until one lane is left: a fixed order.
Value Emitter::combineLanes(unsigned output, Value value) {
  for (int64_t width = plan.width; width > 1; width /= 2) {
    SmallVector<int64_t> low, high;
    for (int64_t lane = 0; lane < width / 2; ++lane) {
      low.push_back(lane);
      high.push_back(width / 2 + lane);
    }
    Value a = vector::ShuffleOp::create(b, loc, value, value, low);
    Value c = vector::ShuffleOp::create(b, loc, value, value, high);
    value = combine(output, a, c);
  }
  return vector::ExtractOp::create(b, loc, value, 0);
}

/// Writes one block at the parallel loops' positions.
void Emitter::emitBlock() {
  placeBlock();
  LoopSet partial = partialLoops(), block = nest.parallel | partial;
  for (unsigned loop : plan.reductionOrder)
    positions[loop] = {Value(), plan.copies[loop], Value()};

  SmallVector<Value> accumulators;
  for (unsigned output = 0; output < nest.outputs; ++output) {
    const Access &access = nest.accesses[nest.inputs + output];
    bool read = access.used || nest.reduction;
    forEach(block, [&](const Coordinate &at) {
      Value value;
      if (partial) {
        TypedAttr neutral = *arith::getNeutralElement(nest.combiner(output));
        bool vector = lanesReduce() || contains(access.loops, plan.lanes);
        value = vector ? splat(neutral, vectorOf(access.element)) : constant(neutral);
      } else if (read) {
        value = startOf(output, at);
      }
      accumulators.push_back(value);
    });
  }
  if (!plan.reductionOrder.empty())
    emitBody(0);
  accumulators = emitReduction(0, std::move(accumulators));

  // The reduction loops are over: what follows does not move with them.
  std::fill(moved.begin(), moved.end(), Value());
  for (unsigned loop : plan.reductionOrder)
    positions[loop] = {Value(), plan.copies[loop], Value()};
  for (unsigned output = 0; output < nest.outputs; ++output) {
    forEach(nest.parallel, [&](const Coordinate &parallel) {
      Value value;
      forEach(partial, [&](Coordinate at) {
        for (unsigned loop = 0; loop < nest.loops.size(); ++loop)
          at[loop] += parallel[loop];
        Value part = accumulators[slot(output, at)];
        value = value ? combine(output, value, part) : part;
      });
      if (lanesReduce())
        value = combineLanes(output, value);
      if (partial)
        value = combine(output, startOf(output, parallel), value);
      if (nest.storesOutputs)
        store(nest.inputs + output, parallel, value);
      for (unsigned number = nest.epilogueStart(); number < nest.accesses.size(); ++number)
        if (nest.isResult(number))
          define(nest.argumentOf(number), parallel, value);
    });
  }
  if (nest.epilogue)
    emitEpilogue();
}

SmallVector<Value> Emitter::emitReduction(unsigned depth, SmallVector<Value> accumulators) {
  if (depth == plan.reductionOrder.size())
    return emitInnermost(std::move(accumulators));
  unsigned loop = plan.reductionOrder[depth];
  auto emitInside = [&](SmallVector<Value> inside) {
    SmallVector<Value> before = moved;
    for (auto [number, access] : llvm::enumerate(nest.accesses))
      for (const Term &term : access.terms)
        if (term.loop == loop && term.kind == Term::Linear && flat[number])
          moved[number] = add(moved[number], termAt(number, term, positions[loop].iv));
    if (depth + 1 < plan.reductionOrder.size()) // else the innermost computation does
      emitBody(depth + 1);
    inside = emitReduction(depth + 1, std::move(inside));
    moved = before;
    return inside;
  };
  for (const Strip &strip : stripsOf(loop)) {
    if (strip.single) {
      place(loop, strip, strip.low);
      accumulators = emitInside(std::move(accumulators));
      continue;
    }
    auto body = scf::ForOp::create(b, loc, strip.low, strip.high, index(strip.copies * step(loop)),
                                   accumulators);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(body.getBody());
    place(loop, strip, body.getInductionVar());
    SmallVector<Value> inside = emitInside(SmallVector<Value>(body.getRegionIterArgs()));
    scf::YieldOp::create(b, loc, inside);
    accumulators = SmallVector<Value>(body.getResults());
  }
  return accumulators;
}

/// The innermost computation: new accumulators from old ones.
SmallVector<Value> Emitter::emitInnermost(SmallVector<Value> accumulators) {
  LoopSet block = nest.parallel | partialLoops();
  Block &body = nest.body();
  for (unsigned output = 0; output < nest.outputs; ++output)
    forEach(block, [&](const Coordinate &at) {
      if (Value value = accumulators[slot(output, at)])
        define(body.getArgument(nest.inputs + output), at, value);
    });
  emitBody(plan.reductionOrder.size());

  SmallVector<Value> results = accumulators;
  Operation *yield = body.getTerminator();
  for (unsigned output = 0; output < nest.outputs; ++output) {
    bool vector = lanesReduce() || contains(nest.accesses[nest.inputs + output].loops, plan.lanes);
    forEach(block, [&](const Coordinate &at) {
      Value &result = results[slot(output, at)];
      Value value = formOf(yield->getOperand(output), at, vector);
      if (Value mask = lanesReduce() ? maskAt(at) : Value())
        value = arith::SelectOp::create(b, loc, mask, value, result);
      result = value;
    });
  }
  return results;
}

} // namespace

void nacre::tile::emitNest(RewriterBase &rewriter, const Nest &nest, const Plan &plan) {
  OpBuilder::InsertionGuard guard(rewriter);
  rewriter.setInsertionPoint(nest.epilogue ? nest.epilogue : nest.op);
  Emitter(rewriter, nest, plan).run();
}
