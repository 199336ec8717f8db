//===- Register.h - Registers dialects, interfaces and passes ---*- C++ -*-===//
#ifndef NACRE_COMPILER_PIPELINE_REGISTER_H
#define NACRE_COMPILER_PIPELINE_REGISTER_H

namespace mlir {
class DialectRegistry;
}

namespace nacre {

/// Adds every dialect that the compiler uses, with the external models of the
/// interfaces that its passes ask (bufferization, tiling, translation to LLVM).
void registerDialects(mlir::DialectRegistry &registry);

/// Registers every pass of the compiler by name, for nacre-opt.
void registerPasses();

} // namespace nacre

#endif // NACRE_COMPILER_PIPELINE_REGISTER_H
