//===- KernelChoices.h - What could be decided otherwise --------*- C++ -*-===//
#ifndef NACRE_COMPILER_API_KERNELCHOICES_H
#define NACRE_COMPILER_API_KERNELCHOICES_H

#include "compiler/api/Tuner.h"
#include "mlir/IR/BuiltinOps.h"

namespace nacre {

/// Takes the choices (compiler/tile/Choices.h) off the kernels of a module as the tile phase leaves it: those of
/// kernels that a run calls, not the compiler alone.
std::vector<KernelChoice> takeChoices(mlir::ModuleOp module);

} // namespace nacre

#endif // NACRE_COMPILER_API_KERNELCHOICES_H
