//===- Cache.h - The cache of compiled kernels ------------------*- C++ -*-===//
//
// Compilations keep the code of each kernel in a folder (CompileOptions::cacheDirectory)
// and find it again by its contents, the target and the compiler's version, in whatever
// model it comes. Any number of processes may share the folder. Its files are checked
// for damage, not for malice: a folder that other users can write to is refused.
//
//===----------------------------------------------------------------------===//
#ifndef NACRE_COMPILER_API_CACHE_H
#define NACRE_COMPILER_API_CACHE_H

#include "compiler/api/Compiler.h"
#include "compiler/codegen/CachedKernel.h"

namespace nacre {

/// Whether the cache has what a model needs.
struct KernelLookup {
  std::string name;
  bool isCached = false;
  std::string reason; // why not
};

/// The folder that compilations use unless told otherwise; empty if there is none.
std::string getDefaultCacheDirectory();

/// What a folder holds; nothing if it does not exist.
Result<std::vector<CachedKernel>> listCache(const std::string &directory);

/// Removes all entries, and says how many there were. Other files stay.
Result<int64_t> clearCache(const std::string &directory);

/// Looks up what compiling the model with these options would need, in the order of
/// names, and compiles nothing.
Result<std::vector<KernelLookup>> explainCache(const std::string &path, const CompileOptions &options);

} // namespace nacre

#endif // NACRE_COMPILER_API_CACHE_H
