//===- LoopStates.cpp - What a loop keeps for its gradient ------*- C++ -*-===//
#include "compiler/train/LoopStates.h"
#include "compiler/train/LoopShapes.h"
#include "dialects/nn/CodedTypes.h"
#include "dialects/nn/NNOps.h"
#include "dialects/nn/NNSizeMath.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "llvm/ADT/Sequence.h"

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

/// An element of [count] that is a size or a place.
Value loadIndex(OpBuilder &b, Location loc, Value whole, Value place) {
  return arith::IndexCastOp::create(b, loc, b.getIndexType(), tensor::ExtractOp::create(b, loc, whole, place));
}

Value storeIndex(OpBuilder &b, Location loc, Value index, Value whole, Value place) {
  return tensor::InsertOp::create(b, loc, arith::IndexCastOp::create(b, loc, b.getI64Type(), index), whole, place);
}

/// The sizes of a tensor as its own, not as what is known of them.
SmallVector<OpFoldResult> createDims(OpBuilder &b, Location loc, Value tensor) {
  auto type = cast<RankedTensorType>(tensor.getType());
  return llvm::map_to_vector(llvm::seq<int64_t>(0, type.getRank()), [&](int64_t d) -> OpFoldResult {
    if (!type.isDynamicDim(d))
      return b.getIndexAttr(type.getDimSize(d));
    return tensor::DimOp::create(b, loc, tensor, d).getResult();
  });
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
    : op(op), loc(op.getLoc()), count(createCount(op)), written(op.getInitArgs().size()),
      fixed(findFixedShapes(op, dims)) {
  for (auto [i, init, argument] : llvm::enumerate(op.getInitArgs(), op.getRegionIterArgs())) {
    bool isTensor = isa<RankedTensorType>(init.getType());
    shapes.push_back(isTensor ? dims.getDims(init) : SmallVector<OpFoldResult>());
    if (isTensor && !fixed[i])
      addRagged(argument);
    else if (isTensor || init.getType().isIntOrIndex())
      addTape(argument, shapes.back());
  }
  findRows(captured, dims);
  findProducts(dims);
}

bool LoopStates::isFloatTensor(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  return tensor && nn::isArithmeticFloat(tensor.getElementType());
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

void LoopStates::addRagged(Value value) {
  OpBuilder b(op);
  auto type = cast<RankedTensorType>(value.getType());
  auto createWhole = [&](Value size, Type element) -> Value {
    return tensor::EmptyOp::create(b, loc, {OpFoldResult(size)}, element);
  };
  Value none = arith::ConstantIndexOp::create(b, loc, 0); // how many there are is counted where they are needed
  Ragged ragged{value, createWhole(count, b.getI64Type()), {}, createWhole(none, type.getElementType())};
  for (int64_t d = 0; d < type.getRank(); ++d)
    ragged.sizes.push_back(type.isDynamicDim(d) ? createWhole(count, b.getI64Type()) : Value());
  this->ragged.push_back(ragged);
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
    if (fixed[i] && insert && insert.getDest() == argument && insert->getBlock() == body && insert->hasOneUse() &&
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
    if (auto shape = getFixedShape(value, op, fixed, dims))
      addTape(value, *shape);
  }
}

std::optional<SmallVector<OpFoldResult>> LoopStates::getFixedShape(Value value, scf::ForOp loop,
                                                                   const llvm::BitVector &fixed,
                                                                   graph::DimAnalysis &dims) {
  SmallVector<OpFoldResult> shape;
  for (OpFoldResult size : dims.getDims(value)) {
    auto dynamic = dyn_cast<Value>(size);
    // Such a state has the sizes that it began with.
    if (auto dim = dynamic ? dynamic.getDefiningOp<tensor::DimOp>() : nullptr)
      if (auto state = dyn_cast<BlockArgument>(dim.getSource()); state && state.getOwner() == loop.getBody())
        if (OpOperand *init = loop.getTiedLoopInit(state);
            init && fixed[state.getArgNumber() - 1] && dim.getConstantIndex()) {
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

Value LoopStates::extractRow(OpBuilder &b, const Ragged &ragged, Value place) const {
  nn::SizeMath m(b, loc);
  SmallVector<OpFoldResult> shape;
  auto type = cast<RankedTensorType>(ragged.value.getType());
  for (auto [size, sizes] : llvm::zip_equal(type.getShape(), ragged.sizes))
    shape.push_back(sizes ? OpFoldResult(loadIndex(b, loc, sizes, place)) : m.constant(size));
  SmallVector<OpFoldResult> offset{loadIndex(b, loc, ragged.offsets, place)}, elements{m.product(shape)};
  Value flat = tensor::ExtractSliceOp::create(b, loc, ragged.whole, offset, elements, {m.constant(1)});
  return nn::ReshapeOp::create(b, loc, flat, nn::createSizes(b, loc, shape), /*allowzero=*/true, /*exact=*/true);
}

Value LoopStates::insertRow(OpBuilder &b, Location loc, Value row, Value stack, Value place, ArrayRef<OpFoldResult> shape) {
  RowSlice at(b, place, shape);
  row = b.createOrFold<tensor::CastOp>(loc, getType(shape, getElementTypeOrSelf(row.getType())), row);
  return tensor::InsertSliceOp::create(b, loc, row, stack, at.offsets, at.sizes, at.strides);
}

SmallVector<Value> LoopStates::countElements(ArrayRef<Ragged *> counted, graph::DimAnalysis &dims) {
  OpBuilder b(op);
  Value zero = arith::ConstantIndexOp::create(b, loc, 0);
  SmallVector<Value> inits(op.getInitArgs());
  inits.append(counted.size(), zero);
  auto made = scf::ForOp::create(b, loc, op.getLowerBound(), op.getUpperBound(), op.getStep(), inits);
  IRMapping mapping;
  mapping.map(op.getBody()->getArguments(), made.getBody()->getArguments().drop_back(counted.size()));
  if (made.getBody()->mightHaveTerminator())
    made.getBody()->getTerminator()->erase();
  b.setInsertionPointToEnd(made.getBody());
  SmallVector<Value> totals;
  for (auto [ragged, total] : llvm::zip_equal(counted, made.getRegionIterArgs().take_back(counted.size()))) {
    nn::SizeMath m(b, loc);
    totals.push_back(m.value(m.add(total, m.product(createDims(b, loc, mapping.lookup(ragged->value))))));
  }
  for (Operation &forward : op.getBody()->without_terminator())
    b.clone(forward, mapping);
  SmallVector<Value> next =
      llvm::map_to_vector(op.getYieldedValues(), [&](Value value) { return mapping.lookupOrDefault(value); });
  llvm::append_range(next, totals);
  scf::YieldOp::create(b, loc, next);
  return llvm::to_vector_of<Value>(makeWhile(made, dims).getResults().take_back(counted.size()));
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
  // What the loop carries besides, and what stands for it behind the loop now.
  SmallVector<Value> inits(old.getInitArgs()), stands;
  auto carry = [&](Value init, Value stand) {
    inits.push_back(init);
    stands.push_back(stand);
  };
  for (const Tape &tape : tapes)
    carry(tape.whole, tape.whole);
  SmallVector<Ragged *> kept; // with their elements
  for (Ragged &each : ragged)
    if (needed.contains(each.row))
      kept.push_back(&each);
  SmallVector<Value> totals = kept.empty() ? SmallVector<Value>() : countElements(kept, dims);
  b.setInsertionPoint(old);
  Value zero = kept.empty() ? Value() : arith::ConstantIndexOp::create(b, loc, 0);
  for (auto [each, total] : llvm::zip_equal(kept, totals)) {
    Type element = getElementTypeOrSelf(each->value.getType());
    carry(tensor::EmptyOp::create(b, loc, {OpFoldResult(total)}, element), each->whole);
    carry(each->offsets, each->offsets);
    carry(zero, Value());
  }
  for (const Ragged &each : ragged)
    for (Value sizes : each.sizes)
      if (sizes)
        carry(sizes, sizes);
  auto made = scf::ForOp::create(b, loc, old.getLowerBound(), old.getUpperBound(), old.getStep(), inits);
  made.getRegion().takeBody(old.getRegion());
  Block &body = *made.getBody();
  b.setInsertionPointToStart(&body);
  Value past = arith::SubIOp::create(b, loc, made.getInductionVar(), made.getLowerBound());
  Value place = createPlace(b, arith::DivSIOp::create(b, loc, past, made.getStep()));
  auto yield = cast<scf::YieldOp>(body.getTerminator());
  unsigned number = old.getInitArgs().size();
  for (Tape &tape : tapes) {
    Value all = body.addArgument(tape.whole.getType(), loc), value = tape.value, next;
    if (Operation *maker = value.getDefiningOp())
      b.setInsertionPointAfter(maker);
    if (isa<RankedTensorType>(value.getType()))
      next = insertRow(b, loc, value, all, place, tape.shape);
    else if (value.getType().isIndex())
      next = storeIndex(b, loc, value, all, place);
    else
      next = tensor::InsertOp::create(b, loc, value, all, place);
    yield.getResultsMutable().append(next);
  }
  b.setInsertionPointAfterValue(place);
  for (Ragged *each : kept) {
    nn::SizeMath m(b, loc);
    Value all = body.addArgument(each->whole.getType(), loc), offsets = body.addArgument(each->offsets.getType(), loc),
          end = body.addArgument(b.getIndexType(), loc), flat = each->value;
    OpFoldResult elements = m.product(createDims(b, loc, flat));
    if (int64_t rank = cast<RankedTensorType>(flat.getType()).getRank(); rank > 1)
      flat = nn::CollapseOp::create(b, loc, flat, 0, rank);
    flat = b.createOrFold<tensor::CastOp>(loc, all.getType(), flat);
    SmallVector<OpFoldResult> offset{end}, size{elements};
    Value next = tensor::InsertSliceOp::create(b, loc, flat, all, offset, size, {m.constant(1)});
    yield.getResultsMutable().append({next, storeIndex(b, loc, end, offsets, place), m.value(m.add(end, elements))});
  }
  for (const Ragged &each : ragged)
    for (auto [d, sizes] : llvm::enumerate(each.sizes))
      if (sizes) {
        Value all = body.addArgument(sizes.getType(), loc), size = tensor::DimOp::create(b, loc, each.value, d);
        yield.getResultsMutable().append(storeIndex(b, loc, size, all, place));
      }
  for (auto [i, result] : llvm::enumerate(old.getResults())) {
    result.replaceAllUsesWith(made.getResult(i));
    dims.forget(result);
  }
  // Their places are known by the values that stood for them.
  for (auto [i, stand] : llvm::enumerate(stands))
    if (stand)
      stand.replaceUsesWithIf(made.getResult(number + i), [&](OpOperand &use) { return use.getOwner() != made; });
  old.erase();
  ValueRange results = ragged.empty() ? ValueRange(made.getResults()) : makeWhile(made, dims).getResults().drop_front();
  for (unsigned i : fixed.set_bits())
    dims.assume(results[i], shapes[i]);
}
