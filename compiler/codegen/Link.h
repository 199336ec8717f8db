//===- Link.h - Objects to one file, in process ----- ---------*- C++ -*-===//
#ifndef NACRE_COMPILER_CODEGEN_LINK_H
#define NACRE_COMPILER_CODEGEN_LINK_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/TargetParser/Triple.h"
#include <string>
#include <vector>

namespace nacre::codegen {

/// What objects become.
enum class LinkKind {
  /// A shared library that exports what is visible in the objects.
  Shared,
  /// A program that starts at `_start`.
  Program,
  /// One object.
  Relocatable,
};

struct LinkOptions {
  LinkKind kind = LinkKind::Shared;
  /// The machine.
  llvm::Triple triple;
  /// The objects declare a section of parameters: it becomes the last segment (or section),
  /// without contents.
  bool hasParameters = false;
  /// Under which programs that are linked with a shared library look for it.
  std::string soname;
  /// Symbols that an object keeps, with what they reach.
  std::vector<std::string> roots;
};

/// Links objects, keeping what is reached. What is linked completely needs libc and libm at
/// most; an undefined symbol is an error. One link runs at a time; others wait.
llvm::Expected<std::unique_ptr<llvm::MemoryBuffer>>
link(llvm::ArrayRef<llvm::MemoryBufferRef> objects, const LinkOptions &options);

/// The largest page that an operating system of the machine may have: segments start at one.
uint64_t getPageSize(const llvm::Triple &machine);

/// Where a library of the C library's is for the machine: this one's, or one whose C library is
/// installed for cross compilation, as Debian's packages put it.
llvm::Expected<std::string> findSystemLibrary(llvm::StringRef name, const llvm::Triple &machine);

} // namespace nacre::codegen

#endif // NACRE_COMPILER_CODEGEN_LINK_H
