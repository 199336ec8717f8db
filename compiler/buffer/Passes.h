//===- Passes.h - Passes of the buffer phase ------------------------*- C++ -*-===//
#ifndef NACRE_COMPILER_BUFFER_PASSES_H
#define NACRE_COMPILER_BUFFER_PASSES_H

#include "mlir/Pass/Pass.h"

namespace nacre::buffer {

#define GEN_PASS_DECL
#include "compiler/buffer/Passes.h.inc"
#define GEN_PASS_REGISTRATION
#include "compiler/buffer/Passes.h.inc"

} // namespace nacre::buffer

#endif // NACRE_COMPILER_BUFFER_PASSES_H
