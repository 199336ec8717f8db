//===- ConvLayers.cpp - Convolution, pooling, upsampling --------*- C++ -*-===//
#include "frontends/builder/Layers.h"
#include <numeric>

using namespace nacre;
using namespace nacre::builder;

namespace {

/// One number for each dimension; false after a fault.
bool expand(LayerBuilder &b, const char *what, std::vector<int64_t> &values, int64_t rank) {
  if (values.size() == 1)
    values.resize(size_t(rank), values.front());
  bool isGood = int64_t(values.size()) == rank;
  for (int64_t value : values)
    isGood &= value >= 1;
  if (!isGood)
    b.fail(std::string("its ") + what + " must be " + std::to_string(rank) + " numbers of 1 or more, or one for all");
  return isGood;
}

/// Where the model's images have their channels behind.
Value toChannelsFirst(LayerBuilder &b, const Value &x, bool isFirst) { return isFirst || !x ? x : b.toChannelsFirst(x); }
Value fromChannelsFirst(LayerBuilder &b, const Value &x, bool isFirst) { return isFirst || !x ? x : b.toChannelsLast(x); }

/// "valid" or "same" as ONNX's auto_pad; empty after a fault.
std::string getAutoPad(LayerBuilder &b, const std::string &padding) {
  if (padding == "valid")
    return "VALID";
  if (padding == "same")
    return "SAME_UPPER";
  b.fail("its padding is '" + padding + "', expected valid or same");
  return "";
}

enum class ConvKind { Plain, Transposed, Depthwise };

Value addConv(LayerBuilder &b, const Value &input, ConvOptions o, int64_t spatial, ConvKind kind) {
  std::string pad = getAutoPad(b, o.padding);
  if (!b.checkRank(input, spatial + 2) || pad.empty() || !expand(b, "kernelSize", o.kernelSize, spatial) ||
      !expand(b, "strides", o.strides, spatial) || !expand(b, "dilation", o.dilation, spatial))
    return {};
  int64_t channels = b.size(input, o.channelsFirst ? 1 : -1);
  if (kind == ConvKind::Depthwise) {
    o.groups = std::max<int64_t>(channels, 1);
    o.filters = std::max<int64_t>(o.filters, 1) * channels;
  }
  if (o.filters < 1 || o.groups < 1 || channels % o.groups || o.filters % o.groups)
    return b.fail(std::to_string(channels) + " channels and " + std::to_string(o.filters) +
                  " filters, both 1 or more, must be multiples of " + std::to_string(o.groups) + " groups");
  bool isTransposed = kind == ConvKind::Transposed;
  std::vector<int64_t> dims{isTransposed ? channels : o.filters, (isTransposed ? o.filters : channels) / o.groups};
  dims.insert(dims.end(), o.kernelSize.begin(), o.kernelSize.end());
  int64_t area = std::accumulate(o.kernelSize.begin(), o.kernelSize.end(), int64_t(1), std::multiplies<>());
  Fans fans{channels / o.groups * area, o.filters / o.groups * area};
  std::vector<Value> operands{toChannelsFirst(b, input, o.channelsFirst),
                              b.weight("kernel", dims, o.kernelInitializer, fans)};
  if (o.useBias)
    operands.push_back(b.weight("bias", {o.filters}, o.biasInitializer));
  Attributes attributes{{"kernel_shape", o.kernelSize}, {"strides", o.strides}, {"dilations", o.dilation},
                        {"group", o.groups},            {"auto_pad", pad}};
  Value y = b.op(isTransposed ? "ConvTranspose" : "Conv", operands, attributes);
  // An activation of each element by itself may stand before the transpose, where it is
  // fused; along the channels it must stand behind.
  bool isAlong = o.activation == "softmax" || o.activation == "log_softmax";
  if (!isAlong)
    y = b.activate(y, o.activation);
  y = fromChannelsFirst(b, y, o.channelsFirst);
  return isAlong ? b.activate(y, o.activation) : y;
}

Layer makeConv(const char *layer, ConvOptions o, int64_t spatial, ConvKind kind) {
  std::string name = o.name;
  return Layer(layer, name, [o = std::move(o), spatial, kind](LayerBuilder &b, std::span<const Value> xs) {
    return addConv(b, xs[0], o, spatial, kind);
  });
}

Layer makePool(const char *layer, PoolOptions o, int64_t spatial, const char *type) {
  std::string name = o.name;
  return Layer(layer, name, [o = std::move(o), spatial, type](LayerBuilder &b, std::span<const Value> xs) {
    std::vector<int64_t> size = o.poolSize, strides = o.strides.empty() ? o.poolSize : o.strides;
    std::string pad = getAutoPad(b, o.padding);
    if (!b.checkRank(xs[0], spatial + 2) || pad.empty() || !expand(b, "poolSize", size, spatial) ||
        !expand(b, "strides", strides, spatial))
      return Value();
    Value x = toChannelsFirst(b, xs[0], o.channelsFirst);
    return fromChannelsFirst(b, b.op(type, {x}, {{"kernel_shape", size}, {"strides", strides}, {"auto_pad", pad}}),
                             o.channelsFirst);
  });
}

Layer makeGlobalPool(const char *layer, GlobalPoolOptions o, const char *type) {
  std::string name = o.name;
  return Layer(layer, name, [o = std::move(o), type](LayerBuilder &b, std::span<const Value> xs) {
    if (!b.checkRank(xs[0], 3, /*atLeast=*/true))
      return Value();
    std::vector<int64_t> axes(xs[0].dims().size() - 2);
    std::iota(axes.begin(), axes.end(), o.channelsFirst ? 2 : 1);
    return b.op(type, {xs[0], b.graph.constant(axes)}, {{"keepdims", o.keepDims}});
  });
}

} // namespace

Layer builder::Conv1D(ConvOptions o) { return makeConv("Conv1D", std::move(o), 1, ConvKind::Plain); }
Layer builder::Conv2D(ConvOptions o) { return makeConv("Conv2D", std::move(o), 2, ConvKind::Plain); }
Layer builder::Conv3D(ConvOptions o) { return makeConv("Conv3D", std::move(o), 3, ConvKind::Plain); }
Layer builder::Conv1DTranspose(ConvOptions o) { return makeConv("Conv1DTranspose", std::move(o), 1, ConvKind::Transposed); }
Layer builder::Conv2DTranspose(ConvOptions o) { return makeConv("Conv2DTranspose", std::move(o), 2, ConvKind::Transposed); }
Layer builder::Conv3DTranspose(ConvOptions o) { return makeConv("Conv3DTranspose", std::move(o), 3, ConvKind::Transposed); }
Layer builder::DepthwiseConv2D(ConvOptions o) { return makeConv("DepthwiseConv2D", std::move(o), 2, ConvKind::Depthwise); }

Layer builder::MaxPooling1D(PoolOptions o) { return makePool("MaxPooling1D", std::move(o), 1, "MaxPool"); }
Layer builder::MaxPooling2D(PoolOptions o) { return makePool("MaxPooling2D", std::move(o), 2, "MaxPool"); }
Layer builder::MaxPooling3D(PoolOptions o) { return makePool("MaxPooling3D", std::move(o), 3, "MaxPool"); }
Layer builder::AveragePooling1D(PoolOptions o) { return makePool("AveragePooling1D", std::move(o), 1, "AveragePool"); }
Layer builder::AveragePooling2D(PoolOptions o) { return makePool("AveragePooling2D", std::move(o), 2, "AveragePool"); }
Layer builder::AveragePooling3D(PoolOptions o) { return makePool("AveragePooling3D", std::move(o), 3, "AveragePool"); }
Layer builder::GlobalMaxPooling(GlobalPoolOptions o) { return makeGlobalPool("GlobalMaxPooling", std::move(o), "ReduceMax"); }
Layer builder::GlobalAveragePooling(GlobalPoolOptions o) {
  return makeGlobalPool("GlobalAveragePooling", std::move(o), "ReduceMean");
}

Layer builder::UpSampling2D(UpSamplingOptions o) {
  std::string name = o.name;
  return Layer("UpSampling2D", name, [o = std::move(o)](LayerBuilder &b, std::span<const Value> xs) {
    std::vector<int64_t> size = o.size;
    bool isNearest = o.interpolation == "nearest";
    if (!isNearest && o.interpolation != "bilinear")
      return b.fail("its interpolation is '" + o.interpolation + "', expected nearest or bilinear");
    if (!b.checkRank(xs[0], 4) || !expand(b, "size", size, 2))
      return Value();
    float scales[4] = {1, 1, float(size[0]), float(size[1])};
    Attributes attributes{{"mode", isNearest ? "nearest" : "linear"},
                          {"coordinate_transformation_mode", isNearest ? "asymmetric" : "half_pixel"}};
    if (isNearest)
      attributes.push_back({"nearest_mode", "floor"});
    Value y = b.op("Resize", {toChannelsFirst(b, xs[0], o.channelsFirst), Value(),
                              b.graph.constant(TensorView(scales, NACRE_F32, {4}))}, attributes);
    return fromChannelsFirst(b, y, o.channelsFirst);
  });
}
