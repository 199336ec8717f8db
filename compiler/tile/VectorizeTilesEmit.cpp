//===- VectorizeTilesEmit.cpp - Write a planned nest as vector code ---------===//
//
//   scf.for (parallel loops, in strips: full blocks, then remainders)
//     accumulators = outputs, start value, or neutral elements
//     scf.for (reduction loops) iter_args(accumulators)
//       loads of what moves with this loop; body; new accumulators
//     outputs = accumulators
//
// The innermost loop of sums has four steps in its body.
//
// A value is computed at the depth of the innermost reduction loop that it
// moves with, once for each copy of the loops that it moves with.
//
//===----------------------------------------------------------------------===//
#include "compiler/tile/VectorizeTilesEmitter.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/SCF/Utils/Utils.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace nacre::tile;

/// How many copies a dynamic loop's next strip has: remainders take ever fewer.
int64_t Emitter::nextCopies(unsigned loop, int64_t copies) const {
  if (loop == plan.lanes)
    return 1;
  return int(loop) == plan.transposed ? copies / 4 : copies / 2;
}

SmallVector<Strip> Emitter::stripsOf(unsigned number) {
  const Loop &loop = nest.loops[number];
  int64_t width = step(number), copies = plan.copies[number];
  SmallVector<Strip> strips;
  if (loop.isStatic()) {
    int64_t block = width * copies, full = loop.size / block * block, rest = loop.size - full;
    if (full)
      strips.push_back({index(0), index(full), copies, full == block, false});
    if (rest)
      strips.push_back({index(full), index(loop.size), int64_t(llvm::divideCeil(rest, width)), true, rest % width != 0});
    return strips;
  }
  Value low = index(0), bound = bounds[number];
  for (; copies > 1; copies = nextCopies(number, copies)) {
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

/// The strips of a reduction loop at the parallel loops' positions: of taps, those that some
/// copy of the window's places meets something with.
SmallVector<Strip> Emitter::reductionStripsOf(unsigned loop) {
  SmallVector<Strip> strips = stripsOf(loop);
  const Halo *halo = llvm::find_if(nest.halos, [&](const Halo &halo) { return halo.loop == loop; });
  if (halo == nest.halos.end() || strips.size() != 1 || strips[0].single || strips[0].copies != 1 || step(loop) != 1)
    return strips;
  OpFoldResult first = b.getIndexAttr(0);
  int64_t more = 0;
  if (halo->place >= 0) {
    first = getAsOpFoldResult(positions[halo->place].iv);
    more = std::min(positions[halo->place].copies * step(halo->place), halo->places) - 1;
  }
  AffineExpr place = b.getAffineDimExpr(0), zero = b.getAffineConstantExpr(0);
  AffineExpr low = (b.getAffineConstantExpr(halo->begin) - (place + more) * halo->stride).ceilDiv(halo->dilation);
  AffineExpr high = (b.getAffineConstantExpr(halo->begin + halo->size - 1) - place * halo->stride).floorDiv(halo->dilation) + 1;
  auto mapOf = [&](ArrayRef<AffineExpr> exprs) { return AffineMap::get(1, 0, exprs, b.getContext()); };
  auto toValue = [&](OpFoldResult bound) {
    std::optional<int64_t> known = getConstantIntValue(bound);
    return known ? index(*known) : cast<Value>(bound);
  };
  strips[0].low = toValue(affine::makeComposedFoldedAffineMax(b, loc, mapOf({low * halo->factor, zero}), first));
  strips[0].high = toValue(affine::makeComposedFoldedAffineMin(
      b, loc, mapOf({high * halo->factor, b.getAffineConstantExpr(halo->taps * halo->factor)}), first));
  return strips;
}

void Emitter::place(unsigned loop, const Strip &strip, Value iv) {
  Position &position = positions[loop];
  position.iv = iv;
  position.copies = strip.copies;
  position.mask = position.count = Value();
  if (int(loop) == plan.grouped) {
    position.group = !strip.masked ? plan.group : nest.loops[loop].isStatic() ? nest.loops[loop].size % plan.group : 1;
    return;
  }
  if (!strip.masked)
    return;
  Value last = add(iv, index((strip.copies - 1) * plan.width));
  if (nest.loops[loop].isStatic()) // single: a constant
    position.count = index(nest.loops[loop].size % plan.width);
  else
    position.count = arith::SubIOp::create(b, loc, strip.high, last);
  position.mask =
      vector::CreateMaskOp::create(b, loc, vectorOf(b.getI1Type()), position.count);
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

/// Halves the vector until one lane is left: a fixed order, which floats need. Of integers any order gives the same, and
/// theirs is LLVM's to choose: of halves down to one lane, LLVM 22 makes a wrong sum where it takes `vpdpbusd` for products
/// of 8 bits (half of the lanes are missing).
Value Emitter::combineLanes(unsigned output, Value value) {
  if (isa<IntegerType>(getElementTypeOrSelf(value.getType())))
    if (std::optional<vector::CombiningKind> kind = linalg::getCombinerOpKind(nest.combiner(output)))
      return vector::ReductionOp::create(b, loc, *kind, value);
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
  placePrefetch();
  LoopSet partial = partialLoops(), block = nest.parallel | partial;
  for (unsigned loop : plan.reductionOrder)
    positions[loop] = {Value(), plan.copies[loop]};

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
    positions[loop] = {Value(), plan.copies[loop]};
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
      for (const Term &own : access.terms)
        if (Term term = inGroups(own); term.loop == loop && term.kind == Term::Linear && flat[number])
          moved[number] = add(moved[number], termAt(number, term, positions[loop].iv));
    if (depth + 1 < plan.reductionOrder.size()) // else the innermost computation does
      emitBody(depth + 1);
    inside = emitReduction(depth + 1, std::move(inside));
    moved = before;
    return inside;
  };
  for (const Strip &strip : reductionStripsOf(loop)) {
    if (strip.single) {
      place(loop, strip, strip.low);
      accumulators = emitInside(std::move(accumulators));
      continue;
    }
    int64_t steps = strip.masked && int(loop) == plan.grouped ? 1 : strip.copies * step(loop);
    auto body = scf::ForOp::create(b, loc, strip.low, strip.high, index(steps), accumulators);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(body.getBody());
    place(loop, strip, body.getInductionVar());
    SmallVector<Value> inside = emitInside(SmallVector<Value>(body.getRegionIterArgs()));
    scf::YieldOp::create(b, loc, inside);
    accumulators = SmallVector<Value>(body.getResults());
    if (depth + 1 == plan.reductionOrder.size() && isUnrolled(loop, accumulators.size()))
      unrolled.push_back(body);
  }
  return accumulators;
}

/// Whether the innermost loop of a block's sums has several steps in its body: each costs a block of two vectors by
/// eight rows more than a cycle of eight (Sapphire Rapids), of which the loop's own instructions are the most. The
/// order of the sums stays.
bool Emitter::isUnrolled(unsigned loop, size_t accumulators) const {
  constexpr size_t kFewestAccumulators = 4, kMostAccumulators = 32; // more would not stay in the cache of decoded instructions
  constexpr int64_t kFewestSteps = 16;
  auto isShortTap = [&](const Halo &halo) { return halo.loop == loop && halo.factor < kFewestSteps; };
  bool isLong = !nest.loops[loop].isStatic() || nest.loops[loop].size / step(loop) >= kFewestSteps;
  return !lanesReduce() && isLong && llvm::none_of(nest.halos, isShortTap) && accumulators >= kFewestAccumulators && accumulators <= kMostAccumulators;
}

void Emitter::unroll() {
  for (scf::ForOp loop : unrolled) {
    FailureOr<UnrolledLoopInfo> made = loopUnrollByFactor(loop, kStepsOfBody);
    if (succeeded(made) && made->mainLoopOp) // else there are fewer steps
      thinPrefetches(*made->mainLoopOp);
  }
}

/// The innermost computation: new accumulators from old ones.
SmallVector<Value> Emitter::emitInnermost(SmallVector<Value> accumulators) {
  emitPrefetch();
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

void nacre::tile::emitNest(RewriterBase &rewriter, const Nest &nest, const Plan &plan) {
  OpBuilder::InsertionGuard guard(rewriter);
  rewriter.setInsertionPoint(nest.epilogue ? nest.epilogue : nest.op);
  Emitter(rewriter, nest, plan).run();
}
