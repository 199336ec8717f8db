//===- Command.cpp - What the subcommands share -----------------*- C++ -*-===//
#include "tools/nacre/Command.h"
#include "frontends/onnx/OnnxImporter.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/WithColor.h"
#include "llvm/Support/raw_ostream.h"
#include <algorithm>

using namespace nacre;
using namespace nacre::tool;
namespace cl = llvm::cl;

static llvm::SmallVector<Command *> &getCommands() {
  static llvm::SmallVector<Command *> commands;
  return commands;
}

Command::Command(const char *name, const char *summary, const char *examples, int (*run)())
    : subcommand(name, summary), examples(examples), run(run) {
  getCommands().push_back(this);
}

Command *Command::getSelected() {
  for (Command *command : getCommands())
    if (command->subcommand)
      return command;
  return nullptr;
}

const Command *Command::find(llvm::StringRef name) {
  for (const Command *command : getCommands())
    if (command->subcommand.getName() == name)
      return command;
  return nullptr;
}

int tool::fail(const std::string &message, ExitCode code) {
  llvm::WithColor::error(llvm::errs(), "nacre") << message << '\n';
  return code;
}

int tool::fail(const Error &error) {
  return fail(error.message, error.status == NACRE_INTERNAL ? kInternalError : kInputError);
}

HiddenOptions::HiddenOptions(cl::SubCommand &command, std::initializer_list<llvm::StringRef> names) {
  for (llvm::StringRef name : names)
    if (auto option = command.OptionsMap.find(name); option != command.OptionsMap.end())
      option->second->setHiddenFlag(cl::Hidden);
}

CompileFlags::CompileFlags(cl::SubCommand &command)
    : inputShapes("input-shape", cl::sub(command), cl::value_desc("name=1x3x224x224"),
                  cl::desc("Fix an input's shape (? keeps a size open)")),
      inputLengths("input-length", cl::sub(command), cl::value_desc("name=3"),
                   cl::desc("Fix how many elements a sequence has (optional: 1 or none)")),
      dims("dim", cl::sub(command), cl::value_desc("name=size"),
           cl::desc("Fix a named dimension in all inputs")),
      specialize("specialize", cl::sub(command), cl::value_desc("name=1,8"),
                 cl::desc("Faster code for these sizes (x[0]=1: of no name), beside that for all")),
      disabledPasses("disable-pass", cl::sub(command), cl::value_desc("pass"), cl::Hidden,
                     cl::desc("Leave out a pass (see --print-pipeline), to find the one at fault")),
      precision("precision", cl::sub(command), cl::init("f32"), cl::value_desc("bf16"),
                cl::desc("Compute products of f32 in bf16 or f16, with sums in f32; training: f16 with a scaled loss")),
      exactConv("exact-conv", cl::sub(command),
                cl::desc("Convolutions sum the products of their windows, none by Winograd's transforms")),
      targetCpu("target-cpu", cl::sub(command), cl::value_desc("cpu"),
                cl::desc("LLVM's name of the CPU (default: this machine's); a file can be for several, a,b")),
      targetFeatures("target-features", cl::sub(command), cl::value_desc("+a,-b"),
                     cl::desc("Changes to the CPU's features")),
      dumpPhases("dump-phases", cl::sub(command), cl::value_desc("folder"),
                 cl::desc("Write the module after each phase")),
      cacheDir("cache-dir", cl::sub(command), cl::value_desc("folder"),
               cl::desc("Where compiled kernels are kept (default: $XDG_CACHE_HOME/nacre)")),
      reproducer("reproducer", cl::sub(command), cl::value_desc("file or folder"), cl::Hidden,
                 cl::desc("Where a fault of the compiler leaves a module that shows it (default: /tmp)")),
      cacheSize("cache-size", cl::sub(command), cl::value_desc("MiB"), cl::init(1024), cl::Hidden,
                cl::desc("Keep about so much there (default 1024; 0: without limit)")),
      allowSymlinks("allow-symlinks", cl::sub(command),
                    cl::desc("External data may leave the model's folder by links")),
      timePhases("time-phases", cl::sub(command), cl::Hidden, cl::desc("Print each phase's time")),
      noCache("no-cache", cl::sub(command), cl::desc("Neither use nor keep compiled kernels")),
      verbose("verbose", cl::sub(command), cl::desc("Tell on standard error what happens, and when")) {}

/// Takes "batch=1,8" of sizes by name; false after a message if it is malformed.
static bool addSizes(llvm::StringRef text, std::map<std::string, std::vector<int64_t>> &sizes) {
  auto [name, list] = text.rsplit('=');
  std::vector<int64_t> parsed;
  bool isValid = !name.empty() && !list.empty();
  for (llvm::StringRef part : llvm::split(list, ',')) {
    uint32_t size = 0;
    isValid &= llvm::to_integer(part, size, 10);
    parsed.push_back(size);
  }
  if (!isValid) {
    fail("--specialize: malformed sizes '" + text.str() + "', expected NAME=1,8", kUsageError);
    return false;
  }
  if (sizes.insert({name.str(), std::move(parsed)}).second)
    return true;
  fail("--specialize: the sizes of '" + name.str() + "' are given twice", kUsageError);
  return false;
}

bool CompileFlags::fill(CompileOptions &options) const {
  ImportOptions sizes;
  auto parse = [&sizes](const char *option, const cl::list<std::string> &texts,
                        bool (ImportOptions::*add)(llvm::StringRef, std::string &)) {
    std::string problem;
    for (const std::string &text : texts)
      if (!(sizes.*add)(text, problem)) {
        fail(std::string(option) + ": " + problem, kUsageError);
        return false;
      }
    return true;
  };
  if (!parse("--input-shape", inputShapes, &ImportOptions::addInputShape) ||
      !parse("--input-length", inputLengths, &ImportOptions::addInputLength) ||
      !parse("--dim", dims, &ImportOptions::addDim))
    return false;
  for (const auto &[name, shape] : sizes.inputShapes) {
    std::vector<int64_t> &open = options.inputShapes[name];
    open.assign(shape.begin(), shape.end());
    std::replace(open.begin(), open.end(), mlir::ShapedType::kDynamic, int64_t(-1));
  }
  for (const std::string &text : specialize)
    if (!addSizes(text, options.specialize))
      return false;
  options.inputLengths = std::move(sizes.inputLengths);
  options.dims = std::move(sizes.dims);
  options.disabledPasses = std::vector<std::string>(disabledPasses.begin(), disabledPasses.end());
  options.precision = precision;
  options.exactConv = exactConv;
  options.targetCpu = targetCpu;
  options.targetFeatures = targetFeatures;
  options.dumpDirectory = dumpPhases;
  options.allowSymlinks = allowSymlinks;
  options.timePhases = timePhases;
  options.reproducer = reproducer;
  if (reproducer.empty()) {
    llvm::SmallString<128> folder;
    llvm::sys::path::system_temp_directory(/*erasedOnReboot=*/true, folder);
    options.reproducer = folder.str();
  }
  if (verbose)
    options.log = [](std::string_view line) { llvm::errs() << line << '\n'; };
  if (noCache && !cacheDir.empty()) {
    fail("--no-cache and --cache-dir exclude each other", kUsageError);
    return false;
  }
  if (noCache)
    options.cacheDirectory = "";
  else if (!cacheDir.empty())
    options.cacheDirectory = cacheDir;
  options.cacheBytes = uint64_t(cacheSize * (1 << 20));
  return true;
}

Progress::Progress(CompileOptions &options) {
  if (!options.cacheUse)
    options.cacheUse = &cacheUse;
  if (!llvm::errs().is_displayed() || options.log)
    return;
  shown = true;
  options.progress = [](std::string_view phase) {
    llvm::errs() << "\r\033[Kcompiling: " << phase;
    llvm::errs().flush();
    return true;
  };
  if (options.tune)
    options.tune->progress = [](std::string_view line) {
      llvm::errs() << "\r\033[K" << line;
      llvm::errs().flush();
    };
}

Progress::~Progress() {
  if (shown)
    llvm::errs() << "\r\033[K";
  if (!cacheUse.error.empty())
    llvm::errs() << "nacre: warning: kernels are not cached: " << cacheUse.error << '\n';
}

bool tool::isSource(llvm::StringRef path) { return path.ends_with(".onnx") || path.ends_with(".mlir"); }

bool CompileFlags::fill(CompileOptions &options, const std::string &path) const {
  bool isCompiling = !inputShapes.empty() || !inputLengths.empty() || !specialize.empty() || precision.getNumOccurrences() || exactConv || !targetCpu.empty() || !targetFeatures.empty() ||
                     !dumpPhases.empty() || !cacheDir.empty() || allowSymlinks || timePhases || noCache || verbose ||
                     !reproducer.empty();
  if (!isSource(path) && isCompiling) {
    fail(path + " is compiled already: options of the compiler are for .onnx files", kUsageError);
    return false;
  }
  return fill(options);
}

Result<Model> tool::openModel(const std::string &path, CompileOptions options) {
  if (!isSource(path))
    return Model::load(path);
  Progress progress(options);
  return compile(path, options);
}

Result<Session> tool::createSession(const Model &model, int threads, uint64_t seed, bool copyParameters) {
  if (model.functions().empty())
    return Error{NACRE_CORRUPT, "the model has no function"};
  return Session::create(model, {.threads = threads, .seed = seed, .copyParameters = copyParameters});
}

std::string tool::toString(const ValueInfo &value, const std::vector<TensorInfo> &tensors) {
  std::string text = value.isOptional ? "optional " : "";
  if (value.kind == NACRE_VALUE_NOTHING)
    text += "nothing";
  if (value.kind == NACRE_VALUE_PACKED)
    return text + "sequence of " + nacre_dtype_name(tensors[size_t(value.first)].dtype);
  if (value.kind == NACRE_VALUE_ANY_RANK)
    return text + nacre_dtype_name(tensors[size_t(value.first)].dtype) + " of any rank";
  if (value.kind == NACRE_VALUE_MAP || value.kind == NACRE_VALUE_MAPS)
    text += value.kind == NACRE_VALUE_MAP ? "map: " : "sequence of maps: ";
  if (value.kind == NACRE_VALUE_SEQUENCE)
    text += "sequence of " + std::to_string(value.count) + (value.count ? ": " : "");
  for (int32_t i = 0; i < value.count; ++i)
    text += (i ? ", " : "") + nacre::toString(tensors[size_t(value.first + i)]);
  return text;
}

std::string tool::toUtf8(std::string_view text) { return llvm::json::fixUTF8(llvm::StringRef(text)); }

llvm::json::Value tool::toJson(const std::vector<TensorInfo> &tensors) {
  llvm::json::Array array;
  for (const TensorInfo &info : tensors) {
    llvm::json::Array dims;
    for (const Dim &dim : info.dims)
      if (dim.size >= 0)
        dims.push_back(dim.size);
      else
        dims.push_back(dim.symbol.empty() ? llvm::json::Value(nullptr)
                                          : llvm::json::Value(toUtf8(dim.symbol)));
    array.push_back(llvm::json::Object{{"name", toUtf8(info.name)},
                                       {"dtype", nacre_dtype_name(info.dtype)},
                                       {"dims", std::move(dims)}});
  }
  return array;
}

void tool::printJson(llvm::json::Value value) { llvm::outs() << llvm::formatv("{0:2}\n", value); }
