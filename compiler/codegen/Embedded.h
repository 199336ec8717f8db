//===- Embedded.h - What is linked into models ------------------*- C++ -*-===//
//
// Objects that the compiler carries inside (runtime/CMakeLists.txt makes them), so that
// a model needs nothing beside it. Each needs libc alone.
//
//===----------------------------------------------------------------------===//
#ifndef NACRE_COMPILER_CODEGEN_EMBEDDED_H
#define NACRE_COMPILER_CODEGEN_EMBEDDED_H

#include "llvm/Support/Error.h"
#include "llvm/Support/MemoryBufferRef.h"
#include "llvm/TargetParser/Triple.h"

namespace nacre::codegen {

/// The library for what is not numeric (runtime/host), the runtime, and the program that an
/// executable is (runtime/main).
enum class Embedded { Host, Runtime, Main };

/// One relocatable object for any CPU of the machine; an error if this build has none.
llvm::Expected<llvm::MemoryBufferRef> getEmbedded(Embedded what, const llvm::Triple &machine);

} // namespace nacre::codegen

#endif // NACRE_COMPILER_CODEGEN_EMBEDDED_H
