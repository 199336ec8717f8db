// How good a model is, and what it says, over examples in C++20, header-only:
//
//   auto how = nacre::evaluate(session, columns, {.metrics = {"accuracy", "top-k:k=3"}});
//   auto outputs = nacre::predict(session, unlabelled);
//
// To be evaluated the model must have been compiled for training: then it has a function
// "evaluate", which takes the model's inputs and what the loss compares with, and gives the loss
// and the model's outputs.
#ifndef NACRE_EVALUATE_HPP
#define NACRE_EVALUATE_HPP

#include "nacre_metric.hpp"
#include "nacre_reader.hpp"

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
  // Of a dataset a thread asks for the next batch while the model computes.
  bool readsAhead = true;
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

inline Result<Evaluation> evaluate(Session &session, Feeder &feeder, Measures &measures, bool readsAhead = false) {
  Evaluation result;
  loop::Loop loop = makeLoop(session, feeder, measures);
  std::optional<BatchReader> reader;
  if (feeder.isDataset())
    reader.emplace(
        loop.batches,
        [&](const int64_t *which, int64_t first, int64_t count, MadeBatch &made) { feeder.make(which, first, count, made); },
        readsAhead, feeder.cancellation());
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
  if (reader && !reader->status())
    return reader->status().error();
  if (status != NACRE_OK)
    return Error::last(status);
  result.metrics = measures.values();
  return result;
}

inline Result<Evaluation> evaluate(Session &session, Result<Feeder> feeder, const EvaluateOptions &options) {
  if (!feeder)
    return feeder.error();
  Result<Measures> measures = Measures::create(options.metrics, *feeder);
  if (!measures)
    return measures.error();
  return evaluate(session, *feeder, *measures, options.readsAhead);
}

} // namespace detail

// The loss and the metrics over all examples, in their order, with the parameters as they are.
// The examples that a fixed batch leaves over do not count.
inline Result<Evaluation> evaluate(Session &session, std::vector<Column> columns, const EvaluateOptions &options = {}) {
  return detail::evaluate(
      session, Feeder::create(session, "evaluate", std::move(columns), options.batchSize, options.ignoredLabel), options);
}
inline Result<Evaluation> evaluate(Session &session, Dataset dataset, const EvaluateOptions &options = {}) {
  return detail::evaluate(
      session, Feeder::create(session, "evaluate", std::move(dataset), options.batchSize, options.ignoredLabel), options);
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

} // namespace nacre

#endif // NACRE_EVALUATE_HPP
