//===- Passes.h - Passes of the codegen phase ------------------------*- C++ -*-===//
#ifndef NACRE_COMPILER_CODEGEN_PASSES_H
#define NACRE_COMPILER_CODEGEN_PASSES_H

#include "mlir/Pass/Pass.h"

namespace nacre::codegen {

#define GEN_PASS_DECL
#include "compiler/codegen/Passes.h.inc"
#define GEN_PASS_REGISTRATION
#include "compiler/codegen/Passes.h.inc"

} // namespace nacre::codegen

#endif // NACRE_COMPILER_CODEGEN_PASSES_H
