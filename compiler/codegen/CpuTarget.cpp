//===- CpuTarget.cpp - LLVM IR to objects for a CPU -------------*- C++ -*-===//
#include "compiler/codegen/CpuTarget.h"
#include "llvm/Analysis/TargetLibraryInfo.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/IR/OptBisect.h"
#include "llvm/IR/Verifier.h"
#include "llvm/MC/MCSubtargetInfo.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/SmallVectorMemoryBuffer.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/TargetParser/Host.h"
#include <mutex>

using namespace llvm;
using namespace nacre::codegen;

namespace {

constexpr char kTriple[] = "x86_64-unknown-linux-gnu";

// What code for x86-64 may use of a CPU, by LLVM's names. The runtime checks
// each before it runs the code (runtime/device/CpuFeatures.cpp knows them all).
constexpr StringLiteral kCheckedFeatures[] = {
    "sse3",       "ssse3",       "sse4.1",      "sse4.2",       "popcnt",     "cx16",
    "movbe",      "avx",         "f16c",        "fma",          "avx2",       "bmi",
    "bmi2",       "lzcnt",       "adx",         "sse4a",        "fma4",       "xop",
    "tbm",        "gfni",        "pclmul",      "vpclmulqdq",   "aes",        "vaes",
    "sha",        "avx512f",     "avx512cd",    "avx512bw",     "avx512dq",   "avx512vl",
    "avx512ifma", "avx512vbmi",  "avx512vbmi2", "avx512vnni",   "avx512bitalg",
    "avx512vpopcntdq", "avx512bf16", "avx512fp16", "avx512vp2intersect", "avxvnni", "avxifma",
    "avxneconvert", "avxvnniint8", "avxvnniint16", "amx-tile", "amx-int8", "amx-bf16", "amx-fp16"};

const Target *findTarget() {
  static std::once_flag once;
  static const Target *target = nullptr;
  std::call_once(once, [] {
    InitializeNativeTarget();
    InitializeNativeTargetAsmPrinter();
    InitializeNativeTargetAsmParser();
    std::string error;
    target = TargetRegistry::lookupTarget(Triple(kTriple), error);
  });
  return target;
}

/// What is left to do in tiled kernels: addresses out of the loops, short loops
/// written out.
constexpr char kTiledPasses[] =
    "function(sroa,early-cse<memssa>,instcombine<no-verify-fixpoint>,simplifycfg,"
    "loop-mssa(loop-rotate,licm),simplifycfg,loop(indvars,loop-unroll-full),"
    "sroa,early-cse<memssa>,instcombine<no-verify-fixpoint>,simplifycfg)";

Error makeError(const Twine &message) {
  return createStringError(inconvertibleErrorCode(), message);
}

/// Once a compilation is cancelled, LLVM leaves out every pass that may be left out: what
/// comes of it is thrown away.
class CancelGate : public OptPassGate {
public:
  CancelGate(LLVMContext &context, const std::atomic<bool> *cancel) : context(context), cancel(cancel) {
    context.setOptPassGate(*this); // passes of code generation ask it
  }
  ~CancelGate() override { context.setOptPassGate(getGlobalPassGate()); }
  bool isCancelled() const { return cancel && cancel->load(std::memory_order_relaxed); }
  bool shouldRunPass(StringRef, StringRef) const override { return !isCancelled(); }
  bool isEnabled() const override { return cancel != nullptr; }

private:
  LLVMContext &context;
  const std::atomic<bool> *cancel;
};

} // namespace

Expected<CpuTarget> CpuTarget::create(StringRef cpu, StringRef changes) {
  const llvm::Target *registered = findTarget();
  if (!registered)
    return makeError("this LLVM has no x86-64 target");
  CpuTarget target;
  SmallVector<std::string> features;
  if (cpu.empty() || cpu == "native") {
    target.cpu = sys::getHostCPUName().str();
    for (auto &feature : sys::getHostCPUFeatures())
      features.push_back(((feature.second ? "+" : "-") + feature.first()).str());
    llvm::sort(features); // the map's order is not fixed
  } else {
    target.cpu = cpu.str();
  }
  SmallVector<StringRef> changed;
  changes.split(changed, ',', -1, /*KeepEmpty=*/false);
  std::unique_ptr<MCSubtargetInfo> plain(
      registered->createMCSubtargetInfo(Triple(kTriple), "x86-64", ""));
  if (!plain->isCPUStringValid(target.cpu))
    return makeError("unknown CPU '" + target.cpu + "' (LLVM's names, such as x86-64-v3, "
                     "skylake-avx512, znver4)");
  for (StringRef change : changed) {
    change = change.trim();
    if (!change.starts_with("+") && !change.starts_with("-"))
      return makeError("CPU feature '" + change + "': expected '+' or '-' before the name");
    if (llvm::none_of(plain->getAllProcessorFeatures(), [&](const SubtargetFeatureKV &known) {
          return change.drop_front() == known.Key;
        }))
      return makeError("unknown CPU feature '" + change.drop_front() + "'");
    features.push_back(change.str());
  }
  target.features = llvm::join(features, ",");
  SmallVector<StringRef> required;
  std::unique_ptr<MCSubtargetInfo> info(
      registered->createMCSubtargetInfo(Triple(kTriple), target.cpu, target.features));
  for (StringRef feature : kCheckedFeatures)
    if (info->checkFeatures(("+" + feature).str()))
      required.push_back(feature);
  target.required = llvm::join(required, ",");
  return target;
}

bool CpuTarget::hasFeature(StringRef feature) const {
  SmallVector<StringRef> all;
  StringRef(required).split(all, ',');
  return llvm::is_contained(all, feature);
}

std::unique_ptr<TargetMachine> CpuTarget::makeMachine(CodeGenOptLevel level) const {
  llvm::TargetOptions options;
  // Each section can be dropped by the linker. Contraction only where the IR
  // says so: a kernel's arithmetic is what its ops say.
  options.FunctionSections = options.DataSections = true;
  options.UniqueSectionNames = false;
  options.AllowFPOpFusion = FPOpFusion::Standard;
  return std::unique_ptr<TargetMachine>(findTarget()->createTargetMachine(
      Triple(kTriple), cpu, features, options, Reloc::PIC_, CodeModel::Small, level));
}

Expected<std::unique_ptr<MemoryBuffer>> CpuTarget::compile(llvm::Module &module, Effort effort,
                                                           const std::atomic<bool> *cancel) const {
  CancelGate gate(module.getContext(), cancel);
  if (gate.isCancelled())
    return makeError("cancelled");
  PassInstrumentationCallbacks callbacks; // and passes of optimization
  callbacks.registerShouldRunOptionalPassCallback(
      [&](StringRef, const Any &) { return !gate.isCancelled(); });
  bool isKernel = effort == Effort::TiledKernel || effort == Effort::Kernel;
  auto machine = makeMachine(isKernel                     ? CodeGenOptLevel::Aggressive
                             : effort == Effort::LongHost ? CodeGenOptLevel::None
                                                          : CodeGenOptLevel::Less);
  module.setTargetTriple(machine->getTargetTriple());
  module.setDataLayout(machine->createDataLayout());

  PipelineTuningOptions tuning;
  tuning.LoopVectorization = tuning.SLPVectorization = tuning.LoopInterleaving = isKernel;
  PassBuilder builder(machine.get(), tuning, /*PGOOpt=*/std::nullopt, &callbacks);
  LoopAnalysisManager loops;
  FunctionAnalysisManager functions;
  CGSCCAnalysisManager components;
  ModuleAnalysisManager modules;
  TargetLibraryInfoImpl library(machine->getTargetTriple());
  functions.registerPass([&] { return TargetLibraryAnalysis(library); });
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(components);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, components, modules);
  ModulePassManager passes;
  if (effort == Effort::TiledKernel) {
    if (Error error = builder.parsePassPipeline(passes, kTiledPasses))
      return error;
  } else if (effort != Effort::LongHost) {
    passes = builder.buildPerModuleDefaultPipeline(isKernel ? OptimizationLevel::O3
                                                            : OptimizationLevel::O1);
  }
  passes.run(module, modules);
  if (gate.isCancelled())
    return makeError("cancelled");

  SmallVector<char, 0> bytes;
  raw_svector_ostream stream(bytes);
  legacy::PassManager emission;
  emission.add(new TargetLibraryInfoWrapperPass(library));
  if (machine->addPassesToEmitFile(emission, stream, nullptr, CodeGenFileType::ObjectFile))
    return makeError("the x86-64 target cannot emit objects");
  emission.run(module);
  if (gate.isCancelled()) // what is half optimized must not be taken for more
    return makeError("cancelled");
  return std::make_unique<SmallVectorMemoryBuffer>(std::move(bytes),
                                                   /*RequiresNullTerminator=*/false);
}
