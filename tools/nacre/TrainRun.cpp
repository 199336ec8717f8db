//===- TrainRun.cpp - A training from its first step to its last -*- C++ -*-===//
#include "tools/nacre/TrainRun.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include <cstdio>
#include <cstdlib>

using namespace nacre;
using namespace nacre::tool;
namespace json = llvm::json;

TrainCheckpoints::Agreement tool::agree(const CompileOptions &compile, const TrainerOptions &options, const Model &model,
                                        const Trainer &trainer, const TrainData &data, const TrainData &others) {
  const TrainOptions &train = *compile.train;
  // As it was given.
  auto print = [](double value) {
    char text[32] = "";
    for (int digits = 6; value && digits <= 17; ++digits)
      if (std::snprintf(text, sizeof text, "%.*g", digits, value); std::strtod(text, nullptr) == value)
        break;
    return std::string(text);
  };
  llvm::Expected<json::Value> parsed = json::parse(model.info().provenance);
  json::Object none, *provenance = parsed ? parsed->getAsObject() : &none;
  if (!parsed)
    llvm::consumeError(parsed.takeError());
  auto member = [&](llvm::StringRef name) {
    const json::Value *value = provenance->get(name);
    return value ? llvm::formatv("{0}", *value).str() : "";
  };
  return {{"a model of the hash", provenance->getString("blake3").value_or("").take_front(16).str()},
          {"--dim", member("dims")},
          {"--input-shape", member("input_shapes")},
          {"--input-length", member("input_lengths")},
          {"--loss", train.loss},
          {"--optimizer", train.optimizer},
          {"--group", train.groups},
          {"--clip-norm", print(train.clipNorm)},
          {"--clip-value", print(train.clipValue)},
          {"--accumulate", std::to_string(train.accumulate)},
          {"--average", print(train.average)},
          {"--precision", train.precision == "f32" ? "" : train.precision},
          {"--schedule", options.schedule},
          {"--metric", llvm::join(options.metrics, ", ")},
          {"--batch-size", std::to_string(trainer.batchSize())},
          {"--seed", std::to_string(options.seed)},
          {"--data of the hash", data.hash()},
          {"--valid of the hash", options.validation.empty() ? "" : others.hash()}};
}

Status TrainRun::begin(TrainCheckpoints::Agreement agreed) {
  if (options.patience > 0) {
    Result<BestWeights> made = BestWeights::create(options.monitor, options.report.metrics, options.patience);
    if (!made)
      return Error{made.error().status, "--" + made.error().message};
    best = *std::move(made);
  }
  TrainingSnapshot from;
  if (!options.checkpoints.empty()) {
    Result<TrainCheckpoints> opened = TrainCheckpoints::open(options.checkpoints, options.interval, options.keep,
                                                             options.resumes, std::move(agreed));
    if (!opened)
      return opened.error();
    checkpoints = *std::move(opened);
    Result<std::optional<TrainingSnapshot>> found = std::optional<TrainingSnapshot>();
    if (options.resumes)
      found = checkpoints->resume(trainer.session(), best ? &*best : nullptr);
    if (!found)
      return found.error();
    if (*found) {
      from = **std::move(found);
      if (Status status = trainer.resume(from.state); !status)
        return status;
      // An epoch that the training ended in goes on.
      json::Array finished;
      for (json::Value &entry : from.history)
        if (const json::Object *object = entry.getAsObject();
            object && object->getInteger("epoch").value_or(INT64_MAX) <= from.state.epoch)
          finished.push_back(std::move(entry));
      from.history = std::move(finished);
    }
    if (options.resumes && !options.report.isQuiet)
      llvm::outs() << (*found ? llvm::formatv("resumed after step {0}, in epoch {1}\n", stepsDone(), from.state.epoch + 1).str()
                              : options.checkpoints + ": no checkpoint to resume from: training begins\n");
  }
  return report.begin(std::move(from.history), from.seconds, stepsDone());
}

void TrainRun::writeCheckpoint() {
  TrainingSnapshot snapshot;
  snapshot.state = trainer.state();
  if (best)
    snapshot.best = best->getState();
  snapshot.seconds = report.getSeconds();
  snapshot.history = report.getEpochs();
  // A training is worth more than its checkpoints: those that there are stay, and it goes on.
  if (Status status = checkpoints->write(trainer.session(), snapshot, stepsDone()); !status)
    report.warn(status.error().message + "; the training goes on without this checkpoint");
}

Status TrainRun::finishEpoch(const Epoch &epoch) {
  report.addEpoch(epoch);
  if (best) {
    Result<bool> isBest = best->observe(epoch, trainer.session());
    if (!isBest)
      return isBest.error();
    if (*isBest && checkpoints) {
      Status status = checkpoints->writeBest(trainer.session(), stepsDone());
      lacksBest = !status;
      if (lacksBest)
        report.warn(status.error().message + "; there are no checkpoints until the next best epoch");
    }
  }
  if (checkpoints && !lacksBest && checkpoints->isDue(trainer.state(), trainer.steps(), /*isEndOfEpoch=*/true))
    writeCheckpoint();
  return {};
}

Status TrainRun::train(const std::function<bool()> &goesOn) {
  Status failed;
  bool isDone = trainer.state().epoch >= trainer.epochs() || endedEarly();
  if (!isDone) {
    Result<std::vector<Epoch>> history = trainer.fit(
        [&](const Epoch &epoch) {
          failed = finishEpoch(epoch);
          return failed && !endedEarly();
        },
        [&](const TrainingStep &step) {
          report.addStep(step);
          if (checkpoints && !lacksBest && checkpoints->isDue(trainer.state(), trainer.steps(), /*isEndOfEpoch=*/false))
            writeCheckpoint();
          return goesOn();
        });
    if (!failed)
      return failed;
    if (!history)
      return history.error();
    if (checkpoints && !lacksBest && checkpoints->newest() != stepsDone())
      writeCheckpoint();
  }
  if (Status drawn = report.finish(); !drawn)
    return drawn;
  return best ? best->restore(trainer.session()) : Status();
}
