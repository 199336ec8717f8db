//===- CpuTarget.cpp - LLVM IR to objects for a CPU -------------*- C++ -*-===//
#include "compiler/codegen/CpuTarget.h"
#include "compiler/codegen/NarrowAccesses.h"
#include "compiler/codegen/WeighLoops.h"
#include "runtime/abi/nacre_tiles.h"
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
#include "llvm-c/Target.h"
#include "llvm/Transforms/Instrumentation/AddressSanitizer.h"
#include <mutex>

using namespace llvm;
using namespace nacre::codegen;

namespace {

#if defined(__aarch64__)
constexpr char kHostTriple[] = "aarch64-unknown-linux-gnu";
#else
constexpr char kHostTriple[] = "x86_64-unknown-linux-gnu";
#endif

// What code may use of a CPU, by LLVM's names. The runtime checks each before it
// runs the code (runtime/device/CpuFeatures.cpp knows them all).
constexpr StringLiteral kX86Features[] = {
    "sse3",       "ssse3",       "sse4.1",      "sse4.2",       "popcnt",     "cx16",
    "movbe",      "avx",         "f16c",        "fma",          "avx2",       "bmi",
    "bmi2",       "lzcnt",       "adx",         "sse4a",        "fma4",       "xop",
    "tbm",        "gfni",        "pclmul",      "vpclmulqdq",   "aes",        "vaes",
    "sha",        "avx512f",     "avx512cd",    "avx512bw",     "avx512dq",   "avx512vl",
    "avx512ifma", "avx512vbmi",  "avx512vbmi2", "avx512vnni",   "avx512bitalg",
    "avx512vpopcntdq", "avx512bf16", "avx512fp16", "avx512vp2intersect", "avxvnni", "avxifma",
    "avxneconvert", "avxvnniint8", "avxvnniint16", "amx-tile", "amx-int8", "amx-bf16", "amx-fp16"};
// (Of atomics of 128 bits, barriers and the like no model makes use.)
constexpr StringLiteral kAArch64Features[] = {
    "fp-armv8", "neon",      "aes",    "sha2", "sha3",      "sm4",   "crc",     "lse",     "fullfp16",
    "fp16fml",  "rdm",       "dotprod", "complxnum", "jsconv", "rcpc", "rcpc-immo", "rcpc3", "flagm",
    "altnzcv",  "fptoint",   "sve",    "f32mm", "f64mm",    "sve2",  "sve-aes", "sve-bitperm", "sve-sha3",
    "sve-sm4",  "sve2p1",    "sve-b16b16", "i8mm", "bf16",  "cssc",  "mops"};

// How long a vector of SVE is, of CPUs where it is longer than it must be. LLVM does not know.
struct SveLength {
  StringLiteral cpu;
  unsigned bits;
};
constexpr SveLength kSveLengths[] = {{"neoverse-v1", 256}, {"a64fx", 512}};
constexpr unsigned kLongestSve = 2048;

/// "sve256" as a number; 0 if it is none of these names.
unsigned parseSveLength(StringRef feature) {
  unsigned bits = 0;
  if (!feature.consume_front("sve") || feature.getAsInteger(10, bits) || bits < 128 || bits > kLongestSve || !isPowerOf2_32(bits))
    return 0;
  return bits;
}

ArrayRef<StringLiteral> getCheckedFeatures(const Triple &triple) {
  if (triple.isAArch64())
    return kAArch64Features;
  return kX86Features;
}

const Target *findTarget(const Triple &triple) {
  static std::once_flag once;
  std::call_once(once, [] {
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
    LLVMInitializeX86AsmParser();
    LLVMInitializeAArch64TargetInfo();
    LLVMInitializeAArch64Target();
    LLVMInitializeAArch64TargetMC();
    LLVMInitializeAArch64AsmPrinter();
    LLVMInitializeAArch64AsmParser();
  });
  std::string error;
  return TargetRegistry::lookupTarget(triple, error);
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

/// LLVM's name of this machine's CPU. Where a hypervisor tells a desktop's model number of a server, it is what its
/// features are of: AMX is in none before Sapphire Rapids.
StringRef getHostName(const StringMap<bool> &features) {
  StringRef name = sys::getHostCPUName();
  constexpr StringRef kServers[] = {"sapphirerapids", "emeraldrapids", "graniterapids", "graniterapids-d", "diamondrapids"};
  return features.lookup("amx-tile") && !is_contained(kServers, name) ? kServers[0] : name;
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

bool CpuTarget::isNative() const { return triple.getArch() == Triple(kHostTriple).getArch(); }

Expected<CpuTarget> CpuTarget::create(StringRef cpu, StringRef changes, StringRef tripleName) {
  CpuTarget target;
  target.triple = Triple(Triple::normalize(tripleName.empty() ? kHostTriple : tripleName));
  bool isKnown = target.triple.getArch() == Triple::x86_64 || target.triple.getArch() == Triple::aarch64;
  if (!isKnown || !target.triple.isOSLinux() || !target.triple.isGNUEnvironment())
    return makeError("unknown target '" + tripleName +
                     "': Nacre makes code for x86_64-linux-gnu and aarch64-linux-gnu");
  const llvm::Target *registered = findTarget(target.triple);
  if (!registered)
    return makeError("this LLVM has no target for '" + tripleName + "'");
  SmallVector<std::string> features;
  bool isForeign = !target.isNative();
  if (isForeign && cpu == "native")
    return makeError("the CPU 'native' is this machine's, which is no " +
                     target.triple.getArchName() + "; give its name in LLVM, or none");
  if (isForeign && cpu.empty()) {
    target.cpu = target.triple.isAArch64() ? "generic" : "x86-64";
  } else if (cpu.empty() || cpu == "native") {
    StringMap<bool> found = sys::getHostCPUFeatures();
    target.cpu = getHostName(found).str();
    bool mayUseTiles = nacre_abi_request_tiles();
    for (auto &feature : found) {
      bool isThere = feature.second && (mayUseTiles || !feature.first().starts_with("amx-"));
      features.push_back(((isThere ? "+" : "-") + feature.first()).str());
    }
    llvm::sort(features); // the map's order is not fixed
  } else {
    target.cpu = cpu.str();
  }
  SmallVector<StringRef> changed;
  changes.split(changed, ',', -1, /*KeepEmpty=*/false);
  std::unique_ptr<MCSubtargetInfo> plain(
      registered->createMCSubtargetInfo(
          target.triple, target.triple.isAArch64() ? "generic" : "x86-64", ""));
  if (!plain->isCPUStringValid(target.cpu))
    return makeError("unknown CPU '" + target.cpu + "' (LLVM's names, such as " +
                     (target.triple.isAArch64() ? "generic, neoverse-n1, cortex-a72)"
                                                : "x86-64-v3, skylake-avx512, znver4)"));
  for (StringRef change : changed) {
    change = change.trim();
    if (!change.starts_with("+") && !change.starts_with("-"))
      return makeError("CPU feature '" + change + "': expected '+' or '-' before the name");
    if (unsigned bits = target.triple.isAArch64() ? parseSveLength(change.drop_front()) : 0) {
      if (change.starts_with("-"))
        return makeError("CPU feature '" + change + "': a length of vectors is only given, with '+'");
      target.sveBits = bits;
      continue;
    }
    if (llvm::none_of(plain->getAllProcessorFeatures(), [&](const SubtargetFeatureKV &known) {
          return change.drop_front() == known.Key;
        }))
      return makeError("unknown CPU feature '" + change.drop_front() + "'");
    features.push_back(change.str());
  }
  target.features = llvm::join(features, ",");
  SmallVector<StringRef> required;
  std::unique_ptr<MCSubtargetInfo> info(
      registered->createMCSubtargetInfo(target.triple, target.cpu, target.features));
  for (StringRef feature : getCheckedFeatures(target.triple))
    if (info->checkFeatures(("+" + feature).str()))
      required.push_back(feature);
  if (!llvm::is_contained(required, "sve")) {
    if (target.sveBits)
      return makeError("CPU feature 'sve" + Twine(target.sveBits) + "': the CPU '" + target.cpu + "' has no SVE");
  } else if (!target.sveBits) {
    for (const SveLength &known : kSveLengths)
      if (known.cpu == target.cpu)
        target.sveBits = known.bits;
  }
  target.required = llvm::join(required, ",");
  if (target.sveBits > 128)
    target.required += target.getSveFeature();
  return target;
}

static size_t countFeatures(StringRef list) { return list.empty() ? 0 : list.count(',') + 1; }

Expected<std::vector<CpuTarget>> CpuTarget::createAll(StringRef cpus, StringRef features, StringRef triple) {
  SmallVector<StringRef> names;
  cpus.split(names, ',');
  std::vector<CpuTarget> targets;
  for (StringRef name : names) {
    name = name.trim();
    if (name.empty() && names.size() > 1)
      return makeError("the CPUs '" + cpus + "': a name is missing before or after a comma");
    auto target = create(name, features, triple);
    if (!target)
      return target.takeError();
    for (const CpuTarget &other : targets)
      if (other.required == target->required)
        return makeError("the CPUs '" + other.cpu + "' and '" + target->cpu +
                         "' have the same features: one of them would never be chosen; leave it out");
    // One that has all of another's features, and so more, comes before it.
    auto place = llvm::find_if(targets, [&](const CpuTarget &other) {
      return countFeatures(other.required) < countFeatures(target->required);
    });
    targets.insert(place, std::move(*target));
  }
  return targets;
}

CpuTarget CpuTarget::getMostGeneral() const {
  return llvm::cantFail(create(triple.isAArch64() ? "generic" : "x86-64", "", triple.str()));
}

std::string CpuTarget::getSveFeature() const { return sveBits > 128 ? ",sve" + std::to_string(sveBits) : ""; }

std::string CpuTarget::getFeatureString() const { return features + getSveFeature(); }

unsigned CpuTarget::getVectorBits() const {
  if (triple.isAArch64())
    return std::max(sveBits, 128u);
  return hasFeature("avx512f") ? 512 : hasFeature("avx2") ? 256 : 128;
}

unsigned CpuTarget::getVectorRegisters() const { return triple.isAArch64() || hasFeature("avx512f") ? 32 : 16; }

unsigned CpuTarget::getLanes() const {
  // Two units of a vector each; of 512 bits one unit, or two of half a vector, on some.
  bool isHalf = is_contained({"znver4", "icelake-client", "tigerlake", "rocketlake"}, StringRef(cpu));
  return getVectorBits() / (isHalf ? 32 : 16);
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
  return std::unique_ptr<TargetMachine>(findTarget(triple)->createTargetMachine(
      triple, cpu, features, options, Reloc::PIC_, CodeModel::Small, level));
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
  // By LLVM 22's model of these CPUs the operands of vdpbf16ps are loaded so early that sums go through
  // the stack (docs/performance.md).
  if (cpu == "znver4" || cpu == "znver5")
    for (Function &function : module)
      function.addFnAttr("tune-cpu", "znver3");
  if (sveBits > 128) // vectors of that many bits are then one register of SVE
    for (Function &function : module)
      if (!function.isDeclaration())
        function.addFnAttr(Attribute::getWithVScaleRangeArgs(module.getContext(), sveBits / 128, kLongestSve / 128));

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
  if (isKernel)
    passes.addPass(createModuleToFunctionPassAdaptor(WeighLoops()));
  if (sanitize) {
    for (Function &function : module)
      if (!function.isDeclaration())
        function.addFnAttr(Attribute::SanitizeAddress);
    AddressSanitizerOptions options;
    options.InsertVersionCheck = false;
    passes.addPass(AddressSanitizerPass(options, /*UseGlobalGC=*/false, /*UseOdrIndicator=*/false,
                                        AsanDtorKind::None, AsanCtorKind::None));
  }
  passes.run(module, modules);
  if (gate.isCancelled())
    return makeError("cancelled");
  if (sveBits > 128)
    accessBF16AsIntegers(module);

  SmallVector<char, 0> bytes;
  if (Error error = emit(module, *machine, /*asText=*/false, bytes))
    return error;
  if (gate.isCancelled()) // what is half optimized must not be taken for more
    return makeError("cancelled");
  return std::make_unique<SmallVectorMemoryBuffer>(std::move(bytes),
                                                   /*RequiresNullTerminator=*/false);
}

Expected<std::string> CpuTarget::assemble(llvm::Module &module) const {
  auto machine = makeMachine(CodeGenOptLevel::Aggressive);
  SmallVector<char, 0> text;
  if (Error error = emit(module, *machine, /*asText=*/true, text))
    return error;
  return std::string(text.data(), text.size());
}

Error CpuTarget::emit(llvm::Module &module, TargetMachine &machine, bool asText,
                      SmallVectorImpl<char> &bytes) const {
  raw_svector_ostream stream(bytes);
  TargetLibraryInfoImpl library(machine.getTargetTriple());
  legacy::PassManager emission;
  emission.add(new TargetLibraryInfoWrapperPass(library));
  if (machine.addPassesToEmitFile(emission, stream, nullptr,
                                  asText ? CodeGenFileType::AssemblyFile : CodeGenFileType::ObjectFile))
    return makeError("the target cannot emit code");
  emission.run(module);
  return Error::success();
}
