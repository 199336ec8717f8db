//===- LoopShapes.cpp - Sizes that loops do not change ----------*- C++ -*-===//
//
// By induction: if what a loop carries begins an iteration with the sizes that it had in front
// of the loop, does it end it with these? What does not is left out, and the others are asked
// again, until all that is left does. The question is asked of a copy, as the answer may be no.
//
//===----------------------------------------------------------------------===//
#include "compiler/train/LoopShapes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace nacre;
using namespace nacre::train;

static bool isOpen(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  return tensor && !tensor.hasStaticShape();
}

llvm::BitVector train::findFixedShapes(scf::ForOp op, graph::DimAnalysis &dims) {
  llvm::BitVector fixed(op.getInitArgs().size());
  for (auto [i, init] : llvm::enumerate(op.getInitArgs()))
    fixed[i] = isa<RankedTensorType>(init.getType());
  bool isKnown = llvm::none_of(op.getInitArgs().getTypes(), isOpen);
  while (!isKnown) {
    OpBuilder b(op);
    auto copy = cast<scf::ForOp>(b.clone(*op));
    graph::DimAnalysis trial(dims);
    for (unsigned i : fixed.set_bits())
      trial.assume(copy.getRegionIterArg(i), trial.getDims(copy.getInitArgs()[i]));
    for (Operation &inner : copy.getBody()->without_terminator())
      learnShapes(&inner, trial);
    isKnown = true;
    llvm::BitVector asked = fixed;
    for (unsigned i : asked.set_bits()) {
      Value init = copy.getInitArgs()[i], next = copy.getYieldedValues()[i];
      for (int64_t d = 0, rank = cast<RankedTensorType>(init.getType()).getRank(); d < rank; ++d)
        if (!trial.areEqual(trial.getDim(init, d), trial.getDim(next, d)))
          fixed.reset(i);
    }
    isKnown = fixed == asked;
    trial.eraseUnused();
    copy.erase();
  }
  return fixed;
}

/// The sizes of what both branches give, if they are the same values from in front of them.
static std::optional<SmallVector<OpFoldResult>> findBranchShape(scf::IfOp op, unsigned number, graph::DimAnalysis &dims) {
  Value yielded[] = {op.thenYield().getOperand(number), op.elseYield().getOperand(number)};
  SmallVector<OpFoldResult> shape = dims.getDims(yielded[0]);
  for (auto [size, other] : llvm::zip_equal(shape, dims.getDims(yielded[1]))) {
    auto value = dyn_cast<Value>(size);
    if (!dims.areEqual(size, other) || (value && op->isAncestor(value.getParentBlock()->getParentOp())))
      return std::nullopt;
  }
  return shape;
}

void train::learnShapes(Operation *op, graph::DimAnalysis &dims) {
  if (llvm::none_of(op->getResultTypes(), isOpen))
    return;
  if (auto loop = dyn_cast<scf::ForOp>(op)) {
    llvm::BitVector fixed = findFixedShapes(loop, dims);
    for (unsigned i : fixed.set_bits())
      dims.assume(loop.getResult(i), dims.getDims(loop.getInitArgs()[i]));
  } else if (auto branch = dyn_cast<scf::IfOp>(op)) {
    for (Region &region : branch->getRegions())
      for (Operation &inner : region.front().without_terminator())
        learnShapes(&inner, dims);
    for (Value result : branch.getResults())
      if (isOpen(result.getType()))
        if (auto shape = findBranchShape(branch, cast<OpResult>(result).getResultNumber(), dims))
          dims.assume(result, *shape);
  }
}

scf::WhileOp train::makeWhile(scf::ForOp op, graph::DimAnalysis &dims) {
  OpBuilder b(op);
  Location loc = op.getLoc();
  SmallVector<Value> inits{op.getLowerBound()};
  llvm::append_range(inits, op.getInitArgs());
  auto test = [&](OpBuilder &inner, Location, ValueRange carried) {
    Value goesOn = arith::CmpIOp::create(inner, loc, arith::CmpIPredicate::slt, carried[0], op.getUpperBound());
    scf::ConditionOp::create(inner, loc, goesOn, carried);
  };
  auto again = [&](OpBuilder &inner, Location, ValueRange carried) { scf::YieldOp::create(inner, loc, carried); };
  auto made = scf::WhileOp::create(b, loc, ValueRange(inits).getTypes(), inits, test, again);
  made.getAfter().takeBody(op.getRegion());
  auto yield = made.getYieldOp();
  b.setInsertionPoint(yield);
  SmallVector<Value> next{arith::AddIOp::create(b, loc, made.getAfterArguments()[0], op.getStep())};
  llvm::append_range(next, yield.getOperands());
  yield->setOperands(next);
  for (auto [result, other] : llvm::zip_equal(op.getResults(), made.getResults().drop_front())) {
    result.replaceAllUsesWith(other);
    dims.forget(result);
  }
  op.erase();
  return made;
}
