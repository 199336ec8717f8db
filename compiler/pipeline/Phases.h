//===- Phases.h - The compiler on one screen --------------------*- C++ -*-===//
#ifndef NACRE_COMPILER_PIPELINE_PHASES_H
#define NACRE_COMPILER_PIPELINE_PHASES_H

#include "compiler/pipeline/Options.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/STLFunctionalExtras.h"

namespace nacre {

/// A stretch of the pipeline: its passes, and what must hold after them.
struct Phase {
  llvm::StringLiteral name;
  llvm::StringLiteral summary;
  void (*build)(mlir::OpPassManager &passes, const PipelineOptions &options);
  mlir::LogicalResult (*verify)(mlir::ModuleOp module);
};

/// All phases between import and code generation, in order.
llvm::ArrayRef<Phase> getPhases();

/// Runs the phases on a module. Failures are diagnostics on the module's context.
/// `progress` is called with each phase before it runs; it returns false to cancel.
mlir::LogicalResult runPhases(mlir::ModuleOp module, const PipelineOptions &options,
                              llvm::function_ref<bool(const Phase &)> progress = nullptr);

/// Registers each phase as a pipeline `nacre-<name>`, and all of them as `nacre`.
void registerPhasePipelines();

} // namespace nacre

#endif // NACRE_COMPILER_PIPELINE_PHASES_H
