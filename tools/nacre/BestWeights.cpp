//===- BestWeights.cpp - Early stopping -------------------------*- C++ -*-===//
#include "tools/nacre/BestWeights.h"

using namespace nacre;
using namespace nacre::tool;

Result<BestWeights> BestWeights::create(const std::string &monitor, const std::vector<std::string> &metrics,
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
  return Error{NACRE_INVALID_ARGUMENT, "--monitor " + monitor + ": expected what is measured: " + known};
}

Result<bool> BestWeights::observe(const Epoch &epochNow, Session &session) {
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

Status BestWeights::keep(Session &session) {
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

Status BestWeights::restore(Session &session) const {
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

Status BestWeights::resume(const State &state, Session &session) {
  epoch = state.epoch;
  value = state.value;
  stale = state.stale;
  return epoch < 0 ? Status() : keep(session);
}
