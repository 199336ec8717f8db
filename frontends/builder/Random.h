//===- Random.h - Random numbers by their place -----------------*- C++ -*-===//
#ifndef NACRE_FRONTENDS_BUILDER_RANDOM_H
#define NACRE_FRONTENDS_BUILDER_RANDOM_H

#include <array>
#include <cmath>
#include <cstdint>
#include <numbers>

namespace nacre::builder {

/// Philox4x32-10 (Salmon et al., Parallel Random Numbers: As Easy as 1, 2, 3; 2011): four
/// words that depend on key and counter alone.
inline std::array<uint32_t, 4> philox(uint64_t key, uint64_t stream, uint64_t counter) {
  std::array<uint32_t, 4> x{uint32_t(counter), uint32_t(counter >> 32), uint32_t(stream), uint32_t(stream >> 32)};
  uint32_t k0 = uint32_t(key), k1 = uint32_t(key >> 32);
  for (int round = 0; round < 10; ++round) {
    uint64_t a = uint64_t(0xD2511F53) * x[0], b = uint64_t(0xCD9E8D57) * x[2];
    x = {uint32_t(b >> 32) ^ x[1] ^ k0, uint32_t(b), uint32_t(a >> 32) ^ x[3] ^ k1, uint32_t(a)};
    k0 += 0x9E3779B9;
    k1 += 0xBB67AE85;
  }
  return x;
}

/// The numbers of one stream, in order.
class RandomStream {
public:
  RandomStream(uint64_t seed, uint64_t stream) : seed(seed), stream(stream) {}

  /// In [0, 1), in steps of 2^-53.
  double uniform() {
    if (left == 0) {
      words = philox(seed, stream, counter++);
      left = 2;
    }
    --left;
    uint64_t bits = uint64_t(words[2 * left]) << 32 | words[2 * left + 1];
    return double(bits >> 11) * 0x1p-53;
  }

  /// Of mean 0 and deviation 1 (Box and Muller).
  double normal() {
    if (hasSpare) {
      hasSpare = false;
      return spare;
    }
    double radius = std::sqrt(-2 * std::log1p(-uniform())), angle = 2 * std::numbers::pi * uniform();
    spare = radius * std::sin(angle);
    hasSpare = true;
    return radius * std::cos(angle);
  }

private:
  uint64_t seed, stream, counter = 0;
  std::array<uint32_t, 4> words{};
  int left = 0;
  double spare = 0;
  bool hasSpare = false;
};

} // namespace nacre::builder

#endif // NACRE_FRONTENDS_BUILDER_RANDOM_H
