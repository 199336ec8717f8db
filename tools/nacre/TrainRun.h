//===- TrainRun.h - A training from its first step to its last --*- C++ -*-===//
#ifndef NACRE_TOOLS_NACRE_TRAINRUN_H
#define NACRE_TOOLS_NACRE_TRAINRUN_H

#include "compiler/api/Compiler.h"
#include "tools/nacre/TrainCheckpoints.h"
#include "tools/nacre/TrainData.h"
#include "tools/nacre/TrainReport.h"

namespace nacre::tool {

struct TrainRunOptions {
  std::string checkpoints; // a folder; empty: none are written
  CheckpointInterval interval;
  int64_t keep = 3;
  bool resumes = false;
  int64_t patience = 0; // 0: it goes on to the end
  std::string monitor = "loss";
  TrainReport::Options report;
};

/// What checkpoints of one training have in common: everything that its results depend on but for
/// its length.
TrainCheckpoints::Agreement agree(const CompileOptions &compile, const TrainerOptions &options, const Model &model,
                                  const Trainer &trainer, const TrainData &data, const TrainData &others);

/// Trains, tells how it goes, writes checkpoints and goes on from them.
class TrainRun {
public:
  TrainRun(Trainer &trainer, TrainRunOptions options)
      : trainer(trainer), options(std::move(options)), report(trainer, this->options.report) {}

  /// Opens what is written to, and finds where to begin.
  Status begin(TrainCheckpoints::Agreement agreed);
  /// `goesOn` is asked after each step. Afterwards the session has the parameters to be kept.
  Status train(const std::function<bool()> &goesOn);

  const TrainReport &getReport() const { return report; }
  /// The number of the epoch whose parameters were kept, from 1; 0: the last's.
  int64_t getBestEpoch() const { return best ? best->getState().epoch + 1 : 0; }
  bool endedEarly() const { return best && best->isExhausted(); }
  /// The step of the newest checkpoint; -1: there is none.
  int64_t getNewestCheckpoint() const { return checkpoints ? checkpoints->newest() : -1; }

private:
  int64_t stepsDone() { return trainer.state().epoch * trainer.steps() + trainer.state().step; }
  Status finishEpoch(const Epoch &epoch);
  void writeCheckpoint();

  Trainer &trainer;
  TrainRunOptions options;
  TrainReport report;
  std::optional<TrainCheckpoints> checkpoints;
  std::optional<BestWeights> best;
  bool lacksBest = false; // the file of the best parameters could not be written
};

} // namespace nacre::tool

#endif // NACRE_TOOLS_NACRE_TRAINRUN_H
