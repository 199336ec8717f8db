//===- TrainFlags.h - How to train, on the command line ---------*- C++ -*-===//
#ifndef NACRE_TOOLS_NACRE_TRAINFLAGS_H
#define NACRE_TOOLS_NACRE_TRAINFLAGS_H

#include "tools/nacre/Command.h"

namespace nacre::tool {

/// The options that make a training step, for one subcommand. `lossName` is what the one
/// for losses is called there.
class TrainFlags {
public:
  TrainFlags(llvm::cl::SubCommand &command, const char *lossName, const char *lossSummary);
  /// Whether a loss was given, and whether something else was that makes no sense without.
  bool isGiven() const;
  bool needsLoss() const;
  /// What they ask for, and the learning rate to begin with; an error of the command line. The
  /// precision of `compile` becomes that of the training.
  Result<double> fill(TrainOptions &options, CompileOptions &compile) const;
  /// Prints what there is to choose from, and returns whether it was asked for.
  bool printLists() const;

private:
  llvm::cl::list<std::string> losses, groups;
  llvm::cl::opt<std::string> optimizer, memoryBudget;
  llvm::cl::opt<double> clipNorm, clipValue, average;
  llvm::cl::opt<int64_t> accumulate;
  llvm::cl::opt<bool> detectAnomaly, listLosses, listOptimizers;
};

} // namespace nacre::tool

#endif // NACRE_TOOLS_NACRE_TRAINFLAGS_H
