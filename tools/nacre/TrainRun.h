//===- TrainRun.h - A training from its first step to its last --*- C++ -*-===//
#ifndef NACRE_TOOLS_NACRE_TRAINRUN_H
#define NACRE_TOOLS_NACRE_TRAINRUN_H

#include "compiler/api/TrainKeeper.h"
#include "tools/nacre/TrainReport.h"

namespace nacre::tool {

/// Trains, tells how it goes, writes checkpoints and goes on from them.
class TrainRun {
public:
  TrainRun(Trainer &trainer, TrainKeeperOptions kept, TrainReport::Options told);

  /// Opens what is written to, and finds where to begin.
  Status begin(TrainCheckpoints::Agreement agreed);
  /// `goesOn` is asked after each step. Afterwards the session has the parameters to be kept.
  Status train(const std::function<bool()> &goesOn);

  const TrainReport &getReport() const { return report; }
  const TrainKeeper &getKeeper() const { return keeper; }

private:
  Trainer &trainer;
  std::string resumesFrom; // a folder; empty: it begins
  bool isQuiet;
  TrainReport report;
  TrainKeeper keeper;
};

} // namespace nacre::tool

#endif // NACRE_TOOLS_NACRE_TRAINRUN_H
