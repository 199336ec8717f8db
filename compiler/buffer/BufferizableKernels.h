//===- BufferizableKernels.h - How kern and nn ops bufferize ----*- C++ -*-===//
#ifndef NACRE_COMPILER_BUFFER_BUFFERIZABLEKERNELS_H
#define NACRE_COMPILER_BUFFER_BUFFERIZABLEKERNELS_H

namespace mlir {
class DialectRegistry;
}

namespace nacre::buffer {

/// Attaches BufferizableOpInterface to kern.call and rt.host_call.
void registerBufferizableOpInterfaces(mlir::DialectRegistry &registry);

} // namespace nacre::buffer

#endif // NACRE_COMPILER_BUFFER_BUFFERIZABLEKERNELS_H
