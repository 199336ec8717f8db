//===- ControlFlowGradients.cpp - Loops, branches, slices -------*- C++ -*-===//
//
// Before: %r = scf.for %i = 0 to %n (%a = %init) { %b = f(%a, %w); yield %b }
// After:  %r, %tape' = scf.for %i = 0 to %n (%a = %init, %t = %tape) {
//           %t' = insert %a into %t[%i];  %b = f(%a, %w);  yield %b, %t' }
//         %dinit, %dw = scf.for %k = 0 to %n (%db = %dr, %sum = 0) {
//           %a = extract %tape'[%n - 1 - %k]
//           %da, %dw_k = the gradient of f(%a, %w), which is computed again
//           yield %da, %sum + %dw_k }
//
// So a loop keeps what it carries, once for each iteration, and nothing of what it computes
// in between; what the gradient does not need is not kept. A branch computes again what the
// one that was taken has computed. A loop of unknown length is run twice: once as it is, and
// once as a loop of the length that it turned out to have.
//
//===----------------------------------------------------------------------===//
#include "compiler/train/Differentiator.h"
#include "dialects/nn/NNOps.h"
#include "dialects/rt/RtOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/Transforms/RegionUtils.h"

using namespace mlir;
using namespace nacre;
using nacre::train::Differentiator;

namespace {

bool isFloatTensor(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  return tensor && isa<FloatType>(tensor.getElementType());
}

/// One slice along a first dimension that the tensor does not have.
struct TapeSlice {
  SmallVector<OpFoldResult> offsets, sizes, strides;

  TapeSlice(OpBuilder &b, Value index, ArrayRef<OpFoldResult> shape)
      : offsets(shape.size() + 1, b.getIndexAttr(0)), sizes{b.getIndexAttr(1)},
        strides(shape.size() + 1, b.getIndexAttr(1)) {
    offsets[0] = index;
    llvm::append_range(sizes, shape);
  }
};

RankedTensorType getType(ArrayRef<OpFoldResult> shape, Type element) {
  SmallVector<int64_t> sizes;
  SmallVector<Value> dynamic;
  dispatchIndexOpFoldResults(shape, dynamic, sizes);
  return RankedTensorType::get(sizes, element);
}

/// The values that a block's terminator, or an op with another effect, needs the elements
/// of. Asking for a size needs none.
llvm::DenseSet<Value> findNeeded(Block &block) {
  llvm::DenseSet<Value> needed;
  SmallVector<Value> worklist;
  auto need = [&](Operation *op) {
    op->walk([&](Operation *inner) {
      if (isa<tensor::DimOp>(inner))
        return;
      for (Value operand : inner->getOperands())
        if (needed.insert(operand).second)
          worklist.push_back(operand);
    });
  };
  for (Operation &op : block)
    if (op.hasTrait<OpTrait::IsTerminator>() || !isMemoryEffectFree(&op))
      need(&op);
  while (!worklist.empty())
    if (Operation *op = worklist.pop_back_val().getDefiningOp(); op && op->getBlock() == &block)
      need(op);
  return needed;
}

/// A loop whose gradient is built.
struct Loop {
  scf::ForOp op;
  Location loc;
  /// How often it runs, known in front of it.
  Value count;
  /// Of what is carried: its shape, which stays, and where it is kept; null for floating-point scalars.
  SmallVector<SmallVector<OpFoldResult>> shapes;
  SmallVector<Value> tapes;
};

Value createCount(scf::ForOp op) {
  OpBuilder b(op);
  Location loc = op.getLoc();
  Value zero = arith::ConstantIndexOp::create(b, loc, 0);
  Value length = arith::SubIOp::create(b, loc, op.getUpperBound(), op.getLowerBound());
  Value count = b.createOrFold<arith::CeilDivSIOp>(loc, length, op.getStep());
  return arith::MaxSIOp::create(b, loc, count, zero);
}

/// Ends the run if a shape in the loop is not what it was before.
void checkShapes(OpBuilder &b, Location loc, Value carried, ArrayRef<OpFoldResult> shape) {
  auto type = cast<RankedTensorType>(carried.getType());
  for (int64_t d = 0; d < type.getRank(); ++d) {
    if (!type.isDynamicDim(d))
      continue;
    Value size = tensor::DimOp::create(b, loc, carried, d);
    Value expected = getValueOrCreateConstantIndexOp(b, loc, shape[d]);
    Value isEqual = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, size, expected);
    rt::CheckOp::create(b, loc, isEqual, rt::Status::InvalidShape,
                        "a loop carries a tensor whose sizes change, which cannot be trained");
  }
}

/// Makes a loop keep what it carries, `kept` of it; replaces the op.
void keepStates(Loop &loop, ArrayRef<unsigned> kept, graph::DimAnalysis &dims) {
  scf::ForOp old = loop.op;
  OpBuilder b(old);
  SmallVector<Value> inits(old.getInitArgs());
  for (unsigned i : kept)
    inits.push_back(loop.tapes[i]);
  auto made = scf::ForOp::create(b, loop.loc, old.getLowerBound(), old.getUpperBound(), old.getStep(), inits);
  made.getRegion().takeBody(old.getRegion());
  Block &body = *made.getBody();
  b.setInsertionPointToStart(&body);
  Value past = arith::SubIOp::create(b, loop.loc, made.getInductionVar(), made.getLowerBound());
  Value index = arith::DivSIOp::create(b, loop.loc, past, made.getStep());
  auto yield = cast<scf::YieldOp>(body.getTerminator());
  unsigned count = old.getInitArgs().size();
  for (unsigned i = 0; i < count; ++i)
    if (isa<RankedTensorType>(body.getArgument(1 + i).getType()))
      checkShapes(b, loop.loc, body.getArgument(1 + i), loop.shapes[i]);
  for (unsigned i : kept) {
    Value tape = body.addArgument(loop.tapes[i].getType(), loop.loc);
    Value state = body.getArgument(1 + i), next;
    if (isa<RankedTensorType>(state.getType())) {
      TapeSlice at(b, index, loop.shapes[i]);
      auto row = getType(loop.shapes[i], cast<RankedTensorType>(tape.getType()).getElementType());
      next = tensor::InsertSliceOp::create(b, loop.loc, b.createOrFold<tensor::CastOp>(loop.loc, row, state), tape, at.offsets, at.sizes,
                                           at.strides);
    } else {
      if (state.getType().isIndex())
        state = arith::IndexCastOp::create(b, loop.loc, b.getI64Type(), state);
      next = tensor::InsertOp::create(b, loop.loc, state, tape, index);
    }
    yield.getResultsMutable().append(next);
  }
  for (auto [i, result] : llvm::enumerate(old.getResults())) {
    result.replaceAllUsesWith(made.getResult(i));
    dims.forget(result);
  }
  // Their places are known by the values that stood for them.
  for (auto [i, state] : llvm::enumerate(kept))
    loop.tapes[state].replaceUsesWithIf(made.getResult(count + i),
                                        [&](OpOperand &use) { return use.getOwner() != made; });
  old.erase();
  loop.op = made;
}

} // namespace

llvm::SetVector<Value> Differentiator::getCaptured(Operation *op) {
  llvm::SetVector<Value> above, captured;
  for (Region &region : op->getRegions())
    getUsedValuesDefinedAbove(region, above);
  for (Value value : above)
    if (active.contains(value) && isFloatTensor(value.getType()))
      captured.insert(value);
  return captured;
}

/// Adds into the slice of the source's gradient, which may be the running sum of a loop.
void Differentiator::visitExtractSlice(tensor::ExtractSliceOp op, Value gradient) {
  Value source = op.getSource();
  if (!active.contains(source))
    return;
  Location loc = op.getLoc();
  auto offsets = op.getMixedOffsets(), sizes = op.getMixedSizes(), strides = op.getMixedStrides();
  Value &sum = gradients[source];
  Value added = castTo(loc, gradient, op.getType());
  if (sum) {
    Value part = tensor::ExtractSliceOp::create(builder, loc, op.getType(), castTo(loc, sum, source.getType()), offsets, sizes, strides);
    added = castTo(loc, nn::AddOp::create(builder, loc, part, added), op.getType());
  }
  Value whole = sum ? castTo(loc, sum, source.getType()) : createZeros(loc, source);
  gradients[source] = tensor::InsertSliceOp::create(builder, loc, added, whole, offsets, sizes, strides);
}

void Differentiator::visitInsertSlice(tensor::InsertSliceOp op, Value gradient) {
  Location loc = op.getLoc();
  auto offsets = op.getMixedOffsets(), sizes = op.getMixedSizes(), strides = op.getMixedStrides();
  Value whole = castTo(loc, gradient, op.getType());
  if (active.contains(op.getSource()))
    addGradient(loc, op.getSource(),
                tensor::ExtractSliceOp::create(builder, loc, op.getSourceType(), whole, offsets, sizes, strides));
  if (active.contains(op.getDest()))
    addGradient(loc, op.getDest(),
                tensor::InsertSliceOp::create(builder, loc, createZeros(loc, op.getSource()), whole, offsets, sizes, strides));
}

LogicalResult Differentiator::visitFor(scf::ForOp op, ArrayRef<Value> own) {
  Location loc = op.getLoc();
  Loop loop{op, loc, createCount(op), {}, {}};
  for (Value init : op.getInitArgs()) {
    loop.shapes.emplace_back();
    loop.tapes.emplace_back();
    bool isTensor = isa<RankedTensorType>(init.getType());
    if (!isTensor && !init.getType().isIntOrIndex())
      continue;
    if (isTensor)
      loop.shapes.back() = dims.getDims(init);
    OpBuilder b(op);
    SmallVector<OpFoldResult> all{loop.count};
    llvm::append_range(all, loop.shapes.back());
    Type element = getElementTypeOrSelf(init.getType()); // memory has no index
    loop.tapes.back() = tensor::EmptyOp::create(b, loc, all, element.isIndex() ? b.getI64Type() : element);
  }

  // What runs backwards: a gradient for each float that is carried, a sum for each from outside.
  llvm::SetVector<Value> captured = getCaptured(op);
  SmallVector<Value> inits;
  SmallVector<unsigned> floats;
  for (auto [i, init] : llvm::enumerate(op.getInitArgs())) {
    if (!isFloatTensor(init.getType()))
      continue;
    floats.push_back(i);
    inits.push_back(own[i] ? castTo(loc, own[i], init.getType()) : createZeros(loc, init));
  }
  for (Value value : captured)
    inits.push_back(createZeros(loc, value));
  OpBuilder b(before);
  Value zero = arith::ConstantIndexOp::create(b, loc, 0), one = arith::ConstantIndexOp::create(b, loc, 1);
  auto backward = scf::ForOp::create(b, loc, zero, loop.count, one, inits);
  Block &body = *backward.getBody();
  if (body.mightHaveTerminator())
    body.getTerminator()->erase();
  b.setInsertionPointToEnd(&body);
  Value last = arith::SubIOp::create(b, loc, loop.count, one);
  Value index = arith::SubIOp::create(b, loc, last, backward.getInductionVar());
  IRMapping mapping;
  Value iteration = arith::MulIOp::create(b, loc, index, op.getStep());
  mapping.map(op.getInductionVar(), arith::AddIOp::create(b, loc, op.getLowerBound(), iteration).getResult());
  SmallVector<Value> slices(op.getInitArgs().size());
  for (auto [i, argument] : llvm::enumerate(op.getRegionIterArgs())) {
    if (!loop.tapes[i])
      continue;
    if (!isa<RankedTensorType>(argument.getType())) {
      Value scalar = slices[i] = tensor::ExtractOp::create(b, loc, loop.tapes[i], index);
      if (argument.getType().isIndex())
        scalar = arith::IndexCastOp::create(b, loc, argument.getType(), scalar);
      mapping.map(argument, scalar);
      continue;
    }
    TapeSlice at(b, index, loop.shapes[i]);
    auto type = getType(loop.shapes[i], cast<RankedTensorType>(argument.getType()).getElementType());
    slices[i] = tensor::ExtractSliceOp::create(b, loc, type, loop.tapes[i], at.offsets, at.sizes, at.strides);
    mapping.map(argument, b.createOrFold<tensor::CastOp>(loc, argument.getType(), slices[i]));
  }
  SmallVector<Operation *> again;
  for (Operation &forward : op.getBody()->without_terminator()) {
    if (isa<rt::CheckOp>(forward)) // it has held
      continue;
    for (Value operand : forward.getOperands())
      if (auto argument = dyn_cast<BlockArgument>(operand); argument && argument.getOwner() == op.getBody() &&
                                                            !mapping.contains(argument))
        return op.emitError("carries a scalar that its body reads, through which there is no gradient");
    again.push_back(b.clone(forward, mapping));
  }
  Operation *yield = scf::YieldOp::create(b, loc);

  Differentiator inner(yield, dims, checks);
  for (unsigned i : floats)
    inner.addVariable(mapping.lookup(op.getRegionIterArgs()[i]));
  for (auto [k, value] : llvm::enumerate(captured)) {
    inner.addVariable(value);
    inner.addGradient(loc, value, backward.getRegionIterArg(floats.size() + k));
  }
  auto yielded = cast<scf::YieldOp>(op.getBody()->getTerminator()).getResults();
  for (auto [k, i] : llvm::enumerate(floats))
    inner.addGradient(loc, mapping.lookupOrDefault(yielded[i]), backward.getRegionIterArg(k));
  if (failed(inner.run(again)))
    return failure();
  SmallVector<Value> next;
  for (unsigned i : floats) {
    Value state = mapping.lookup(op.getRegionIterArgs()[i]), gradient = inner.getGradient(state);
    next.push_back(gradient ? inner.castTo(loc, gradient, state.getType()) : inner.createZeros(loc, state));
  }
  for (Value value : captured)
    next.push_back(inner.castTo(loc, inner.getGradient(value), value.getType()));
  yield->setOperands(next);

  llvm::DenseSet<Value> needed = findNeeded(body);
  SmallVector<unsigned> kept;
  for (auto [i, slice] : llvm::enumerate(slices))
    if (slice && needed.contains(slice))
      kept.push_back(i);
  SmallVector<Value> carried(op.getInitArgs());
  keepStates(loop, kept, dims);
  for (auto [k, i] : llvm::enumerate(floats))
    if (active.contains(carried[i]))
      addGradient(loc, carried[i], backward.getResult(k));
  for (auto [k, value] : llvm::enumerate(captured))
    addGradient(loc, value, backward.getResult(floats.size() + k));
  return success();
}

LogicalResult Differentiator::visitIf(scf::IfOp op, ArrayRef<Value> own) {
  Location loc = op.getLoc();
  llvm::SetVector<Value> captured = getCaptured(op);
  OpBuilder b(before);
  SmallVector<Type> types(ValueRange(captured.getArrayRef()).getTypes());
  auto backward = scf::IfOp::create(b, loc, types, op.getCondition(), /*withElseRegion=*/true);
  for (auto [from, to] : llvm::zip_equal(op->getRegions(), backward->getRegions())) {
    Block &block = to.front();
    if (block.mightHaveTerminator())
      block.getTerminator()->erase();
    b.setInsertionPointToEnd(&block);
    IRMapping mapping;
    SmallVector<Operation *> again;
    for (Operation &forward : from.front().without_terminator())
      if (!isa<rt::CheckOp>(forward)) // it has held
        again.push_back(b.clone(forward, mapping));
    Operation *yield = scf::YieldOp::create(b, loc);
    Differentiator inner(yield, dims, checks);
    for (Value value : captured)
      inner.addVariable(value);
    for (auto [value, gradient] : llvm::zip_equal(from.front().getTerminator()->getOperands(), own))
      if (gradient)
        inner.addGradient(loc, mapping.lookupOrDefault(value), inner.castTo(loc, gradient, value.getType()));
    if (failed(inner.run(again)))
      return failure();
    SmallVector<Value> results;
    for (Value value : captured) {
      Value gradient = inner.getGradient(value);
      results.push_back(gradient ? inner.castTo(loc, gradient, value.getType()) : inner.createZeros(loc, value));
    }
    yield->setOperands(results);
  }
  for (auto [value, gradient] : llvm::zip_equal(captured, backward.getResults()))
    addGradient(loc, value, gradient);
  return success();
}

/// Makes a loop count its iterations, which is its last result then; replaces the op.
static scf::WhileOp countIterations(scf::WhileOp old, graph::DimAnalysis &dims) {
  Location loc = old.getLoc();
  OpBuilder b(old);
  Value zero = arith::ConstantIndexOp::create(b, loc, 0);
  SmallVector<Value> inits(old.getInits());
  inits.push_back(zero);
  SmallVector<Type> types(old.getResultTypes());
  types.push_back(b.getIndexType());
  auto made = scf::WhileOp::create(b, loc, types, inits);
  made.getBefore().takeBody(old.getBefore());
  made.getAfter().takeBody(old.getAfter());
  Block &test = made.getBefore().front(), &body = made.getAfter().front();
  auto condition = cast<scf::ConditionOp>(test.getTerminator());
  condition.getArgsMutable().append(test.addArgument(b.getIndexType(), loc));
  auto yield = cast<scf::YieldOp>(body.getTerminator());
  b.setInsertionPoint(yield);
  Value one = arith::ConstantIndexOp::create(b, loc, 1);
  Value next = arith::AddIOp::create(b, loc, body.addArgument(b.getIndexType(), loc), one);
  yield.getResultsMutable().append(next);
  for (auto [result, other] : llvm::zip(old.getResults(), made.getResults())) {
    result.replaceAllUsesWith(other);
    dims.forget(result);
  }
  old.erase();
  return made;
}

/// Its body in a loop of the count that it turned out to have. The test may choose among what
/// is carried, but compute nothing that goes on.
LogicalResult Differentiator::visitWhile(scf::WhileOp op, ArrayRef<Value> own) {
  Location loc = op.getLoc();
  SmallVector<unsigned> places; // what each argument of the body is, of what is carried
  for (Value value : op.getConditionOp().getArgs()) {
    auto argument = dyn_cast<BlockArgument>(value);
    if (!argument || argument.getOwner() != op.getBeforeBody())
      return op.emitError("is a loop whose test computes what its body reads, which has no gradient");
    places.push_back(argument.getArgNumber());
  }
  op = countIterations(op, dims);
  Block &body = op.getAfter().front();
  auto yield = cast<scf::YieldOp>(body.getTerminator());
  OpBuilder b(op->getContext());
  b.setInsertionPointAfter(op);
  Value zero = arith::ConstantIndexOp::create(b, loc, 0), one = arith::ConstantIndexOp::create(b, loc, 1);
  // Tensors: scalars are what the test needs, and counters.
  SmallVector<unsigned> carried;
  SmallVector<Value> inits, gradients;
  for (auto [i, init] : llvm::enumerate(op.getInits()))
    if (isa<RankedTensorType>(init.getType())) {
      carried.push_back(i);
      inits.push_back(init);
      gradients.emplace_back();
    }
  auto again = scf::ForOp::create(b, loc, zero, op.getResults().back(), one, inits);
  if (again.getBody()->mightHaveTerminator())
    again.getBody()->getTerminator()->erase();
  b.setInsertionPointToEnd(again.getBody());
  IRMapping mapping;
  mapping.map(body.getArguments().back(), again.getInductionVar());
  for (auto [i, place] : llvm::enumerate(places))
    if (auto found = llvm::find(carried, place); found != carried.end()) {
      unsigned k = found - carried.begin();
      mapping.map(body.getArgument(i), again.getRegionIterArg(k));
      if (own[i]) // several results may be one carried value
        gradients[k] = gradients[k] ? nn::AddOp::create(builder, loc, gradients[k], own[i]).getResult() : own[i];
    }
  llvm::DenseSet<Value> needed;
  SmallVector<Value> worklist;
  for (unsigned i : carried)
    worklist.push_back(yield.getOperand(i));
  while (!worklist.empty()) { // what only the test needs stays away
    Value value = worklist.pop_back_val();
    if (!needed.insert(value).second)
      continue;
    if (auto argument = dyn_cast<BlockArgument>(value); argument && argument.getOwner() == &body && !mapping.contains(value))
      return op.emitError("carries a scalar that its body reads, through which there is no gradient");
    if (Operation *maker = value.getDefiningOp(); maker && maker->getBlock() == &body)
      maker->walk([&](Operation *inner) { llvm::append_range(worklist, inner->getOperands()); });
  }
  for (Operation &forward : body.without_terminator())
    if (llvm::any_of(forward.getResults(), [&](Value result) { return needed.contains(result); }))
      b.clone(forward, mapping);
  SmallVector<Value> next;
  for (unsigned i : carried)
    next.push_back(mapping.lookupOrDefault(yield.getOperand(i)));
  scf::YieldOp::create(b, loc, next);
  return visitFor(again, gradients);
}
