//===- ImportModel.cpp - Versions and outputs of a model --------*- C++ -*-===//
#include "dialects/nn/NodeLocation.h"
#include "frontends/onnx/Choices.h"
#include "frontends/onnx/GraphImporter.h"
#include "frontends/onnx/Sequences.h"
#include "frontends/onnx/TensorData.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;
using namespace nacre;
using namespace nacre::frontend;
using nn::quoted;
using ::onnx::FunctionProto;
using ::onnx::ValueInfoProto;

#include "frontends/onnx/OnnxVersions.inc"

//===----------------------------------------------------------------------===//
// Versions and functions
//===----------------------------------------------------------------------===//

bool GraphImporter::readOpsets(
    const google::protobuf::RepeatedPtrField<::onnx::OperatorSetIdProto>
        &imports,
    OpsetMap &opsets, const Twine &where) {
  for (const auto &import : imports) {
    StringRef domain = normalizeDomain(import.domain());
    int64_t version = import.version();
    std::string label = domain.empty()
                            ? "the opset"
                            : "the opset of the domain " + quoted(domain);
    auto [place, isNew] = opsets.try_emplace(domain, version);
    if (!isNew && place->second != version)
      return succeeded(error(modelLoc, where + label +
                                           " is imported twice, as " +
                                           Twine(place->second) + " and as " +
                                           Twine(version)));
    if (!isNew) // as scikit-learn's converter does
      continue;
    if (version < 1)
      return succeeded(error(modelLoc, where + label + " is " + Twine(version) +
                                           ", expected 1 or more"));
    for (auto [known, newest] : kNewestOpsets)
      if (domain == known && version > newest)
        return succeeded(error(
            modelLoc, where + label + " is " + Twine(version) +
                          ", newer than the newest known, " + Twine(newest)));
  }
  return true;
}

bool GraphImporter::checkModel() {
  const ::onnx::ModelProto &model = file.model();
  if (!model.has_ir_version() || !model.has_graph())
    return succeeded(
        error(modelLoc, "the file is no ONNX model: it has no " +
                            Twine(model.has_graph() ? "IR version" : "graph")));
  if (model.ir_version() < kOldestIrVersion ||
      model.ir_version() > kNewestIrVersion)
    return succeeded(error(
        modelLoc, "the model has IR version " + Twine(model.ir_version()) +
                      ", expected " + Twine(kOldestIrVersion) + " to " +
                      Twine(kNewestIrVersion)));
  if (!readOpsets(model.opset_import(), modelOpsets, ""))
    return false;
  if (modelOpsets.empty())
    return succeeded(
        error(modelLoc, "the model does not say which opset it uses"));
  for (const FunctionProto &function : model.functions()) {
    std::string key = (normalizeDomain(function.domain()) + Twine('\0') +
                       function.name() + Twine('\0') + function.overload())
                          .str();
    if (!functions.try_emplace(key, &function).second)
      (void)error(modelLoc,
                  "two functions are named " + quoted(function.name()));
  }
  return true;
}

//===----------------------------------------------------------------------===//
// Outputs
//===----------------------------------------------------------------------===//

/// Keys and values, of the types that are declared.
std::optional<OutputValue> GraphImporter::flattenMap(const ValueInfoProto &output, Value value) {
  auto map = *getMap(value);
  const auto *declared = &output.type();
  auto elementTypeOf = [](Value tensor) { return cast<RankedTensorType>(tensor.getType()).getElementType(); };
  if (declared->value_case() != ::onnx::TypeProto::VALUE_NOT_SET) {
    if (map.isSequence && declared->has_sequence_type())
      declared = &declared->sequence_type().elem_type();
    const auto &type = declared->map_type();
    auto fits = [&](int32_t dataType, Value tensor) {
      return getElementType(&context, dataType) == elementTypeOf(tensor);
    };
    if (!declared->has_map_type() || map.isSequence != output.type().has_sequence_type() ||
        !fits(type.key_type(), map.keys) || !fits(type.value_type().tensor_type().elem_type(), map.values)) {
      (void)error(modelLoc, "output " + quoted(output.name()) + " is " + (map.isSequence ? "a sequence of maps" : "a map") +
                                " from " + getDataTypeName(getDataType(elementTypeOf(map.keys))) + " to " +
                                getDataTypeName(getDataType(elementTypeOf(map.values))) + ", but not by its declaration");
      return std::nullopt;
    }
  }
  return OutputValue{map.isSequence ? "maps" : "map", {map.keys, map.values}, {".keys", ".values"}, 0};
}

/// What an output of the model is: tensors, and the kind that they are together.
std::optional<OutputValue> GraphImporter::flattenOutput(const ValueInfoProto &output, Value value,
                                                        OpBuilder &builder) {
  auto refuse = [&](const Twine &why) {
    (void)error(modelLoc, "output " + quoted(output.name()) + " " + why);
    return std::nullopt;
  };
  if (getMap(value))
    return flattenMap(output, value);
  const auto *declared = &output.type();
  bool isOptional = declared->has_optional_type();
  if (isOptional)
    declared = &declared->optional_type().elem_type();
  if (getChoice(value)) {
    std::string prefix = isOptional ? "optional " : "";
    if (!getElementTypeOf(value))
      return refuse("is of another kind or element type in one branch of an If than in the other, which is not supported");
    NodeContext c(*this, builder, value.getLoc());
    int64_t rank = declared->tensor_type().shape().dim_size();
    if (declared->tensor_type().has_shape())
      if (Value tensor = takeRank(c, value, rank, "output " + quoted(output.name()) + " is not of rank " + Twine(rank) + ", as the model declares"))
        return OutputValue{prefix + "tensor", {tensor}, {""}, 1};
    auto any = toAnyRank(c, value);
    return any ? std::optional(OutputValue{prefix + "any rank", {any->data, any->shape}, {".data", ".shape"}, 1}) : std::nullopt;
  }
  Value isThere;
  if (auto optional = getRuntimeOptional(value)) {
    isThere = optional->isThere;
    value = optional->element;
  } else if (isOptionalValue(value)) {
    isOptional = true;
    auto element = getOptionalElement(value);
    if (!element)
      return refuse("is an optional of which nobody knows whether it has an element");
    if (!*element)
      return OutputValue{"optional nothing", {}, {}};
    value = *element;
  }
  if (getMap(value))
    return refuse("is an optional map, which is not supported");
  OutputValue result{"tensor", {value}, {""}, 1};
  auto tuple = dyn_cast<TupleType>(value.getType());
  auto elements = tuple ? getSequenceElements(value) : std::nullopt;
  bool isChosen = elements && llvm::any_of(*elements, getChoice) && llvm::all_of(*elements, isTensorOrChoice);
  if (elements && !isChosen) {
    result = {"sequence", *elements, {}, elements->size()};
    for (size_t i = 0; i < elements->size(); ++i)
      result.suffixes.push_back("[" + std::to_string(i) + "]");
  } else if (tuple) {
    NodeContext c(*this, builder, modelLoc);
    auto packed = pack(c, value, Type(), 0);
    if (!packed)
      return std::nullopt;
    result = {"packed", {packed->data, packed->shapes}, {".data", ".shapes"}, 1};
  }
  if (!llvm::all_of(result.tensors, [](Value tensor) { return isa<RankedTensorType>(tensor.getType()); }))
    return refuse("holds something else than tensors, which is not supported");
  if (declared->value_case() != ::onnx::TypeProto::VALUE_NOT_SET && declared->has_sequence_type() != bool(tuple))
    return refuse(tuple ? "is a sequence, but not by its declaration" : "is no tensor by its declaration");
  if (isThere) {
    result.tensors.push_back(isThere);
    result.suffixes.push_back(".given");
  }
  if (isThere || isOptional)
    result.kind = (isThere ? "maybe " : "optional ") + result.kind;
  return result;
}

LogicalResult GraphImporter::checkOutput(const ValueInfoProto &output,
                                         Value value) {
  auto actual = cast<RankedTensorType>(value.getType());
  const auto *declared = &output.type();
  while (declared->has_optional_type() || declared->has_sequence_type())
    declared = declared->has_optional_type() ? &declared->optional_type().elem_type()
                                             : &declared->sequence_type().elem_type();
  const auto &type = *declared;
  if (type.value_case() == ::onnx::TypeProto::VALUE_NOT_SET)
    return success();
  if (!type.has_tensor_type())
    return error(modelLoc, "output " + quoted(output.name()) +
                               " is no tensor by its declaration");
  Type element = getElementType(&context, type.tensor_type().elem_type());
  if (type.tensor_type().elem_type() != 0 && element != actual.getElementType())
    return error(modelLoc, "output " + quoted(output.name()) +
                               " is declared as " +
                               getDataTypeName(type.tensor_type().elem_type()) +
                               ", but the graph makes another element type");
  return success();
}

/// Sequences that were resolved have left casts that nothing uses.
void GraphImporter::removeStandIns() {
  SmallVector<UnrealizedConversionCastOp> casts;
  module.walk([&](UnrealizedConversionCastOp cast) { casts.push_back(cast); });
  for (UnrealizedConversionCastOp cast : llvm::reverse(casts))
    if (cast.use_empty())
      cast.erase();
}

LogicalResult GraphImporter::run() {
  // Counts what others report as well: inference and verifiers of ops.
  ScopedDiagnosticHandler counter(&context, [&](Diagnostic &diagnostic) {
    errorCount += diagnostic.getSeverity() == DiagnosticSeverity::Error;
    return failure(); // on to the handlers around
  });
  if (!checkModel())
    return failure();

  const ::onnx::GraphProto &graph = file.model().graph();
  llvm::StringSet<> names;
  SmallVector<InputValue> inputs;
  SmallVector<InputTensor> inputTensors;
  if (!flattenInputs(graph, inputs, inputTensors))
    return failure();
  SmallVector<Type> types;
  SmallVector<DictionaryAttr> attributes;
  Builder b(&context);
  for (const InputTensor &input : inputTensors) {
    SmallVector<Attribute> symbols;
    RankedTensorType type = getInputType(input, symbols);
    types.push_back(type);
    SmallVector<NamedAttribute> named{
        b.getNamedAttr("nn.name", b.getStringAttr(input.name))};
    if (llvm::any_of(symbols,
                     [](Attribute s) { return !cast<StringAttr>(s).empty(); }))
      named.push_back(b.getNamedAttr("nn.symbols", b.getArrayAttr(symbols)));
    attributes.push_back(b.getDictionaryAttr(named));
  }

  // An input of an unknown type leaves the rest to be looked at: its argument
  // has a stand-in type and its name stands for a failure.
  SmallVector<Type> argumentTypes = llvm::map_to_vector(types, [&](Type type) {
    return type ? type : RankedTensorType::get({}, b.getF32Type());
  });
  OpBuilder moduleBuilder = OpBuilder::atBlockEnd(module.getBody());
  auto main = func::FuncOp::create(moduleBuilder, modelLoc, "main",
                                   b.getFunctionType(argumentTypes, {}));
  // Names of functions: of this one, and of the one that computes parameters.
  symbolNames["main"] = symbolNames["prepare"] = 0;
  parameterBuilder.setInsertionPoint(main);
  Block *entry = main.addEntryBlock();
  for (auto [input, argument] : llvm::zip_equal(inputTensors, entry->getArguments()))
    argument.setLoc(nn::getNodeLocation(&context, input.name, "Input"));
  OpBuilder builder = OpBuilder::atBlockEnd(entry);
  // Constants stand before the rest; this op marks where they end.
  auto fence = UnrealizedConversionCastOp::create(builder, modelLoc,
                                                  TypeRange(), ValueRange());
  entryBuilder.setInsertionPoint(fence);

  Frame frame;
  frame.opsets = &modelOpsets;
  SmallVector<Value> arguments;
  for (const InputValue &input : inputs)
    arguments.push_back(
        makeInput(input, ArrayRef(types).slice(input.first, input.count),
                  entry->getArguments().slice(input.first, input.count), builder));
  auto results =
      importGraph(graph, arguments, nullptr, frame, builder, modelLoc);
  if (graph.output().empty())
    (void)error(modelLoc, "the model has no outputs");
  if (!results || errorCount)
    return failure();

  SmallVector<DictionaryAttr> resultAttributes;
  SmallVector<Attribute> inputValues, outputValues;
  SmallVector<Value> tensors;
  bool allTensors = true;
  auto describe = [&](StringRef name, StringRef kind, int64_t count) -> Attribute {
    return b.getDictionaryAttr({b.getNamedAttr("name", b.getStringAttr(name)),
                                b.getNamedAttr("kind", b.getStringAttr(kind)),
                                b.getNamedAttr("count", b.getI64IntegerAttr(count))});
  };
  auto addName = [&](const std::string &name) {
    if (!names.insert(name).second)
      (void)error(modelLoc, "two outputs are named " + quoted(name));
  };
  for (auto [output, value] : llvm::zip_equal(graph.output(), *results)) {
    auto flat = flattenOutput(output, value, builder);
    if (!flat)
      continue;
    allTensors &= flat->kind == "tensor";
    if (!llvm::is_contained(flat->suffixes, ""))
      addName(output.name());
    for (auto [i, tensor] : llvm::enumerate(flat->tensors)) {
      std::string name = output.name() + flat->suffixes[i];
      addName(name);
      if (i < flat->elementCount)
        (void)checkOutput(output, tensor);
      tensors.push_back(tensor);
      resultAttributes.push_back(b.getDictionaryAttr(b.getNamedAttr("nn.name", b.getStringAttr(name))));
    }
    outputValues.push_back(describe(output.name(), flat->kind, flat->tensors.size()));
  }
  for (const InputValue &input : inputs)
    inputValues.push_back(describe(input.proto->name(), input.kind, input.count));
  if (errorCount)
    return failure();
  fence.erase();
  func::ReturnOp::create(builder, modelLoc, tensors);
  removeStandIns();
  main.setFunctionType(b.getFunctionType(types, ValueRange(tensors).getTypes()));
  if (llvm::any_of(inputs, [](const InputValue &input) { return input.kind != "tensor"; }))
    main->setAttr("nn.input_values", b.getArrayAttr(inputValues));
  if (!allTensors)
    main->setAttr("nn.output_values", b.getArrayAttr(outputValues));
  main.setAllArgAttrs(attributes);
  main.setAllResultAttrs(resultAttributes);
  return success();
}
