//===- TrainKeeper.cpp - What is kept of a training -------------*- C++ -*-===//
#include "compiler/api/TrainKeeper.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/BLAKE3.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/xxhash.h"
#include <cstdio>
#include <cstdlib>

using namespace nacre;
namespace json = llvm::json;

// ---- What checkpoints have in common

/// Of all names, types, shapes and elements that the step takes, in whatever parts they are.
static std::string hash(const std::vector<Column> &data, const Model &model) {
  std::string parts;
  const std::vector<Function> functions = model.functions();
  for (const TensorInfo &input : functions[size_t(*model.findFunction("step"))].inputs)
    for (const Column &column : data) {
      if (column.name != input.name)
        continue;
      llvm::BLAKE3 hasher; // of all parts as one
      std::vector<int64_t> dims(column.data.dims().begin(), column.data.dims().end());
      for (size_t part = 0; part < column.parts(); ++part) {
        const TensorView &view = column.part(part);
        size_t size = size_t(view.elements()) * size_t(nacre_dtype_bits(view.dtype())) / 8;
        hasher.update({static_cast<const uint8_t *>(view.data()), size});
        if (part > 0 && !dims.empty())
          dims[0] += view.dims()[0];
      }
      auto result = hasher.final<16>();
      parts += column.name + ": " + toString(TensorView(nullptr, column.data.dtype(), dims)) + " " +
               llvm::toHex(result) + "\n";
    }
  return llvm::utohexstr(llvm::xxh3_64bits(parts), /*LowerCase=*/true, /*Width=*/16);
}

/// As it was given; nothing for 0.
static std::string print(double value) {
  char text[32] = "";
  for (int digits = 6; value && digits <= 17; ++digits)
    if (std::snprintf(text, sizeof text, "%.*g", digits, value); std::strtod(text, nullptr) == value)
      break;
  return text;
}

TrainCheckpoints::Agreement nacre::agree(const TrainOptions &train, const TrainerOptions &options, const Model &model,
                                         const Trainer &trainer, const std::vector<Column> &data) {
  llvm::Expected<json::Value> parsed = json::parse(model.info().provenance);
  json::Object none, *provenance = parsed ? parsed->getAsObject() : &none;
  if (!parsed)
    llvm::consumeError(parsed.takeError());
  auto member = [&](llvm::StringRef name) {
    const json::Value *value = provenance->get(name);
    return value ? llvm::formatv("{0}", *value).str() : "";
  };
  auto describe = [](int64_t examples) { // of a dataset, which is not read
    return "unknown, of " + std::to_string(examples) + " examples that a function gives";
  };
  Result<double> rate = getLearningRate(train);
  bool isOwnRate = rate && float(*rate) == options.learningRate;
  return {{"a model of the hash", provenance->getString("blake3").value_or("").take_front(16).str()},
          {"--dim", member("dims")},
          {"--input-shape", member("input_shapes")},
          {"--input-length", member("input_lengths")},
          {"--loss", train.loss},
          {"--optimizer", train.optimizer},
          {"--learning-rate", isOwnRate ? "" : print(double(options.learningRate))},
          {"--group", train.groups},
          {"--clip-norm", print(train.clipNorm)},
          {"--clip-value", print(train.clipValue)},
          {"--accumulate", std::to_string(train.accumulate)},
          {"--average", print(train.average)},
          {"--precision", train.precision == "f32" ? "" : train.precision},
          {"--schedule", options.schedule},
          {"--metric", llvm::join(options.metrics, ", ")},
          {"--data of the hash", trainer.isStream()    ? "unknown, as batches come one by one"
                                 : trainer.isDataset() ? describe(trainer.examples())
                                                       : hash(data, model)},
          {"--valid of the hash", options.validationDataset.get ? describe(options.validationDataset.examples)
                                  : options.validation.empty()  ? ""
                                                                : hash(options.validation, model)},
          {"--batch-size", trainer.isStream() ? "" : std::to_string(trainer.batchSize())},
          {"--seed", std::to_string(options.seed)}};
}

std::optional<TrainOptions> nacre::readTrainOptions(const Model &model) {
  llvm::Expected<json::Value> parsed = json::parse(model.info().provenance);
  if (!parsed)
    return llvm::consumeError(parsed.takeError()), std::nullopt;
  const json::Object *object = parsed->getAsObject(), *train = object ? object->getObject("train") : nullptr;
  if (!train)
    return std::nullopt;
  TrainOptions options;
  for (auto [key, text] : {std::pair("loss", &options.loss), {"optimizer", &options.optimizer},
                           {"groups", &options.groups}, {"precision", &options.precision}})
    *text = train->getString(key).value_or(*text).str();
  options.clipNorm = train->getNumber("clip_norm").value_or(0);
  options.clipValue = train->getNumber("clip_value").value_or(0);
  options.accumulate = train->getInteger("accumulate").value_or(1);
  options.average = train->getNumber("average").value_or(0);
  options.detectAnomaly = train->getBoolean("detect_anomaly").value_or(false);
  options.memoryBudget = train->getInteger("memory_budget").value_or(0);
  return options;
}

// ---- Going on

Status TrainKeeper::begin(TrainCheckpoints::Agreement agreed) {
  if (options.patience > 0) {
    Result<BestWeights> made = BestWeights::create(options.monitor, options.metrics, options.patience);
    if (!made)
      return Error{made.error().status, (options.checkpoints.isCommand ? "--" : "") + made.error().message};
    best = *std::move(made);
  }
  if (!options.checkpoints.folder.empty()) {
    if (trainer.isStream() && options.checkpoints.interval.isOfSteps)
      return Error{NACRE_INVALID_ARGUMENT, "a training on batches that come one by one goes on only where an epoch "
                                           "begins: expected checkpoints after epochs, not steps"};
    Result<TrainCheckpoints> opened = TrainCheckpoints::open(options.checkpoints, std::move(agreed));
    if (!opened)
      return opened.error();
    checkpoints = *std::move(opened);
    if (Status resumed = options.checkpoints.resumes ? resume() : Status(); !resumed)
      return resumed;
  }
  start = Clock::now();
  return {};
}

Status TrainKeeper::resume() {
  Result<std::optional<TrainingSnapshot>> found = checkpoints->resume(trainer.session(), best ? &*best : nullptr);
  if (!found)
    return found.error();
  if (!*found)
    return {};
  TrainingSnapshot from = **std::move(found);
  if (Status status = trainer.resume(from.state); !status)
    return status;
  wasResumed = true;
  streamSteps = checkpoints->newest();
  secondsBefore = from.seconds;
  // An epoch that the training ended in goes on.
  for (std::string &text : from.history) {
    json::Value epoch = llvm::cantFail(json::parse(text));
    if (epoch.getAsObject()->getInteger("epoch").value_or(INT64_MAX) <= from.state.epoch)
      history.push_back(std::move(text));
  }
  return {};
}

// ---- Writing

void TrainKeeper::write() {
  TrainingSnapshot snapshot;
  snapshot.state = trainer.state();
  if (best)
    snapshot.best = best->getState();
  snapshot.seconds = getSeconds();
  snapshot.history = history;
  // A training is worth more than its checkpoints: those that there are stay, and it goes on.
  if (Status status = checkpoints->write(trainer.session(), snapshot, getSteps()); !status)
    options.checkpoints.warn(status.error().message + "; the training goes on without this checkpoint");
}

void TrainKeeper::writeIfDue(bool isEndOfEpoch) {
  if (checkpoints && !lacksBest && checkpoints->isDue(trainer.state(), trainer.steps(), isEndOfEpoch))
    write();
}

Status TrainKeeper::train(const std::function<bool(const Epoch &)> &onEpoch,
                          const std::function<bool(const TrainingStep &)> &onStep) {
  if (isDone())
    return {};
  Status failed;
  Result<std::vector<Epoch>> made = trainer.fit(
      [&](const Epoch &epoch) {
        bool goesOn = !onEpoch || onEpoch(epoch);
        failed = addEpoch(epoch);
        return failed && goesOn && !endedEarly();
      },
      [&](const TrainingStep &step) {
        bool goesOn = !onStep || onStep(step);
        addStep();
        return goesOn;
      });
  if (!failed)
    return failed;
  if (!made)
    return made.error();
  finish();
  return {};
}

std::vector<Epoch> TrainKeeper::getEpochs() const {
  std::vector<Epoch> epochs;
  for (const std::string &text : history)
    epochs.push_back(readEpoch(text, options.metrics));
  return epochs;
}

void TrainKeeper::addStep() {
  ++streamSteps;
  writeIfDue(/*isEndOfEpoch=*/false);
}

Status TrainKeeper::addEpoch(const Epoch &epoch) {
  history.push_back(describeEpoch(epoch, options.metrics));
  if (best) {
    Result<bool> isBest = best->observe(epoch, trainer.session());
    if (!isBest)
      return isBest.error();
    if (*isBest && checkpoints) {
      Status status = checkpoints->writeBest(trainer.session(), getSteps());
      lacksBest = !status;
      if (lacksBest)
        options.checkpoints.warn(status.error().message + "; there are no checkpoints until the next best epoch");
    }
  }
  writeIfDue(/*isEndOfEpoch=*/true);
  return {};
}

void TrainKeeper::finish() {
  if (checkpoints && !lacksBest && checkpoints->newest() != getSteps())
    write();
}
