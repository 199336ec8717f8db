//===- RandomElements.h - Random values for an input ------------*- C++ -*-===//
#ifndef NACRE_COMPILER_API_RANDOMELEMENTS_H
#define NACRE_COMPILER_API_RANDOMELEMENTS_H

#include "runtime/api/nacre.hpp"
#include "runtime/abi/nacre_dtype.h"
#include <random>
#include <span>

namespace nacre {

/// Many integers are indices: into a vocabulary, or of two kinds of words. Those of a first run are below this.
inline constexpr uint64_t kIntegerLimit = 8;

/// Runs on random values; as long as that fails, with smaller integers, below `limit`. It is left at the last one.
template <typename Run> auto tryIntegers(uint64_t &limit, Run run) {
  for (;; limit = limit > 2 ? 2 : 1)
    if (auto result = run(); result || limit == 1 || result.error().status == NACRE_CANCELLED)
      return result;
}

/// Fills the memory of a tensor: normal floats, integers from 0 to below `integers`. The same for a seed.
inline void fillWithRandom(nacre_dtype dtype, std::span<std::byte> data, uint64_t seed, uint64_t integers = kIntegerLimit) {
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
    T *elements = reinterpret_cast<T *>(data.data());
    for (size_t i = 0; i < data.size() / sizeof(T); ++i)
      elements[i] = T(draw());
  };
  auto small = [&] { return engine() % integers; };
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
}

} // namespace nacre

#endif // NACRE_COMPILER_API_RANDOMELEMENTS_H
