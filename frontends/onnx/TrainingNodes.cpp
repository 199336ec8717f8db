//===- TrainingNodes.cpp - Nodes that training treats otherwise -*- C++ -*-===//
#include "frontends/onnx/TrainingNodes.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringSet.h"

using namespace nacre;
using namespace nacre::frontend;
using llvm::StringRef;

static bool isOp(const ::onnx::NodeProto &node, StringRef type) {
  return node.op_type() == type && (node.domain().empty() || node.domain() == "ai.onnx");
}

/// Calls visit(nodes) for the nodes of the main graph, of functions, and of all graphs within.
template <typename Nodes, typename Visit> static void walk(Nodes &nodes, const Visit &visit) {
  visit(nodes);
  for (auto &node : nodes)
    for (auto &attribute : node.attribute()) {
      if (attribute.has_g())
        walk(attribute.g().node(), visit);
      for (auto &graph : attribute.graphs())
        walk(graph.node(), visit);
    }
}

template <typename Visit> static void walkModel(const ::onnx::ModelProto &model, const Visit &visit) {
  walk(model.graph().node(), visit);
  for (const ::onnx::FunctionProto &function : model.functions())
    walk(function.node(), visit);
}

// ---- What there is

/// PyTorch's exporters leave two traces of a BatchNormalization that became a part of a Conv: the new
/// one names the rule, and the old one calls the weights that it has made after the node.
static bool wasFolded(const ::onnx::NodeProto &node) {
  for (const ::onnx::StringStringEntryProto &entry : node.metadata_props())
    if (entry.key() == "pkg.onnxscript.rewriter.rule_name" && StringRef(entry.value()).contains("FuseBatchNorm"))
      return true;
  return node.input_size() > 2 && (isOp(node, "Conv") || isOp(node, "ConvTranspose")) &&
         llvm::all_of(llvm::ArrayRef{1, 2}, [&](int i) { return StringRef(node.input(i)).starts_with("onnx::Conv"); });
}

TrainingNodes frontend::countTrainingNodes(const ::onnx::ModelProto &model) {
  TrainingNodes count;
  walkModel(model, [&](const auto &nodes) {
    for (const ::onnx::NodeProto &node : nodes) {
      count.batchNormalizations += isOp(node, "BatchNormalization");
      count.dropouts += isOp(node, "Dropout");
      count.foldedBatchNormalizations += wasFolded(node);
    }
  });
  return count;
}

// ---- Inference form

namespace {

class InferenceForm {
public:
  explicit InferenceForm(::onnx::ModelProto &model) : model(model) {
    for (const ::onnx::OperatorSetIdProto &set : model.opset_import())
      if (set.domain().empty() || set.domain() == "ai.onnx")
        version = set.version();
    findUses();
    walkModel(model, [&](const auto &nodes) {
      for (const ::onnx::NodeProto &node : nodes)
        if (isOp(node, "Constant") && node.output_size() == 1)
          constants.insert(node.output(0));
    });
    for (const ::onnx::TensorProto &tensor : model.graph().initializer())
      constants.insert(tensor.name());
    for (const ::onnx::ValueInfoProto &input : model.graph().input())
      constants.erase(input.name()); // which a run may give another value
  }

  void run() {
    rewrite(*model.mutable_graph()->mutable_node());
    for (::onnx::FunctionProto &function : *model.mutable_functions())
      rewrite(*function.mutable_node());
    // Constants that nobody reads any more.
    findUses();
    drop(*model.mutable_graph()->mutable_node());
    for (::onnx::FunctionProto &function : *model.mutable_functions())
      drop(*function.mutable_node());
    auto &initializers = *model.mutable_graph()->mutable_initializer();
    for (int i = initializers.size(); i-- > 0;)
      if (dropped.contains(initializers[i].name()) && !used.contains(initializers[i].name()))
        initializers.DeleteSubrange(i, 1);
    forget(*model.mutable_graph()->mutable_value_info());
  }

private:
  void findUses() {
    used.clear();
    walkModel(model, [&](const auto &nodes) {
      for (const ::onnx::NodeProto &node : nodes) {
        used.insert(node.input().begin(), node.input().end());
        for (const ::onnx::AttributeProto &attribute : node.attribute()) {
          addOutputs(attribute.g());
          for (const ::onnx::GraphProto &graph : attribute.graphs())
            addOutputs(graph);
        }
      }
    });
    addOutputs(model.graph());
    for (const ::onnx::FunctionProto &function : model.functions())
      used.insert(function.output().begin(), function.output().end());
  }

  template <typename Nodes> void drop(Nodes &nodes) {
    for (int i = nodes.size(); i-- > 0;) {
      ::onnx::NodeProto &node = nodes[i];
      for (::onnx::AttributeProto &attribute : *node.mutable_attribute()) {
        if (attribute.has_g())
          drop(*attribute.mutable_g()->mutable_node());
        for (::onnx::GraphProto &graph : *attribute.mutable_graphs())
          drop(*graph.mutable_node());
      }
      if (isOp(node, "Constant") && node.output_size() == 1 && dropped.contains(node.output(0)) && !used.contains(node.output(0))) {
        gone.insert(node.output(0));
        nodes.DeleteSubrange(i, 1);
      }
    }
  }

  void addOutputs(const ::onnx::GraphProto &graph) {
    for (const ::onnx::ValueInfoProto &output : graph.output())
      used.insert(output.name());
  }

  template <typename Nodes> void rewrite(Nodes &nodes) {
    for (::onnx::NodeProto &node : nodes) {
      if (isOp(node, "BatchNormalization"))
        rewriteBatchNormalization(node);
      else if (isOp(node, "Dropout"))
        rewriteDropout(node);
      for (::onnx::AttributeProto &attribute : *node.mutable_attribute()) {
        if (attribute.has_g())
          rewriteGraph(*attribute.mutable_g());
        for (::onnx::GraphProto &graph : *attribute.mutable_graphs())
          rewriteGraph(graph);
      }
    }
  }
  void rewriteGraph(::onnx::GraphProto &graph) {
    rewrite(*graph.mutable_node());
    forget(*graph.mutable_value_info());
  }

  /// Versions 1 and 6 say it by `is_test`, those to 13 by the number of outputs, later ones by
  /// `training_mode`, with outputs of its own.
  void rewriteBatchNormalization(::onnx::NodeProto &node) {
    if (version < 7)
      return setTest(node);
    for (int i = 1; i < node.output_size(); ++i)
      if (used.contains(node.output(i)))
        return;
    for (int i = 1; i < node.output_size(); ++i)
      gone.insert(node.output(i));
    if (node.output_size() > 1)
      node.mutable_output()->DeleteSubrange(1, node.output_size() - 1);
    auto &attributes = *node.mutable_attribute();
    for (int i = attributes.size(); i-- > 0;)
      if (attributes[i].name() == "training_mode")
        attributes.DeleteSubrange(i, 1);
  }

  /// Versions 1 and 6 have `is_test`, those to 11 never drop, later ones have an input for it.
  void rewriteDropout(::onnx::NodeProto &node) {
    if (version < 7)
      return setTest(node);
    if (node.input_size() < 3 || !constants.contains(node.input(2)))
      return;
    dropped.insert(node.input(2));
    node.mutable_input()->DeleteSubrange(2, 1);
  }

  static void setTest(::onnx::NodeProto &node) {
    ::onnx::AttributeProto *found = nullptr;
    for (::onnx::AttributeProto &attribute : *node.mutable_attribute())
      if (attribute.name() == "is_test")
        found = &attribute;
    if (!found)
      found = node.add_attribute();
    found->set_name("is_test");
    found->set_type(::onnx::AttributeProto::INT);
    found->set_i(1);
  }

  template <typename Infos> void forget(Infos &infos) {
    for (int i = infos.size(); i-- > 0;)
      if (gone.contains(infos[i].name()))
        infos.DeleteSubrange(i, 1);
  }

  ::onnx::ModelProto &model;
  int64_t version = 1;
  llvm::StringSet<> used, constants, gone, dropped; // values by name; the last were read
};

} // namespace

void frontend::makeInferenceForm(::onnx::ModelProto &model) { InferenceForm(model).run(); }
