//===- SequenceLayers.cpp - Recurrence and attention ------------*- C++ -*-===//
#include "frontends/builder/Layers.h"
#include "frontends/builder/Random.h"
#include "llvm/ADT/StringSwitch.h"

using namespace nacre;
using namespace nacre::builder;

namespace {

/// ONNX's operator, and the blocks of its weights: LSTM's are input, output, forget and cell
/// gate, GRU's update, reset and hidden gate.
struct Cell {
  std::string type;
  int64_t gates;
};

Cell getCell(const std::string &kind) {
  return llvm::StringSwitch<Cell>(kind).Case("LSTM", {"LSTM", 4}).Case("GRU", {"GRU", 3}).Default({"RNN", 1});
}

Value addRecurrent(LayerBuilder &b, const Value &x, const std::string &kind, const RecurrentOptions &o,
                   bool isBidirectional) {
  if (!b.checkRank(x, 3))
    return {};
  if (o.units < 1)
    return b.fail("it has " + std::to_string(o.units) + " units, expected 1 or more");
  Cell cell = getCell(kind);
  int64_t features = b.size(x, -1), directions = isBidirectional ? 2 : 1, rows = cell.gates * o.units;
  std::vector<Value> operands{b.transpose(x, {1, 0, 2}),
                              b.weight("kernel", {directions, rows, features}, o.kernelInitializer, {features, rows})};
  // Each direction's matrix by itself is orthogonal: [rows, units] for one.
  std::vector<Value> recurrent;
  for (int64_t d = 0; d < directions; ++d)
    recurrent.push_back(b.weight(isBidirectional ? "recurrent_kernel." + std::to_string(d) : "recurrent_kernel",
                                 {rows, o.units}, o.recurrentInitializer, {o.units, rows}));
  Value stacked = b.op("Unsqueeze", {recurrent[0], b.graph.constant(std::vector<int64_t>{0})});
  if (isBidirectional)
    stacked = b.op("Concat", {stacked, b.op("Unsqueeze", {recurrent[1], b.graph.constant(std::vector<int64_t>{0})})},
                   {{"axis", 0}});
  operands.push_back(stacked);
  if (o.useBias) {
    std::vector<int64_t> dims{directions, 2 * rows};
    if (kind == "LSTM" && o.unitForgetBias && o.biasInitializer == "zeros") {
      std::vector<float> bias(size_t(directions * 2 * rows));
      for (int64_t d = 0; d < directions; ++d)
        std::fill_n(bias.begin() + d * 2 * rows + 2 * o.units, o.units, 1.0f);
      operands.push_back(b.weight("bias", TensorView(bias.data(), NACRE_F32, dims)));
    } else {
      operands.push_back(b.weight("bias", dims, o.biasInitializer));
    }
  }
  Attributes attributes{{"hidden_size", o.units},
                        {"direction", isBidirectional ? "bidirectional" : o.goBackwards ? "reverse" : "forward"}};
  if (kind == "GRU")
    attributes.push_back({"linear_before_reset", 1});
  std::vector<Value> y = b.ops(cell.type, operands, attributes, 2); // [time, directions, batch, units], the last state
  if (!y[0])
    return {};
  if (o.returnSequences) {
    Value sequence = b.transpose(y[0], {2, 0, 1, 3});
    return b.op("Reshape", {sequence, b.graph.constant(std::vector<int64_t>{0, 0, directions * o.units})});
  }
  Value last = b.transpose(y[1], {1, 0, 2});
  return b.op("Reshape", {last, b.graph.constant(std::vector<int64_t>{0, directions * o.units})});
}

} // namespace

RecurrentLayer::RecurrentLayer(std::string kind, RecurrentOptions o, bool isBidirectional)
    : Layer(isBidirectional ? "Bidirectional" : kind, o.name,
            [kind, o, isBidirectional](LayerBuilder &b, std::span<const Value> xs) {
              return addRecurrent(b, xs[0], kind, o, isBidirectional);
            }),
      type(std::move(kind)), options(std::move(o)) {}

RecurrentLayer builder::SimpleRNN(RecurrentOptions o) { return {"SimpleRNN", std::move(o)}; }
RecurrentLayer builder::GRU(RecurrentOptions o) { return {"GRU", std::move(o)}; }
RecurrentLayer builder::LSTM(RecurrentOptions o) { return {"LSTM", std::move(o)}; }

Layer builder::Bidirectional(const RecurrentLayer &layer, std::string name) {
  RecurrentOptions options = layer.options;
  options.name = std::move(name);
  return RecurrentLayer(layer.type, options, /*isBidirectional=*/true);
}

Layer builder::MultiHeadAttention(AttentionOptions o) {
  std::string name = o.name;
  return Layer("MultiHeadAttention", name, [o = std::move(o)](LayerBuilder &b, std::span<const Value> xs) {
    const Value &query = xs[0], &value = xs.size() > 1 ? xs[1] : query, &key = xs.size() > 2 ? xs[2] : value;
    if (!b.checkRank(query, 3) || !b.checkRank(value, 3) || !b.checkRank(key, 3))
      return Value();
    if (o.numHeads < 1 || o.keyDim < 1)
      return b.fail("numHeads and keyDim must be 1 or more");
    int64_t valueDim = o.valueDim ? o.valueDim : o.keyDim;
    auto project = [&](const Value &x, const std::string &which, int64_t units) {
      int64_t in = b.size(x, -1);
      Value y = b.op("MatMul", {x, b.weight(which + ".kernel", {in, units}, o.kernelInitializer)});
      return o.useBias ? b.op("Add", {y, b.weight(which + ".bias", {units}, o.biasInitializer)}) : y;
    };
    Value q = project(query, "query", o.numHeads * o.keyDim), k = project(key, "key", o.numHeads * o.keyDim),
          v = project(value, "value", o.numHeads * valueDim);
    Value y = b.op("Attention", {q, k, v},
                   {{"q_num_heads", o.numHeads}, {"kv_num_heads", o.numHeads}, {"is_causal", o.causal}});
    return project(y, "output", b.size(query, -1));
  });
}
