//===- Passes.h - Passes of training --------------------------------*- C++ -*-===//
#ifndef NACRE_COMPILER_TRAIN_PASSES_H
#define NACRE_COMPILER_TRAIN_PASSES_H

#include "mlir/Pass/Pass.h"

namespace nacre::train {

#define GEN_PASS_DECL
#include "compiler/train/Passes.h.inc"
#define GEN_PASS_REGISTRATION
#include "compiler/train/Passes.h.inc"

} // namespace nacre::train

#endif // NACRE_COMPILER_TRAIN_PASSES_H
