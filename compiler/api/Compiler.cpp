//===- Compiler.cpp - The public compiler API -------------------*- C++ -*-===//
#include "compiler/api/Compiler.h"
#include "compiler/codegen/Codegen.h"
#include "compiler/pipeline/Phases.h"
#include "compiler/pipeline/Register.h"
#include "dialects/nn/NodeLocation.h"
#include "frontends/onnx/OnnxImporter.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/Parser/Parser.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/SHA256.h"

using namespace mlir;
using namespace nacre;

namespace {

/// One compilation: a context, its diagnostics, and the module on its way.
class Compilation {
public:
  Compilation(const CompileOptions &options, std::string name)
      : options(options), fileName(std::move(name)), context(getRegistry()),
        handler(&context, [this](Diagnostic &diagnostic) { return collect(diagnostic); }) {
    context.printOpOnDiagnostic(false);
  }

  /// Reads the file, whatever it holds.
  bool import(const std::string &path) {
    if (StringRef(path).ends_with(".mlir")) {
      module = parseSourceFile<ModuleOp>(path, &context);
      return static_cast<bool>(module);
    }
    module = importOnnx(path, context, getImportOptions());
    return static_cast<bool>(module);
  }

  bool import(std::span<const std::byte> bytes) {
    auto buffer = llvm::MemoryBuffer::getMemBufferCopy(
        StringRef(reinterpret_cast<const char *>(bytes.data()), bytes.size()), fileName);
    module = importOnnx(std::move(buffer), "", context, getImportOptions());
    return static_cast<bool>(module);
  }

  bool runPipeline() {
    auto target = codegen::CpuTarget::create(options.targetCpu, options.targetFeatures);
    if (!target) {
      module->emitError(llvm::toString(target.takeError()));
      return false;
    }
    PipelineOptions pipeline;
    bool wide = target->hasFeature("avx512f");
    pipeline.vectorBits = wide ? 512 : target->hasFeature("avx2") ? 256 : 128;
    pipeline.vectorRegisters = wide ? 32 : 16;
    pipeline.fma = wide || target->hasFeature("fma");
    pipeline.stopAfter = options.stopAfter;
    pipeline.dumpDirectory = options.dumpDirectory;
    pipeline.timePhases = options.timePhases;
    return succeeded(runPhases(*module, pipeline, [&](const Phase &phase) {
      return !options.progress || options.progress(std::string_view(phase.name));
    }));
  }

  std::optional<codegen::CompiledModule> generateCode() {
    if (options.progress && !options.progress("codegen"))
      return std::nullopt;
    codegen::CodegenOptions codegen;
    codegen.targetCPU = options.targetCpu;
    codegen.targetFeatures = options.targetFeatures;
    codegen.dumpDirectory = options.dumpDirectory;
    codegen.provenance = describeProvenance();
    FailureOr<codegen::CompiledModule> compiled = codegen::compileModule(*module, codegen);
    if (failed(compiled))
      return std::nullopt;
    return std::move(*compiled);
  }

  Error error() const {
    bool internal = messages.find("internal error") != std::string::npos;
    std::string text = messages.empty() ? fileName + ": the compilation was cancelled" : messages;
    return {messages.empty() ? NACRE_CANCELLED : internal ? NACRE_INTERNAL : NACRE_INVALID_VALUE, text};
  }

  void print(std::string &output) {
    llvm::raw_string_ostream stream(output);
    module->print(stream, OpPrintingFlags().elideLargeElementsAttrs(64).elideLargeResourceString(64));
  }

  bool stopsEarly() const { return !options.stopAfter.empty(); }

private:
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
    import.dims = options.dims;
    import.allowSymlinks = options.allowSymlinks;
    return import;
  }

  /// What the artefact says of its origin: nothing that differs between equal inputs
  /// (no path, time or machine).
  std::string describeProvenance() const {
    llvm::json::Object dims, shapes;
    for (const auto &[name, size] : options.dims)
      dims[name] = size;
    for (const auto &[name, shape] : options.inputShapes)
      shapes[name] = llvm::json::Array(shape);
    llvm::json::Object provenance{{"compiler", std::string("nacre ") + nacre_version()},
                                  {"source", llvm::sys::path::filename(fileName)},
                                  {"dims", std::move(dims)},
                                  {"input_shapes", std::move(shapes)}};
    std::string text;
    llvm::raw_string_ostream(text) << llvm::json::Value(std::move(provenance));
    return text;
  }

  LogicalResult collect(Diagnostic &diagnostic) {
    if (diagnostic.getSeverity() != DiagnosticSeverity::Error)
      return success(); // warnings and remarks have readers of their own
    if (!messages.empty())
      messages += '\n';
    messages += nn::formatDiagnostic(diagnostic, fileName);
    return success();
  }

  const CompileOptions &options;
  std::string fileName;
  MLIRContext context;
  std::string messages;
  ScopedDiagnosticHandler handler;

public:
  OwningOpRef<ModuleOp> module;
};

/// Runs import and pipeline; the compilation on success.
template <typename Source>
Result<std::unique_ptr<Compilation>> run(const Source &source, std::string name,
                                         const CompileOptions &options) {
  auto compilation = std::make_unique<Compilation>(options, std::move(name));
  if (options.progress && !options.progress("import"))
    return compilation->error();
  if (!compilation->import(source) || !compilation->runPipeline())
    return compilation->error();
  if (compilation->stopsEarly() && options.stopOutput)
    compilation->print(*options.stopOutput);
  return compilation;
}

/// Keeps what a model in memory needs, until the runtime gives it back.
struct InProcessOwner {
  std::unique_ptr<codegen::InProcessModel> code;
};

Result<Model> load(Compilation &compilation) {
  if (compilation.stopsEarly())
    return Error{NACRE_INVALID_ARGUMENT, "a compilation that stops early makes no model"};
  std::optional<codegen::CompiledModule> compiled = compilation.generateCode();
  if (!compiled)
    return compilation.error();
  FailureOr<std::unique_ptr<codegen::InProcessModel>> code = codegen::loadInProcess(*compiled);
  if (failed(code))
    return compilation.error();
  auto *owner = new InProcessOwner{std::move(*code)};
  nacre_model *model = nullptr;
  nacre_status status = nacre_model_create(
      owner->code->getDescriptor(), owner->code->getParameters(),
      [](void *data) { delete static_cast<InProcessOwner *>(data); }, owner, &model);
  if (status != NACRE_OK)
    return Error::last(status);
  return Model(model);
}

} // namespace

Result<Model> nacre::compile(const std::string &path, const CompileOptions &options) {
  auto compilation = run(path, path, options);
  if (!compilation)
    return compilation.error();
  return load(**compilation);
}

Result<Model> nacre::compile(std::span<const std::byte> model, const CompileOptions &options) {
  auto compilation = run(model, "<memory>", options);
  if (!compilation)
    return compilation.error();
  return load(**compilation);
}

Status nacre::compileToFile(const std::string &path, const std::string &artifact,
                            const CompileOptions &options) {
  auto compilation = run(path, path, options);
  if (!compilation)
    return compilation.error();
  if ((*compilation)->stopsEarly())
    return {};
  std::optional<codegen::CompiledModule> compiled = (*compilation)->generateCode();
  if (!compiled || failed(codegen::writeArtifact(*compiled, artifact)))
    return (*compilation)->error();
  return {};
}

std::vector<std::string_view> nacre::getPhaseNames() {
  std::vector<std::string_view> names;
  for (const Phase &phase : getPhases())
    names.push_back(phase.name);
  return names;
}
