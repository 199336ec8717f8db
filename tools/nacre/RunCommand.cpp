//===- RunCommand.cpp - nacre run -------------------------------*- C++ -*-===//
#include "tools/nacre/Inputs.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

using namespace nacre;
using namespace nacre::tool;
namespace cl = llvm::cl;

static int runRun();
static Command command("run", "Run a model once; writes one file per output",
                       "nacre run model.so --input x=x.npy --output-dir out", runRun);
static cl::opt<std::string> path(cl::Positional, cl::Required, cl::sub(command.subcommand),
                                 cl::desc("<model.so | model.onnx>"));
static cl::opt<std::string> directory("output-dir", cl::sub(command.subcommand), cl::value_desc("folder"),
                                      cl::init("."), cl::desc("Where the outputs go (default: here)"));
static cl::opt<int> threads("threads", cl::sub(command.subcommand), cl::value_desc("n"),
                            cl::desc("Threads (default: all cores)"));
static CompileFlags compileFlags(command.subcommand);
static InputFlags inputFlags(command.subcommand);

/// A file name for an output: separators become underscores.
static std::string getFileName(std::string_view name) {
  std::string file(name.empty() ? "output" : name);
  for (char &c : file)
    if (c == '/' || c == '\\' || c == '\0')
      c = '_';
  return file == "." || file == ".." ? "_" + file : file;
}

static int runRun() {
  Result<Model> model = openModel(path, compileFlags);
  if (!model)
    return fail(model.error());
  Function function = model->functions().front();
  Result<std::vector<HostTensor>> inputs = inputFlags.read(function, false);
  if (!inputs)
    return fail(inputs.error());
  Result<Session> session = Session::create(*model, {.threads = threads});
  if (!session)
    return fail(session.error());
  std::vector<TensorView> views;
  for (const HostTensor &tensor : *inputs)
    views.push_back(tensor.view());
  Result<std::vector<Tensor>> outputs = session->run(views);
  if (!outputs)
    return fail(outputs.error());

  if (std::error_code error = llvm::sys::fs::create_directories(directory))
    return fail(directory + ": " + error.message());
  for (size_t i = 0; i < outputs->size(); ++i) {
    llvm::SmallString<128> file(directory);
    llvm::sys::path::append(file, getFileName(function.outputs[i].name) + ".npy");
    TensorView view = (*outputs)[i].view();
    if (!isNpyType(view.dtype()))
      return fail("output '" + std::string(function.outputs[i].name) + "' is " +
                  nacre_dtype_name(view.dtype()) + ", which .npy cannot hold");
    if (Status status = writeNpy(std::string(file), view); !status)
      return fail(status.error());
    llvm::outs() << file << ": " << describe(function.outputs[i]) << '\n';
  }
  return kSuccess;
}
