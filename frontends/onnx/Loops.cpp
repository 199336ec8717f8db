//===- Loops.cpp - What If, Loop and Scan share -----------------*- C++ -*-===//
#include "frontends/onnx/Loops.h"
#include "frontends/onnx/GraphImporter.h"
#include "frontends/onnx/Sequences.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Support/DebugStringHelper.h"
#include "onnx-ml.pb.h"

using namespace mlir;
using namespace nacre;
using namespace nacre::frontend;
using ::onnx::GraphProto;

bool frontend::mayHaveOneElement(RankedTensorType type) {
  return llvm::all_of(type.getShape(), [](int64_t size) {
    return size == 1 || ShapedType::isDynamic(size);
  });
}

Value frontend::extractScalar(OpBuilder &b, Location loc, Value tensor) {
  RankedTensorType type = NodeContext::typeOf(tensor);
  if (!type.hasStaticShape()) { // a run in which it has no element, or several, ends
    auto none = RankedTensorType::get({0}, b.getI64Type());
    Value shape = nn::ConstantOp::create(b, loc, none, DenseElementsAttr::get(none, ArrayRef<int64_t>()));
    tensor = nn::ReshapeOp::create(b, loc, type.clone(ArrayRef<int64_t>()), tensor, shape, /*allowzero=*/true);
  }
  SmallVector<Value> zeros;
  for (int64_t i = 0; i < NodeContext::rankOf(tensor); ++i)
    zeros.push_back(arith::ConstantIndexOp::create(b, loc, 0));
  return tensor::ExtractOp::create(b, loc, tensor, zeros);
}

Value frontend::castSizes(OpBuilder &b, Location loc, Type type, Value value) {
  return value.getType() == type ? value
                                 : tensor::CastOp::create(b, loc, type, value);
}

RankedTensorType frontend::joinTypes(Type lhs, Type rhs) {
  auto l = dyn_cast<RankedTensorType>(lhs), r = dyn_cast<RankedTensorType>(rhs);
  if (!l || !r || l.getElementType() != r.getElementType() ||
      l.getRank() != r.getRank())
    return {};
  SmallVector<int64_t> shape(l.getShape());
  for (auto [size, other] : llvm::zip_equal(shape, r.getShape()))
    if (size != other)
      size = ShapedType::kDynamic;
  return RankedTensorType::get(shape, l.getElementType());
}

Draft frontend::createDraft(NodeContext &c) {
  Draft draft;
  auto holder =
      scf::ExecuteRegionOp::create(c.getBuilder(), c.getLoc(), TypeRange());
  draft.holder = holder;
  draft.block = &holder.getRegion().emplaceBlock();
  return draft;
}

void frontend::moveDraft(Draft &draft, Region &region) {
  region.takeBody(draft.holder->getRegion(0));
  draft.holder->erase();
}

std::optional<SmallVector<Value>> frontend::mergeBranches(NodeContext &c, Value condition,
                                                          MutableArrayRef<Draft> drafts, unsigned count) {
  struct Output {
    std::optional<Carried> joined;
    Carried parts[2]; // where nothing holds both
  };
  OpBuilder &b = c.getBuilder();
  Location loc = c.getLoc();
  SmallVector<Type> types;
  SmallVector<Output> outputs;
  for (unsigned i = 0; i < count; ++i) {
    auto yes = describe(drafts[0].values[i]), no = describe(drafts[1].values[i]);
    if (!yes || !no) {
      (void)c.error("output " + Twine(i) + " is a value that branches cannot give");
      return std::nullopt;
    }
    auto joined = join(*yes, *no);
    // Choices by one condition stay with it, so that what takes several is converted for what goes together.
    if (!joined && countChoices(*yes) + countChoices(*no) > kMostRanks)
      joined = joinOrChoose(*yes, *no); // one for each rank, however many conditions tell it
    outputs.push_back({std::move(joined), {*yes, *no}});
    if (outputs.back().joined)
      getTypes(*outputs.back().joined, types);
    else
      for (const Carried &part : outputs.back().parts)
        getTypes(part, types);
  }
  if (!GraphImporter::spendOnSequence(c, types.size()))
    return std::nullopt;
  SmallVector<Value> tensors[2];
  for (unsigned i : {0u, 1u}) {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToEnd(drafts[i].block);
    for (auto [output, value] : llvm::zip(outputs, drafts[i].values)) {
      bool good = true;
      if (output.joined)
        good = flatten(c, *output.joined, value, tensors[i]);
      else
        for (unsigned part : {0u, 1u})
          good &= part == i ? flatten(c, output.parts[part], value, tensors[i])
                            : makeStandIns(c, output.parts[part], tensors[i]);
      if (!good)
        return std::nullopt;
    }
    for (auto [tensor, type] : llvm::zip_equal(tensors[i], types))
      tensor = castSizes(b, loc, type, tensor);
    scf::YieldOp::create(b, loc, tensors[i]);
  }
  auto result = scf::IfOp::create(b, loc, types, condition);
  for (unsigned i : {0u, 1u})
    moveDraft(drafts[i], result->getRegion(i));
  SmallVector<Value> values;
  ValueRange rest = result.getResults();
  for (const Output &output : outputs) {
    if (output.joined) {
      values.push_back(assemble(c, *output.joined, rest));
    } else {
      Value yes = assemble(c, output.parts[0], rest), no = assemble(c, output.parts[1], rest);
      values.push_back(makeChoice(b, loc, {condition, yes, no}));
    }
  }
  return values;
}

std::optional<SmallVector<Value>>
frontend::mergeBranches(NodeContext &c, Value condition,
                        llvm::function_ref<bool(unsigned branch, SmallVectorImpl<Value> &values)> fill) {
  OpBuilder &b = c.getBuilder();
  Draft drafts[2];
  for (unsigned branch : {0u, 1u}) {
    drafts[branch] = createDraft(c);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToEnd(drafts[branch].block);
    if (!fill(branch, drafts[branch].values))
      return std::nullopt;
  }
  return mergeBranches(c, condition, drafts, drafts[0].values.size());
}

/// [first, 0, ...] of a tensor whose rows have the given sizes.
static SmallVector<OpFoldResult> inFrontOf(OpFoldResult first, ArrayRef<int64_t> row, Builder &b, bool zeros) {
  SmallVector<OpFoldResult> all{first};
  for (int64_t size : row)
    all.push_back(b.getIndexAttr(zeros ? 0 : size));
  return all;
}

ArrayRef<int64_t> Collected::getRow() const {
  if (asRows)
    return type.getShape().drop_front();
  return type.hasStaticShape() ? type.getShape() : ArrayRef<int64_t>();
}

Value Collected::takeRows(OpBuilder &b, Location loc, Value tensor, OpFoldResult first, OpFoldResult count) const {
  if (llvm::is_contained(getRow(), 0)) // no slice has a place in what has no elements
    return tensor::EmptyOp::create(b, loc, inFrontOf(count, getRow(), b, false), type.getElementType());
  SmallVector<OpFoldResult> ones(getRow().size() + 1, b.getIndexAttr(1));
  return tensor::ExtractSliceOp::create(b, loc, tensor, inFrontOf(first, getRow(), b, true),
                                        inFrontOf(count, getRow(), b, false), ones);
}

Value Collected::putRows(OpBuilder &b, Location loc, Value rows, Value tensor, OpFoldResult first,
                         OpFoldResult count) const {
  if (llvm::is_contained(getRow(), 0))
    return tensor;
  SmallVector<OpFoldResult> ones(getRow().size() + 1, b.getIndexAttr(1));
  return tensor::InsertSliceOp::create(b, loc, rows, tensor, inFrontOf(first, getRow(), b, true),
                                       inFrontOf(count, getRow(), b, false), ones);
}

SmallVector<Value> Collected::createInitial(NodeContext &c) const {
  OpBuilder &b = c.getBuilder();
  Location loc = c.getLoc();
  Value zero = arith::ConstantIndexOp::create(b, loc, 0);
  Value capacity = isExact() ? slices : zero;
  SmallVector<int64_t> shape{ShapedType::kDynamic};
  llvm::append_range(shape, getRow());
  Value room = tensor::EmptyOp::create(b, loc, shape, type.getElementType(), capacity);
  SmallVector<Value> carried{room, zero};
  if (!asRows)
    carried.append(type.getNumDynamicDims(), zero);
  return carried;
}

SmallVector<Value> Collected::add(NodeContext &c, ValueRange carried) const {
  OpBuilder &b = c.getBuilder();
  Location loc = c.getLoc();
  Value room = carried[0], used = carried[1], part = slice;
  Value count = arith::ConstantIndexOp::create(b, loc, 1);
  if (!isOneRow()) {
    part = asRows ? slice : c.make<nn::CollapseOp>(slice, int64_t(0), type.getRank());
    if (!part)
      return {};
    count = tensor::DimOp::create(b, loc, part, 0);
  }
  auto sizeOf = [&](OpBuilder &at, Value tensor) -> Value { return tensor::DimOp::create(at, loc, tensor, 0); };
  // What is there lies at one end, and the room, doubled as it is used up, at the other.
  auto beginIn = [&](OpBuilder &at, Value capacity, Value filled) -> OpFoldResult {
    return inFront ? OpFoldResult(arith::SubIOp::create(at, loc, capacity, filled).getResult())
                   : OpFoldResult(at.getIndexAttr(0));
  };
  Value needed = arith::AddIOp::create(b, loc, used, count), capacity = sizeOf(b, room), all = room;
  if (!isExact()) {
    Value isEnough = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::sle, needed, capacity);
    auto grown = scf::IfOp::create(
        b, loc, isEnough, [&](OpBuilder &then, Location) { scf::YieldOp::create(then, loc, room); },
        [&](OpBuilder &otherwise, Location) {
          Value twice = arith::AddIOp::create(otherwise, loc, capacity, capacity);
          Value size = arith::MaxSIOp::create(otherwise, loc, twice, needed);
          auto roomType = cast<RankedTensorType>(room.getType());
          Value larger = tensor::EmptyOp::create(otherwise, loc, roomType.getShape(), roomType.getElementType(), size);
          Value old = takeRows(otherwise, loc, room, beginIn(otherwise, capacity, used), used);
          scf::YieldOp::create(otherwise, loc,
                               putRows(otherwise, loc, old, larger, beginIn(otherwise, size, used), used));
        });
    all = grown.getResult(0);
  }
  OpFoldResult place = inFront ? beginIn(b, sizeOf(b, all), needed) : OpFoldResult(used);
  int64_t known = isOneRow() ? 1 : cast<RankedTensorType>(part.getType()).getDimSize(0);
  OpFoldResult rows = ShapedType::isDynamic(known) ? OpFoldResult(count) : b.getIndexAttr(known);
  SmallVector<Value> next{putRows(b, loc, part, all, place, rows), needed};
  for (int64_t i = 0; i < (asRows ? 0 : type.getRank()); ++i)
    if (type.isDynamicDim(i))
      next.push_back(
          tensor::DimOp::create(c.getBuilder(), c.getLoc(), slice, i));
  return next;
}

Value Collected::finish(NodeContext &c, ValueRange carried, Value count) const {
  OpBuilder &b = c.getBuilder();
  Location loc = c.getLoc();
  if (isExact())
    return carried[0];
  auto toI64 = [&](Value index) -> Value { return arith::IndexCastOp::create(b, loc, b.getI64Type(), index); };
  Value end = tensor::DimOp::create(b, loc, carried[0], 0), begin;
  if (inFront)
    begin = arith::SubIOp::create(b, loc, end, carried[1]);
  else
    end = carried[1];
  auto vector = [&](Value first, int64_t others) -> Value {
    SmallVector<Value> values(getRow().size() + 1, arith::ConstantIntOp::create(b, loc, others, 64));
    if (first)
      values[0] = toI64(first);
    return tensor::FromElementsOp::create(b, loc, values);
  };
  Value rows = c.make<nn::SliceOp>(carried[0], vector(begin, 0), vector(end, INT64_MAX), vector({}, 1));
  if (!rows || isOneRow() || asRows)
    return rows ? castSizes(b, loc, carried[0].getType(), rows) : rows;
  SmallVector<Value> sizes{toI64(count)};
  unsigned next = 2;
  for (int64_t size : type.getShape())
    sizes.push_back(ShapedType::isDynamic(size) ? toI64(carried[next++])
                                                : Value(arith::ConstantIntOp::create(b, loc, size, 64)));
  Value shape = tensor::FromElementsOp::create(b, loc, sizes);
  return c.make<nn::ReshapeOp>(rows, shape, /*allowzero=*/true);
}

std::optional<LoopBody>
frontend::convertBody(NodeContext &c, const GraphProto &graph, ArrayRef<Value> states,
            unsigned firstState,
            llvm::function_ref<SmallVector<Value>(Block &, ArrayRef<Value>)> getArguments, bool *changesRank) {
  OpBuilder &b = c.getBuilder();
  LoopBody body;
  for (auto [i, state] : llvm::enumerate(states)) {
    auto carried = describe(state);
    if (!carried) {
      (void)c.error("carried value " + Twine(i) + " has the type " + debugString(state.getType()) +
                    ", which is not supported");
      return std::nullopt;
    }
    body.states.push_back(*carried);
  }
  for (unsigned attempt = 0;; ++attempt) {
    body.types.clear();
    for (const Carried &carried : body.states)
      getTypes(carried, body.types);
    if (!GraphImporter::spendOnSequence(c, body.types.size()))
      return std::nullopt;
    body.draft = createDraft(c);
    Block &block = *body.draft.block;
    block.addArgument(b.getIndexType(), c.getLoc());
    for (Type type : body.types)
      block.addArgument(type, c.getLoc());
    SmallVector<Value> current, tensors(block.getArguments().drop_front());
    {
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToEnd(&block);
      ValueRange rest = tensors;
      for (const Carried &carried : body.states)
        current.push_back(assemble(c, carried, rest));
    }
    SmallVector<Value> arguments = getArguments(block, current);
    auto values = c.importSubgraph(graph, arguments, block);
    if (!values)
      return std::nullopt;
    bool stable = true;
    for (auto [i, carried] : llvm::enumerate(body.states)) {
      Value next = (*values)[firstState + i];
      auto described = describe(next);
      auto joined = described ? join(carried, *described) : std::nullopt;
      if (described && !joined) {
        joined = joinOrChoose(carried, *described);
        if (joined && changesRank) {
          *changesRank = true;
          body.draft.holder->erase();
          return std::nullopt;
        }
      }
      if (!joined) {
        (void)c.error("carried value " + Twine(i) + " has the type " +
                      debugString(current[i].getType()) + " in one iteration and " +
                      debugString(next.getType()) +
                      " in the next, which is not supported");
        return std::nullopt;
      }
      if (*joined == carried)
        continue;
      stable = false;
      carried = attempt ? withoutSizes(*joined) : *joined;
    }
    if (stable) {
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToEnd(&block);
      for (auto [carried, next] : llvm::zip(body.states, ArrayRef(*values).drop_front(firstState)))
        if (!flatten(c, carried, next, body.next))
          return std::nullopt;
      body.draft.values = std::move(*values);
      return body;
    }
    if (attempt == 2)
      for (Carried &carried : body.states)
        carried = withoutSizes(carried);
    body.draft.holder->erase();
  }
}

std::optional<SmallVector<Value>>
frontend::buildLoop(NodeContext &c, LoopBody &body, ArrayRef<Value> states, MutableArrayRef<Collected> collected,
                    Value count, Value condition, Value first) {
  SmallVector<Value> tensors;
  for (auto [carried, state] : llvm::zip_equal(body.states, states))
    if (!flatten(c, carried, state, tensors))
      return std::nullopt;
  auto results = buildLoop(c, body, tensors, body.next, collected, count, condition, first);
  if (!results)
    return std::nullopt;
  SmallVector<Value> values;
  ValueRange rest = *results;
  for (const Carried &carried : body.states)
    values.push_back(assemble(c, carried, rest));
  llvm::append_range(values, rest);
  return values;
}

std::optional<SmallVector<Value>>
frontend::buildLoop(NodeContext &c, LoopBody &body, ArrayRef<Value> states,
          ArrayRef<Value> nextStates, MutableArrayRef<Collected> collected,
          Value count, Value condition, Value first) {
  OpBuilder &b = c.getBuilder();
  Location loc = c.getLoc();
  Block &block = *body.draft.block;
  Value zero = arith::ConstantIndexOp::create(b, loc, 0);
  Value one = arith::ConstantIndexOp::create(b, loc, 1);

  // Without a condition it is known how many slices there will be.
  if (!condition && !collected.empty()) {
    Value slices = arith::MaxSIOp::create(b, loc, count, zero);
    for (Collected &tensor : collected)
      tensor.expect(slices);
  }
  // What changes its sizes can't be carried by scf.for: upstream's folder of casts
  // would give it the sizes of the first iteration.
  bool isWhile = condition || !llvm::all_of(collected, [](const Collected &tensor) { return tensor.isExact(); }) ||
                 !llvm::equal(ValueRange(states).getTypes(), body.types);
  SmallVector<Value> initial;
  for (auto [state, type] : llvm::zip_equal(states, body.types))
    initial.push_back(castSizes(b, loc, type, state));
  SmallVector<std::pair<unsigned, unsigned>>
      places; // of what each collected tensor carries
  for (const Collected &tensor : collected) {
    SmallVector<Value> carried = tensor.createInitial(c);
    places.push_back({initial.size(), carried.size()});
    llvm::append_range(initial, carried);
    for (Value value : carried)
      block.addArgument(value.getType(), loc);
  }

  SmallVector<Value> next;
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToEnd(&block);
    for (auto [state, type] : llvm::zip_equal(nextStates, body.types))
      next.push_back(castSizes(b, loc, type, state));
    for (auto [tensor, place] : llvm::zip_equal(collected, places)) {
      ValueRange carried =
          block.getArguments().drop_front(1).slice(place.first, place.second);
      SmallVector<Value> more = tensor.add(c, carried);
      if (more.empty())
        return std::nullopt;
      llvm::append_range(next, more);
    }
    if (isWhile) {
      Value flag = condition ? extractScalar(b, loc, condition)
                             : Value(arith::ConstantIntOp::create(b, loc, 1, 1));
      next.insert(next.begin(), arith::AddIOp::create(b, loc, block.getArgument(0), one));
      next.push_back(flag);
    }
    scf::YieldOp::create(b, loc, next);
  }

  SmallVector<Value> results;
  Value iterations = count;
  if (!isWhile) {
    auto loop = scf::ForOp::create(b, loc, zero, count, one, initial);
    moveDraft(body.draft, loop.getRegion());
    llvm::append_range(results, loop.getResults());
    iterations = arith::MaxSIOp::create(b, loc, count, zero);
  } else {
    // The flag is the last: it is no result, and what stands behind it would have another
    // number there, which bufferization takes for another value, and copies.
    initial.insert(initial.begin(), zero);
    initial.push_back(first);
    block.addArgument(b.getI1Type(), loc);
    SmallVector<Type> types(ValueRange(initial).getTypes());
    auto loop = scf::WhileOp::create(b, loc, types, initial);
    moveDraft(body.draft, loop.getAfter());
    OpBuilder::InsertionGuard guard(b);
    Block *before = b.createBlock(&loop.getBefore(), {}, types,
                                  SmallVector<Location>(types.size(), loc));
    Value go = before->getArguments().back();
    if (count) {
      Value more = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::slt,
                                         before->getArgument(0), count);
      go = arith::AndIOp::create(b, loc, go, more);
    }
    scf::ConditionOp::create(b, loc, go, before->getArguments());
    llvm::append_range(results, loop.getResults().drop_front(1).drop_back());
    iterations = loop.getResult(0);
  }

  SmallVector<Value> values(ArrayRef<Value>(results).take_front(states.size()));
  for (auto [tensor, place] : llvm::zip_equal(collected, places)) {
    ValueRange carried = ValueRange(results).slice(place.first, place.second);
    values.push_back(tensor.finish(c, carried, iterations));
    if (!values.back())
      return std::nullopt;
  }
  return values;
}

SmallVector<Value> frontend::getIterations(OpBuilder &b) {
  SmallVector<Value> iterations;
  for (Operation *op = nullptr; Block *block = op ? op->getBlock() : b.getInsertionBlock(); op = block->getParentOp())
    if (block->getNumArguments() && block->getArgument(0).getType().isIndex()) // the body of a loop
      iterations.push_back(block->getArgument(0));
  return iterations;
}
