// Nacre's training loop in C++20, header-only: epochs, batches and shuffling around
// the compiled training step.
//
//   auto trainer = nacre::Trainer::create(
//       std::move(session), columns,
//       {.learningRate = 0.1f, .epochs = 10, .schedule = "cosine:warmup=100"});
//   for (int64_t epoch = 0; epoch < 10; ++epoch)
//     if (auto loss = trainer->runEpoch(epoch); !loss)
//       std::puts(loss.error().message.c_str());
//
// The model must have been compiled for training: then it has a function "step", which
// takes the model's inputs, what the loss compares with, and the learning rate, and gives
// the loss. The trained parameters are the session's.
#ifndef NACRE_TRAIN_HPP
#define NACRE_TRAIN_HPP

#include "nacre.hpp"
#include "nacre_loop.hpp"

#include <functional>
#include <map>
#include <memory>

namespace nacre {

// An array with one entry per example along its first dimension, for the input of that
// name. The memory is the caller's and must stay.
struct Column {
  std::string name;
  TensorView data;
};

struct TrainerOptions {
  // Examples per step. 0: what the model is fixed to, or 32 if it takes any number.
  int64_t batchSize = 0;
  // Draws the order of the examples, anew for each epoch. The same seed gives the
  // same bits, whatever the number of threads.
  uint64_t seed = 0;
  float learningRate = 0.01f;
  // The epochs that there will be, by which schedules know the end; more can follow.
  int64_t epochs = 1;
  // How the learning rate changes from step to step (nacre_schedule.hpp); empty: it stays.
  std::string schedule = {};
  // The class number that `labels` may have without there being such a class: the loss's
  // ignore_index.
  int64_t ignoredLabel = -100;
};

// A step that has just been made: its number, the examples of the epoch seen by now, the
// mean loss over these, and the learning rate.
using TrainingStep = loop::Step;

class Trainer {
public:
  // Checks that all columns are there, fit the model and are of one length, and that
  // labels are in range; a message lists what the model takes and what the data has.
  static Result<Trainer> create(Session session, std::vector<Column> columns, const TrainerOptions &options = {}) {
    Trainer trainer(std::move(session), options);
    Status status = trainer.bind(std::move(columns));
    if (status)
      status = trainer.chooseBatch();
    if (status)
      status = trainer.checkLabels();
    if (status)
      status = trainer.prepare();
    if (!status)
      return status.error();
    return trainer;
  }

  Session &session() { return owned; }
  int64_t examples() const { return exampleCount; }
  int64_t batchSize() const { return batch; }
  // Per epoch. The last step takes the examples that are left; a model of fixed batch
  // cannot, so they wait for another epoch's order.
  int64_t steps() const { return isFixed ? exampleCount / batch : (exampleCount + batch - 1) / batch; }

  // Trains on every example once, in an order that depends on seed and epoch; the mean
  // loss. `progress` is called after each step and returns false to end with
  // NACRE_CANCELLED. A loss that is not finite is an error.
  Result<double> runEpoch(int64_t epoch, const std::function<bool(const TrainingStep &)> &progress = nullptr) {
    loop::Loop loop = view();
    double mean = 0;
    spec::Message why;
    nacre_status status = loop.runEpoch(
        epoch, [&](const TrainingStep &step) { return !progress || progress(step); }, mean, why);
    if (status != NACRE_OK)
      return why.isEmpty() ? Error::last(status) : Error{status, why.c_str()};
    return mean;
  }

  // Sets each parameter NAME that has a moving average, NAME.average, to it.
  Status useAverages() {
    nacre_model *model = nullptr;
    nacre_model_info info;
    nacre_status status = nacre_session_get_model(owned.get(), &model);
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
      status = nacre_session_get_parameter(owned.get(), average->second, &value);
      if (status == NACRE_OK)
        status = nacre_session_write_parameter(owned.get(), index, &value);
    }
    return status == NACRE_OK ? Status() : Status(Error::last(status));
  }

private:
  // A column as the step takes it.
  struct Feed {
    Column column;
    size_t rowBytes = 0;
    std::vector<std::byte> rows; // of one batch
  };

  Trainer(Session session, const TrainerOptions &options) : owned(std::move(session)), options(options) {}

  static Error misfit(std::string message, const std::vector<TensorInfo> &inputs, const std::vector<Column> &columns) {
    message += "\nthe model takes:";
    for (const TensorInfo &input : inputs)
      message += "\n  " + std::string(input.name) + ": " + toString(input);
    message += "\nthe data has:";
    for (const Column &column : columns)
      message += "\n  " + column.name + ": " + toString(column.data);
    return {NACRE_INVALID_SHAPE, std::move(message)};
  }

  Result<std::vector<Function>> getFunctions() {
    nacre_model *model = nullptr;
    if (nacre_status status = nacre_session_get_model(owned.get(), &model))
      return Error::last(status);
    return Model::functionsOf(model);
  }

  // Finds a column for each input, and its sizes.
  Status bind(std::vector<Column> columns) {
    Result<std::vector<Function>> functions = getFunctions();
    if (!functions)
      return functions.error();
    for (const Function &function : *functions)
      if (function.name == "step") {
        step = function;
      } else if (function.name == "main") {
        for (const TensorInfo &input : function.inputs)
          modelInputs.push_back(input.name);
      }
    if (step.name.empty() || step.inputs.empty() || step.inputs.back().name != "learning_rate")
      return Error{NACRE_INVALID_ARGUMENT, "the model was not compiled for training: it has no function 'step'"};
    step.inputs.pop_back();
    std::map<std::string_view, int64_t> symbols;
    for (const TensorInfo &input : step.inputs) {
      std::string name(input.name);
      auto column = columns.begin();
      while (column != columns.end() && column->name != name)
        ++column;
      if (column == columns.end())
        return misfit("the data has no array '" + name + "'", step.inputs, columns);
      if (input.dims.empty())
        return misfit("input '" + name + "' is a scalar; training needs one value per example", step.inputs, columns);
      if (!fits(input, column->data, symbols))
        return misfit("array '" + name + "' does not fit", step.inputs, columns);
      int64_t length = column->data.dims()[0];
      if (feeds.empty())
        exampleCount = length;
      if (length != exampleCount)
        return misfit("array '" + name + "' has " + std::to_string(length) + " entries, '" +
                          feeds.front().column.name + "' has " + std::to_string(exampleCount),
                      step.inputs, columns);
      Feed feed;
      feed.column = *column;
      feed.rowBytes = size_t(nacre_dtype_bits(column->data.dtype()) / 8);
      for (int64_t size : column->data.dims().subspan(1))
        feed.rowBytes *= size_t(size);
      feeds.push_back(std::move(feed));
    }
    if (feeds.empty())
      return Error{NACRE_INVALID_ARGUMENT, "the model has no inputs to train on"};
    if (exampleCount == 0)
      return misfit("the data has no examples", step.inputs, columns);
    return {};
  }

  // All but the number of examples.
  static bool fits(const TensorInfo &input, const TensorView &data,
                   std::map<std::string_view, int64_t> &symbols) {
    if (data.dtype() != input.dtype || data.dims().size() != input.dims.size() || nacre_dtype_bits(input.dtype) < 8)
      return false;
    for (size_t i = 1; i < input.dims.size(); ++i) {
      const Dim &dim = input.dims[i];
      int64_t size = data.dims()[i];
      bool isKnown = dim.size < 0 && !dim.symbol.empty();
      int64_t expected = dim.size >= 0 ? dim.size : isKnown ? symbols.try_emplace(dim.symbol, size).first->second : size;
      if (size != expected)
        return false;
    }
    return true;
  }

  Status chooseBatch() {
    int64_t fixed = -1;
    for (const TensorInfo &input : step.inputs) {
      int64_t size = input.dims[0].size;
      if (size >= 0 && fixed >= 0 && size != fixed)
        return Error{NACRE_INVALID_SHAPE, "the first dimension of every input must be the batch, but input '" +
                                              std::string(input.name) + "' is " + toString(input) + " and another has " +
                                              std::to_string(fixed)};
      fixed = size >= 0 ? size : fixed;
    }
    isFixed = fixed >= 0;
    batch = options.batchSize ? options.batchSize : isFixed ? fixed : 32;
    if (batch < 1)
      return Error{NACRE_INVALID_ARGUMENT, "the batch size is " + std::to_string(batch) + ", expected 1 or more"};
    if (isFixed && batch != fixed)
      return Error{NACRE_INVALID_SHAPE, "the model's batch is fixed at " + std::to_string(fixed) +
                                            ", the batch size is " + std::to_string(batch)};
    if (isFixed && exampleCount < fixed)
      return Error{NACRE_INVALID_SHAPE, "the model's batch is fixed at " + std::to_string(fixed) +
                                            ", the data has only " + std::to_string(exampleCount) + " examples"};
    return {};
  }

  // Before the first step, where the number of classes is known: dimension 1 of the
  // model's first output, which `labels` belong to. (The step checks too.)
  Status checkLabels() {
    for (const Feed &feed : feeds) {
      const Column &labels = feed.column;
      bool isInput = false; // the model's own, whatever it means
      for (std::string_view input : modelInputs)
        isInput |= input == labels.name;
      if (isInput || labels.name != "labels" || labels.data.dtype() != NACRE_I64 || step.outputs.size() < 2 ||
          step.outputs[1].dims.size() < 2)
        continue;
      int64_t classes = step.outputs[1].dims[1].size, index = 0;
      for (int64_t label : labels.data.as<int64_t>()) {
        if (classes >= 0 && (label < 0 || label >= classes) && label != options.ignoredLabel)
          return Error{NACRE_INVALID_VALUE, "labels must be from 0 to " + std::to_string(classes - 1) + " (output '" +
                                                std::string(step.outputs[1].name) + "' is " +
                                                toString(step.outputs[1]) + "), found " + std::to_string(label) +
                                                " at element " + std::to_string(index)};
        ++index;
      }
    }
    return {};
  }

  // Room for a batch, and the schedule.
  Status prepare() {
    spec::Message why;
    scheduleText = std::make_unique<std::string>(options.schedule);
    if (!scheduleText->empty() && !Schedule::parse(*scheduleText, schedule, why))
      return Error{NACRE_INVALID_ARGUMENT, why.c_str()};
    schedule.setLength(options.epochs * steps(), steps());
    order.resize(size_t(exampleCount));
    for (Feed &feed : feeds) {
      nacre_tensor tensor = feed.column.data.get();
      tensor.name = nullptr;
      tensor.size = exampleCount * int64_t(feed.rowBytes);
      columns.push_back(tensor);
      feed.rows.resize(size_t(std::min(batch, exampleCount)) * feed.rowBytes);
      tensor.data = feed.rows.data();
      inputs.push_back(tensor);
    }
    nacre_tensor &rate = inputs.emplace_back();
    rate.dtype = NACRE_F32;
    return {};
  }

  // The loop over what this object holds now.
  loop::Loop view() {
    loop::Loop loop;
    loop.session = owned.get();
    loop.function = step.index;
    loop.columns = columns.data();
    loop.columnCount = int32_t(columns.size());
    loop.inputs = inputs.data();
    loop.order = order.data();
    loop.examples = exampleCount;
    loop.batch = batch;
    loop.isFixed = isFixed;
    loop.seed = options.seed;
    loop.rate = double(options.learningRate);
    loop.schedule = options.schedule.empty() ? nullptr : &schedule;
    return loop;
  }

  Session owned;
  TrainerOptions options;
  Function step;                             // its inputs without the learning rate
  std::vector<std::string_view> modelInputs; // what "main" takes
  std::vector<Feed> feeds;                   // in the order of the step's inputs
  std::vector<nacre_tensor> columns, inputs; // the same for the loop
  std::vector<int64_t> order;
  std::unique_ptr<std::string> scheduleText; // what the schedule points into
  Schedule schedule;
  int64_t exampleCount = 0, batch = 0;
  bool isFixed = false; // the model's batch
};

} // namespace nacre

#endif // NACRE_TRAIN_HPP
