//===- Tuner.h - Which decisions make a model faster ------------*- C++ -*-===//
//
// The search alone: how models are compiled and measured, and where what is learnt is kept, is its
// bench's business.
//
//===----------------------------------------------------------------------===//
#ifndef NACRE_COMPILER_API_TUNER_H
#define NACRE_COMPILER_API_TUNER_H

#include "compiler/api/Compiler.h"
#include <set>

namespace nacre {

/// A decision that a cost model has made, or that it was told (compiler/tile/Choices.h).
struct KernelChoice {
  std::string key, chosen;
  std::vector<std::string> others; // worth a trial, in this order
  bool isOpen = false;             // the kernel has sizes that a run tells
  std::vector<std::string> kernels;
};

/// What measurements say of a choice.
struct LearntChoice {
  /// nullopt: the model's is best.
  std::optional<std::string> decision;
  /// All around it was tried; and else what was tried, so that a later search goes on from there.
  bool isExhausted = false;
  std::set<std::string> tried = {};
};

/// Milliseconds of one run, and in it of all launches of a kernel, by its name.
struct RunTimes {
  double total = 0;
  std::map<std::string, double> kernels = {};
};

/// The model with some decisions, ready to run.
class TuneCandidate {
public:
  virtual ~TuneCandidate() = default;
  virtual const std::vector<KernelChoice> &getChoices() const = 0;
  /// Runs it once.
  virtual Result<RunTimes> run(bool perKernel) = 0;
};

class TuneBench {
public:
  virtual ~TuneBench() = default;
  /// Decisions that do not concern the model are passed over.
  virtual Result<std::unique_ptr<TuneCandidate>> make(const Decisions &decisions) = 0;
  /// Until the limit. Behind it all that is made or run may fail.
  virtual double getSecondsLeft() = 0;
  virtual std::optional<LearntChoice> find(const KernelChoice &choice) = 0;
  virtual void store(const KernelChoice &choice, const LearntChoice &learnt) = 0;
  virtual void report(const std::string &line) = 0;
};

/// Decisions that differ from the models' and make a run faster: what the bench knows, and with `measures`
/// what is found out until its limit. Found decisions are those that win kernel by kernel, by more than runs
/// differ, and make a faster run together; else none is taken.
Result<Decisions> findDecisions(TuneBench &bench, bool measures, TuneResult &result);

} // namespace nacre

#endif // NACRE_COMPILER_API_TUNER_H
