//===- Identifiers.h - Names of models as C identifiers ---------*- C++ -*-===//
#ifndef NACRE_COMPILER_CODEGEN_IDENTIFIERS_H
#define NACRE_COMPILER_CODEGEN_IDENTIFIERS_H

#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/ADT/StringSet.h"
#include <string>

namespace nacre::codegen {

/// The name as an identifier of C and C++: what cannot be part of one becomes '_', a word of
/// the languages gets one more.
std::string makeIdentifier(llvm::StringRef name);

/// "run" for "main"; a training step is called "step".
inline std::string getFunctionSuffix(llvm::StringRef function) {
  return function == "main" ? "run" : makeIdentifier(function);
}

/// Gives each name an identifier of its own.
class UniqueIdentifiers {
public:
  std::string add(llvm::StringRef name);

private:
  llvm::StringSet<> taken;
};

} // namespace nacre::codegen

#endif // NACRE_COMPILER_CODEGEN_IDENTIFIERS_H
