//===- ControlFlowGradients.cpp - Loops, branches, slices -------*- C++ -*-===//
//
// Before: %r = scf.if %p { %a = f(%w); yield %a } else { ... }
// After:  %dw = scf.if %p { %a = f(%w); %dw' = the gradient of f; yield %dw' } else { ... }
//
// A branch computes again what the one that was taken has computed. A loop of unknown length
// is run twice: once as it is, and once as a loop of the length that it turned out to have
// (LoopGradients.cpp).
//
//===----------------------------------------------------------------------===//
#include "compiler/train/Differentiator.h"
#include "dialects/nn/CodedTypes.h"
#include "dialects/nn/NNOps.h"
#include "dialects/rt/RtOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/Transforms/RegionUtils.h"
#include "llvm/ADT/Sequence.h"

using namespace mlir;
using namespace nacre;
using nacre::train::Differentiator;

static bool isFloatTensor(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  return tensor && nn::isArithmeticFloat(tensor.getElementType());
}

llvm::SetVector<Value> Differentiator::getCaptured(Operation *op) {
  llvm::SetVector<Value> above, captured;
  for (Region &region : op->getRegions())
    getUsedValuesDefinedAbove(region, above);
  for (Value value : above)
    if (active.contains(value) && isFloatTensor(value.getType()))
      captured.insert(value);
  return captured;
}

/// Whether two slices of one tensor are known to share no element.
static bool areDisjoint(tensor::ExtractSliceOp a, tensor::ExtractSliceOp b) {
  for (unsigned d = 0; d < a.getSourceType().getRank(); ++d) {
    auto known = [&](tensor::ExtractSliceOp slice) { return !slice.isDynamicOffset(d) && !slice.isDynamicSize(d); };
    if (!known(a) || !known(b) || !a.hasUnitStride() || !b.hasUnitStride())
      continue;
    int64_t first = a.getStaticOffset(d), second = b.getStaticOffset(d);
    if (first + a.getStaticSize(d) <= second || second + b.getStaticSize(d) <= first)
      return true;
  }
  return false;
}

/// Whether disjoint slices are all of a tensor of this shape: they divide one dimension.
static bool isWhole(ArrayRef<tensor::ExtractSliceOp> slices, ArrayRef<OpFoldResult> shape) {
  auto covers = [&](unsigned divided) {
    int64_t total = 0;
    for (tensor::ExtractSliceOp slice : slices)
      for (unsigned d = 0; d < shape.size(); ++d) {
        OpFoldResult size = slice.getMixedSizes()[d];
        if (d == divided && !getConstantIntValue(size))
          return false;
        if (d == divided)
          total += *getConstantIntValue(size);
        else if (!isZeroInteger(slice.getMixedOffsets()[d]) || !isEqualConstantIntOrValue(size, shape[d]))
          return false;
      }
    return getConstantIntValue(shape[divided]) == total;
  };
  return llvm::any_of(llvm::seq<unsigned>(0, shape.size()), covers);
}

/// Adds into the slice of the source's gradient, which may be the running sum of a loop. What
/// no other slice was put into holds zeros, and is not added to; if slices are all there is,
/// there are no zeros.
void Differentiator::visitExtractSlice(tensor::ExtractSliceOp op, Value gradient) {
  Value source = op.getSource();
  if (!active.contains(source))
    return;
  Location loc = op.getLoc();
  auto offsets = op.getMixedOffsets(), sizes = op.getMixedSizes(), strides = op.getMixedStrides();
  Value &sum = gradients[source];
  Slices &slices = slicesOf[source];
  Value added = castTo(loc, gradient, op.getType());
  if (!sum) {
    slices = {createZeros(loc, source), {}, {}};
  } else if (slices.sum != sum || !llvm::all_of(slices.ops, [&](tensor::ExtractSliceOp other) { return areDisjoint(op, other); })) {
    Value part = tensor::ExtractSliceOp::create(builder, loc, op.getType(), castTo(loc, sum, source.getType()), offsets, sizes, strides);
    added = castTo(loc, nn::AddOp::create(builder, loc, part, added), op.getType());
    slices = {};
  }
  Value whole = sum ? castTo(loc, sum, source.getType()) : slices.zeros;
  sum = tensor::InsertSliceOp::create(builder, loc, added, whole, offsets, sizes, strides);
  if (!slices.zeros)
    return;
  slices.sum = sum;
  slices.ops.push_back(op);
  if (SmallVector<OpFoldResult> shape = dims.getDims(source); op.hasUnitStride() && isWhole(slices.ops, shape)) {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointAfterValue(slices.zeros);
    Value empty = tensor::EmptyOp::create(builder, loc, shape, op.getSourceType().getElementType());
    slices.zeros.replaceAllUsesWith(castTo(loc, empty, source.getType()));
  }
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
  // Tensors, and the whole numbers that these need: other scalars are what the test needs.
  SmallVector<unsigned> carried;
  SmallVector<Value> worklist;
  auto carry = [&](unsigned place) {
    carried.push_back(place);
    worklist.push_back(yield.getOperand(place));
  };
  for (auto [i, init] : llvm::enumerate(op.getInits()))
    if (isa<RankedTensorType>(init.getType()))
      carry(i);
  llvm::DenseSet<Value> needed;
  while (!worklist.empty()) {
    Value value = worklist.pop_back_val();
    if (!needed.insert(value).second)
      continue;
    auto argument = dyn_cast<BlockArgument>(value);
    if (argument && argument.getOwner() == &body && argument.getArgNumber() < places.size()) {
      unsigned place = places[argument.getArgNumber()];
      if (!llvm::is_contained(carried, place)) {
        if (!argument.getType().isIntOrIndex())
          return op.emitError("carries a scalar that its body reads, through which there is no gradient");
        carry(place);
      }
    }
    if (Operation *maker = value.getDefiningOp(); maker && maker->getBlock() == &body)
      maker->walk([&](Operation *inner) { llvm::append_range(worklist, inner->getOperands()); });
  }
  SmallVector<Value> inits = llvm::map_to_vector(carried, [&](unsigned i) -> Value { return op.getInits()[i]; });
  SmallVector<Value> gradients(carried.size());
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
  for (Operation &forward : body.without_terminator())
    if (llvm::any_of(forward.getResults(), [&](Value result) { return needed.contains(result); }))
      b.clone(forward, mapping);
  SmallVector<Value> next;
  for (unsigned i : carried)
    next.push_back(mapping.lookupOrDefault(yield.getOperand(i)));
  scf::YieldOp::create(b, loc, next);
  return visitFor(again, gradients);
}
