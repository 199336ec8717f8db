//===- Inputs.cpp - The inputs of a run from the command line ---*- C++ -*-===//
#include "tools/nacre/Inputs.h"
#include "compiler/api/RandomElements.h"

using namespace nacre;
using namespace nacre::tool;
namespace cl = llvm::cl;

InputFlags::InputFlags(cl::SubCommand &command)
    : files("input", cl::sub(command), cl::value_desc("name=file"),
            cl::desc("An input's value: .npy, .npz[:key] or .pb (ONNX, also sequences)")),
      archives("inputs", cl::sub(command), cl::value_desc("file.npz"), cl::desc("Inputs by their names")),
      sizes("size", cl::sub(command), cl::value_desc("symbol=8"),
            cl::desc("A dynamic dimension's size, for random inputs (default 1)")),
      seed("random", cl::sub(command), cl::value_desc("seed"),
           cl::desc("Fill the other inputs with random values")) {}

bool InputFlags::parse(const CompileOptions &compiled) {
  for (const std::string &text : files) {
    auto [name, place] = llvm::StringRef(text).split('=');
    if (name.empty() || place.empty()) {
      fail("--input " + text + ": expected name=file", kUsageError);
      return false;
    }
    if (!places.try_emplace(name.str(), place.str()).second) {
      fail("--input " + text + ": the input '" + name.str() + "' has a value already", kUsageError);
      return false;
    }
  }
  for (const auto &[name, size] : compiled.dims)
    symbols[name] = size;
  for (const std::string &text : sizes) {
    auto [name, size] = llvm::StringRef(text).rsplit('=');
    int64_t value = 0;
    if (name.empty() || size.getAsInteger(10, value) || value < 0) {
      fail("--size " + text + ": expected symbol=size", kUsageError);
      return false;
    }
    symbols[name.str()] = value;
  }
  return true;
}

Status InputFlags::read(CompileOptions &options) {
  for (const std::string &path : archives) {
    Result<Archive> archive = Archive::open(path);
    if (!archive)
      return archive.error();
    for (const ArchiveEntry &entry : archive->getEntries()) {
      Result<HostTensor> tensor = archive->read(entry);
      if (!tensor)
        return tensor.error();
      if (!values.try_emplace(entry.name, Given{{{*std::move(tensor)}}, path}).second)
        return Error{NACRE_INVALID_VALUE, path + ": a second value for the input '" + entry.name + "'"};
    }
  }
  for (const auto &[name, place] : places) { // a single file goes before an archive
    Result<HostValue> value = readValue(place, name);
    if (!value)
      return value.error();
    values[name] = {*std::move(value), place};
  }
  for (const auto &[name, given] : values) {
    std::vector<std::vector<int64_t>> shapes;
    for (const HostTensor &tensor : given.value.tensors)
      shapes.push_back(tensor.dims);
    options.examples[name] = given.value.isNothing ? std::nullopt : std::optional(std::move(shapes));
  }
  return {};
}

/// Tensors as a packed sequence (nacre_value_info), whose parts have these types.
static Status pack(const std::string &file, llvm::ArrayRef<TensorInfo> parts, const std::vector<HostTensor> &elements,
                   std::vector<HostTensor> &tensors) {
  nacre_dtype dtype = parts[0].dtype;
  int64_t rank = parts[1].dims[1].size, length = 0;
  HostTensor data{dtype, {0}, {}, nullptr}, shapes{NACRE_I64, {int64_t(elements.size()), rank}, {}, nullptr};
  std::vector<std::string> text;
  int32_t bits = nacre_dtype_bits(dtype);
  bool isBelowByte = bits > 0 && bits < 8; // these are packed when all are there
  for (const HostTensor &element : elements) {
    if (element.dtype != dtype || int64_t(element.dims.size()) != rank)
      return Error{NACRE_INVALID_VALUE, file + ": found an element " + describe(element.dtype, element.dims) +
                                            ", expected " + nacre_dtype_name(dtype) + " of rank " + std::to_string(rank)};
    int64_t count = element.view().elements();
    length += count;
    if (element.text)
      text.insert(text.end(), element.text->begin(), element.text->end());
    if (isBelowByte) {
      data.data.resize(size_t(length));
      nacre_dtype_unpack(dtype, element.data.data(), count, data.data.data() + length - count);
    } else {
      data.data.insert(data.data.end(), element.data.begin(), element.data.end());
    }
    auto *sizes = reinterpret_cast<const std::byte *>(element.dims.data());
    shapes.data.insert(shapes.data.end(), sizes, sizes + element.dims.size() * sizeof(int64_t));
  }
  if (isBelowByte) {
    std::vector<std::byte> apart = std::exchange(data.data, std::vector<std::byte>(size_t(length * bits + 7) / 8));
    nacre_dtype_pack(dtype, apart.data(), length, data.data.data());
  }
  data.dims = {length};
  tensors.push_back(dtype == NACRE_STRING ? makeStrings({length}, std::move(text)) : std::move(data));
  tensors.push_back(std::move(shapes));
  return {};
}

/// What an optional holds that has no element: zeros, none of them where sizes are open.
static HostTensor makeStandIn(const TensorInfo &info) {
  HostTensor tensor{info.dtype, {}, {}, nullptr};
  for (const Dim &dim : info.dims)
    tensor.dims.push_back(std::max<int64_t>(dim.size, 0));
  if (info.dtype == NACRE_STRING)
    return makeStrings(tensor.dims, std::vector<std::string>(size_t(tensor.view().elements())));
  tensor.data.resize(getByteSize(info.dtype, tensor.dims).value_or(0));
  return tensor;
}

Status InputFlags::take(const ValueInfo &input, llvm::ArrayRef<TensorInfo> inputs, Given given,
                        std::vector<HostTensor> &tensors) const {
  if (input.isMaybe) {
    ValueInfo element = input;
    element.isMaybe = false;
    --element.count;
    bool isThere = !given.value.isNothing;
    if (!isThere)
      for (const TensorInfo &info : inputs.slice(size_t(element.first), size_t(element.count)))
        tensors.push_back(makeStandIn(info));
    else if (Status taken = take(element, inputs, std::move(given), tensors); !taken)
      return taken;
    tensors.push_back({NACRE_BOOL, {}, {std::byte(isThere)}, nullptr});
    return {};
  }
  size_t count = given.value.tensors.size();
  if (input.kind == NACRE_VALUE_PACKED && !given.value.isNothing)
    return pack(given.file, llvm::ArrayRef(inputs).slice(size_t(input.first), 2), given.value.tensors, tensors);
  bool fits = input.kind == NACRE_VALUE_NOTHING
                  ? count == 0
                  : input.kind != NACRE_VALUE_MAP && !given.value.isNothing && count == size_t(input.count);
  if (fits) {
    std::move(given.value.tensors.begin(), given.value.tensors.end(), std::back_inserter(tensors));
    return {};
  }
  auto describe = [](bool isNothing, size_t count) {
    return isNothing ? "nothing" : count == 1 ? "1 element" : std::to_string(count) + " elements";
  };
  std::string name(input.name), text = given.file + ": " + describe(given.value.isNothing, count);
  if (input.kind == NACRE_VALUE_MAP)
    return Error{NACRE_INVALID_VALUE, text + ", but the input '" + name + "' is a map; give its parts, '" + name +
                                          ".keys' and '" + name + ".values'"};
  if (input.kind == NACRE_VALUE_PACKED)
    return Error{NACRE_INVALID_VALUE, text + ", but the model was compiled for a sequence as the input '" + name + "'" +
                                          (input.isOptional ? "; compile it again with --input-length " + name + "=none" : "")};
  if (input.kind == NACRE_VALUE_TENSOR && !input.isOptional)
    return Error{NACRE_INVALID_VALUE, text + ", but the input '" + name + "' is one tensor"};
  std::string length = given.value.isNothing ? "none" : std::to_string(count);
  return Error{NACRE_INVALID_VALUE, text + ", but the model was compiled for " +
                                        describe(input.kind == NACRE_VALUE_NOTHING, size_t(input.count)) +
                                        " of the input '" + name + "'; compile it again with --input-length " + name +
                                        "=" + length};
}

Result<std::vector<HostTensor>> InputFlags::collect(const Function &function, bool alwaysRandom) {
  std::vector<HostTensor> tensors;
  std::string missing, known;
  for (const ValueInfo &input : function.inputValues) {
    known += "\n  " + std::string(input.name) + ": " + toString(input, function.inputs);
    if (auto given = values.find(input.name); given != values.end()) {
      Status taken = take(input, function.inputs, std::move(given->second), tensors);
      if (!taken)
        return taken.error();
      values.erase(given);
      continue;
    }
    bool isRandom = alwaysRandom || seed.getNumOccurrences() > 0;
    auto isGiven = [&] { return values.count(function.inputs[size_t(input.first)].name) > 0; };
    if (input.isMaybe && !isGiven()) { // may be left out
      Given nothing;
      nothing.value.isNothing = true;
      if (Status taken = take(input, function.inputs, std::move(nothing), tensors); !taken)
        return taken.error();
      continue;
    }
    if (input.kind == NACRE_VALUE_PACKED && !isGiven()) {
      if (!isRandom) {
        missing += "\n  " + std::string(input.name) + ": " + toString(input, function.inputs);
        continue;
      }
      // Of one element, whose sizes are 1.
      llvm::ArrayRef<TensorInfo> parts = llvm::ArrayRef(function.inputs).slice(size_t(input.first), 2);
      std::vector<int64_t> dims(size_t(parts[1].dims[1].size), 1);
      if (!getByteSize(parts[0].dtype, dims))
        return Error{NACRE_INVALID_VALUE, "no random values for the input '" + std::string(input.name) + "'"};
      HostTensor one = makeRandom(parts[0].dtype, dims, seed + tensors.size());
      randomTensors.push_back(tensors.size());
      if (Status packed = pack("--random", parts, {one}, tensors); !packed)
        return packed.error();
      continue;
    }
    for (int32_t i = input.first; i < input.first + input.count; ++i) {
      const TensorInfo &info = function.inputs[size_t(i)];
      if (auto given = values.find(info.name); given != values.end() && given->second.value.tensors.size() == 1) {
        tensors.push_back(std::move(given->second.value.tensors.front()));
        values.erase(given);
        continue;
      }
      std::string line = "\n  " + std::string(info.name) + ": " + toString(info);
      if (!isRandom) {
        missing += line;
        continue;
      }
      std::vector<int64_t> dims;
      for (const Dim &dim : info.dims) {
        auto size = symbols.find(dim.symbol);
        dims.push_back(dim.size >= 0 ? dim.size : size != symbols.end() ? size->second : 1);
      }
      if (!getByteSize(info.dtype, dims))
        return Error{NACRE_INVALID_VALUE, "no random values for the input" + line};
      randomTensors.push_back(tensors.size());
      tensors.push_back(makeRandom(info.dtype, dims, seed + tensors.size()));
    }
  }
  if (!values.empty())
    return Error{NACRE_NOT_FOUND, "the model has no input '" + values.begin()->first + "'; its inputs are:" + known};
  if (!missing.empty())
    return Error{NACRE_INVALID_ARGUMENT,
                 "inputs without a value (use --input name=file or --random seed):" + missing};
  return tensors;
}

void InputFlags::limitIntegers(std::vector<HostTensor> &tensors, uint64_t limit) const {
  for (size_t i : randomTensors)
    fillWithRandom(tensors[i].dtype, tensors[i].data, seed + i, limit);
}
