//===- Passes.h - Passes of the lower phase ------------------------*- C++ -*-===//
#ifndef NACRE_COMPILER_LOWER_PASSES_H
#define NACRE_COMPILER_LOWER_PASSES_H

#include "mlir/Pass/Pass.h"

namespace nacre::lower {

#define GEN_PASS_DECL
#include "compiler/lower/Passes.h.inc"
#define GEN_PASS_REGISTRATION
#include "compiler/lower/Passes.h.inc"

} // namespace nacre::lower

#endif // NACRE_COMPILER_LOWER_PASSES_H
