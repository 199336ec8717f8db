//===- Prepare.h - Compute parameters in the compiler -----------*- C++ -*-===//
#ifndef NACRE_COMPILER_CODEGEN_PREPARE_H
#define NACRE_COMPILER_CODEGEN_PREPARE_H

#include "compiler/codegen/Codegen.h"

namespace nacre::codegen {

/// Runs @prepare, which writes the computed parameters into the section. If
/// `isFile`, the section is a shared mapping of a file: what is done is given
/// back to the system after each kernel.
llvm::Error prepareParameters(const PrepareCode &prepare, const ParameterTable &table, char *section,
                              bool isFile);

} // namespace nacre::codegen

#endif // NACRE_COMPILER_CODEGEN_PREPARE_H
