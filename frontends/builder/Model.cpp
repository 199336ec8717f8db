//===- Model.cpp - Models as Keras has them ---------------------*- C++ -*-===//
#include "frontends/builder/Model.h"
#include "compiler/api/Exporter.h"
#include "compiler/api/File.h"

using namespace nacre;
using namespace nacre::builder;

builder::Model::Model(std::vector<Value> inputs, std::vector<Value> outputs)
    : inputs(std::move(inputs)), outputs(std::move(outputs)) {}

builder::Model builder::Sequential(const std::vector<Layer> &layers, const Value &input) {
  Value value = input;
  for (const Layer &layer : layers)
    value = layer(value);
  return Model({input}, {value});
}

Result<std::vector<std::byte>> builder::Model::serialize() {
  if (!isTrainable) { // nothing has changed
    Graph graph = inputs.empty() ? Graph() : Graph(inputs.front());
    return graph.serialize(inputs, outputs);
  }
  Result<Exporter> exporter = Exporter::open(source, *compiled);
  if (!exporter)
    return exporter.error();
  return exporter->serialize(*current);
}

Status builder::Model::start(const std::optional<TrainOptions> &train) {
  Result<std::vector<std::byte>> bytes = serialize();
  if (!bytes)
    return bytes.error();
  CompileOptions request;
  request.train = train;
  Result<nacre::Model> made = nacre::compile(*bytes, request);
  if (!made)
    return made.error();
  Result<Session> session = Session::create(*made, {.threads = options.threads, .seed = options.seed});
  if (!session)
    return session.error();
  source = *std::move(bytes);
  current = *std::move(session);
  compiled = *std::move(made);
  isTrainable = train.has_value();
  return {};
}

Status builder::Model::compile(ModelOptions given) {
  options = std::move(given);
  return start(options.train);
}

static Error refuse(const char *what) {
  return Error{NACRE_INVALID_ARGUMENT, std::string("the model is not compiled: call compile() before ") + what};
}

Result<std::vector<Epoch>> builder::Model::fit(std::vector<Column> columns, const FitOptions &fit) {
  if (!isTrainable)
    return refuse("fit()");
  Result<double> rate = getLearningRate(options.train);
  if (!rate)
    return rate.error();
  TrainerOptions request;
  request.batchSize = fit.batchSize;
  request.seed = fit.seed + uint64_t(epochs); // other orders than before
  request.learningRate = fit.learningRate.value_or(float(*rate));
  request.epochs = fit.epochs;
  request.schedule = fit.schedule;
  request.ignoredLabel = getIgnoredLabel(options.train);
  request.metrics = options.metrics;
  request.validation = fit.validation;
  Result<Trainer> trainer = Trainer::create(*current, std::move(columns), std::move(request));
  if (!trainer)
    return trainer.error();
  Result<std::vector<Epoch>> history = trainer->fit(fit.onEpoch, fit.onStep);
  epochs += history ? int64_t(history->size()) : 0;
  return history;
}

Result<Evaluation> builder::Model::evaluate(std::vector<Column> columns, int64_t batchSize) {
  if (!isTrainable)
    return refuse("evaluate()");
  return nacre::evaluate(
      *current, std::move(columns),
      {.batchSize = batchSize, .metrics = options.metrics, .ignoredLabel = getIgnoredLabel(options.train)});
}

Result<std::vector<Array>> builder::Model::predict(std::vector<Column> columns, int64_t batchSize) {
  if (!current)
    if (Status started = start(std::nullopt); !started)
      return started.error();
  return nacre::predict(*current, std::move(columns), batchSize);
}

Status builder::Model::save(const std::string &path) {
  if (isTrainable) {
    Result<Exporter> exporter = Exporter::open(source, *compiled);
    return exporter ? exporter->write(*current, path) : Status(exporter.error());
  }
  Result<std::vector<std::byte>> bytes = serialize();
  if (!bytes)
    return bytes.error();
  return writeFile(path, {reinterpret_cast<const char *>(bytes->data()), bytes->size()});
}

std::string builder::Model::summary() const {
  return outputs.empty() || !outputs.front() ? std::string() : Graph(outputs.front()).summary(outputs);
}
