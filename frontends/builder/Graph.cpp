//===- Graph.cpp - Models written node by node ------------------*- C++ -*-===//
#include "frontends/builder/Graph.h"
#include "frontends/builder/GraphState.h"
#include "frontends/builder/Initializers.h"
#include "llvm/ADT/StringExtras.h"
#include <algorithm>
#include <cstring>

using namespace nacre;
using namespace nacre::builder;

namespace {

/// Nothing needs more, and products of sizes stay far from overflow.
constexpr int64_t kMostElements = int64_t(1) << 31;

/// The elements of sizes that are all known; nullopt if one is negative or they are too many.
std::optional<int64_t> countElements(std::span<const int64_t> dims) {
  int64_t count = 1;
  for (int64_t size : dims)
    if (size < 0 || __builtin_mul_overflow(count, size, &count) || count > kMostElements)
      return std::nullopt;
  return count;
}

::onnx::TensorProto makeTensor(const std::string &name, const TensorView &values) {
  ::onnx::TensorProto tensor;
  tensor.set_name(name);
  tensor.set_data_type(values.dtype()); // the numbers of element types are ONNX's
  for (int64_t size : values.dims())
    tensor.add_dims(size);
  size_t bytes = size_t(countElements(values.dims()).value_or(0)) * size_t(nacre_dtype_bits(values.dtype())) / 8;
  tensor.set_raw_data(values.data(), bytes);
  return tensor;
}

/// The same tensor with its elements in the typed fields, of the types that shapes and
/// other small operands have; false for others.
bool fillTypedFields(::onnx::TensorProto &tensor, const TensorView &values, size_t count) {
  auto *data = static_cast<const std::byte *>(values.data());
  auto each = [&](auto example, auto add) {
    for (size_t i = 0; i < count; ++i) {
      std::memcpy(&example, data + i * sizeof example, sizeof example);
      add(example);
    }
    tensor.clear_raw_data();
    return true;
  };
  switch (values.dtype()) {
  case NACRE_F32: return each(float(), [&](float v) { tensor.add_float_data(v); });
  case NACRE_F64: return each(double(), [&](double v) { tensor.add_double_data(v); });
  case NACRE_I64: return each(int64_t(), [&](int64_t v) { tensor.add_int64_data(v); });
  case NACRE_I32: return each(int32_t(), [&](int32_t v) { tensor.add_int32_data(v); });
  case NACRE_BOOL: return each(uint8_t(), [&](uint8_t v) { tensor.add_int32_data(v); });
  default: return false;
  }
}

void setAttribute(::onnx::AttributeProto &proto, const Attribute &attribute) {
  using Proto = ::onnx::AttributeProto;
  std::visit(
      [&](const auto &value) {
        using T = std::decay_t<decltype(value)>;
        if constexpr (std::is_same_v<T, int64_t>) {
          proto.set_type(Proto::INT);
          proto.set_i(value);
        } else if constexpr (std::is_same_v<T, double>) {
          proto.set_type(Proto::FLOAT);
          proto.set_f(float(value));
        } else if constexpr (std::is_same_v<T, std::string>) {
          proto.set_type(Proto::STRING);
          proto.set_s(value);
        } else if constexpr (std::is_same_v<T, std::vector<int64_t>>) {
          proto.set_type(Proto::INTS);
          proto.mutable_ints()->Add(value.begin(), value.end());
        } else if constexpr (std::is_same_v<T, std::vector<double>>) {
          proto.set_type(Proto::FLOATS);
          for (double element : value)
            proto.add_floats(float(element));
        } else {
          proto.set_type(Proto::STRINGS);
          for (const std::string &element : value)
            proto.add_strings(element);
        }
      },
      attribute.value);
}

} // namespace

//===----------------------------------------------------------------------===//
// Values and names
//===----------------------------------------------------------------------===//

Value GraphState::getValue(const std::string &name) {
  auto type = importer.getType(name);
  if (!type)
    return fail(NACRE_INVALID_ARGUMENT, "the value '" + name + "' is no tensor");
  Value value;
  value.state = shared_from_this();
  value.valueName = name;
  value.type = nacre_dtype(type->dataType);
  value.sizes.assign(type->dims.begin(), type->dims.end());
  return value;
}

bool GraphState::takeName(const std::string &name) {
  if (name.empty())
    fail(NACRE_INVALID_ARGUMENT, "a value of the graph has no name");
  else if (!names.insert(name).second)
    fail(NACRE_INVALID_ARGUMENT, "the graph has a value '" + name + "' already");
  else
    return true;
  return false;
}

Graph::Graph(uint64_t seed) : state(std::make_shared<GraphState>(seed)) {}
Graph::Graph(const Value &value) : state(value.state ? value.state : std::make_shared<GraphState>(0)) {}

const Status &Graph::status() const { return state->status; }
void Graph::clearStatus() { state->status = {}; }
Value Graph::fail(const std::string &message) { return state->fail(NACRE_INVALID_ARGUMENT, message); }

std::string Graph::makeName(const std::string &base) {
  std::string name = base;
  while (!state->names.insert(name).second)
    name = base + "_" + std::to_string(++state->suffixes[base]);
  return name;
}

//===----------------------------------------------------------------------===//
// Inputs, weights, constants
//===----------------------------------------------------------------------===//

Value Graph::input(const std::string &name, nacre_dtype dtype, const std::vector<Size> &sizes) {
  if (!state->takeName(name))
    return {};
  frontend::ValueType type{dtype, {}};
  ::onnx::ValueInfoProto info;
  info.set_name(name);
  auto *tensor = info.mutable_type()->mutable_tensor_type();
  tensor->set_elem_type(dtype);
  auto *shape = tensor->mutable_shape();
  for (const Size &size : sizes) {
    auto *dim = shape->add_dim();
    if (size.size >= 0)
      dim->set_dim_value(size.size);
    else if (!size.symbol.empty())
      dim->set_dim_param(size.symbol);
    type.dims.push_back(size.size);
  }
  std::string error;
  if (!state->importer.addValue(name, type, error))
    return fail(error);
  state->inputs[name] = std::move(info);
  return state->getValue(name);
}

Value Graph::parameter(const std::string &name, const std::vector<int64_t> &dims, const std::string &initializer,
                       Fans fans) {
  if (!countElements(dims))
    return fail("the parameter '" + name + "' has sizes below 0, or too many elements");
  auto values = makeInitialValues(initializer, dims, fans, RandomStream(state->seed, state->parameterCount++));
  if (!values)
    return fail("the parameter '" + name + "': " + values.error().message);
  return parameter(name, TensorView(values->data(), NACRE_F32, dims));
}

Value Graph::parameter(const std::string &name, const TensorView &values) {
  if (!state->takeName(name))
    return {};
  if (!countElements(values.dims()) || nacre_dtype_bits(values.dtype()) < 8 || values.dtype() == NACRE_STRING)
    return fail("the parameter '" + name + "' must be a tensor of numbers, of a byte or more each");
  std::string error;
  if (!state->importer.addValue(name, {values.dtype(), {values.dims().begin(), values.dims().end()}}, error))
    return fail(error);
  state->parameters[name] = makeTensor(name, values);
  return state->getValue(name);
}

Value Graph::constant(const TensorView &value) {
  constexpr int64_t kMostTyped = 1024; // larger ones say nothing of shapes
  auto count = countElements(value.dims());
  if (!count || nacre_dtype_bits(value.dtype()) < 8 || value.dtype() == NACRE_STRING)
    return fail("a constant must be a tensor of numbers, of a byte or more each");
  std::string name = makeName("constant"), error;
  ::onnx::TensorProto tensor = makeTensor(name, value), typed = tensor;
  bool isKnown = *count <= kMostTyped && fillTypedFields(typed, value, size_t(*count));
  if (!(isKnown ? state->importer.addConstant(typed, error)
                : state->importer.addValue(name, {value.dtype(), {value.dims().begin(), value.dims().end()}}, error)))
    return fail(error);
  state->constants[name] = std::move(tensor);
  return state->getValue(name);
}

Value Graph::constant(double value) {
  float number = float(value);
  return constant(TensorView(&number, NACRE_F32, {}));
}

Value Graph::constant(const std::vector<int64_t> &values) {
  return constant(TensorView(values.data(), NACRE_I64, {int64_t(values.size())}));
}

//===----------------------------------------------------------------------===//
// Nodes
//===----------------------------------------------------------------------===//

Value Graph::op(const std::string &type, const std::vector<Value> &inputs, const Attributes &attributes,
                const std::string &name) {
  return ops(type, inputs, attributes, 1, name).front();
}

std::vector<Value> Graph::ops(const std::string &type, const std::vector<Value> &inputs, const Attributes &attributes,
                              size_t outputs, const std::string &name) {
  std::vector<Value> results(std::max<size_t>(outputs, 1));
  if (!state->status) // an input may be the false value of that fault
    return results;
  ::onnx::NodeProto node;
  node.set_op_type(type);
  node.set_name(makeName(name.empty() ? llvm::StringRef(type).lower() : name));
  for (const Value &input : inputs) {
    if (input && input.state != state) {
      fail("node '" + node.name() + "' (" + type + "): the input '" + input.name() + "' belongs to another graph");
      return results;
    }
    node.add_input(input.name());
  }
  while (node.input_size() && node.input(node.input_size() - 1).empty())
    node.mutable_input()->RemoveLast();
  for (size_t i = 0; i < results.size(); ++i)
    node.add_output(i ? makeName(node.name() + "." + std::to_string(i)) : node.name());
  for (const auto &[key, attribute] : attributes) {
    ::onnx::AttributeProto &proto = *node.add_attribute();
    proto.set_name(key);
    setAttribute(proto, attribute);
  }
  std::string error;
  if (!state->importer.addNode(node, error)) {
    fail(error);
    return results;
  }
  const ::onnx::NodeProto &kept = state->nodes.emplace_back(std::move(node));
  for (const std::string &output : kept.output())
    state->producers[output] = &kept;
  for (size_t i = 0; i < results.size(); ++i)
    results[i] = state->getValue(kept.output(int(i)));
  return results;
}

//===----------------------------------------------------------------------===//
// The model
//===----------------------------------------------------------------------===//

GraphState::Needed GraphState::collect(const std::vector<Value> &outputs) const {
  Needed needed;
  for (const Value &output : outputs)
    needed.names.insert(output.name());
  // From the last node to the first, as each needs only what came before.
  for (auto node = nodes.rbegin(); node != nodes.rend(); ++node) {
    bool isNeeded = std::any_of(node->output().begin(), node->output().end(),
                                [&](const std::string &output) { return needed.names.count(output); });
    if (!isNeeded)
      continue;
    needed.nodes.push_back(&*node);
    needed.names.insert(node->input().begin(), node->input().end());
  }
  return needed;
}

Result<std::vector<std::byte>> Graph::serialize(const std::vector<Value> &inputs,
                                                const std::vector<Value> &outputs) const {
  if (!state->status)
    return state->status.error();
  auto refuse = [](const std::string &message) { return Error{NACRE_INVALID_ARGUMENT, message}; };
  ::onnx::ModelProto model;
  model.set_ir_version(10);
  model.set_producer_name("nacre");
  model.set_producer_version(nacre_version());
  model.add_opset_import()->set_version(kOpset);
  ::onnx::GraphProto &graph = *model.mutable_graph();
  graph.set_name("model");

  std::set<std::string> given, asked;
  for (const Value &input : inputs) {
    auto info = state->inputs.find(input.name());
    if (input.state != state || info == state->inputs.end())
      return refuse("'" + input.name() + "' is no input of the graph");
    if (!given.insert(input.name()).second)
      return refuse("the input '" + input.name() + "' is given twice");
    *graph.add_input() = info->second;
  }
  for (const Value &output : outputs) {
    if (!output || output.state != state)
      return refuse("an output is no value of the graph");
    if (!asked.insert(output.name()).second)
      return refuse("the output '" + output.name() + "' is given twice");
    ::onnx::ValueInfoProto &info = *graph.add_output();
    info.set_name(output.name());
    auto *type = info.mutable_type()->mutable_tensor_type();
    type->set_elem_type(output.dtype());
    for (int64_t size : output.dims()) {
      auto *dim = type->mutable_shape()->add_dim();
      if (size >= 0)
        dim->set_dim_value(size);
    }
  }
  auto [needed, nodes] = state->collect(outputs);
  // Constants are nodes: initializers are what training changes.
  for (const std::string &name : needed) {
    if (auto constant = state->constants.find(name); constant != state->constants.end()) {
      ::onnx::NodeProto &node = *graph.add_node();
      node.set_op_type("Constant");
      node.add_output(name);
      ::onnx::AttributeProto &value = *node.add_attribute();
      value.set_name("value");
      value.set_type(::onnx::AttributeProto::TENSOR);
      *value.mutable_t() = constant->second;
    }
  }
  for (auto node = nodes.rbegin(); node != nodes.rend(); ++node)
    *graph.add_node() = **node;
  for (const std::string &name : needed) {
    if (auto parameter = state->parameters.find(name); parameter != state->parameters.end())
      *graph.add_initializer() = parameter->second;
    else if (state->inputs.count(name) && !given.count(name))
      return refuse("the outputs depend on the input '" + name + "', which is not among the model's inputs");
  }
  size_t size = model.ByteSizeLong();
  if (size > size_t(INT32_MAX))
    return refuse("the model has more than 2 GiB of weights, which ONNX cannot hold in one piece");
  std::vector<std::byte> bytes(size);
  if (!model.SerializeToArray(bytes.data(), int(size)))
    return Error{NACRE_INTERNAL, "internal error: Protobuf cannot serialize the model"};
  return bytes;
}

//===----------------------------------------------------------------------===//
// Arithmetic
//===----------------------------------------------------------------------===//

static Value makeBinary(const char *type, const Value &a, const Value &b) {
  return Graph(a ? a : b).op(type, {a, b});
}

Value builder::operator+(const Value &a, const Value &b) { return makeBinary("Add", a, b); }
Value builder::operator-(const Value &a, const Value &b) { return makeBinary("Sub", a, b); }
Value builder::operator*(const Value &a, const Value &b) { return makeBinary("Mul", a, b); }
Value builder::operator/(const Value &a, const Value &b) { return makeBinary("Div", a, b); }
Value builder::operator-(const Value &a) { return Graph(a).op("Neg", {a}); }
Value builder::matmul(const Value &a, const Value &b) { return makeBinary("MatMul", a, b); }
