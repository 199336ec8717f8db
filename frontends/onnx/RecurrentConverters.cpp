//===- RecurrentConverters.cpp - RNN, LSTM, GRU -----------------*- C++ -*-===//
//
// Each direction is one large matrix product of the inputs, then nn.rnn, nn.lstm or
// nn.gru for what depends on the state. With layout 1, tensors are transposed at the
// borders.
//
//===----------------------------------------------------------------------===//
#include "dialects/nn/NodeLocation.h"
#include "frontends/onnx/Contrib.h"

using namespace mlir;
using namespace nacre;
using namespace nacre::frontend;

namespace {

struct Activations {
  SmallVector<StringRef> names;
  SmallVector<double> alphas, betas;
};

/// One activation function: its name in nn, and its parameters' defaults if it has them.
struct ActivationInfo {
  StringRef onnx, name;
  std::optional<double> alpha, beta;
};
constexpr std::nullopt_t none = std::nullopt;
const ActivationInfo activationTable[] = {
    {"Affine", "affine", 1.0, 0.0},
    {"Elu", "elu", 1.0, none},
    {"HardSigmoid", "hard_sigmoid", 0.2, 0.5},
    {"LeakyRelu", "leaky_relu", 0.01, none},
    {"Relu", "relu", none, none},
    {"ScaledTanh", "scaled_tanh", 1.0, 1.0},
    {"Sigmoid", "sigmoid", none, none},
    {"Softplus", "softplus", none, none},
    {"Softsign", "softsign", none, none},
    {"Tanh", "tanh", none, none},
    {"ThresholdedRelu", "thresholded_relu", 1.0, none},
};

/// Reads a recurrent operator and builds what its kinds share.
class Layer {
public:
  /// `weights` are W and R, where these are not the inputs 1 and 2 themselves.
  Layer(NodeContext &c, int64_t gates, ArrayRef<StringRef> defaults, ArrayRef<Value> weights = {})
      : c(c), operands(c.allInputs()), gates(gates), perDirection(defaults.size()) {
    llvm::copy(weights, operands.begin() + 1);
    RankedTensorType recurrence = NodeContext::typeOf(operands[2]);
    readDirection();
    readActivations(defaults);
    clip = c.getOptionalFloat("clip");
    if (clip && *clip <= 0)
      clip = std::nullopt; // as the reference implementations do
    if (c.version() < 7)
      c.ignoreAttr("output_sequence"); // whether the first output is wanted, which its name says
    if (c.version() >= 14)
      batchFirst = c.getFlag("layout");
    std::optional<int64_t> hidden = c.getOptionalInt("hidden_size");
    int64_t size = recurrence.getRank() == 3 ? recurrence.getDimSize(2) : ShapedType::kDynamic;
    if (ShapedType::isDynamic(size) && hidden) {
      if (*hidden < 1 || *hidden > nn::kMaxElements)
        (void)c.error("hidden_size is " + Twine(*hidden) + ", expected 1 to " + Twine(nn::kMaxElements));
      else
        size = *hidden;
    } else if (hidden && *hidden != size)
      (void)c.error("hidden_size is " + Twine(*hidden) + ", but the recurrence weight is for " + Twine(size));
    if (c.inputType(0).getRank() != 3 || NodeContext::rankOf(operands[1]) != 3 || recurrence.getRank() != 3)
      (void)c.error("expected X, W and R of rank 3");
    if (ShapedType::isDynamic(size) && c.hasInput(3))
      (void)c.error("the size of the state is unknown: hidden_size is missing");
    stateSize = size;
    input = c.input(0);
    if (batchFirst)
      input = transpose(input, {1, 0, 2});
  }

  int64_t numDirections() const { return directions.size(); }
  bool isReverse(int64_t d) const { return directions[d]; }
  int64_t getStateSize() const { return stateSize; }

  /// Slice `d` of an input that has directions first (an initial state after layout 1
  /// second), or null.
  Value get(unsigned index, int64_t d, bool isState = false) {
    Value value = index < operands.size() ? operands[index] : Value();
    if (!value || c.hadError())
      return {};
    // Biases and peepholes are vectors, all else matrices, for each direction.
    if (int64_t rank = NodeContext::rankOf(value), wanted = index == 3 || index == 7 ? 2 : 3; rank != wanted) {
      (void)c.error("input " + Twine(index) + " has rank " + Twine(rank) + ", expected " + Twine(wanted));
      return {};
    }
    if (isState && batchFirst)
      value = transpose(value, {1, 0, 2});
    if (!value)
      return {};
    if (numDirections() > 1) {
      int64_t rank = NodeContext::rankOf(value);
      SmallVector<int64_t> starts(rank, 0), ends(rank, INT64_MAX), steps(rank, 1);
      starts[0] = d;
      ends[0] = d + 1;
      value = c.make<nn::SliceOp>(value, c.intsConstant(starts), c.intsConstant(ends),
                                  c.intsConstant(steps));
    }
    return c.make<nn::SqueezeOp>(value, ArrayRef<int64_t>{0});
  }
  /// Elements [begin, end) * H of a vector.
  Value part(Value vector, int64_t begin, int64_t end) {
    if (!vector)
      return {};
    return c.make<nn::SliceOp>(vector, c.intsConstant({begin * stateSize}),
                               c.intsConstant({end * stateSize}), c.intsConstant({1}));
  }

  /// [T, B, gates * H]: the inputs' part of the gates, with a bias if there is one.
  Value project(int64_t d, Value bias) {
    Value weight = get(1, d);
    if (!weight || c.hadError())
      return {};
    Value rows = c.make<nn::CollapseOp>(input, 0, 2);
    Value product = c.make<nn::MatMulOp>(rows, weight, false, /*transpose_rhs=*/true);
    if (bias)
      product = c.make<nn::AddOp>(product, bias);
    if (!product)
      return {};
    // Back to [T, B, ...].
    RankedTensorType type = NodeContext::typeOf(input);
    int64_t columns = NodeContext::typeOf(product).getDimSize(1);
    if (ShapedType::isDynamic(columns) && !ShapedType::isDynamic(stateSize))
      columns = gates * stateSize;
    SmallVector<int64_t> sizes{type.getDimSize(0), type.getDimSize(1), columns};
    if (llvm::count_if(sizes, ShapedType::isDynamic) <= 1 && !llvm::is_contained(sizes, 0)) {
      for (int64_t &size : sizes)
        if (ShapedType::isDynamic(size))
          size = -1;
      return c.make<nn::ReshapeOp>(product, c.intsConstant(sizes), /*allowzero=*/false);
    }
    // The batch may be empty: what is missing does not follow from the number of elements.
    auto sizesOf = [&](Value value, int64_t begin, int64_t end) {
      return c.make<nn::SliceOp>(c.make<nn::ShapeOp>(value), c.intsConstant({begin}), c.intsConstant({end}),
                                 c.intsConstant({1}));
    };
    Value last = ShapedType::isDynamic(columns) ? sizesOf(product, 1, 2) : c.intsConstant({columns});
    Value shape = c.make<nn::ConcatOp>(SmallVector<Value>{sizesOf(input, 0, 2), last}, 0);
    return c.make<nn::ReshapeOp>(product, shape, /*allowzero=*/true);
  }

  ArrayAttr activationNames(int64_t d) {
    return c.getBuilder().getStrArrayAttr(ArrayRef(activations.names).slice(d * perDirection, perDirection));
  }
  ArrayRef<double> alphas(int64_t d) {
    return ArrayRef(activations.alphas).slice(d * perDirection, perDirection);
  }
  ArrayRef<double> betas(int64_t d) {
    return ArrayRef(activations.betas).slice(d * perDirection, perDirection);
  }
  FloatAttr clipAttr() { return clip ? c.getBuilder().getF64FloatAttr(*clip) : FloatAttr(); }

  /// Joins the results of the directions (all results of the first, ...) into the
  /// node's: all states [T, D, B, H], then final states [D, B, H].
  LogicalResult finish(ArrayRef<SmallVector<Value>> results) {
    SmallVector<Value> outputs;
    for (size_t i = 0; i < results[0].size(); ++i) {
      int64_t axis = i == 0 ? 1 : 0;
      SmallVector<Value> parts;
      for (const SmallVector<Value> &direction : results)
        parts.push_back(c.make<nn::UnsqueezeOp>(direction[i], ArrayRef<int64_t>{axis}));
      if (c.hadError())
        return failure();
      Value joined = parts.size() == 1 ? parts[0] : c.make<nn::ConcatOp>(parts, axis);
      if (batchFirst)
        joined = i == 0 ? transpose(joined, {2, 0, 1, 3}) : transpose(joined, {1, 0, 2});
      outputs.push_back(joined);
    }
    return c.hadError() ? failure() : c.setResults(outputs);
  }

private:
  void readDirection() {
    StringRef direction = c.getString("direction", "forward");
    if (direction == "forward")
      directions = {false};
    else if (direction == "reverse")
      directions = {true};
    else if (direction == "bidirectional")
      directions = {false, true};
    else {
      directions = {false};
      (void)c.error("direction is " + nn::quoted(direction) + ", expected forward, reverse or bidirectional");
    }
  }

  void readActivations(ArrayRef<StringRef> defaults) {
    SmallVector<StringRef> given = c.getStrings("activations");
    SmallVector<double> alphas = c.getFloats("activation_alpha"), betas = c.getFloats("activation_beta");
    if (given.empty())
      for (size_t d = 0; d < directions.size(); ++d)
        llvm::append_range(given, defaults);
    size_t wanted = perDirection * directions.size();
    if (given.size() != wanted)
      (void)c.error("expected " + Twine(wanted) + " activations, found " + Twine(given.size()));
    given.resize(wanted, defaults[0]);
    // Parameters are consumed in the order of the functions that have some.
    ArrayRef<double> nextAlpha = alphas, nextBeta = betas;
    auto take = [](std::optional<double> otherwise, ArrayRef<double> &next) {
      if (!otherwise)
        return 0.0;
      if (next.empty())
        return *otherwise;
      double value = next.front();
      next = next.drop_front();
      return value;
    };
    for (StringRef name : given) {
      auto info = llvm::find_if(activationTable, [&](const ActivationInfo &info) {
        return info.onnx.equals_insensitive(name);
      });
      if (info == std::end(activationTable)) {
        (void)c.error("unknown activation " + nn::quoted(name));
        info = activationTable;
      }
      activations.names.push_back(info->name);
      activations.alphas.push_back(take(info->alpha, nextAlpha));
      activations.betas.push_back(take(info->beta, nextBeta));
    }
  }

  Value transpose(Value value, ArrayRef<int64_t> permutation) {
    return value ? c.make<nn::TransposeOp>(value, permutation) : Value();
  }

  NodeContext &c;
  SmallVector<Value> operands;
  int64_t gates, perDirection, stateSize = ShapedType::kDynamic;
  SmallVector<bool> directions;
  Activations activations;
  std::optional<double> clip;
  bool batchFirst = false;
  Value input;
};

/// The sum of the biases of inputs and of the state, or null.
Value getBias(NodeContext &c, Layer &layer, int64_t d, int64_t gates) {
  Value both = layer.get(3, d);
  if (!both)
    return {};
  return c.make<nn::AddOp>(layer.part(both, 0, gates), layer.part(both, gates, 2 * gates));
}

SmallVector<Value> resultsOf(Operation *op) {
  return op ? SmallVector<Value>(op->getResults()) : SmallVector<Value>();
}

LogicalResult convertRnn(NodeContext &c) {
  Layer layer(c, 1, {"Tanh"});
  SmallVector<SmallVector<Value>> results;
  for (int64_t d = 0; d < layer.numDirections() && !c.hadError(); ++d) {
    Value projected = layer.project(d, getBias(c, layer, d, 1));
    Value recurrent = layer.get(2, d), initial = layer.get(5, d, true);
    results.push_back(resultsOf(c.create<nn::RnnOp>(
        projected, recurrent, initial, c.input(4), layer.activationNames(d), layer.alphas(d),
        layer.betas(d), layer.clipAttr(), layer.isReverse(d))));
  }
  return c.hadError() ? failure() : layer.finish(results);
}

LogicalResult convertGru(NodeContext &c) {
  Layer layer(c, 3, {"Sigmoid", "Tanh"});
  bool linearBeforeReset = c.getFlag("linear_before_reset");
  SmallVector<SmallVector<Value>> results;
  for (int64_t d = 0; d < layer.numDirections() && !c.hadError(); ++d) {
    Value bias, recurrentBias;
    if (!linearBeforeReset) {
      bias = getBias(c, layer, d, 3);
    } else if (Value both = layer.get(3, d)) {
      // The last gate's recurrent bias is added before the reset gate multiplies.
      auto zeros = DenseElementsAttr::get(
          RankedTensorType::get({layer.getStateSize()}, NodeContext::typeOf(both).getElementType()),
          c.getBuilder().getZeroAttr(NodeContext::typeOf(both).getElementType()));
      Value early = c.make<nn::ConcatOp>(SmallVector<Value>{layer.part(both, 3, 5), c.constant(zeros)}, 0);
      bias = c.make<nn::AddOp>(layer.part(both, 0, 3), early);
      recurrentBias = layer.part(both, 5, 6);
    }
    Value projected = layer.project(d, bias);
    Value recurrent = layer.get(2, d), initial = layer.get(5, d, true);
    results.push_back(resultsOf(c.create<nn::GruOp>(
        projected, recurrent, initial, c.input(4), recurrentBias, layer.activationNames(d),
        layer.alphas(d), layer.betas(d), layer.clipAttr(), layer.isReverse(d), linearBeforeReset)));
  }
  return c.hadError() ? failure() : layer.finish(results);
}

LogicalResult makeLstm(NodeContext &c, ArrayRef<Value> weights) {
  Layer layer(c, 4, {"Sigmoid", "Tanh", "Tanh"}, weights);
  bool inputForget = c.getFlag("input_forget");
  SmallVector<SmallVector<Value>> results;
  for (int64_t d = 0; d < layer.numDirections() && !c.hadError(); ++d) {
    Value projected = layer.project(d, getBias(c, layer, d, 4));
    Value recurrent = layer.get(2, d), initial = layer.get(5, d, true), cell = layer.get(6, d, true),
          peepholes = layer.get(7, d);
    results.push_back(resultsOf(c.create<nn::LstmOp>(
        projected, recurrent, initial, c.input(4), cell, peepholes, layer.activationNames(d),
        layer.alphas(d), layer.betas(d), layer.clipAttr(), layer.isReverse(d), inputForget)));
  }
  return c.hadError() ? failure() : layer.finish(results);
}

LogicalResult convertLstm(NodeContext &c) { return makeLstm(c, {}); }

/// [directions, columns, rows] of 8 bits as numbers, with rows and columns exchanged.
Value dequantize(NodeContext &c, Value weight, Value scale, Value zeroPoint) {
  ShapeVectors v(c);
  Type f32 = c.getBuilder().getF32Type();
  // One number for each direction, or for each row of it.
  auto beside = [&](Value value) -> Value {
    int64_t rank = NodeContext::rankOf(value);
    if (rank == 1 || rank == 2)
      return c.make<nn::UnsqueezeOp>(value, rank == 1 ? ArrayRef<int64_t>{1, 2} : ArrayRef<int64_t>{1});
    (void)c.error("a scale or zero point of the weights has rank " + Twine(rank) + ", expected 1 or 2");
    return {};
  };
  Value numbers = v.cast(weight, f32);
  if (zeroPoint)
    numbers = v.sub(numbers, v.cast(beside(zeroPoint), f32));
  numbers = v.mul(numbers, beside(scale));
  return numbers ? c.make<nn::TransposeOp>(numbers, ArrayRef<int64_t>{0, 2, 1}) : Value();
}

/// The weights are of 8 bits. Inputs and states, which ONNX Runtime rounds to 8 bits as it goes for the sake of speed,
/// stay what they are.
LogicalResult convertDynamicQuantizeLstm(NodeContext &c) {
  if (failed(contrib::checkInputs(c, 3, 12)))
    return failure();
  if (!c.hasInput(8) || !c.hasInput(10))
    return c.error("the scales of the weights are missing");
  for (unsigned i : {1, 2})
    if (NodeContext::rankOf(c.input(i)) != 3)
      return c.error("input " + Twine(i) + " has rank " + Twine(NodeContext::rankOf(c.input(i))) + ", expected 3");
  Value w = dequantize(c, c.input(1), c.input(8), c.input(9)), r = dequantize(c, c.input(2), c.input(10), c.input(11));
  return w && r ? makeLstm(c, {w, r}) : failure();
}

} // namespace

void nacre::frontend::registerRecurrentConverters(ConverterTable &table) {
  table.add("DynamicQuantizeLSTM", convertDynamicQuantizeLstm, contrib::kDomain);
  table.add("RNN", convertRnn);
  table.add("GRU", convertGru);
  table.add("LSTM", convertLstm);
}
