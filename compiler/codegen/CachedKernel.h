//===- CachedKernel.h - An entry of the cache of kernels --------*- C++ -*-===//
#ifndef NACRE_COMPILER_CODEGEN_CACHEDKERNEL_H
#define NACRE_COMPILER_CODEGEN_CACHEDKERNEL_H

#include <cstdint>
#include <string>

namespace nacre {

/// The code of a kernel (or of the host functions that call kernels) in the cache.
struct CachedKernel {
  std::string file; // its name in the folder
  int64_t bytes = 0;
  int64_t lastUse = 0;    // seconds since 1970
  bool isCorrupt = false; // will be discarded when it is asked for
  std::string name, cpu, features, compiler; // empty if it is corrupt
};

} // namespace nacre

#endif // NACRE_COMPILER_CODEGEN_CACHEDKERNEL_H
