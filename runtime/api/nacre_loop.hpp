// The training loop itself, for nacre_train.hpp and for models that are programs: the order
// of the examples, their batches, the learning rate of each step. Needs libnacre-runtime's C
// API and nothing of a C++ library: what it works in is the caller's memory.
#ifndef NACRE_LOOP_HPP
#define NACRE_LOOP_HPP

#include "nacre.h"
#include "nacre_schedule.hpp"

#include <random>

namespace nacre::loop {

// std::seed_seq of three words, which needs no memory.
struct Seeds {
  using result_type = uint32_t;
  uint32_t words[3];

  template <typename Iterator> void generate(Iterator b, Iterator end) const {
    const size_t n = size_t(end - b), s = 3;
    const size_t t = n >= 623 ? 11 : n >= 68 ? 7 : n >= 39 ? 5 : n >= 7 ? 3 : (n - 1) / 2;
    const size_t p = (n - t) / 2, q = p + t, m = s + 1 > n ? s + 1 : n;
    for (size_t i = 0; i < n; ++i)
      b[i] = 0x8b8b8b8bu;
    for (size_t k = 0; k < m + n; ++k) {
      uint32_t &first = b[k % n], &second = b[(k + p) % n], &third = b[(k + q) % n];
      uint32_t last = b[(k + n - 1) % n];
      if (k < m) {
        uint32_t mixed = first ^ second ^ last;
        uint32_t r1 = 1664525u * (mixed ^ mixed >> 27);
        uint32_t r2 = r1 + uint32_t(k == 0 ? s : k % n) + (k > 0 && k <= s ? words[k - 1] : 0);
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

// The numbers from 0 to `count` in an order that seed and epoch alone decide, to the bit.
inline void shuffle(int64_t *order, int64_t count, uint64_t seed, int64_t epoch) {
  Seeds seeds{{uint32_t(seed), uint32_t(seed >> 32), uint32_t(epoch)}};
  std::mt19937_64 engine(seeds);
  for (int64_t i = 0; i < count; ++i)
    order[i] = i;
  for (uint64_t i = uint64_t(count); i > 1; --i) {
    uint64_t limit = UINT64_MAX - UINT64_MAX % i, drawn = engine();
    while (drawn >= limit) // so that all are equally likely
      drawn = engine();
    int64_t other = order[drawn % i];
    order[drawn % i] = order[i - 1];
    order[i - 1] = other;
  }
}

// A step that has just been made.
struct Step {
  int64_t index;    // within the epoch, from 0
  int64_t examples; // of the epoch that have been seen by now
  double loss;      // the mean over these
  double rate;      // the learning rate that it took
  double sum;       // of the losses over these
  double own;       // the loss of the step alone
};

// All examples, and room for a batch of them.
struct Batches {
  // A tensor with all examples for each input of the function but the rate. If the examples lie in
  // several parts, those of one part after those of the other. Their memory needs no alignment.
  const nacre_tensor *columns = nullptr;
  int32_t columnCount = 0;
  // Of each part the number of its first example, and behind the last of all examples; null:
  // there is one part.
  const int64_t *starts = nullptr;
  int32_t partCount = 1;
  // The same and one more, as a run takes them; `data` of each has room for a batch.
  nacre_tensor *inputs = nullptr;
  int64_t examples = 0, size = 0;
  bool isFixed = false; // the model's: then examples left over wait for another epoch

  // Where not null, makes the batches instead of `gather`: sets `inputs` to one of `count` examples,
  // and may begin with the one of `next` examples that comes after it (0: none does). Returns how
  // many the batch has: less, where the source does not know beforehand; 0, if there are no more or
  // `status` is not NACRE_OK.
  int64_t (*fetch)(void *source, const int64_t *which, int64_t first, int64_t count, int64_t next,
                   nacre_status &status) = nullptr;
  void *source = nullptr;
  // Of a source that alone knows how many examples it has: how many batches, as far as known.
  bool isStream = false;
  int64_t streamSteps = 0;

  int64_t steps() const {
    return isStream ? streamSteps : isFixed ? examples / size : (examples + size - 1) / size;
  }

  // Makes a batch of the examples that `which` says, or, where it is null, of those from `first`.
  void gather(const int64_t *which, int64_t first, int64_t count) const { gather(which, first, count, inputs); }
  void gather(const int64_t *which, int64_t first, int64_t count, nacre_tensor *into) const {
    for (int32_t c = 0; c < columnCount; ++c) {
      size_t bytes = 0;
      auto *to = static_cast<char *>(into[c].data);
      int32_t part = -1;
      for (int64_t row = 0; row < count; ++row) {
        int64_t example = which ? which[first + row] : first + row;
        if (part < 0 || (starts && (example < starts[part] || example >= starts[part + 1]))) {
          part = findPart(example);
          int64_t length = starts ? starts[part + 1] - starts[part] : examples;
          bytes = size_t(columns[part * columnCount + c].size / length);
        }
        auto *from = static_cast<const char *>(columns[part * columnCount + c].data);
        if (bytes)
          std::memcpy(to + size_t(row) * bytes, from + size_t(example - (starts ? starts[part] : 0)) * bytes, bytes);
      }
      into[c].dims[0] = count;
      into[c].size = count * int64_t(bytes);
    }
  }

private:
  // The part that an example lies in.
  int32_t findPart(int64_t example) const {
    int32_t low = 0, high = starts ? partCount : 1;
    while (high - low > 1) {
      int32_t middle = low + (high - low) / 2;
      (example < starts[middle] ? high : low) = middle;
    }
    return low;
  }
};

struct Loop {
  nacre_session *session = nullptr;
  int32_t function = 0; // the model's step, or its evaluation
  Batches batches;
  // What the function gives, the loss first, as many as are wanted. `data` of the first has
  // room for it.
  nacre_tensor *outputs = nullptr;
  int32_t outputCount = 0;

  // Where in the epoch to begin: steps that were made before, the examples that they saw and the
  // sum of the losses over these. And where to end, if not with the epoch.
  int64_t firstStep = 0, firstExample = 0, lastStep = INT64_MAX;
  double firstSum = 0;

  int64_t *order = nullptr; // room for a number for each example; null: in the order that there is
  uint64_t seed = 0;
  double rate = 0;
  Schedule *schedule = nullptr; // null: the rate stays

  // Trains on every example once. `progress(step)` is called while the batch and its outputs
  // are there, and returns a status. Where a step failed, `why` stays empty and
  // nacre_last_error() knows.
  template <typename Progress>
  nacre_status runEpoch(int64_t epoch, Progress progress, double &mean, spec::Message &why) {
    if (order)
      shuffle(order, batches.examples, seed, epoch);
    auto run = [&](int64_t step, float &current) {
      double now = schedule ? schedule->at(rate, epoch * batches.steps() + step) : rate;
      current = float(now);
      nacre_tensor &input = batches.inputs[batches.columnCount];
      input.data = &current;
      input.size = sizeof current;
      return now;
    };
    auto check = [&](int64_t step, float loss) {
      if (std::isfinite(loss))
        return Verdict::Counts;
      if (readLossScale() >= 1) // the step has changed nothing but the scale
        return Verdict::IsPassedOver;
      why << "the loss became " << double(loss) << " in step " << double(step + 1) << " of epoch " << double(epoch + 1)
          << "; a smaller learning rate may help";
      return Verdict::Ends;
    };
    nacre_status status = pass(order, 1, run, check, progress, mean);
    if (status == NACRE_OK && schedule && lastStep >= batches.steps())
      schedule->observe(rate, mean);
    return status;
  }

  // Computes the loss of every example in its place, without training.
  template <typename Progress> nacre_status evaluate(Progress progress, double &mean) {
    return pass(nullptr, 0, [](int64_t, float &) { return 0.0; }, [](int64_t, float) { return Verdict::Counts; }, progress, mean);
  }

private:
  enum class Verdict { Counts, IsPassedOver, Ends };

  // What the loss is multiplied by in a training of f16, after the last step; 0 where there is no
  // such factor.
  float readLossScale() const {
    nacre_model *model = nullptr;
    nacre_model_info info;
    if (nacre_session_get_model(session, &model) != NACRE_OK || nacre_model_get_info(model, &info) != NACRE_OK)
      return 0;
    for (int32_t i = 0; i < info.parameter_count; ++i) {
      nacre_tensor_info parameter;
      nacre_tensor value = {};
      if (nacre_model_get_parameter(model, i, &parameter) == NACRE_OK &&
          std::strcmp(parameter.name, "optimizer.scale") == 0 && parameter.dtype == NACRE_F32 &&
          nacre_session_get_parameter(session, i, &value) == NACRE_OK)
        return *static_cast<const float *>(value.data);
    }
    return 0;
  }

  template <typename Prepare, typename Check, typename Progress>
  nacre_status pass(const int64_t *which, int32_t extra, Prepare prepare, Check check, Progress progress, double &mean) {
    double sum = firstSum;
    int64_t all = batches.isStream ? INT64_MAX : batches.steps();
    int64_t seen = firstExample, last = all < lastStep ? all : lastStep;
    mean = seen > 0 ? sum / double(seen) : 0;
    bool isOpen = seen > 0 && std::isnan(sum); // all steps so far were passed over
    for (int64_t step = firstStep; step < last; ++step) {
      int64_t left = batches.isStream ? INT64_MAX : batches.examples - seen;
      int64_t count = left < batches.size ? left : batches.size;
      if (batches.fetch) {
        int64_t after = batches.isStream ? INT64_MAX : left - count;
        int64_t next = step + 1 == last ? 0 : after < batches.size ? after : batches.size;
        nacre_status status = NACRE_OK;
        count = batches.fetch(batches.source, which, seen, count, next, status);
        if (status != NACRE_OK)
          return status;
        if (count == 0)
          break;
      } else {
        batches.gather(which, seen, count);
      }
      float current = 0, loss = 0;
      double now = prepare(step, current);
      outputs[0].data = &loss;
      outputs[0].size = sizeof loss;
      if (nacre_status status =
              nacre_session_run(session, function, batches.inputs, batches.columnCount + extra, outputs, outputCount))
        return status;
      Verdict verdict = check(step, loss);
      if (verdict == Verdict::Ends)
        return NACRE_INVALID_VALUE;
      // A step that is passed over counts as the mean of the others, NaN until there is one.
      bool counts = verdict == Verdict::Counts;
      if (counts && isOpen)
        sum = double(loss) * double(seen);
      else if (!counts && seen == 0)
        sum = std::numeric_limits<double>::quiet_NaN();
      isOpen = !counts && std::isnan(sum);
      seen += count;
      sum += (counts ? double(loss) : mean) * double(count);
      mean = sum / double(seen);
      if (nacre_status status = progress(Step{step, seen, mean, now, sum, double(loss)}))
        return status;
    }
    return NACRE_OK;
  }
};

} // namespace nacre::loop

#endif // NACRE_LOOP_HPP
