//===- Codegen.h - From a module on buffers to code -------------*- C++ -*-===//
//
//   compileModule ─▶ CompiledModule ─┬▶ emitFile        (a shared library, and other kinds)
//                                    └▶ loadInProcess   (code in memory)
//
// Failures are diagnostics on the module's context.
//
//===----------------------------------------------------------------------===//
#ifndef NACRE_COMPILER_CODEGEN_CODEGEN_H
#define NACRE_COMPILER_CODEGEN_CODEGEN_H

#include "compiler/codegen/CpuTarget.h"
#include "compiler/codegen/Parameters.h"
#include "compiler/codegen/Signature.h"
#include "mlir/IR/BuiltinOps.h"
#include <atomic>
#include <functional>

struct nacre_abi_model;

namespace nacre {
class RemarkLog;
} // namespace nacre

namespace nacre::codegen {

class KernelCache;

struct CodegenOptions {
  /// LLVM's name of the CPU; empty: this machine's.
  std::string targetCPU;
  /// Changes to the CPU's features, "+avx2,-fma".
  std::string targetFeatures;
  /// The machine, "aarch64-linux-gnu"; empty: this one.
  std::string targetTriple;
  /// Instrument the code with AddressSanitizer: its runtime must be in the process.
  bool sanitizeAddress = false;
  /// JSON for the descriptor: source, hash, options, version.
  std::string provenance = "{}";
  /// What passes have said of the kernels: with it the provenance gets a report (Report.h).
  const RemarkLog *remarks = nullptr;
  /// Write LLVM IR and objects into this folder; empty: don't.
  std::string dumpDirectory;
  /// More than one file will be made: what computes parameters leaves its inputs in memory.
  bool keepInputs = false;
  /// Keep the optimized LLVM IR as text.
  bool keepIR = false;
  /// Where objects are looked up and kept, unless LLVM IR is asked for; null: nowhere.
  KernelCache *cache = nullptr;
  /// Compile nothing: tell of each unit whether the cache has it, and if not, why. Called
  /// on many threads.
  std::function<void(llvm::StringRef name, bool isCached, llvm::StringRef reason)> explain;
  /// The same model compiled for a better CPU (shareParameters). Null: there is none.
  const struct CompiledModule *shared = nullptr;
  /// True ends the compilation soon, with some failure; null: nobody cancels.
  const std::atomic<bool> *cancel = nullptr;
};

struct Object {
  std::string name;
  std::unique_ptr<llvm::MemoryBuffer> bytes;
  /// With CodegenOptions::keepIR: its LLVM IR.
  std::string ir;
  /// A part of the host library.
  bool isLibrary = false;
};

/// Code that computes parameters from parameters, once, in the compiler.
struct PrepareCode {
  std::vector<Object> objects;
  std::vector<nn::ParameterOp> inputs;
  /// For each call of a kernel, by its kernel_index: the inputs that nothing reads after it.
  std::vector<std::vector<unsigned>> lastReads;
  /// The symbols of the parameters that the outputs are.
  std::vector<std::string> outputs;
  int64_t arenaSize = 0;
  const std::atomic<bool> *cancel = nullptr; // CodegenOptions::cancel
  bool keepInputs = false;
};

/// A module compiled, its parameters not yet in place. Refers to the module's
/// nn.parameters: the module must stay.
struct CompiledModule {
  mlir::ModuleOp module;
  CpuTarget target;
  std::string provenance;
  std::vector<Object> objects;
  std::vector<FunctionInfo> functions;
  std::vector<KernelInfo> kernels;
  /// With fallbacks, in one section for all.
  ParameterTable parameters;
  std::optional<PrepareCode> prepare;
  /// The same model for lesser CPUs, the best first: what runs is the first that the machine can.
  std::vector<CompiledModule> fallbacks;
  /// CodegenOptions::cancel: what is done with the result can be cancelled too.
  const std::atomic<bool> *cancel = nullptr;

  /// What runs before one of the versions is chosen is for this.
  CpuTarget getEntryTarget() const { return fallbacks.empty() ? target : target.getMostGeneral(); }
  /// This one and its fallbacks.
  std::vector<const CompiledModule *> getVersions() const;
};

/// Adds the code for another CPU, compiled with `best` as CodegenOptions::shared.
void addFallback(CompiledModule &best, CompiledModule fallback);

/// Marks the parameters of a module of which copies will be compiled for several CPUs: what
/// each of the copies has of them is the same.
void markCommonParameters(mlir::ModuleOp module);

/// Lets the parameters of such a copy, as the tile phase leaves it, lie where `best` or one of its
/// fallbacks has the same ones, and others behind all of theirs. What is computed there is not
/// computed again.
void shareParameters(mlir::ModuleOp module, const CompiledModule &best);

/// Whether the parts of the host library that the module's nodes call are there for the target's
/// machine; else a diagnostic for each node.
mlir::LogicalResult checkHostLibraries(mlir::ModuleOp module, const CodegenOptions &options);

/// Compiles a module as the buffer phase leaves it. Kernels and host functions
/// are taken out of the module, parameters stay.
mlir::FailureOr<CompiledModule> compileModule(mlir::ModuleOp module, const CodegenOptions &options);

/// What a model can become as a file.
enum class FileKind {
  /// A shared library: code, descriptor, runtime, and parameters in a page-aligned segment at
  /// the end.
  Shared,
  /// An object without the runtime, and an archive of one with it.
  Object,
  StaticLibrary,
  /// A program that reads and writes .npy files.
  Executable,
  /// The C header of those.
  Header,
  /// The LLVM IR of all code, optimized, and its assembly; without the parameters.
  LLVMIR,
  Assembly,
};

/// Writes a file, which appears at `path` complete or not at all. The model's C functions
/// begin with `name`; without one it has none, and no runtime inside. `artifact` is how a
/// header calls the file with the functions.
mlir::LogicalResult emitFile(const CompiledModule &compiled, FileKind kind, llvm::StringRef path,
                             llvm::StringRef name = "", llvm::StringRef artifact = "");

/// Why no file of that kind can be made for a target, or for several of one machine; success if
/// it can. Asked before compiling.
llvm::Error checkFileKind(FileKind kind, llvm::ArrayRef<CpuTarget> targets);

/// Whether a compiled model fits into a file of that kind. Asked before any is written.
mlir::LogicalResult checkSize(const CompiledModule &compiled, FileKind kind);

/// Code and parameters in this process's memory, as long as the object lives.
class InProcessModel {
public:
  virtual ~InProcessModel() = default;
  virtual const nacre_abi_model *getDescriptor() const = 0;
  /// The parameter section, or null if it is empty.
  virtual const void *getParameters() const = 0;
};
mlir::FailureOr<std::unique_ptr<InProcessModel>> loadInProcess(const CompiledModule &compiled);

} // namespace nacre::codegen

#endif // NACRE_COMPILER_CODEGEN_CODEGEN_H
