//===- CompileCommand.cpp - nacre compile -----------------------*- C++ -*-===//
#include "tools/nacre/Command.h"
#include "tools/nacre/TrainFlags.h"
#include "tools/nacre/TuneFlags.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Signals.h"
#include "llvm/Support/raw_ostream.h"
#include <chrono>
#include <csignal>

using namespace nacre;
using namespace nacre::tool;
namespace cl = llvm::cl;

static int runCompile();
static Command command("compile", "Compile a model into one self-contained file",
                       "  nacre compile model.onnx -o model.so\n"
                       "  nacre compile model.onnx --dim seq=128 --specialize batch=1,8    any batch, faster for these\n"
                       "  nacre compile model.onnx --emit executable -o model  a program: ./model --help\n"
                       "  nacre compile model.onnx --tune 60s                  measure what else could be faster here\n"
                       "  nacre compile model.onnx --target-cpu x86-64-v3,x86-64-v4    for several CPUs\n"
                       "  nacre compile model.onnx --stop-after graph          print the module\n"
                       "  More options, those of training among them: nacre compile --help-hidden\n", runCompile);
static cl::opt<std::string> model(cl::Positional, cl::sub(command.subcommand),
                                  cl::desc("<model.onnx>"));
static cl::opt<std::string> output("o", cl::sub(command.subcommand), cl::value_desc("file"),
                                   cl::desc("The artefact (default: the model's name with the kind's ending)"));
static cl::opt<std::string> emit("emit", cl::sub(command.subcommand), cl::value_desc("kinds"), cl::init("shared"),
                                 cl::desc("What to write, separated by commas: shared, object, static-library, "
                                          "executable, header, mlir, llvm-ir, assembly"));
static cl::opt<std::string> targetTriple("target-triple", cl::sub(command.subcommand), cl::value_desc("triple"),
                                         cl::desc("The machine, aarch64-linux-gnu (default: this one's)"));
static cl::opt<std::string> stopAfter("stop-after", cl::sub(command.subcommand), cl::value_desc("phase"),
                                      cl::desc("Print what a phase leaves (see --print-pipeline)"));
static cl::opt<std::string> startAt("start-at", cl::sub(command.subcommand), cl::value_desc("phase"), cl::Hidden,
                                    cl::desc("The phase that a module (*.mlir) enters"));
static cl::opt<bool> printPipeline("print-pipeline", cl::sub(command.subcommand),
                                   cl::desc("Print all phases with their passes, and stop"));
static TrainFlags trainFlags(command.subcommand, "train",
                             "Make a training step as well, with this loss; several make a sum");
static cl::opt<bool> json("json", cl::sub(command.subcommand), cl::desc("Print a summary as JSON"));
static CompileFlags flags(command.subcommand);
static TuneFlags tuneFlags(command.subcommand);
static HiddenOptions hidden(command.subcommand, {"accumulate", "allow-symlinks", "average", "clip-norm", "clip-value", "decisions", "detect-anomaly",
                                                 "dump-phases", "group", "input-length", "list-losses",
                                                 "list-optimizers", "memory-budget", "print-pipeline", "size", "target-features", "threads"});

/// --emit into the options; false after a message if it is malformed.
static bool parseKinds(CompileOptions &options) {
  options.emit.clear();
  for (llvm::StringRef name : llvm::split(llvm::StringRef(emit), ',')) {
    std::optional<Emit> kind = parseEmit(std::string_view(name.trim()));
    if (!kind || llvm::is_contained(options.emit, *kind)) {
      fail("--emit " + emit + ": " +
               (kind ? "'" + name.str() + "' stands there twice"
                     : "unknown kind '" + name.str() + "'; expected some of shared, object, static-library, "
                       "executable, header, mlir, llvm-ir, assembly"),
           kUsageError);
      return false;
    }
    options.emit.push_back(*kind);
  }
  return true;
}

/// Ctrl-C while candidates are measured: what is under way ends, and leaves no files of theirs.
static const auto interrupted = std::make_shared<std::atomic<bool>>(false);

/// The process ends as if it had not caught the signal, so that a shell's script ends too.
static int endInterrupted() {
  fail("interrupted: nothing was written");
  std::signal(SIGINT, SIG_DFL);
  std::raise(SIGINT);
  return kInputError;
}

static int runCompile() {
  CompileOptions options;
  if (!flags.fill(options) || !parseKinds(options))
    return kUsageError;
  options.targetTriple = targetTriple;
  if (!tuneFlags.fill(options))
    return kUsageError;
  TuneResult tuned;
  options.tuneResult = &tuned;
  if (options.tune) {
    options.cancel = interrupted;
    llvm::sys::SetInterruptFunction([] { *interrupted = true; });
  }
  if (trainFlags.printLists())
    return kSuccess;
  if (trainFlags.needsLoss())
    return fail("expected --train LOSS with options of a training step; see --list-losses", kUsageError);
  if (trainFlags.isGiven())
    if (Result<double> rate = trainFlags.fill(options.train.emplace(), options); !rate)
      return fail(rate.error().message, kUsageError);
  if (printPipeline) {
    Result<std::string> pipeline = describePipeline(options);
    if (!pipeline)
      return fail(pipeline.error());
    llvm::outs() << *pipeline;
    return kSuccess;
  }
  if (model.empty())
    return fail("expected the model to compile; see nacre compile --help", kUsageError);
  std::string printed;
  options.startAt = startAt;
  options.stopAfter = stopAfter;
  options.stopOutput = &printed;
  if (!stopAfter.empty()) {
    std::vector<std::string_view> phases = getPhaseNames();
    if (std::find(phases.begin(), phases.end(), std::string_view(stopAfter)) == phases.end())
      return fail("--stop-after " + stopAfter + ": no such phase; see --print-pipeline", kUsageError);
  }
  llvm::SmallString<128> artifact(output.empty() ? model : output);
  if (output.empty())
    llvm::sys::path::replace_extension(artifact, llvm::StringRef(getEnding(options.emit.front())));
  if (artifact == llvm::StringRef(model))
    return fail(std::string(artifact) + ": would be written over by what is made of it; give another name with -o",
                kUsageError);

  // Linking resets LLVM's options to their defaults, ours among them.
  bool stops = !stopAfter.empty() && stopAfter != getPhaseNames().back(), printsJson = json;
  std::string path = model;
  auto start = std::chrono::steady_clock::now();
  Status status = [&] {
    Progress progress(options);
    return compileToFile(path, std::string(artifact), options);
  }();
  if (!status && *interrupted)
    return endInterrupted();
  if (!status)
    return fail(status.error());
  if (stops) {
    llvm::outs() << printed;
    return kSuccess;
  }
  std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  uint64_t size = 0;
  if (std::error_code error = llvm::sys::fs::file_size(artifact, size))
    return fail(std::string(artifact) + ": " + error.message());
  if (options.tune && !printsJson)
    llvm::errs() << describe(tuned) << '\n';
  if (printsJson) {
    llvm::json::Array files;
    for (const auto &file : getOutputFiles(std::string(artifact), options))
      files.push_back(toUtf8(file.second));
    llvm::json::Object summary{{"artifact", toUtf8(artifact.str())},
                               {"bytes", int64_t(size)},
                               {"files", std::move(files)},
                               {"seconds", seconds.count()}};
    if (options.tune)
      summary["tuning"] = toJson(tuned);
    printJson(std::move(summary));
  } else if (llvm::errs().is_displayed())
    llvm::errs() << artifact << ": " << size / 1024 << " KiB in "
                 << llvm::format("%.2f", seconds.count()) << " s\n";
  return kSuccess;
}
