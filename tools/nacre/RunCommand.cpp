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
static Command command("run", "Run a model once; each output becomes NAME.npy (NAME.pb where NumPy has nothing like it)",
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
static cl::opt<uint64_t> seed("seed", cl::sub(command.subcommand), cl::value_desc("n"),
                              cl::desc("The model's random numbers are drawn from it (default 0)"));
static cl::opt<bool> json("json", cl::sub(command.subcommand), cl::desc("Print the outputs' files as JSON"));
static CompileFlags compileFlags(command.subcommand);
static HiddenOptions hidden(command.subcommand, {"specialize"}); // one run would not repay it
static InputFlags inputFlags(command.subcommand);

/// A file name for an output: separators become underscores.
static std::string getFileName(std::string_view name) {
  std::string file(name.empty() ? "output" : name);
  for (char &c : file)
    if (c == '/' || c == '\\' || c == '\0')
      c = '_';
  return file == "." || file == ".." ? "_" + file : file;
}

static llvm::json::Object toJson(const TensorView &tensor) {
  return llvm::json::Object{{"dtype", nacre_dtype_name(tensor.dtype())},
                            {"dims", llvm::json::Array(tensor.dims())}};
}

/// A tensor's type; of a sequence those of its elements.
static llvm::json::Object toJson(const ValueInfo &value, llvm::ArrayRef<TensorView> tensors, const std::string &file) {
  llvm::json::Object object;
  if (value.kind == NACRE_VALUE_TENSOR) {
    object = toJson(tensors.front());
  } else {
    llvm::json::Array elements;
    for (const TensorView &tensor : tensors)
      elements.push_back(toJson(tensor));
    object["elements"] = value.kind == NACRE_VALUE_SEQUENCE ? llvm::json::Value(std::move(elements)) : nullptr;
  }
  object["name"] = toUtf8(value.name);
  object["file"] = toUtf8(file);
  return object;
}

static std::string describeValue(const ValueInfo &value, llvm::ArrayRef<TensorView> tensors) {
  if (value.kind == NACRE_VALUE_NOTHING)
    return "nothing";
  std::string text;
  for (const TensorView &tensor : tensors)
    text += (text.empty() ? "" : ", ") + describe(tensor.dtype(), tensor.dims());
  return value.kind == NACRE_VALUE_TENSOR ? text : "sequence of " + std::to_string(value.count) + ": " + text;
}

/// The outputs, each a value of one file: of maps the keys and the values.
static std::vector<ValueInfo> getWritten(const Function &function) {
  std::vector<ValueInfo> values;
  for (const ValueInfo &value : function.outputValues) {
    if (value.kind != NACRE_VALUE_MAP && value.kind != NACRE_VALUE_MAPS) {
      values.push_back(value);
      continue;
    }
    for (int32_t i = value.first; i < value.first + value.count; ++i) {
      ValueInfo &part = values.emplace_back(value);
      part.name = function.outputs[size_t(i)].name;
      part.kind = NACRE_VALUE_TENSOR;
      part.first = i;
      part.count = 1;
    }
  }
  return values;
}

static int runRun() {
  CompileOptions options;
  if (!compileFlags.fill(options, path) || !inputFlags.parse(options))
    return kUsageError;
  if (Status read = inputFlags.read(options); !read)
    return fail(read.error());
  Result<Model> model = openModel(path, options);
  if (!model)
    return fail(model.error());
  Result<Session> session = createSession(*model, threads, seed);
  if (!session)
    return fail(session.error());
  Function function = model->functions().front();
  Result<std::vector<HostTensor>> inputs = inputFlags.collect(function, false);
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
  for (ValueInfo value : getWritten(function)) {
    std::string name(value.name), file = getFileName(name);
    while (!names.insert(file).second) // a/b and a_b are two outputs
      file += '_';
    llvm::SmallString<128> place(directory);
    llvm::sys::path::append(place, file);
    std::vector<TensorView> tensors;
    for (int32_t i = 0; i < value.count; ++i)
      tensors.push_back((*outputs)[size_t(value.first + i)].view());
    std::vector<std::vector<uint8_t>> copies;
    tensors = unpack(value, std::move(tensors), copies);
    Result<std::string> result = writeValue(std::string(place), value, tensors);
    if (!result)
      return fail(result.error());
    if (json)
      written.push_back(toJson(value, tensors, *result));
    else
      llvm::outs() << *result << ": " << describeValue(value, tensors) << '\n';
  }
  if (json)
    printJson(llvm::json::Object{{"outputs", std::move(written)}});
  return kSuccess;
}
