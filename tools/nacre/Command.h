//===- Command.h - What the subcommands share -------------------*- C++ -*-===//
#ifndef NACRE_TOOLS_NACRE_COMMAND_H
#define NACRE_TOOLS_NACRE_COMMAND_H

#include "compiler/api/Compiler.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/JSON.h"
#include <string>

namespace nacre::tool {

/// Exit codes: the model or an input is at fault; the command line; Nacre itself.
enum ExitCode { kSuccess = 0, kInputError = 1, kUsageError = 2, kInternalError = 3 };

/// Prints "nacre: error: ..." to standard error and returns the fitting exit code.
int fail(const Error &error);
int fail(const std::string &message, ExitCode code = kInputError);

/// A subcommand of the tool; a global object registers it.
class Command {
public:
  Command(const char *name, const char *summary, const char *examples, int (*run)());
  /// The command of that name's turn, after the command line is parsed.
  static Command *getSelected();
  /// The command called `name`, or null.
  static const Command *find(llvm::StringRef name);
  int operator()() const { return run(); }

  llvm::cl::SubCommand subcommand;
  const char *examples; // lines, each with its indentation

private:
  int (*run)();
};

/// Leaves options out of --help, which fits one screen; --help-hidden lists them. Defined behind
/// them, a global object does it.
struct HiddenOptions {
  HiddenOptions(llvm::cl::SubCommand &command, std::initializer_list<llvm::StringRef> names);
};

/// The options that say how to compile, for one subcommand.
class CompileFlags {
public:
  explicit CompileFlags(llvm::cl::SubCommand &command);
  /// False after a message if an option is malformed.
  bool fill(CompileOptions &options) const;
  /// The same for a model that may be compiled already: then only --dim, which gives
  /// random inputs their sizes, makes sense.
  bool fill(CompileOptions &options, const std::string &path) const;

private:
  llvm::cl::list<std::string> inputShapes, inputLengths, dims, specialize, disabledPasses;
  llvm::cl::opt<bool> exactConv;
  llvm::cl::opt<std::string> precision, targetCpu, targetFeatures, dumpPhases, cacheDir, reproducer;
  llvm::cl::opt<double> cacheSize;
  llvm::cl::opt<bool> allowSymlinks, timePhases, noCache, verbose;
};

/// Loads an artefact, or compiles an ONNX file (or .mlir) in process.
/// Whether a file is compiled in process before it is used.
bool isSource(llvm::StringRef path);
Result<Model> openModel(const std::string &path, CompileOptions options);

/// A session on `threads` threads (0: all cores); random numbers are drawn from `seed`.
Result<Session> createSession(const Model &model, int threads, uint64_t seed = 0, bool copyParameters = false);

/// "optional sequence of 2: f32[2], f32[N]".
std::string toString(const ValueInfo &value, const std::vector<TensorInfo> &tensors);

/// Names, element types and sizes of tensors; of an open size its symbol, or null.
llvm::json::Value toJson(const std::vector<TensorInfo> &tensors);

/// Prints a JSON value and a line feed; broken UTF-8 in names is mended before.
void printJson(llvm::json::Value value);
std::string toUtf8(std::string_view text);

/// Shows the phases of a compilation on a terminal; quiet elsewhere. At its end it warns
/// of a cache that could not be used.
class Progress {
public:
  explicit Progress(CompileOptions &options);
  ~Progress();

private:
  bool shown = false;
  CacheUse cacheUse;
};

} // namespace nacre::tool

#endif // NACRE_TOOLS_NACRE_COMMAND_H
