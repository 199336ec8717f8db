//===- CompileModule.cpp - From a module on buffers to objects --*- C++ -*-===//
//
// Each kernel is a unit of its own: a module, lowered and compiled on whatever
// thread is free, or taken from the cache. Host functions are one more unit,
// @prepare's another, compiled for this machine whatever the target.
//
//===----------------------------------------------------------------------===//
#include "compiler/codegen/Activity.h"
#include "compiler/codegen/Codegen.h"
#include "compiler/codegen/Embedded.h"
#include "compiler/codegen/KernelCache.h"
#include "compiler/codegen/Passes.h"
#include "compiler/codegen/Pipelines.h"
#include "compiler/codegen/Report.h"
#include "compiler/codegen/Support.h"
#include "compiler/graph/SpecializeSizes.h"
#include "dialects/kern/KernOps.h"
#include "dialects/rt/RtOps.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/BLAKE3.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/IR/Threading.h"
#include "mlir/Interfaces/ViewLikeInterface.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Target/LLVMIR/Export.h"

using namespace mlir;
using namespace nacre;
using namespace nacre::codegen;

namespace {

/// What becomes one object.
struct Unit {
  std::string name;
  OwningOpRef<ModuleOp> module;
  Effort effort;
  const CpuTarget *target;
  bool isPrepare;
  std::unique_ptr<llvm::MemoryBuffer> object;
  std::string ir; // if it is asked for
};

class ModuleCompiler {
public:
  ModuleCompiler(ModuleOp module, const CodegenOptions &options, CpuTarget target, CpuTarget host)
      : module(module), options(options), target(target), host(host) {}

  FailureOr<CompiledModule> run() {
    PassManager passes(module.getContext(), ModuleOp::getOperationName());
    passes.enableVerifier(false);
    buildModulePasses(passes);
    if (failed(passes.run(module)))
      return failure();
    if (isCancelled())
      return failure();
    CompiledModule result{module, target, options.provenance, {}, {}, {}, {}, {}, {}, options.cancel};
    FailureOr<ParameterTable> parameters = readParameterTable(module);
    if (failed(parameters))
      return failure();
    result.parameters = *parameters;
    if (failed(splitOff(result)) || failed(compileUnits()))
      return failure();
    if (options.explain)
      return result;
    for (Unit &unit : units)
      (unit.isPrepare ? result.prepare->objects : result.objects)
          .push_back({unit.name, std::move(unit.object), std::move(unit.ir)});
    if (failed(addSupport(result.objects, target)) ||
        (result.prepare && failed(addSupport(result.prepare->objects, host))))
      return failure();
    return result;
  }

private:
  //===--- Taking the module apart ----------------------------------------===//

  LogicalResult splitOff(CompiledModule &result) {
    SmallVector<func::FuncOp> functions, prepare;
    for (auto function : module.getOps<func::FuncOp>())
      (function.getName() == "prepare" ? prepare : functions).push_back(function);
    for (func::FuncOp function : functions) {
      if (function->hasAttr("nacre.part")) // no function that a user calls
        continue;
      FailureOr<FunctionInfo> info = FunctionInfo::get(function);
      if (failed(info))
        return failure();
      result.functions.push_back(std::move(*info));
    }
    if (result.functions.empty())
      return module.emitError("there is no function to compile");
    if (!prepare.empty() && failed(describePrepare(prepare.front(), result)))
      return failure();
    std::vector<ReportedKernel> formed = numberKernels(functions, result.kernels);
    if (options.remarks)
      addReport(functions, formed, result.provenance);
    if (failed(nameByContent()) ||
        failed(makeUnits("nacre.host", functions, target, /*isPrepare=*/false)) ||
        failed(makeUnits("nacre.prepare", prepare, host, /*isPrepare=*/true)))
      return failure();
    for (auto kernel : llvm::make_early_inc_range(module.getOps<kern::FuncOp>()))
      kernel.erase();
    for (auto global : llvm::make_early_inc_range(module.getOps<memref::GlobalOp>()))
      global.erase();
    return success();
  }

  LogicalResult describePrepare(func::FuncOp function, CompiledModule &result) {
    PrepareCode &prepare = result.prepare.emplace();
    prepare.cancel = options.cancel;
    prepare.keepInputs = options.keepInputs;
    SymbolTable symbols(module);
    if (auto size = function->getAttrOfType<IntegerAttr>("nacre.arena_size"))
      prepare.arenaSize = size.getInt();
    auto inputs = function->getAttrOfType<ArrayAttr>("nacre.prepare_inputs");
    for (auto name : inputs.getAsRange<StringAttr>())
      prepare.inputs.push_back(symbols.lookup<nn::ParameterOp>(name));
    auto outputs = function->getAttrOfType<ArrayAttr>("nacre.outputs");
    if (!outputs)
      return function.emitOpError("lacks nacre.outputs");
    for (auto output : outputs.getAsRange<DictionaryAttr>())
      prepare.outputs.push_back(output.getAs<StringAttr>("name").str());
    findLastReads(function, prepare);
    return success();
  }

  /// Numbers the calls of kernels in their order, and finds after which of them each input is done with. What a loop
  /// or the host itself reads stays.
  static void findLastReads(func::FuncOp function, PrepareCode &prepare) {
    std::vector<std::optional<int64_t>> last(prepare.inputs.size());
    Builder builder(function.getContext());
    int64_t number = 0;
    function.walk([&](kern::CallOp call) { call->setAttr("kernel_index", builder.getI32IntegerAttr(number++)); });
    prepare.lastReads.resize(number);
    function.walk([&](rt::InputOp input) {
      std::optional<int64_t> &call = last[input.getIndex()];
      SmallVector<Value> views = {input};
      while (!views.empty())
        for (Operation *user : views.pop_back_val().getUsers()) {
          if (isa<ViewLikeOpInterface>(user))
            llvm::append_range(views, user->getResults());
          bool isCall = isa<kern::CallOp>(user) && user->getParentOp() == function;
          if (!isa<ViewLikeOpInterface>(user))
            call = std::max<int64_t>(call.value_or(0), isCall ? user->getAttrOfType<IntegerAttr>("kernel_index").getInt() : number);
        }
    });
    for (auto [input, call] : llvm::enumerate(last))
      if (call && *call < number)
        prepare.lastReads[*call].push_back(input);
  }

  /// Gives every call the index of its row in the table of kernels: one for each
  /// kernel, list of nodes and label. Returns what each row's kernel was formed as.
  std::vector<ReportedKernel> numberKernels(ArrayRef<func::FuncOp> functions, std::vector<KernelInfo> &kernels) {
    std::vector<ReportedKernel> formed;
    SymbolTable symbols(module);
    llvm::DenseMap<std::tuple<Attribute, Attribute, Attribute>, int32_t> rows;
    Builder builder(module.getContext());
    for (func::FuncOp function : functions)
      function.walk([&](kern::CallOp call) {
        auto kernel = symbols.lookup<kern::FuncOp>(call.getCallee());
        if (!kernel)
          return;
        auto get = [&](StringRef name) {
          Attribute own = call->getAttr(name);
          return own ? own : kernel->getAttr(name);
        };
        auto label = call->getAttrOfType<StringAttr>(graph::kLabelAttr);
        auto row = rows.try_emplace({kernel.getNameAttr(), get("nodes"), label}, kernels.size());
        if (row.second) {
          KernelInfo info{label ? label.str() : kernel.getName().str(), {}};
          info.nodes = joinNodes(dyn_cast_if_present<ArrayAttr>(get("nodes")));
          if (auto flops = dyn_cast_if_present<IntegerAttr>(get("flops")))
            info.flops = flops.getInt();
          if (auto bytes = dyn_cast_if_present<IntegerAttr>(get("bytes")))
            info.bytes = bytes.getInt();
          kernels.push_back(std::move(info));
          auto formedAs = call->getAttrOfType<StringAttr>(kern::kFormedAsAttr);
          formed.push_back({kernel.getName().str(), (formedAs ? formedAs.getValue() : kernel.getName()).str()});
        }
        call->setAttr("kernel_index", builder.getI32IntegerAttr(row.first->second));
      });
    return formed;
  }

  void addReport(ArrayRef<func::FuncOp> functions, ArrayRef<ReportedKernel> kernels, std::string &provenance) {
    llvm::json::Value value = cantFail(llvm::json::parse(provenance));
    (*value.getAsObject())["report"] = describe(functions, kernels, *options.remarks);
    provenance.clear();
    llvm::raw_string_ostream(provenance) << value;
  }

  /// Renames kernels after what they compute, so that models share them in the cache,
  /// and merges those that are equal. Fails if it is cancelled.
  LogicalResult nameByContent() {
    struct Named {
      kern::FuncOp kernel;
      std::string name, newName;
    };
    std::vector<Named> all;
    for (auto kernel : module.getOps<kern::FuncOp>())
      all.push_back({kernel, kernel.getName().str(), {}});
    // As text kernels are long: a thread for each.
    LogicalResult named = failableParallelForEach(module.getContext(), all, [&](Named &named) {
      for (StringRef origin : {"nodes", "flops", "bytes"})
        named.kernel->removeAttr(origin);
      named.kernel.setSymName("kernel");
      llvm::BLAKE3 hasher;
      hasher.update(print(named.kernel, OpPrintingFlags().printGenericOpForm().useLocalScope()));
      StringRef stem = StringRef(named.name).take_until([](char c) { return c == '.' || llvm::isDigit(c); }).rtrim('_');
      named.newName = (stem + "." + llvm::toHex(hasher.final<8>(), /*LowerCase=*/true)).str();
      named.kernel.setSymName(named.newName);
      return failure(isCancelled());
    });
    if (failed(named))
      return failure();
    llvm::StringMap<std::string> names; // by the old name
    for (Named &named : all) {
      if (!labels.try_emplace(named.newName, named.name).second)
        named.kernel.erase();
      names[named.name] = std::move(named.newName);
    }
    module.walk([&](kern::CallOp call) {
      if (auto it = names.find(call.getCallee()); it != names.end())
        call.setCallee(it->second);
    });
    return success();
  }

  /// An op as text: all that its code depends on, so no locations.
  static std::string print(Operation *op, OpPrintingFlags flags) {
    std::string text;
    llvm::raw_string_ostream stream(text);
    op->print(stream, flags);
    return text;
  }

  /// Units for the host functions and one for each kernel that they call.
  LogicalResult makeUnits(StringRef name, ArrayRef<func::FuncOp> functions, const CpuTarget &cpu,
                          bool isPrepare) {
    if (functions.empty())
      return success();
    auto makeUnit = [&](const Twine &name, Effort effort) {
      return Unit{name.str(), ModuleOp::create(module.getLoc()), effort, &cpu, isPrepare, {}, {}};
    };
    std::vector<Unit> hosts;
    hosts.push_back(makeUnit(name, Effort::Host));
    for (func::FuncOp function : functions) {
      function->remove();
      hosts.front().module->push_back(function);
    }
    PassManager passes(module.getContext(), ModuleOp::getOperationName());
    passes.enableVerifier(false);
    passes.addPass(createSplitHostPass());
    if (failed(passes.run(*hosts.front().module)))
      return failure();
    // Long host functions are compiled in parallel too.
    constexpr unsigned partsOfUnit = 16;
    SymbolTable hostSymbols(*hosts.front().module);
    SmallVector<func::FuncOp> parts;
    for (auto function : hosts.front().module->getOps<func::FuncOp>())
      if (function->hasAttr("nacre.part"))
        parts.push_back(function);
    for (auto [i, part] : llvm::enumerate(parts)) {
      if (i % partsOfUnit == 0)
        hosts.push_back(makeUnit(name + "." + Twine(i / partsOfUnit), Effort::Host));
      part->remove();
      hosts.back().module->push_back(part);
    }
    if (hosts.size() > 2) // one or two units take no time worth saving
      for (Unit &host : hosts)
        host.effort = Effort::LongHost;

    SymbolTable symbols(module);
    llvm::SetVector<kern::FuncOp> kernels;
    for (Unit &host : hosts) {
      llvm::SetVector<Operation *> missing;
      host.module->walk([&](Operation *op) {
        if (auto call = dyn_cast<kern::CallOp>(op))
          missing.insert(symbols.lookup<kern::FuncOp>(call.getCallee()));
        else if (auto call = dyn_cast<func::CallOp>(op))
          if (auto part = hostSymbols.lookup<func::FuncOp>(call.getCallee());
              part && part->getParentOp() != *host.module)
            missing.insert(part);
      });
      cloneGlobals(host, symbols);
      for (Operation *op : missing) {
        if (!op)
          return module.emitError("internal error: kern.call names no kernel");
        if (auto kernel = dyn_cast<kern::FuncOp>(op))
          kernels.insert(kernel);
        Operation *declaration = op->cloneWithoutRegions();
        SymbolTable::setSymbolVisibility(declaration, SymbolTable::Visibility::Private);
        host.module->push_back(declaration);
      }
    }
    for (kern::FuncOp kernel : kernels) {
      if (isCancelled())
        return failure();
      units.push_back(makeUnit(labels.lookup(kernel.getName()), chooseEffort(kernel)));
      units.back().module->push_back(kernel.clone());
      cloneGlobals(units.back(), symbols);
    }
    std::move(hosts.begin(), hosts.end(), std::back_inserter(units));
    return success();
  }

  /// A kernel with a structured op that has no vector form is left to LLVM.
  static Effort chooseEffort(kern::FuncOp kernel) {
    WalkResult rest = kernel.walk([](Operation *op) {
      return isa<linalg::LinalgOp, memref::CopyOp>(op) ? WalkResult::interrupt()
                                                       : WalkResult::advance();
    });
    return rest.wasInterrupted() ? Effort::Kernel : Effort::TiledKernel;
  }

  /// Constants that bufferization has put into globals.
  void cloneGlobals(Unit &unit, SymbolTable &symbols) {
    llvm::SetVector<Operation *> globals;
    unit.module->walk([&](memref::GetGlobalOp op) {
      if (Operation *global = symbols.lookup(op.getName()))
        globals.insert(global);
    });
    for (Operation *global : globals)
      unit.module->push_back(global->clone());
  }

  //===--- Compiling the parts --------------------------------------------===//

  LogicalResult compileUnits() {
    // What passes and translation load on demand must be there before threads start.
    PassManager all(module.getContext(), ModuleOp::getOperationName());
    buildToLLVM(all, {});
    DialectRegistry dependent;
    all.getDependentDialects(dependent);
    module.getContext()->appendDialectRegistry(dependent);
    for (StringRef name : dependent.getDialectNames())
      module.getContext()->getOrLoadDialect(name);
    return failableParallelForEach(module.getContext(), units,
                                   [&](Unit &unit) { return compileUnit(unit); });
  }

  LogicalResult compileUnit(Unit &unit) {
    KernelScope scope(unit.name);
    if (!options.cache || options.sanitizeAddress || options.keepIR || !options.dumpDirectory.empty())
      return generate(unit);
    // Not in local scope: that would leave out the contents of resources.
    CacheKey key(unit.name, print(*unit.module, OpPrintingFlags().printGenericOpForm()), *unit.target,
                 unit.effort);
    unit.object = options.cache->find(key);
    if (options.explain)
      options.explain(unit.name, unit.object != nullptr, unit.object ? "" : options.cache->explainMiss(key));
    if (unit.object || options.explain)
      return success();
    if (failed(generate(unit)))
      return failure();
    options.cache->store(key, unit.object->getBuffer());
    return success();
  }

  bool isCancelled() const { return options.cancel && options.cancel->load(std::memory_order_relaxed); }

  LogicalResult generate(Unit &unit) {
    if (isCancelled())
      return failure();
    PassManager passes(module.getContext(), ModuleOp::getOperationName());
    passes.enableVerifier(false);
    ToLLVMOptions lowering;
    lowering.expandBF16 =
        !unit.target->hasFeature("avx512bf16") && !unit.target->hasFeature("avxneconvert");
    buildToLLVM(passes, lowering);
    Activity failing;
    trackActivity(passes, failing);
    if (failed(passes.run(*unit.module)))
      return emitError(unit.module->getLoc())
             << "no LLVM IR for '" << unit.name << "': the pass '" << failing.pass << "' failed";
    if (isCancelled()) // passes were left out: the module is not what LLVM expects
      return failure();
    llvm::LLVMContext context;
    std::unique_ptr<llvm::Module> ir = translateModuleToLLVMIR(*unit.module, context, unit.name);
    if (!ir)
      return emitError(unit.module->getLoc()) << "internal error: no LLVM IR for '" << unit.name << "'";
    ir->setSourceFileName("nacre");
    unit.module = {}; // its memory is better spent on the next one
    llvm::Expected<std::unique_ptr<llvm::MemoryBuffer>> object =
        unit.target->compile(*ir, unit.effort, options.cancel);
    if (!object)
      return emitError(module.getLoc()) << unit.name << ": " << llvm::toString(object.takeError());
    unit.object = std::move(*object);
    if (options.keepIR)
      llvm::raw_string_ostream(unit.ir) << *ir;
    return options.dumpDirectory.empty() ? success() : dump(unit, *ir);
  }

  LogicalResult addSupport(std::vector<Object> &objects, const CpuTarget &cpu) {
    std::vector<llvm::MemoryBufferRef> buffers;
    for (const Object &object : objects)
      buffers.push_back(object.bytes->getMemBufferRef());
    auto support = makeSupport(buffers, cpu);
    if (!support)
      return module.emitError(llvm::toString(support.takeError()));
    if (*support)
      objects.push_back({"nacre.support", std::move(*support), {}});
    auto libraries = findHostLibraries(buffers);
    if (!libraries)
      return module.emitError(llvm::toString(libraries.takeError()));
    for (Embedded which : *libraries) {
      auto library = getEmbedded(which, cpu.getTriple());
      if (!library)
        return module.emitError(llvm::toString(library.takeError()));
      objects.push_back({library->getBufferIdentifier().str(),
                         llvm::MemoryBuffer::getMemBuffer(*library, /*RequiresNullTerminator=*/false), {}, true});
    }
    return success();
  }

  /// Optimized LLVM IR and the object.
  LogicalResult dump(const Unit &unit, llvm::Module &ir) {
    (void)llvm::sys::fs::create_directories(options.dumpDirectory);
    auto write = [&](StringRef extension, llvm::function_ref<void(llvm::raw_ostream &)> print) {
      SmallString<128> path(options.dumpDirectory);
      llvm::sys::path::append(path, unit.name + extension.str());
      std::error_code error;
      llvm::raw_fd_ostream file(path, error);
      if (error)
        return failure();
      print(file);
      return success(!file.has_error());
    };
    if (failed(write(".ll", [&](llvm::raw_ostream &os) { ir.print(os, nullptr); })) ||
        failed(write(".o", [&](llvm::raw_ostream &os) { os << unit.object->getBuffer(); })))
      return emitError(module.getLoc()) << "cannot write into " << options.dumpDirectory;
    return success();
  }

  ModuleOp module;
  const CodegenOptions &options;
  CpuTarget target, host;
  std::vector<Unit> units;
  /// The first name that each kernel had, by its own.
  llvm::StringMap<std::string> labels;
};

} // namespace

LogicalResult codegen::checkHostLibraries(ModuleOp module, const CodegenOptions &options) {
  auto target = CpuTarget::create(options.targetCPU, options.targetFeatures, options.targetTriple);
  if (!target)
    return module.emitError(llvm::toString(target.takeError()));
  LogicalResult result = success();
  module.walk([&](rt::HostCallOp call) {
    for (const LibraryFunction &function : getLibraryFunctions())
      if (function.symbol == call.getFunction())
        if (auto library = getEmbedded(function.library, target->getTriple()); !library)
          result = emitError(call.getLoc(), llvm::toString(library.takeError()));
  });
  return result;
}

FailureOr<CompiledModule> codegen::compileModule(ModuleOp module, const CodegenOptions &options) {
  auto target =
      CpuTarget::create(options.targetCPU, options.targetFeatures, options.targetTriple);
  if (!target)
    return module.emitError(llvm::toString(target.takeError()));
  auto host = CpuTarget::host();
  if (!host)
    return module.emitError(llvm::toString(host.takeError()));
  if (options.sanitizeAddress) {
    target->sanitizeAddress();
    host->sanitizeAddress();
  }
  return ModuleCompiler(module, options, *target, *host).run();
}
