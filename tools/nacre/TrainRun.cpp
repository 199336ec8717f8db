//===- TrainRun.cpp - A training from its first step to its last -*- C++ -*-===//
#include "tools/nacre/TrainRun.h"

using namespace nacre;
using namespace nacre::tool;

static TrainKeeperOptions withWarnings(TrainKeeperOptions options, const TrainReport &report) {
  options.checkpoints.warn = [&report](const std::string &message) { report.warn(message); };
  return options;
}

TrainRun::TrainRun(Trainer &trainer, TrainKeeperOptions kept, TrainReport::Options told)
    : trainer(trainer), resumesFrom(kept.checkpoints.resumes ? kept.checkpoints.folder : ""), isQuiet(told.isQuiet),
      report(trainer, std::move(told)), keeper(trainer, withWarnings(std::move(kept), report)) {}

Status TrainRun::begin(TrainCheckpoints::Agreement agreed) {
  if (Status begun = keeper.begin(std::move(agreed)); !begun)
    return begun;
  if (!resumesFrom.empty() && !isQuiet) {
    if (keeper.isResumed())
      llvm::outs() << "resumed after step " << keeper.getSteps() << ", in epoch " << trainer.state().epoch + 1 << "\n";
    else
      llvm::outs() << resumesFrom << ": no checkpoint to resume from: training begins\n";
  }
  return report.begin(keeper.getHistory(), keeper.getSeconds(), keeper.getSteps());
}

Status TrainRun::train(const std::function<bool()> &goesOn) {
  Status trained = keeper.train(
      [&](const Epoch &epoch) {
        report.addEpoch(epoch);
        return true;
      },
      [&](const TrainingStep &step) {
        report.addStep(step);
        return goesOn();
      });
  if (!trained)
    return trained;
  if (Status drawn = report.finish(); !drawn)
    return drawn;
  return keeper.restoreBest();
}
