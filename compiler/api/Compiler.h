//===- Compiler.h - The public compiler API ---------------------*- C++ -*-===//
//
//   nacre::CompileOptions options;
//   auto model = nacre::compile("model.onnx", options);       // just in time
//   auto done = nacre::compileToFile("model.onnx", "m.so");   // ahead of time
//
//   auto task = nacre::compileAsync("model.onnx", options);   // in the background
//   if (task.wait(std::chrono::seconds(5)))
//     auto model = task.take();
//   else
//     task.cancel();
//
// Errors are values: a Result's error() holds every line of what was wrong. A model at
// fault gives NACRE_INVALID_VALUE, a file that cannot be written NACRE_IO_ERROR, a
// compilation that was cancelled NACRE_CANCELLED, a fault of the compiler's own
// NACRE_INTERNAL. Thread-safe: each call has a context of its own.
//
//===----------------------------------------------------------------------===//
#ifndef NACRE_COMPILER_API_COMPILER_H
#define NACRE_COMPILER_API_COMPILER_H

#include "runtime/api/nacre.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace nacre {

/// How to train a model.
struct TrainOptions {
  /// What is minimised: "softmax-cross-entropy:label_smoothing=0.1", a loss with settings, of
  /// the first output or, "mse@NAME", of another; "output:NAME", a scalar output; or a sum of
  /// these: "mse + 0.4*mae@aux". `describeLosses` lists them.
  std::string loss = "softmax-cross-entropy";
  /// "adamw:weight_decay=0.1": how parameters follow their gradients. `describeOptimizers`
  /// lists them. The learning rate is an input of the step.
  std::string optimizer = "sgd";
  /// Settings for parameters by name: "*.bias:weight_decay=0 + encoder.*:frozen".
  std::string groups = {};
  /// The largest norm of all gradients together, and the largest element of one; 0: any.
  double clipNorm = 0, clipValue = 0;
  /// The mean of so many steps' gradients makes one update.
  int64_t accumulate = 1;
  /// The decay of a moving average of each parameter, `NAME.average`; 0: none is kept.
  double average = 0;
  /// The step ends with an error that names the node at the first NaN, and at the first gradient
  /// that is not finite. It is slower by what looking takes, and kernels are smaller.
  bool detectAnomaly = false;
  /// What products are computed in: "f32", "bf16", or "f16" with a scaled loss, which has settings,
  /// "f16:scale=1024". Parameters, their updates and `main` stay in the model's types.
  std::string precision = "f32";
  /// Bytes that parameters, the optimizer's state and a step may take together, 0: any number.
  /// The step computes again what it does not keep. Sizes that the model leaves open are those of a
  /// batch's shapes, by inputs' and targets' names, or computed of these, or else all `openSize`; with
  /// neither there must be none.
  int64_t memoryBudget = 0, openSize = 0;
  std::map<std::string, std::vector<int64_t>> batchShapes = {};
};

/// Bytes of parameters and the optimizer's state, and of what a training step holds beside them at
/// a time: its inputs, outputs and all between. 0 where open sizes are not given, or values decide them.
struct TrainMemory {
  int64_t parameters = 0, step = 0;
};

/// "500MB", "2GiB", "1000000": bytes; nothing if it is no number of them.
std::optional<int64_t> parseBytes(std::string_view text);

/// Sets an option by its name in C: "clip_norm".
Status setTrainOption(TrainOptions &options, std::string_view key, std::string_view value);

/// The rate in the optimizer's text ("adamw:lr=3e-4") or else its default, to begin with; an
/// error if the options ask for what there is not.
Result<double> getLearningRate(const TrainOptions &options);

/// The class number that the first output's labels may have without there being such a class.
int64_t getIgnoredLabel(const TrainOptions &options);

/// A line for each loss, or optimizer, and for each of its settings.
std::string describeLosses();
std::string describeOptimizers();

/// How the cache of kernels served a compilation.
struct CacheUse {
  std::string directory; // empty: none was used
  int64_t hits = 0, misses = 0;
  std::string error; // why nothing could be kept, or the default folder not be used
};

/// What a model can become as a file.
enum class Emit {
  Shared,        ///< .so: a shared library with the runtime inside, and its header
  Object,        ///< .o: to be linked with libnacre-runtime, and its header
  StaticLibrary, ///< .a: with the runtime inside, and its header
  Executable,    ///< a program that reads and writes .npy files
  Header,        ///< .h: the signature as C functions
  Mlir,          ///< .mlir: the imported model in the nn dialect, which compiles as it does
  LlvmIr,        ///< .ll: all code, optimized
  Assembly,      ///< .s: the same as assembly
};
inline constexpr Emit kEmitKinds[] = {Emit::Shared, Emit::Object, Emit::StaticLibrary, Emit::Executable,
                                      Emit::Header, Emit::Mlir,   Emit::LlvmIr,        Emit::Assembly};

/// The shapes of the elements of an input's value: one of a tensor, nullopt for an optional without an element.
using ExampleShapes = std::optional<std::vector<std::vector<int64_t>>>;

/// Decisions about kernels, by keys that stand for what a kernel computes.
using Decisions = std::map<std::string, std::string>;

/// How a compilation measures other decisions than its cost models'.
struct TuneOptions {
  /// So long at most, beside compiling and a first run. 0: nothing is measured; what the cache has learnt is used.
  double seconds = 60;
  /// Threads of the runs that are measured; 0: all cores.
  int32_t threads = 0;
  /// Sizes of open dimensions in these runs, by name; others are 1. Inputs are random.
  std::map<std::string, int64_t> sizes = {};
  /// Called now and then with what is measured, on the thread that compiles.
  std::function<void(std::string_view line)> progress = {};
};

/// What became of tuning.
struct TuneResult {
  /// Choices that kernels have, those that the cache knew something of, and decisions that differ from the models'.
  int64_t choices = 0, known = 0, changed = 0;
  /// Compilations that were measured.
  int64_t measured = 0;
  /// The least milliseconds of a run without and with what was found; 0: nothing new was found.
  double untunedMs = 0, tunedMs = 0;
  std::string note; // why it is not more
};

/// Everything that a compilation can be told.
struct CompileOptions {
  /// Shapes of inputs by name, -1 for a size that stays open. That of a sequence is each
  /// element's; an element "x[0]" of it may have one of its own.
  std::map<std::string, std::vector<int64_t>> inputShapes;
  /// What products are computed in that the model has in f32: "f32", "bf16" or "f16". Sums are in f32,
  /// and inputs, outputs and all that rounding would harm stay as they are (docs/training.md). With
  /// `train` it is the training that has a precision.
  std::string precision = "f32";
  /// Convolutions sum the products of their windows; none by Winograd's transforms, whose results are
  /// about twice as far from exact ones (docs/performance.md).
  bool exactConv = false;
  /// How many elements an input has that is a sequence, which else is open; 1 of an optional
  /// tensor, nullopt of an optional that has no element. They are part of the compiled model.
  std::map<std::string, std::optional<int64_t>> inputLengths;
  /// The shapes of the elements of values that will be given to the model, by input: one of a
  /// tensor, nullopt for an optional without an element. Of them is taken what neither the model
  /// nor the options above say: ranks, and where these depend on it the length of a vector. Inputs that the model does not have are passed over.
  std::map<std::string, ExampleShapes> examples;
  /// Sizes of named dimensions, in all inputs.
  std::map<std::string, int64_t> dims;
  /// Sizes of open dimensions by their names, or places ("x[0]") where they have none, for which there is faster code beside that for all sizes:
  /// a version for each combination, in which any of them may stay open. A run takes the one with most
  /// sizes that its inputs have. Weights are shared. Not with `train`.
  std::map<std::string, std::vector<int64_t>> specialize;
  /// Measure, on this machine, tiles and algorithms that the cost models are unsure of, and use what is better,
  /// within the same bounds of error. What is learnt goes into the cache, for this CPU and as many threads, and
  /// with open sizes for these; only a compilation with `tune` uses it. Not with `train`, several CPUs or
  /// another machine's.
  std::optional<TuneOptions> tune;
  /// What is decided of kernels, as the provenance of a tuned model has it ("tuning"): the same code without
  /// measuring. What is no decision about the model's kernels is refused.
  std::optional<Decisions> decisions;
  /// Told afterwards what became of `tune`, if not null.
  TuneResult *tuneResult = nullptr;
  /// Compile a function "step" beside "main": it takes the model's inputs, the loss's
  /// `labels` or `targets` and `learning_rate` (f32), gives `loss` (f32) and the model's
  /// outputs, and updates the session's parameters, which "main" reads.
  std::optional<TrainOptions> train;
  /// LLVM's name of the CPU; empty: this machine's. Several, "x86-64-v3,x86-64-v4": a file has code
  /// for each, and the runtime chooses the best that the machine can run when it is loaded.
  std::string targetCpu;
  /// Changes to the CPU's features, "+avx2,-fma".
  std::string targetFeatures;
  /// The machine: "aarch64-linux-gnu"; empty: this one. Shared libraries and programs for another
  /// one need its C library here, as a distribution's cross compilers have it.
  std::string targetTriple;
  /// What compileToFile writes, each kind once. The first has the name that is asked for, the
  /// others stand beside it with endings of their own.
  std::vector<Emit> emit = {Emit::Shared};
  /// External data may be reached through symbolic links that leave the folder.
  bool allowSymlinks = false;
  /// Where compiled kernels are kept and found again: a folder of the user's own, made if
  /// need be. nullopt: $NACRE_CACHE_DIR, else $XDG_CACHE_HOME/nacre, else ~/.cache/nacre;
  /// empty: nowhere. What it holds is run: see compiler/api/Cache.h.
  std::optional<std::string> cacheDirectory;
  /// About so many bytes are kept (0: without limit); the longest unused go first.
  uint64_t cacheBytes = uint64_t(1) << 30;
  /// Told afterwards how the cache served, if not null.
  CacheUse *cacheUse = nullptr;
  /// Of a training step, filled in if it is compiled.
  TrainMemory *trainMemory = nullptr;
  /// Passes that are left out, by the names that describePipeline prints: to find the one
  /// that is at fault. Without some a compilation fails. No cache is used.
  std::vector<std::string> disabledPasses;
  /// Where the compiler leaves a module that shows the fault if the fault is its own: a file,
  /// or a folder for nacre-crash-<phase>-<process>.mlir. The error says what to run on it. It
  /// has the module's operations and names, but none of its weights. Empty: nowhere.
  std::string reproducer;
  /// Called with a line for each event: phases and their times, remarks, the cache, results;
  /// not by two threads at once.
  std::function<void(std::string_view line)> log;
  /// A module (*.mlir) enters at this phase; empty: at the first.
  std::string startAt;
  /// For Nacre's own tests: the code checks every access with AddressSanitizer, whose runtime
  /// the process must have, and every buffer is an allocation of its own. Just in time only.
  bool sanitizeAddress = false;
  /// Stop after this phase and print the module (after codegen: LLVM IR) to
  /// `stopOutput`; empty: run all.
  std::string stopAfter;
  std::string *stopOutput = nullptr;
  /// Write the module after each phase, and LLVM IR and objects, into this folder.
  std::string dumpDirectory;
  /// Print each phase's time to standard error.
  bool timePhases = false;
  /// Called with the name of each phase before it runs, on the thread that compiles; false
  /// cancels.
  std::function<bool(std::string_view phase)> progress;
  /// Set to true, from any thread or a signal handler, it ends the compilation within a
  /// second: between passes, and in the middle of LLVM's. Null: only `progress` can cancel.
  std::shared_ptr<std::atomic<bool>> cancel;
};

/// Compiles an ONNX file (or a module of the nn dialect, *.mlir) in process. The model
/// owns code and weights.
Result<Model> compile(const std::string &path, const CompileOptions &options = {});

/// The same for an ONNX model in memory; the bytes need not outlive the call. External
/// data is refused.
Result<Model> compile(std::span<const std::byte> model, const CompileOptions &options = {});

/// Compiles into files of the kinds that `options.emit` names, each of which appears complete
/// or not at all. A model's C functions are called after the artefact: m_run of m.so. With a
/// `stopAfter` before the last phase, nothing is written.
Status compileToFile(const std::string &path, const std::string &artifact,
                     const CompileOptions &options = {});

/// An input that a run gives a value to, and what the model leaves open of it. The rank of a tensor, or of a sequence's
/// elements, has to be known before it can be compiled. Whether an optional has an element a run may tell, but code for
/// one of both is better. The options' shapes, lengths or examples say it.
struct OpenInput {
  std::string name;
  bool lacksRank = false, lacksElement = false;
};
/// All inputs of an ONNX model, in order. Reads the file, but no weights.
Result<std::vector<OpenInput>> listInputs(const std::string &path);
Result<std::vector<OpenInput>> listInputs(std::span<const std::byte> model);

/// A model that is compiled for the inputs that it is given, once for each rank of an open input, and for whether an
/// optional one has an element; sizes stay open, but the length of a vector on which a rank depends. Thread-safe;
/// copies are the same one.
class OpenModel {
public:
  /// Reads which inputs are open. The options hold for all that is compiled.
  static Result<OpenModel> open(std::string path, CompileOptions options = {});
  const std::vector<OpenInput> &inputs() const;
  /// The model for inputs of these shapes, by name; compiled if there is none yet. An optional one may be left out.
  Result<std::shared_ptr<const Model>> specialize(const std::map<std::string, ExampleShapes> &shapes);

private:
  struct State;
  explicit OpenModel(std::shared_ptr<State> state) : state(std::move(state)) {}
  std::shared_ptr<State> state;
};

/// How far a compilation is: the phase that runs, its number from 1, and how many there are.
/// Before the first the phase is "" and the number 0.
struct CompileProgress {
  std::string_view phase;
  int32_t number = 0, count = 0;
};

/// A compilation on a thread of its own. Its methods may be called from any thread, but for
/// `take`. The destructor cancels it and waits for its end.
class CompileTask {
public:
  CompileTask(CompileTask &&) noexcept;
  CompileTask &operator=(CompileTask &&) noexcept;
  ~CompileTask();

  bool isDone() const;
  CompileProgress progress() const;
  /// Waits until it is done.
  void wait() const;
  /// The same, but not longer than this; whether it is done.
  bool wait(std::chrono::nanoseconds timeout) const;
  /// Ends it within a second, with NACRE_CANCELLED.
  void cancel();
  /// Waits; whether it succeeded, and why not.
  Status status() const;
  /// Waits for the model, and hands it over: once, and none if it went into a file.
  Result<Model> take();

private:
  struct State;
  explicit CompileTask(std::unique_ptr<State> state);
  friend CompileTask compileAsync(std::string, CompileOptions);
  friend CompileTask compileAsync(std::vector<std::byte>, CompileOptions);
  friend CompileTask compileToFileAsync(std::string, std::string, CompileOptions);

  std::unique_ptr<State> state;
};

/// What `compile` and `compileToFile` do, in the background. `options.progress` is called on
/// that thread.
CompileTask compileAsync(std::string path, CompileOptions options = {});
CompileTask compileAsync(std::vector<std::byte> model, CompileOptions options = {});
CompileTask compileToFileAsync(std::string path, std::string artifact, CompileOptions options = {});

/// The files that compileToFile writes, in the order of `options.emit`; headers that come with
/// a library last.
std::vector<std::pair<Emit, std::string>> getOutputFiles(const std::string &artifact,
                                                         const CompileOptions &options);

/// The name of a kind ("static-library") and back, and its files' ending (".a").
std::string_view getName(Emit kind);
std::optional<Emit> parseEmit(std::string_view name);
std::string_view getEnding(Emit kind);

/// For a program that handles fatal signals (SIGSEGV and the like); this library does not.
/// The first, at the program's start, makes a thread for the work. The second, in the handler,
/// writes the reproducers of the compilations under way and says on standard error where they
/// were; it sets an alarm, which aborts the process if the handler does not end.
void prepareReproducers();
void writeReproducers() noexcept;

/// The phases that `stopAfter` may name, in order.
std::vector<std::string_view> getPhaseNames();

/// Every phase with its passes, in the syntax that nacre-opt reads, for the target and
/// the training that `options` ask for.
Result<std::string> describePipeline(const CompileOptions &options = {});

} // namespace nacre

#endif // NACRE_COMPILER_API_COMPILER_H
