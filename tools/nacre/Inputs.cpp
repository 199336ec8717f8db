//===- Inputs.cpp - The inputs of a run from the command line ---*- C++ -*-===//
#include "tools/nacre/Inputs.h"
#include "tools/nacre/TensorFiles.h"

using namespace nacre;
using namespace nacre::tool;
namespace cl = llvm::cl;

InputFlags::InputFlags(cl::SubCommand &command)
    : files("input", cl::sub(command), cl::value_desc("name=file"),
            cl::desc("An input's value: .npy, .npz[:key] or .pb (ONNX TensorProto)")),
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

Result<std::map<std::string, HostTensor, std::less<>>> InputFlags::readFiles() const {
  std::map<std::string, HostTensor, std::less<>> values;
  for (const std::string &path : archives) {
    Result<Archive> archive = Archive::open(path);
    if (!archive)
      return archive.error();
    for (const ArchiveEntry &entry : archive->getEntries()) {
      Result<HostTensor> tensor = archive->read(entry);
      if (!tensor)
        return tensor.error();
      if (!values.try_emplace(entry.name, *std::move(tensor)).second)
        return Error{NACRE_INVALID_VALUE, path + ": a second value for the input '" + entry.name + "'"};
    }
  }
  for (const auto &[name, place] : places) { // a single file goes before an archive
    Result<HostTensor> tensor = readTensor(place, name);
    if (!tensor)
      return tensor.error();
    values[name] = *std::move(tensor);
  }
  return values;
}

Result<std::vector<HostTensor>> InputFlags::read(const Function &function, bool alwaysRandom) const {
  auto values = readFiles();
  if (!values)
    return values.error();
  std::vector<HostTensor> tensors;
  std::string missing, known;
  for (const TensorInfo &info : function.inputs) {
    std::string line = "\n  " + std::string(info.name) + ": " + toString(info);
    known += line;
    if (auto value = values->find(info.name); value != values->end()) {
      tensors.push_back(std::move(value->second));
      values->erase(value);
      continue;
    }
    if (!alwaysRandom && seed.getNumOccurrences() == 0) {
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
    tensors.push_back(makeRandom(info.dtype, dims, seed + tensors.size()));
  }
  if (!values->empty())
    return Error{NACRE_NOT_FOUND, "the model has no input '" + values->begin()->first + "'; its inputs are:" + known};
  if (!missing.empty())
    return Error{NACRE_INVALID_ARGUMENT,
                 "inputs without a value (use --input name=file or --random seed):" + missing};
  return tensors;
}
