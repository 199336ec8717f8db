//===- Phases.cpp - The compiler on one screen ------------------*- C++ -*-===//
#include "compiler/pipeline/Phases.h"
#include "compiler/buffer/Passes.h"
#include "compiler/codegen/Pipelines.h"
#include "compiler/graph/Passes.h"
#include "compiler/lower/Passes.h"
#include "compiler/pipeline/Contracts.h"
#include "compiler/pipeline/PhaseCommand.h"
#include "compiler/pipeline/Reproducer.h"
#include "compiler/tile/Passes.h"
#include "compiler/support/OutputFile.h"
#include "compiler/support/Remarks.h"
#include "compiler/train/Passes.h"
#include "dialects/kern/KernOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Timer.h"
#include <chrono>

using namespace mlir;
using namespace nacre;

namespace {

void addCleanup(OpPassManager &passes) {
  passes.addPass(createCanonicalizerPass());
  passes.addPass(createCSEPass());
}

train::MakeTrainStepPassOptions getTrainStepOptions(const TrainingOptions &training) {
  return {training.loss,     training.optimizer,  training.groups, training.clipNorm,
          training.clipValue, training.accumulate, training.average, training.detectAnomaly,
          training.precision};
}

void buildKernels(OpPassManager &passes, const PipelineOptions &) {
  passes.addNestedPass<func::FuncOp>(graph::createRecomputeElementwisePass());
  passes.addPass(graph::createFormLoopKernelsPass());
  passes.addPass(graph::createFormKernelsPass());
  addCleanup(passes.nest<func::FuncOp>());
}

void buildLower(OpPassManager &passes, const PipelineOptions &options);
void buildTile(OpPassManager &passes, const PipelineOptions &options);
void buildBuffer(OpPassManager &passes, const PipelineOptions &options);

void buildGraph(OpPassManager &passes, const PipelineOptions &options) {
  if (!options.sizes.empty())
    passes.addPass(graph::createSpecializeSizesPass({llvm::to_vector(options.sizes)}));
  OpPassManager &main = passes.nest<func::FuncOp>();
  main.addPass(graph::createInferShapesPass());
  addCleanup(main);
  main.addPass(graph::createExpandAttentionPass());
  main.addPass(graph::createScalarizeShapesPass());
  addCleanup(main);
  main.addPass(graph::createInferShapesPass());
  main.addPass(train::createResolveGradientsPass());
  if (options.training) { // gradients are simplified with the rest
    main.addPass(graph::createExpandNormalizationsPass());
    passes.addPass(train::createMakeEvaluationPass({options.training->loss, options.training->precision}));
    passes.addPass(train::createMakeTrainStepPass(getTrainStepOptions(*options.training)));
    passes.addPass(train::createResolveTrainingModePass());
  }
  OpPassManager &host = passes.nest<func::FuncOp>();
  if (options.training)
    addCleanup(host);
  host.addPass(graph::createRecordSignaturePass());
  host.addPass(graph::createFoldEmptyPass());
  const bool mixedSigns = options.dotI8 && !options.matrixTiles;
  host.addPass(graph::createContractQuantizedPass({mixedSigns}));
  host.addPass(graph::createSplitBlocksPass());
  host.addPass(graph::createContractBlockedPass({mixedSigns}));
  host.addPass(graph::createExpandConvTransposePass());
  host.addPass(graph::createExpandNormalizationsPass());
  host.addPass(graph::createAbsorbTransposesPass());
  if (options.precision == "f32" && !options.training)
    host.addPass(graph::createKeepNarrowWeightsPass());
  host.addPass(graph::createFoldScalesPass());
  host.addPass(graph::createMergeProductsPass());
  if (options.precision != "f32" && !options.training)
    host.addPass(train::createNarrowComputePass({options.precision}));
  host.addPass(graph::createChooseLayoutsPass());
  host.addPass(graph::createExpandNormalizationsPass());
  host.addPass(createCSEPass());
  passes.addPass(graph::createHoistParametersPass());
  OpPassManager &all = passes.nest<func::FuncOp>();
  addCleanup(all);
  all.addPass(graph::createInferShapesPass()); // what normalisations expand to may know more sizes
  all.addPass(graph::createMaterializeBroadcastsPass());
  all.addPass(graph::createInsertChecksPass());
  addCleanup(all);
  if (options.training && options.training->memoryBudget) // what comes now merges no equal ops
    passes.addPass(train::createRematerializePass({options.training->memoryBudget, options.training->openSize,
                                                   llvm::to_vector(options.training->batch)},
                                                  [options](OpPassManager &rest) {
                                                    buildKernels(rest, options);
                                                    buildLower(rest, options);
                                                    buildTile(rest, options);
                                                    buildBuffer(rest, options);
                                                  }));
  buildKernels(passes, options);
}

void buildLower(OpPassManager &passes, const PipelineOptions &) {
  passes.addPass(lower::createNNToLinalgPass());
  passes.addPass(lower::createFoldEmptyLoopsPass());
  addCleanup(passes);
}

void buildTile(OpPassManager &passes, const PipelineOptions &options) {
  if (!options.exactConv)
    passes.addPass(tile::createChooseWinogradPass({options.vectorBits, options.l2Bytes, options.lanes, options.fma,
                                                      llvm::to_vector(options.decisions), options.recordChoices}));
  passes.addPass(tile::createPackParametersPass({options.vectorBits, options.vectorRegisters, options.matrixTiles, options.dotBF16,
                                                    options.dotI8, options.dotSameI8, options.dotMixedI8, options.dotI16}));
  passes.addPass(tile::createPadProducersPass());
  passes.addPass(tile::createOverwriteOperandsPass());
  // This was the last that changes a kernel for its caller: from here on, once each.
  passes.addPass(tile::createDeduplicateKernelsPass());
  OpPassManager &kernel = passes.nest<kern::FuncOp>();
  kernel.addPass(tile::createFuseElementwisePass());
  if (options.fma)
    kernel.addPass(tile::createSimplifyQuantizationPass());
  kernel.addPass(createCanonicalizerPass());
  kernel.addPass(tile::createForwardDestinationsPass());
  kernel.addPass(tile::createCarryInPlacePass());
  kernel.addPass(tile::createSplitLoopsPass({options.l2Bytes}));
  kernel.addPass(tile::createSplitStepsPass());
  kernel.addPass(tile::createChooseTilesPass({options.l1Bytes, options.l2Bytes, /*minWork=*/65536, options.matrixTiles, options.lanes,
                                                llvm::to_vector(options.decisions), options.recordChoices}));
  kernel.addPass(tile::createTileAndFusePass());
  addCleanup(kernel);
  kernel.addPass(tile::createAccumulateProductsPass());
  addCleanup(kernel);
}

void buildBuffer(OpPassManager &passes, const PipelineOptions &options) {
  passes.addNestedPass<func::FuncOp>(buffer::createDelayKernelsPass());
  passes.addPass(buffer::createBufferizePass());
  addCleanup(passes);
  passes.addPass(tile::createBatchUpdatesPass());
  passes.addNestedPass<kern::FuncOp>(tile::createExpandWinogradPass({options.fma}));
  passes.addNestedPass<kern::FuncOp>(tile::createForallToParallelPass());
  passes.addPass(createCanonicalizerPass());
  passes.addPass(buffer::createHoistTemporariesPass());
  OpPassManager &host = passes.nest<func::FuncOp>();
  host.addPass(buffer::createAlternateBuffersPass());
  host.addPass(buffer::createPlanMemoryPass({options.separateBuffers}));
  host.addPass(buffer::createReleaseInLoopsPass());
  passes.addPass(buffer::createDispatchSizesPass());
  if (options.training)
    passes.addPass(buffer::createMeasureStepPass({options.training->openSize, llvm::to_vector(options.training->batch)}));
  addCleanup(passes);
  passes.addNestedPass<kern::FuncOp>(tile::createLoadsToOperandsPass());
  if (options.matrixTiles)
    passes.addNestedPass<kern::FuncOp>(tile::createMultiplyTilesPass());
  passes.addNestedPass<kern::FuncOp>(
      tile::createVectorizeTilesPass({options.vectorBits, options.vectorRegisters, options.fma,
                                       /*stageRows=*/128, /*farBytes=*/options.l2Bytes, options.dotBF16, options.dotI8,
                                       options.dotSameI8, options.dotMixedI8, options.dotI16}));
  passes.addNestedPass<kern::FuncOp>(tile::createApproximateMathPass({options.fma}));
}

void buildCodegen(OpPassManager &passes, const PipelineOptions &) {
  codegen::buildModulePasses(passes);
  codegen::buildToLLVM(passes, {}); // on each kernel by itself, on all threads
}

LogicalResult runImport(Compilation &compilation) {
  compilation.module = compilation.import();
  return success(static_cast<bool>(compilation.module));
}

LogicalResult runCodegen(Compilation &compilation) {
  compilation.culprit = Culprit::Model; // who wants for a machine what is not to be had for it
  if (failed(codegen::checkHostLibraries(*compilation.module, compilation.codegen)))
    return failure();
  compilation.culprit = Culprit::Compiler;
  FailureOr<codegen::CompiledModule> compiled =
      codegen::compileModule(*compilation.module, compilation.codegen);
  if (failed(compiled))
    return failure();
  compilation.compiled.emplace(std::move(*compiled));
  return success();
}

LogicalResult runArtifact(Compilation &compilation) {
  return compilation.deliver(*compilation.compiled);
}

constexpr Phase kPhases[] = {
    {"import", "the model's file to nn", nullptr, runImport, verifyAfterImport, Culprit::Model},
    {"graph", "infer shapes, simplify the graph, form kernels", buildGraph, nullptr, verifyAfterGraph,
     Culprit::Model},
    {"lower", "nn to linalg, tensor, arith and math", buildLower, nullptr, verifyAfterLower, Culprit::Compiler},
    {"tile", "choose tiles, tile and fuse", buildTile, nullptr, verifyAfterTile, Culprit::Compiler, /*perTarget=*/true},
    {"buffer", "tensors to buffers, one arena, tiles on threads", buildBuffer, nullptr, verifyAfterBuffer,
     Culprit::Compiler, /*perTarget=*/true},
    {"codegen", "kernels to LLVM and to objects", buildCodegen, runCodegen, verifyAfterCodegen, Culprit::Compiler,
     /*perTarget=*/true},
    {"artifact", "objects and weights to one file, or into memory", nullptr, runArtifact, nullptr, Culprit::Compiler},
};

/// Leaves out the disabled passes, and all once the compilation is cancelled.
class SkipPasses {
public:
  explicit SkipPasses(Compilation &compilation) : context(compilation.module->getContext()) {
    const std::vector<std::string> &disabled = compilation.options.disabledPasses;
    if (compilation.cancel || !disabled.empty())
      context->registerActionHandler([&](llvm::function_ref<void()> run, const tracing::Action &action) {
        auto execution = dyn_cast<PassExecutionAction>(&action);
        if (!execution || (!compilation.isCancelled() &&
                           !llvm::is_contained(disabled, execution->getPass().getArgument())))
          run();
      });
  }
  ~SkipPasses() { context->registerActionHandler(nullptr); }

private:
  MLIRContext *context;
};

LogicalResult runPasses(const Phase &phase, Compilation &compilation) {
  PassManager passes(compilation.module->getContext(), ModuleOp::getOperationName());
  passes.enableVerifier(false); // once after the phase, not after each pass
  phase.build(passes, compilation.options);
  if (compilation.reproducer)
    codegen::trackActivity(passes, compilation.reproducer->failed);
  return passes.run(*compilation.module);
}

/// Keeps the module for the case that the phase fails. Code generation takes it apart: of the
/// phase after that it says what came before both.
void enterPhase(const Phase &phase, Compilation &compilation) {
  if (compilation.compiled)
    compilation.reproducer->enterNext(phase.name);
  else if (ModuleOp module = compilation.module.get())
    compilation.reproducer->enter(phase.name, module, getPhaseCommand(phase, compilation));
  else
    compilation.reproducer->enter(phase.name, nullptr, {});
}

/// What a phase leaves in numbers: the module, or the code.
std::string summarize(const Phase &phase, Compilation &compilation) {
  if (!phase.verify)
    return "";
  std::string text = ", ";
  llvm::raw_string_ostream os(text);
  if (compilation.compiled) {
    size_t bytes = 0;
    for (const codegen::Object &object : compilation.compiled->objects)
      bytes += object.bytes->getBufferSize();
    os << compilation.compiled->kernels.size() << " kernels, " << compilation.compiled->objects.size()
       << " objects of " << bytes / 1024 << " KiB";
    return text;
  }
  size_t ops = 0, kernels = 0;
  compilation.module->walk([&](Operation *op) {
    ++ops;
    kernels += isa<kern::FuncOp>(op);
  });
  os << ops << " ops, " << kernels << " kernels";
  return text;
}

/// Writes the module as `<number>-<phase>.mlir`.
LogicalResult dump(ModuleOp module, const Phase &phase, size_t number, StringRef directory) {
  SmallString<128> path(directory);
  llvm::sys::path::append(path, Twine(number) + "-" + phase.name + ".mlir");
  std::string text;
  llvm::raw_string_ostream os(text);
  module.print(os, OpPrintingFlags().elideLargeElementsAttrs().elideLargeResourceString());
  if (llvm::Error error = writeTextFile(path, text))
    return emitError(UnknownLoc::get(module.getContext()), "cannot write ")
           << path << ": " << llvm::toString(std::move(error));
  return success();
}

} // namespace

ArrayRef<Phase> nacre::getPhases() { return kPhases; }

LogicalResult nacre::verifyAfterPhase(const Phase &phase, ModuleOp module) {
  return success(!phase.verify || (succeeded(verify(module)) && succeeded(phase.verify(module))));
}

namespace {

class PhaseRunner {
public:
  using Progress = llvm::function_ref<bool(const Phase &)>;
  PhaseRunner(Compilation &compilation, Progress progress)
      : compilation(compilation), progress(progress), timers("phases", "Nacre's phases") {}

  /// The phases from `first` to before `last`, and what they do for each CPU in turn.
  LogicalResult run(size_t first, size_t last) {
    for (size_t number = first; number < last && !isStopped;) {
      size_t end = number;
      while (!compilation.versions.empty() && end < last && kPhases[end].perTarget)
        ++end;
      if (failed(end > number ? runVersions(number, end) : runPhase(kPhases[number], number)))
        return failure();
      number = std::max(end, number + 1);
    }
    return success();
  }

  static size_t find(StringRef name) {
    return llvm::find_if(kPhases, [&](const Phase &phase) { return phase.name == name; }) - std::begin(kPhases);
  }

private:
  /// What comes before is the same for all. The results are left as one: the best version's.
  LogicalResult runVersions(size_t first, size_t last) {
    std::vector<Version> versions;
    std::swap(versions, compilation.versions);
    codegen::markCommonParameters(*compilation.module);
    OwningOpRef<ModuleOp> common = std::move(compilation.module);
    std::optional<codegen::CompiledModule> best;
    PipelineOptions options = compilation.options;
    size_t said = compilation.remarks ? compilation.remarks->size() : 0;
    for (Version &version : versions) {
      if (compilation.remarks)
        compilation.remarks->rewind(said);
      if (compilation.log)
        compilation.log("for the CPU " + version.codegen.targetCPU + ", vectors of " +
                        Twine(version.options.vectorBits) + " bits");
      compilation.module = common->clone();
      compilation.options = version.options;
      std::swap(compilation.codegen, version.codegen);
      compilation.codegen.shared = best ? &*best : nullptr;
      isStopped = false;
      LogicalResult result = run(first, last);
      compilation.codegen.shared = nullptr;
      std::swap(compilation.codegen, version.codegen);
      if (failed(result))
        return failure();
      version.module = std::move(compilation.module);
      if (best && compilation.compiled)
        codegen::addFallback(*best, std::move(*compilation.compiled));
      else if (compilation.compiled)
        best.emplace(std::move(*compilation.compiled));
      compilation.compiled.reset();
    }
    compilation.module = std::move(versions.front().module);
    compilation.compiled = std::move(best);
    compilation.options = std::move(options);
    std::swap(versions, compilation.versions);
    return success();
  }

  LogicalResult runPhase(const Phase &phase, size_t number) {
    const PipelineOptions &options = compilation.options;
    compilation.culprit = phase.culprit;
    if (progress && !progress(phase))
      return failure();
    llvm::Timer timer(phase.name, phase.summary, timers);
    llvm::TimeRegion region(options.timePhases ? &timer : nullptr);
    auto start = std::chrono::steady_clock::now();
    LogicalResult result = failure();
    if (compilation.reproducer)
      enterPhase(phase, compilation);
    if (phase.run == runImport) { // there is no module yet
      result = phase.run(compilation);
    } else {
      SkipPasses passes(compilation);
      result = phase.run ? phase.run(compilation) : runPasses(phase, compilation);
    }
    if (failed(result) || compilation.isCancelled())
      return failure();
    if (phase.name == "tile" && compilation.codegen.shared)
      codegen::shareParameters(*compilation.module, *compilation.codegen.shared);
    compilation.culprit = Culprit::Compiler; // what does not verify is our own bug
    if (failed(verifyAfterPhase(phase, *compilation.module)))
      return failure();
    if (compilation.log) {
      std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
      compilation.log(phase.name + llvm::formatv(": {0:f3} s", seconds.count()).str() + summarize(phase, compilation));
    }
    if (!options.dumpDirectory.empty() && phase.verify) {
      compilation.culprit = Culprit::File;
      if (failed(dump(*compilation.module, phase, number + 1, options.dumpDirectory)))
        return failure();
    }
    isStopped = options.stopAfter == phase.name;
    return success();
  }

  Compilation &compilation;
  Progress progress;
  llvm::TimerGroup timers;
  bool isStopped = false; // at options.stopAfter
};

} // namespace

LogicalResult nacre::runPhases(Compilation &compilation, llvm::function_ref<bool(const Phase &)> progress) {
  PhaseRunner runner(compilation, progress);
  const std::string &startAt = compilation.options.startAt;
  if (startAt.empty() || startAt == kPhases[0].name)
    return runner.run(0, std::size(kPhases));
  // A module is read, whatever the phase.
  return success(succeeded(runner.run(0, 1)) && succeeded(runner.run(PhaseRunner::find(startAt), std::size(kPhases))));
}

void nacre::printPhases(llvm::raw_ostream &os, const PipelineOptions &options) {
  for (const Phase &phase : kPhases) {
    os << phase.name << ": " << phase.summary << '\n';
    if (!phase.build)
      continue;
    MLIRContext context(MLIRContext::Threading::DISABLED);
    PassManager passes(&context, ModuleOp::getOperationName());
    phase.build(passes, options);
    os << "  ";
    passes.printAsTextualPipeline(os);
    os << '\n';
  }
}

void nacre::registerPhasePipelines() {
  registerVerifyPhasePass();
  for (const Phase &phase : kPhases)
    if (phase.build)
      PassPipelineRegistration<>(("nacre-" + phase.name).str(), phase.summary,
                                 [build = phase.build](OpPassManager &passes) { build(passes, {}); });
  PassPipelineRegistration<>("nacre", "All phases up to code generation", [](OpPassManager &passes) {
    for (const Phase &phase : kPhases)
      if (phase.build && !phase.run)
        phase.build(passes, {});
  });
}
