//===- HostTensor.cpp - Tensors in the tool's memory ------------*- C++ -*-===//
#include "tools/nacre/HostTensor.h"
#include "compiler/api/RandomElements.h"
#include "runtime/abi/nacre_dtype.h"
#include "llvm/Support/MathExtras.h"

using namespace nacre;
using namespace nacre::tool;

std::optional<size_t> tool::getByteSize(nacre_dtype dtype, std::span<const int64_t> dims) {
  int64_t count = 1;
  for (int64_t dim : dims)
    if (dim < 0 || llvm::MulOverflow(count, dim, count))
      return std::nullopt;
  int64_t bytes = nacre_abi_dtype_bytes(dtype, count);
  return bytes < 0 ? std::nullopt : std::optional<size_t>(size_t(bytes));
}

HostTensor tool::makeStrings(std::vector<int64_t> dims, std::vector<std::string> strings) {
  HostTensor tensor{NACRE_STRING, std::move(dims), {}, {}};
  std::vector<nacre_string> elements;
  tensor.text = std::make_shared<const std::vector<std::string>>(std::move(strings));
  for (const std::string &string : *tensor.text)
    elements.push_back({string.data(), int64_t(string.size())});
  auto bytes = std::as_bytes(std::span(elements));
  tensor.data.assign(bytes.begin(), bytes.end());
  return tensor;
}

std::string tool::describe(nacre_dtype dtype, std::span<const int64_t> dims) {
  std::string text = nacre_dtype_name(dtype);
  text += '[';
  for (size_t i = 0; i < dims.size(); ++i)
    text += (i ? ", " : "") + std::to_string(dims[i]);
  return text + ']';
}

HostTensor tool::makeRandom(nacre_dtype dtype, std::span<const int64_t> dims, uint64_t seed) {
  HostTensor tensor{dtype, {dims.begin(), dims.end()}, {}, {}};
  tensor.data.resize(getByteSize(dtype, dims).value_or(0));
  fillWithRandom(dtype, tensor.data, seed);
  return tensor;
}
