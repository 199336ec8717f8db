//===- Pipelines.h - The pass pipelines of code generation ------*- C++ -*-===//
#ifndef NACRE_COMPILER_CODEGEN_PIPELINES_H
#define NACRE_COMPILER_CODEGEN_PIPELINES_H

#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassOptions.h"

namespace nacre::codegen {

struct ToLLVMOptions : mlir::PassPipelineOptions<ToLLVMOptions> {
  Option<bool> expandBF16{*this, "expand-bf16",
                          llvm::cl::desc("Convert bf16 by integer arithmetic: for a CPU without "
                                         "instructions for it"),
                          llvm::cl::init(true)};
};

/// What precedes taking the module apart: identical kernels become one, parameters
/// get their places.
void buildModulePasses(mlir::OpPassManager &pm);

/// From kernels and host functions on buffers to the llvm dialect.
void buildToLLVM(mlir::OpPassManager &pm, const ToLLVMOptions &options);

/// Makes the pipelines known to nacre-opt.
void registerPipelines();

} // namespace nacre::codegen

#endif // NACRE_COMPILER_CODEGEN_PIPELINES_H
