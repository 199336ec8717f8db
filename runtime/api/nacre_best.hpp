// Early stopping in C++20, header-only: the parameters of a training's best epoch.
//
//   auto best = nacre::BestWeights::create("accuracy", {"accuracy"}, /*patience=*/5);
//   auto history = trainer->fit([&](const nacre::Epoch &epoch) {
//     auto isBest = best->observe(epoch, session);
//     return isBest && !best->isExhausted();
//   });
//   best->restore(session);
#ifndef NACRE_BEST_HPP
#define NACRE_BEST_HPP

#include "nacre_train.hpp"

namespace nacre {

// Ends a training whose validation no longer gets better, and keeps the parameters of when it
// was best.
class BestWeights {
public:
  // What is looked at: "loss", or a metric as it was asked for. An error if it is neither.
  static Result<BestWeights> create(const std::string &monitor, const std::vector<std::string> &metrics, int64_t patience);

  // Looks at an epoch. True if it is the best so far: then the parameters are kept.
  Result<bool> observe(const Epoch &epoch, Session &session);
  bool isExhausted() const { return stale >= patience; }
  // Sets the parameters to those that were kept, if any were.
  Status restore(Session &session) const;

  // What is remembered besides the parameters.
  struct State {
    int64_t epoch = -1; // the best; none yet
    double value = 0;
    int64_t stale = 0; // epochs since
  };
  State getState() const { return {epoch, value, stale}; }
  // Goes on where another was, whose best parameters the session has now.
  Status resume(const State &state, Session &session);

private:
  Status keep(Session &session);

  size_t metric = 0; // 0: the loss
  bool isMoreBetter = false;
  int64_t patience = 0, epoch = -1, stale = 0;
  double value = 0;
  std::vector<std::pair<int32_t, std::vector<std::byte>>> kept;
};

inline Result<BestWeights> BestWeights::create(const std::string &monitor, const std::vector<std::string> &metrics,
                                               int64_t patience) {
  BestWeights best;
  best.patience = patience;
  if (monitor == "loss")
    return best;
  std::string known = "loss";
  for (size_t i = 0; i < metrics.size(); ++i) {
    known += ", " + metrics[i];
    Metric parsed;
    spec::Message why;
    if (metrics[i] != monitor)
      continue;
    if (!Metric::parse(metrics[i], parsed, why))
      return Error{NACRE_INVALID_ARGUMENT, why.c_str()};
    best.metric = i + 1;
    best.isMoreBetter = parsed.isShare();
    return best;
  }
  return Error{NACRE_INVALID_ARGUMENT, "monitor " + monitor + ": expected what is measured: " + known};
}

inline Result<bool> BestWeights::observe(const Epoch &epochNow, Session &session) {
  if (!epochNow.validation)
    return Error{NACRE_INVALID_ARGUMENT, "the best epoch is that of the best validation: the trainer has no examples for it"};
  const Evaluation &evaluation = *epochNow.validation;
  double now = metric == 0 ? evaluation.loss : evaluation.metrics[metric - 1];
  // What is no number is never better.
  bool isBetter = epoch < 0 ? now == now : isMoreBetter ? now > value : now < value;
  if (!isBetter) {
    ++stale;
    return false;
  }
  value = now;
  epoch = epochNow.index;
  stale = 0;
  if (Status status = keep(session); !status)
    return status.error();
  return true;
}

inline Status BestWeights::keep(Session &session) {
  nacre_model *model = nullptr;
  nacre_model_info info;
  nacre_status status = nacre_session_get_model(session.get(), &model);
  if (status == NACRE_OK)
    status = nacre_model_get_info(model, &info);
  bool isFirst = kept.empty();
  for (int32_t i = 0; status == NACRE_OK && isFirst && i < info.parameter_count; ++i) {
    nacre_tensor_info parameter;
    nacre_tensor tensor;
    status = nacre_model_get_parameter(model, i, &parameter);
    if (status == NACRE_OK && parameter.is_mutable) {
      status = nacre_session_get_parameter(session.get(), i, &tensor);
      kept.emplace_back(i, std::vector<std::byte>(size_t(tensor.size)));
    }
  }
  for (auto &[index, data] : kept)
    if (status == NACRE_OK)
      status = nacre_session_read_parameter(session.get(), index, data.data(), int64_t(data.size()));
  return status == NACRE_OK ? Status() : Status(Error::last(status));
}

inline Status BestWeights::restore(Session &session) const {
  for (const auto &[index, data] : kept) {
    nacre_tensor tensor;
    nacre_status status = nacre_session_get_parameter(session.get(), index, &tensor);
    tensor.data = const_cast<std::byte *>(data.data());
    if (status == NACRE_OK)
      status = nacre_session_write_parameter(session.get(), index, &tensor);
    if (status != NACRE_OK)
      return Error::last(status);
  }
  return {};
}

inline Status BestWeights::resume(const State &state, Session &session) {
  epoch = state.epoch;
  value = state.value;
  stale = state.stale;
  return epoch < 0 ? Status() : keep(session);
}

} // namespace nacre

#endif // NACRE_BEST_HPP
