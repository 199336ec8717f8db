//===- CheckNode.cpp - A node against its operator's schema -----*- C++ -*-===//
#include "dialects/nn/NodeLocation.h"
#include "frontends/onnx/GraphImporter.h"
#include "frontends/onnx/TensorData.h"

using namespace mlir;
using namespace nacre;
using namespace nacre::frontend;
using nn::quoted;
using ::onnx::AttributeProto;
using ::onnx::NodeProto;
using ::onnx::TensorProto;

/// "FLOAT, DOUBLE" for a set of types.
static std::string listTypes(uint64_t types) {
  std::string list;
  for (int64_t type = 1; type <= TensorProto::DataType_MAX; ++type)
    if (types >> type & 1)
      list += (list.empty() ? "" : ", ") + getDataTypeName(type);
  if (types & 1)
    list +=
        (list.empty() ? "" : ", ") + std::string("a value that is no tensor");
  return list;
}

static std::string describeCount(int64_t least, int64_t most) {
  if (most >= INT32_MAX)
    return "at least " + std::to_string(least);
  if (least == most)
    return std::to_string(least);
  return std::to_string(least) + " to " + std::to_string(most);
}

bool GraphImporter::checkNode(
    const NodeProto &node, const OpSchema &schema, int64_t version,
    ArrayRef<NamedValue> inputs,
    ArrayRef<std::pair<StringRef, NodeAttribute>> attributes, Location loc) {
  uint64_t errors = faultCount();
  std::string inOpset = " in opset " + std::to_string(version);

  // Attributes: known, of the right type, none missing.
  for (auto &[name, entry] : attributes) {
    auto *known =
        llvm::find_if(schema.attributes(),
                      [&](const SchemaAttribute &a) { return a.name == name; });
    if (known == schema.attributes().end())
      (void)error(loc, "the attribute " + quoted(name) + " does not exist" +
                           inOpset);
    else if (entry.proto && entry.proto->type() != known->type)
      (void)error(loc, "the attribute " + quoted(name) + " is " +
                           getAttributeTypeName(entry.proto->type()) +
                           ", expected " + getAttributeTypeName(known->type));
  }
  for (const SchemaAttribute &wanted : schema.attributes())
    if (wanted.required && llvm::none_of(attributes, [&](const auto &given) {
          return given.first == wanted.name && given.second.proto;
        }))
      (void)error(loc, "the attribute " + quoted(wanted.name) + " is missing");

  // Inputs and outputs: how many, and which must be there.
  int64_t inputCount = inputs.size(), outputCount = node.output_size();
  if (inputCount < schema.minInputs || inputCount > schema.maxInputs)
    (void)error(loc, "it has " + Twine(inputCount) + " inputs, expected " +
                         describeCount(schema.minInputs, schema.maxInputs) +
                         inOpset);
  if (outputCount < schema.minOutputs || outputCount > schema.maxOutputs)
    (void)error(loc, "it has " + Twine(outputCount) + " outputs, expected " +
                         describeCount(schema.minOutputs, schema.maxOutputs) +
                         inOpset);
  if (faultCount() != errors)
    return false;

  // Element types.
  SmallVector<std::pair<uint8_t, std::pair<size_t, Type>>> groups;
  for (auto [index, input] : llvm::enumerate(inputs)) {
    const SchemaParam *param = schema.input(index);
    auto label = [&](size_t at) {
      return ("input " + Twine(at) + " (" + schema.input(at)->name + ")").str();
    };
    if (!input.value) {
      // Left out here, or where the function around is called.
      StringRef name = node.input(index);
      std::string what = name.empty() ? " is left out" : " is " + quoted(name) + ", which the function's call leaves out";
      if (!input.failed && param->option != ParamOption::Optional)
        (void)error(loc, label(index) + what + ", but it is not optional");
      continue;
    }
    auto tensor = dyn_cast<RankedTensorType>(input.value.getType());
    int64_t type = tensor ? getDataType(tensor.getElementType()) : 0;
    if (!(param->types >> type & 1)) {
      (void)error(loc, label(index) + " has the element type " +
                           getDataTypeName(type) + ", expected " +
                           listTypes(param->types) + inOpset);
      continue;
    }
    if (!param->group || !tensor)
      continue;
    auto *bound = llvm::find_if(
        groups, [&](auto &group) { return group.first == param->group; });
    if (bound == groups.end())
      groups.push_back({param->group, {index, tensor.getElementType()}});
    else if (bound->second.second != tensor.getElementType())
      (void)error(loc, label(index) + " has the element type " +
                           getDataTypeName(type) + ", expected " +
                           getDataTypeName(getDataType(bound->second.second)) +
                           " as " + label(bound->second.first) + " has");
  }
  return faultCount() == errors;
}

const ::onnx::FunctionProto *
GraphImporter::getStandardBody(const OpSchema &schema) {
  if (!schema.bodyData)
    return nullptr;
  auto &body = standardBodies[&schema];
  if (!body) {
    body = std::make_unique<::onnx::FunctionProto>();
    if (!body->ParseFromArray(schema.bodyData, int(schema.bodySize)))
      llvm::report_fatal_error("the table of ONNX's operators is corrupt");
  }
  return body.get();
}
