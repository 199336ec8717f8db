//===- LoopStates.cpp - What a loop keeps for its gradient ------*- C++ -*-===//
#include "compiler/train/LoopStates.h"
#include "dialects/nn/NNOps.h"
#include "dialects/rt/RtOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"

using namespace mlir;
using namespace nacre;
using namespace nacre::train;

namespace {

/// One slice along a first dimension that the row does not have.
struct RowSlice {
  SmallVector<OpFoldResult> offsets, sizes, strides;

  RowSlice(OpBuilder &b, Value index, ArrayRef<OpFoldResult> shape)
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

Value createCount(scf::ForOp op) {
  OpBuilder b(op);
  Location loc = op.getLoc();
  if (std::optional<APInt> known = op.getStaticTripCount())
    return arith::ConstantIndexOp::create(b, loc, known->getSExtValue());
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

/// If an index of a loop that counts from 0 takes each value below its end once: whether
/// from the end.
std::optional<bool> getDirection(scf::ForOp op, OpFoldResult offset) {
  auto index = dyn_cast<Value>(offset);
  if (!index || !isZeroInteger(op.getLowerBound()) || !isOneInteger(op.getStep()))
    return std::nullopt;
  if (index == op.getInductionVar())
    return false;
  auto difference = index.getDefiningOp<arith::SubIOp>();
  if (!difference || difference.getRhs() != op.getInductionVar())
    return std::nullopt;
  auto end = getConstantIntValue(op.getUpperBound()), last = getConstantIntValue(difference.getLhs());
  if (end && last)
    return *last == *end - 1 ? std::optional(true) : std::nullopt;
  auto before = difference.getLhs().getDefiningOp<arith::SubIOp>();
  bool isLast = before && before.getLhs() == op.getUpperBound() && isOneInteger(before.getRhs());
  return isLast ? std::optional(true) : std::nullopt;
}

} // namespace

LoopStates::LoopStates(scf::ForOp op, ArrayRef<Value> captured, graph::DimAnalysis &dims)
    : op(op), loc(op.getLoc()), count(createCount(op)), written(op.getInitArgs().size()) {
  for (auto [init, argument] : llvm::zip_equal(op.getInitArgs(), op.getRegionIterArgs())) {
    bool isTensor = isa<RankedTensorType>(init.getType());
    shapes.push_back(isTensor ? dims.getDims(init) : SmallVector<OpFoldResult>());
    if (isTensor || init.getType().isIntOrIndex())
      addTape(argument, shapes.back());
  }
  findRows(captured, dims);
  findProducts(dims);
}

bool LoopStates::isFloatTensor(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  return tensor && isa<FloatType>(tensor.getElementType());
}

SmallVector<OpFoldResult> LoopStates::mapAll(ArrayRef<OpFoldResult> values, const IRMapping &mapping) {
  return llvm::map_to_vector(values, [&](OpFoldResult value) -> OpFoldResult {
    auto dynamic = dyn_cast<Value>(value);
    return dynamic ? OpFoldResult(mapping.lookupOrDefault(dynamic)) : value;
  });
}

void LoopStates::addTape(Value value, ArrayRef<OpFoldResult> shape) {
  OpBuilder b(op);
  SmallVector<OpFoldResult> all{getAsOpFoldResult(count)};
  llvm::append_range(all, shape);
  Type element = getElementTypeOrSelf(value.getType()); // memory has no index
  Value whole = tensor::EmptyOp::create(b, loc, all, element.isIndex() ? b.getI64Type() : element);
  tapes.push_back({value, llvm::to_vector(shape), whole});
}

bool LoopStates::isRow(OffsetSizeAndStrideOpInterface slice, RankedTensorType row, ArrayRef<OpFoldResult> whole) {
  SmallVector<OpFoldResult> offsets = slice.getMixedOffsets(), sizes = slice.getMixedSizes();
  if (whole.empty() || row.getRank() + 1 != static_cast<int64_t>(whole.size()) || !slice.hasUnitStride() ||
      !isOneInteger(sizes[0]) || !isEqualConstantIntOrValue(whole[0], op.getUpperBound()))
    return false;
  for (unsigned d = 1; d < whole.size(); ++d)
    if (!isZeroInteger(offsets[d]) || !isEqualConstantIntOrValue(sizes[d], whole[d]))
      return false;
  std::optional<bool> direction = getDirection(op, offsets[0]);
  if (!direction || (isReversed && isReversed != direction))
    return false;
  isReversed = direction;
  return true;
}

void LoopStates::findRows(ArrayRef<Value> captured, graph::DimAnalysis &dims) {
  Block *body = op.getBody();
  auto yield = cast<scf::YieldOp>(body->getTerminator());
  for (auto [i, argument] : llvm::enumerate(op.getRegionIterArgs())) {
    auto insert = argument.hasOneUse() ? dyn_cast<tensor::InsertSliceOp>(*argument.user_begin()) : nullptr;
    if (insert && insert.getDest() == argument && insert->getBlock() == body && insert->hasOneUse() &&
        yield.getOperand(i) == insert.getResult() && isFloatTensor(argument.getType()) &&
        isRow(insert, insert.getSourceType(), shapes[i]))
      written[i] = insert;
  }
  for (Value value : captured) {
    SmallVector<OpFoldResult> shape = dims.getDims(value);
    bool isScanned = llvm::all_of(value.getUsers(), [&](Operation *user) {
      auto slice = dyn_cast<tensor::ExtractSliceOp>(user);
      return !op->isAncestor(user) || (slice && slice->getBlock() == body && isRow(slice, slice.getType(), shape));
    });
    if (isScanned)
      scanned.insert(value);
  }
}

/// Of a product and a sum with it that only it goes to, the sum is kept.
void LoopStates::findProducts(graph::DimAnalysis &dims) {
  for (Operation &product : op.getBody()->without_terminator()) {
    if (!product.hasTrait<nn::ComputesNarrow>() || product.getNumResults() != 1 ||
        !isFloatTensor(product.getResult(0).getType()))
      continue;
    Value value = product.getResult(0);
    auto sum = value.hasOneUse() ? dyn_cast<nn::AddOp>(*value.user_begin()) : nullptr;
    if (sum && sum->getBlock() == op.getBody() && sum.getType() == value.getType())
      value = sum;
    if (auto shape = getFixedShape(value, op, dims))
      addTape(value, *shape);
  }
}

std::optional<SmallVector<OpFoldResult>> LoopStates::getFixedShape(Value value, scf::ForOp loop, graph::DimAnalysis &dims) {
  SmallVector<OpFoldResult> shape;
  for (OpFoldResult size : dims.getDims(value)) {
    auto dynamic = dyn_cast<Value>(size);
    // A state has the sizes that it began with.
    if (auto dim = dynamic ? dynamic.getDefiningOp<tensor::DimOp>() : nullptr)
      if (auto state = dyn_cast<BlockArgument>(dim.getSource()); state && state.getOwner() == loop.getBody())
        if (OpOperand *init = loop.getTiedLoopInit(state); init && dim.getConstantIndex()) {
          size = dims.getDim(init->get(), *dim.getConstantIndex());
          dynamic = dyn_cast<Value>(size);
        }
    if (dynamic && !loop.isDefinedOutsideOfLoop(dynamic))
      return std::nullopt;
    shape.push_back(size);
  }
  return shape;
}

Value LoopStates::createPlace(OpBuilder &b, Value iteration) const {
  if (!isReversed.value_or(false))
    return iteration;
  Value one = arith::ConstantIndexOp::create(b, loc, 1), last = arith::SubIOp::create(b, loc, count, one);
  return arith::SubIOp::create(b, loc, last, iteration);
}

Value LoopStates::extractRow(OpBuilder &b, const Tape &tape, Value place) const {
  if (!isa<RankedTensorType>(tape.value.getType()))
    return tensor::ExtractOp::create(b, loc, tape.whole, place);
  RowSlice at(b, place, tape.shape);
  auto type = getType(tape.shape, getElementTypeOrSelf(tape.value.getType()));
  return tensor::ExtractSliceOp::create(b, loc, type, tape.whole, at.offsets, at.sizes, at.strides);
}

Value LoopStates::insertRow(OpBuilder &b, Location loc, Value row, Value stack, Value place, ArrayRef<OpFoldResult> shape) {
  RowSlice at(b, place, shape);
  row = b.createOrFold<tensor::CastOp>(loc, getType(shape, getElementTypeOrSelf(row.getType())), row);
  return tensor::InsertSliceOp::create(b, loc, row, stack, at.offsets, at.sizes, at.strides);
}

void LoopStates::keep(scf::ForOp backward, graph::DimAnalysis &dims) {
  llvm::DenseSet<Value> needed = findNeeded(*backward.getBody());
  llvm::erase_if(tapes, [&](const Tape &tape) {
    return !needed.contains(tape.row) && llvm::all_of(tape.whole.getUsers(), [&](Operation *user) {
      return backward->isAncestor(user) || isa<tensor::DimOp>(user);
    });
  });
  scf::ForOp old = op;
  OpBuilder b(old);
  SmallVector<Value> inits(old.getInitArgs());
  for (const Tape &tape : tapes)
    inits.push_back(tape.whole);
  auto made = scf::ForOp::create(b, loc, old.getLowerBound(), old.getUpperBound(), old.getStep(), inits);
  made.getRegion().takeBody(old.getRegion());
  Block &body = *made.getBody();
  b.setInsertionPointToStart(&body);
  Value past = arith::SubIOp::create(b, loc, made.getInductionVar(), made.getLowerBound());
  Value place = createPlace(b, arith::DivSIOp::create(b, loc, past, made.getStep()));
  auto yield = cast<scf::YieldOp>(body.getTerminator());
  unsigned number = old.getInitArgs().size();
  for (auto [i, shape] : llvm::enumerate(shapes))
    if (Value state = body.getArgument(1 + i); isa<RankedTensorType>(state.getType()))
      checkShapes(b, loc, state, shape);
  for (Tape &tape : tapes) {
    Value all = body.addArgument(tape.whole.getType(), loc), value = tape.value, next;
    if (Operation *maker = value.getDefiningOp())
      b.setInsertionPointAfter(maker);
    if (isa<RankedTensorType>(value.getType())) {
      next = insertRow(b, loc, value, all, place, tape.shape);
    } else {
      if (value.getType().isIndex())
        value = arith::IndexCastOp::create(b, loc, b.getI64Type(), value);
      next = tensor::InsertOp::create(b, loc, value, all, place);
    }
    yield.getResultsMutable().append(next);
  }
  for (auto [i, result] : llvm::enumerate(old.getResults())) {
    result.replaceAllUsesWith(made.getResult(i));
    dims.forget(result);
  }
  // Their places are known by the values that stood for them.
  for (auto [i, tape] : llvm::enumerate(tapes))
    tape.whole.replaceUsesWithIf(made.getResult(number + i), [&](OpOperand &use) { return use.getOwner() != made; });
  old.erase();
  op = made;
}
