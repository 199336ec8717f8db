//===- Artifact.h - The binary kinds of a model's file ----------*- C++ -*-===//
#ifndef NACRE_COMPILER_CODEGEN_ARTIFACT_H
#define NACRE_COMPILER_CODEGEN_ARTIFACT_H

#include "compiler/codegen/Codegen.h"
#include "compiler/support/OutputFile.h"

namespace nacre::codegen {

/// Writes a shared library, a program or an object (of a static library: its only member) into
/// a file that will be called `target`.
llvm::Error writeBinary(const CompiledModule &compiled, FileKind kind, llvm::StringRef name,
                        llvm::StringRef target, OutputFile &file);

/// The object with only the given symbols to be seen from outside, under new names, so that two
/// models can be part of one program.
llvm::Expected<std::unique_ptr<llvm::MemoryBuffer>>
hideSymbols(llvm::MemoryBufferRef object, llvm::ArrayRef<std::pair<std::string, std::string>> visible);

/// All code of a model as one module's text: LLVM IR, or assembly.
llvm::Expected<std::string> printCode(const CompiledModule &compiled, bool asAssembly);

} // namespace nacre::codegen

#endif // NACRE_COMPILER_CODEGEN_ARTIFACT_H
