// Training, evaluation and prediction over examples in C++20, header-only: epochs, batches,
// shuffling, metrics and validation around the functions of a model.
//
//   auto trainer = nacre::Trainer::create(
//       session, columns,
//       {.learningRate = 0.1f, .epochs = 10, .schedule = "cosine:warmup=100",
//        .metrics = {"accuracy"}, .validation = others});
//   auto history = trainer->fit([](const nacre::Epoch &epoch) {
//     std::printf("epoch %d: loss %.4f\n", int(epoch.index + 1), epoch.loss);
//     return true;
//   });
//   auto how = nacre::evaluate(session, others, {.metrics = {"accuracy", "top-k:k=3"}});
//   auto outputs = nacre::predict(session, unlabelled);
//
// The model must have been compiled for training. Then it has, beside "main", a function
// "step", which takes the model's inputs, what the loss compares with, and the learning rate,
// gives the loss and the model's outputs, and updates the session's parameters; and a function
// "evaluate", which does the same without the rate and the updates. The session is the
// caller's and must outlive the trainer.
#ifndef NACRE_TRAIN_HPP
#define NACRE_TRAIN_HPP

#include "nacre_data.hpp"
#include "nacre_metric.hpp"

#include <chrono>
#include <functional>
#include <memory>

namespace nacre {

// How good a model is on examples.
struct Evaluation {
  double loss = 0;             // the mean over the batches, by their sizes
  std::vector<double> metrics; // in the order in which they were asked for
  int64_t examples = 0;        // how many counted
};

struct EvaluateOptions {
  // Examples per run. 0: what the model is fixed to, or 32 if it takes any number.
  int64_t batchSize = 0;
  // "accuracy", "top-k:k=3@logits": nacre_metric.hpp has the list.
  std::vector<std::string> metrics = {};
  // The class number that `labels` may have without there being such a class: the loss's
  // ignore_index.
  int64_t ignoredLabel = -100;
};

namespace detail {

// Metrics of a function that gives the loss and the model's outputs: the tensors of a run of
// it, and which of them each metric looks at.
class Measures {
public:
  static Result<Measures> create(const std::vector<std::string> &texts, const Feeder &feeder) {
    Measures measures;
    measures.outputs.resize(texts.empty() ? 1 : feeder.function().outputs.size());
    measures.texts = std::make_unique<std::vector<std::string>>(texts);
    for (const std::string &text : *measures.texts) {
      Bound bound;
      spec::Message why;
      if (!Metric::parse(text, bound.metric, why))
        return Error{NACRE_INVALID_ARGUMENT, why.c_str()};
      if (Status status = bound.bind(feeder); !status)
        return status.error();
      measures.list.push_back(bound);
    }
    return measures;
  }

  // What loops write into.
  std::vector<Tensor> outputs;

  void reset() {
    for (Bound &bound : list)
      bound.metric.reset();
  }
  // Counts a batch that has been run.
  Status add(const loop::Batches &batches) {
    spec::Message why;
    for (Bound &bound : list) {
      const nacre_tensor &target = batches.inputs[bound.target];
      if (!bound.metric.add(outputs[bound.output].get(), target, target.dims[0], why))
        return Error{NACRE_INVALID_ARGUMENT, why.c_str()};
    }
    return {};
  }
  std::vector<Metric::Sums> sums() const {
    std::vector<Metric::Sums> result;
    for (const Bound &bound : list)
      result.push_back(bound.metric.getSums());
    return result;
  }
  // As many as there are metrics.
  void setSums(const std::vector<Metric::Sums> &sums) {
    for (size_t i = 0; i < list.size(); ++i)
      list[i].metric.setSums(sums[i]);
  }
  size_t size() const { return list.size(); }
  std::vector<double> values() const {
    std::vector<double> result;
    for (const Bound &bound : list)
      result.push_back(bound.metric.value());
    return result;
  }

private:
  struct Bound {
    Metric metric;
    size_t output = 1; // of the function: the loss is the first
    size_t target = 0; // among its inputs

    Status bind(const Feeder &feeder) {
      const Function &function = feeder.function();
      std::string name(metric.output()), known;
      for (size_t i = 1; i < function.outputs.size(); ++i) {
        known += (i > 1 ? ", " : "") + std::string(function.outputs[i].name);
        if (function.outputs[i].name == name || (name.empty() && i == 1))
          output = i;
      }
      if (function.outputs.size() < 2 || (!name.empty() && function.outputs[output].name != name))
        return refuse("the model has no output '" + name + "': it has " + known);
      std::vector<std::string> wanted;
      if (!metric.target().empty())
        wanted = {std::string(metric.target())};
      else // as losses call it
        for (const char *role : {"labels", "targets"}) {
          if (output == 1)
            wanted.push_back(role);
          wanted.push_back(std::string(function.outputs[output].name) + "." + role);
        }
      for (const std::string &candidate : wanted)
        for (size_t i = 0; i < function.inputs.size(); ++i)
          if (function.inputs[i].name == candidate) {
            target = i;
            return {};
          }
      std::string list;
      for (const std::string &candidate : wanted)
        list += (list.empty() ? "'" : ", '") + candidate + "'";
      return refuse("there is no input " + list + " to compare with; name one: " +
                    std::string(spec::Text(metric.name()).substr(0, metric.name().find('@'))) +
                    (metric.target().empty() ? ":target=NAME" : ""));
    }
    Status refuse(const std::string &why) const {
      return Error{NACRE_INVALID_ARGUMENT, "metric '" + std::string(metric.name()) + "': " + why};
    }
  };

  std::vector<Bound> list;
  std::unique_ptr<std::vector<std::string>> texts; // what the metrics point into
};

// The loop over what both hold.
inline loop::Loop makeLoop(Session &session, Feeder &feeder, Measures &measures) {
  loop::Loop loop;
  loop.session = session.get();
  loop.function = feeder.function().index;
  loop.batches = feeder.batches();
  static_assert(sizeof(Tensor) == sizeof(nacre_tensor));
  loop.outputs = reinterpret_cast<nacre_tensor *>(measures.outputs.data());
  loop.outputCount = int32_t(measures.outputs.size());
  return loop;
}

inline Result<Evaluation> evaluate(Session &session, Feeder &feeder, Measures &measures) {
  Evaluation result;
  loop::Loop loop = makeLoop(session, feeder, measures);
  Status added;
  measures.reset();
  nacre_status status = loop.evaluate(
      [&](const loop::Step &step) {
        result.examples = step.examples;
        added = measures.add(loop.batches);
        return added ? NACRE_OK : added.error().status;
      },
      result.loss);
  if (!added)
    return added.error();
  if (status != NACRE_OK)
    return Error::last(status);
  result.metrics = measures.values();
  return result;
}

} // namespace detail

// The loss and the metrics over all examples, in their order, with the parameters as they are.
// The examples that a fixed batch leaves over do not count.
inline Result<Evaluation> evaluate(Session &session, std::vector<Column> columns, const EvaluateOptions &options = {}) {
  Result<Feeder> feeder =
      Feeder::create(session, "evaluate", std::move(columns), options.batchSize, options.ignoredLabel);
  if (!feeder)
    return feeder.error();
  Result<detail::Measures> measures = detail::Measures::create(options.metrics, *feeder);
  if (!measures)
    return measures.error();
  return detail::evaluate(session, *feeder, *measures);
}

// An array of its own memory.
struct Array {
  nacre_dtype dtype = NACRE_UNDEFINED;
  std::vector<int64_t> dims;
  std::vector<std::byte> data;

  TensorView view() const { return TensorView(data.data(), dtype, dims); }
};

// The model's outputs for all examples, one after the other, in their order.
inline Result<std::vector<Array>> predict(Session &session, std::vector<Column> columns, int64_t batchSize = 0) {
  Result<Feeder> feeder = Feeder::create(session, "main", std::move(columns), batchSize);
  if (!feeder)
    return feeder.error();
  const Function &function = feeder->function();
  std::vector<Array> results(function.outputs.size());
  std::vector<nacre_tensor> outputs(results.size());
  std::vector<int64_t> which(static_cast<size_t>(feeder->batchSize()));
  loop::Batches batches = feeder->batches();
  for (int64_t seen = 0; seen < batches.examples; seen += batches.size) {
    int64_t count = std::min(batches.size, batches.examples - seen);
    // A fixed batch is filled up with its last example.
    int64_t rows = batches.isFixed ? batches.size : count;
    for (int64_t row = 0; row < rows; ++row)
      which[size_t(row)] = seen + std::min(row, count - 1);
    batches.gather(which.data(), 0, rows);
    nacre_status status = nacre_session_run(session.get(), function.index, batches.inputs, batches.columnCount,
                                            outputs.data(), int32_t(outputs.size()));
    if (status != NACRE_OK)
      return Error::last(status);
    for (size_t i = 0; i < outputs.size(); ++i) {
      nacre_tensor &output = outputs[i];
      Array &result = results[i];
      std::vector<int64_t> dims(output.dims, output.dims + output.rank);
      bool fits = !dims.empty() && dims[0] == rows && nacre_dtype_bits(nacre_dtype(output.dtype)) >= 8 &&
                  output.dtype != NACRE_STRING;
      if (fits && seen > 0) // in all but the number of rows
        fits = std::equal(dims.begin() + 1, dims.end(), result.dims.begin() + 1, result.dims.end());
      if (!fits) {
        Error error{NACRE_INVALID_SHAPE, "output '" + std::string(function.outputs[i].name) + "' is " +
                                             toString(TensorView(output)) + " for " + std::to_string(rows) +
                                             " examples: it has no entry of one kind for each; run the model itself"};
        for (nacre_tensor &tensor : outputs)
          nacre_tensor_release(&tensor);
        return error;
      }
      auto *data = static_cast<const std::byte *>(output.data);
      if (seen == 0) {
        result.dtype = nacre_dtype(output.dtype);
        result.dims = dims;
        result.dims[0] = batches.examples;
      }
      result.data.insert(result.data.end(), data, data + TensorView(output).elements() / rows * count *
                                                             (nacre_dtype_bits(nacre_dtype(output.dtype)) / 8));
    }
  }
  for (nacre_tensor &tensor : outputs)
    nacre_tensor_release(&tensor);
  return results;
}

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
    Result<detail::Measures> measures = detail::Measures::create(options.metrics, *feeder);
    if (!measures)
      return measures.error();
    Trainer trainer(session, *std::move(feeder), *std::move(measures), std::move(options));
    if (Status status = trainer.prepare(); !status)
      return status.error();
    return trainer;
  }

  Session &session() { return *owner; }
  int64_t examples() const { return feeder.examples(); }
  int64_t batchSize() const { return feeder.batchSize(); }
  // Per epoch. The last step takes the examples that are left; a model of fixed batch
  // cannot, so they wait for another epoch's order.
  int64_t steps() { return feeder.batches().steps(); }
  // That the options ask for.
  int64_t epochs() { return options.steps > 0 ? (options.steps + steps() - 1) / steps() : options.epochs; }

  // After each step and each epoch, in callbacks too.
  const TrainingState &state() const { return current; }
  // Has `fit`, and `runEpoch` of that epoch, go on from a state that another trainer with the same
  // options had; the session must be as it was then.
  Status resume(const TrainingState &state) {
    bool begins = state.step == 0;
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
    loop.order = order.data();
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
    if (status != NACRE_OK)
      return why.isEmpty() ? Error::last(status) : Error{status, why.c_str()};
    epoch.examples = current.examples;
    epoch.rate = current.rate;
    epoch.metrics = measures.values();
    epoch.seconds = seconds();
    if (validation) {
      Result<Evaluation> evaluation = detail::evaluate(*owner, *validation, validationMeasures);
      if (!evaluation)
        return evaluation.error();
      epoch.validation = *std::move(evaluation);
    }
    if (current.step == steps()) // else it may go on
      beginEpoch(index + 1);
    return epoch;
  }

  // All epochs that the options ask for, from the first or where `resume` says: what each came to. `onEpoch` is called
  // after each, and returns false to leave it at that.
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
  Status useAverages() {
    nacre_model *model = nullptr;
    nacre_model_info info;
    nacre_status status = nacre_session_get_model(owner->get(), &model);
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
      status = nacre_session_get_parameter(owner->get(), average->second, &value);
      if (status == NACRE_OK)
        status = nacre_session_write_parameter(owner->get(), index, &value);
    }
    return status == NACRE_OK ? Status() : Status(Error::last(status));
  }

private:
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
    schedule.setLength(options.steps > 0 ? options.steps : options.epochs * steps(), steps());
    order.resize(size_t(examples()));
    if (options.validation.empty())
      return {};
    Result<Feeder> others =
        Feeder::create(*owner, "evaluate", options.validation, feeder.batchSize(), options.ignoredLabel);
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
