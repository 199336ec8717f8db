//===- nacre_compiler.cpp - The compiler's C API ----------------*- C++ -*-===//
//
// A thin layer over Compiler.h: checks arguments, turns results into statuses.
//
//===----------------------------------------------------------------------===//
#include "compiler/api/nacre_compiler.h"
#include "compiler/api/Compiler.h"

#include <algorithm>
#include <cstring>

using namespace nacre;

struct nacre_compile_task {
  CompileTask task;
};

static thread_local std::string lastError;

static nacre_status fail(const Error &error) {
  lastError = error.message;
  return nacre_error_set(error.status, error.message.c_str());
}
static nacre_status refuse(std::string message) { return fail({NACRE_INVALID_ARGUMENT, std::move(message)}); }

#define REQUIRE(argument)                                                      \
  if (!(argument))                                                             \
  return refuse(#argument " is NULL")

namespace {

/// Copies the caller's options; false after an error. A caller built with an older header
/// has fewer of them.
bool readOptions(const nacre_compile_options *given, CompileOptions &options) {
  if (!given)
    return true;
  nacre_compile_options all = NACRE_COMPILE_OPTIONS_INIT;
  auto check = [](bool holds, const std::string &message) {
    if (!holds)
      refuse(message);
    return holds;
  };
  if (!check(given->struct_size >= sizeof(size_t) && given->struct_size <= sizeof all,
             "the options' struct_size is " + std::to_string(given->struct_size) + ", expected " +
                 std::to_string(sizeof all) + "; start from NACRE_COMPILE_OPTIONS_INIT"))
    return false;
  std::memcpy(&all, given, given->struct_size);
  auto checkList = [&](const char *what, const void *list, int32_t count) {
    return check(count >= 0 && (count == 0 || list),
                 std::string(what) + ": a count of " + std::to_string(count) + " entries, and the list is " +
                     (list ? "there" : "NULL"));
  };
  if (!checkList("dims", all.dims, all.dim_count) ||
      !checkList("input_shapes", all.input_shapes, all.input_shape_count) ||
      !checkList("input_lengths", all.input_lengths, all.input_length_count))
    return false;
  for (int32_t i = 0; i < all.dim_count; ++i) {
    if (!check(all.dims[i].name, "dims[" + std::to_string(i) + "].name is NULL"))
      return false;
    options.dims[all.dims[i].name] = all.dims[i].size;
  }
  for (int32_t i = 0; i < all.input_shape_count; ++i) {
    const nacre_shape_option &shape = all.input_shapes[i];
    std::string where = "input_shapes[" + std::to_string(i) + "]";
    if (!check(shape.name, where + ".name is NULL") || !checkList(where.c_str(), shape.dims, shape.rank))
      return false;
    options.inputShapes[shape.name].assign(shape.dims, shape.dims + shape.rank);
  }
  for (int32_t i = 0; i < all.input_length_count; ++i) {
    const nacre_length_option &length = all.input_lengths[i];
    if (!check(length.name, "input_lengths[" + std::to_string(i) + "].name is NULL"))
      return false;
    options.inputLengths[length.name] =
        length.length < 0 ? std::nullopt : std::optional<int64_t>(length.length);
  }
  options.allowSymlinks = all.allow_symlinks != 0;
  if (all.target_cpu)
    options.targetCpu = all.target_cpu;
  if (all.target_features)
    options.targetFeatures = all.target_features;
  if (all.cache_dir)
    options.cacheDirectory = all.cache_dir;
  if (all.loss || all.optimizer) {
    options.train.emplace();
    if (all.loss)
      options.train->loss = all.loss;
    if (all.optimizer)
      options.train->optimizer = all.optimizer;
  }
  if (all.progress)
    options.progress = [callback = all.progress, data = all.progress_data,
                        phases = getPhaseNames()](std::string_view phase) {
      auto number = std::find(phases.begin(), phases.end(), phase) - phases.begin() + 1;
      return callback(data, phase.data(), int32_t(number), int32_t(phases.size())) == 0;
    };
  return true;
}

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
  CompileOptions all;
  if (!readOptions(options, all))
    return NACRE_INVALID_ARGUMENT;
  return deliver(compile(std::string(path), all), model);
}

nacre_status nacre_compile_bytes(const void *data, size_t size, const nacre_compile_options *options,
                                 nacre_model **model) {
  REQUIRE(model);
  *model = nullptr;
  REQUIRE(data);
  CompileOptions all;
  if (!readOptions(options, all))
    return NACRE_INVALID_ARGUMENT;
  return deliver(compile(toSpan(data, size), all), model);
}

nacre_status nacre_compile_to_file(const char *path, const char *artifact, const nacre_compile_options *options) {
  REQUIRE(path);
  REQUIRE(artifact);
  CompileOptions all;
  if (!readOptions(options, all))
    return NACRE_INVALID_ARGUMENT;
  Status status = compileToFile(path, artifact, all);
  return status ? NACRE_OK : fail(status.error());
}

nacre_status nacre_compile_start(const char *path, const nacre_compile_options *options, nacre_compile_task **task) {
  REQUIRE(task);
  *task = nullptr;
  REQUIRE(path);
  CompileOptions all;
  if (!readOptions(options, all))
    return NACRE_INVALID_ARGUMENT;
  *task = new nacre_compile_task{compileAsync(std::string(path), std::move(all))};
  return NACRE_OK;
}

nacre_status nacre_compile_start_bytes(const void *data, size_t size, const nacre_compile_options *options,
                                       nacre_compile_task **task) {
  REQUIRE(task);
  *task = nullptr;
  REQUIRE(data);
  CompileOptions all;
  if (!readOptions(options, all))
    return NACRE_INVALID_ARGUMENT;
  std::span<const std::byte> bytes = toSpan(data, size);
  *task = new nacre_compile_task{
      compileAsync(std::vector<std::byte>(bytes.begin(), bytes.end()), std::move(all))};
  return NACRE_OK;
}

nacre_status nacre_compile_start_to_file(const char *path, const char *artifact, const nacre_compile_options *options,
                                         nacre_compile_task **task) {
  REQUIRE(task);
  *task = nullptr;
  REQUIRE(path);
  REQUIRE(artifact);
  CompileOptions all;
  if (!readOptions(options, all))
    return NACRE_INVALID_ARGUMENT;
  *task = new nacre_compile_task{compileToFileAsync(path, artifact, std::move(all))};
  return NACRE_OK;
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
  Status status = task->task.status();
  return status ? NACRE_OK : fail(status.error());
}

nacre_status nacre_compile_task_take(nacre_compile_task *task, nacre_model **model) {
  REQUIRE(model);
  *model = nullptr;
  REQUIRE(task);
  return deliver(task->task.take(), model);
}

void nacre_compile_task_destroy(nacre_compile_task *task) { delete task; }
