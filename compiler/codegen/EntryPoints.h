//===- EntryPoints.h - A model as typed C functions -------------*- C++ -*-===//
//
// m.so has functions of its own that a C program calls with nothing else: m_create, m_run,
// ... Their declarations are m.h; what they do is runtime/abi/nacre_entry.h.
//
//===----------------------------------------------------------------------===//
#ifndef NACRE_COMPILER_CODEGEN_ENTRYPOINTS_H
#define NACRE_COMPILER_CODEGEN_ENTRYPOINTS_H

#include "compiler/codegen/Codegen.h"

namespace nacre::codegen {

/// The first words of a header that Nacre has written, and may write again.
inline constexpr char kHeaderMark[] = "/* Made by nacre compile";

/// What functions of a model in a file of that name begin with: its stem as a C identifier
/// that is no word of C's, nor begins functions of the C library.
std::string makeEntryName(llvm::StringRef path);

/// Whether it was compiled for training: then its parameters can be saved and loaded.
bool isTrained(const CompiledModule &compiled);

/// The functions that a model has.
std::vector<std::string> getEntrySymbols(const CompiledModule &compiled, llvm::StringRef name);

/// An object with the functions.
llvm::Expected<std::unique_ptr<llvm::MemoryBuffer>> makeEntryPoints(const CompiledModule &compiled,
                                                                    llvm::StringRef name);

/// The header that declares them. `artifact` is the file with the functions.
std::string makeHeader(const CompiledModule &compiled, llvm::StringRef name,
                       llvm::StringRef artifact);

} // namespace nacre::codegen

#endif // NACRE_COMPILER_CODEGEN_ENTRYPOINTS_H
