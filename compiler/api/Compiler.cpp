//===- Compiler.cpp - The public compiler API -------------------*- C++ -*-===//
#include "compiler/api/Call.h"
#include "compiler/api/Tune.h"
#include "compiler/codegen/Codegen.h"
#include "compiler/pipeline/Phases.h"
#include "llvm/Support/MemoryBuffer.h"

using namespace mlir;
using namespace nacre;

namespace {

/// Keeps what a model in memory needs, until the runtime gives it back.
struct InProcessOwner {
  std::unique_ptr<codegen::InProcessModel> code;
};

} // namespace

Result<Model> nacre::makeInProcess(ModelSource source, const CompileOptions &options,
                                   std::vector<KernelChoice> *choices) {
  if (!options.stopAfter.empty())
    return Error{NACRE_INVALID_ARGUMENT, "a compilation that stops early makes no model"};
  if (options.targetCpu.find(',') != std::string::npos)
    return Error{NACRE_INVALID_ARGUMENT, "several CPUs ('" + options.targetCpu +
                                             "') are for a file that chooses among them when it is loaded: compile into "
                                             "one, or give one CPU, or none for this machine's"};
  if (options.tune) {
    Result<CompileOptions> tuned = tuneOptions(source, options, /*isFile=*/false);
    if (!tuned)
      return tuned.error();
    return makeInProcess(std::move(source), *tuned, choices);
  }
  Call call(options, std::move(source));
  if (choices)
    call.listChoices(*choices);
  auto owner = std::make_unique<InProcessOwner>();
  bool succeeds = call.run([&](const codegen::CompiledModule &compiled) {
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

Result<Model> nacre::compile(const std::string &path, const CompileOptions &options) {
  return makeInProcess(path, options);
}

Result<Model> nacre::compile(std::span<const std::byte> model, const CompileOptions &options) {
  return makeInProcess(model, options);
}

template <typename Source> static Result<std::vector<OpenInput>> list(Source source) {
  std::string error;
  auto inputs = listOnnxInputs(std::move(source), error);
  if (!inputs)
    return Error{NACRE_INVALID_ARGUMENT, error};
  std::vector<OpenInput> result;
  for (ModelInput &input : *inputs)
    result.push_back({std::move(input.name), input.lacksRank, input.lacksElement});
  return result;
}

Result<std::vector<OpenInput>> nacre::listInputs(const std::string &path) { return list(StringRef(path)); }

Result<std::vector<OpenInput>> nacre::listInputs(std::span<const std::byte> model) {
  StringRef bytes(reinterpret_cast<const char *>(model.data()), model.size());
  return list(llvm::MemoryBuffer::getMemBuffer(bytes, "", /*RequiresNullTerminator=*/false));
}

Result<std::vector<KernelLookup>> nacre::explainCache(const std::string &path, const CompileOptions &options) {
  CompileOptions shortened = options;
  shortened.stopAfter = "codegen";
  shortened.stopOutput = nullptr;
  shortened.dumpDirectory.clear();
  Call call(shortened, path);
  std::vector<KernelLookup> lookups;
  call.explain(lookups);
  if (!call.run(nullptr))
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
  auto targets = codegen::CpuTarget::createAll(options.targetCpu, options.targetFeatures, options.targetTriple);
  if (!targets)
    return Error{NACRE_INVALID_ARGUMENT, llvm::toString(targets.takeError())};
  std::string text;
  llvm::raw_string_ostream stream(text);
  for (const codegen::CpuTarget &target : *targets) {
    if (targets->size() > 1)
      stream << "for the CPU " << target.getCPU() << ":\n";
    printPhases(stream, getPipelineOptions(options, target));
  }
  return text;
}
