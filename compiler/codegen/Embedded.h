//===- Embedded.h - What is linked into models ------------------*- C++ -*-===//
//
// Objects that the compiler carries inside (runtime/CMakeLists.txt makes them), so that
// a model needs nothing beside it. Each needs libc alone.
//
//===----------------------------------------------------------------------===//
#ifndef NACRE_COMPILER_CODEGEN_EMBEDDED_H
#define NACRE_COMPILER_CODEGEN_EMBEDDED_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/MemoryBufferRef.h"
#include "llvm/TargetParser/Triple.h"

namespace nacre::codegen {

/// The library for what is not numeric (runtime/host), the runtime, the program that an
/// executable is (runtime/main), and the parts of the library that are made of other
/// libraries: regular expressions (runtime/regex) and images (runtime/images).
enum class Embedded { Host, Runtime, Main, Regex, Images };

/// The identifier of the last two.
inline constexpr llvm::StringLiteral kLibraryName = "nacre.part";

/// What they have for models to call. An object in this process calls
/// `address` instead.
struct LibraryFunction {
  Embedded library;
  llvm::StringRef symbol;
  void *address;
};
llvm::ArrayRef<LibraryFunction> getLibraryFunctions();

/// One relocatable object for any CPU of the machine; an error if this build has none.
llvm::Expected<llvm::MemoryBufferRef> getEmbedded(Embedded what, const llvm::Triple &machine);

} // namespace nacre::codegen

#endif // NACRE_COMPILER_CODEGEN_EMBEDDED_H
