//===- ControlConverters.cpp - If, Loop, Scan -------------------*- C++ -*-===//
//
// Control flow becomes scf on tensors. The graphs are converted in a draft, as
// the types of their results decide those of the scf op.
//
//===----------------------------------------------------------------------===//
#include "frontends/onnx/Converter.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Support/DebugStringHelper.h"
#include "onnx-ml.pb.h"

using namespace mlir;
using namespace nacre;
using namespace nacre::frontend;
using ::onnx::GraphProto;

//===----------------------------------------------------------------------===//
// Helpers
//===----------------------------------------------------------------------===//

static bool mayHaveOneElement(RankedTensorType type) {
  return llvm::all_of(type.getShape(), [](int64_t size) {
    return size == 1 || ShapedType::isDynamic(size);
  });
}

/// The only element of a tensor, as a scalar.
static Value extractScalar(OpBuilder &b, Location loc, Value tensor) {
  SmallVector<Value> zeros;
  for (int64_t i = 0; i < NodeContext::rankOf(tensor); ++i)
    zeros.push_back(arith::ConstantIndexOp::create(b, loc, 0));
  return tensor::ExtractOp::create(b, loc, tensor, zeros);
}

static Value castTo(OpBuilder &b, Location loc, Type type, Value value) {
  return value.getType() == type ? value
                                 : tensor::CastOp::create(b, loc, type, value);
}

/// A type that holds both: sizes that differ become dynamic. Null if ranks or
/// element types differ, or one is no tensor.
static RankedTensorType joinTypes(Type lhs, Type rhs) {
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

static RankedTensorType withoutSizes(RankedTensorType type) {
  return type.clone(SmallVector<int64_t>(type.getRank(), ShapedType::kDynamic));
}

/// A graph converted before the op that it belongs to exists.
struct Draft {
  Operation *holder = nullptr;
  Block *block = nullptr;
  /// What the graph gives.
  SmallVector<Value> values;
};

static Draft createDraft(NodeContext &c) {
  Draft draft;
  auto holder =
      scf::ExecuteRegionOp::create(c.getBuilder(), c.getLoc(), TypeRange());
  draft.holder = holder;
  draft.block = &holder.getRegion().emplaceBlock();
  return draft;
}

/// Moves the finished graph into a region of its op.
static void moveDraft(Draft &draft, Region &region) {
  region.takeBody(draft.holder->getRegion(0));
  draft.holder->erase();
}

//===----------------------------------------------------------------------===//
// If
//===----------------------------------------------------------------------===//

/// A branch whose condition is known is converted alone, in place. The others
/// become scf.if; tensors that the branches size differently get dynamic sizes.
static LogicalResult convertIf(NodeContext &c) {
  const GraphProto *graphs[] = {c.getGraph("then_branch"),
                                c.getGraph("else_branch")};
  if (!mayHaveOneElement(c.inputType(0)))
    return c.error("the condition has more or fewer elements than 1");
  for (const GraphProto *graph : graphs)
    if (graph->input_size() || graph->output_size() < int(c.numOutputs()))
      return c.error("a branch has " + Twine(graph->input_size()) +
                     " inputs and " + Twine(graph->output_size()) +
                     " outputs, expected 0 and " + Twine(c.numOutputs()));
  OpBuilder &b = c.getBuilder();
  Location loc = c.getLoc();
  if (auto known = c.constantInts(c.input(0))) {
    auto values = c.importSubgraph(*graphs[known->front() ? 0 : 1], {},
                                   *b.getInsertionBlock());
    return values ? c.setResults(*values) : failure();
  }

  Value condition = extractScalar(b, loc, c.input(0));
  Draft drafts[2];
  bool complete = true;
  for (unsigned i : {0u, 1u}) {
    drafts[i] = createDraft(c);
    auto values = c.importSubgraph(*graphs[i], {}, *drafts[i].block);
    complete &= bool(values); // but the other branch is looked at as well
    if (values)
      drafts[i].values = std::move(*values);
  }
  if (!complete)
    return failure();
  SmallVector<Type> types;
  for (unsigned i = 0; i < c.numOutputs(); ++i) {
    types.push_back(joinTypes(drafts[0].values[i].getType(),
                              drafts[1].values[i].getType()));
    if (!types.back())
      return c.error("output " + Twine(i) +
                     " has another rank or element type in one branch " +
                     "than in the other, which is not supported");
  }
  auto result = scf::IfOp::create(b, loc, types, condition);
  for (unsigned i : {0u, 1u}) {
    OpBuilder inside = OpBuilder::atBlockEnd(drafts[i].block);
    SmallVector<Value> values;
    for (auto [value, type] : llvm::zip(drafts[i].values, types))
      values.push_back(castTo(inside, loc, type, value));
    scf::YieldOp::create(inside, loc, values);
    moveDraft(drafts[i], result->getRegion(i));
  }
  return c.setResults(SmallVector<Value>(result.getResults()));
}

//===----------------------------------------------------------------------===//
// What loops share
//===----------------------------------------------------------------------===//

namespace {

/// A tensor that a loop collects, one slice in each iteration. The slices so
/// far are carried. Where a slice's sizes are dynamic, they are carried flat,
/// with the sizes of the last slice, as nothing has sizes before the first
/// iteration.
class Collected {
public:
  Collected(Value slice, bool inFront = false)
      : slice(slice), type(cast<RankedTensorType>(slice.getType())),
        inFront(inFront) {}

  /// What is carried into the first iteration; empty after an error.
  SmallVector<Value> createInitial(NodeContext &c) const {
    SmallVector<int64_t> shape{0};
    if (type.hasStaticShape())
      llvm::append_range(shape, type.getShape());
    Value none = c.constant(
        DenseElementsAttr::get(type.clone(shape), ArrayRef<Attribute>()));
    if (!none)
      return {};
    shape[0] = ShapedType::kDynamic;
    SmallVector<Value> carried{
        castTo(c.getBuilder(), c.getLoc(), type.clone(shape), none)};
    for (size_t i = 0; i < type.getNumDynamicDims(); ++i)
      carried.push_back(
          arith::ConstantIndexOp::create(c.getBuilder(), c.getLoc(), 0));
    return carried;
  }

  /// What is carried on, in the body; empty after an error.
  SmallVector<Value> add(NodeContext &c, ValueRange carried) const {
    Value row = type.hasStaticShape()
                    ? c.make<nn::UnsqueezeOp>(slice, ArrayRef<int64_t>{0})
                    : c.make<nn::CollapseOp>(slice, int64_t(0), type.getRank());
    SmallVector<Value> parts{carried.front(), row};
    if (inFront)
      std::swap(parts[0], parts[1]);
    Value all = c.make<nn::ConcatOp>(parts, int64_t(0));
    if (!all)
      return {};
    SmallVector<Value> next{
        castTo(c.getBuilder(), c.getLoc(), carried.front().getType(), all)};
    for (int64_t i = 0; i < type.getRank(); ++i)
      if (type.isDynamicDim(i))
        next.push_back(
            tensor::DimOp::create(c.getBuilder(), c.getLoc(), slice, i));
    return next;
  }

  /// The tensor, behind the loop; null after an error.
  Value finish(NodeContext &c, ValueRange carried, Value count) const {
    if (type.hasStaticShape())
      return carried.front();
    OpBuilder &b = c.getBuilder();
    Location loc = c.getLoc();
    SmallVector<Value> sizes{
        arith::IndexCastOp::create(b, loc, b.getI64Type(), count)};
    unsigned next = 1;
    for (int64_t size : type.getShape())
      sizes.push_back(
          ShapedType::isDynamic(size)
              ? Value(arith::IndexCastOp::create(b, loc, b.getI64Type(),
                                                 carried[next++]))
              : Value(arith::ConstantIntOp::create(b, loc, size, 64)));
    Value shape = tensor::FromElementsOp::create(b, loc, sizes);
    return c.make<nn::ReshapeOp>(carried.front(), shape, /*allowzero=*/true);
  }

private:
  Value slice;
  RankedTensorType type;
  bool inFront;
};

/// The graph of a loop, converted, with the types of what it carries.
struct LoopBody {
  Draft draft;
  SmallVector<Type> types;
};

} // namespace

/// Converts a loop's graph in a block of an index (the iteration) and the
/// states, which `getArguments` makes the graph's inputs of. The graph's
/// outputs from `firstState` on are the next states. A state whose sizes change
/// gets dynamic ones, and as that may change others, the graph is converted
/// again, with ever fewer sizes.
static std::optional<LoopBody>
convertBody(NodeContext &c, const GraphProto &graph, ArrayRef<Value> states,
            unsigned firstState,
            llvm::function_ref<SmallVector<Value>(Block &)> getArguments) {
  LoopBody body;
  llvm::append_range(body.types, ValueRange(states).getTypes());
  for (unsigned attempt = 0;; ++attempt) {
    body.draft = createDraft(c);
    Block &block = *body.draft.block;
    block.addArgument(c.getBuilder().getIndexType(), c.getLoc());
    for (Type type : body.types)
      block.addArgument(type, c.getLoc());
    SmallVector<Value> arguments = getArguments(block);
    auto values = c.importSubgraph(graph, arguments, block);
    if (!values)
      return std::nullopt;
    bool stable = true;
    for (auto [i, type] : llvm::enumerate(body.types)) {
      Type next = (*values)[firstState + i].getType();
      RankedTensorType joined = joinTypes(type, next);
      if (!joined) {
        (void)c.error("carried value " + Twine(i) + " has the type " +
                      debugString(type) + " in one iteration and " +
                      debugString(next) +
                      " in the next, which is not supported");
        return std::nullopt;
      }
      if (joined != type) {
        stable = false;
        type = attempt ? withoutSizes(joined) : joined;
      }
    }
    if (stable) {
      body.draft.values = std::move(*values);
      return body;
    }
    if (attempt == 2)
      for (Type &type : body.types)
        type = withoutSizes(cast<RankedTensorType>(type));
    body.draft.holder->erase();
  }
}

/// Builds the loop of a converted body: scf.for if `condition` is null and sizes
/// stay, else scf.while, which ends before iteration `count` (if that is not null) and
/// where the last iteration gave a false `condition`, or `first` is false.
/// Gives the final states and the collected tensors; nullopt after an error.
static std::optional<SmallVector<Value>>
buildLoop(NodeContext &c, LoopBody &body, ArrayRef<Value> states,
          ArrayRef<Value> nextStates, ArrayRef<Collected> collected,
          Value count, Value condition, Value first) {
  OpBuilder &b = c.getBuilder();
  Location loc = c.getLoc();
  Block &block = *body.draft.block;
  Value zero = arith::ConstantIndexOp::create(b, loc, 0);
  Value one = arith::ConstantIndexOp::create(b, loc, 1);

  // What changes its sizes can't be carried by scf.for: upstream's folder of casts
  // would give it the sizes of the first iteration.
  bool isWhile = condition || !collected.empty() ||
                 !llvm::equal(ValueRange(states).getTypes(), body.types);
  SmallVector<Value> initial;
  for (auto [state, type] : llvm::zip_equal(states, body.types))
    initial.push_back(castTo(b, loc, type, state));
  SmallVector<std::pair<unsigned, unsigned>>
      places; // of what each collected tensor carries
  for (const Collected &tensor : collected) {
    SmallVector<Value> carried = tensor.createInitial(c);
    if (carried.empty())
      return std::nullopt;
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
      next.push_back(castTo(b, loc, type, state));
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
      next.insert(
          next.begin(),
          {arith::AddIOp::create(b, loc, block.getArgument(0), one), flag});
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
    initial.insert(initial.begin(), {zero, first});
    block.insertArgument(1u, b.getI1Type(), loc);
    SmallVector<Type> types(ValueRange(initial).getTypes());
    auto loop = scf::WhileOp::create(b, loc, types, initial);
    moveDraft(body.draft, loop.getAfter());
    OpBuilder::InsertionGuard guard(b);
    Block *before = b.createBlock(&loop.getBefore(), {}, types,
                                  SmallVector<Location>(types.size(), loc));
    Value go = before->getArgument(1);
    if (count) {
      Value more = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::slt,
                                         before->getArgument(0), count);
      go = arith::AndIOp::create(b, loc, go, more);
    }
    scf::ConditionOp::create(b, loc, go, before->getArguments());
    llvm::append_range(results, loop.getResults().drop_front(2));
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

//===----------------------------------------------------------------------===//
// Loop
//===----------------------------------------------------------------------===//

/// Inputs: trip count (optional), condition (optional), states. The graph maps
/// iteration, condition and states to condition, next states and slices of
/// collected tensors.
static LogicalResult convertLoop(NodeContext &c) {
  const GraphProto &graph = *c.getGraph("body");
  OpBuilder &b = c.getBuilder();
  Location loc = c.getLoc();
  ArrayRef<Value> states = c.allInputs().drop_front(2);
  int stateCount = states.size();
  if (graph.input_size() != 2 + stateCount ||
      graph.output_size() < 1 + stateCount ||
      int(c.numOutputs()) > graph.output_size() - 1)
    return c.error("the body has " + Twine(graph.input_size()) +
                   " inputs and " + Twine(graph.output_size()) +
                   " outputs, which does not fit the node's " +
                   Twine(c.numInputs()) + " and " + Twine(c.numOutputs()));
  for (unsigned i : {0u, 1u})
    if (c.hasInput(i) && !mayHaveOneElement(c.inputType(i)))
      return c.error("input " + Twine(i) +
                     " has more or fewer elements than 1");

  auto body = convertBody(c, graph, states, 1, [&](Block &block) {
    OpBuilder inside = OpBuilder::atBlockEnd(&block);
    Value iteration = arith::IndexCastOp::create(
        inside, loc, inside.getI64Type(), block.getArgument(0));
    // The body only runs while the condition is true.
    auto flagType = RankedTensorType::get({}, inside.getI1Type());
    SmallVector<Value> arguments{
        tensor::FromElementsOp::create(
            inside, loc, RankedTensorType::get({}, inside.getI64Type()),
            iteration),
        nn::ConstantOp::create(inside, loc, flagType,
                               DenseElementsAttr::get(flagType, true))};
    llvm::append_range(arguments, block.getArguments().drop_front());
    return arguments;
  });
  if (!body)
    return failure();
  ArrayRef<Value> values = body->draft.values;
  auto flagType = dyn_cast<RankedTensorType>(values[0].getType());
  if (!flagType || !mayHaveOneElement(flagType) ||
      !flagType.getElementType().isInteger(1))
    return c.error("the body's condition has the type " +
                   debugString(values[0].getType()) + ", expected one boolean");

  Value count, first = c.hasInput(1)
                           ? extractScalar(b, loc, c.input(1))
                           : arith::ConstantIntOp::create(b, loc, 1, 1);
  if (c.hasInput(0))
    count = arith::IndexCastOp::create(b, loc, b.getIndexType(),
                                       extractScalar(b, loc, c.input(0)));
  Value condition = values[0];
  auto known = c.constantInts(condition);
  if (count && known && known->front()) {
    // Only the trip count ends the loop, once it has begun.
    condition = {};
    if (c.hasInput(1))
      count = arith::SelectOp::create(
          b, loc, first, count, arith::ConstantIndexOp::create(b, loc, 0));
  }
  SmallVector<Collected> collected;
  auto outputs = llvm::to_vector(llvm::seq<unsigned>(0, stateCount));
  for (unsigned i = stateCount; i < c.numOutputs(); ++i)
    if (c.hasOutput(i)) {
      if (!isa<RankedTensorType>(values[1 + i].getType()))
        return c.error("collecting what is no tensor is not supported");
      collected.emplace_back(values[1 + i]);
      outputs.push_back(i);
    }
  auto results = buildLoop(c, *body, states, values.slice(1, stateCount),
                           collected, count, condition, first);
  if (!results)
    return failure();
  for (auto [output, value] : llvm::zip_equal(outputs, *results))
    c.setResult(output, value);
  return success();
}

void nacre::frontend::registerControlConverters(ConverterTable &table) {
  table.add("If", convertIf);
  table.add("Loop", convertLoop);
}
