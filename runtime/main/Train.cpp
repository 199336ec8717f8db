#include "runtime/main/Train.h"

#include "runtime/main/Npy.h"

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>

namespace nacre::program {

using ll = long long;

namespace {

// std::seed_seq of three words, which needs no memory.
struct Seeds {
  using result_type = uint32_t;
  uint32_t words[3];

  template <typename Iterator> void generate(Iterator b, Iterator end) const {
    const size_t n = size_t(end - b), s = 3;
    const size_t t = n >= 623  ? 11
                     : n >= 68 ? 7
                     : n >= 39 ? 5
                     : n >= 7  ? 3
                               : (n - 1) / 2;
    const size_t p = (n - t) / 2, q = p + t, m = s + 1 > n ? s + 1 : n;
    for (size_t i = 0; i < n; ++i)
      b[i] = 0x8b8b8b8bu;
    for (size_t k = 0; k < m + n; ++k) {
      uint32_t &first = b[k % n], &second = b[(k + p) % n],
               &third = b[(k + q) % n];
      uint32_t last = b[(k + n - 1) % n];
      if (k < m) {
        uint32_t mixed = first ^ second ^ last;
        uint32_t r1 = 1664525u * (mixed ^ mixed >> 27);
        uint32_t r2 = r1 + uint32_t(k == 0 ? s : k % n) +
                      (k > 0 && k <= s ? words[k - 1] : 0);
        second += r1;
        third += r2;
        first = r2;
      } else {
        uint32_t mixed = first + second + last;
        uint32_t r3 = 1566083941u * (mixed ^ mixed >> 27);
        uint32_t r4 = r3 - uint32_t(k % n);
        second ^= r3;
        third ^= r4;
        first = r4;
      }
    }
  }
};

// Memory that goes with the object.
template <typename T> struct Buffer {
  explicit Buffer(size_t count)
      : data(static_cast<T *>(std::calloc(count + 1, sizeof(T)))) {}
  Buffer(const Buffer &) = delete;
  ~Buffer() { std::free(data); }
  T *data;
};

void shuffle(int64_t *order, int64_t count, uint64_t seed, int64_t epoch) {
  Seeds seeds{{uint32_t(seed), uint32_t(seed >> 32), uint32_t(epoch)}};
  std::mt19937_64 engine(seeds);
  for (int64_t i = 0; i < count; ++i)
    order[i] = i;
  for (uint64_t i = uint64_t(count); i > 1; --i) {
    uint64_t limit = UINT64_MAX - UINT64_MAX % i, drawn = engine();
    while (drawn >= limit)
      drawn = engine();
    int64_t other = order[drawn % i];
    order[drawn % i] = order[i - 1];
    order[i - 1] = other;
  }
}

} // namespace

nacre_status train(nacre_model *model, nacre_session *session, int32_t step,
                   const nacre_tensor *columns, const TrainSettings &settings) {
  nacre_function_info function;
  if (nacre_status s = nacre_model_get_function(model, step, &function))
    return s;
  // All inputs but the last are columns of examples.
  const int32_t count = function.input_count - 1;
  int64_t examples = 0, fixed = -1;
  for (int32_t i = 0; i < count; ++i) {
    nacre_tensor_info info;
    if (nacre_status s = nacre_model_get_input(model, step, i, &info))
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
  int64_t batch = settings.batchSize ? settings.batchSize
                  : fixed >= 0       ? fixed
                                     : 32;
  if (batch < 1 || examples < 1 ||
      (fixed >= 0 && (batch != fixed || examples < fixed)))
    return fail(NACRE_INVALID_SHAPE,
                "%lld examples cannot be given in batches of %lld%s",
                ll(examples), ll(batch),
                fixed >= 0 ? ": the model's batch is fixed" : "");
  if (batch > examples)
    batch = examples;
  const int64_t steps =
      fixed >= 0 ? examples / batch : (examples + batch - 1) / batch;

  Buffer<int64_t> order(static_cast<size_t>(examples));
  Buffer<nacre_tensor> inputs(static_cast<size_t>(count) + 1);
  size_t bytes = 0; // of all columns, one example
  for (int32_t i = 0; i < count; ++i)
    bytes += size_t(columns[i].size / examples);
  Buffer<double> rows(bytes * size_t(batch) / sizeof(double) + size_t(count) +
                      1);
  if (!order.data || !inputs.data || !rows.data)
    return fail(NACRE_OUT_OF_MEMORY, "out of memory for a batch");
  auto *place = reinterpret_cast<char *>(rows.data);
  for (int32_t i = 0; i < count; ++i) {
    inputs.data[i] = columns[i];
    inputs.data[i].data = place; // each begins where any element may
    place += (size_t(columns[i].size / examples) * size_t(batch) + 7) / 8 * 8;
  }
  float rate = settings.learningRate, loss = 0;
  nacre_tensor &last = inputs.data[count];
  last.data = &rate;
  last.dtype = NACRE_F32;
  for (int64_t epoch = 0; epoch < settings.epochs; ++epoch) {
    shuffle(order.data, examples, settings.seed, epoch);
    double sum = 0;
    int64_t seen = 0;
    for (int64_t i = 0; i < steps; ++i) {
      int64_t now = examples - seen < batch ? examples - seen : batch;
      for (int32_t c = 0; c < count; ++c) {
        size_t size = size_t(columns[c].size / examples);
        auto *to = static_cast<char *>(inputs.data[c].data);
        for (int64_t row = 0; row < now; ++row)
          std::memcpy(to + size_t(row) * size,
                      static_cast<const char *>(columns[c].data) +
                          size_t(order.data[seen + row]) * size,
                      size);
        inputs.data[c].dims[0] = now;
        inputs.data[c].size = now * int64_t(size);
      }
      nacre_tensor output = {};
      output.data = &loss;
      output.size = sizeof loss;
      if (nacre_status s = nacre_session_run(session, step, inputs.data,
                                             count + 1, &output, 1))
        return s;
      if (!std::isfinite(loss))
        return fail(
            NACRE_INVALID_VALUE,
            "the loss became %f in step %lld of epoch %lld; a smaller learning "
            "rate may help",
            double(loss), ll(i + 1), ll(epoch + 1));
      seen += now;
      sum += double(loss) * double(now);
    }
    std::printf("epoch %lld/%lld: loss %.4f\n", ll(epoch + 1),
                ll(settings.epochs), sum / double(seen));
    std::fflush(stdout);
  }
  return NACRE_OK;
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
