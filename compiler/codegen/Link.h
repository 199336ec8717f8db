//===- Link.h - Objects to a shared library, in process ---------*- C++ -*-===//
#ifndef NACRE_COMPILER_CODEGEN_LINK_H
#define NACRE_COMPILER_CODEGEN_LINK_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/MemoryBufferRef.h"

namespace nacre::codegen {

/// Links the objects into a shared library that exports `nacre_model` and keeps
/// what it reaches. If the objects declare a section of parameters, it is the
/// last segment, without contents. Needs libc and libm at most; an undefined
/// symbol is an error. One link runs at a time; others wait.
llvm::Error link(llvm::ArrayRef<llvm::MemoryBufferRef> objects, bool hasParameters,
                 llvm::StringRef path);

} // namespace nacre::codegen

#endif // NACRE_COMPILER_CODEGEN_LINK_H
