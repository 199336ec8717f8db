//===- ScanConverters.cpp - Scan, LinearAttention ---------------*- C++ -*-===//
//
// Loops over the slices of tensors.
//
//===----------------------------------------------------------------------===//
#include "dialects/nn/Expr.h"
#include "dialects/nn/NodeLocation.h"
#include "frontends/onnx/Loops.h"
#include "frontends/onnx/ShapeVectors.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/ADT/Sequence.h"
#include "onnx-ml.pb.h"

using namespace mlir;
using namespace nacre;
using namespace nacre::frontend;
using ::onnx::GraphProto;

/// A loop's iteration as a scalar tensor.
static Value toTensor(OpBuilder &b, Location loc, Value iteration) {
  Value integer = arith::IndexCastOp::create(b, loc, b.getI64Type(), iteration);
  return tensor::FromElementsOp::create(b, loc, RankedTensorType::get({}, b.getI64Type()), integer);
}

/// The size of a dimension as an index.
static Value getSize(NodeContext &c, Value tensor, int64_t axis) {
  return getValueOrCreateConstantIndexOp(c.getBuilder(), c.getLoc(),
                                         nn::getDim(c.getBuilder(), c.getLoc(), tensor, axis));
}

//===----------------------------------------------------------------------===//
// Scan
//===----------------------------------------------------------------------===//

namespace {

/// Where the slices of a tensor stand, and whether the last comes first.
struct Slices {
  int64_t axis;
  bool isReversed;
};

} // namespace

/// Axes and directions of `count` tensors, 0 where the attributes are absent. `rankOf`
/// gives a tensor's rank.
static std::optional<SmallVector<Slices>>
getSlices(NodeContext &c, StringRef axesName, StringRef directionsName, size_t count,
          llvm::function_ref<int64_t(size_t)> rankOf) {
  SmallVector<int64_t> axes = c.getInts(axesName, SmallVector<int64_t>(count, 0));
  SmallVector<int64_t> directions = c.getInts(directionsName, SmallVector<int64_t>(count, 0));
  if (axes.size() != count || directions.size() != count) {
    (void)c.error("attributes '" + axesName + "' and '" + directionsName + "' have " +
                  Twine(axes.size()) + " and " + Twine(directions.size()) + " numbers, expected " +
                  Twine(count));
    return std::nullopt;
  }
  SmallVector<Slices> slices;
  for (size_t i = 0; i < count; ++i) {
    auto axis = c.normalizeAxis(axes[i], rankOf(i));
    if (!axis)
      return std::nullopt;
    if (directions[i] != 0 && directions[i] != 1) {
      (void)c.error("a number in '" + directionsName + "' is " + Twine(directions[i]) +
                    ", expected 0 or 1");
      return std::nullopt;
    }
    slices.push_back({*axis, directions[i] == 1});
  }
  return slices;
}

/// Dimension 0 moved to `axis`.
static Value moveFirstTo(NodeContext &c, Value tensor, int64_t axis) {
  if (axis == 0)
    return tensor;
  auto permutation = llvm::to_vector(llvm::seq<int64_t>(0, c.rankOf(tensor)));
  std::rotate(permutation.begin(), permutation.begin() + 1, permutation.begin() + axis + 1);
  return c.make<nn::TransposeOp>(tensor, permutation);
}

namespace {

/// A scan: what it carries, and what it takes slices of along `slices`.
struct ScanParts {
  const GraphProto &graph;
  SmallVector<Value> states, tensors;
  SmallVector<Slices> slices;
  Value count; // of iterations, an index

  /// The graph's outputs that are wanted, by their numbers; the states come first.
  SmallVector<unsigned> outputs;
  /// Where the slices of the collected ones go.
  std::optional<SmallVector<Slices>> places;
};

} // namespace

/// What the node and its graph have of each kind. Inputs from `first` on are states and tensors.
static std::optional<ScanParts> getScanParts(NodeContext &c, unsigned first) {
  const GraphProto &graph = *c.getGraph("body");
  int64_t scanned = c.getInt("num_scan_inputs", 0), inputs = c.numInputs() - first;
  bool isInRange = scanned >= 1 && scanned <= inputs;
  int64_t stateCount = isInRange ? inputs - scanned : 0;
  if (!isInRange || graph.input_size() != inputs ||
      graph.output_size() < stateCount || int(c.numOutputs()) > graph.output_size()) {
    (void)c.error("the body has " + Twine(graph.input_size()) + " inputs and " +
                  Twine(graph.output_size()) + " outputs, which does not fit the node's " +
                  Twine(inputs) + " and " + Twine(c.numOutputs()) + ", of which " + Twine(scanned) +
                  " inputs are scanned");
    return std::nullopt;
  }
  ArrayRef<Value> given = c.allInputs().drop_front(first);
  for (Value input : given)
    if (!input || !isa<RankedTensorType>(input.getType())) {
      (void)c.error("states and scanned inputs that are no tensors are not supported");
      return std::nullopt;
    }
  ScanParts parts{graph, SmallVector<Value>(given.take_front(stateCount)), SmallVector<Value>(given.take_back(scanned)), {}, {}, {}, {}};
  parts.outputs = llvm::to_vector(llvm::seq<unsigned>(0, stateCount));
  for (unsigned i = stateCount; i < c.numOutputs(); ++i)
    if (c.hasOutput(i))
      parts.outputs.push_back(i);
  return parts;
}

/// The loop at the builder's place: final states and collected tensors, one for each of the
/// wanted outputs, the slices along dimension 0. nullopt after an error.
static std::optional<SmallVector<Value>> buildScan(NodeContext &c, ScanParts &parts) {
  OpBuilder &b = c.getBuilder();
  Location loc = c.getLoc();
  size_t stateCount = parts.states.size();
  bool changesRank = false;
  auto getArguments = [&](Block &block, ArrayRef<Value> current) {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToEnd(&block);
    SmallVector<Value> arguments(current);
    Value last = arith::SubIOp::create(b, loc, parts.count, arith::ConstantIndexOp::create(b, loc, 1));
    for (auto [i, tensor] : llvm::enumerate(parts.tensors)) {
      auto [axis, isReversed] = parts.slices[i];
      Value iteration = block.getArgument(0);
      if (isReversed)
        iteration = arith::SubIOp::create(b, loc, last, iteration);
      // The others may be shorter than the first, which ends the run.
      arguments.push_back(
          c.make<nn::GatherOp>(tensor, toTensor(b, loc, iteration), axis, /*in_bounds=*/i == 0));
    }
    return arguments;
  };
  auto body = convertBody(c, parts.graph, parts.states, 0, getArguments, &changesRank);
  if (changesRank)
    (void)c.error("a state has another rank in one iteration than in the next, expected one shape in all");
  if (!body)
    return std::nullopt;
  ArrayRef<Value> values = body->draft.values;
  parts.places = getSlices(c, "scan_output_axes", "scan_output_directions", parts.graph.output_size() - stateCount,
                           [&](size_t i) {
                             auto type = dyn_cast<RankedTensorType>(values[stateCount + i].getType());
                             return type ? type.getRank() + 1 : 1;
                           });
  if (!parts.places)
    return std::nullopt;
  SmallVector<Collected> collected;
  for (unsigned i : ArrayRef(parts.outputs).drop_front(stateCount)) {
    if (!isa<RankedTensorType>(values[i].getType())) {
      (void)c.error("collecting what is no tensor is not supported");
      return std::nullopt;
    }
    collected.emplace_back(values[i], (*parts.places)[i - stateCount].isReversed);
  }
  return buildLoop(c, *body, parts.states, collected, parts.count,
                   /*condition=*/Value(), arith::ConstantIntOp::create(b, loc, 1, 1));
}

/// Until opset 8: states and tensors have a first dimension of samples, each of which is
/// scanned by itself, in as many iterations as `sequence_lens` says. What is collected has
/// zeros from there on.
static LogicalResult convertBatchedScan(NodeContext &c) {
  auto parts = getScanParts(c, 1);
  if (!parts)
    return failure();
  size_t stateCount = parts->states.size();
  ShapeVectors v(c);
  for (Value tensor : parts->tensors)
    if (c.rankOf(tensor) < 2)
      return c.error("a scanned input has rank " + Twine(c.rankOf(tensor)) + ", expected 2 or more");
  for (Value state : parts->states)
    if (c.rankOf(state) < 1)
      return c.error("a state is a scalar, expected a dimension of samples");
  auto slices = getSlices(c, "scan_input_axes", "directions", parts->tensors.size(),
                          [&](size_t i) { return c.rankOf(parts->tensors[i]) - 1; });
  if (!slices)
    return failure();
  parts->slices = *slices;
  Value samples = parts->tensors[0], length = v.toScalar(v.size(samples, 1)), lengths = v.toI64(c.input(0));
  if (lengths) {
    Value batch = v.size(samples, 0), given = v.shape(lengths);
    if (c.rankOf(lengths) != 1)
      return c.error("'sequence_lens' has rank " + Twine(c.rankOf(lengths)) + ", expected 1");
    Value fits = v.all(v.compare(nn::ComparePredicate::eq, given, batch));
    if (failed(c.require(fits, "'sequence_lens' has not one number for each sample")))
      return failure();
    Value isLong = v.all(v.compare(nn::ComparePredicate::ge, lengths, v.scalar(0)));
    Value isShort = v.all(v.compare(nn::ComparePredicate::le, lengths, length));
    if (failed(c.require(isLong, "a sequence's length is negative")) ||
        failed(c.require(isShort, "a sequence's length is above that of the inputs")))
      return failure();
  }

  OpBuilder &b = c.getBuilder();
  Location loc = c.getLoc();
  Value count = getSize(c, samples, 0), most = getSize(c, samples, 1);
  LoopBody outer{createDraft(c), {}, {}, {}};
  Block &block = *outer.draft.block;
  Value number = block.addArgument(b.getIndexType(), loc);
  SmallVector<Collected> collected;
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToEnd(&block);
    Value sample = toTensor(b, loc, number);
    // Of those behind the first the number of samples may be another, which ends the run.
    auto pick = [&](Value tensor) { return c.make<nn::GatherOp>(tensor, sample, 0, /*in_bounds=*/tensor == samples); };
    Value own = lengths ? c.make<nn::GatherOp>(lengths, sample, 0, /*in_bounds=*/true) : Value();
    for (Value &state : parts->states)
      state = pick(state);
    for (Value &tensor : parts->tensors)
      tensor = pick(tensor);
    if (c.hadError())
      return failure();
    parts->count = own ? arith::IndexCastOp::create(b, loc, b.getIndexType(), tensor::ExtractOp::create(b, loc, own, ValueRange()))
                       : most;
    auto made = buildScan(c, *parts);
    if (!made)
      return failure();
    for (auto [i, value] : llvm::enumerate(*made)) {
      if (own && i >= stateCount) {
        int64_t rank = c.rankOf(value);
        Value missing = v.toVector(v.sub(length, own));
        Value pads = v.concat({v.repeat(0, rank), missing, v.repeat(0, rank - 1)});
        value = pads ? c.make<nn::PadOp>(value, pads, c.scalarConstant(c.typeOf(value).getElementType(), 0), nn::PadMode::Constant)
                     : Value();
      }
      if (!value)
        return failure();
      collected.emplace_back(value);
    }
  }
  auto results = buildLoop(c, outer, ArrayRef<Value>(), ArrayRef<Value>(), collected, count, /*condition=*/Value(),
                           arith::ConstantIntOp::create(b, loc, 1, 1));
  if (!results)
    return failure();
  for (auto [output, value] : llvm::zip_equal(parts->outputs, *results))
    c.setResult(output, value);
  return success();
}

/// Inputs: states, and tensors whose slices are the graph's last inputs, one in each
/// iteration. The graph's outputs are the next states, and slices of collected tensors.
static LogicalResult convertScan(NodeContext &c) {
  if (c.version() < 9)
    return convertBatchedScan(c);
  auto parts = getScanParts(c, 0);
  if (!parts)
    return failure();
  auto slices = getSlices(c, "scan_input_axes", "scan_input_directions", parts->tensors.size(),
                          [&](size_t i) { return c.rankOf(parts->tensors[i]); });
  if (!slices)
    return failure();
  parts->slices = *slices;
  parts->count = getSize(c, parts->tensors[0], slices->front().axis);
  auto results = buildScan(c, *parts);
  if (!results)
    return failure();
  size_t stateCount = parts->states.size();
  for (auto [output, value] : llvm::zip_equal(parts->outputs, *results)) {
    if (output >= stateCount)
      value = moveFirstTo(c, value, (*parts->places)[output - stateCount].axis);
    if (!value)
      return failure();
    c.setResult(output, value);
  }
  return success();
}

//===----------------------------------------------------------------------===//
// LinearAttention
//===----------------------------------------------------------------------===//

namespace {

/// What an iteration of LinearAttention reads.
struct LinearInputs {
  Value query, key, value, decay, beta; // [N, T, heads, size], all of the compute type
  int64_t heads, group;
  Value scale;
};

} // namespace

/// One token: the next state from the last, and [N, K, G, E], what is read.
///   state' = exp(decay) * state;  state' += key x (beta * (value - state'^T key))
static std::pair<Value, Value> stepLinearAttention(NodeContext &c, const LinearInputs &in, Value state,
                                                   Value token) {
  auto at = [&](Value tensor) { return c.make<nn::GatherOp>(tensor, token, 1, /*in_bounds=*/true); };
  auto toColumn = [&](Value x) { return c.make<nn::UnsqueezeOp>(x, ArrayRef<int64_t>{3}); };
  auto toRow = [&](Value x) { return c.make<nn::UnsqueezeOp>(x, ArrayRef<int64_t>{2}); };
  Value key = at(in.key), value = toRow(at(in.value));
  if (in.decay)
    state = c.make<nn::MulOp>(state, toColumn(c.make<nn::ExpOp>(at(in.decay))));
  if (in.beta) {
    Value known = c.make<nn::MatMulOp>(toRow(key), state, false, false);
    value = c.make<nn::MulOp>(c.make<nn::SubOp>(value, known), c.make<nn::UnsqueezeOp>(at(in.beta), ArrayRef<int64_t>{2, 3}));
  }
  state = c.make<nn::AddOp>(state, c.make<nn::MulOp>(toColumn(key), value));
  Value query = c.make<nn::ReshapeOp>(at(in.query), c.intsConstant({0, in.heads, in.group, -1}), false);
  Value read = c.make<nn::MulOp>(c.make<nn::MatMulOp>(query, state, false, false), in.scale);
  return {state, read};
}

/// 1 / sqrt(size of a head), or what is given.
static Value getLinearScale(NodeContext &c, Value query, Type type) {
  ShapeVectors v(c);
  if (double given = c.getFloat("scale", 0); given != 0)
    return c.scalarConstant(type, given);
  Value size = v.cast(v.toScalar(v.size(query, 3)), type);
  return size ? c.make<nn::ReciprocalOp>(c.make<nn::SqrtOp>(size)) : Value();
}

static LogicalResult convertLinearAttention(NodeContext &c) {
  c.ignoreAttr("chunk_size"); // a hint
  int64_t queryHeads = c.getInt("q_num_heads", 0), heads = c.getInt("kv_num_heads", 0);
  StringRef rule = c.getString("update_rule", "gated_delta");
  bool isGated = rule == "gated" || rule == "gated_delta", isDelta = rule == "delta" || rule == "gated_delta";
  if (!isGated && !isDelta && rule != "linear")
    return c.error("attribute 'update_rule' is " + nn::quoted(rule) + ", expected linear, gated, delta or gated_delta");
  if (heads < 1 || queryHeads < 1 || queryHeads % heads != 0)
    return c.error("'q_num_heads' is " + Twine(queryHeads) + ", expected a multiple of 'kv_num_heads', " +
                   Twine(heads));
  if (c.hasInput(4) != isGated || c.hasInput(5) != isDelta)
    return c.error("inputs decay and beta do not fit the update rule '" + rule + "'");
  for (unsigned i : {0u, 1u, 2u, 4u, 5u})
    if (c.hasInput(i) && c.rankOf(c.input(i)) != 3)
      return c.error("input " + Twine(i) + " has rank " + Twine(c.rankOf(c.input(i))) + ", expected 3");
  if (c.hasInput(3) && c.rankOf(c.input(3)) != 4)
    return c.error("past_state has rank " + Twine(c.rankOf(c.input(3))) + ", expected 4");

  ShapeVectors v(c);
  Type type = c.inputType(0).getElementType(), wide = nn::getComputeType(type);
  auto apart = [&](unsigned input, int64_t count) {
    Value x = v.cast(c.input(input), wide);
    return x ? c.make<nn::ReshapeOp>(x, c.intsConstant({0, 0, count, -1}), false) : Value();
  };
  LinearInputs in{apart(0, queryHeads), apart(1, heads), apart(2, heads), {}, {}, heads, queryHeads / heads, {}};
  if (isGated)
    in.decay = apart(4, heads); // for each head, or each of its elements
  if (isDelta)
    in.beta = v.cast(c.input(5), wide); // for each head, or all
  in.scale = in.query ? getLinearScale(c, in.query, wide) : Value();
  if (c.hadError())
    return failure();
  Value state = c.hasInput(3) ? v.cast(c.input(3), wide) : Value();
  if (!state) {
    Value shape = v.concat({v.size(in.key, 0), v.constant(heads), v.size(in.key, 3), v.size(in.value, 3)});
    state = shape ? c.make<nn::BroadcastOp>(c.scalarConstant(wide, 0), shape) : Value();
  }
  if (!state)
    return failure();

  // The loop carries the state under the sizes that are known of it now.
  OpBuilder &b = c.getBuilder();
  Location loc = c.getLoc();
  LoopBody body{createDraft(c), {state.getType()}, {}, {}};
  Block &block = *body.draft.block;
  Value token = block.addArgument(b.getIndexType(), loc), last = block.addArgument(state.getType(), loc);
  std::pair<Value, Value> step;
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToEnd(&block);
    step = stepLinearAttention(c, in, last, toTensor(b, loc, token));
  }
  if (!step.first || !step.second)
    return failure();
  if (!joinTypes(step.first.getType(), state.getType()) ||
      failed(verifyCompatibleShape(step.first.getType(), state.getType())))
    return c.error("the state's sizes do not fit those of the heads");
  Collected outputs(step.second);
  auto results = buildLoop(c, body, state, step.first, outputs, getSize(c, in.query, 1),
                           /*condition=*/Value(), arith::ConstantIntOp::create(b, loc, 1, 1));
  if (!results)
    return failure();
  // [T, N, K, G, E] → [N, T, H * E]
  Value output = c.make<nn::TransposeOp>((*results)[1], ArrayRef<int64_t>{1, 0, 2, 3, 4});
  output = v.cast(c.make<nn::CollapseOp>(output, 2, 5), type);
  Type stateType = c.hasInput(3) ? c.inputType(3).getElementType() : type;
  return c.setResults({output, v.cast((*results)[0], stateType)});
}

void nacre::frontend::registerScanConverters(ConverterTable &table) {
  table.add("Scan", convertScan);
  table.add("LinearAttention", convertLinearAttention);
}
