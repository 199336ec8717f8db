//===- Inputs.cpp - The inputs of a run from the command line ---*- C++ -*-===//
#include "tools/nacre/Inputs.h"

using namespace nacre;
using namespace nacre::tool;
namespace cl = llvm::cl;

InputFlags::InputFlags(cl::SubCommand &command)
    : files("input", cl::sub(command), cl::value_desc("name=file.npy"), cl::desc("An input's value")),
      sizes("size", cl::sub(command), cl::value_desc("symbol=8"),
            cl::desc("A dynamic dimension's size, for random inputs (default 1)")),
      seed("random", cl::sub(command), cl::value_desc("seed"),
           cl::desc("Fill the other inputs with random values")) {}

Result<std::vector<HostTensor>> InputFlags::read(const Function &function, bool alwaysRandom) const {
  std::map<std::string, std::string, std::less<>> paths;
  for (const std::string &text : files) {
    auto [name, path] = llvm::StringRef(text).split('=');
    if (path.empty())
      return Error{NACRE_INVALID_ARGUMENT, "--input " + text + ": expected name=file"};
    paths[name.str()] = path.str();
  }
  std::map<std::string, int64_t, std::less<>> symbols;
  for (const std::string &text : sizes) {
    auto [name, size] = llvm::StringRef(text).split('=');
    int64_t value = 0;
    if (size.getAsInteger(10, value) || value < 0)
      return Error{NACRE_INVALID_ARGUMENT, "--size " + text + ": expected symbol=size"};
    symbols[name.str()] = value;
  }

  std::vector<HostTensor> tensors;
  std::string missing;
  for (const TensorInfo &info : function.inputs) {
    if (auto path = paths.find(info.name); path != paths.end()) {
      Result<HostTensor> tensor = readNpy(path->second);
      if (!tensor)
        return tensor.error();
      tensors.push_back(std::move(*tensor));
      paths.erase(path);
      continue;
    }
    if (!alwaysRandom && seed.getNumOccurrences() == 0) {
      missing += "\n  " + std::string(info.name) + ": " + describe(info);
      continue;
    }
    std::vector<int64_t> dims;
    for (const Dim &dim : info.dims) {
      auto known = symbols.find(dim.symbol);
      dims.push_back(dim.size >= 0 ? dim.size : known != symbols.end() ? known->second : 1);
    }
    tensors.push_back(makeRandom(info.dtype, dims, seed + tensors.size()));
  }
  if (!missing.empty())
    return Error{NACRE_INVALID_ARGUMENT,
                 "inputs without a value (use --input name=file.npy or --random seed):" + missing};
  if (!paths.empty()) {
    std::string names;
    for (const TensorInfo &info : function.inputs)
      names += "\n  " + std::string(info.name) + ": " + describe(info);
    return Error{NACRE_NOT_FOUND, "the model has no input '" + paths.begin()->first + "'; its inputs are:" + names};
  }
  return tensors;
}
