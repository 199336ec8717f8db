//===- NormalizationLayers.cpp - Batch, group, layer norms ------*- C++ -*-===//
#include "frontends/builder/Layers.h"

using namespace nacre;
using namespace nacre::builder;

namespace {

/// Calls `add` with the input's channels as dimension 1, and puts them back.
template <typename Add> Value withChannelsFirst(LayerBuilder &b, const Value &x, bool isFirst, Add add) {
  if (isFirst || x.rank() < 3)
    return add(x);
  Value y = add(b.toChannelsFirst(x));
  return y ? b.toChannelsLast(y) : y;
}

/// What all are multiplied by: a weight, or ones.
Value getGamma(LayerBuilder &b, const NormalizationOptions &o, int64_t size) {
  return o.scale ? b.weight("gamma", {size}, "ones")
                 : b.graph.constant(TensorView(std::vector<float>(size_t(size), 1).data(), NACRE_F32, {size}));
}
Value getBeta(LayerBuilder &b, const NormalizationOptions &o, int64_t size) {
  return o.center ? b.weight("beta", {size}, "zeros")
                  : b.graph.constant(TensorView(std::vector<float>(size_t(size)).data(), NACRE_F32, {size}));
}

using Add = Value (*)(LayerBuilder &, const Value &, const NormalizationOptions &, int64_t channels);

/// Of [N, C, ...], or [N, ..., C].
Layer makeLayer(const char *kind, NormalizationOptions o, int64_t leastRank, Add add) {
  std::string name = o.name;
  return Layer(kind, name, [o = std::move(o), leastRank, add](LayerBuilder &b, std::span<const Value> xs) {
    if (!b.checkRank(xs[0], leastRank, /*atLeast=*/true))
      return Value();
    int64_t channels = b.size(xs[0], o.channelsFirst && leastRank > 1 ? 1 : -1);
    if (channels < 1)
      return b.graph.status() ? b.fail("its input has no channels") : Value();
    if (leastRank == 1)
      return add(b, xs[0], o, channels);
    return withChannelsFirst(b, xs[0], o.channelsFirst, [&](const Value &x) { return add(b, x, o, channels); });
  });
}

} // namespace

Layer builder::BatchNormalization(NormalizationOptions o) {
  return makeLayer("BatchNormalization", std::move(o), 2,
                   [](LayerBuilder &b, const Value &x, const NormalizationOptions &o, int64_t channels) {
                     Value gamma = getGamma(b, o, channels), beta = getBeta(b, o, channels);
                     return b.op("BatchNormalization",
                                 {x, gamma, beta, b.weight("moving_mean", {channels}, "zeros"),
                                  b.weight("moving_variance", {channels}, "ones")},
                                 {{"epsilon", o.epsilon}, {"momentum", o.momentum}});
                   });
}

Layer builder::GroupNormalization(NormalizationOptions o) {
  return makeLayer("GroupNormalization", std::move(o), 3,
                   [](LayerBuilder &b, const Value &x, const NormalizationOptions &o, int64_t channels) {
                     if (o.groups < 1 || channels % o.groups)
                       return b.fail(std::to_string(channels) + " channels cannot be divided into " +
                                     std::to_string(o.groups) + " groups");
                     return b.op("GroupNormalization", {x, getGamma(b, o, channels), getBeta(b, o, channels)},
                                 {{"epsilon", o.epsilon}, {"num_groups", o.groups}});
                   });
}

Layer builder::InstanceNormalization(NormalizationOptions o) {
  return makeLayer("InstanceNormalization", std::move(o), 3,
                   [](LayerBuilder &b, const Value &x, const NormalizationOptions &o, int64_t channels) {
                     return b.op("InstanceNormalization", {x, getGamma(b, o, channels), getBeta(b, o, channels)},
                                 {{"epsilon", o.epsilon}});
                   });
}

Layer builder::LayerNormalization(NormalizationOptions o) {
  return makeLayer("LayerNormalization", std::move(o), 1,
                   [](LayerBuilder &b, const Value &x, const NormalizationOptions &o, int64_t channels) {
                     std::vector<Value> operands{x, getGamma(b, o, channels)};
                     if (o.center)
                       operands.push_back(b.weight("beta", {channels}, "zeros"));
                     return b.op("LayerNormalization", operands, {{"epsilon", o.epsilon}, {"axis", -1}});
                   });
}

Layer builder::RMSNormalization(NormalizationOptions o) {
  return makeLayer("RMSNormalization", std::move(o), 1,
                   [](LayerBuilder &b, const Value &x, const NormalizationOptions &o, int64_t channels) {
                     return b.op("RMSNormalization", {x, getGamma(b, o, channels)}, {{"epsilon", o.epsilon}, {"axis", -1}});
                   });
}
