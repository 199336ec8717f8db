//===- TrainSnapshot.h - A training's state as text -------------*- C++ -*-===//
#ifndef NACRE_COMPILER_API_TRAINSNAPSHOT_H
#define NACRE_COMPILER_API_TRAINSNAPSHOT_H

#include "runtime/api/nacre_best.hpp"

namespace nacre {

/// All that a training is, besides the session's parameters and random state.
struct TrainingSnapshot {
  TrainingState state;
  BestWeights::State best;
  double seconds = 0;               // all together
  std::vector<std::string> history; // of each epoch what describeEpoch says
};

/// As JSON, and back to the bit; false for what is no such text.
std::string toText(const TrainingSnapshot &snapshot, std::pair<uint64_t, int64_t> random);
bool fromText(std::string_view text, TrainingSnapshot &snapshot, std::pair<uint64_t, int64_t> &random);

/// An object of JSON: the number of the epoch, from 1, the loss, metrics by their names, the same
/// of the validation after "val_", and examples per second.
std::string describeEpoch(const Epoch &epoch, const std::vector<std::string> &metrics);
/// The epoch again, as far as that says it; what was no finite number is NaN.
Epoch readEpoch(std::string_view text, const std::vector<std::string> &metrics);

} // namespace nacre

#endif // NACRE_COMPILER_API_TRAINSNAPSHOT_H
