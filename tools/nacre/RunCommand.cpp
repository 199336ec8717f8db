//===- RunCommand.cpp - nacre run -------------------------------*- C++ -*-===//
#include "tools/nacre/Inputs.h"
#include "tools/nacre/TensorFiles.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

using namespace nacre;
using namespace nacre::tool;
namespace cl = llvm::cl;

static int runRun();
static Command command("run", "Run a model once; each output becomes NAME.npy (NAME.pb where NumPy lacks the type)",
                       "  nacre run model.so --input x=x.npy --output-dir out\n"
                       "  nacre run model.onnx --input x=all.npz:key --input y=y.pb     compiled in process\n"
                       "  nacre run model.so --inputs all.npz                           arrays by name\n"
                       "  nacre run model.so --random 1                                 the same for a seed\n", runRun);
static cl::opt<std::string> path(cl::Positional, cl::Required, cl::sub(command.subcommand),
                                 cl::desc("<model.so | model.onnx>"));
static cl::opt<std::string> directory("output-dir", cl::sub(command.subcommand), cl::value_desc("folder"),
                                      cl::init("."), cl::desc("Where the outputs go (default: here)"));
static cl::opt<int> threads("threads", cl::sub(command.subcommand), cl::value_desc("n"),
                            cl::desc("Threads (default: all cores)"));
static cl::opt<bool> json("json", cl::sub(command.subcommand), cl::desc("Print the outputs' files as JSON"));
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
  CompileOptions options;
  if (!compileFlags.fill(options, path) || !inputFlags.parse(options))
    return kUsageError;
  Result<Model> model = openModel(path, options);
  if (!model)
    return fail(model.error());
  Result<Session> session = createSession(*model, threads);
  if (!session)
    return fail(session.error());
  Function function = model->functions().front();
  Result<std::vector<HostTensor>> inputs = inputFlags.read(function, false);
  if (!inputs)
    return fail(inputs.error());
  std::vector<TensorView> views;
  for (const HostTensor &tensor : *inputs)
    views.push_back(tensor.view());
  Result<std::vector<Tensor>> outputs = session->run(views);
  if (!outputs)
    return fail(outputs.error());

  if (std::error_code error = llvm::sys::fs::create_directories(directory))
    return fail(directory + ": " + error.message());
  llvm::json::Array written;
  llvm::StringSet<> names;
  for (size_t i = 0; i < outputs->size(); ++i) {
    std::string name(function.outputs[i].name), file = getFileName(name);
    while (!names.insert(file).second) // a/b and a_b are two outputs
      file += '_';
    llvm::SmallString<128> place(directory);
    llvm::sys::path::append(place, file);
    TensorView view = (*outputs)[i].view();
    Result<std::string> result = writeTensor(std::string(place), name, view);
    if (!result)
      return fail(result.error());
    if (json)
      written.push_back(llvm::json::Object{{"name", toUtf8(name)},
                                           {"dtype", nacre_dtype_name(view.dtype())},
                                           {"dims", llvm::json::Array(view.dims())},
                                           {"file", toUtf8(*result)}});
    else
      llvm::outs() << *result << ": " << toString(view) << '\n';
  }
  if (json)
    printJson(llvm::json::Object{{"outputs", std::move(written)}});
  return kSuccess;
}
