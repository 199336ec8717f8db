//===- Layers.cpp - Layers for Python ---------------------------*- C++ -*-===//
#include "frontends/builder/Layers.h"
#include "frontends/python/Builder.h"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/variant.h>
#include <nanobind/stl/vector.h>

namespace nb = nanobind;
using namespace nacre::builder;
using namespace nb::literals;

namespace {

using Ints = std::variant<int64_t, std::vector<int64_t>>;
using Name = std::optional<std::string>;

std::vector<int64_t> toList(const Ints &ints) {
  if (auto *one = std::get_if<int64_t>(&ints))
    return {*one};
  return std::get<std::vector<int64_t>>(ints);
}
std::string orEmpty(const Name &name) { return name.value_or(""); }

template <Layer (*Make)(ConvOptions)> void bindConv(nb::module_ &m, const char *kind, bool isDepthwise = false) {
  auto make = [](int64_t filters, const Ints &kernelSize, const Ints &strides, const std::string &padding,
                 const Name &activation, const Ints &dilation, int64_t groups, bool useBias, const std::string &kernel,
                 const std::string &bias, bool channelsFirst, const Name &name) {
    return Make({filters, toList(kernelSize), toList(strides), padding, toList(dilation), groups, orEmpty(activation),
                 useBias, kernel, bias, channelsFirst, orEmpty(name)});
  };
  if (isDepthwise)
    m.def(kind,
          [make](const Ints &kernelSize, const Ints &strides, const std::string &padding, int64_t multiplier,
                 const Name &activation, const Ints &dilation, bool useBias, const std::string &kernel,
                 const std::string &bias, bool channelsFirst, const Name &name) {
            return make(multiplier, kernelSize, strides, padding, activation, dilation, 1, useBias, kernel, bias,
                        channelsFirst, name);
          },
          "kernel_size"_a, "strides"_a = 1, "padding"_a = "valid", "depth_multiplier"_a = 1, "activation"_a = nb::none(),
          "dilation_rate"_a = 1, "use_bias"_a = true, "kernel_initializer"_a = "glorot_uniform",
          "bias_initializer"_a = "zeros", "channels_first"_a = false, "name"_a = nb::none());
  else
    m.def(kind, make, "filters"_a, "kernel_size"_a, "strides"_a = 1, "padding"_a = "valid", "activation"_a = nb::none(),
          "dilation_rate"_a = 1, "groups"_a = 1, "use_bias"_a = true, "kernel_initializer"_a = "glorot_uniform",
          "bias_initializer"_a = "zeros", "channels_first"_a = false, "name"_a = nb::none());
}

template <Layer (*Make)(PoolOptions)> void bindPool(nb::module_ &m, const char *kind) {
  m.def(kind,
        [](const Ints &poolSize, const std::optional<Ints> &strides, const std::string &padding, bool channelsFirst,
           const Name &name) {
          return Make({toList(poolSize), strides ? toList(*strides) : std::vector<int64_t>(), padding, channelsFirst,
                       orEmpty(name)});
        },
        "pool_size"_a = 2, "strides"_a = nb::none(), "padding"_a = "valid", "channels_first"_a = false,
        "name"_a = nb::none());
}

template <Layer (*Make)(GlobalPoolOptions)> void bindGlobalPool(nb::module_ &m, const char *kind) {
  m.def(kind,
        [](bool keepDims, bool channelsFirst, const Name &name) {
          return Make({keepDims, channelsFirst, orEmpty(name)});
        },
        "keepdims"_a = false, "channels_first"_a = false, "name"_a = nb::none());
}

template <Layer (*Make)(NormalizationOptions)> void bindNormalization(nb::module_ &m, const char *kind) {
  m.def(kind,
        [](double epsilon, double momentum, int64_t groups, bool center, bool scale, bool channelsFirst,
           const Name &name) {
          return Make({epsilon, momentum, groups, center, scale, channelsFirst, orEmpty(name)});
        },
        "epsilon"_a = 1e-3, "momentum"_a = 0.99, "groups"_a = 32, "center"_a = true, "scale"_a = true,
        "channels_first"_a = false, "name"_a = nb::none());
}

template <RecurrentLayer (*Make)(RecurrentOptions)> void bindRecurrent(nb::module_ &m, const char *kind) {
  m.def(kind,
        [](int64_t units, bool returnSequences, bool goBackwards, bool useBias, const std::string &kernel,
           const std::string &recurrent, const std::string &bias, bool unitForgetBias, const Name &name) {
          return Make({units, returnSequences, goBackwards, useBias, kernel, recurrent, bias, unitForgetBias,
                       orEmpty(name)});
        },
        "units"_a, "return_sequences"_a = false, "go_backwards"_a = false, "use_bias"_a = true,
        "kernel_initializer"_a = "glorot_uniform", "recurrent_initializer"_a = "orthogonal",
        "bias_initializer"_a = "zeros", "unit_forget_bias"_a = true, "name"_a = nb::none());
}

} // namespace

void nacre::python::bindLayers(nb::module_ &m) {
  m.def("Dense",
        [](int64_t units, const Name &activation, bool useBias, const std::string &kernel, const std::string &bias,
           const Name &name) { return Dense({units, orEmpty(activation), useBias, kernel, bias, orEmpty(name)}); },
        "units"_a, "activation"_a = nb::none(), "use_bias"_a = true, "kernel_initializer"_a = "glorot_uniform",
        "bias_initializer"_a = "zeros", "name"_a = nb::none());
  m.def("Embedding",
        [](int64_t inputDim, int64_t outputDim, const std::string &initializer, const Name &name) {
          return Embedding({inputDim, outputDim, initializer, orEmpty(name)});
        },
        "input_dim"_a, "output_dim"_a, "embeddings_initializer"_a = "uniform", "name"_a = nb::none());
  bindConv<Conv1D>(m, "Conv1D");
  bindConv<Conv2D>(m, "Conv2D");
  bindConv<Conv3D>(m, "Conv3D");
  bindConv<Conv1DTranspose>(m, "Conv1DTranspose");
  bindConv<Conv2DTranspose>(m, "Conv2DTranspose");
  bindConv<Conv3DTranspose>(m, "Conv3DTranspose");
  bindConv<DepthwiseConv2D>(m, "DepthwiseConv2D", /*isDepthwise=*/true);
  bindPool<MaxPooling1D>(m, "MaxPooling1D");
  bindPool<MaxPooling2D>(m, "MaxPooling2D");
  bindPool<MaxPooling3D>(m, "MaxPooling3D");
  bindPool<AveragePooling1D>(m, "AveragePooling1D");
  bindPool<AveragePooling2D>(m, "AveragePooling2D");
  bindPool<AveragePooling3D>(m, "AveragePooling3D");
  bindGlobalPool<GlobalMaxPooling>(m, "GlobalMaxPooling");
  bindGlobalPool<GlobalAveragePooling>(m, "GlobalAveragePooling");
  m.def("UpSampling2D",
        [](const Ints &size, const std::string &interpolation, bool channelsFirst, const Name &name) {
          return UpSampling2D({toList(size), interpolation, channelsFirst, orEmpty(name)});
        },
        "size"_a = 2, "interpolation"_a = "nearest", "channels_first"_a = false, "name"_a = nb::none());
  bindNormalization<BatchNormalization>(m, "BatchNormalization");
  bindNormalization<GroupNormalization>(m, "GroupNormalization");
  bindNormalization<InstanceNormalization>(m, "InstanceNormalization");
  bindNormalization<LayerNormalization>(m, "LayerNormalization");
  bindNormalization<RMSNormalization>(m, "RMSNormalization");
  m.def("Dropout", [](double rate, const Name &name) { return Dropout({rate, orEmpty(name)}); }, "rate"_a = 0.5,
        "name"_a = nb::none());
  bindRecurrent<SimpleRNN>(m, "SimpleRNN");
  bindRecurrent<GRU>(m, "GRU");
  bindRecurrent<LSTM>(m, "LSTM");
  m.def("Bidirectional",
        [](const RecurrentLayer &layer, const Name &name) { return Bidirectional(layer, orEmpty(name)); }, "layer"_a,
        "name"_a = nb::none());
  m.def("MultiHeadAttention",
        [](int64_t numHeads, int64_t keyDim, std::optional<int64_t> valueDim, bool useBias, bool causal,
           const std::string &kernel, const std::string &bias, const Name &name) {
          return MultiHeadAttention({numHeads, keyDim, valueDim.value_or(0), useBias, causal, kernel, bias, orEmpty(name)});
        },
        "num_heads"_a, "key_dim"_a, "value_dim"_a = nb::none(), "use_bias"_a = true, "causal"_a = false,
        "kernel_initializer"_a = "glorot_uniform", "bias_initializer"_a = "zeros", "name"_a = nb::none());
  m.def("Flatten", [](const Name &name) { return Flatten(orEmpty(name)); }, "name"_a = nb::none());
  m.def("Reshape", [](std::vector<int64_t> shape, const Name &name) { return Reshape(std::move(shape), orEmpty(name)); },
        "target_shape"_a, "name"_a = nb::none());
  m.def("Permute", [](std::vector<int64_t> dims, const Name &name) { return Permute(std::move(dims), orEmpty(name)); },
        "dims"_a, "name"_a = nb::none());
  m.def("Activation", [](const std::string &activation, const Name &name) { return Activation(activation, orEmpty(name)); },
        "activation"_a, "name"_a = nb::none());
  m.def("Concatenate", [](int64_t axis, const Name &name) { return Concatenate(axis, orEmpty(name)); }, "axis"_a = -1,
        "name"_a = nb::none());
}
