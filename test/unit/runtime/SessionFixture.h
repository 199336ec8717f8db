// Functions of models for tests of sessions.
#ifndef NACRE_TEST_UNIT_RUNTIME_SESSIONFIXTURE_H
#define NACRE_TEST_UNIT_RUNTIME_SESSIONFIXTURE_H

#include "FakeModel.h"

#include <cstring>

namespace nacre::test {

template <typename T> T *outputOf(nacre_abi_context *c, int64_t count) {
  return static_cast<T *>(c->output(c, 0, 1, &count));
}

inline int32_t countThreads(nacre_abi_context *c, const nacre_abi_tensor *) {
  *outputOf<int64_t>(c, 1) = c->thread_count;
  return 0;
}

// Uses the arena, sizes that come as data, and scratch; y = x + 1 in the end.
inline int32_t useMemory(nacre_abi_context *c, const nacre_abi_tensor *inputs) {
  int64_t n = inputs[0].dims[0];
  auto *x = static_cast<const float *>(inputs[0].data);
  if (reinterpret_cast<uintptr_t>(c->arena) % 64 != 0)
    c->fail(c, NACRE_ABI_INVALID_VALUE, "the arena is not aligned");
  std::memset(c->arena, 0xAB, 1000);
  void *empty = c->allocate(c, 0);
  auto *copy = static_cast<float *>(c->allocate(c, 4 * n));
  auto *kept = static_cast<float *>(c->allocate(c, 4 * n)); // never released
  if (!copy || !kept || !empty)
    return NACRE_ABI_OUT_OF_MEMORY;
  std::memset(kept, 0, size_t(4 * n));
  std::memcpy(copy, x, size_t(4 * n));
  c->release(c, empty);
  c->release(c, nullptr);
  auto *outer = static_cast<float *>(c->scratch(c, 64));
  outer[0] = 1;
  float *y = outputOf<float>(c, n);
  parallelFor(c, n, 8, [&](nacre_abi_context *c, int64_t begin, int64_t end) {
    auto *s = static_cast<float *>(c->scratch(c, 4 * (end - begin)));
    auto *t = static_cast<float *>(c->scratch(c, 4 * (end - begin)));
    if (!s || !t)
      return;
    for (int64_t i = begin; i < end; ++i)
      s[i - begin] = copy[i], t[i - begin] = outer[0];
    // Serial here, and its scratch goes when it ends.
    parallelFor(c, end - begin, 1,
                [&](nacre_abi_context *c, int64_t b, int64_t e) {
                  c->scratch(c, 10000);
                  for (int64_t i = b; i < e; ++i)
                    s[i] += t[i];
                });
    std::memcpy(y + begin, s, size_t(4 * (end - begin)));
  });
  c->release(c, copy);
  return 0;
}

inline FakeModel &memoryModel(FakeModel &fake) {
  return fake.function("main", useMemory,
                       {fake.tensor("x", NACRE_DTYPE_F32, {"N"})},
                       {fake.tensor("y", NACRE_DTYPE_F32, {"N"})}, 1000);
}

} // namespace nacre::test

#endif // NACRE_TEST_UNIT_RUNTIME_SESSIONFIXTURE_H
