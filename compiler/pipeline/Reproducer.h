//===- Reproducer.h - What the compiler leaves where it dies ----*- C++ -*-===//
//
// A module as it entered the phase that failed, small, and the command that shows the
// failure again:
//
//   // nacre 0.1.0: phase 'tile', pass 'tile-and-fuse', kernel 'exp_0'
//   // nacre-opt /tmp/nacre-crash-tile-4711.mlir --verify-each=0 --pass-pipeline='...'
//   module { ... }
//
//===----------------------------------------------------------------------===//
#ifndef NACRE_COMPILER_PIPELINE_REPRODUCER_H
#define NACRE_COMPILER_PIPELINE_REPRODUCER_H

#include "compiler/codegen/Activity.h"
#include "compiler/pipeline/PhaseCommand.h"
#include "mlir/IR/BuiltinOps.h"
#include <atomic>
#include <string>

namespace nacre {

/// Keeps the module that entered the phase at hand, for one compilation. Parameters' values
/// become zeros: they are large, the user's own, and no pass depends on them.
class Reproducer {
public:
  /// A file, or a folder for a file named after phase and process; `producer` is who says so.
  Reproducer(std::string path, std::string producer);
  ~Reproducer();
  Reproducer(const Reproducer &) = delete;

  /// Before each phase. The phase that makes the module has none.
  void enter(llvm::StringRef phase, mlir::ModuleOp module, PhaseCommand command);

  /// Before a phase that has the results of the one before.
  void enterNext(llvm::StringRef phase);

  /// The pass that failed, if it is known.
  codegen::Activity failed;

  /// Writes the file, once. Lines for a message: where it was, which file, what to run; or
  /// why there is none.
  std::string write(const codegen::Activity &activity);

  /// Makes the thread that handleCrash has the work done by.
  static void prepareForCrash();
  /// For a handler of fatal signals: `write` for all compilations of this process, and the
  /// lines to standard error. The process is aborted where that, or what handlers do after
  /// it, does not end: the thread that died may hold locks.
  static void handleCrash();

private:
  struct Snapshot;

  static void writeAll(const codegen::Activity &activity);

  std::string path, producer;
  /// Whole whenever a signal comes.
  std::atomic<Snapshot *> snapshot = nullptr;
};

} // namespace nacre

#endif // NACRE_COMPILER_PIPELINE_REPRODUCER_H
