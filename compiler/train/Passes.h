//===- Passes.h - Passes of training --------------------------------*- C++ -*-===//
#ifndef NACRE_COMPILER_TRAIN_PASSES_H
#define NACRE_COMPILER_TRAIN_PASSES_H

#include "mlir/Pass/Pass.h"
#include <functional>

namespace nacre::train {

#define GEN_PASS_DECL
#include "compiler/train/Passes.h.inc"
/// With the passes that are still to come until memory is planned and measured.
std::unique_ptr<mlir::Pass> createRematerializePass(const RematerializePassOptions &options,
                                                    std::function<void(mlir::OpPassManager &)> finish);

#define GEN_PASS_REGISTRATION
#include "compiler/train/Passes.h.inc"

} // namespace nacre::train

#endif // NACRE_COMPILER_TRAIN_PASSES_H
