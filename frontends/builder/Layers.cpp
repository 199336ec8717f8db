//===- Layers.cpp - Layers, dense ones and those without weights -*- C++ -*-===//
#include "frontends/builder/Layers.h"
#include "frontends/builder/GraphState.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSwitch.h"
#include <numeric>

using namespace nacre;
using namespace nacre::builder;

//===----------------------------------------------------------------------===//
// Layers at work
//===----------------------------------------------------------------------===//

struct Layer::State {
  std::string kind, name;
  Call call;
  /// Where the weights are: those of other graphs are others.
  std::optional<LayerBuilder> builder;
};

Layer::Layer(std::string kind, std::string name, Call call)
    : state(std::make_shared<State>(State{std::move(kind), std::move(name), std::move(call), {}})) {}

const std::string &Layer::kind() const { return state->kind; }
const std::string &Layer::name() const { return state->name; }

/// "MultiHeadAttention" → "multi_head_attention", "Conv2D" → "conv2d", "LSTM" → "lstm".
static std::string toSnakeCase(llvm::StringRef kind) {
  std::string name;
  for (size_t i = 0; i < kind.size(); ++i) {
    bool begins = i && llvm::isUpper(kind[i]) && (llvm::isLower(kind[i - 1]) || (i + 1 < kind.size() && llvm::isLower(kind[i + 1])));
    if (begins && !llvm::isDigit(kind[i - 1]))
      name += '_';
    name += llvm::toLower(kind[i]);
  }
  return name;
}

Value Layer::operator()(const std::vector<Value> &xs) const {
  if (xs.empty())
    return {};
  for (const Value &x : xs)
    if (!x)
      return {}; // its fault has been noted
  Graph graph(xs.front());
  if (!state->builder) {
    state->name = graph.makeName(state->name.empty() ? toSnakeCase(state->kind) : state->name);
    state->builder.emplace(graph, state->name, state->kind);
  } else if (!state->builder->graph.holds(xs.front())) {
    return graph.fail("layer '" + state->name + "' (" + state->kind + ") has its weights in another graph");
  }
  Value result = state->call(*state->builder, xs);
  if (result)
    graph.state->noteLayer(state->name, state->kind, result);
  return result;
}

Value LayerBuilder::weight(const std::string &key, const std::vector<int64_t> &dims, const std::string &initializer,
                           Fans fans) {
  for (auto &[known, value] : weights)
    if (known == key)
      return value.dims() == dims ? value
                                  : fail("its weight '" + key + "' was made for an input of other sizes");
  Value made = graph.parameter(name + "." + key, dims, initializer, fans);
  if (made)
    weights.emplace_back(key, made);
  return made;
}

Value LayerBuilder::weight(const std::string &key, const TensorView &values) {
  for (auto &[known, value] : weights)
    if (known == key)
      return value;
  Value made = graph.parameter(name + "." + key, values);
  if (made)
    weights.emplace_back(key, made);
  return made;
}

Value LayerBuilder::op(const std::string &type, const std::vector<Value> &inputs, const Attributes &attributes) {
  return graph.op(type, inputs, attributes, name + "/" + type);
}

std::vector<Value> LayerBuilder::ops(const std::string &type, const std::vector<Value> &inputs,
                                     const Attributes &attributes, size_t outputs) {
  return graph.ops(type, inputs, attributes, outputs, name + "/" + type);
}

Value LayerBuilder::fail(const std::string &message) {
  return graph.fail("layer '" + name + "' (" + kind + "): " + message);
}

Value LayerBuilder::transpose(const Value &x, const std::vector<int64_t> &permutation) {
  return op("Transpose", {x}, {{"perm", permutation}});
}

Value LayerBuilder::toChannelsFirst(const Value &x) {
  std::vector<int64_t> permutation(x.dims().size());
  std::iota(permutation.begin() + 1, permutation.end(), 0);
  permutation[0] = 0;
  permutation[1] = x.rank() - 1;
  return transpose(x, permutation);
}

Value LayerBuilder::toChannelsLast(const Value &x) {
  std::vector<int64_t> permutation(x.dims().size());
  std::iota(permutation.begin(), permutation.end(), 1);
  permutation[0] = 0;
  permutation.back() = 1;
  return transpose(x, permutation);
}

int64_t LayerBuilder::size(const Value &x, int64_t axis) {
  if (!x)
    return 0;
  int64_t at = axis < 0 ? axis + x.rank() : axis;
  if (at >= 0 && at < x.rank() && x.dims()[size_t(at)] >= 0)
    return x.dims()[size_t(at)];
  fail("dimension " + std::to_string(axis) + " of its input '" + x.name() + "' must be known");
  return 0;
}

bool LayerBuilder::checkRank(const Value &x, int64_t rank, bool atLeast) {
  if (!x || x.rank() == rank || (atLeast && x.rank() > rank))
    return bool(x);
  fail("its input '" + x.name() + "' has " + std::to_string(x.rank()) + " dimensions, expected " +
       std::to_string(rank) + (atLeast ? " or more" : ""));
  return false;
}

Value LayerBuilder::activate(const Value &x, const std::string &activation) {
  if (!x || activation.empty() || activation == "linear")
    return x;
  if (activation == "silu" || activation == "swish")
    return op("Mul", {x, op("Sigmoid", {x})});
  if (activation == "exponential")
    return op("Exp", {x});
  if (activation == "relu6")
    return op("Clip", {x, graph.constant(0.0), graph.constant(6.0)});
  if (activation == "softmax" || activation == "log_softmax")
    return op(activation == "softmax" ? "Softmax" : "LogSoftmax", {x}, {{"axis", -1}});
  if (activation == "leaky_relu")
    return op("LeakyRelu", {x}, {{"alpha", 0.2}}); // Keras' slope
  std::string type = llvm::StringSwitch<std::string>(activation)
                         .Case("relu", "Relu")
                         .Case("elu", "Elu")
                         .Case("selu", "Selu")
                         .Case("gelu", "Gelu")
                         .Case("mish", "Mish")
                         .Case("sigmoid", "Sigmoid")
                         .Case("hard_sigmoid", "HardSigmoid")
                         .Case("tanh", "Tanh")
                         .Case("softplus", "Softplus")
                         .Case("softsign", "Softsign")
                         .Default("");
  if (type.empty())
    return fail("the activation '" + activation + "' is unknown; expected relu, relu6, leaky_relu, elu, selu, gelu, silu, "
                "mish, sigmoid, hard_sigmoid, tanh, softplus, softsign, exponential, softmax or log_softmax");
  if (type == "HardSigmoid")
    return op(type, {x}, {{"alpha", 1.0 / 6}, {"beta", 0.5}}); // Keras 3
  return op(type, {x});
}

Value builder::activate(const Value &x, const std::string &activation) { return Activation(activation)(x); }

//===----------------------------------------------------------------------===//
// Dense and embedding
//===----------------------------------------------------------------------===//

Layer builder::Dense(DenseOptions o) {
  std::string name = o.name;
  return Layer("Dense", name, [o = std::move(o)](LayerBuilder &b, std::span<const Value> xs) {
    const Value &x = xs[0];
    if (!b.checkRank(x, 1, /*atLeast=*/true))
      return Value();
    if (o.units < 1)
      return b.fail("it has " + std::to_string(o.units) + " units, expected 1 or more");
    int64_t in = b.size(x, -1);
    Value y = b.op("MatMul", {x, b.weight("kernel", {in, o.units}, o.kernelInitializer)});
    if (o.useBias)
      y = b.op("Add", {y, b.weight("bias", {o.units}, o.biasInitializer)});
    return b.activate(y, o.activation);
  });
}

Layer builder::Embedding(EmbeddingOptions o) {
  std::string name = o.name;
  return Layer("Embedding", name, [o = std::move(o)](LayerBuilder &b, std::span<const Value> xs) {
    if (o.inputDim < 1 || o.outputDim < 1)
      return b.fail("inputDim and outputDim must be 1 or more");
    Value table = b.weight("embeddings", {o.inputDim, o.outputDim}, o.initializer);
    return b.op("Gather", {table, xs[0]}, {{"axis", 0}});
  });
}

//===----------------------------------------------------------------------===//
// Shapes and elements
//===----------------------------------------------------------------------===//

Layer builder::Flatten(std::string name) {
  return Layer("Flatten", std::move(name), [](LayerBuilder &b, std::span<const Value> xs) {
    return b.op("Flatten", {xs[0]}, {{"axis", 1}});
  });
}

Layer builder::Reshape(std::vector<int64_t> dims, std::string name) {
  return Layer("Reshape", std::move(name), [dims = std::move(dims)](LayerBuilder &b, std::span<const Value> xs) {
    std::vector<int64_t> shape{0}; // the batch as it is
    shape.insert(shape.end(), dims.begin(), dims.end());
    for (int64_t size : dims)
      if (size == 0 || size < -1)
        return b.fail("a size is " + std::to_string(size) + ", expected 1 or more, or -1 once");
    return b.op("Reshape", {xs[0], b.graph.constant(shape)});
  });
}

Layer builder::Permute(std::vector<int64_t> order, std::string name) {
  return Layer("Permute", std::move(name), [order = std::move(order)](LayerBuilder &b, std::span<const Value> xs) {
    std::vector<int64_t> permutation{0};
    permutation.insert(permutation.end(), order.begin(), order.end());
    return b.transpose(xs[0], permutation);
  });
}

Layer builder::Activation(std::string activation, std::string name) {
  return Layer("Activation", std::move(name), [activation](LayerBuilder &b, std::span<const Value> xs) {
    return b.activate(xs[0], activation);
  });
}

Layer builder::Concatenate(int64_t axis, std::string name) {
  return Layer("Concatenate", std::move(name), [axis](LayerBuilder &b, std::span<const Value> xs) {
    return b.op("Concat", {xs.begin(), xs.end()}, {{"axis", axis}});
  });
}

Layer builder::Dropout(DropoutOptions o) {
  std::string name = o.name;
  return Layer("Dropout", name, [rate = o.rate](LayerBuilder &b, std::span<const Value> xs) {
    if (!(rate >= 0 && rate < 1))
      return b.fail("its rate is " + std::to_string(rate) + ", expected from 0 to below 1");
    return b.op("Dropout", {xs[0], b.graph.constant(rate)});
  });
}

Layer builder::Sequential(std::vector<Layer> layers, std::string name) {
  return Layer("Sequential", std::move(name), [layers = std::move(layers)](LayerBuilder &, std::span<const Value> xs) {
    Value x = xs[0];
    for (const Layer &layer : layers)
      x = layer(x);
    return x;
  });
}
