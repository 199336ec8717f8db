//===- CompileCommand.cpp - nacre compile -----------------------*- C++ -*-===//
#include "tools/nacre/Command.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"
#include <chrono>

using namespace nacre;
using namespace nacre::tool;
namespace cl = llvm::cl;

static int runCompile();
static Command command("compile", "Compile a model into one self-contained file",
                       "  nacre compile model.onnx -o model.so\n"
                       "  nacre compile model.onnx --input-shape data=1x3x224x224 --dim batch=8\n"
                       "  nacre compile model.onnx --target-cpu x86-64-v3      for other machines\n"
                       "  nacre compile model.onnx --stop-after graph          print the module\n", runCompile);
static cl::opt<std::string> model(cl::Positional, cl::sub(command.subcommand),
                                  cl::desc("<model.onnx>"));
static cl::opt<std::string> output("o", cl::sub(command.subcommand), cl::value_desc("file"),
                                   cl::desc("The artefact (default: the model's name with .so)"));
static cl::opt<std::string> stopAfter("stop-after", cl::sub(command.subcommand), cl::value_desc("phase"),
                                      cl::desc("Print what a phase leaves (see --print-pipeline)"));
static cl::opt<bool> printPipeline("print-pipeline", cl::sub(command.subcommand),
                                   cl::desc("Print all phases with their passes, and stop"));
static cl::opt<bool> json("json", cl::sub(command.subcommand), cl::desc("Print a summary as JSON"));
static CompileFlags flags(command.subcommand);

static int runCompile() {
  CompileOptions options;
  if (!flags.fill(options))
    return kUsageError;
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
  options.stopAfter = stopAfter;
  options.stopOutput = &printed;
  if (!stopAfter.empty()) {
    std::vector<std::string_view> phases = getPhaseNames();
    if (std::find(phases.begin(), phases.end(), std::string_view(stopAfter)) == phases.end())
      return fail("--stop-after " + stopAfter + ": no such phase; see --print-pipeline", kUsageError);
  }
  llvm::SmallString<128> artifact(output.empty() ? model : output);
  if (output.empty())
    llvm::sys::path::replace_extension(artifact, "so");

  // Linking resets LLVM's options to their defaults, ours among them.
  bool stops = !stopAfter.empty() && stopAfter != getPhaseNames().back(), printsJson = json;
  auto start = std::chrono::steady_clock::now();
  Status status = [&] {
    Progress progress(options);
    return compileToFile(model, std::string(artifact), options);
  }();
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
  if (printsJson)
    printJson(llvm::json::Object{{"artifact", toUtf8(artifact.str())},
                                 {"bytes", int64_t(size)},
                                 {"seconds", seconds.count()}});
  else if (llvm::errs().is_displayed())
    llvm::errs() << artifact << ": " << size / 1024 << " KiB in "
                 << llvm::format("%.2f", seconds.count()) << " s\n";
  return kSuccess;
}
