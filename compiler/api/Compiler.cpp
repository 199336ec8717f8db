//===- Compiler.cpp - The public compiler API -------------------*- C++ -*-===//
#include "compiler/api/Cache.h"
#include "compiler/codegen/Codegen.h"
#include "compiler/codegen/EntryPoints.h"
#include "compiler/codegen/KernelCache.h"
#include "compiler/codegen/OutputFile.h"
#include "compiler/pipeline/Phases.h"
#include "compiler/pipeline/Register.h"
#include "compiler/pipeline/Reproducer.h"
#include "dialects/kern/KernOps.h"
#include "dialects/nn/NodeLocation.h"
#include "frontends/onnx/OnnxImporter.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Remarks.h"
#include "mlir/Parser/Parser.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include <chrono>
#include <mutex>

using namespace mlir;
using namespace nacre;

namespace {

PipelineOptions getPipelineOptions(const CompileOptions &options, const codegen::CpuTarget &target) {
  PipelineOptions pipeline;
  bool wide = target.hasFeature("avx512f"), isArm = target.getTriple().isAArch64();
  pipeline.vectorBits = wide ? 512 : target.hasFeature("avx2") ? 256 : 128;
  pipeline.vectorRegisters = wide || isArm ? 32 : 16;
  pipeline.fma = wide || isArm || target.hasFeature("fma");
  if (options.train)
    pipeline.training = {options.train->loss, options.train->optimizer};
  pipeline.separateBuffers = options.sanitizeAddress;
  pipeline.stopAfter = options.stopAfter;
  pipeline.startAt = options.startAt;
  pipeline.dumpDirectory = options.dumpDirectory;
  pipeline.timePhases = options.timePhases;
  pipeline.disabledPasses = options.disabledPasses;
  return pipeline;
}

/// One call of the compiler: a context, its diagnostics, and the compilation.
class Call {
public:
  Call(const CompileOptions &options, std::string name)
      : options(options), fileName(std::move(name)), context(getRegistry()),
        handler(&context, [this](Diagnostic &diagnostic) { return collect(diagnostic); }) {
    context.printOpOnDiagnostic(false);
    if (!options.reproducer.empty()) {
      reproducer.emplace(options.reproducer, std::string("nacre ") + nacre_version());
      compilation.reproducer = &*reproducer;
      context.loadAllAvailableDialects(); // no module can be printed while one is being loaded
    }
    if (options.log) {
      compilation.log = [this](const Twine &line) { log(line); };
      (void)remark::enableOptimizationRemarks(context, nullptr, std::make_unique<remark::RemarkEmittingPolicyAll>(),
                                              {{}, ".*", ".*", ".*", ".*"}, /*printAsEmitRemarks=*/true);
    }
  }

  /// Runs the phases on a file, whatever it holds, or on bytes of an ONNX model.
  template <typename Source>
  bool run(const Source &source, llvm::function_ref<LogicalResult(const codegen::CompiledModule &)> deliver) {
    auto target = codegen::CpuTarget::create(options.targetCpu, options.targetFeatures, options.targetTriple);
    if (!target) {
      emitError(UnknownLoc::get(&context), llvm::toString(target.takeError()));
      return false;
    }
    if (std::error_code error = makeDumpFolder()) {
      compilation.culprit = Culprit::File;
      emitError(UnknownLoc::get(&context), "cannot make the folder ") << options.dumpDirectory << ": " << error.message();
      return false;
    }
    compilation.options = getPipelineOptions(options, *target);
    compilation.codegen.targetCPU = options.targetCpu;
    compilation.codegen.targetFeatures = options.targetFeatures;
    compilation.codegen.targetTriple = options.targetTriple;
    compilation.codegen.keepInputs = options.emit.size() > 1;
    compilation.codegen.sanitizeAddress = options.sanitizeAddress;
    compilation.codegen.dumpDirectory = options.dumpDirectory;
    compilation.codegen.keepIR = (options.stopAfter == "codegen" && options.stopOutput) ||
                                 llvm::is_contained(options.emit, Emit::LlvmIr) ||
                                 llvm::is_contained(options.emit, Emit::Assembly);
    if (!openCache() || !checkDisabledPasses() || !checkStart())
      return false;
    if (options.log) {
      log("target: " + target->getCPU() + ", vectors of " + Twine(compilation.options.vectorBits) + " bits");
      log(cache ? "cache: " + Twine(cache->getDirectory()) : "cache: none");
    }
    compilation.import = [&] {
      OwningOpRef<ModuleOp> module = import(source);
      if (module)
        compilation.codegen.provenance = describeProvenance(*module);
      if (module && onImport && failed(onImport(*module)))
        return OwningOpRef<ModuleOp>();
      return module;
    };
    compilation.deliver = deliver;
    compilation.cancel = compilation.codegen.cancel = options.cancel.get();
    bool succeeds = succeeded(runPhases(compilation, [&](const Phase &phase) {
      isCancelled = compilation.isCancelled() ||
                    (options.progress && !options.progress(std::string_view(phase.name)));
      return !isCancelled;
    }));
    closeCache();
    if (cache && options.log)
      log("cache: " + Twine(cache->getHits()) + " hits, " + Twine(cache->getMisses()) + " misses");
    isCancelled |= !succeeds && compilation.isCancelled();
    if (succeeds && !options.stopAfter.empty() && options.stopOutput)
      print(*options.stopOutput);
    return succeeds;
  }

  /// Why `run` failed. A fault of the compiler's own leaves its reproducer.
  Error error() {
    if (isCancelled)
      return {NACRE_CANCELLED, fileName + ": the compilation was cancelled"};
    if (compilation.culprit == Culprit::File)
      return {NACRE_IO_ERROR, messages};
    bool isMarked = messages.find("internal error") != std::string::npos;
    if (compilation.culprit == Culprit::Model && !isMarked && !messages.empty())
      return {NACRE_INVALID_VALUE, messages};
    std::string text = messages.empty() ? fileName + ": a pass failed without a message" : messages;
    if (reproducer)
      if (std::string report = reproducer->write(reproducer->failed); !report.empty())
        text += '\n' + report;
    return {NACRE_INTERNAL, (isMarked ? "" : "internal error: ") + text};
  }

  /// Compiles nothing, but looks everything up.
  void explain(std::vector<KernelLookup> &lookups) {
    compilation.codegen.explain = [&lookups, mutex = std::make_shared<std::mutex>()](
                                      StringRef name, bool isCached, StringRef reason) {
      std::lock_guard lock(*mutex);
      lookups.push_back({name.str(), isCached, reason.str()});
    };
  }

  /// Tells the host of an event.
  void log(const Twine &line) {
    std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    options.log(llvm::formatv("[{0,7:f3} s] {1}", seconds.count(), line.str()).str());
  }

  /// Says that a failure from here on is one of writing a file.
  void beginWriting() { compilation.culprit = Culprit::File; }

  /// Called with the imported module.
  std::function<LogicalResult(ModuleOp)> onImport;

private:
  OwningOpRef<ModuleOp> import(const std::string &path) {
    if (!StringRef(path).ends_with(".mlir"))
      return importOnnx(path, context, getImportOptions());
    auto file = llvm::MemoryBuffer::getFile(path);
    if (std::error_code error = file.getError()) {
      emitError(FileLineColLoc::get(&context, path, 0, 0), "cannot be read: " + error.message());
      return nullptr;
    }
    StringRef text = (*file)->getBuffer();
    auto module = parseSourceString<ModuleOp>(text, ParserConfig(&context), path);
    if (module)
      setSourceHash(*module, text);
    return module;
  }

  OwningOpRef<ModuleOp> import(std::span<const std::byte> bytes) {
    auto buffer = llvm::MemoryBuffer::getMemBufferCopy(
        StringRef(reinterpret_cast<const char *>(bytes.data()), bytes.size()), fileName);
    return importOnnx(std::move(buffer), "", context, getImportOptions());
  }

  /// Whether options.disabledPasses are passes; false after a diagnostic.
  bool checkDisabledPasses() {
    if (options.disabledPasses.empty())
      return true;
    std::string pipeline;
    llvm::raw_string_ostream stream(pipeline);
    printPhases(stream, compilation.options);
    SmallVector<StringRef> words;
    llvm::SplitString(pipeline, words, "(){}, \n");
    for (const std::string &name : options.disabledPasses)
      if (!llvm::is_contained(words, name)) {
        emitError(UnknownLoc::get(&context), "no pass is named '") << name << "'; see --print-pipeline";
        return false;
      }
    return true;
  }

  /// Whether the model can enter at options.startAt; false after a diagnostic.
  bool checkStart() {
    if (options.startAt.empty())
      return true;
    if (!llvm::is_contained(getPhaseNames(), std::string_view(options.startAt)) || options.startAt == "artifact")
      emitError(UnknownLoc::get(&context), "no module enters at the phase '") << options.startAt << "'";
    else if (!StringRef(fileName).ends_with(".mlir"))
      emitError(UnknownLoc::get(&context), "a model enters at the first phase, not at '") << options.startAt << "'";
    else
      return true;
    return false;
  }

  /// Opens the cache; false after a diagnostic. The default folder may be missing or
  /// unusable: then there is no cache.
  bool openCache() {
    std::string directory = options.cacheDirectory.value_or(getDefaultCacheDirectory());
    if (!options.disabledPasses.empty())
      directory.clear(); // a kernel's key knows nothing of them
    if (options.cacheUse)
      *options.cacheUse = {};
    if (directory.empty())
      return true;
    auto opened = codegen::KernelCache::open(directory, options.cacheBytes);
    if (opened) {
      cache = std::move(*opened);
      compilation.codegen.cache = cache.get();
      return true;
    }
    std::string message = llvm::toString(opened.takeError());
    if (!options.cacheDirectory) {
      if (options.cacheUse)
        options.cacheUse->error = message;
      return true;
    }
    compilation.culprit = Culprit::File;
    emitError(UnknownLoc::get(&context), message);
    return false;
  }

  void closeCache() {
    if (!cache)
      return;
    cache->prune();
    if (options.cacheUse)
      *options.cacheUse = {cache->getDirectory(), int64_t(cache->getHits()), int64_t(cache->getMisses()),
                           cache->getWriteError()};
  }

  std::error_code makeDumpFolder() const {
    return options.dumpDirectory.empty() ? std::error_code()
                                         : llvm::sys::fs::create_directories(options.dumpDirectory);
  }

  /// The module, or the code, as text.
  void print(std::string &output) {
    llvm::raw_string_ostream stream(output);
    if (compilation.compiled) {
      for (const codegen::Object &object : compilation.compiled->objects)
        stream << object.ir << '\n';
      if (compilation.compiled->prepare)
        for (const codegen::Object &object : compilation.compiled->prepare->objects)
          stream << object.ir << '\n';
    } else
      compilation.module->print(
          stream, OpPrintingFlags().elideLargeElementsAttrs(64).elideLargeResourceString(64));
  }

  static const DialectRegistry &getRegistry() {
    static const DialectRegistry *registry = [] {
      auto *result = new DialectRegistry;
      registerDialects(*result);
      return result;
    }();
    return *registry;
  }

  ImportOptions getImportOptions() const {
    ImportOptions import;
    for (const auto &[name, shape] : options.inputShapes) {
      SmallVector<int64_t> sizes;
      for (int64_t size : shape)
        sizes.push_back(size < 0 ? ShapedType::kDynamic : size);
      import.inputShapes[name] = std::move(sizes);
    }
    import.inputLengths = options.inputLengths;
    for (const auto &[name, ranks] : options.examples)
      import.examples[name] =
          ranks ? std::optional(SmallVector<int64_t>(ranks->begin(), ranks->end())) : std::nullopt;
    import.dims = options.dims;
    import.allowSymlinks = options.allowSymlinks;
    import.trainable = options.train.has_value();
    import.hashSource = true;
    return import;
  }

  /// What the artefact says of its origin: nothing that differs between equal inputs
  /// (no path, time or machine).
  std::string describeProvenance(ModuleOp module) const {
    llvm::json::Object dims, shapes, lengths;
    for (const auto &[name, size] : options.dims)
      dims[name] = size;
    for (const auto &[name, length] : options.inputLengths)
      lengths[name] = length ? llvm::json::Value(*length) : nullptr;
    for (const auto &[name, shape] : options.inputShapes)
      shapes[name] = llvm::json::Array(shape);
    llvm::json::Object provenance{{"compiler", std::string("nacre ") + nacre_version()},
                                  {"source", llvm::sys::path::filename(fileName)},
                                  {"dims", std::move(dims)},
                                  {"input_shapes", std::move(shapes)}};
    if (!lengths.empty())
      provenance["input_lengths"] = std::move(lengths);
    if (options.train)
      provenance["train"] = llvm::json::Object{{"loss", options.train->loss}, {"optimizer", options.train->optimizer}};
    if (auto hash = module->getAttrOfType<StringAttr>(kSourceHashAttr))
      provenance["blake3"] = hash.getValue();
    std::string text;
    llvm::raw_string_ostream(text) << llvm::json::Value(std::move(provenance));
    return text;
  }

  LogicalResult collect(Diagnostic &diagnostic) {
    if (diagnostic.getSeverity() != DiagnosticSeverity::Error) {
      if (options.log)
        log((diagnostic.getSeverity() == DiagnosticSeverity::Warning ? "warning: " : "remark: ") +
            nn::formatDiagnostic(diagnostic, ""));
      return success();
    }
    if (!messages.empty())
      messages += '\n';
    messages += nn::formatDiagnostic(diagnostic, fileName);
    return success();
  }

  const CompileOptions &options;
  std::string fileName;
  MLIRContext context;
  std::string messages;
  bool isCancelled = false;
  ScopedDiagnosticHandler handler;
  std::unique_ptr<codegen::KernelCache> cache;
  Compilation compilation;
  std::optional<Reproducer> reproducer; // before the context goes
  std::chrono::steady_clock::time_point start = std::chrono::steady_clock::now();
};

/// Keeps what a model in memory needs, until the runtime gives it back.
struct InProcessOwner {
  std::unique_ptr<codegen::InProcessModel> code;
};

template <typename Source>
Result<Model> compileInProcess(const Source &source, std::string name, const CompileOptions &options) {
  if (!options.stopAfter.empty())
    return Error{NACRE_INVALID_ARGUMENT, "a compilation that stops early makes no model"};
  Call call(options, std::move(name));
  auto owner = std::make_unique<InProcessOwner>();
  bool succeeds = call.run(source, [&](const codegen::CompiledModule &compiled) {
    FailureOr<std::unique_ptr<codegen::InProcessModel>> code = codegen::loadInProcess(compiled);
    if (succeeded(code))
      owner->code = std::move(*code);
    return code;
  });
  if (!succeeds)
    return call.error();
  nacre_model *model = nullptr;
  InProcessOwner *data = owner.release();
  nacre_status status = nacre_model_create(
      data->code->getDescriptor(), data->code->getParameters(),
      [](void *data) { delete static_cast<InProcessOwner *>(data); }, data, &model);
  if (status != NACRE_OK)
    return Error::last(status);
  return Model(model);
}

} // namespace

Result<Model> nacre::compile(const std::string &path, const CompileOptions &options) {
  return compileInProcess(path, path, options);
}

Result<Model> nacre::compile(std::span<const std::byte> model, const CompileOptions &options) {
  return compileInProcess(model, "<memory>", options);
}

namespace {

std::optional<codegen::FileKind> getFileKind(Emit kind) {
  switch (kind) {
  case Emit::Shared:
    return codegen::FileKind::Shared;
  case Emit::Object:
    return codegen::FileKind::Object;
  case Emit::StaticLibrary:
    return codegen::FileKind::StaticLibrary;
  case Emit::Executable:
    return codegen::FileKind::Executable;
  case Emit::Header:
    return codegen::FileKind::Header;
  case Emit::LlvmIr:
    return codegen::FileKind::LLVMIR;
  case Emit::Assembly:
    return codegen::FileKind::Assembly;
  case Emit::Mlir:
    return std::nullopt; // of the module before code generation
  }
  return std::nullopt;
}

/// The module with the names of its nodes and all weights, whose text begins with how they
/// happen to be aligned in memory: as if it were always to 64 bytes.
std::string printComplete(ModuleOp module) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  module.print(stream, OpPrintingFlags().enableDebugInfo());
  constexpr llvm::StringLiteral start = ": \"0x", alignment = "40000000";
  for (size_t at = text.find("{-#"); (at = text.find(start, at)) != std::string::npos; at += start.size())
    if (at + start.size() + alignment.size() < text.size())
      text.replace(at + start.size(), alignment.size(), alignment);
  return text + '\n';
}

/// What can be known to go wrong before anything is compiled.
Status checkOutputs(const std::vector<std::pair<Emit, std::string>> &files, const CompileOptions &options) {
  auto target = codegen::CpuTarget::create(options.targetCpu, options.targetFeatures, options.targetTriple);
  if (!target)
    return Error{NACRE_INVALID_VALUE, llvm::toString(target.takeError())};
  for (const auto &[kind, path] : files) {
    if (std::optional<codegen::FileKind> fileKind = getFileKind(kind))
      if (llvm::Error error = codegen::checkFileKind(*fileKind, *target))
        return Error{NACRE_INVALID_VALUE, llvm::toString(std::move(error))};
    if (kind != Emit::Header)
      continue;
    // It may be somebody's own, whose library has the name of the model.
    auto old = llvm::MemoryBuffer::getFileSlice(path, sizeof codegen::kHeaderMark - 1, 0);
    if (old && (*old)->getBufferSize() > 0 && (*old)->getBuffer() != codegen::kHeaderMark)
      return Error{NACRE_IO_ERROR, path + ": is not written over, as it was not made by nacre compile; move it, or "
                                          "give the artefact another name"};
  }
  return {};
}

} // namespace

Status nacre::compileToFile(const std::string &path, const std::string &artifact,
                            const CompileOptions &options) {
  std::vector<std::pair<Emit, std::string>> files = getOutputFiles(artifact, options);
  if (options.stopAfter.empty() || options.stopAfter == getPhaseNames().back())
    if (Status status = checkOutputs(files, options); !status)
      return status;
  CompileOptions shortened = options;
  bool isText = llvm::all_of(options.emit, [](Emit kind) { return kind == Emit::Mlir; });
  if (isText && options.stopAfter.empty())
    shortened.stopAfter = "import", shortened.stopOutput = nullptr;
  Call call(shortened, path);
  for (const auto &[kind, file] : files)
    if (kind == Emit::Mlir && options.stopAfter.empty())
      call.onImport = [&call, file](ModuleOp module) -> LogicalResult {
        call.beginWriting();
        llvm::Error error = codegen::writeTextFile(file, printComplete(module));
        if (!error)
          return success();
        return module.emitError("cannot write '") << file << "': " << llvm::toString(std::move(error));
      };
  if (!call.run(path, [&](const codegen::CompiledModule &compiled) {
        call.beginWriting();
        std::string name = codegen::makeEntryName(files.front().second), library = name + ".so";
        for (const auto &[kind, file] : files)
          if (kind == Emit::Shared || kind == Emit::Object || kind == Emit::StaticLibrary) {
            library = file;
            break;
          }
        for (const auto &[kind, file] : files)
          if (std::optional<codegen::FileKind> fileKind = getFileKind(kind))
            if (failed(codegen::emitFile(compiled, *fileKind, file, name, library)))
              return failure();
        return success();
      }))
    return call.error();
  uint64_t size = 0;
  for (const auto &[kind, file] : files)
    if (options.log && options.stopAfter.empty() && !llvm::sys::fs::file_size(file, size))
      call.log(file + ": " + Twine(size / 1024) + " KiB");
  return {};
}

Result<std::vector<KernelLookup>> nacre::explainCache(const std::string &path, const CompileOptions &options) {
  CompileOptions shortened = options;
  shortened.stopAfter = "codegen";
  shortened.stopOutput = nullptr;
  shortened.dumpDirectory.clear();
  Call call(shortened, path);
  std::vector<KernelLookup> lookups;
  call.explain(lookups);
  if (!call.run(path, nullptr))
    return call.error();
  llvm::sort(lookups, [](const KernelLookup &l, const KernelLookup &r) { return l.name < r.name; });
  return lookups;
}

void nacre::prepareReproducers() { Reproducer::prepareForCrash(); }

void nacre::writeReproducers() noexcept { Reproducer::handleCrash(); }

std::vector<std::string_view> nacre::getPhaseNames() {
  std::vector<std::string_view> names;
  for (const Phase &phase : getPhases())
    names.push_back(phase.name);
  return names;
}

Result<std::string> nacre::describePipeline(const CompileOptions &options) {
  auto target = codegen::CpuTarget::create(options.targetCpu, options.targetFeatures, options.targetTriple);
  if (!target)
    return Error{NACRE_INVALID_ARGUMENT, llvm::toString(target.takeError())};
  std::string text;
  llvm::raw_string_ostream stream(text);
  printPhases(stream, getPipelineOptions(options, *target));
  return text;
}
