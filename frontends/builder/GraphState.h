//===- GraphState.h - What a graph holds ------------------------*- C++ -*-===//
#ifndef NACRE_FRONTENDS_BUILDER_GRAPHSTATE_H
#define NACRE_FRONTENDS_BUILDER_GRAPHSTATE_H

#include "frontends/builder/Graph.h"
#include "frontends/onnx/NodeImporter.h"
#include "onnx-ml.pb.h"
#include <deque>
#include <map>
#include <set>

namespace nacre::builder {

struct GraphState : std::enable_shared_from_this<GraphState> {
  explicit GraphState(uint64_t seed) : seed(seed), importer(kOpset) {}

  /// Keeps the first fault; the false value.
  Value fail(nacre_status code, const std::string &message) {
    if (status)
      status = Error{code, message};
    return {};
  }

  /// The value of a name that the importer knows.
  Value getValue(const std::string &name);
  /// A taken name is a fault.
  bool takeName(const std::string &name);

  void noteLayer(const std::string &name, const std::string &kind, const Value &result) {
    layers.push_back({name, kind, result.name(), result.dims()}); // a Value would keep this alive
  }

  /// What outputs depend on: the names of values, and nodes, the last first.
  struct Needed {
    std::set<std::string> names;
    std::vector<const ::onnx::NodeProto *> nodes;
  };
  Needed collect(const std::vector<Value> &outputs) const;

  uint64_t seed;
  Status status;
  frontend::NodeImporter importer;
  std::set<std::string> names;
  std::map<std::string, int64_t> suffixes; // the last number behind a name
  /// In the order in which they were added: each only needs what came before.
  std::deque<::onnx::NodeProto> nodes;
  std::map<std::string, const ::onnx::NodeProto *> producers;
  std::map<std::string, ::onnx::ValueInfoProto> inputs;
  std::map<std::string, ::onnx::TensorProto> parameters, constants;
  uint64_t parameterCount = 0;
  /// Each call of a layer, in order.
  struct LayerCall {
    std::string name, kind, output;
    std::vector<int64_t> sizes;
  };
  std::vector<LayerCall> layers;
};

} // namespace nacre::builder

#endif // NACRE_FRONTENDS_BUILDER_GRAPHSTATE_H
