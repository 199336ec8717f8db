//===- BufferSizes.h - How much memory a buffer takes -----------*- C++ -*-===//
#ifndef NACRE_COMPILER_BUFFER_BUFFERSIZES_H
#define NACRE_COMPILER_BUFFER_BUFFERSIZES_H

#include "mlir/IR/BuiltinTypes.h"
#include "mlir/Interfaces/DataLayoutInterfaces.h"

namespace nacre::buffer {

/// What the pass measure-step leaves at the module: bytes of parameters and state, and of what a
/// training step holds beside them at a time.
inline constexpr llvm::StringLiteral kParameterBytes = "nacre.parameter_bytes", kStepBytes = "nacre.step_bytes";

/// The bytes of a buffer of static shape. Kernels keep tables of indices, too.
inline int64_t getStaticBytes(mlir::MemRefType type) {
  return type.getNumElements() * static_cast<int64_t>(mlir::DataLayout().getTypeSize(type.getElementType()));
}

} // namespace nacre::buffer

#endif // NACRE_COMPILER_BUFFER_BUFFERSIZES_H
