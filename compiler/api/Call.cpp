//===- Call.cpp - One call of the compiler ----------------------*- C++ -*-===//
#include "compiler/api/Call.h"
#include "compiler/api/KernelChoices.h"
#include "compiler/api/ModuleText.h"
#include "compiler/pipeline/Phases.h"
#include "compiler/buffer/BufferSizes.h"
#include "dialects/nn/NodeLocation.h"
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

/// The options that differ from the defaults, and loss and optimizer.
static llvm::json::Object describe(const TrainOptions &train) {
  llvm::json::Object object{{"loss", train.loss}, {"optimizer", train.optimizer}};
  if (!train.groups.empty())
    object["groups"] = train.groups;
  if (train.clipNorm > 0)
    object["clip_norm"] = train.clipNorm;
  if (train.clipValue > 0)
    object["clip_value"] = train.clipValue;
  if (train.accumulate != 1)
    object["accumulate"] = train.accumulate;
  if (train.average > 0)
    object["average"] = train.average;
  if (train.detectAnomaly)
    object["detect_anomaly"] = true;
  if (train.precision != "f32")
    object["precision"] = train.precision;
  if (train.memoryBudget > 0)
    object["memory_budget"] = train.memoryBudget;
  return object;
}

PipelineOptions nacre::getPipelineOptions(const CompileOptions &options, const codegen::CpuTarget &target) {
  PipelineOptions pipeline;
  bool wide = target.hasFeature("avx512f"), isArm = target.getTriple().isAArch64();
  pipeline.vectorBits = target.getVectorBits();
  pipeline.vectorRegisters = target.getVectorRegisters();
  pipeline.lanes = target.getLanes();
  // CPUs that multiply tiles add pairs at half the rate of fused multiplications: what fills no tiles
  // is better widened there (docs/performance.md).
  if (target.hasFeature("amx-tile")) { // servers from Sapphire Rapids on
    pipeline.l1Bytes = 48 << 10;
    pipeline.l2Bytes = 2 << 20;
  }
  pipeline.matrixTiles = wide && target.hasFeature("amx-tile") && target.hasFeature("amx-bf16") &&
                         target.hasFeature("amx-int8");
  pipeline.dotBF16 = wide && target.hasFeature("avx512bf16") && target.hasFeature("avx512vl") && !pipeline.matrixTiles;
  pipeline.dotI8 = (wide && target.hasFeature("avx512vnni") && target.hasFeature("avx512vl")) ||
                   (pipeline.vectorBits == 256 && target.hasFeature("avxvnni"));
  pipeline.dotSameI8 = target.hasFeature("dotprod");
  pipeline.dotMixedI8 = isArm && target.hasFeature("i8mm");
  pipeline.dotI16 = wide ? target.hasFeature("avx512bw") : target.hasFeature("sse4.1");
  pipeline.fma = wide || isArm || target.hasFeature("fma");
  if (options.train) {
    pipeline.training = {options.train->loss,     options.train->optimizer,  options.train->groups,
                         options.train->clipNorm, options.train->clipValue,  options.train->accumulate,
                         options.train->average,  options.train->detectAnomaly, options.train->precision,
                         options.train->memoryBudget, options.train->openSize};
    for (const auto &[name, shape] : options.train->batchShapes)
      pipeline.training->batch.push_back(name + "=" + llvm::join(llvm::map_range(shape, [](int64_t size) { return std::to_string(size); }), "x"));
  }
  for (const auto &[name, sizes] : options.specialize)
    for (int64_t size : sizes)
      pipeline.sizes.push_back(name + "=" + std::to_string(size));
  if (options.decisions)
    for (const auto &[key, choice] : *options.decisions)
      pipeline.decisions.push_back(key + "=" + choice);
  pipeline.precision = options.precision;
  pipeline.exactConv = options.exactConv;
  pipeline.separateBuffers = options.sanitizeAddress;
  pipeline.stopAfter = options.stopAfter;
  pipeline.startAt = options.startAt;
  pipeline.dumpDirectory = options.dumpDirectory;
  pipeline.timePhases = options.timePhases;
  pipeline.disabledPasses = options.disabledPasses;
  return pipeline;
}

static std::string getFileName(const ModelSource &source) {
  auto *path = std::get_if<std::string>(&source);
  return path ? *path : "<memory>";
}

Call::Call(const CompileOptions &options, ModelSource given)
    : options(options), source(std::move(given)), fileName(getFileName(source)), context(getDialects()),
      handler(&context, [this](Diagnostic &diagnostic) { return collect(diagnostic); }) {
  context.printOpOnDiagnostic(false);
  if (!options.reproducer.empty()) {
    reproducer.emplace(options.reproducer, std::string("nacre ") + nacre_version());
    compilation.reproducer = &*reproducer;
    context.loadAllAvailableDialects(); // no module can be printed while one is being loaded
  }
  if (options.log) {
    compilation.log = [this](const Twine &line) { log(line); };
  }
  remarks.attachTo(context, /*print=*/bool(options.log));
  compilation.codegen.remarks = compilation.remarks = &remarks;
}

InFlightDiagnostic Call::refuse(const Twine &message) { return emitError(UnknownLoc::get(&context), message); }

//===----------------------------------------------------------------------===//
// Running
//===----------------------------------------------------------------------===//

bool Call::prepare() {
  auto targets = codegen::CpuTarget::createAll(options.targetCpu, options.targetFeatures, options.targetTriple);
  if (!targets) {
    refuse(llvm::toString(targets.takeError()));
    return false;
  }
  const codegen::CpuTarget &target = targets->front();
  if (options.precision != "f32" && options.precision != "bf16" && options.precision != "f16") {
    refuse("precision is '") << options.precision << "', expected f32, bf16 or f16";
    return false;
  }
  if (options.precision != "f32" && options.train) {
    refuse("with a training step it is the training that has a precision; `main` computes in the model's types");
    return false;
  }
  if (!options.specialize.empty() && options.train) {
    refuse("what is trained is not specialised for sizes: leave that out, or fix a dimension's size, or specialise what "
           "the training gives");
    return false;
  }
  if (options.decisions && targets->size() > 1) {
    refuse("decisions hold for the code of one CPU, not for several: ") << options.targetCpu;
    return false;
  }
  if (!options.dumpDirectory.empty())
    if (std::error_code error = llvm::sys::fs::create_directories(options.dumpDirectory)) {
      compilation.culprit = Culprit::File;
      refuse("cannot make the folder ") << options.dumpDirectory << ": " << error.message();
      return false;
    }
  compilation.options = getPipelineOptions(options, target);
  compilation.options.recordChoices = listedChoices || options.decisions;
  compilation.codegen.targetCPU = options.targetCpu;
  compilation.codegen.targetFeatures = options.targetFeatures;
  compilation.codegen.targetTriple = options.targetTriple;
  compilation.codegen.keepInputs = options.emit.size() > 1;
  compilation.codegen.sanitizeAddress = options.sanitizeAddress;
  compilation.codegen.dumpDirectory = options.dumpDirectory;
  compilation.codegen.keepIR = (options.stopAfter == "codegen" && options.stopOutput) ||
                               llvm::is_contained(options.emit, Emit::LlvmIr) ||
                               llvm::is_contained(options.emit, Emit::Assembly);
  if (!openCache() || !checkDisabledPasses() || !checkStart() || !addVersions(*targets))
    return false;
  if (options.log) {
    log("target: " + target.getCPU() + ", vectors of " + Twine(compilation.options.vectorBits) + " bits");
    log(cache ? "cache: " + Twine(cache->getDirectory()) : "cache: none");
  }
  return true;
}

bool Call::run(Deliver deliver) {
  if (!prepare())
    return false;
  compilation.import = [&] {
    OwningOpRef<ModuleOp> module = import();
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
    return !isCancelled && (phase.name != "buffer" || takeChoices(*compilation.module));
  }));
  closeCache();
  if (cache && options.log)
    log("cache: " + Twine(cache->getHits()) + " hits, " + Twine(cache->getMisses()) + " misses");
  if (succeeds && options.trainMemory) {
    auto read = [&](StringRef name) {
      auto bytes = (*compilation.module)->getAttrOfType<IntegerAttr>(name);
      return bytes ? bytes.getInt() : 0;
    };
    *options.trainMemory = {read(buffer::kParameterBytes), read(buffer::kStepBytes)};
  }
  isCancelled |= !succeeds && compilation.isCancelled();
  if (succeeds && !options.stopAfter.empty() && options.stopOutput)
    print(*options.stopOutput);
  return succeeds;
}

Error Call::error() {
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

void Call::explain(std::vector<KernelLookup> &lookups) {
  compilation.codegen.explain = [&lookups, mutex = std::make_shared<std::mutex>()](
                                    StringRef name, bool isCached, StringRef reason) {
    std::lock_guard lock(*mutex);
    lookups.push_back({name.str(), isCached, reason.str()});
  };
}

void Call::log(const Twine &line) {
  std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  options.log(llvm::formatv("[{0,7:f3} s] {1}", seconds.count(), line.str()).str());
}

LogicalResult Call::collect(Diagnostic &diagnostic) {
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

void Call::print(std::string &output) {
  llvm::raw_string_ostream stream(output);
  auto printModule = [&](ModuleOp module) {
    module.print(stream, OpPrintingFlags().elideLargeElementsAttrs(64).elideLargeResourceString(64));
  };
  if (compilation.compiled) {
    for (const codegen::CompiledModule *version : compilation.compiled->getVersions()) {
      for (const codegen::Object &object : version->objects)
        stream << object.ir << '\n';
      if (version->prepare)
        for (const codegen::Object &object : version->prepare->objects)
          stream << object.ir << '\n';
    }
    return;
  }
  printModule(*compilation.module);
  for (const Version &version : compilation.versions) // of the best it is the same
    if (version.module)
      printModule(*version.module);
}

//===----------------------------------------------------------------------===//
// Checks of the options
//===----------------------------------------------------------------------===//

bool Call::checkDisabledPasses() {
  if (options.disabledPasses.empty())
    return true;
  std::string pipeline;
  llvm::raw_string_ostream stream(pipeline);
  printPhases(stream, compilation.options);
  SmallVector<StringRef> words;
  llvm::SplitString(pipeline, words, "(){}, \n");
  for (const std::string &name : options.disabledPasses)
    if (!llvm::is_contained(words, name)) {
      refuse("no pass is named '") << name << "'; see --print-pipeline";
      return false;
    }
  return true;
}

bool Call::addVersions(ArrayRef<codegen::CpuTarget> targets) {
  if (targets.size() == 1)
    return true;
  if (options.train && options.train->memoryBudget > 0) {
    refuse("a memory budget holds for the code of one CPU, not for several: ") << options.targetCpu;
    return false;
  }
  if (!options.startAt.empty() && options.startAt != "graph" && options.startAt != "lower" && options.startAt != "import") {
    refuse("a module that enters at the phase '") << options.startAt << "' is for one CPU already, not for " << options.targetCpu;
    return false;
  }
  for (const codegen::CpuTarget &target : targets) {
    Version version{getPipelineOptions(options, target), compilation.codegen};
    version.codegen.targetCPU = target.getCPU();
    version.codegen.keepInputs = true; // of what computes parameters: the next one reads them, too
    if (!options.dumpDirectory.empty()) {
      SmallString<128> folder(options.dumpDirectory);
      llvm::sys::path::append(folder, target.getCPU());
      version.options.dumpDirectory = version.codegen.dumpDirectory = folder.str();
      if (std::error_code error = llvm::sys::fs::create_directories(folder)) {
        compilation.culprit = Culprit::File;
        refuse("cannot make the folder ") << folder << ": " << error.message();
        return false;
      }
    }
    compilation.versions.push_back(std::move(version));
  }
  return true;
}

bool Call::checkStart() {
  if (options.startAt.empty())
    return true;
  if (!llvm::is_contained(getPhaseNames(), std::string_view(options.startAt)) || options.startAt == "artifact")
    refuse("no module enters at the phase '") << options.startAt << "'";
  else if (!options.specialize.empty() && options.startAt != "graph" && options.startAt != "import")
    refuse("a module that enters at the phase '") << options.startAt << "' is not specialised for sizes any more";
  else if (!StringRef(fileName).ends_with(".mlir"))
    refuse("a model enters at the first phase, not at '") << options.startAt << "'";
  else
    return true;
  return false;
}

bool Call::takeChoices(ModuleOp module) {
  if (!compilation.options.recordChoices)
    return true;
  std::vector<KernelChoice> choices = nacre::takeChoices(module);
  if (listedChoices) {
    *listedChoices = std::move(choices);
    return true;
  }
  for (const auto &[key, decision] : *options.decisions)
    if (llvm::none_of(choices, [&](const KernelChoice &choice) { return choice.key == key && choice.chosen == decision; })) {
      compilation.culprit = Culprit::Model;
      refuse("no kernel of the model can be decided '") << key << "=" << decision
          << "': the decision was made for another model, for other options, or by another version of Nacre";
      return false;
    }
  return true;
}

bool Call::openCache() {
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
  refuse(message);
  return false;
}

void Call::closeCache() {
  if (!cache)
    return;
  cache->prune();
  if (options.cacheUse)
    *options.cacheUse = {cache->getDirectory(), int64_t(cache->getHits()), int64_t(cache->getMisses()),
                         cache->getWriteError()};
}

//===----------------------------------------------------------------------===//
// The model
//===----------------------------------------------------------------------===//

OwningOpRef<ModuleOp> Call::import() {
  if (auto *path = std::get_if<std::string>(&source))
    return StringRef(*path).ends_with(".mlir") ? parse(*path) : importOnnx(*path, context, getImportOptions());
  auto bytes = std::get<std::span<const std::byte>>(source);
  auto buffer = llvm::MemoryBuffer::getMemBufferCopy(
      StringRef(reinterpret_cast<const char *>(bytes.data()), bytes.size()), fileName);
  return importOnnx(std::move(buffer), "", context, getImportOptions());
}

OwningOpRef<ModuleOp> Call::parse(const std::string &path) {
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

ImportOptions Call::getImportOptions() const {
  ImportOptions import;
  for (const auto &[name, shape] : options.inputShapes) {
    SmallVector<int64_t> sizes;
    for (int64_t size : shape)
      sizes.push_back(size < 0 ? ShapedType::kDynamic : size);
    import.inputShapes[name] = std::move(sizes);
  }
  import.inputLengths = options.inputLengths;
  for (const auto &[name, shapes] : options.examples) {
    auto &example = import.examples[name];
    if (!shapes)
      continue;
    example.emplace();
    for (const std::vector<int64_t> &shape : *shapes)
      example->emplace_back(shape.begin(), shape.end());
  }
  import.dims = options.dims;
  import.allowSymlinks = options.allowSymlinks;
  import.trainable = options.train.has_value();
  import.hashSource = true;
  return import;
}

std::string Call::describeProvenance(ModuleOp module) const {
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
  llvm::json::Object specialize;
  for (const auto &[name, sizes] : options.specialize)
    specialize[name] = llvm::json::Array(sizes);
  if (!specialize.empty())
    provenance["specialize"] = std::move(specialize);
  if (options.precision != "f32")
    provenance["precision"] = options.precision;
  if (options.exactConv)
    provenance["exact_conv"] = true;
  llvm::json::Object decisions;
  for (const auto &[key, choice] : options.decisions.value_or(Decisions()))
    decisions[key] = choice;
  if (options.decisions)
    provenance["tuning"] = llvm::json::Object{{"decisions", std::move(decisions)}};
  if (options.train)
    provenance["train"] = describe(*options.train);
  if (auto hash = module->getAttrOfType<StringAttr>(kSourceHashAttr))
    provenance["blake3"] = hash.getValue();
  std::string text;
  llvm::raw_string_ostream(text) << llvm::json::Value(std::move(provenance));
  return text;
}
