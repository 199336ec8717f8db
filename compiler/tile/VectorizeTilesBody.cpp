//===- VectorizeTilesBody.cpp - The ops of the body ----------------------===//
//
// Each op is cloned with scalars or vectors, at the depth where it belongs, once for each
// copy of the loops that it moves with.
//
//===----------------------------------------------------------------------===//
#include "compiler/tile/VectorizeTilesEmitter.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace nacre::tile;

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
  if (!isa<arith::AddFOp>(op) || !nest.reduction || !plan.fma)
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
  if (!access.scalar && isTransposed(number)) {
    Coordinate at(nest.loops.size(), 0);
    for (Value column : loadTransposed(number)) {
      define(argument, at, column);
      ++at[plan.transposed];
    }
    return;
  }
  forEach(access.loops, [&](const Coordinate &at) {
    bool isGroup = plan.grouped >= 0 && number < nest.inputs;
    define(argument, at, access.scalar ? access.source : isGroup ? loadGroup(number, at) : load(number, at));
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
    if (plan.grouped >= 0 && &body == &nest.body()) { // the other ops are part of the sum
      if (isa<arith::AddFOp, arith::AddIOp>(op))
        forEach(info.loops, [&](const Coordinate &at) { define(op.getResult(0), at, addGroups(op, at)); });
      continue;
    }
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

