//===- HostTensor.cpp - Tensors in the tool's memory ------------*- C++ -*-===//
#include "tools/nacre/HostTensor.h"
#include "runtime/abi/nacre_dtype.h"
#include "llvm/Support/MathExtras.h"
#include <random>

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
  size_t bytes = getByteSize(dtype, dims).value_or(0);
  tensor.data.resize(bytes);
  std::mt19937_64 engine(seed);
  // Irwin-Hall: the sum of uniforms is the same on every platform, std::normal is not.
  auto normal = [&] {
    double sum = -6;
    for (int i = 0; i < 12; ++i)
      sum += double(engine() >> 11) * 0x1p-53;
    return sum;
  };
  auto fill = [&](auto example, auto draw) {
    using T = decltype(example);
    T *elements = reinterpret_cast<T *>(tensor.data.data());
    for (size_t i = 0; i < bytes / sizeof(T); ++i)
      elements[i] = T(draw());
  };
  auto small = [&] { return engine() % 8; };
  switch (dtype) {
  case NACRE_F32: fill(float(), normal); break;
  case NACRE_F64: fill(double(), normal); break;
  case NACRE_F16: // 0x3800 to 0x3bff is 0.5 to 1
    fill(uint16_t(), [&] { return 0x3800 + engine() % 0x400; });
    break;
  case NACRE_BF16: // 0x3f00 to 0x3f7f is 0.5 to 1
    fill(uint16_t(), [&] { return 0x3f00 + engine() % 0x80; });
    break;
  case NACRE_F8E8M0FNU: // powers of two about 1
    fill(uint8_t(), [&] { return 124 + engine() % 8; });
    break;
  case NACRE_F8E4M3FN: case NACRE_F8E4M3FNUZ: // about 1
    fill(uint8_t(), [&] { return 0x30 + engine() % 0x10; });
    break;
  case NACRE_F8E5M2: case NACRE_F8E5M2FNUZ:
    fill(uint8_t(), [&] { return 0x38 + engine() % 0x08; });
    break;
  case NACRE_I64: case NACRE_U64: fill(uint64_t(), small); break;
  case NACRE_I32: case NACRE_U32: fill(uint32_t(), small); break;
  case NACRE_I16: case NACRE_U16: fill(uint16_t(), small); break;
  case NACRE_BOOL: fill(uint8_t(), [&] { return engine() % 2; }); break;
  default: fill(uint8_t(), small); break;
  }
  return tensor;
}
