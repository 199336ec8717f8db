//===- GraphImporter.cpp - Graphs, functions and their names ----*- C++ -*-===//
#include "frontends/onnx/GraphImporter.h"
#include "dialects/nn/CodedTypes.h"
#include "dialects/nn/NodeLocation.h"
#include "frontends/onnx/Loops.h"
#include "frontends/onnx/Sequences.h"
#include "frontends/onnx/TensorData.h"

using namespace mlir;
using namespace nacre;
using namespace nacre::frontend;
using nn::quoted;
using ::onnx::AttributeProto;
using ::onnx::FunctionProto;
using ::onnx::GraphProto;
using ::onnx::NodeProto;
using ::onnx::TensorProto;

StringRef frontend::normalizeDomain(StringRef domain) {
  return domain == "ai.onnx" ? StringRef() : domain;
}

GraphImporter::GraphImporter(MLIRContext &context, const ImportOptions &options,
                             ModelFile &file, ModuleOp module,
                             Location modelLoc)
    : context(context), options(options), file(file), module(module),
      modelLoc(modelLoc), converters(ConverterTable::get()),
      parameterBuilder(&context), entryBuilder(&context) {
  parameterBuilder.setInsertionPointToStart(module.getBody());
}

LogicalResult GraphImporter::error(Location loc, const Twine &message) {
  // A function expanded many times may fail as often.
  constexpr uint64_t kMaxReported = 100;
  if (errorCount < kMaxReported)
    return emitError(loc, message);
  if (unreported++ == 0)
    emitError(modelLoc, "there are more faults, which are not listed");
  return failure();
}

//===----------------------------------------------------------------------===//
// Names
//===----------------------------------------------------------------------===//

std::optional<NamedValue> GraphImporter::lookup(Scope &scope, StringRef name) {
  for (Scope *at = &scope; at; at = at->parent) {
    if (auto found = at->values.find(name); found != at->values.end())
      return found->second;
    if (auto found = at->tensors.find(name); found != at->tensors.end()) {
      Location loc = nn::getNodeLocation(&context, name, "Initializer");
      NamedValue made;
      made.value =
          createTensor(*found->second, name, "the tensor", loc, entryBuilder, /*isInitializer=*/true);
      made.failed = !made.value;
      makeVariable(*at, name, made.value, entryBuilder, loc);
      at->values[name] = made;
      return made;
    }
  }
  return std::nullopt;
}

void GraphImporter::define(Scope &scope, StringRef name, NamedValue value,
                           OpBuilder &builder, Location loc) {
  if (name.empty())
    return;
  makeVariable(scope, name, value.value, builder, loc);
  if (scope.tensors.contains(name) ||
      !scope.values.try_emplace(name, value).second)
    (void)error(loc, "the name " + quoted(name) +
                         " is already taken by another value of the graph");
}

void GraphImporter::findVariables(Scope &scope) {
  for (const NodeProto &node : *scope.nodes) {
    if (node.op_type() != "Gradient" || node.domain() != kTrainingDomain)
      continue;
    int xCount = 0;
    for (const AttributeProto &attribute : node.attribute())
      if (attribute.name() == "xs") {
        xCount = attribute.strings_size();
        for (const std::string &name : attribute.strings())
          scope.variables.insert(name);
      }
    // What is constant for the gradient may be known at compile time, unless another
    // value is to be put in its place.
    for (const AttributeProto &attribute : node.attribute())
      if (attribute.name() == "zs")
        for (auto [i, name] : llvm::enumerate(attribute.strings()))
          if (int input = xCount + int(i); input < node.input_size() && node.input(input) != name)
            scope.variables.insert(name);
  }
}

void GraphImporter::makeVariable(Scope &scope, StringRef name, Value &value,
                                 OpBuilder &builder, Location loc) {
  if (!value || scope.variables.empty() || !scope.variables.contains(name))
    return;
  auto type = dyn_cast<RankedTensorType>(value.getType());
  if (!type || !nn::isArithmeticFloat(type.getElementType()))
    return;
  // Another one wherever a function or the body of a loop is expanded.
  std::string unique = name.str();
  while (!variableNames.try_emplace(unique, 0).second)
    unique = (name + "#" + Twine(++variableNames[name])).str();
  value = nn::VariableOp::create(builder, loc, value, unique);
}

void GraphImporter::reportUndefined(Scope &scope, StringRef name,
                                    Location loc) {
  for (Scope *at = &scope; at; at = at->parent) {
    if (!at->producers) {
      at->producers.emplace();
      for (const NodeProto &node : *at->nodes)
        for (const std::string &output : node.output())
          at->producers->try_emplace(output, &node);
    }
    if (const NodeProto *producer = at->producers->lookup(name)) {
      (void)error(loc,
                  "input " + quoted(name) + " is made by " +
                      (producer->name().empty()
                           ? "a later node"
                           : "the later node " + quoted(producer->name())) +
                      "; expected nodes in topological order, without cycles");
      return;
    }
  }
  (void)error(loc, "input " + quoted(name) +
                       " is made by no node, and is no input or initializer");
}

const ::onnx::ValueInfoProto *GraphImporter::getDeclared(Scope &scope,
                                                         StringRef name) {
  if (!scope.declaredTypes) {
    scope.declaredTypes.emplace();
    for (const ValueInfoList *list : {scope.declared, scope.outputs})
      if (list)
        for (const auto &value : *list)
          scope.declaredTypes->try_emplace(value.name(), &value);
  }
  if (const auto *declared = scope.declaredTypes->lookup(name))
    return declared;
  // A function says nothing of its outputs, but its call may.
  if (scope.function)
    for (auto [outside, inside] :
         llvm::zip(scope.call->output(), scope.function->output()))
      if (inside == name && !outside.empty())
        return getDeclared(*scope.caller, outside);
  return nullptr;
}

std::optional<int64_t> GraphImporter::getDeclaredRank(Scope &scope,
                                                      StringRef name) {
  constexpr int kMaxSteps = 64; // also ends in a cycle
  for (int step = 0; step < kMaxSteps; ++step) {
    const auto *declared = getDeclared(scope, name);
    if (declared && declared->type().tensor_type().has_shape())
      return declared->type().tensor_type().shape().dim_size();
    if (!scope.followers) {
      scope.followers.emplace();
      for (const NodeProto &node : *scope.nodes)
        if (node.input_size() > 0 && node.output_size() > 0 &&
            normalizeDomain(node.domain()).empty() &&
            converters.keepsRank(node.op_type()))
          scope.followers->try_emplace(node.input(0), &node);
    }
    const NodeProto *follower = scope.followers->lookup(name);
    if (!follower)
      return std::nullopt;
    name = follower->output(0);
  }
  return std::nullopt;
}

//===----------------------------------------------------------------------===//
// Graphs
//===----------------------------------------------------------------------===//

void GraphImporter::addInitializers(const GraphProto &graph, Scope &scope,
                                    Location loc) {
  for (const TensorProto &tensor : graph.initializer()) {
    if (tensor.name().empty())
      (void)error(loc, "an initializer has no name");
    else if (!scope.tensors.try_emplace(tensor.name(), &tensor).second)
      (void)error(loc, "two initializers are named " + quoted(tensor.name()));
  }
  for (const auto &sparse : graph.sparse_initializer()) {
    (void)error(loc, "sparse initializer " + quoted(sparse.values().name()) +
                         " is not supported; store the tensor densely");
    scope.values[sparse.values().name()] = {Value(), /*failed=*/true};
  }
}

std::optional<SmallVector<Value>>
GraphImporter::importGraph(const GraphProto &graph, ArrayRef<Value> arguments,
                           Scope *parent, const Frame &frame,
                           OpBuilder &builder, Location loc) {
  Scope scope;
  scope.parent = parent;
  scope.depth = parent ? parent->depth + 1 : 0;
  scope.declared = &graph.value_info();
  scope.outputs = &graph.output();
  scope.nodes = &graph.node();
  if (!checkDepth(scope.depth, loc) ||
      !spend((graph.initializer_size() + graph.input_size() +
              graph.output_size() + graph.value_info_size()) /
                 64,
             loc))
    return std::nullopt;
  findVariables(scope);
  addInitializers(graph, scope, loc);
  unsigned argument = 0;
  for (const auto &input : graph.input()) {
    // An input that has an initializer (all of them had, until IR version 3) is
    // constant.
    if (scope.tensors.contains(input.name()))
      continue;
    if (input.name().empty())
      (void)error(loc, "a graph has an input without a name");
    if (argument < arguments.size())
      define(scope, input.name(), {arguments[argument], !arguments[argument]},
             builder, loc);
    ++argument;
  }
  importNodes(graph.node(), scope, frame, builder);

  bool complete = !outOfBudget;
  SmallVector<Value> results;
  for (const auto &output : graph.output()) {
    auto found = lookup(scope, output.name());
    if (outOfBudget)
      break;
    if (!found) {
      (void)error(loc, "the graph's output " + quoted(output.name()) +
                           " is made by no node");
      complete = false;
    } else if (found->failed) {
      complete = false;
    } else if (!found->value) {
      (void)error(loc, "the graph's output " + quoted(output.name()) +
                           " is an input that the function's call leaves out");
      complete = false;
    } else {
      results.push_back(found->value);
    }
  }
  if (!complete)
    return std::nullopt;
  return results;
}

void GraphImporter::importNodes(const NodeList &nodes, Scope &scope,
                                const Frame &frame, OpBuilder &builder) {
  for (const NodeProto &node : nodes) {
    importNode(node, scope, frame, builder);
    if (outOfBudget)
      return;
  }
}

//===----------------------------------------------------------------------===//
// Nodes
//===----------------------------------------------------------------------===//

/// What bounds the time that a node takes, as functions may be expanded many
/// times.
uint64_t GraphImporter::getWork(const NodeProto &node) {
  uint64_t entries = node.input_size() + node.output_size();
  for (const AttributeProto &attribute : node.attribute())
    entries += 1 + attribute.ints_size() + attribute.floats_size() +
               attribute.strings_size();
  return 1 + entries / 64;
}

bool GraphImporter::spend(uint64_t work, Location loc) {
  workDone += work;
  if (workDone > options.limits.nodes && !outOfBudget) {
    outOfBudget = true;
    (void)error(loc, "the model has more than " + Twine(options.limits.nodes) +
                         " nodes after its functions have been expanded");
  }
  return !outOfBudget;
}

bool GraphImporter::spendOnSequence(NodeContext &c, uint64_t work) {
  GraphImporter &importer = c.importer;
  importer.workDone = llvm::SaturatingAdd(importer.workDone, work);
  if (importer.workDone > importer.options.limits.nodes && !importer.outOfBudget) {
    importer.outOfBudget = true;
    (void)c.error("the model's sequences are too long: what is made of their elements counts as more than " +
                  Twine(importer.options.limits.nodes) + " nodes");
  }
  c.failed |= importer.outOfBudget;
  return !importer.outOfBudget;
}

bool GraphImporter::checkDepth(unsigned depth, Location loc) {
  if (depth <= options.limits.depth)
    return true;
  return succeeded(
      error(loc, "graphs and functions are nested deeper than the limit of " +
                     Twine(options.limits.depth)));
}

/// A name as a location holds it: not megabytes, as each op has one.
static std::string shortened(std::string name) {
  constexpr size_t kMaxName = 512;
  if (name.size() <= kMaxName)
    return name;
  return name.substr(0, kMaxName / 2) + "..." +
         name.substr(name.size() - kMaxName / 2);
}

/// Of the function that the node calls, in the table of functions.
static std::string getFunctionKey(const NodeProto &node) {
  return (normalizeDomain(node.domain()) + Twine('\0') + node.op_type() + Twine('\0') + node.overload()).str();
}

void GraphImporter::importNode(const NodeProto &node, Scope &scope,
                               const Frame &frame, OpBuilder &builder) {
  // An unnamed node goes by the first value that it makes.
  std::string name = frame.prefix;
  if (!node.name().empty()) {
    name += node.name();
  } else {
    auto named = llvm::find_if(node.output(),
                               [](const std::string &s) { return !s.empty(); });
    if (named != node.output().end())
      name += *named;
  }
  name = shortened(std::move(name));
  Location loc = nn::getNodeLocation(&context, name, shortened(node.op_type()));
  if (!spend(getWork(node), loc))
    return;

  SmallVector<NamedValue> inputs;
  for (const std::string &input : node.input()) {
    NamedValue found;
    if (!input.empty()) {
      if (auto known = lookup(scope, input)) {
        found = *known;
      } else {
        reportUndefined(scope, input, loc);
        found.failed = true;
      }
    }
    inputs.push_back(found);
  }

  if (!importWith(node, inputs, scope, frame, builder, loc, name))
    defineFailed(node, scope, builder, loc);
}

bool GraphImporter::importWith(const NodeProto &node, ArrayRef<NamedValue> inputs, Scope &scope, const Frame &frame,
                               OpBuilder &builder, Location loc, StringRef name) {
  if (llvm::any_of(inputs, [](const NamedValue &input) { return input.value && getChoice(input.value); }))
    return importForChoice(node, inputs, scope, frame, builder, loc, name);
  const FunctionProto *function = functions.lookup(getFunctionKey(node));
  if (!function && !node.overload().empty())
    return succeeded(error(loc, "the model has no function " + quoted(node.op_type()) +
                                    " with the overload " + quoted(node.overload())));
  if (function)
    return expandFunction(node, *function, inputs, scope, frame, builder, loc, name);
  return convertNode(node, normalizeDomain(node.domain()), inputs, scope, frame, builder, loc, name);
}

bool GraphImporter::readAttributes(
    const NodeProto &node, const Frame &frame, Location loc,
    SmallVectorImpl<std::pair<StringRef, NodeAttribute>> &attributes) {
  llvm::SmallDenseSet<StringRef, 8> names;
  for (const AttributeProto &attribute : node.attribute()) {
    StringRef name = attribute.name();
    if (!names.insert(name).second)
      return succeeded(
          error(loc, "attribute " + quoted(name) + " is given twice"));
    const AttributeProto *value = &attribute;
    if (!attribute.ref_attr_name().empty()) {
      auto bound = frame.attributes.find(attribute.ref_attr_name());
      if (bound == frame.attributes.end())
        return succeeded(
            error(loc, "attribute " + quoted(name) + " refers to " +
                           quoted(attribute.ref_attr_name()) +
                           ", which is no attribute of a function around"));
      value = bound->second;
    }
    attributes.push_back({name, {value, false}});
  }
  return true;
}

static std::string inDomain(StringRef domain) {
  return domain.empty() ? "" : " of the domain " + quoted(domain);
}

bool GraphImporter::reportUnknown(StringRef opType, StringRef domain,
                                  int64_t version, Location loc) {
  ArrayRef<OpSchema> versions = findSchemas(domain, opType);
  if (versions.empty())
    return succeeded(error(loc, "there is no operator " + quoted(opType) +
                                    inDomain(domain)));
  return succeeded(
      error(loc, "the operator " + quoted(opType) + inDomain(domain) +
                     " exists since opset " + Twine(versions.front().since) +
                     ", but opset " + Twine(version) + " is imported"));
}

/// What ONNX Runtime's optimiser writes into the default domain, whatever the opset.
static bool isOnnxRuntimes(StringRef domain, StringRef opType) {
  return domain.empty() && (opType == "LayerNormalization" || opType == "SimplifiedLayerNormalization");
}

bool GraphImporter::convertNode(const NodeProto &node, StringRef domain,
                                ArrayRef<NamedValue> inputs, Scope &scope,
                                const Frame &frame, OpBuilder &builder,
                                Location loc, StringRef name) {
  auto opset = frame.opsets->find(domain);
  if (opset == frame.opsets->end())
    return succeeded(error(
        loc, "the domain " + quoted(domain) + " is not among the opsets that " +
                 (frame.function ? "its function" : "the model") + " imports"));
  int64_t version = opset->second;
  const OpSchema *schema = findSchema(domain, node.op_type(), version);
  if (!schema && isStandardDomain(domain)) {
    if (!isOnnxRuntimes(domain, node.op_type()))
      return reportUnknown(node.op_type(), domain, version, loc);
    ArrayRef<OpSchema> later = findSchemas(domain, node.op_type());
    schema = later.empty() ? nullptr : later.begin();
  }

  SmallVector<std::pair<StringRef, NodeAttribute>> attributes;
  if (!schema && llvm::any_of(inputs, [](const NamedValue &input) {
        return input.value && !isa<RankedTensorType>(input.value.getType());
      }))
    return succeeded(
        error(loc, "an input is no tensor, which is not supported"));
  if (!readAttributes(node, frame, loc, attributes) ||
      (schema && !checkNode(node, *schema, version, inputs, attributes, loc)))
    return false;

  Converter converter = converters.find(domain, node.op_type());
  if (!converter) {
    if (const FunctionProto *body = schema ? getStandardBody(*schema) : nullptr)
      return expandFunction(node, *body, inputs, scope, frame, builder, loc,
                            name);
    return succeeded(error(loc, "the operator " + quoted(node.op_type()) +
                                    inDomain(domain) + " is not supported"));
  }
  if (llvm::any_of(inputs,
                   [](const NamedValue &input) { return input.failed; }))
    return false;

  NodeContext c(*this, builder, loc);
  c.node = &node;
  c.op = node.op_type();
  c.opDomain = domain;
  c.nodeName = name;
  c.opset = version;
  for (const NamedValue &input : inputs)
    c.inputs.push_back(input.value);
  c.outputNames.assign(node.output().begin(), node.output().end());
  c.results.resize(c.outputNames.size());
  c.scope = &scope;
  c.frame = &frame;
  c.attributes = std::move(attributes);
  c.assumedRank = std::exchange(assumedRank, std::nullopt);

  uint64_t errors = faultCount();
  bool converted = succeeded(converter(c));
  if (c.openRank && faultCount() == errors)
    return importForRanks(node, inputs, *c.openRank, scope, frame, builder, loc, name);
  if (!converted || c.failed || c.poisoned) {
    if (faultCount() == errors && !c.poisoned)
      (void)error(loc, "this form of the operator is not supported");
    return false;
  }
  for (auto &[attribute, entry] : c.attributes)
    if (!entry.known)
      (void)error(loc,
                  "the attribute " + quoted(attribute) + " is not supported");
  for (auto [output, value] : llvm::zip_equal(c.outputNames, c.results))
    if (!output.empty() && !value)
      (void)error(loc, "the output " + quoted(output) + " is not supported");
  if (faultCount() != errors)
    return false;
  for (auto [output, value] : llvm::zip_equal(c.outputNames, c.results))
    define(scope, output, {value, false}, builder, loc);
  return true;
}

void GraphImporter::defineFailed(const NodeProto &node, Scope &scope,
                                 OpBuilder &builder, Location loc) {
  for (const std::string &output : node.output()) {
    NamedValue standIn{Value(), /*failed=*/true};
    const ::onnx::ValueInfoProto *declared = getDeclared(scope, output);
    if (declared && declared->type().tensor_type().has_shape()) {
      const auto &type = declared->type().tensor_type();
      SmallVector<int64_t> shape;
      for (const auto &dim : type.shape().dim())
        shape.push_back(dim.has_dim_value() && dim.dim_value() >= 0
                            ? dim.dim_value()
                            : ShapedType::kDynamic);
      if (Type element = getElementType(&context, type.elem_type())) {
        Type tensor = RankedTensorType::get(shape, element);
        auto cast = UnrealizedConversionCastOp::create(builder, loc, tensor,
                                                       ValueRange());
        standIn = {cast.getResult(0), false};
      }
    }
    define(scope, output, standIn, builder, loc);
  }
}

//===----------------------------------------------------------------------===//
// Functions
//===----------------------------------------------------------------------===//

uint64_t GraphImporter::getExpandedWork(const FunctionProto &function, unsigned depth) {
  auto [known, isNew] = expandedWork.try_emplace(&function, 1); // also of a function that calls itself
  if (!isNew || depth > options.limits.depth)
    return known->second;
  uint64_t work = 0;
  for (const NodeProto &node : function.node()) {
    uint64_t more = getWork(node);
    if (const FunctionProto *callee = functions.lookup(getFunctionKey(node)))
      more = llvm::SaturatingAdd(more, getExpandedWork(*callee, depth + 1));
    work = llvm::SaturatingAdd(work, more);
  }
  return expandedWork[&function] = work;
}

bool GraphImporter::expandFunction(const NodeProto &node,
                                   const FunctionProto &function,
                                   ArrayRef<NamedValue> inputs, Scope &scope,
                                   const Frame &frame, OpBuilder &builder,
                                   Location loc, StringRef name) {
  for (const Frame *at = &frame; at; at = at->caller)
    if (at->function == &function)
      return succeeded(error(loc, "the function " + quoted(function.name()) +
                                      " calls itself"));
  if (!checkDepth(scope.depth + 1, loc))
    return false;
  if (int(inputs.size()) > function.input_size() ||
      node.output_size() > function.output_size())
    return succeeded(error(loc, "the call has " + Twine(inputs.size()) +
                                    " inputs and " + Twine(node.output_size()) +
                                    " outputs, its function has " +
                                    Twine(function.input_size()) + " and " +
                                    Twine(function.output_size())));
  if (!spend((function.input_size() + function.output_size() +
              function.attribute_size() + function.attribute_proto_size() +
              function.value_info_size()) /
                 64,
             loc))
    return false;
  // What cannot end well need not begin.
  if (workDone + getExpandedWork(function, scope.depth + 1) > options.limits.nodes)
    return spend(options.limits.nodes, loc);

  Frame inner;
  inner.caller = &frame;
  inner.function = &function;
  inner.prefix = (name + "/").str();
  auto [opsets, isNew] = functionOpsets.try_emplace(&function);
  if (isNew) {
    opsets->second = std::make_unique<OpsetMap>();
    if (!readOpsets(function.opset_import(), *opsets->second,
                    "function " + quoted(function.name()) + ": "))
      opsets->second.reset();
  }
  if (!opsets->second) // reported at the first call
    return false;
  inner.opsets = opsets->second.get();

  SmallVector<std::pair<StringRef, NodeAttribute>> given;
  if (!readAttributes(node, frame, loc, given))
    return false;
  for (const std::string &attribute : function.attribute())
    inner.attributes[attribute] = nullptr;
  for (const AttributeProto &attribute : function.attribute_proto())
    inner.attributes[attribute.name()] = &attribute;
  for (auto &[attribute, entry] : given) {
    auto declared = inner.attributes.find(attribute);
    if (declared == inner.attributes.end())
      return succeeded(error(loc, "the attribute " + quoted(attribute) +
                                      " is none of the function's"));
    if (entry.proto)
      declared->second = entry.proto;
  }

  Scope body;
  body.depth = scope.depth + 1;
  body.declared = &function.value_info();
  body.nodes = &function.node();
  body.caller = &scope;
  body.function = &function;
  body.call = &node;
  findVariables(body);
  for (auto [index, input] : llvm::enumerate(function.input()))
    define(body, input, index < inputs.size() ? inputs[index] : NamedValue(),
           builder, loc);
  importNodes(function.node(), body, inner, builder);

  if (outOfBudget)
    return false;
  bool complete = true;
  for (auto [output, inside] : llvm::zip(node.output(), function.output())) {
    if (output.empty())
      continue;
    auto found = lookup(body, inside);
    if (!found)
      (void)error(loc, "the function's output " + quoted(inside) +
                           " is made by no node");
    else if (!found->value && !found->failed)
      (void)error(loc, "the function's output " + quoted(inside) + " is an input that its call leaves out");
    complete &= found && found->value;
  }
  if (!complete)
    return false;
  for (auto [output, inside] : llvm::zip(node.output(), function.output()))
    if (!output.empty())
      define(scope, output, *lookup(body, inside), builder, loc);
  return true;
}

//===----------------------------------------------------------------------===//
// Tensors
//===----------------------------------------------------------------------===//

Value GraphImporter::createTensor(const TensorProto &tensor, StringRef name,
                                  const Twine &what, Location loc,
                                  OpBuilder &builder, bool isInitializer) {
  std::string problem;
  RankedTensorType type = getTensorType(&context, tensor, problem);
  if (!type) {
    (void)error(loc, what + ": " + problem);
    return {};
  }
  if (isa<nn::StringType>(type.getElementType())) {
    ArrayAttr strings = getStrings(tensor, type, problem);
    if (strings)
      return nn::StringConstantOp::create(builder, loc, type, strings);
    (void)error(loc, what + ": " + problem);
    return {};
  }
  bool trains = isInitializer && options.trainable && nn::isArithmeticFloat(type.getElementType());
  bool inIR = isSmall(type) && !trains;
  if (Value known = inIR ? Value() : tensorValues.lookup(&tensor))
    return known;
  ElementsAttr value = getTensorValue(tensor, type, name, inIR, file, problem);
  if (!value) {
    (void)error(loc, what + ": " + problem);
    return {};
  }
  if (inIR)
    return nn::ConstantOp::create(builder, loc, type, value);

  // Names of different graphs may be the same.
  std::string base = name.empty() ? "tensor" : name.str(), symbol = base;
  while (!symbolNames.try_emplace(symbol, 0).second)
    symbol = base + "_" + std::to_string(++symbolNames[base]);
  auto parameter =
      nn::ParameterOp::create(parameterBuilder, loc, symbol, value, trains);
  parameterValues[parameter.getSymNameAttr()] = value;
  // Made at the top of @main, where it is seen from everywhere.
  Value result = nn::GetParameterOp::create(entryBuilder, loc, type, symbol);
  tensorValues[&tensor] = result;
  return result;
}
