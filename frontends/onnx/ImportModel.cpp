//===- ImportModel.cpp - Versions, inputs and outputs of a model -*- C++
//-*-===//
#include "dialects/nn/NodeLocation.h"
#include "frontends/onnx/GraphImporter.h"
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
    if (!opsets.try_emplace(domain, version).second) {
      return succeeded(error(modelLoc, where + label + " is imported twice"));
    }
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
// Inputs and outputs
//===----------------------------------------------------------------------===//

/// Finds out which named dimensions the options fix, directly or by an input's
/// shape.
bool GraphImporter::bindSymbols(ArrayRef<const ValueInfoProto *> inputs) {
  uint64_t errors = errorCount;
  llvm::StringMap<const ValueInfoProto *> byName;
  SmallVector<StringRef> symbols;
  llvm::StringSet<> known;
  for (const ValueInfoProto *input : inputs) {
    byName[input->name()] = input;
    for (const auto &dim : input->type().tensor_type().shape().dim())
      if (!dim.dim_param().empty() && known.insert(dim.dim_param()).second)
        symbols.push_back(dim.dim_param());
  }
  auto list = [](ArrayRef<StringRef> names) {
    std::string text;
    for (StringRef name : names.take_front(20))
      text += (text.empty() ? "" : ", ") + quoted(name);
    return text.empty() ? "none" : text + (names.size() > 20 ? ", ..." : "");
  };
  for (auto &[name, size] : options.dims) {
    if (!known.contains(name))
      (void)error(modelLoc,
                  "no input has a dimension named " + quoted(name) +
                      "; the model's named dimensions are: " + list(symbols));
    symbolSizes[name] = size;
  }
  for (auto &[name, shape] : options.inputShapes) {
    const ValueInfoProto *input = byName.lookup(name);
    if (!input) {
      SmallVector<StringRef> names;
      for (const ValueInfoProto *other : inputs)
        names.push_back(other->name());
      (void)error(modelLoc, "no input is named " + quoted(name) +
                                "; the model's inputs are: " + list(names));
      continue;
    }
    const auto &declared = input->type().tensor_type().shape();
    if (!input->type().tensor_type().has_shape())
      continue;
    if (declared.dim_size() != int(shape.size())) {
      (void)error(modelLoc, "input " + quoted(name) + " has rank " +
                                Twine(declared.dim_size()) +
                                ", the shape given for it has rank " +
                                Twine(shape.size()));
      continue;
    }
    for (auto [axis, size] : llvm::enumerate(shape)) {
      const auto &dim = declared.dim(axis);
      if (ShapedType::isDynamic(size))
        continue;
      if (dim.has_dim_value() && dim.dim_value() >= 0 &&
          dim.dim_value() != size)
        (void)error(modelLoc, "input " + quoted(name) + " has size " +
                                  Twine(dim.dim_value()) + " in dimension " +
                                  Twine(axis) + ", the shape given for it " +
                                  Twine(size));
      if (dim.dim_param().empty())
        continue;
      auto [bound, isNew] = symbolSizes.try_emplace(dim.dim_param(), size);
      if (!isNew && bound->second != size)
        (void)error(modelLoc, "dimension " + quoted(dim.dim_param()) +
                                  " is given the sizes " +
                                  Twine(bound->second) + " and " + Twine(size));
    }
  }
  return errorCount == errors;
}

RankedTensorType
GraphImporter::getInputType(const ValueInfoProto &input,
                            SmallVectorImpl<Attribute> &symbols) {
  auto refuse = [&](const Twine &why) {
    (void)error(modelLoc, "input " + quoted(input.name()) + " " + why);
    return RankedTensorType();
  };
  if (!input.type().has_tensor_type())
    return refuse(input.type().value_case() == ::onnx::TypeProto::VALUE_NOT_SET
                      ? "has no type"
                      : "is no tensor: how long a sequence is, or whether an optional has an element, "
                        "would be known only at run time, which is not supported");
  const auto &tensor = input.type().tensor_type();
  Type element = getElementType(&context, tensor.elem_type());
  if (!element)
    return refuse("has the element type " +
                  getDataTypeName(tensor.elem_type()) +
                  ", which is not supported");
  auto fixed = options.inputShapes.find(input.name());
  bool isFixed = fixed != options.inputShapes.end();
  if (!tensor.has_shape() && !isFixed)
    return refuse("has no shape; give one with --input-shape");
  int64_t rank =
      tensor.has_shape() ? tensor.shape().dim_size() : fixed->second.size();
  if (rank > 64)
    return refuse("has rank " + Twine(rank) + ", expected at most 64");

  SmallVector<int64_t> shape;
  int64_t bytes = isa<nn::StringType>(element) ? 16 : llvm::divideCeil(element.getIntOrFloatBitWidth(), 8);
  for (int64_t axis = 0; axis < rank; ++axis) {
    int64_t size = isFixed ? fixed->second[axis] : ShapedType::kDynamic;
    StringRef symbol;
    if (tensor.has_shape()) {
      const auto &dim = tensor.shape().dim(axis);
      if (dim.has_dim_value()) {
        // Some exporters write -1 for a size that they leave open.
        if (dim.dim_value() < -1)
          return refuse("has the size " + Twine(dim.dim_value()) +
                        " in dimension " + Twine(axis));
        if (dim.dim_value() >= 0)
          size = dim.dim_value();
      } else if (!dim.dim_param().empty()) {
        if (auto bound = symbolSizes.find(dim.dim_param());
            bound != symbolSizes.end())
          size = bound->second;
        else
          symbol = dim.dim_param();
      }
    }
    shape.push_back(size);
    symbols.push_back(
        StringAttr::get(&context, ShapedType::isDynamic(size) ? symbol : ""));
    if (size > 0 && llvm::MulOverflow(bytes, size, bytes))
      return refuse("has sizes that overflow 64 bits");
  }
  return RankedTensorType::get(shape, element);
}

/// What an output of the model is: tensors, and the kind that they are together.
std::optional<OutputValue> GraphImporter::flattenOutput(const ValueInfoProto &output, Value value) {
  // The values that a tuple was made of; none if it comes from elsewhere (a loop).
  auto getParts = [](Value tuple) -> std::optional<SmallVector<Value>> {
    auto made = tuple.getDefiningOp<UnrealizedConversionCastOp>();
    return made ? std::optional(SmallVector<Value>(made.getInputs())) : std::nullopt;
  };
  auto refuse = [&](const Twine &why) {
    (void)error(modelLoc, "output " + quoted(output.name()) + " " + why);
    return std::nullopt;
  };
  const StringRef unknown = "is a sequence or optional whose length or presence is known only at run time, "
                            "which is not supported";
  const auto *declared = &output.type();
  bool isOptional = declared->has_optional_type();
  if (isOptional)
    declared = &declared->optional_type().elem_type();
  auto tuple = dyn_cast<TupleType>(value.getType());
  if (tuple && tuple.size() > 0 && isa<NoneType>(tuple.getType(0))) { // an optional
    isOptional = true;
    auto element = getParts(value);
    if (!element)
      return refuse(unknown);
    if (element->empty())
      return OutputValue{"optional nothing", {}};
    value = element->front();
    tuple = dyn_cast<TupleType>(value.getType());
  }
  OutputValue result{"tensor", {value}};
  if (tuple) {
    auto elements = getParts(value);
    if (!elements)
      return refuse(unknown);
    result = {"sequence", *elements};
  }
  if (!llvm::all_of(result.tensors, [](Value tensor) { return isa<RankedTensorType>(tensor.getType()); }))
    return refuse("holds something else than tensors, which is not supported");
  if (declared->value_case() != ::onnx::TypeProto::VALUE_NOT_SET && declared->has_sequence_type() != bool(tuple))
    return refuse(tuple ? "is a sequence, but not by its declaration" : "is no tensor by its declaration");
  if (isOptional)
    result.kind = "optional " + result.kind;
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
  llvm::StringSet<> initialized, names;
  for (const auto &tensor : graph.initializer())
    initialized.insert(tensor.name());
  SmallVector<const ValueInfoProto *> inputs;
  for (const ValueInfoProto &input : graph.input())
    if (!initialized.contains(input.name()))
      inputs.push_back(&input);
  if (!bindSymbols(inputs))
    return failure();
  SmallVector<Type> types;
  SmallVector<DictionaryAttr> attributes;
  Builder b(&context);
  for (const ValueInfoProto *input : inputs) {
    SmallVector<Attribute> symbols;
    RankedTensorType type = getInputType(*input, symbols);
    types.push_back(type);
    SmallVector<NamedAttribute> named{
        b.getNamedAttr("nn.name", b.getStringAttr(input->name()))};
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
  symbolNames["main"] = 0;
  parameterBuilder.setInsertionPoint(main);
  Block *entry = main.addEntryBlock();
  for (auto [input, argument] : llvm::zip_equal(inputs, entry->getArguments()))
    argument.setLoc(nn::getNodeLocation(&context, input->name(), "Input"));
  OpBuilder builder = OpBuilder::atBlockEnd(entry);
  // Constants stand before the rest; this op marks where they end.
  auto fence = UnrealizedConversionCastOp::create(builder, modelLoc,
                                                  TypeRange(), ValueRange());
  entryBuilder.setInsertionPoint(fence);

  Frame frame;
  frame.opsets = &modelOpsets;
  SmallVector<Value> arguments;
  for (auto [type, argument] : llvm::zip_equal(types, entry->getArguments()))
    arguments.push_back(type ? Value(argument) : Value());
  auto results =
      importGraph(graph, arguments, nullptr, frame, builder, modelLoc);
  if (graph.output().empty())
    (void)error(modelLoc, "the model has no outputs");
  if (!results || errorCount)
    return failure();

  SmallVector<DictionaryAttr> resultAttributes;
  SmallVector<Attribute> outputValues;
  SmallVector<Value> tensors;
  bool allTensors = true;
  auto addName = [&](const std::string &name) {
    if (!names.insert(name).second)
      (void)error(modelLoc, "two outputs are named " + quoted(name));
  };
  for (auto [output, value] : llvm::zip_equal(graph.output(), *results)) {
    auto flat = flattenOutput(output, value);
    if (!flat)
      continue;
    bool isOne = StringRef(flat->kind).ends_with("tensor");
    allTensors &= flat->kind == "tensor";
    if (!isOne)
      addName(output.name());
    for (auto [i, tensor] : llvm::enumerate(flat->tensors)) {
      std::string name = output.name() + (isOne ? "" : "[" + std::to_string(i) + "]");
      addName(name);
      (void)checkOutput(output, tensor);
      tensors.push_back(tensor);
      resultAttributes.push_back(b.getDictionaryAttr(b.getNamedAttr("nn.name", b.getStringAttr(name))));
    }
    outputValues.push_back(b.getDictionaryAttr(
        {b.getNamedAttr("name", b.getStringAttr(output.name())),
         b.getNamedAttr("kind", b.getStringAttr(flat->kind)),
         b.getNamedAttr("count", b.getI64IntegerAttr(flat->tensors.size()))}));
  }
  if (errorCount)
    return failure();
  fence.erase();
  func::ReturnOp::create(builder, modelLoc, tensors);
  removeStandIns();
  main.setFunctionType(b.getFunctionType(types, ValueRange(tensors).getTypes()));
  if (!allTensors)
    main->setAttr("nn.output_values", b.getArrayAttr(outputValues));
  main.setAllArgAttrs(attributes);
  main.setAllResultAttrs(resultAttributes);
  return success();
}
