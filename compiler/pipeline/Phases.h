//===- Phases.h - The compiler on one screen --------------------*- C++ -*-===//
#ifndef NACRE_COMPILER_PIPELINE_PHASES_H
#define NACRE_COMPILER_PIPELINE_PHASES_H

#include "compiler/pipeline/Compilation.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/STLFunctionalExtras.h"

namespace nacre {

/// A stretch of the way from file to code, and what must hold at its end.
struct Phase {
  llvm::StringLiteral name;
  llvm::StringLiteral summary;
  /// Its passes; null for a phase that has none.
  void (*build)(mlir::OpPassManager &passes, const PipelineOptions &options);
  /// What it does, if that is more than to run the passes on the module.
  mlir::LogicalResult (*run)(Compilation &compilation);
  /// Checks what the next phase relies on, once the IR itself has been verified; null after
  /// the last.
  mlir::LogicalResult (*verify)(mlir::ModuleOp module);
  /// Who is at fault if it fails.
  Culprit culprit;
  /// Runs for each CPU that the model is compiled for.
  bool perTarget = false;
};

/// All phases, in order.
llvm::ArrayRef<Phase> getPhases();

/// Runs the phases. Failures are diagnostics on the context, and `compilation.culprit` says
/// whose they are. `progress` is called with each phase before it runs; it returns false to
/// cancel, which leaves no diagnostic. After `compilation.cancel` no pass begins and the
/// phase fails, whatever its diagnostics say.
mlir::LogicalResult runPhases(Compilation &compilation,
                              llvm::function_ref<bool(const Phase &)> progress = nullptr);

/// Checks the IR and the phase's contract.
mlir::LogicalResult verifyAfterPhase(const Phase &phase, mlir::ModuleOp module);

/// Prints every phase with its passes and their options.
void printPhases(llvm::raw_ostream &os, const PipelineOptions &options);

/// Registers each phase that has passes as a pipeline `nacre-<name>`, and all of them
/// up to code generation as `nacre`.
void registerPhasePipelines();

} // namespace nacre

#endif // NACRE_COMPILER_PIPELINE_PHASES_H
