//===- NodeImporter.cpp - Nodes imported as they are written ----*- C++ -*-===//
#include "frontends/onnx/NodeImporter.h"
#include "dialects/nn/NodeLocation.h"
#include "frontends/onnx/GraphImporter.h"
#include "frontends/onnx/TensorData.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include <deque>

using namespace mlir;
using namespace nacre;
using namespace nacre::frontend;

struct NodeImporter::State {
  explicit State(int64_t opset)
      : context(MLIRContext::Threading::DISABLED), loc(FileLineColLoc::get(loadDialects(context), "graph", 0, 0)),
        module(ModuleOp::create(loc)), importer(context, options, file, *module, loc),
        handler(&context, [this](Diagnostic &diagnostic) { return collect(diagnostic); }) {
    importer.modelOpsets[""] = opset;
    frame.opsets = &importer.modelOpsets;
    scope.nodes = &noNodes;
    OpBuilder moduleBuilder = OpBuilder::atBlockEnd(module->getBody());
    auto main = func::FuncOp::create(moduleBuilder, loc, "main", FunctionType::get(&context, {}, {}));
    importer.parameterBuilder.setInsertionPoint(main);
    entry = main.addEntryBlock();
    builder = OpBuilder::atBlockEnd(entry);
    auto fence = UnrealizedConversionCastOp::create(builder, loc, TypeRange(), ValueRange());
    importer.entryBuilder.setInsertionPoint(fence);
  }

  static MLIRContext *loadDialects(MLIRContext &context) {
    loadImportDialects(context);
    context.printOpOnDiagnostic(false);
    return &context;
  }

  LogicalResult collect(Diagnostic &diagnostic) {
    if (diagnostic.getSeverity() != DiagnosticSeverity::Error)
      return success();
    ++importer.errorCount;
    if (!messages.empty())
      messages += '\n';
    messages += nn::formatDiagnostic(diagnostic, "");
    return success();
  }

  /// Whether nothing was reported since; else what was.
  bool finish(std::string &error) {
    error = std::move(messages);
    messages.clear();
    return error.empty();
  }

  MLIRContext context;
  Location loc;
  OwningOpRef<ModuleOp> module;
  ImportOptions options;
  ModelFile file; // there is none: no tensor's bytes are asked for
  GraphImporter importer;
  ScopedDiagnosticHandler handler;
  Frame frame;
  Scope scope;
  NodeList noNodes;
  Block *entry = nullptr;
  OpBuilder builder{&context};
  std::string messages;
  // What names are looked up in refers to these.
  std::deque<std::string> names;
  std::deque<::onnx::NodeProto> nodes;
  std::deque<::onnx::TensorProto> tensors;
};

NodeImporter::NodeImporter(int64_t opset) : state(std::make_unique<State>(opset)) {}
NodeImporter::~NodeImporter() = default;

bool NodeImporter::addValue(StringRef name, const ValueType &type, std::string &error) {
  State &s = *state;
  Location loc = nn::getNodeLocation(&s.context, name, "Input");
  Type element = getElementType(&s.context, type.dataType);
  if (!element) {
    error = "'" + name.str() + "' has the type " + getDataTypeName(type.dataType) + ", which is not supported";
    return false;
  }
  SmallVector<int64_t> shape;
  for (int64_t size : type.dims)
    shape.push_back(size < 0 ? ShapedType::kDynamic : size);
  Value value = s.entry->addArgument(RankedTensorType::get(shape, element), loc);
  s.importer.define(s.scope, s.names.emplace_back(name), {value, false}, s.builder, loc);
  return s.finish(error);
}

bool NodeImporter::addConstant(const ::onnx::TensorProto &given, std::string &error) {
  State &s = *state;
  const ::onnx::TensorProto &tensor = s.tensors.emplace_back(given);
  Location loc = nn::getNodeLocation(&s.context, tensor.name(), "Initializer");
  Value value = s.importer.createTensor(tensor, tensor.name(), "the tensor", loc, s.importer.entryBuilder,
                                        /*isInitializer=*/true);
  if (value)
    s.importer.define(s.scope, tensor.name(), {value, false}, s.builder, loc);
  return s.finish(error);
}

bool NodeImporter::addNode(const ::onnx::NodeProto &node, std::string &error) {
  state->importer.importNode(state->nodes.emplace_back(node), state->scope, state->frame, state->builder);
  return state->finish(error);
}

std::optional<ValueType> NodeImporter::getType(StringRef name) const {
  auto found = state->scope.values.find(name);
  if (found == state->scope.values.end() || !found->second.value)
    return std::nullopt;
  auto type = dyn_cast<RankedTensorType>(found->second.value.getType());
  if (!type)
    return std::nullopt;
  ValueType result{getDataType(type.getElementType()), {}};
  for (int64_t size : type.getShape())
    result.dims.push_back(ShapedType::isDynamic(size) ? -1 : size);
  return result;
}
