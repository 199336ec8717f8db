//===- KernelCache.h - Compiled code kept on disk ---------------*- C++ -*-===//
//
// One file for each unit of code, named by what it was made of and what for:
//
//   llvmcache-<content>-<context>        (the prefix is that of LLVM's pruning)
//
// The content is the unit's IR before it becomes LLVM's. The context is all else that
// the object depends on: CPU, features, effort, and this version of the code generator.
//
//===----------------------------------------------------------------------===//
#ifndef NACRE_COMPILER_CODEGEN_KERNELCACHE_H
#define NACRE_COMPILER_CODEGEN_KERNELCACHE_H

#include "compiler/codegen/CachedKernel.h"
#include "compiler/codegen/CpuTarget.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/MemoryBuffer.h"
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace nacre::codegen {

/// What a unit of code is compiled from and for.
struct CacheKey {
  CacheKey(llvm::StringRef name, llvm::StringRef content, const CpuTarget &target, Effort effort);
  std::string fileName() const { return "llvmcache-" + content + "-" + context; }

  std::string name;             // of the kernel, for people
  std::string content, context; // hashes, as hexadecimal digits
  std::string cpu, features, compiler;
};

/// A folder of compiled code. Safe with any number of threads and processes: entries
/// appear complete or not at all, and what was altered or truncated is not used but
/// discarded. A failure to write costs time, not the compilation.
class KernelCache {
public:
  /// The folder that is used unless another is named: $NACRE_CACHE_DIR (empty: none),
  /// else $XDG_CACHE_HOME/nacre, else ~/.cache/nacre; nothing if there is no home.
  static std::string getDefaultDirectory();

  /// Fails if the folder is another user's or writable by others, whose code it could
  /// hold. The folder need not exist. More than `maxBytes` are pruned, the longest
  /// unused first.
  static llvm::Expected<std::unique_ptr<KernelCache>> open(llvm::StringRef directory, uint64_t maxBytes);

  /// The object that was stored under the key, or null.
  std::unique_ptr<llvm::MemoryBuffer> find(const CacheKey &key);
  /// Keeps an object. Does nothing after a first failure, which getWriteError tells.
  void store(const CacheKey &key, llvm::StringRef object);
  /// Brings the folder to its size if that was not done lately.
  void prune();

  std::vector<CachedKernel> list() const;
  /// Why a key has no entry, in words.
  std::string explainMiss(const CacheKey &key) const;
  /// Removes all entries; how many there were.
  llvm::Expected<size_t> clear();

  const std::string &getDirectory() const { return directory; }
  std::string getWriteError() const;
  size_t getHits() const { return hits; }
  size_t getMisses() const { return misses; }

private:
  KernelCache(llvm::StringRef directory, uint64_t maxBytes) : directory(directory), maxBytes(maxBytes) {}
  llvm::Error write(const CacheKey &key, llvm::StringRef object);

  std::string directory;
  uint64_t maxBytes;
  mutable std::mutex mutex; // of what follows
  std::string writeError;
  size_t hits = 0, misses = 0;
};

} // namespace nacre::codegen

#endif // NACRE_COMPILER_CODEGEN_KERNELCACHE_H
