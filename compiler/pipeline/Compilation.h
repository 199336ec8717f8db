//===- Compilation.h - A model on its way through the phases ----*- C++ -*-===//
#ifndef NACRE_COMPILER_PIPELINE_COMPILATION_H
#define NACRE_COMPILER_PIPELINE_COMPILATION_H

#include "compiler/codegen/Codegen.h"
#include "compiler/pipeline/Options.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "llvm/ADT/Twine.h"
#include <functional>

namespace nacre {

class Reproducer;

/// Whose fault an error is. Importer and graph phase check what a user can do wrong; what
/// fails after them has passed their checks, so the fault is our own.
enum class Culprit { Model, Compiler, File };

/// One of several CPUs that a model is compiled for.
struct Version {
  PipelineOptions options;
  codegen::CodegenOptions codegen;
  /// What came of the module for it. The best version's is Compilation::module.
  mlir::OwningOpRef<mlir::ModuleOp> module = {};
};

/// What the phases work on: the module, then the objects made of it. Where it comes
/// from and where it goes is the caller's to say.
struct Compilation {
  PipelineOptions options;
  codegen::CodegenOptions codegen;
  /// The best first, if there are several: they take the place of the options in the phases that
  /// depend on the CPU.
  std::vector<Version> versions = {};
  /// Makes the module: a frontend. Null with diagnostics if it can't.
  std::function<mlir::OwningOpRef<mlir::ModuleOp>()> import;
  /// Takes the result: writes a file, or loads it into this process.
  std::function<mlir::LogicalResult(const codegen::CompiledModule &)> deliver;
  /// True ends the compilation within a second, wherever it is; null: nobody cancels.
  const std::atomic<bool> *cancel = nullptr;
  /// Is given the module before each phase, for the case that the compiler fails; may be null.
  Reproducer *reproducer = nullptr;
  /// What passes say of kernels; may be null.
  RemarkLog *remarks = nullptr;
  /// Called with a line for each event; may be null.
  std::function<void(const llvm::Twine &)> log;

  mlir::OwningOpRef<mlir::ModuleOp> module;
  std::optional<codegen::CompiledModule> compiled;
  bool isCancelled() const { return cancel && cancel->load(std::memory_order_relaxed); }

  /// Who would be at fault if what is running now failed.
  Culprit culprit = Culprit::Model;
};

} // namespace nacre

#endif // NACRE_COMPILER_PIPELINE_COMPILATION_H
