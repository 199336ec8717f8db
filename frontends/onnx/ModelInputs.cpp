//===- ModelInputs.cpp - What a model takes, as tensors ---------*- C++ -*-===//
//
// A sequence has as many elements as the options say, each an argument of @main, or comes
// packed. Whether an optional has an element the options say as well, or an argument does.
// The keys and the values of a map are arguments, too.
//
//===----------------------------------------------------------------------===//
#include "dialects/nn/NNShapes.h"
#include "dialects/nn/NodeLocation.h"
#include "frontends/onnx/GraphImporter.h"
#include "frontends/onnx/Sequences.h"
#include "frontends/onnx/TensorData.h"

using namespace mlir;
using namespace nacre;
using namespace nacre::frontend;
using nn::quoted;
using ::onnx::TypeProto;
using ::onnx::TypeProto_Map;
using ::onnx::ValueInfoProto;

/// How many elements an input is: as the options or, of what is no tensor, an example say;
/// nullopt if neither does. The inner one is null for an optional without an element.
static std::optional<std::optional<int64_t>> getLength(const ImportOptions &options, const std::string &name,
                                                       bool isTensor) {
  if (auto given = options.inputLengths.find(name); given != options.inputLengths.end())
    return given->second;
  if (isTensor)
    return std::optional(int64_t(1));
  auto shown = options.examples.find(name);
  if (shown == options.examples.end())
    return std::nullopt;
  return shown->second ? std::optional(int64_t(shown->second->size())) : std::nullopt;
}

::onnx::TypeProto_Tensor &GraphImporter::addPart(StringRef input, StringRef suffix, int elementType, StringRef symbol,
                                                 SmallVectorImpl<InputTensor> &tensors) {
  ::onnx::TypeProto_Tensor &type = partTypes.emplace_back();
  type.set_elem_type(elementType);
  auto *dim = type.mutable_shape()->add_dim();
  if (!symbol.empty())
    dim->set_dim_param(symbol.str());
  tensors.push_back({(input + suffix).str(), input, &type, /*isElement=*/false, std::nullopt});
  return type;
}

InputValue GraphImporter::flattenInput(const ValueInfoProto &input, SmallVectorImpl<InputTensor> &tensors) {
  constexpr int64_t kMaxLength = 1 << 16;
  InputValue value{&input, "", unsigned(tensors.size()), 0};
  const std::string &name = input.name();
  auto refuse = [&](const Twine &why) {
    (void)error(modelLoc, "input " + quoted(name) + " " + why);
    return value;
  };
  const TypeProto *type = &input.type();
  bool isOptional = type->has_optional_type();
  if (isOptional)
    type = &type->optional_type().elem_type();
  if (type->has_map_type() && !isOptional) {
    const TypeProto_Map &map = type->map_type();
    const auto &element = map.value_type();
    if (!element.has_tensor_type() || element.tensor_type().shape().dim_size() > 0)
      return refuse("is a map to something else than single elements, which is not supported");
    if (options.inputLengths.count(name))
      return refuse("is a map, whose length is not fixed");
    value.kind = "map";
    value.count = 2;
    std::string symbol = name + ".length";
    addPart(name, ".keys", map.key_type(), symbol, tensors);
    addPart(name, ".values", element.tensor_type().elem_type(), symbol, tensors);
    return value;
  }
  bool isMaybe = isOptional && !options.inputLengths.count(name) && !options.examples.count(name);
  bool isSequence = type->has_sequence_type();
  if (isSequence)
    type = &type->sequence_type().elem_type();
  if (!type->has_tensor_type())
    return refuse(type->value_case() == TypeProto::VALUE_NOT_SET
                      ? "has no type"
                      : "is no tensor or map, and no sequence or optional of tensors, which is not supported");

  // What only a run tells: an argument behind the others.
  auto addGiven = [&] {
    addPart(name, ".given", ::onnx::TensorProto::BOOL, "", tensors).mutable_shape()->clear_dim();
    tensors.back().isPart = true;
  };
  if (isMaybe && !isSequence) {
    value.kind = "maybe tensor";
    value.count = 2;
    // What is not there has sizes of its own.
    tensors.push_back({name, name, &type->tensor_type(), /*isElement=*/true, std::nullopt});
    addGiven();
    return value;
  }
  if (auto rank = isSequence ? getPackedRank(name, type->tensor_type()) : std::nullopt) {
    if (*rank > kMaxRank)
      return refuse("has elements of rank " + Twine(*rank) + ", expected at most " + Twine(kMaxRank));
    value.kind = isMaybe ? "maybe packed" : isOptional ? "optional packed" : "packed";
    value.count = 2 + isMaybe;
    value.element = &type->tensor_type();
    (void)addPart(name, ".data", value.element->elem_type(), "", tensors);
    auto &shapes = addPart(name, ".shapes", ::onnx::TensorProto::INT64, "", tensors);
    shapes.mutable_shape()->add_dim()->set_dim_value(*rank);
    for (InputTensor &part : MutableArrayRef(tensors).take_back(2))
      part.isPart = true;
    if (isMaybe)
      addGiven();
    return value;
  }
  auto given = getLength(options, name, !isOptional && !isSequence);
  StringRef cure = " must be known at compile time; say so with --input-length ";
  if (!given && isSequence && !type->tensor_type().has_shape())
    return refuse("is a sequence of tensors of unknown rank; give their shape with --input-shape " + name + "=?x3");
  if (!given)
    return refuse((isOptional ? "is an optional sequence: whether it is there and how many elements it has"
                              : "is a sequence: how many elements it has") +
                  cure + name + "=3" + (isOptional ? " or " + name + "=none" : ""));
  std::optional<int64_t> length = *given;
  if (isOptional && !isSequence && length == 0)
    length = std::nullopt;
  if (isOptional && !length) {
    value.kind = "optional nothing";
    return value;
  }
  if (!length)
    return refuse(isSequence ? "is a sequence: it has a number of elements, found none at all"
                             : "is a tensor, found none");
  if (!isSequence && *length != 1)
    return refuse("is one tensor, found " + Twine(*length) + " elements");
  if (*length < 0 || *length > kMaxLength)
    return refuse("has " + Twine(*length) + " elements, expected 0 to " + Twine(kMaxLength));

  value.kind = isSequence ? "sequence" : "tensor";
  if (isOptional)
    value.kind = "optional " + value.kind;
  value.count = *length;
  auto shown = options.examples.find(name);
  bool isShown = shown != options.examples.end() && shown->second && int64_t(shown->second->size()) == *length;
  for (int64_t i = 0; i < *length; ++i)
    tensors.push_back({isSequence ? name + "[" + std::to_string(i) + "]" : name, name, &type->tensor_type(),
                       isSequence, isShown ? std::optional(int64_t((*shown->second)[i].size())) : std::nullopt});
  return value;
}

SmallVector<const ValueInfoProto *> frontend::listGivenInputs(const ::onnx::GraphProto &graph) {
  llvm::StringSet<> initialized;
  for (const auto &tensor : graph.initializer())
    initialized.insert(tensor.name());
  SmallVector<const ValueInfoProto *> inputs;
  for (const ValueInfoProto &input : graph.input())
    if (!initialized.contains(input.name()))
      inputs.push_back(&input);
  return inputs;
}

bool GraphImporter::flattenInputs(const ::onnx::GraphProto &graph, SmallVectorImpl<InputValue> &values,
                                  SmallVectorImpl<InputTensor> &tensors) {
  for (const ValueInfoProto *input : listGivenInputs(graph))
    values.push_back(flattenInput(*input, tensors));
  // Two inputs of one name are reported with the graph's other names.
  llvm::StringMap<StringRef> taken;
  for (const InputTensor &tensor : tensors) {
    auto [other, isNew] = taken.try_emplace(tensor.name, tensor.input);
    if (!isNew && other->second != tensor.input)
      (void)error(modelLoc, "input " + quoted(tensor.name) + " is named as an element of another");
  }
  return bindSymbols(values, tensors);
}

/// Finds out which named dimensions the options fix, directly or by an input's
/// shape.
bool GraphImporter::bindSymbols(ArrayRef<InputValue> values, ArrayRef<InputTensor> tensors) {
  uint64_t errors = faultCount();
  llvm::StringMap<const InputTensor *> found; // by the names of inputs and their elements
  SmallVector<StringRef> names, symbols;
  llvm::StringSet<> known;
  auto addSymbols = [&](const ::onnx::TypeProto_Tensor &type) {
    for (const auto &dim : type.shape().dim())
      if (!dim.dim_param().empty() && known.insert(dim.dim_param()).second)
        symbols.push_back(dim.dim_param());
  };
  for (const InputValue &value : values) {
    names.push_back(value.proto->name());
    found[value.proto->name()] = nullptr;
    if (value.element)
      addSymbols(*value.element);
  }
  for (const InputTensor &tensor : tensors) {
    if (!tensor.isPart) // a shape is its elements': makePackedInput
      found[tensor.name] = found[tensor.input] = &tensor;
    addSymbols(*tensor.type);
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
  auto reportUnknown = [&](StringRef name) {
    (void)error(modelLoc, "no input is named " + quoted(name) +
                              "; the model's inputs are: " + list(names));
  };
  for (auto &[name, length] : options.inputLengths)
    if (!llvm::is_contained(names, name))
      reportUnknown(name);
  for (auto &[name, shape] : options.inputShapes) {
    auto place = found.find(name);
    if (place == found.end()) {
      reportUnknown(name);
      continue;
    }
    const InputTensor *tensor = place->second;
    if (!tensor || !tensor->type->has_shape())
      continue;
    const auto &declared = tensor->type->shape();
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
      if (dim.dim_param().empty() || tensor->isElement)
        continue;
      auto [bound, isNew] = symbolSizes.try_emplace(dim.dim_param(), size);
      if (!isNew && bound->second != size)
        (void)error(modelLoc, "dimension " + quoted(dim.dim_param()) +
                                  " is given the sizes " +
                                  Twine(bound->second) + " and " + Twine(size));
    }
  }
  return faultCount() == errors;
}

RankedTensorType GraphImporter::getInputType(const InputTensor &input, SmallVectorImpl<Attribute> &symbols) {
  auto refuse = [&](const Twine &why) {
    (void)error(modelLoc, "input " + quoted(input.name) + " " + why);
    return RankedTensorType();
  };
  const auto &tensor = *input.type;
  Type element = getElementType(&context, tensor.elem_type());
  if (!element)
    return refuse("has the element type " +
                  getDataTypeName(tensor.elem_type()) +
                  ", which is not supported");
  // A shape given for a sequence is each element's.
  auto fixed = options.inputShapes.find(input.name);
  if (fixed == options.inputShapes.end() && !input.isPart)
    fixed = options.inputShapes.find(input.input.str());
  bool isFixed = fixed != options.inputShapes.end();
  if (!tensor.has_shape() && !isFixed && !input.exampleRank)
    return refuse("has no shape; give one with --input-shape");
  int64_t rank = tensor.has_shape() ? tensor.shape().dim_size()
                 : isFixed          ? int64_t(fixed->second.size())
                                    : *input.exampleRank;
  if (rank > kMaxRank)
    return refuse("has rank " + Twine(rank) + ", expected at most " + Twine(kMaxRank));

  SmallVector<int64_t> shape;
  int64_t elements = 1, bytes = isa<nn::StringType>(element) ? 16 : llvm::divideCeil(element.getIntOrFloatBitWidth(), 8);
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
        else if (!input.isElement)
          symbol = dim.dim_param();
      }
    }
    shape.push_back(size);
    symbols.push_back(
        StringAttr::get(&context, ShapedType::isDynamic(size) ? symbol : ""));
    if (size > 0 && llvm::MulOverflow(bytes, size, bytes))
      return refuse("has sizes that overflow 64 bits");
    elements *= std::max<int64_t>(size, 1); // as bytes: no overflow
  }
  if (elements > nn::kMaxElements)
    return refuse("has " + Twine(elements) + " elements, expected at most " + Twine(nn::kMaxElements));
  return RankedTensorType::get(shape, element);
}

Value GraphImporter::makeInput(const InputValue &input, ArrayRef<Type> types, ValueRange arguments,
                               OpBuilder &builder) {
  if (input.kind.empty() || !llvm::all_of(types, [](Type type) { return bool(type); }))
    return {};
  StringRef kind = input.kind;
  bool isMaybe = kind.consume_front("maybe "), isOptional = kind.consume_front("optional ");
  Location loc = nn::getNodeLocation(&context, input.proto->name(), "Input");
  Value value;
  if (kind == "tensor")
    value = arguments.front();
  else if (kind == "sequence")
    value = makeSequence(builder, loc, arguments);
  else if (kind == "packed")
    value = makePackedInput(input, arguments, builder, loc);
  else if (kind == "map")
    value = makeMap(builder, loc, {arguments[0], arguments[1]});
  if (isMaybe && value)
    return makeRuntimeOptional(builder, loc, {arguments.back(), value});
  return isOptional && (value || input.count == 0) ? makeOptional(builder, loc, value) : value;
}
