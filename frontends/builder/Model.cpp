//===- Model.cpp - Models as Keras has them ---------------------*- C++ -*-===//
#include "frontends/builder/Model.h"
#include "compiler/api/Exporter.h"
#include "compiler/api/File.h"
#include "compiler/api/TrainKeeper.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/Support/FileSystem.h"

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

/// What checkpoints and early stopping are asked for.
static Result<TrainKeeperOptions> makeKeeperOptions(const FitOptions &fit, const std::vector<std::string> &metrics) {
  auto refuse = [](const std::string &message) { return Error{NACRE_INVALID_ARGUMENT, message}; };
  TrainKeeperOptions kept;
  std::optional<CheckpointInterval> interval = CheckpointInterval::parse(fit.checkpointEvery);
  if (!interval)
    return refuse("checkpointEvery '" + fit.checkpointEvery + "': expected a number, and epochs or steps");
  if (fit.epochs < 1)
    return refuse("epochs is " + std::to_string(fit.epochs) + ", expected 1 or more");
  if (fit.keep < 1)
    return refuse("keep is " + std::to_string(fit.keep) + ", expected 1 or more");
  if (fit.patience < 0 || (fit.patience > 0 && fit.validation.empty() && !fit.validationDataset.get))
    return refuse("patience: expected a number of epochs, and a validation, which it looks at");
  if (fit.resume && fit.checkpoint.empty())
    return refuse("resume: expected checkpoint, the folder to go on from");
  kept.checkpoints.folder = fit.checkpoint;
  kept.checkpoints.interval = *interval;
  kept.checkpoints.keep = fit.keep;
  kept.checkpoints.resumes = fit.resume;
  kept.checkpoints.beginsAnew = false; // the parameters may not be the model's first ones
  kept.checkpoints.isCommand = false;
  kept.checkpoints.warn = [warn = fit.onWarning](const std::string &message) {
    if (warn)
      warn(message);
  };
  kept.patience = fit.patience;
  kept.monitor = fit.monitor;
  kept.metrics = metrics;
  return kept;
}

/// One name for a folder, whether it is there yet or not.
static std::string getRealPath(const std::string &folder) {
  llvm::SmallString<128> path;
  return llvm::sys::fs::real_path(folder, path) ? folder : path.str().str();
}

template <typename Data> Result<std::vector<Epoch>> builder::Model::fitTo(Data data, const FitOptions &fit) {
  if (!isTrainable)
    return refuse("fit()");
  Result<double> rate = getLearningRate(options.train);
  if (!rate)
    return rate.error();
  Result<TrainKeeperOptions> kept = makeKeeperOptions(fit, options.metrics);
  if (!kept)
    return kept.error();
  // A training that goes on has the orders that it had.
  auto known = begun.find(getRealPath(fit.checkpoint));
  int64_t before = fit.resume && known != begun.end() ? known->second : epochs;
  TrainerOptions request;
  request.batchSize = fit.batchSize;
  request.seed = fit.seed + uint64_t(before); // other orders than before
  request.learningRate = fit.learningRate.value_or(float(*rate));
  request.epochs = fit.epochs;
  request.schedule = fit.schedule;
  request.ignoredLabel = getIgnoredLabel(options.train);
  request.metrics = options.metrics;
  request.validation = fit.validation;
  request.validationDataset = fit.validationDataset;
  Result<Trainer> trainer = Trainer::create(*current, data, request);
  if (!trainer)
    return trainer.error();
  TrainKeeper keeper(*trainer, *std::move(kept));
  TrainCheckpoints::Agreement agreed; // which reads all columns
  if (!fit.checkpoint.empty()) {
    std::vector<Column> columns;
    if constexpr (std::is_same_v<Data, std::vector<Column>>)
      columns = data;
    agreed = agree(options.train, request, *compiled, *trainer, columns);
  }
  if (Status ready = keeper.begin(std::move(agreed)); !ready)
    return ready.error();
  if (!fit.checkpoint.empty()) // whose folder is there now
    begun[getRealPath(fit.checkpoint)] = before;
  std::vector<Epoch> made = keeper.getEpochs();
  auto observe = [&](const Epoch &epoch) {
    made.push_back(epoch);
    return !fit.onEpoch || fit.onEpoch(epoch);
  };
  if (Status trained = keeper.train(observe, fit.onStep); !trained)
    return trained.error();
  best = keeper.getBestEpoch();
  epochs = before + int64_t(made.size());
  if (Status restored = keeper.restoreBest(); !restored)
    return restored.error();
  return made;
}

Result<std::vector<Epoch>> builder::Model::fit(std::vector<Column> columns, const FitOptions &options) {
  return fitTo(std::move(columns), options);
}
Result<std::vector<Epoch>> builder::Model::fit(Dataset dataset, const FitOptions &options) {
  return fitTo(std::move(dataset), options);
}
Result<std::vector<Epoch>> builder::Model::fit(Stream stream, const FitOptions &options) {
  return fitTo(std::move(stream), options);
}

template <typename Data> Result<Evaluation> builder::Model::evaluateOn(Data data, int64_t batchSize) {
  if (!isTrainable)
    return refuse("evaluate()");
  return nacre::evaluate(
      *current, std::move(data),
      {.batchSize = batchSize, .metrics = options.metrics, .ignoredLabel = getIgnoredLabel(options.train)});
}

Result<Evaluation> builder::Model::evaluate(std::vector<Column> columns, int64_t batchSize) {
  return evaluateOn(std::move(columns), batchSize);
}
Result<Evaluation> builder::Model::evaluate(Dataset dataset, int64_t batchSize) {
  return evaluateOn(std::move(dataset), batchSize);
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
