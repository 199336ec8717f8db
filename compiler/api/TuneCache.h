//===- TuneCache.h - What was learnt of kernels, on disk --------*- C++ -*-===//
#ifndef NACRE_COMPILER_API_TUNECACHE_H
#define NACRE_COMPILER_API_TUNECACHE_H

#include "compiler/api/Tuner.h"
#include "compiler/codegen/KernelCache.h"

namespace nacre {

/// Entries of the cache of kernels, one for each choice, under all that a measurement depends on: the choice's
/// key, the CPU and its features, the compiler's version, threads, and of open kernels the run's sizes. So they
/// appear complete or not at all, and are listed, pruned and cleared as kernels are.
class TuneCache {
public:
  TuneCache(codegen::KernelCache &cache, codegen::CpuTarget target, int32_t threads, std::map<std::string, int64_t> sizes)
      : cache(cache), target(std::move(target)), threads(threads), sizes(std::move(sizes)) {}

  /// Nothing too if what is there is damaged.
  std::optional<LearntChoice> find(const KernelChoice &choice);
  void store(const KernelChoice &choice, const LearntChoice &learnt);

private:
  codegen::CacheKey getKey(const KernelChoice &choice) const;

  codegen::KernelCache &cache;
  codegen::CpuTarget target;
  int32_t threads;
  std::map<std::string, int64_t> sizes;
};

} // namespace nacre

#endif // NACRE_COMPILER_API_TUNECACHE_H
