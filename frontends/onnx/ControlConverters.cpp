//===- ControlConverters.cpp - If, Loop -------------------------*- C++ -*-===//
#include "frontends/onnx/Carried.h"
#include "frontends/onnx/Loops.h"
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

//===----------------------------------------------------------------------===//
// If
//===----------------------------------------------------------------------===//

/// A branch whose condition is known is converted alone, in place. The others
/// become scf.if; tensors that the branches size differently get dynamic sizes, sequences
/// and optionals what holds both (Carried.h), and what nothing holds is left to what takes it.
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
  auto values = mergeBranches(c, condition, drafts, c.numOutputs());
  return values ? c.setResults(*values) : failure();
}

//===----------------------------------------------------------------------===//
// Loop
//===----------------------------------------------------------------------===//

/// Whether a body's condition is known, once the one before it is.
static bool knowsCondition(NodeContext &c, const GraphProto &graph, ArrayRef<Value> arguments) {
  Draft draft = createDraft(c);
  auto values = c.importSubgraph(graph, arguments, *draft.block);
  bool isKnown = !values || c.constantInts(values->front()); // a fault is found again
  draft.holder->erase();
  return isKnown;
}

/// A loop that carries sequences or optionals, whose lengths may change from iteration to
/// iteration, or tensors whose ranks do, and that has so many of these: the graph once for each, in place.
static LogicalResult unrollLoop(NodeContext &c, const GraphProto &graph, int64_t count, bool go) {
  OpBuilder &b = c.getBuilder();
  SmallVector<Value> states(c.allInputs().drop_front(2));
  SmallVector<SmallVector<Value>> slices(graph.output_size() - 1 - states.size());
  auto isTrue = DenseElementsAttr::get(RankedTensorType::get({}, b.getI1Type()), true);
  for (int64_t i = 0; i < count && go; ++i) {
    SmallVector<Value> arguments{c.scalarConstant(b.getI64Type(), i), c.constant(isTrue)};
    llvm::append_range(arguments, states);
    auto values = c.importSubgraph(graph, arguments, *b.getInsertionBlock());
    if (!values)
      return failure();
    auto condition = c.constantInts(values->front());
    if (!condition || condition->size() != 1)
      return c.error("a loop that carries a sequence or optional, or a tensor whose rank changes, but whose body's "
                     "condition is not known at compile time in all iterations, is not supported");
    go = condition->front();
    llvm::copy(ArrayRef(*values).slice(1, states.size()), states.begin());
    for (auto [list, value] : llvm::zip(slices, ArrayRef(*values).drop_front(1 + states.size())))
      list.push_back(value);
  }
  for (unsigned i = 0; i < c.numOutputs(); ++i) {
    if (i < states.size()) {
      c.setResult(i, states[i]);
    } else if (c.hasOutput(i)) {
      SmallVector<Value> &parts = slices[i - states.size()];
      for (Value &part : parts) {
        if (!isa<RankedTensorType>(part.getType()))
          return c.error("collecting what is no tensor is not supported");
        part = c.make<nn::UnsqueezeOp>(part, ArrayRef<int64_t>{0});
      }
      if (!c.hadError())
        c.setResult(i, c.make<nn::ConcatOp>(parts, int64_t(0)));
    }
  }
  return success(!c.hadError());
}

/// How many iterations a loop that carries sequences or optionals, or `changesRank`, is unrolled for; nullopt if it
/// is not. Those that a run tells, and many, are a loop.
static std::optional<int64_t> getUnrolled(NodeContext &c, const GraphProto &graph, ArrayRef<Value> states,
                                          bool changesRank, bool &go) {
  constexpr int64_t kMaxIterations = 256;
  OpBuilder &b = c.getBuilder();
  auto count = c.hasInput(0) ? c.constantInts(c.input(0)) : std::nullopt;
  auto first = c.hasInput(1) ? c.constantInts(c.input(1)) : SmallVector<int64_t>{1};
  bool isOfTensors = llvm::none_of(states, [](Value state) { return isa<TupleType>(state.getType()); });
  if ((isOfTensors && !changesRank) || !count || !first ||
      count->front() > kMaxIterations || ((count->front() < 1 || !first->front()) && c.numOutputs() > states.size()))
    return std::nullopt;
  go = first->front();
  auto isTrue = DenseElementsAttr::get(RankedTensorType::get({}, b.getI1Type()), true);
  SmallVector<Value> arguments{c.scalarConstant(b.getI64Type(), 0), c.constant(isTrue)};
  llvm::append_range(arguments, states);
  if (count->front() > 0 && go && !knowsCondition(c, graph, arguments))
    return std::nullopt;
  return count->front();
}

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
  bool go = true, changesRank = false;
  if (auto unrolled = getUnrolled(c, graph, states, changesRank, go))
    return unrollLoop(c, graph, *unrolled, go);

  auto getArguments = [&](Block &block, ArrayRef<Value> current) {
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
    llvm::append_range(arguments, current);
    return arguments;
  };
  auto body = convertBody(c, graph, states, 1, getArguments, &changesRank);
  if (changesRank) {
    if (auto unrolled = getUnrolled(c, graph, states, changesRank, go))
      return unrollLoop(c, graph, *unrolled, go);
    body = convertBody(c, graph, states, 1, getArguments);
  }
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
  auto results = buildLoop(c, *body, states, collected, count, condition, first);
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
