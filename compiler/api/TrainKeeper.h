//===- TrainKeeper.h - What is kept of a training ---------------*- C++ -*-===//
#ifndef NACRE_COMPILER_API_TRAINKEEPER_H
#define NACRE_COMPILER_API_TRAINKEEPER_H

#include "compiler/api/Compiler.h"
#include "compiler/api/TrainCheckpoints.h"

namespace nacre {

struct TrainKeeperOptions {
  TrainCheckpoints::Options checkpoints; // without a folder none are written; it warns in any case
  int64_t patience = 0;                  // epochs; 0: the best are not looked for
  std::string monitor = "loss";
  std::vector<std::string> metrics; // the trainer's
};

/// What checkpoints of one training have in common: everything that its results depend on but for
/// its length. Reads all data.
TrainCheckpoints::Agreement agree(const TrainOptions &train, const TrainerOptions &options, const Model &model,
                                  const Trainer &trainer, const std::vector<Column> &data);

/// What a model was compiled for training with, as it says itself; none if it was not.
std::optional<TrainOptions> readTrainOptions(const Model &model);

/// Writes a training's checkpoints and goes on from them, and keeps the weights of its best epoch.
/// Of a training on a stream there are checkpoints between epochs alone, as it can go on there.
class TrainKeeper {
public:
  TrainKeeper(Trainer &trainer, TrainKeeperOptions options) : trainer(trainer), options(std::move(options)) {}
  TrainKeeper(const TrainKeeper &) = delete;

  /// Opens what is written to, and sets trainer and session to where they begin.
  Status begin(TrainCheckpoints::Agreement agreed);
  /// Whether that was a checkpoint.
  bool isResumed() const { return wasResumed; }

  /// Trains until nothing is left to do, with a last checkpoint. The callbacks are Trainer::fit's and come
  /// before the checkpoint of what they are told of. Nothing happens if nothing was left.
  Status train(const std::function<bool(const Epoch &)> &onEpoch, const std::function<bool(const TrainingStep &)> &onStep);

  /// What that does. After each step, and after each epoch: a checkpoint that is due is written. One that cannot be
  /// is a warning.
  void addStep();
  Status addEpoch(const Epoch &epoch);
  /// After the last of them: what has no checkpoint gets one.
  void finish();

  /// Whether nothing is left to do.
  bool isDone() { return trainer.state().epoch >= trainer.epochs() || endedEarly(); }
  bool endedEarly() const { return best && best->isExhausted(); }
  /// Sets the parameters to those of the best epoch, if those are kept.
  Status restoreBest() { return best ? best->restore(trainer.session()) : Status(); }
  /// That epoch, from 0; -1: there is none.
  int64_t getBestEpoch() const { return best ? best->getState().epoch : -1; }

  /// All steps of the training.
  int64_t getSteps() { return trainer.isStream() ? streamSteps : countSteps(); }
  /// The step of the newest checkpoint; -1: there is none.
  int64_t getNewestCheckpoint() const { return checkpoints ? checkpoints->newest() : -1; }
  /// Of all epochs what describeEpoch says, and the time of it all.
  const std::vector<std::string> &getHistory() const { return history; }
  /// Of all epochs, those before a checkpoint that it went on from too: of these the loss, the metrics and
  /// the validation's alone.
  std::vector<Epoch> getEpochs() const;
  double getSeconds() const { return secondsBefore + std::chrono::duration<double>(Clock::now() - start).count(); }

private:
  using Clock = std::chrono::steady_clock;

  int64_t countSteps() { return trainer.state().epoch * trainer.steps() + trainer.state().step; }
  Status resume();
  void writeIfDue(bool isEndOfEpoch);
  void write();

  Trainer &trainer;
  TrainKeeperOptions options;
  std::optional<TrainCheckpoints> checkpoints;
  std::optional<BestWeights> best;
  std::vector<std::string> history;
  double secondsBefore = 0;
  Clock::time_point start = Clock::now();
  int64_t streamSteps = 0;
  bool wasResumed = false;
  bool lacksBest = false; // the file of the best parameters could not be written
};

} // namespace nacre

#endif // NACRE_COMPILER_API_TRAINKEEPER_H
