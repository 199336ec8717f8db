//===- Cache.cpp - The cache of compiled kernels ----------------*- C++ -*-===//
#include "compiler/api/Cache.h"
#include "compiler/codegen/KernelCache.h"
#include "llvm/ADT/STLFunctionalExtras.h"

using namespace nacre;

std::string nacre::getDefaultCacheDirectory() { return codegen::KernelCache::getDefaultDirectory(); }

/// Does something with a cache, or says why it cannot be opened.
template <typename T>
static Result<T> withCache(const std::string &directory,
                           llvm::function_ref<llvm::Expected<T>(codegen::KernelCache &)> use) {
  auto cache = codegen::KernelCache::open(directory, /*maxBytes=*/0);
  if (!cache)
    return Error{NACRE_IO_ERROR, llvm::toString(cache.takeError())};
  llvm::Expected<T> result = use(**cache);
  if (!result)
    return Error{NACRE_IO_ERROR, llvm::toString(result.takeError())};
  return *std::move(result);
}

Result<std::vector<CachedKernel>> nacre::listCache(const std::string &directory) {
  return withCache<std::vector<CachedKernel>>(directory, [](codegen::KernelCache &cache) { return cache.list(); });
}

Result<int64_t> nacre::clearCache(const std::string &directory) {
  return withCache<int64_t>(directory, [](codegen::KernelCache &cache) -> llvm::Expected<int64_t> {
    llvm::Expected<size_t> count = cache.clear();
    if (!count)
      return count.takeError();
    return int64_t(*count);
  });
}
