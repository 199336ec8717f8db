//===- Support.h - What is linked into models where called ------*- C++ -*-===//
#ifndef NACRE_COMPILER_CODEGEN_SUPPORT_H
#define NACRE_COMPILER_CODEGEN_SUPPORT_H

#include "compiler/codegen/CpuTarget.h"
#include "compiler/codegen/Embedded.h"
#include "llvm/ADT/ArrayRef.h"

namespace nacre::codegen {

/// Where a CPU lacks an instruction, LLVM calls a function of the compiler's
/// runtime library, which is neither in libc nor in libm. An object with those
/// that the given objects want, or null if they want none.
llvm::Expected<std::unique_ptr<llvm::MemoryBuffer>>
makeSupport(llvm::ArrayRef<llvm::MemoryBufferRef> objects, const CpuTarget &target);

/// The parts of the host library that objects call.
llvm::Expected<llvm::SmallVector<Embedded>> findHostLibraries(llvm::ArrayRef<llvm::MemoryBufferRef> objects);

} // namespace nacre::codegen

#endif // NACRE_COMPILER_CODEGEN_SUPPORT_H
