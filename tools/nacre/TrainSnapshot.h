//===- TrainSnapshot.h - A training's state as text -------------*- C++ -*-===//
#ifndef NACRE_TOOLS_NACRE_TRAINSNAPSHOT_H
#define NACRE_TOOLS_NACRE_TRAINSNAPSHOT_H

#include "runtime/api/nacre_best.hpp"
#include "llvm/Support/JSON.h"

namespace nacre::tool {

/// All that a training is, besides the session's parameters and random state.
struct TrainingSnapshot {
  TrainingState state;
  BestWeights::State best;
  double seconds = 0;        // all together
  llvm::json::Array history; // of the epochs
};

/// As JSON, and back to the bit; false for what is no such text.
std::string toText(const TrainingSnapshot &snapshot, std::pair<uint64_t, int64_t> random);
bool fromText(llvm::StringRef text, TrainingSnapshot &snapshot, std::pair<uint64_t, int64_t> &random);

} // namespace nacre::tool

#endif // NACRE_TOOLS_NACRE_TRAINSNAPSHOT_H
