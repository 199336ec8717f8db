//===- TrainCheckpoints.h - Checkpoints of a training -----------*- C++ -*-===//
#ifndef NACRE_COMPILER_API_TRAINCHECKPOINTS_H
#define NACRE_COMPILER_API_TRAINCHECKPOINTS_H

#include "compiler/api/TrainSnapshot.h"
#include <functional>
#include <memory>
#include <optional>

namespace nacre {

/// How often checkpoints are written: "10", "10epochs", "500steps".
struct CheckpointInterval {
  static std::optional<CheckpointInterval> parse(std::string_view text);

  int64_t count = 1;
  bool isOfSteps = false;
};

/// A folder with the newest checkpoints of one training, step-<number>.safetensors, and the
/// parameters of when it was best, best-<number>.safetensors.
class TrainCheckpoints {
public:
  using Agreement = std::vector<std::pair<std::string, std::string>>;

  struct Options {
    std::string folder;
    CheckpointInterval interval = {};
    int64_t keep = 3;
    bool resumes = false;
    /// Whether a training begins, with the parameters of the model's file, if there are checkpoints
    /// but none can be read; else that is an error.
    bool beginsAnew = true;
    /// Whether messages call options as the command line does, --clip-norm, or as Python and C, clip_norm.
    bool isCommand = true;
    std::function<void(const std::string &)> warn;
  };

  /// Makes the folder, which no other training may write into meanwhile. It may have checkpoints
  /// already only if they are to be resumed from.
  /// `agreed` is what all checkpoints of one training have in common: names as the command line
  /// has them, and texts.
  static Result<TrainCheckpoints> open(Options options, Agreement agreed);

  /// Sets the session to the newest checkpoint that can be read; warns of those that cannot, and removes those
  /// that are too many.
  /// Nothing, and the session as it was, if there is none. `best` gets the parameters of when the
  /// training was best.
  Result<std::optional<TrainingSnapshot>> resume(Session &session, BestWeights *best);

  bool isDue(const TrainingState &state, int64_t stepsPerEpoch, bool isEndOfEpoch) const;
  /// Writes a checkpoint, and removes those that are too many. After a failure the older ones
  /// are as they were.
  Status write(Session &session, const TrainingSnapshot &snapshot, int64_t step);
  /// Keeps the parameters as those of the best epoch.
  Status writeBest(Session &session, int64_t step);
  /// The step of the newest one that was written or resumed from; -1: none was.
  int64_t newest() const { return steps.empty() ? -1 : steps.back(); }

private:
  std::string place(const char *kind, int64_t step) const;
  Status read(Session &session, int64_t step, TrainingSnapshot &snapshot) const;
  void remove(const char *kind, std::vector<int64_t> &list, size_t begin, size_t end) const;
  void removeOld();

  Options options;
  std::shared_ptr<void> lock; // while there is one of this object
  Agreement agreed;
  std::vector<int64_t> steps, best; // that there are, ascending
};

} // namespace nacre

#endif // NACRE_COMPILER_API_TRAINCHECKPOINTS_H
