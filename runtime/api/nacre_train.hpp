// Training over examples in C++20, header-only: epochs, batches, shuffling, metrics and
// validation around the training step of a model.
//
//   auto trainer = nacre::Trainer::create(
//       session, columns,
//       {.learningRate = 0.1f, .epochs = 10, .schedule = "cosine:warmup=100",
//        .metrics = {"accuracy"}, .validation = others});
//   auto history = trainer->fit([](const nacre::Epoch &epoch) {
//     std::printf("epoch %d: loss %.4f\n", int(epoch.index + 1), epoch.loss);
//     return true;
//   });
//
// The model must have been compiled for training. Then it has, beside "main", a function
// "step", which takes the model's inputs, what the loss compares with, and the learning rate,
// gives the loss and the model's outputs, and updates the session's parameters. The session is
// the caller's and must outlive the trainer.
#ifndef NACRE_TRAIN_HPP
#define NACRE_TRAIN_HPP

#include "nacre_evaluate.hpp"
#include "nacre_reader.hpp"

#include <chrono>
#include <functional>

namespace nacre {

struct TrainerOptions {
  // Examples per step. 0: what the model is fixed to, or 32 if it takes any number.
  int64_t batchSize = 0;
  // Draws the order of the examples, anew for each epoch. The same seed gives the
  // same bits, whatever the number of threads.
  uint64_t seed = 0;
  float learningRate = 0.01f;
  // The epochs that there will be, by which schedules know the end; more can follow.
  int64_t epochs = 1;
  // Instead of epochs, the steps that there will be; then the last epoch may be a part of one.
  int64_t steps = 0;
  // How the learning rate changes from step to step (nacre_schedule.hpp); empty: it stays.
  std::string schedule = {};
  // The class number that `labels` may have without there being such a class: the loss's
  // ignore_index.
  int64_t ignoredLabel = -100;
  // What is measured besides the loss: "accuracy" (nacre_metric.hpp).
  std::vector<std::string> metrics = {};
  // Examples to evaluate after each epoch; empty: none are.
  std::vector<Column> validation = {};
  // The same, given by their numbers.
  Dataset validationDataset = {};
  // A thread makes the next batch while the model computes, for batches of so many bytes and more,
  // and all of datasets and streams: smaller ones are made faster than a thread is woken. Negative: none does.
  // The results are the same.
  int64_t readAheadBytes = 64 << 10;
};

// A step that has just been made: its number, the examples of the epoch seen by now, the
// mean loss over these, and the learning rate.
using TrainingStep = loop::Step;

// An epoch that has just been trained.
struct Epoch {
  int64_t index = 0;
  // Over the batches as they came, each with the parameters before its step.
  double loss = 0;
  std::vector<double> metrics;
  int64_t examples = 0;
  double rate = 0;    // of the last step
  double seconds = 0; // without validation
  std::optional<Evaluation> validation;
};

// How far a training is: with the session's parameters and its random state all that it needs
// to go on, bit for bit (Session::save, Session::randomState).
struct TrainingState {
  int64_t epoch = 0, step = 0; // the next ones
  // Of the epoch so far.
  int64_t examples = 0;
  double sum = 0, rate = 0, seconds = 0;
  std::vector<Metric::Sums> metrics;
  Schedule::State schedule;
};

class Trainer {
public:
  // Checks that all columns are there, fit the model and are of one length, and that
  // labels are in range; a message lists what the model takes and what the data has.
  static Result<Trainer> create(Session &session, std::vector<Column> columns, TrainerOptions options = {}) {
    Result<Feeder> feeder =
        Feeder::create(session, "step", std::move(columns), options.batchSize, options.ignoredLabel);
    if (!feeder)
      return feeder.error();
    return create(session, *std::move(feeder), std::move(options));
  }
  // On examples by their numbers.
  static Result<Trainer> create(Session &session, Dataset dataset, TrainerOptions options = {}) {
    Result<Feeder> feeder =
        Feeder::create(session, "step", std::move(dataset), options.batchSize, options.ignoredLabel);
    if (!feeder)
      return feeder.error();
    return create(session, *std::move(feeder), std::move(options));
  }
  // On batches as they come: `batchSize` and the order are the stream's. A schedule that looks at the
  // end needs to know `stream.steps`. Such a training goes on only where an epoch begins.
  static Result<Trainer> create(Session &session, Stream stream, TrainerOptions options = {}) {
    Result<Feeder> feeder = Feeder::create(session, "step", std::move(stream), options.ignoredLabel);
    if (!feeder)
      return feeder.error();
    return create(session, *std::move(feeder), std::move(options));
  }

  Session &session() { return *owner; }
  // Of a stream 0: it does not say.
  int64_t examples() const { return feeder.examples(); }
  int64_t batchSize() const { return feeder.batchSize(); }
  bool isStream() const { return feeder.isStream(); }
  bool isDataset() const { return feeder.isDataset(); }
  // Per epoch. The last step takes the examples that are left; a model of fixed batch
  // cannot, so they wait for another epoch's order. Of a stream 0 until its first end.
  int64_t steps() { return feeder.batches().steps(); }
  // That the options ask for.
  int64_t epochs() {
    if (options.steps > 0 && steps() == 0) // of a stream that nobody knows the length of
      return INT64_MAX;
    return options.steps > 0 ? (options.steps + steps() - 1) / steps() : options.epochs;
  }

  // After each step and each epoch, in callbacks too.
  const TrainingState &state() const { return current; }
  // Has `fit`, and `runEpoch` of that epoch, go on from a state that another trainer with the same
  // options had; the session must be as it was then.
  Status resume(const TrainingState &state) {
    bool begins = state.step == 0;
    if (feeder.isStream() && !begins)
      return Error{NACRE_INVALID_ARGUMENT, "a training on a stream goes on where an epoch begins, not within"};
    if (state.epoch < 0 || state.step < 0 || state.step > steps() || state.examples < 0 ||
        state.examples > examples() || begins != (state.examples == 0) ||
        state.metrics.size() != (begins ? 0 : measures.size()))
      return Error{NACRE_INVALID_ARGUMENT, "the state is of another training: epoch " + std::to_string(state.epoch + 1) +
                                               ", step " + std::to_string(state.step) + ", where an epoch has " +
                                               std::to_string(steps())};
    current = state;
    schedule.setState(state.schedule);
    isResumed = true;
    return {};
  }

  // Trains on every example once, in an order that depends on seed and epoch, then
  // evaluates on the validation's. `progress` is called after each step and returns false to
  // end with NACRE_CANCELLED. A loss that is not finite is an error.
  Result<Epoch> runEpoch(int64_t index, const std::function<bool(const TrainingStep &)> &progress = nullptr) {
    auto start = std::chrono::steady_clock::now();
    if (index != current.epoch)
      beginEpoch(index);
    const double secondsBefore = current.seconds;
    auto seconds = [&] {
      return secondsBefore + std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    };
    Epoch epoch;
    epoch.index = index;
    spec::Message why;
    Status failed;
    measures.reset();
    if (current.step > 0)
      measures.setSums(current.metrics);
    loop::Loop loop = detail::makeLoop(*owner, feeder, measures);
    loop.order = feeder.isStream() ? nullptr : order.data();
    BatchReader reader(loop.batches, makeBatches(index), isWorthAThread(), feeder.cancellation());
    loop.seed = options.seed;
    loop.rate = double(options.learningRate);
    loop.schedule = options.schedule.empty() ? nullptr : &schedule;
    loop.firstStep = current.step;
    loop.firstExample = current.examples;
    loop.firstSum = current.sum;
    if (options.steps > 0 && index < epochs())
      loop.lastStep = options.steps - index * steps();
    auto finish = [&](const TrainingStep &step) {
      failed = measures.add(loop.batches);
      current.step = step.index + 1;
      current.examples = step.examples;
      current.sum = step.sum;
      current.rate = step.rate;
      current.metrics = measures.sums();
      current.seconds = seconds();
      if (failed && progress && !progress(step))
        failed = Error{NACRE_CANCELLED, "training was cancelled"};
      return failed ? NACRE_OK : failed.error().status;
    };
    nacre_status status = loop.runEpoch(index, finish, epoch.loss, why);
    if (!failed)
      return failed.error();
    if (!reader.status())
      return reader.status().error();
    if (status != NACRE_OK && !why.isEmpty())
      return Error{status, why.c_str()};
    if (status != NACRE_OK) {
      Error error = Error::last(status);
      if (status == NACRE_INVALID_VALUE) // of the data, or of what has become of the parameters
        error.message += "; in step " + std::to_string(current.step + 1) + " of epoch " + std::to_string(index + 1);
      return error;
    }
    epoch.examples = current.examples;
    epoch.rate = current.rate;
    epoch.metrics = measures.values();
    epoch.seconds = seconds();
    if (validation) {
      Result<Evaluation> evaluation = detail::evaluate(*owner, *validation, validationMeasures, options.readAheadBytes >= 0);
      if (!evaluation)
        return evaluation.error();
      epoch.validation = *std::move(evaluation);
    }
    if (feeder.isStream() && current.step == 0)
      return Error{NACRE_INVALID_ARGUMENT, "the stream has no batches in epoch " + std::to_string(index + 1)};
    bool isWhole = current.step == steps(); // else it may go on
    if (feeder.isStream()) {
      int64_t limit = feeder.getStream().steps;
      isWhole = loop.lastStep > current.step || (limit > 0 && current.step >= limit);
      feeder.setStreamSteps(isWhole ? current.step : feeder.batches().steps());
    }
    if (isWhole)
      beginEpoch(index + 1);
    return epoch;
  }

  // All epochs that the options ask for, from the first or where `resume` says: what each came
  // to. `onEpoch` is called after each, and returns false to leave it at that.
  Result<std::vector<Epoch>> fit(const std::function<bool(const Epoch &)> &onEpoch = nullptr,
                                 const std::function<bool(const TrainingStep &)> &onStep = nullptr) {
    std::vector<Epoch> history;
    if (!std::exchange(isResumed, false))
      beginEpoch(0);
    for (int64_t index = current.epoch; index < epochs(); ++index) {
      if (options.steps > 0 && index * steps() + current.step >= options.steps)
        break; // it had ended
      Result<Epoch> epoch = runEpoch(index, onStep);
      if (!epoch)
        return epoch.error();
      history.push_back(*std::move(epoch));
      if (onEpoch && !onEpoch(history.back()))
        break;
    }
    return history;
  }

  // Sets each parameter NAME that has a moving average, NAME.average, to it.
  Status useAverages() { return useAverages(*owner); }
  static Status useAverages(Session &session) {
    nacre_model *model = nullptr;
    nacre_model_info info;
    nacre_status status = nacre_session_get_model(session.get(), &model);
    if (status == NACRE_OK)
      status = nacre_model_get_info(model, &info);
    std::map<std::string, int32_t> indices;
    for (int32_t i = 0; status == NACRE_OK && i < info.parameter_count; ++i) {
      nacre_tensor_info parameter;
      status = nacre_model_get_parameter(model, i, &parameter);
      if (status == NACRE_OK)
        indices[parameter.name] = i;
    }
    for (const auto &[name, index] : indices) {
      auto average = indices.find(name + ".average");
      nacre_tensor value = {};
      if (status != NACRE_OK || average == indices.end())
        continue;
      status = nacre_session_get_parameter(session.get(), average->second, &value);
      if (status == NACRE_OK)
        status = nacre_session_write_parameter(session.get(), index, &value);
    }
    return status == NACRE_OK ? Status() : Status(Error::last(status));
  }

private:
  static Result<Trainer> create(Session &session, Feeder feeder, TrainerOptions options) {
    Result<detail::Measures> measures = detail::Measures::create(options.metrics, feeder);
    if (!measures)
      return measures.error();
    Trainer trainer(session, std::move(feeder), *std::move(measures), std::move(options));
    if (Status status = trainer.prepare(); !status)
      return status.error();
    return trainer;
  }

  BatchReader::Make makeBatches(int64_t epoch) {
    if (!feeder.isStream())
      return [this](const int64_t *which, int64_t first, int64_t count, MadeBatch &made) {
        feeder.make(which, first, count, made);
      };
    return [this, epoch, step = current.step](const int64_t *, int64_t, int64_t, MadeBatch &made) mutable {
      feeder.takeFromStream(epoch, step++, made);
    };
  }
  bool isWorthAThread() {
    int64_t least = options.readAheadBytes;
    return least >= 0 && (feeder.isStream() || feeder.isDataset() || feeder.batchBytes() >= size_t(least));
  }

  Trainer(Session &session, Feeder feeder, detail::Measures measures, TrainerOptions options)
      : owner(&session), feeder(std::move(feeder)), measures(std::move(measures)), options(std::move(options)) {}

  void beginEpoch(int64_t index) {
    current = {};
    current.epoch = index;
    current.schedule = schedule.getState();
  }

  // The schedule, and what validation needs.
  Status prepare() {
    spec::Message why;
    scheduleText = std::make_unique<std::string>(options.schedule);
    if (!scheduleText->empty() && !Schedule::parse(*scheduleText, schedule, why))
      return Error{NACRE_INVALID_ARGUMENT, why.c_str()};
    if (feeder.isStream() && steps() == 0 && !options.schedule.empty())
      return Error{NACRE_INVALID_ARGUMENT, "schedule '" + options.schedule + "': expected to be told how many batches an "
                                           "epoch of the stream has"};
    schedule.setLength(options.steps > 0 ? options.steps : options.epochs * steps(), steps());
    beginEpoch(0);
    order.resize(size_t(examples()));
    if (options.validation.empty() && !options.validationDataset.get)
      return {};
    int64_t batch = feeder.isStream() ? 0 : feeder.batchSize();
    Result<Feeder> others =
        options.validationDataset.get
            ? Feeder::create(*owner, "evaluate", options.validationDataset, batch, options.ignoredLabel)
            : Feeder::create(*owner, "evaluate", options.validation, batch, options.ignoredLabel);
    if (!others)
      return Error{others.error().status, "validation: " + others.error().message};
    Result<detail::Measures> own = detail::Measures::create(options.metrics, *others);
    if (!own)
      return own.error();
    validation = *std::move(others);
    validationMeasures = *std::move(own);
    return {};
  }

  Session *owner;
  Feeder feeder;
  detail::Measures measures;
  std::optional<Feeder> validation;
  detail::Measures validationMeasures;
  TrainerOptions options;
  std::vector<int64_t> order;
  std::unique_ptr<std::string> scheduleText; // what the schedule points into
  Schedule schedule;
  TrainingState current;
  bool isResumed = false;
};

} // namespace nacre

#endif // NACRE_TRAIN_HPP
