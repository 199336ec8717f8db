//===- Versions.h - One model for several CPUs ------------------*- C++ -*-===//
#ifndef NACRE_COMPILER_CODEGEN_VERSIONS_H
#define NACRE_COMPILER_CODEGEN_VERSIONS_H

#include "compiler/codegen/Codegen.h"

namespace nacre::codegen {

/// The symbol of a function of a version of the model, numbered from 0.
std::string getRunSymbol(unsigned version, llvm::StringRef function);

/// The code of each version as one object that shows nothing but its functions, and the
/// libraries that any of them calls, once. Of a model without fallbacks, its objects as they are.
llvm::Expected<std::vector<Object>> joinVersions(const CompiledModule &compiled);

} // namespace nacre::codegen

#endif // NACRE_COMPILER_CODEGEN_VERSIONS_H
