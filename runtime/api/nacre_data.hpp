// Examples for Nacre's models in C++20, header-only: arrays with an entry per example, and the
// batches that a function of a model takes of them.
#ifndef NACRE_DATA_HPP
#define NACRE_DATA_HPP

#include "nacre.hpp"
#include "nacre_loop.hpp"

#include <functional>
#include <map>

namespace nacre {

// An array with one entry per example along its first dimension, for the input of that
// name. The memory is the caller's and must stay; it needs no alignment.
struct Column {
  std::string name;
  TensorView data;
  // Further examples, which follow: data may lie in several files. All columns have as many parts,
  // of the same lengths.
  std::vector<TensorView> more = {};

  size_t parts() const { return 1 + more.size(); }
  const TensorView &part(size_t index) const { return index == 0 ? data : more[index - 1]; }
};

// Examples that come in batches, one after the other: from a program, a network, files that are read
// on the way.
struct Stream {
  // The batch of that number in an epoch, each in turn; without columns where the epoch has no
  // more. Called on another thread, never on two at once. What it gives must stay until it is
  // called again. It must not throw.
  std::function<Result<std::vector<Column>>(int64_t epoch, int64_t step)> next;
  // How many batches an epoch has: it ends after so many. 0: with the stream.
  int64_t steps = 0;
  // Asked while a batch is waited for: true ends the training. May be null.
  std::function<bool()> isCancelled = nullptr;
};

// Examples that a function gives by their numbers: from a database, from files of any kind. They are
// shuffled, cut into batches and gone on with in the middle of an epoch as those of arrays are.
struct Dataset {
  int64_t examples = 0;
  // Those of the numbers, from 0 and in that order: columns with an entry for each. Called on another
  // thread, never on two at once. What it gives must stay until it is called again. It must not throw.
  std::function<Result<std::vector<Column>>(std::span<const int64_t> numbers)> get = nullptr;
  // Asked while a batch is waited for: true ends the training. May be null.
  std::function<bool()> isCancelled = nullptr;
};

// A batch in memory of its own.
struct MadeBatch {
  std::vector<nacre_tensor> tensors; // in the order of the function's inputs
  std::vector<std::vector<std::byte>> rows;
  int64_t count = 0; // examples
  Status status;
};

// Gives a function of a model its inputs, a batch at a time.
class Feeder {
public:
  // Finds a column for each input, but for the learning rate of `step`. Checks that all are
  // there, fit the model and are of one length, and that `labels` are in range; a message
  // lists what the model takes and what the data has. `batchSize` 0: what the model is fixed
  // to, or 32 if it takes any number.
  static Result<Feeder> create(Session &session, std::string_view function, std::vector<Column> columns,
                               int64_t batchSize, int64_t ignoredLabel = -100) {
    Feeder feeder;
    Status status = feeder.find(session, function);
    if (status)
      status = feeder.bind(std::move(columns));
    if (status)
      status = feeder.chooseBatch(batchSize);
    if (status)
      status = feeder.checkLabels(ignoredLabel);
    if (!status)
      return status.error();
    feeder.prepare();
    return feeder;
  }

  // Of a stream, whose batches are checked when they come.
  static Result<Feeder> create(Session &session, std::string_view function, Stream stream, int64_t ignoredLabel = -100) {
    Feeder feeder;
    if (Status status = feeder.find(session, function); !status)
      return status.error();
    if (!stream.next || stream.steps < 0)
      return Error{NACRE_INVALID_ARGUMENT, "the stream has no function that gives batches, or less than 0 steps"};
    feeder.streamSteps = stream.steps;
    feeder.stream = std::move(stream);
    feeder.ignoredLabel = ignoredLabel;
    nacre_tensor none = {};
    feeder.inputs.resize(feeder.target.inputs.size(), none);
    feeder.addRate();
    return feeder;
  }

  // Of examples by their numbers, which are checked when they come.
  static Result<Feeder> create(Session &session, std::string_view function, Dataset dataset, int64_t batchSize,
                               int64_t ignoredLabel = -100) {
    Feeder feeder;
    if (Status status = feeder.find(session, function); !status)
      return status.error();
    if (!dataset.get || dataset.examples < 1)
      return Error{NACRE_INVALID_ARGUMENT, "the dataset has no function that gives examples, or less than 1 of them"};
    feeder.exampleCount = dataset.examples;
    for (const TensorInfo &input : feeder.target.inputs)
      if (input.dims.empty())
        return misfit("input '" + std::string(input.name) + "' is a scalar; it needs one value per example",
                      feeder.target.inputs, {});
    if (Status status = feeder.chooseBatch(batchSize); !status)
      return status.error();
    feeder.dataset = std::move(dataset);
    feeder.ignoredLabel = ignoredLabel;
    nacre_tensor none = {};
    feeder.inputs.resize(feeder.target.inputs.size(), none);
    feeder.addRate();
    return feeder;
  }

  bool isStream() const { return bool(stream.next); }
  bool isDataset() const { return bool(dataset.get); }
  const Stream &getStream() const { return stream; }
  // Whether what is waited for is not wanted any more; null: it always is.
  const std::function<bool()> &cancellation() const { return isDataset() ? dataset.isCancelled : stream.isCancelled; }
  // How many batches an epoch of the stream turned out to have.
  void setStreamSteps(int64_t steps) { streamSteps = steps; }

  // Makes a batch in memory of its own: of examples by their numbers, or the one of that step of a
  // stream. On any thread, though not on two at once.
  void make(const int64_t *which, int64_t first, int64_t count, MadeBatch &made) {
    made.status = {};
    if (isDataset())
      return takeFromDataset(which, first, count, made);
    made.tensors.resize(inputs.size() - 1);
    made.rows.resize(made.tensors.size());
    for (size_t i = 0; i < feeds.size(); ++i) {
      made.rows[i].resize(size_t(count) * feeds[i].rowBytes);
      made.tensors[i] = columns[i];
      made.tensors[i].data = made.rows[i].data();
    }
    batches().gather(which, first, count, made.tensors.data());
    made.count = count;
  }
  void takeFromStream(int64_t epoch, int64_t step, MadeBatch &made) {
    made.status = {};
    made.count = 0;
    if (stream.steps > 0 && step >= stream.steps)
      return;
    Result<std::vector<Column>> columns = stream.next(epoch, step);
    if (!columns || columns->empty())
      made.status = columns ? Status() : Status(columns.error());
    else
      copy(*std::move(columns), -1, "batch " + std::to_string(step + 1), made);
  }

  // Examples of a batch where neither the caller nor the model says so.
  static constexpr int64_t kDefaultBatch = 32;

  const Function &function() const { return target; }
  // What the model itself takes and gives: its function "main".
  const Function &model() const { return main; }
  int64_t examples() const { return exampleCount; }
  int64_t batchSize() const { return batch; }
  size_t batchBytes() const {
    size_t bytes = 0;
    for (const Feed &feed : feeds)
      bytes += feed.rowBytes;
    return bytes * size_t(std::min(batch, exampleCount));
  }

  // Over what this object holds; valid while it is neither changed nor gone.
  loop::Batches batches() {
    loop::Batches batches;
    batches.columns = columns.data();
    batches.inputs = inputs.data();
    batches.columnCount = int32_t(feeds.size());
    batches.partCount = int32_t(starts.size()) - 1;
    batches.starts = starts.size() > 2 ? starts.data() : nullptr;
    batches.examples = exampleCount;
    batches.size = batch;
    batches.isFixed = isFixed;
    if (isStream() || isDataset())
      batches.columnCount = int32_t(inputs.size()) - 1;
    if (isStream()) {
      batches.isStream = true;
      batches.streamSteps = streamSteps;
      batches.size = INT64_MAX;
    }
    return batches;
  }

private:
  // A column as the function takes it.
  struct Feed {
    Column column;
    size_t rowBytes = 0;
    std::vector<std::byte> rows; // of one batch
  };

  void takeFromDataset(const int64_t *which, int64_t first, int64_t count, MadeBatch &made) {
    made.count = 0;
    numbers.resize(size_t(count));
    for (int64_t i = 0; i < count; ++i)
      numbers[size_t(i)] = which ? which[first + i] : first + i;
    Result<std::vector<Column>> columns = dataset.get(numbers);
    if (!columns)
      return void(made.status = columns.error());
    std::string name = count == 1 ? "example" : "examples";
    for (int64_t i = 0; i < std::min<int64_t>(count, 3); ++i)
      name += (i ? ", " : " ") + std::to_string(numbers[size_t(i)]);
    copy(*std::move(columns), count, name + (count > 3 ? ", ..." : ""), made);
  }

  // Of a batch that a function gave, once it is known to fit; of so many examples, unless that is -1.
  void copy(std::vector<Column> columns, int64_t expected, const std::string &name, MadeBatch &made) {
    Feeder own;
    own.target = target;
    own.main = main;
    made.status = own.bind(std::move(columns));
    if (made.status && expected >= 0 && own.exampleCount != expected)
      made.status = Error{NACRE_INVALID_SHAPE, "there are " + std::to_string(own.exampleCount) + " of them, expected " +
                                                   std::to_string(expected)};
    if (made.status)
      made.status = own.chooseBatch(own.exampleCount);
    if (made.status)
      made.status = own.checkLabels(ignoredLabel);
    if (!made.status) {
      made.status = Error{made.status.error().status, name + ": " + made.status.error().message};
      return;
    }
    own.prepare();
    own.make(nullptr, 0, own.exampleCount, made);
  }

  static Error misfit(std::string message, const std::vector<TensorInfo> &inputs, const std::vector<Column> &columns) {
    message += "\nthe model takes:";
    for (const TensorInfo &input : inputs)
      message += "\n  " + std::string(input.name) + ": " + toString(input);
    message += "\nthe data has:";
    for (const Column &column : columns)
      for (size_t part = 0; part < column.parts(); ++part)
        message += "\n  " + column.name + ": " + toString(column.part(part));
    return {NACRE_INVALID_SHAPE, std::move(message)};
  }

  Status find(Session &session, std::string_view name) {
    nacre_model *model = nullptr;
    if (nacre_status status = nacre_session_get_model(session.get(), &model))
      return Error::last(status);
    bool isFound = false;
    for (Function &function : Model::functionsOf(model)) {
      if (function.name == "main")
        main = function;
      if (function.name == name) {
        target = std::move(function);
        isFound = true;
      }
    }
    if (name == "step" && !target.inputs.empty() && target.inputs.back().name == "learning_rate")
      target.inputs.pop_back();
    else if (name == "step")
      isFound = false;
    if (!isFound)
      return Error{NACRE_INVALID_ARGUMENT,
                   "the model was not compiled for training: it has no function '" + std::string(name) + "'"};
    return {};
  }

  Status bind(std::vector<Column> columns) {
    std::map<std::string_view, int64_t> symbols;
    for (const TensorInfo &input : target.inputs) {
      std::string name(input.name);
      auto column = columns.begin();
      while (column != columns.end() && column->name != name)
        ++column;
      if (column == columns.end())
        return misfit("the data has no array '" + name + "'", target.inputs, columns);
      if (input.dims.empty())
        return misfit("input '" + name + "' is a scalar; it needs one value per example", target.inputs, columns);
      std::vector<int64_t> own = {0};
      for (size_t part = 0; part < column->parts(); ++part) {
        if (!fits(input, column->part(part), symbols))
          return misfit("array '" + name + "' does not fit", target.inputs, columns);
        own.push_back(own.back() + column->part(part).dims()[0]);
      }
      if (feeds.empty())
        starts = own;
      if (own != starts)
        return misfit("array '" + name + "' has " + std::to_string(own.back()) + " entries, '" + feeds.front().column.name +
                          "' has " + std::to_string(starts.back()) + (own.back() == starts.back() ? ", in other parts" : ""),
                      target.inputs, columns);
      exampleCount = starts.back();
      Feed feed;
      feed.column = *column;
      feed.rowBytes = size_t(nacre_dtype_bits(column->data.dtype()) / 8);
      for (int64_t size : column->data.dims().subspan(1))
        feed.rowBytes *= size_t(size);
      feeds.push_back(std::move(feed));
    }
    if (feeds.empty())
      return Error{NACRE_INVALID_ARGUMENT, "the model has no inputs that examples could be for"};
    if (exampleCount == 0)
      return misfit("the data has no examples", target.inputs, columns);
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

  Status chooseBatch(int64_t asked) {
    int64_t fixed = -1;
    for (const TensorInfo &input : target.inputs) {
      int64_t size = input.dims[0].size;
      if (size >= 0 && fixed >= 0 && size != fixed)
        return Error{NACRE_INVALID_SHAPE, "the first dimension of every input must be the batch, but input '" +
                                              std::string(input.name) + "' is " + toString(input) + " and another has " +
                                              std::to_string(fixed)};
      fixed = size >= 0 ? size : fixed;
    }
    isFixed = fixed >= 0;
    batch = asked ? asked : isFixed ? fixed : kDefaultBatch;
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
  Status checkLabels(int64_t ignored) {
    for (const Feed &feed : feeds) {
      const Column &labels = feed.column;
      bool isInput = false; // the model's own, whatever it means
      for (const TensorInfo &input : main.inputs)
        isInput |= input.name == labels.name;
      if (isInput || labels.name != "labels" || labels.data.dtype() != NACRE_I64 || target.outputs.size() < 2 ||
          target.outputs[1].dims.size() < 2)
        continue;
      int64_t classes = target.outputs[1].dims[1].size, index = 0;
      for (size_t part = 0; part < labels.parts(); ++part) {
        const TensorView &view = labels.part(part);
        for (int64_t i = 0; i < view.elements(); ++i, ++index) {
          int64_t label;
          std::memcpy(&label, static_cast<const char *>(view.data()) + size_t(i) * sizeof label, sizeof label);
          if (classes >= 0 && (label < 0 || label >= classes) && label != ignored)
            return Error{NACRE_INVALID_VALUE, "labels must be from 0 to " + std::to_string(classes - 1) + " (output '" +
                                                  std::string(target.outputs[1].name) + "' is " +
                                                  toString(target.outputs[1]) + "), found " + std::to_string(label) +
                                                  " at element " + std::to_string(index)};
        }
      }
    }
    return {};
  }

  // Room for a batch.
  void prepare() {
    for (size_t part = 0; part + 1 < starts.size(); ++part)
      for (Feed &feed : feeds) {
        nacre_tensor tensor = feed.column.part(part).get();
        tensor.name = nullptr;
        tensor.size = tensor.dims[0] * int64_t(feed.rowBytes);
        columns.push_back(tensor);
      }
    for (Feed &feed : feeds) {
      nacre_tensor tensor = feed.column.data.get();
      tensor.name = nullptr;
      feed.rows.resize(size_t(isFixed ? batch : std::min(batch, exampleCount)) * feed.rowBytes);
      tensor.data = feed.rows.data();
      inputs.push_back(tensor);
    }
    addRate();
  }
  void addRate() {
    nacre_tensor &rate = inputs.emplace_back();
    rate = {};
    rate.dtype = NACRE_F32;
  }

  Function target, main;
  std::vector<Feed> feeds;                   // in the order of the function's inputs
  std::vector<nacre_tensor> columns, inputs; // the same for the loop, of the columns each part
  std::vector<int64_t> starts;               // of the parts, and the number of examples
  Stream stream;
  Dataset dataset;
  std::vector<int64_t> numbers; // of a dataset's examples that are asked for
  int64_t exampleCount = 0, batch = 0, ignoredLabel = -100, streamSteps = 0;
  bool isFixed = false; // the model's batch
};

} // namespace nacre

#endif // NACRE_DATA_HPP
