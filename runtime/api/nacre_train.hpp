// Nacre's training loop in C++20, header-only: epochs, batches and shuffling around
// the compiled training step.
//
//   auto trainer = nacre::Trainer::create(std::move(session), columns,
//                                         {.learningRate = 0.1f});
//   for (int64_t epoch = 0; epoch < 10; ++epoch)
//     if (auto loss = trainer->runEpoch(epoch); !loss)
//       std::puts(loss.error().message.c_str());
//
// The model must have been compiled for training: then it has a function "step", which
// takes the model's inputs, the loss's labels if it has any, and the learning rate, and
// gives the loss. The trained parameters are the session's.
#ifndef NACRE_TRAIN_HPP
#define NACRE_TRAIN_HPP

#include "nacre.hpp"

#include <cmath>
#include <cstring>
#include <functional>
#include <map>
#include <random>

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
};

// A step that has just been made.
struct TrainingStep {
  int64_t index;    // within the epoch, from 0
  int64_t examples; // of the epoch that have been seen by now
  double loss;      // the mean over these
};

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
    std::vector<int64_t> order = shuffle(epoch);
    double sum = 0;
    int64_t seen = 0;
    for (int64_t step = 0; step < steps(); ++step) {
      int64_t count = std::min(batch, exampleCount - seen);
      Result<float> loss = runStep(std::span(order).subspan(size_t(seen), size_t(count)));
      if (!loss)
        return loss.error();
      if (!std::isfinite(*loss))
        return Error{NACRE_INVALID_VALUE, "the loss became " + std::to_string(*loss) + " in step " +
                                              std::to_string(step + 1) + " of epoch " + std::to_string(epoch + 1) +
                                              "; a smaller learning rate may help"};
      seen += count;
      sum += double(*loss) * double(count);
      if (progress && !progress({step, seen, sum / double(seen)}))
        return Error{NACRE_CANCELLED, "training was cancelled"};
    }
    return sum / double(seen);
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
  // model's first output. (The step checks too.)
  Status checkLabels() {
    const Column &labels = feeds.back().column;
    bool isInput = false; // the model's own, whatever it means
    for (std::string_view input : modelInputs)
      isInput |= input == labels.name;
    if (isInput || labels.data.dtype() != NACRE_I64 || step.outputs.size() < 2 || step.outputs[1].dims.size() < 2)
      return {};
    int64_t classes = step.outputs[1].dims[1].size, index = 0;
    for (int64_t label : labels.data.as<int64_t>()) {
      if (classes >= 0 && (label < 0 || label >= classes))
        return Error{NACRE_INVALID_VALUE, "labels must be from 0 to " + std::to_string(classes - 1) + " (output '" +
                                              std::string(step.outputs[1].name) + "' is " + toString(step.outputs[1]) +
                                              "), found " + std::to_string(label) + " at element " +
                                              std::to_string(index)};
      ++index;
    }
    return {};
  }

  // A permutation that the standard defines to the bit.
  std::vector<int64_t> shuffle(int64_t epoch) const {
    std::seed_seq seeds{uint32_t(options.seed), uint32_t(options.seed >> 32), uint32_t(epoch)};
    std::mt19937_64 engine(seeds);
    std::vector<int64_t> order(static_cast<size_t>(exampleCount));
    for (size_t i = 0; i < order.size(); ++i)
      order[i] = int64_t(i);
    for (uint64_t i = order.size(); i > 1; --i) {
      uint64_t limit = UINT64_MAX - UINT64_MAX % i, drawn = engine();
      while (drawn >= limit) // so that all are equally likely
        drawn = engine();
      std::swap(order[i - 1], order[drawn % i]);
    }
    return order;
  }

  Result<float> runStep(std::span<const int64_t> examples) {
    std::vector<TensorView> inputs;
    for (Feed &feed : feeds) {
      feed.rows.resize(examples.size() * feed.rowBytes);
      auto *from = static_cast<const std::byte *>(feed.column.data.data());
      for (size_t i = 0; i < examples.size() && feed.rowBytes; ++i)
        std::memcpy(&feed.rows[i * feed.rowBytes], from + size_t(examples[i]) * feed.rowBytes, feed.rowBytes);
      auto dims = feed.column.data.dims();
      std::vector<int64_t> sizes(dims.begin(), dims.end());
      sizes[0] = int64_t(examples.size());
      inputs.emplace_back(feed.rows.data(), feed.column.data.dtype(), sizes);
    }
    inputs.emplace_back(&options.learningRate, NACRE_F32, std::span<const int64_t>());
    float loss = 0;
    Tensor output = Tensor::into(&loss, sizeof loss);
    if (Status status = owned.run(inputs, std::span(&output, 1), step.index); !status)
      return status.error();
    return loss;
  }

  Session owned;
  TrainerOptions options;
  Function step;                             // its inputs without the learning rate
  std::vector<std::string_view> modelInputs; // what "main" takes
  std::vector<Feed> feeds;                   // in the order of the step's inputs
  int64_t exampleCount = 0, batch = 0;
  bool isFixed = false; // the model's batch
};

} // namespace nacre

#endif // NACRE_TRAIN_HPP
