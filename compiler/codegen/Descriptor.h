//===- Descriptor.h - The nacre_abi_model as an object ----------*- C++ -*-===//
#ifndef NACRE_COMPILER_CODEGEN_DESCRIPTOR_H
#define NACRE_COMPILER_CODEGEN_DESCRIPTOR_H

#include "compiler/codegen/Codegen.h"

namespace nacre::codegen {

/// The section of parameters in an artefact, and the symbol at its start.
inline constexpr char kParameterSection[] = ".nacre.parameters";
/// The symbols of the fallbacks' descriptors, followed by a number.
inline constexpr llvm::StringLiteral kFallbackPrefix = "nacre_model.";

/// An object with the constant `nacre_model`. With `hasSection` it refers to a
/// section of parameters, which the object declares with no contents.
llvm::Expected<std::unique_ptr<llvm::MemoryBuffer>> makeDescriptor(const CompiledModule &compiled,
                                                                   bool hasSection);

} // namespace nacre::codegen

#endif // NACRE_COMPILER_CODEGEN_DESCRIPTOR_H
