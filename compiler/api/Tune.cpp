//===- Tune.cpp - A compilation that measures -------------------*- C++ -*-===//
//
// The tuner's bench: candidates are compiled into this process, or into files that it loads, and run on random
// inputs.
//
//===----------------------------------------------------------------------===//
#include "compiler/api/Tune.h"
#include "compiler/api/RandomElements.h"
#include "compiler/api/TuneCache.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/Path.h"
#include <condition_variable>
#include <thread>

using namespace nacre;

namespace {

using Clock = std::chrono::steady_clock;

/// Ends what runs when the host cancels, and at the limit: a flag for compilations, runs by their session.
class Watch {
public:
  Watch(std::shared_ptr<std::atomic<bool>> given, double seconds)
      : given(std::move(given)), end(Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds))),
        thread([this] { watch(); }) {}
  ~Watch() {
    {
      std::lock_guard<std::mutex> lock(mutex);
      isDone = true;
    }
    wake.notify_all();
    thread.join();
  }

  std::shared_ptr<std::atomic<bool>> getFlag() const { return flag; }
  bool isCancelled() const { return given && *given; }
  double getSecondsLeft() const { return std::chrono::duration<double>(end - Clock::now()).count(); }
  /// The limit holds from now on: there is something to compare with.
  void begin() { hasBegun = true; }
  void setRunning(Session *session) {
    std::lock_guard<std::mutex> lock(mutex);
    running = session;
  }

private:
  void watch() {
    std::unique_lock<std::mutex> lock(mutex);
    while (!wake.wait_for(lock, std::chrono::milliseconds(20), [&] { return isDone; }))
      if (isCancelled() || (hasBegun && Clock::now() >= end)) {
        *flag = true;
        if (running)
          running->cancel();
      }
  }

  std::shared_ptr<std::atomic<bool>> given, flag = std::make_shared<std::atomic<bool>>(false);
  Clock::time_point end;
  std::atomic<bool> hasBegun{false};
  std::mutex mutex; // of what follows
  std::condition_variable wake;
  bool isDone = false;
  Session *running = nullptr;
  std::thread thread; // last: it uses all the others
};

/// The elements of an input, and their shape.
struct RandomInput {
  nacre_dtype dtype;
  std::vector<int64_t> dims;
  std::vector<std::byte> data = {};
};

/// Inputs of a function, of which open dimensions have the sizes that are given, or 1; integers are below a limit.
Result<std::vector<RandomInput>> makeInputs(const Function &function, const std::map<std::string, int64_t> &sizes, uint64_t integers) {
  std::vector<RandomInput> inputs;
  for (const ValueInfo &value : function.inputValues) {
    for (int32_t i = 0; i < value.count; ++i) {
      const TensorInfo &info = function.inputs[size_t(value.first + i)];
      RandomInput input{info.dtype, {}};
      for (const Dim &dim : info.dims) {
        auto size = sizes.find(std::string(dim.symbol));
        input.dims.push_back(dim.size >= 0 ? dim.size : size != sizes.end() ? size->second : 1);
      }
      bool isRow = value.kind == NACRE_VALUE_PACKED && i == 1; // of sizes: one element's
      int64_t count = 1, bytes = 0;
      for (int64_t size : input.dims)
        bytes = llvm::MulOverflow(count, size, count) ? -1 : bytes;
      bytes = bytes < 0 ? bytes : nacre_abi_dtype_bytes(info.dtype, count);
      if (bytes < 0)
        return Error{NACRE_INVALID_ARGUMENT, "there are no random values for the input '" + std::string(info.name) +
                                                 "', " + nacre::toString(info)};
      input.data.resize(size_t(bytes));
      if (isRow)
        std::fill_n(reinterpret_cast<int64_t *>(input.data.data()), count, int64_t(1));
      else
        fillWithRandom(info.dtype, input.data, uint64_t(inputs.size()), integers);
      inputs.push_back(std::move(input));
    }
  }
  return inputs;
}

/// What candidates share: sizes of their runs, and a limit for integers with which these succeed.
struct RunSetup {
  std::map<std::string, int64_t> sizes;
  uint64_t integers = kIntegerLimit;
};

class ModelCandidate : public TuneCandidate {
public:
  ModelCandidate(Model model, Session session, std::vector<KernelChoice> choices, RunSetup &setup, Watch &watch)
      : model(std::move(model)), session(std::move(session)), choices(std::move(choices)), setup(setup), watch(watch),
        outputs(this->model.functions().front().outputs.size()) {
    for (const nacre_kernel_info &kernel : this->model.kernels())
      names.push_back(kernel.name);
  }

  const std::vector<KernelChoice> &getChoices() const override { return choices; }
  int32_t getThreads() const { return session.threads(); }

  Result<RunTimes> run(bool perKernel) override {
    Result<RunTimes> times = tryIntegers(setup.integers, [&]() -> Result<RunTimes> {
      if (Status status = fillInputs(); !status)
        return status.error();
      return runOnce(perKernel);
    });
    if (times || *watch.getFlag())
      return times;
    return Error{times.error().status, "cannot be tuned on random inputs: " + times.error().message};
  }

private:
  Status fillInputs() {
    if (filled == setup.integers)
      return {};
    Result<std::vector<RandomInput>> made = makeInputs(model.functions().front(), setup.sizes, setup.integers);
    if (!made)
      return made.error();
    inputs = *std::move(made);
    views.clear();
    for (const RandomInput &input : inputs)
      views.emplace_back(input.data.data(), input.dtype, input.dims);
    filled = setup.integers;
    return {};
  }

  Result<RunTimes> runOnce(bool perKernel) {
    session.setProfiling(perKernel ? NACRE_PROFILING_TOTALS : NACRE_PROFILING_OFF);
    session.resetProfile();
    if (*watch.getFlag())
      return Error{NACRE_CANCELLED, "the compilation was cancelled"};
    watch.setRunning(&session);
    auto start = Clock::now();
    Status status = session.run(std::span<const TensorView>(views), std::span(outputs));
    std::chrono::duration<double, std::milli> total = Clock::now() - start;
    watch.setRunning(nullptr);
    if (!status)
      return status.error();
    watch.begin();
    RunTimes times{total.count()};
    for (size_t i = 0; perKernel && i < names.size(); ++i)
      if (nacre_kernel_time time = session.kernelTime(int32_t(i)); time.launches > 0)
        times.kernels[names[i]] += double(time.total_ns) * 1e-6;
    return times;
  }

  Model model;
  Session session;
  std::vector<KernelChoice> choices;
  RunSetup &setup;
  Watch &watch;
  std::vector<RandomInput> inputs;
  uint64_t filled = 0; // the limit of what is in them
  std::vector<TensorView> views;
  std::vector<Tensor> outputs;
  std::vector<std::string> names; // of kernels, by their index
};

class ModelBench : public TuneBench {
public:
  ModelBench(const ModelSource &source, const CompileOptions &given, codegen::CpuTarget target, codegen::KernelCache *cache, bool isFile)
      : source(source), given(given), target(std::move(target)), cache(cache), isFile(isFile), setup{given.tune->sizes},
        watch(given.cancel, given.tune->seconds) {}

  Result<std::unique_ptr<TuneCandidate>> make(const Decisions &decisions) override {
    CompileOptions options = given;
    options.tune.reset();
    options.decisions = decisions;
    options.cancel = watch.getFlag();
    options.log = nullptr;
    options.progress = nullptr;
    options.cacheUse = nullptr;
    options.stopAfter.clear();
    options.dumpDirectory.clear();
    options.timePhases = false;
    std::vector<KernelChoice> choices;
    Result<Model> model = isFile ? makeLoaded(options, choices) : makeInProcess(source, options, &choices);
    if (!model)
      return model.error();
    Result<Session> session = Session::create(*model, {.threads = given.tune->threads});
    if (!session)
      return session.error();
    Function function = model->functions().front();
    for (const auto &[name, size] : given.tune->sizes)
      if (!hasOpenSize(function, name) || size < 0)
        return Error{NACRE_INVALID_ARGUMENT, "cannot be tuned for the size " + std::to_string(size) + " of '" + name +
                                                 "': " + (size < 0 ? "it is less than 0" : "no open dimension of an input has that name")};
    auto candidate = std::make_unique<ModelCandidate>(*std::move(model), *std::move(session), std::move(choices), setup, watch);
    if (cache && !learnt)
      learnt.emplace(*cache, target, candidate->getThreads(), given.tune->sizes);
    return std::unique_ptr<TuneCandidate>(std::move(candidate));
  }

  double getSecondsLeft() override { return watch.getSecondsLeft(); }
  bool isCancelled() const { return watch.isCancelled(); }
  std::optional<LearntChoice> find(const KernelChoice &choice) override { return learnt ? learnt->find(choice) : std::nullopt; }
  void store(const KernelChoice &choice, const LearntChoice &value) override {
    if (learnt)
      learnt->store(choice, value);
  }
  void report(const std::string &line) override {
    double seconds = given.tune->seconds;
    double passed = std::clamp(seconds - getSecondsLeft(), 0.0, seconds);
    std::string text = llvm::formatv("tuning, {0:f0} of {1:f0} s: {2}", passed, seconds, line);
    if (given.tune->progress)
      given.tune->progress(text);
    if (given.log)
      given.log(text);
  }

private:
  static bool hasOpenSize(const Function &function, const std::string &name) {
    for (const TensorInfo &input : function.inputs)
      for (const Dim &dim : input.dims)
        if (dim.size < 0 && dim.symbol == name)
          return true;
    return false;
  }

  /// As an artefact, which is gone once it is loaded. Its weights lie in pages of another size than those of a
  /// model in process, and other tiles may suit them.
  Result<Model> makeLoaded(CompileOptions options, std::vector<KernelChoice> &choices) const {
    llvm::SmallString<128> folder, path;
    if (std::error_code error = llvm::sys::fs::createUniqueDirectory("nacre-tune", folder))
      return Error{NACRE_IO_ERROR, "cannot make a folder to tune in: " + error.message()};
    llvm::sys::path::append(path, folder, "m.so");
    options.emit = {Emit::Shared};
    Status made = makeFile(std::get<std::string>(source), std::string(path), options, &choices);
    Result<Model> model = made ? Model::load(std::string(path)) : Result<Model>(made.error());
    llvm::sys::fs::remove_directories(folder);
    return model;
  }

  const ModelSource &source;
  const CompileOptions &given;
  codegen::CpuTarget target;
  codegen::KernelCache *cache;
  bool isFile;
  RunSetup setup;
  std::optional<TuneCache> learnt;
  Watch watch;
};

/// Why a model is not tuned, before anything is compiled.
Status check(const CompileOptions &options) {
  auto refuse = [](const std::string &message) { return Error{NACRE_INVALID_ARGUMENT, message}; };
  if (!(options.tune->seconds >= 0))
    return refuse("the seconds to tune for are less than 0, or no number");
  if (options.tune->threads < 0)
    return refuse("the threads to tune for are less than 0");
  if (options.decisions)
    return refuse("decisions are given already: they are what tuning would find; leave one of the two out");
  if (options.train)
    return refuse("a model that is trained is not tuned: tune what the training gives, or leave that out");
  if (options.targetCpu.find(',') != std::string::npos)
    return refuse("what is tuned is for one CPU, not for several: " + options.targetCpu);
  return {};
}

} // namespace

Result<CompileOptions> nacre::tuneOptions(const ModelSource &source, const CompileOptions &options, bool isFile) {
  if (Status status = check(options); !status)
    return status.error();
  auto target = codegen::CpuTarget::create(options.targetCpu, options.targetFeatures, options.targetTriple);
  if (!target)
    return Error{NACRE_INVALID_VALUE, llvm::toString(target.takeError())};
  if (!target->isNative())
    return Error{NACRE_INVALID_ARGUMENT, "cannot tune for " + target->getTriple().str() +
                                             ": what is measured runs on this machine; tune on one of those, and give its decisions here"};
  std::unique_ptr<codegen::KernelCache> cache;
  std::string directory = options.cacheDirectory.value_or(getDefaultCacheDirectory());
  if (!directory.empty() && options.disabledPasses.empty()) {
    if (auto opened = codegen::KernelCache::open(directory, options.cacheBytes))
      cache = std::move(*opened);
    else if (!options.cacheDirectory)
      llvm::consumeError(opened.takeError()); // the compilation warns of it
    else
      return Error{NACRE_IO_ERROR, llvm::toString(opened.takeError())};
  }
  TuneResult result;
  ModelBench bench(source, options, *target, cache.get(), isFile);
  Result<Decisions> found = findDecisions(bench, options.tune->seconds > 0, result);
  if (!found && bench.isCancelled())
    return Error{NACRE_CANCELLED, found.error().message};
  if (!found)
    return found.error();
  if (!cache && options.tune->seconds == 0)
    result.note = "there is no cache that could have learnt something";
  if (cache && !cache->getWriteError().empty())
    result.note = "what was learnt is not kept: " + cache->getWriteError();
  if (options.tuneResult)
    *options.tuneResult = result;
  if (options.log)
    options.log(llvm::formatv("tuning: {0} choices, {1} of them known, {2} candidates measured, {3} decisions differ{4}{5}", result.choices,
                              result.known, result.measured, result.changed, result.note.empty() ? "" : "; ", result.note).str());
  CompileOptions tuned = options;
  tuned.tune.reset();
  tuned.decisions = *std::move(found);
  return tuned;
}
