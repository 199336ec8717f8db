//===- Summary.cpp - A model at a glance -------------------------*- C++ -*-===//
#include "frontends/builder/GraphState.h"
#include "llvm/Support/FormatVariadic.h"

using namespace nacre;
using namespace nacre::builder;

namespace {

std::string printSizes(const std::vector<int64_t> &sizes) {
  std::string text = "[";
  for (int64_t size : sizes)
    text += (text.size() > 1 ? ", " : "") + (size < 0 ? std::string("?") : std::to_string(size));
  return text + "]";
}

int64_t countElements(const ::onnx::TensorProto &tensor) {
  int64_t count = 1;
  for (int64_t size : tensor.dims())
    count *= size;
  return count;
}

} // namespace

std::string Graph::summary(const std::vector<Value> &outputs) const {
  GraphState::Needed needed = state->collect(outputs);
  std::string text;
  auto addRow = [&](llvm::StringRef name, llvm::StringRef kind, llvm::StringRef sizes, llvm::StringRef count) {
    text += llvm::formatv("{0,-24} {1,-22} {2,-24} {3,12}\n", name, kind, sizes, count).str();
  };
  addRow("name", "kind", "output", "parameters");
  for (const auto &[name, info] : state->inputs)
    if (needed.names.count(name))
      addRow(name, "input", printSizes(state->getValue(name).dims()), "");
  // A layer's weights are "<layer>.<weight>"; of one that is called again they count once.
  std::set<std::string> counted;
  size_t ofLayers = 0;
  for (const GraphState::LayerCall &layer : state->layers) {
    if (!needed.names.count(layer.output))
      continue;
    bool isNew = counted.insert(layer.name).second;
    int64_t count = 0;
    for (auto it = state->parameters.lower_bound(layer.name + "."); it != state->parameters.end(); ++it) {
      if (!llvm::StringRef(it->first).starts_with(layer.name + "."))
        break;
      count += needed.names.count(it->first) ? countElements(it->second) : 0;
    }
    addRow(layer.name, layer.kind, printSizes(layer.sizes),
           count == 0 ? "" : isNew ? llvm::formatv("{0:N}", count).str() : "shared");
    for (const ::onnx::NodeProto *node : needed.nodes)
      ofLayers += isNew && llvm::StringRef(node->name()).starts_with(layer.name + "/");
  }
  int64_t total = 0;
  double bytes = 0;
  for (const auto &[name, tensor] : state->parameters)
    if (needed.names.count(name)) {
      total += countElements(tensor);
      bytes += double(tensor.raw_data().size());
    }
  text += llvm::formatv("{0:N} parameters, {1:F2} MiB; {2} nodes", total, bytes / (1 << 20), needed.nodes.size()).str();
  if (size_t others = needed.nodes.size() - std::min(ofLayers, needed.nodes.size()))
    text += llvm::formatv(", {0} of them of no layer", others).str();
  return text + "\n";
}
