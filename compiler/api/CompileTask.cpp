//===- CompileTask.cpp - Compiling in the background ------------*- C++ -*-===//
#include "compiler/api/Compiler.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <thread>

using namespace nacre;

struct CompileTask::State {
  /// Begins to compile: `run` is called on the task's thread with the options to use.
  template <typename Run> void start(CompileOptions given, Run run) {
    if (!given.cancel)
      given.cancel = std::make_shared<std::atomic<bool>>(false);
    cancelled = given.cancel;
    given.progress = [this, callback = std::move(given.progress)](std::string_view phase) {
      auto found = std::find(phases.begin(), phases.end(), phase);
      number.store(int32_t(found - phases.begin()) + 1);
      return !callback || callback(phase);
    };
    thread = std::thread([this, options = std::move(given), run = std::move(run)] {
      run(*this, options);
      std::lock_guard<std::mutex> lock(mutex);
      done = true;
      finished.notify_all();
    });
  }
  ~State() {
    *cancelled = true;
    thread.join();
  }

  std::shared_ptr<std::atomic<bool>> cancelled;
  const std::vector<std::string_view> phases = getPhaseNames();
  std::atomic<int32_t> number{0}; // of the phase that runs
  // What it leaves; read once it is done.
  std::optional<Result<Model>> model;
  Status status;

  std::mutex mutex; // of `done`
  std::condition_variable finished;
  bool done = false;
  std::thread thread; // last: it uses all the others
};

CompileTask::CompileTask(std::unique_ptr<State> state) : state(std::move(state)) {}
CompileTask::CompileTask(CompileTask &&) noexcept = default;
CompileTask &CompileTask::operator=(CompileTask &&) noexcept = default;
CompileTask::~CompileTask() = default;

bool CompileTask::isDone() const { return wait(std::chrono::nanoseconds(0)); }

CompileProgress CompileTask::progress() const {
  int32_t number = state->number.load();
  return {number ? state->phases[size_t(number - 1)] : "", number, int32_t(state->phases.size())};
}

void CompileTask::wait() const {
  std::unique_lock<std::mutex> lock(state->mutex);
  state->finished.wait(lock, [&] { return state->done; });
}

bool CompileTask::wait(std::chrono::nanoseconds timeout) const {
  std::unique_lock<std::mutex> lock(state->mutex);
  return state->finished.wait_for(lock, timeout, [&] { return state->done; });
}

void CompileTask::cancel() { *state->cancelled = true; }

Status CompileTask::status() const {
  wait();
  return state->status;
}

Result<Model> CompileTask::take() {
  wait();
  if (!state->status)
    return state->status.error();
  if (!state->model)
    return Error{NACRE_INVALID_ARGUMENT, "the task has no model: it was taken, or written to a file"};
  Result<Model> model = *std::move(state->model);
  state->model.reset();
  return model;
}

/// Compiles in process from a path or bytes.
template <typename State, typename Source>
static void compileInto(State &state, const Source &source, const CompileOptions &options) {
  Result<Model> model = compile(source, options);
  if (model)
    state.model.emplace(std::move(model));
  else
    state.status = model.error();
}

CompileTask nacre::compileAsync(std::string path, CompileOptions options) {
  auto state = std::make_unique<CompileTask::State>();
  state->start(std::move(options), [path = std::move(path)](CompileTask::State &state, const CompileOptions &options) {
    compileInto(state, path, options);
  });
  return CompileTask(std::move(state));
}

CompileTask nacre::compileAsync(std::vector<std::byte> bytes, CompileOptions options) {
  auto state = std::make_unique<CompileTask::State>();
  state->start(std::move(options), [bytes = std::move(bytes)](CompileTask::State &state, const CompileOptions &options) {
    compileInto(state, std::span<const std::byte>(bytes), options);
  });
  return CompileTask(std::move(state));
}

CompileTask nacre::compileToFileAsync(std::string path, std::string artifact, CompileOptions options) {
  auto state = std::make_unique<CompileTask::State>();
  state->start(std::move(options), [path = std::move(path), artifact = std::move(artifact)](
                                       CompileTask::State &state, const CompileOptions &options) {
    state.status = compileToFile(path, artifact, options);
  });
  return CompileTask(std::move(state));
}
