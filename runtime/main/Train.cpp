#include "runtime/main/Train.h"

#include "runtime/api/nacre_loop.hpp"
#include "runtime/main/Npy.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <unistd.h>

namespace nacre::program {

using ll = long long;

namespace {

// Memory that goes with the object.
template <typename T> T *allocate(size_t count) {
  return static_cast<T *>(std::calloc(count + 1, sizeof(T)));
}
template <typename T> struct Buffer {
  explicit Buffer(size_t count) : data(allocate<T>(count)) {}
  Buffer(const Buffer &) = delete;
  ~Buffer() { std::free(data); }
  T *data;
};

// What a checkpoint has beside the parameters, as texts: where the training was
// after an epoch, and what it depends on but for its length.
class Checkpoint {
public:
  Checkpoint(const TrainSettings &settings, const nacre_tensor *columns,
             int32_t count, int64_t batch, int64_t examples) {
    uint64_t hash = 14695981039346656037u; // FNV-1a
    for (int32_t i = 0; settings.checkpoint && i < count; ++i) {
      auto *bytes = static_cast<const unsigned char *>(columns[i].data);
      for (int64_t b = 0; b < columns[i].size; ++b)
        hash = (hash ^ bytes[b]) * 1099511628211u;
    }
    std::snprintf(options, sizeof options,
                  "--batch-size %lld --seed %llu --learning-rate %.9g "
                  "--schedule '%.400s', %lld examples of the hash %016llx",
                  ll(batch), static_cast<unsigned long long>(settings.seed),
                  double(settings.learningRate),
                  settings.schedule ? settings.schedule : "", ll(examples),
                  static_cast<unsigned long long>(hash));
  }

  nacre_status write(nacre_session *session, const char *path, int64_t epoch,
                     const Schedule &schedule) {
    uint64_t seed = 0;
    int64_t runs = 0;
    if (nacre_status s = nacre_session_get_random_state(session, &seed, &runs))
      return s;
    Schedule::State at = schedule.getState();
    char state[300]; // hexadecimal floats: to the bit
    std::snprintf(state, sizeof state, "%lld %llu %lld %a %a %d %lld %lld",
                  ll(epoch), static_cast<unsigned long long>(seed), ll(runs),
                  at.best, at.reduction, int(at.hasBest), ll(at.bad),
                  ll(at.cooldown));
    nacre_metadata texts[] = {{kOptions, options}, {kState, state}};
    return nacre_session_save(session, path, texts, 2);
  }

  // The epochs that were made; 0 if there is no file.
  nacre_status read(nacre_session *session, const char *path, int64_t &epoch,
                    Schedule &schedule) {
    if (access(path, F_OK) != 0 && errno == ENOENT)
      return NACRE_OK;
    auto take = [](void *self, const char *key, const char *value) {
      return static_cast<Checkpoint *>(self)->take(key, value);
    };
    path_ = path;
    if (nacre_status s =
            nacre_session_load(session, path, NACRE_LOAD_ALL, take, this))
      return s;
    if (!isRead)
      return fail(NACRE_CORRUPT, "%s: is no checkpoint of this program", path);
    schedule.setState(state);
    epoch = epochs;
    return nacre_session_set_random_state(session, seed, runs);
  }

private:
  static constexpr char kOptions[] = "program.options",
                        kState[] = "program.state";

  nacre_status take(const char *key, const char *value) {
    if (std::strcmp(key, kOptions) == 0 && std::strcmp(value, options) != 0)
      return fail(NACRE_INVALID_ARGUMENT,
                  "%s: was made with %.450s; this training has %.450s", path_,
                  value, options);
    if (std::strcmp(key, kState) != 0)
      return NACRE_OK;
    long long numbers[4] = {};
    unsigned long long random = 0;
    int hasBest = 0;
    int count = std::sscanf(value, "%lld %llu %lld %la %la %d %lld %lld",
                            &numbers[0], &random, &numbers[1], &state.best,
                            &state.reduction, &hasBest, &numbers[2],
                            &numbers[3]);
    isRead = count == 8 && numbers[0] >= 0 && numbers[1] >= 0;
    epochs = numbers[0];
    seed = random;
    runs = numbers[1];
    state.hasBest = hasBest != 0;
    state.bad = numbers[2];
    state.cooldown = numbers[3];
    return NACRE_OK;
  }

  char options[700];
  const char *path_ = "";
  bool isRead = false;
  int64_t epochs = 0, runs = 0;
  uint64_t seed = 0;
  Schedule::State state;
};

} // namespace

namespace {

// Columns of examples for a function, and room for a batch of them.
class Examples {
public:
  Examples() = default;
  Examples(const Examples &) = delete;
  ~Examples() {
    std::free(inputs);
    std::free(rows);
  }

  // For the first `count` inputs of the function. `batch` 0: what the model is
  // fixed to, or 32.
  nacre_status prepare(nacre_model *model, int32_t function, int32_t count,
                       const nacre_tensor *columns, int64_t batch) {
    int64_t examples = 0, fixed = -1;
    for (int32_t i = 0; i < count; ++i) {
      nacre_tensor_info info;
      if (nacre_status s = nacre_model_get_input(model, function, i, &info))
        return s;
      if (info.rank < 1 || columns[i].rank != info.rank)
        return fail(NACRE_INVALID_SHAPE,
                    "input '%s' has %d dimensions, expected %d, of which the "
                    "first counts "
                    "the examples",
                    info.name, columns[i].rank, info.rank);
      if (i > 0 && columns[i].dims[0] != examples)
        return fail(NACRE_INVALID_SHAPE,
                    "input '%s' has %lld examples, another has %lld", info.name,
                    ll(columns[i].dims[0]), ll(examples));
      examples = columns[i].dims[0];
      if (info.dims[0] >= 0)
        fixed = info.dims[0];
    }
    batch = batch ? batch : fixed >= 0 ? fixed : 32;
    if (batch < 1 || examples < 1 ||
        (fixed >= 0 && (batch != fixed || examples < fixed)))
      return fail(NACRE_INVALID_SHAPE,
                  "%lld examples cannot be given in batches of %lld%s",
                  ll(examples), ll(batch),
                  fixed >= 0 ? ": the model's batch is fixed" : "");
    if (batch > examples)
      batch = examples;
    size_t bytes = 0; // of all columns, one example
    for (int32_t i = 0; i < count; ++i)
      bytes += size_t(columns[i].size / examples);
    inputs = allocate<nacre_tensor>(size_t(count) + 1);
    rows = allocate<double>(bytes * size_t(batch) / sizeof(double) +
                            size_t(count) + 1);
    if (!inputs || !rows)
      return fail(NACRE_OUT_OF_MEMORY, "out of memory for a batch");
    auto *place = reinterpret_cast<char *>(rows);
    for (int32_t i = 0; i < count; ++i) {
      inputs[i] = columns[i];
      inputs[i].data = place; // each begins where any element may
      place += (size_t(columns[i].size / examples) * size_t(batch) + 7) / 8 * 8;
    }
    batches.columns = columns;
    batches.columnCount = count;
    batches.inputs = inputs;
    batches.examples = examples;
    batches.size = batch;
    batches.isFixed = fixed >= 0;
    return NACRE_OK;
  }

  loop::Batches batches;

private:
  nacre_tensor *inputs = nullptr;
  double *rows = nullptr;
};

} // namespace

nacre_status train(nacre_model *model, nacre_session *session, int32_t step,
                   const nacre_tensor *columns, const nacre_tensor *others,
                   const TrainSettings &settings) {
  nacre_function_info function;
  if (nacre_status s = nacre_model_get_function(model, step, &function))
    return s;
  // All inputs but the last are columns of examples.
  const int32_t count = function.input_count - 1;
  Examples data, valid;
  if (nacre_status s =
          data.prepare(model, step, count, columns, settings.batchSize))
    return s;
  int32_t evaluate = 0;
  if (others) {
    if (nacre_status s =
            nacre_model_find_function(model, "evaluate", &evaluate))
      return s;
    if (nacre_status s = valid.prepare(model, evaluate, count, others,
                                       data.batches.size))
      {
      char message[900];
      std::snprintf(message, sizeof message, "%s", lastError());
      return fail(s, "--valid: %s", message);
    }
  }
  const int64_t examples = data.batches.examples, batch = data.batches.size;
  loop::Loop loop, measured;
  Schedule schedule;
  spec::Message why;
  if (settings.schedule && !Schedule::parse(settings.schedule, schedule, why))
    return fail(NACRE_INVALID_ARGUMENT, "%s", why.c_str());
  Buffer<int64_t> order(static_cast<size_t>(examples));
  if (!order.data)
    return fail(NACRE_OUT_OF_MEMORY, "out of memory for the examples' order");
  data.batches.inputs[count].dtype = NACRE_F32;
  loop.session = session;
  loop.function = step;
  loop.batches = data.batches;
  nacre_tensor lossOutput = {};
  loop.outputs = &lossOutput;
  loop.outputCount = 1;
  loop.order = order.data;
  loop.seed = settings.seed;
  loop.rate = double(settings.learningRate);
  loop.schedule = settings.schedule ? &schedule : nullptr;
  measured.session = session;
  measured.function = evaluate;
  measured.batches = valid.batches;
  measured.outputs = &lossOutput;
  measured.outputCount = 1;
  const int64_t steps = loop.batches.steps();
  schedule.setLength(settings.epochs * steps, steps);
  Checkpoint checkpoint(settings, columns, count, batch, examples);
  int64_t first = 0;
  if (settings.resumes)
    if (nacre_status s = checkpoint.read(session, settings.checkpoint, first,
                                         schedule))
      return s;
  if (first > 0)
    std::printf("resumed after epoch %lld\n", ll(first));
  for (int64_t epoch = first; epoch < settings.epochs; ++epoch) {
    double mean = 0;
    nacre_status status = loop.runEpoch(
        epoch, [](const loop::Step &) { return NACRE_OK; }, mean, why);
    if (status != NACRE_OK)
      return why.isEmpty() ? status : fail(status, "%s", why.c_str());
    std::printf("epoch %lld/%lld: loss %.4f", ll(epoch + 1),
                ll(settings.epochs), mean);
    if (others) {
      status = measured.evaluate(
          [](const loop::Step &) { return NACRE_OK; }, mean);
      if (status != NACRE_OK)
        return status;
      std::printf(", val_loss %.4f", mean);
    }
    std::printf("\n");
    std::fflush(stdout);
    // A training is worth more than its checkpoints: it goes on without.
    if (settings.checkpoint &&
        checkpoint.write(session, settings.checkpoint, epoch + 1, schedule))
      std::fprintf(stderr, "warning: %s; the training goes on\n", lastError());
  }
  return NACRE_OK;
}

nacre_status loadWeights(nacre_session *session, const char *path) {
  return nacre_session_load(session, path, NACRE_LOAD_WITHOUT_STATE, nullptr,
                            nullptr);
}

// Calls `visit(index, info)` for each parameter that training changes.
template <typename Visit>
static nacre_status forEachWeight(nacre_model *model, Visit visit) {
  nacre_model_info info;
  nacre_status s = nacre_model_get_info(model, &info);
  for (int32_t i = 0; s == NACRE_OK && i < info.parameter_count; ++i) {
    nacre_tensor_info parameter;
    s = nacre_model_get_parameter(model, i, &parameter);
    if (s == NACRE_OK && parameter.is_mutable)
      s = visit(i, parameter);
  }
  return s;
}

nacre_status writeWeights(nacre_model *model, nacre_session *session,
                          const char *folder) {
  return forEachWeight(model, [&](int32_t index,
                                  const nacre_tensor_info &info) {
    nacre_tensor tensor;
    char path[4096];
    if (nacre_status s = nacre_session_get_parameter(session, index, &tensor))
      return s;
    return writeNpy(folder, info.name, tensor, path, sizeof path);
  });
}

nacre_status readWeights(nacre_model *model, nacre_session *session,
                         const char *folder) {
  return forEachWeight(
      model, [&](int32_t index, const nacre_tensor_info &info) {
        char path[4096];
        if (nacre_status s = makePath(folder, info.name, path, sizeof path))
          return s;
        Bytes bytes;
        nacre_tensor tensor;
        void *owned = nullptr;
        nacre_status s = bytes.map(path);
        if (s == NACRE_OK)
          s = parseNpy(path, bytes.data, bytes.size, info, tensor, owned);
        if (s == NACRE_OK)
          s = nacre_session_write_parameter(session, index, &tensor);
        std::free(owned);
        return s;
      });
}

} // namespace nacre::program
