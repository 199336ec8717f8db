//===- nacre_compiler.cpp - The compiler's C API ----------------*- C++ -*-===//
//
// A thin layer over Compiler.h: checks arguments, turns results into statuses.
//
//===----------------------------------------------------------------------===//
#include "compiler/api/nacre_compiler.h"
#include "compiler/api/Compiler.h"
#include "compiler/api/LastError.h"

#include <algorithm>
#include <cstring>

using namespace nacre;

struct nacre_compile_task {
  CompileTask task;
};

static thread_local std::string lastError;

nacre_status nacre::fail(const Error &error) {
  lastError = error.message;
  return nacre_error_set(error.status, error.message.c_str());
}
static nacre_status refuse(std::string message) { return fail({NACRE_INVALID_ARGUMENT, std::move(message)}); }

// nacre_emit's numbers are Emit's.
static_assert(int(Emit::Shared) == NACRE_EMIT_SHARED && int(Emit::Object) == NACRE_EMIT_OBJECT &&
              int(Emit::StaticLibrary) == NACRE_EMIT_STATIC_LIBRARY && int(Emit::Executable) == NACRE_EMIT_EXECUTABLE &&
              int(Emit::Header) == NACRE_EMIT_HEADER && int(Emit::Mlir) == NACRE_EMIT_MLIR &&
              int(Emit::LlvmIr) == NACRE_EMIT_LLVM_IR && int(Emit::Assembly) == NACRE_EMIT_ASSEMBLY);

#define REQUIRE(argument)                                                      \
  if (!(argument))                                                             \
  return refuse(#argument " is NULL")

namespace {

/// Reads the caller's options. A caller built with an older header has fewer of them.
class OptionsReader {
public:
  /// False after an error.
  bool read(const nacre_compile_options *given) {
    if (!given)
      return true;
    if (!check(given->struct_size >= sizeof(size_t) && given->struct_size <= sizeof all,
               "the options' struct_size is " + std::to_string(given->struct_size) + ", expected " +
                   std::to_string(sizeof all) + "; start from NACRE_COMPILE_OPTIONS_INIT"))
      return false;
    std::memcpy(&all, given, given->struct_size);
    if (!readInputs() || !readTuning() || !readEmit() ||
        !check(all.cache_bytes >= 0, "cache_bytes is " + std::to_string(all.cache_bytes) + ", expected 0 or more"))
      return false;
    options.allowSymlinks = all.allow_symlinks != 0;
    options.cacheBytes = uint64_t(all.cache_bytes);
    for (auto [text, option] : {std::pair(all.target_cpu, &options.targetCpu),
                                std::pair(all.target_features, &options.targetFeatures),
                                std::pair(all.target_triple, &options.targetTriple),
                                std::pair(all.reproducer, &options.reproducer)})
      if (text)
        *option = text;
    options.exactConv = all.exact_conv != 0;
    if (all.cache_dir)
      options.cacheDirectory = all.cache_dir;
    if (all.precision && !all.loss && !all.optimizer)
      options.precision = all.precision;
    if (all.loss || all.optimizer) {
      options.train.emplace();
      if (all.loss)
        options.train->loss = all.loss;
      if (all.optimizer)
        options.train->optimizer = all.optimizer;
      if (all.groups)
        options.train->groups = all.groups;
      options.train->clipNorm = all.clip_norm;
      options.train->clipValue = all.clip_value;
      options.train->accumulate = all.accumulate ? all.accumulate : 1;
      options.train->average = all.average;
      options.train->detectAnomaly = all.detect_anomaly != 0;
      if (all.precision)
        options.train->precision = all.precision;
      if (!check(all.memory_budget >= 0 && all.open_size >= 0, "memory_budget or open_size is less than 0") ||
          !readShapes("batch_shapes", all.batch_shapes, all.batch_shape_count, options.train->batchShapes))
        return false;
      options.train->memoryBudget = all.memory_budget;
      options.train->openSize = all.open_size;
    }
    setCallbacks();
    return true;
  }

  CompileOptions options;

private:
  static bool check(bool holds, const std::string &message) {
    if (!holds)
      refuse(message);
    return holds;
  }
  static bool checkList(const std::string &what, const void *list, int32_t count) {
    return check(count >= 0 && (count == 0 || list), what + ": a count of " + std::to_string(count) +
                                                         " entries, and the list is " + (list ? "there" : "NULL"));
  }

  static std::string at(const char *list, int32_t i) { return std::string(list) + "[" + std::to_string(i) + "]"; }

  static bool readShapes(const char *what, const nacre_shape_option *list, int32_t count,
                         std::map<std::string, std::vector<int64_t>> &shapes) {
    if (!checkList(what, list, count))
      return false;
    for (int32_t i = 0; i < count; ++i) {
      if (!check(list[i].name, at(what, i) + ".name is NULL") || !checkList(at(what, i), list[i].dims, list[i].rank))
        return false;
      shapes[list[i].name].assign(list[i].dims, list[i].dims + list[i].rank);
    }
    return true;
  }

  bool readSizes() {
    if (!checkList("specialize", all.specialize, all.specialize_count))
      return false;
    for (int32_t i = 0; i < all.specialize_count; ++i) {
      const nacre_sizes_option &given = all.specialize[i];
      std::string where = at("specialize", i);
      if (!check(given.name, where + ".name is NULL") || !checkList(where, given.sizes, given.count))
        return false;
      std::vector<int64_t> &sizes = options.specialize[given.name];
      sizes.insert(sizes.end(), given.sizes, given.sizes + given.count);
    }
    return true;
  }

  bool readTuning() {
    if (!checkList("decisions", all.decisions, all.decision_count))
      return false;
    if (all.decision_count)
      options.decisions.emplace();
    for (int32_t i = 0; i < all.decision_count; ++i) {
      const nacre_decision_option &given = all.decisions[i];
      if (!check(given.key && given.choice, at("decisions", i) + ".key or .choice is NULL"))
        return false;
      (*options.decisions)[given.key] = given.choice;
    }
    if (!all.tune)
      return true;
    if (!checkList("tune->sizes", all.tune->sizes, all.tune->size_count))
      return false;
    options.tune = {all.tune->seconds, all.tune->threads};
    for (int32_t i = 0; i < all.tune->size_count; ++i) {
      const nacre_dim_option &size = all.tune->sizes[i];
      if (!check(size.name, at("tune->sizes", i) + ".name is NULL"))
        return false;
      options.tune->sizes[size.name] = size.size;
    }
    return true;
  }

  bool readInputs() {
    if (!checkList("dims", all.dims, all.dim_count) ||
        !checkList("input_lengths", all.input_lengths, all.input_length_count))
      return false;
    for (int32_t i = 0; i < all.dim_count; ++i) {
      if (!check(all.dims[i].name, at("dims", i) + ".name is NULL"))
        return false;
      options.dims[all.dims[i].name] = all.dims[i].size;
    }
    if (!readShapes("input_shapes", all.input_shapes, all.input_shape_count, options.inputShapes) ||
        !readSizes())
      return false;
    for (int32_t i = 0; i < all.input_length_count; ++i) {
      const nacre_length_option &length = all.input_lengths[i];
      if (!check(length.name, at("input_lengths", i) + ".name is NULL"))
        return false;
      options.inputLengths[length.name] = length.length < 0 ? std::nullopt : std::optional<int64_t>(length.length);
    }
    return true;
  }

  bool readEmit() {
    if (!checkList("emit", all.emit, all.emit_count))
      return false;
    if (all.emit_count)
      options.emit.clear();
    for (int32_t i = 0; i < all.emit_count; ++i) {
      int32_t number; // not an enumerator before it is known to be one
      static_assert(sizeof number == sizeof all.emit[i]);
      std::memcpy(&number, &all.emit[i], sizeof number);
      std::string where = "emit[" + std::to_string(i) + "] is " + std::to_string(number);
      if (!check(number >= NACRE_EMIT_SHARED && number <= NACRE_EMIT_ASSEMBLY, where + ", which is no nacre_emit"))
        return false;
      options.emit.push_back(Emit(number));
    }
    return true;
  }

  void setCallbacks() {
    if (all.progress)
      options.progress = [callback = all.progress, data = all.progress_data,
                          phases = getPhaseNames()](std::string_view phase) {
        auto number = std::find(phases.begin(), phases.end(), phase) - phases.begin() + 1;
        return callback(data, phase.data(), int32_t(number), int32_t(phases.size())) == 0;
      };
    if (all.log)
      options.log = [callback = all.log, data = all.log_data](std::string_view line) {
        callback(data, std::string(line).c_str());
      };
  }

  nacre_compile_options all = NACRE_COMPILE_OPTIONS_INIT;
};

/// What each function does once it has looked at its own arguments: reads the options, and
/// calls.
template <typename Call>
nacre_status withOptions(const nacre_compile_options *given, Call call) {
  OptionsReader reader;
  return reader.read(given) ? call(std::move(reader.options)) : NACRE_INVALID_ARGUMENT;
}

/// The same for those that make a task.
template <typename Start>
nacre_status start(const nacre_compile_options *given, nacre_compile_task **task, Start startTask) {
  return withOptions(given, [&](CompileOptions options) {
    *task = new nacre_compile_task{startTask(std::move(options))};
    return NACRE_OK;
  });
}

nacre_status deliver(const Status &status) { return status ? NACRE_OK : fail(status.error()); }
nacre_status deliver(Result<Model> result, nacre_model **model) {
  if (!result)
    return fail(result.error());
  *model = result->release();
  return NACRE_OK;
}

std::span<const std::byte> toSpan(const void *data, size_t size) {
  return {static_cast<const std::byte *>(data), size};
}

} // namespace

const char *nacre_compile_last_error(void) { return lastError.c_str(); }

nacre_status nacre_compile(const char *path, const nacre_compile_options *options, nacre_model **model) {
  REQUIRE(model);
  *model = nullptr;
  REQUIRE(path);
  return withOptions(options, [&](const CompileOptions &all) { return deliver(compile(std::string(path), all), model); });
}

nacre_status nacre_compile_bytes(const void *data, size_t size, const nacre_compile_options *options,
                                 nacre_model **model) {
  REQUIRE(model);
  *model = nullptr;
  REQUIRE(data);
  return withOptions(options, [&](const CompileOptions &all) { return deliver(compile(toSpan(data, size), all), model); });
}

nacre_status nacre_compile_to_file(const char *path, const char *artifact, const nacre_compile_options *options) {
  REQUIRE(path);
  REQUIRE(artifact);
  return withOptions(options, [&](const CompileOptions &all) { return deliver(compileToFile(path, artifact, all)); });
}

nacre_status nacre_compile_start(const char *path, const nacre_compile_options *options, nacre_compile_task **task) {
  REQUIRE(task);
  *task = nullptr;
  REQUIRE(path);
  return start(options, task, [&](CompileOptions all) { return compileAsync(std::string(path), std::move(all)); });
}

nacre_status nacre_compile_start_bytes(const void *data, size_t size, const nacre_compile_options *options,
                                       nacre_compile_task **task) {
  REQUIRE(task);
  *task = nullptr;
  REQUIRE(data);
  return start(options, task, [bytes = toSpan(data, size)](CompileOptions all) {
    return compileAsync(std::vector<std::byte>(bytes.begin(), bytes.end()), std::move(all));
  });
}

nacre_status nacre_compile_start_to_file(const char *path, const char *artifact, const nacre_compile_options *options,
                                         nacre_compile_task **task) {
  REQUIRE(task);
  *task = nullptr;
  REQUIRE(path);
  REQUIRE(artifact);
  return start(options, task, [&](CompileOptions all) { return compileToFileAsync(path, artifact, std::move(all)); });
}

nacre_status nacre_compile_task_poll(const nacre_compile_task *task, nacre_compile_state *state) {
  REQUIRE(state);
  *state = {};
  REQUIRE(task);
  CompileProgress progress = task->task.progress();
  // Names of phases are literals.
  *state = {task->task.isDone(), progress.number, progress.count, progress.phase.data()};
  return NACRE_OK;
}

nacre_status nacre_compile_task_wait(const nacre_compile_task *task, int64_t milliseconds, int32_t *done) {
  REQUIRE(done);
  *done = 0;
  REQUIRE(task);
  constexpr int64_t day = 24 * 3600 * 1000; // far longer ones would overflow
  if (milliseconds < 0)
    task->task.wait();
  *done = milliseconds < 0 || task->task.wait(std::chrono::milliseconds(std::min(milliseconds, day)));
  return NACRE_OK;
}

nacre_status nacre_compile_task_cancel(nacre_compile_task *task) {
  REQUIRE(task);
  task->task.cancel();
  return NACRE_OK;
}

nacre_status nacre_compile_task_status(const nacre_compile_task *task) {
  REQUIRE(task);
  return deliver(task->task.status());
}

nacre_status nacre_compile_task_take(nacre_compile_task *task, nacre_model **model) {
  REQUIRE(model);
  *model = nullptr;
  REQUIRE(task);
  return deliver(task->task.take(), model);
}

void nacre_compile_task_destroy(nacre_compile_task *task) { delete task; }
