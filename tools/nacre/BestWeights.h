//===- BestWeights.h - Early stopping ---------------------------*- C++ -*-===//
#ifndef NACRE_TOOLS_NACRE_BESTWEIGHTS_H
#define NACRE_TOOLS_NACRE_BESTWEIGHTS_H

#include "runtime/api/nacre_train.hpp"

namespace nacre::tool {

/// Ends a training whose validation no longer gets better, and keeps the parameters of when it
/// was best.
class BestWeights {
public:
  /// What is looked at: "loss", or a metric as it was asked for. An error if it is neither.
  static Result<BestWeights> create(const std::string &monitor, const std::vector<std::string> &metrics, int64_t patience);

  /// Looks at an epoch. True if it is the best so far: then the parameters are kept.
  Result<bool> observe(const Epoch &epoch, Session &session);
  bool isExhausted() const { return stale >= patience; }
  /// Sets the parameters to those that were kept, if any were.
  Status restore(Session &session) const;

  /// What is remembered besides the parameters.
  struct State {
    int64_t epoch = -1; // the best; none yet
    double value = 0;
    int64_t stale = 0; // epochs since
  };
  State getState() const { return {epoch, value, stale}; }
  /// Goes on where another was, whose best parameters the session has now.
  Status resume(const State &state, Session &session);

private:
  Status keep(Session &session);

  size_t metric = 0; // 0: the loss
  bool isMoreBetter = false;
  int64_t patience = 0, epoch = -1, stale = 0;
  double value = 0;
  std::vector<std::pair<int32_t, std::vector<std::byte>>> kept;
};

} // namespace nacre::tool

#endif // NACRE_TOOLS_NACRE_BESTWEIGHTS_H
