//===- HostTensor.h - Tensors in the tool's memory --------------*- C++ -*-===//
#ifndef NACRE_TOOLS_NACRE_HOSTTENSOR_H
#define NACRE_TOOLS_NACRE_HOSTTENSOR_H

#include "runtime/api/nacre.hpp"
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace nacre::tool {

/// A row-major tensor that owns its elements. Those of strings are nacre_strings, whose
/// bytes `text` keeps.
struct HostTensor {
  nacre_dtype dtype = NACRE_UNDEFINED;
  std::vector<int64_t> dims;
  std::vector<std::byte> data;
  std::shared_ptr<const std::vector<std::string>> text;

  TensorView view() const { return TensorView(data.data(), dtype, dims); }
};

/// The bytes of all elements, packed where they are below a byte; nullopt on overflow, a
/// negative size, or a type that has none, as strings.
std::optional<size_t> getByteSize(nacre_dtype dtype, std::span<const int64_t> dims);

/// A tensor of strings; as many as the dims say.
HostTensor makeStrings(std::vector<int64_t> dims, std::vector<std::string> strings);

/// "f32[2, 3]".
std::string describe(nacre_dtype dtype, std::span<const int64_t> dims);

/// Random elements for an input: normal floats, small integers. The same for a seed.
HostTensor makeRandom(nacre_dtype dtype, std::span<const int64_t> dims, uint64_t seed);

} // namespace nacre::tool

#endif // NACRE_TOOLS_NACRE_HOSTTENSOR_H
