//===- Call.h - One call of the compiler ------------------------*- C++ -*-===//
#ifndef NACRE_COMPILER_API_CALL_H
#define NACRE_COMPILER_API_CALL_H

#include "compiler/api/Cache.h"
#include "compiler/api/Tuner.h"
#include "compiler/codegen/KernelCache.h"
#include "compiler/pipeline/Compilation.h"
#include "compiler/pipeline/Reproducer.h"
#include "compiler/support/Remarks.h"
#include "frontends/onnx/OnnxImporter.h"
#include "mlir/IR/Diagnostics.h"
#include <variant>

namespace nacre {

/// A file, whatever it holds, or the bytes of an ONNX model.
using ModelSource = std::variant<std::string, std::span<const std::byte>>;

/// What the passes are told.
PipelineOptions getPipelineOptions(const CompileOptions &options, const codegen::CpuTarget &target);

/// One call of the compiler: a context, its diagnostics, and the compilation. `options` must
/// outlive it.
class Call {
public:
  using Deliver = llvm::function_ref<mlir::LogicalResult(const codegen::CompiledModule &)>;

  Call(const CompileOptions &options, ModelSource source);

  /// Runs the phases, and `deliver` in the last.
  bool run(Deliver deliver);

  /// Why `run` failed. A fault of the compiler's own leaves its reproducer.
  Error error();

  /// Compiles nothing, but looks everything up.
  void explain(std::vector<KernelLookup> &lookups);

  /// Tells the host of an event.
  void log(const llvm::Twine &line);

  /// Says whose fault a failure from here on is.
  void blame(Culprit culprit) { compilation.culprit = culprit; }

  /// Tells which decisions about kernels could be others. None that is given is refused.
  void listChoices(std::vector<KernelChoice> &choices) { listedChoices = &choices; }

  /// Called with the imported module.
  std::function<mlir::LogicalResult(mlir::ModuleOp)> onImport;

private:
  /// Takes over the options that are settled before the model is known; false after a
  /// diagnostic.
  bool prepare();
  mlir::OwningOpRef<mlir::ModuleOp> import();
  mlir::OwningOpRef<mlir::ModuleOp> parse(const std::string &path);
  ImportOptions getImportOptions() const;

  /// Whether options.disabledPasses are passes; false after a diagnostic.
  bool checkDisabledPasses();
  /// If there are several CPUs, what each means for the phases; false after a diagnostic.
  bool addVersions(llvm::ArrayRef<codegen::CpuTarget> targets);
  /// Whether the model can enter at options.startAt; false after a diagnostic.
  bool checkStart();
  /// Takes the kernels' choices off the module; false after a diagnostic if a given decision is none of them.
  bool takeChoices(mlir::ModuleOp module);
  /// Opens the cache; false after a diagnostic. The default folder may be missing or
  /// unusable: then there is no cache.
  bool openCache();
  void closeCache();

  /// The module, or the code, as text.
  void print(std::string &output);
  /// What the artefact says of its origin: nothing that differs between equal inputs
  /// (no path, time or machine).
  std::string describeProvenance(mlir::ModuleOp module) const;
  mlir::LogicalResult collect(mlir::Diagnostic &diagnostic);
  mlir::InFlightDiagnostic refuse(const llvm::Twine &message);

  const CompileOptions &options;
  ModelSource source;
  std::string fileName;
  RemarkLog remarks;
  mlir::MLIRContext context;
  std::string messages;
  bool isCancelled = false;
  mlir::ScopedDiagnosticHandler handler;
  std::unique_ptr<codegen::KernelCache> cache;
  std::vector<KernelChoice> *listedChoices = nullptr;
  Compilation compilation;
  std::optional<Reproducer> reproducer; // before the context goes
  std::chrono::steady_clock::time_point start = std::chrono::steady_clock::now();
};

/// What `compile` and `compileToFile` do; with `choices`, they tell of those.
Result<Model> makeInProcess(ModelSource source, const CompileOptions &options,
                            std::vector<KernelChoice> *choices = nullptr);
Status makeFile(const std::string &path, const std::string &artifact, const CompileOptions &options,
                std::vector<KernelChoice> *choices = nullptr);

} // namespace nacre

#endif // NACRE_COMPILER_API_CALL_H
