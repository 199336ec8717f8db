//===- HostTensor.h - Tensors in files --------------------------*- C++ -*-===//
#ifndef NACRE_TOOLS_NACRE_HOSTTENSOR_H
#define NACRE_TOOLS_NACRE_HOSTTENSOR_H

#include "runtime/api/nacre.hpp"
#include <string>
#include <vector>

namespace nacre::tool {

/// A row-major tensor that owns its elements.
struct HostTensor {
  nacre_dtype dtype = NACRE_UNDEFINED;
  std::vector<int64_t> dims;
  std::vector<std::byte> data;

  TensorView view() const { return TensorView(data.data(), dtype, dims); }
};

/// The product of the sizes times the element's size; nullopt on overflow, a negative
/// size, or a type without whole bytes.
std::optional<size_t> getByteSize(nacre_dtype dtype, std::span<const int64_t> dims);

/// Reads a .npy file of any memory order (format 1 to 3). Fortran order is transposed.
Result<HostTensor> readNpy(const std::string &path);

/// Whether NumPy has the element type.
bool isNpyType(nacre_dtype dtype);

/// Writes a .npy file: beside, then renamed.
Status writeNpy(const std::string &path, const TensorView &tensor);

/// Random elements for an input: normal floats, small integers. The same for a seed.
HostTensor makeRandom(nacre_dtype dtype, std::span<const int64_t> dims, uint64_t seed);

} // namespace nacre::tool

#endif // NACRE_TOOLS_NACRE_HOSTTENSOR_H
