//===- ModuleText.h - Modules as files --------------------------*- C++ -*-===//
#ifndef NACRE_COMPILER_API_MODULETEXT_H
#define NACRE_COMPILER_API_MODULETEXT_H

#include "mlir/IR/BuiltinOps.h"
#include <string>

namespace nacre {

/// The dialects that modules may be written in.
const mlir::DialectRegistry &getDialects();

/// The module with the names of its nodes and all weights: the same text for the same module.
std::string printComplete(mlir::ModuleOp module);

} // namespace nacre

#endif // NACRE_COMPILER_API_MODULETEXT_H
