//===- VerifyCommand.cpp - nacre verify -------------------------*- C++ -*-===//
//
// The references are Python packages, so the work is done there (frontends/python/nacre/verify); this
// is the command line, and what finds the interpreter.
//
//===----------------------------------------------------------------------===//
#include "tools/nacre/Command.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Program.h"
#include <cstdlib>

using namespace nacre;
using namespace nacre::tool;
namespace cl = llvm::cl;
namespace fs = llvm::sys::fs;
namespace path = llvm::sys::path;

static int runVerify();
static Command command("verify", "Compare all of a model's values with a reference; name the first node that differs",
                       "  nacre verify model.onnx                                 random inputs, ONNX's evaluator\n"
                       "  nacre verify model.onnx --against onnxruntime --input x=x.npy\n"
                       "  nacre verify model.onnx --reduce small.onnx --bisect    cut down to that node; which pass\n\n"
                       "Exit codes: 0 all agree, 1 a value differs or the model or an input is at fault.\n"
                       "Runs Python with the packages onnx and nacre: $NACRE_PYTHON, or one found beside this tool\n"
                       "or on the PATH.\n", runVerify);
static cl::opt<std::string> model(cl::Positional, cl::Required, cl::sub(command.subcommand), cl::desc("<model.onnx>"));
static cl::opt<std::string> against("against", cl::sub(command.subcommand), cl::value_desc("reference"),
                                    cl::init("reference"),
                                    cl::desc("reference (ONNX's evaluator, the default) or onnxruntime"));
static cl::list<std::string> files("input", cl::sub(command.subcommand), cl::value_desc("name=file"),
                                   cl::desc("An input's value: .npy or .pb"));
static cl::list<std::string> archives("inputs", cl::sub(command.subcommand), cl::value_desc("file.npz"),
                                      cl::desc("Inputs by their names"));
static cl::list<std::string> sizes("size", cl::sub(command.subcommand), cl::value_desc("symbol=8"),
                                   cl::desc("A dynamic dimension's size, for random inputs (default 1)"));
static cl::opt<uint64_t> seed("random", cl::sub(command.subcommand), cl::value_desc("seed"),
                              cl::desc("The other inputs are random, drawn from it (default 0)"));
static cl::opt<std::string> tolerance("tolerance", cl::sub(command.subcommand), cl::value_desc("1e-4"),
                                      cl::desc("The error allowed, as a part of a value's range (default: by its type)"));
static cl::opt<std::string> reduce("reduce", cl::sub(command.subcommand), cl::value_desc("small.onnx"),
                                   cl::desc("Write the part that differs, and its inputs as small.npz"));
static cl::opt<bool> bisect("bisect", cl::sub(command.subcommand),
                            cl::desc("Leave out passes until the difference goes, and name the pass"));
static cl::opt<bool> json("json", cl::sub(command.subcommand), cl::desc("Print JSON"));

/// Where this tool lies.
static llvm::SmallString<256> getToolFolder() {
  static int here = 0;
  llvm::SmallString<256> folder(fs::getMainExecutable("nacre", &here));
  path::remove_filename(folder);
  return folder;
}

/// $NACRE_PYTHON; the interpreter of the environment that the tool is installed in, or of
/// the project whose build tree it is in; else the first on the PATH.
static std::string findPython() {
  if (const char *chosen = std::getenv("NACRE_PYTHON"))
    return chosen;
  for (const char *relative : {"python3", "../../../.venv/bin/python3"}) {
    llvm::SmallString<256> candidate = getToolFolder();
    path::append(candidate, relative);
    if (fs::can_execute(candidate))
      return std::string(candidate);
  }
  auto found = llvm::sys::findProgramByName("python3");
  return found ? *found : "";
}

/// In a build tree the package lies beside the tools.
static void addBuiltPackage() {
  llvm::SmallString<256> package = getToolFolder();
  path::append(package, "..", "python");
  llvm::SmallString<256> module = package;
  path::append(module, "nacre", "verify");
  if (!fs::exists(module))
    return;
  const char *given = std::getenv("PYTHONPATH");
  std::string all = std::string(package) + (given && *given ? ":" + std::string(given) : "");
  setenv("PYTHONPATH", all.c_str(), /*overwrite=*/1);
}

static int runVerify() {
  if (against != "reference" && against != "onnxruntime")
    return fail("--against " + against + ": expected reference or onnxruntime", kUsageError);
  double ignored = 0;
  if (!tolerance.empty() && llvm::StringRef(tolerance).getAsDouble(ignored))
    return fail("--tolerance " + tolerance + ": expected a number", kUsageError);
  std::string python = findPython();
  if (python.empty())
    return fail("there is no python3 on the PATH: nacre verify needs Python with the packages nacre and onnx");
  addBuiltPackage();
  std::vector<std::string> arguments{python, "-m", "nacre.verify"};
  auto add = [&](const char *option, llvm::StringRef value) {
    arguments.push_back((option + llvm::Twine("=") + value).str());
  };
  for (const std::string &file : files)
    add("--input", file);
  for (const std::string &archive : archives)
    add("--inputs", archive);
  for (const std::string &size : sizes)
    add("--size", size);
  add("--against", against);
  add("--random", std::to_string(seed));
  if (!tolerance.empty())
    add("--tolerance", tolerance);
  if (!reduce.empty())
    add("--reduce", reduce);
  for (auto [option, isSet] : {std::pair("--bisect", bool(bisect)), std::pair("--json", bool(json))})
    if (isSet)
      arguments.push_back(option);
  llvm::SmallString<256> tool = getToolFolder();
  path::append(tool, "nacre");
  add("--tool", tool);
  arguments.insert(arguments.end(), {"--", model});
  std::string message;
  int code = llvm::sys::ExecuteAndWait(python, std::vector<llvm::StringRef>(arguments.begin(), arguments.end()),
                                       std::nullopt, {}, 0, 0, &message);
  if (code < 0)
    return fail(python + ": " + (message.empty() ? "it crashed" : message), kInternalError);
  return code;
}
