// Nacre's layers: what models are usually made of, on the graphs of nacre_graph.hpp.
//
//   Value h = Dense({.units = 64, .activation = "relu"})(x);
//   Layer shared = Dense({.units = 8});
//   Value a = shared(x), b = shared(y);      // one weight
//
// Names, defaults and initial values are Keras'; weights are laid out as ONNX has them. Images
// are [batch, height, width, channels] unless `channelsFirst`, sequences [batch, time,
// features]. A layer's weights are parameters "<layer>.<weight>"; its name is `name`, or made
// from its kind (dense, dense_1, ...) when it is first called. Faults go to the graph's
// status(), with the layer's name. Initial values are described at Graph::parameter;
// activations are "" (none), relu, relu6, leaky_relu, elu, selu, gelu, silu, mish, sigmoid,
// hard_sigmoid, tanh, softplus, softsign, exponential, softmax and log_softmax (both along the
// last dimension).
#ifndef NACRE_BUILDER_LAYERS_H
#define NACRE_BUILDER_LAYERS_H

#include "frontends/builder/Graph.h"

#include <functional>
#include <span>

namespace nacre::builder {

// A layer at work: adds nodes to the graph under the layer's name.
class LayerBuilder {
public:
  LayerBuilder(Graph graph, std::string name, std::string kind)
      : graph(std::move(graph)), name(std::move(name)), kind(std::move(kind)) {}

  // The layer's own weight: made when it is first asked for, the same ever after.
  Value weight(const std::string &key, const std::vector<int64_t> &dims, const std::string &initializer, Fans fans = {});
  Value weight(const std::string &key, const TensorView &values);
  Value op(const std::string &type, const std::vector<Value> &inputs, const Attributes &attributes = {});
  std::vector<Value> ops(const std::string &type, const std::vector<Value> &inputs, const Attributes &attributes,
                         size_t outputs);
  Value activate(const Value &x, const std::string &activation);
  Value transpose(const Value &x, const std::vector<int64_t> &permutation);
  // [N, D1..Dn, C] to [N, C, D1..Dn], and back.
  Value toChannelsFirst(const Value &x);
  Value toChannelsLast(const Value &x);
  // The size of a dimension (from the end if negative); a fault and 0 if it is not known.
  int64_t size(const Value &x, int64_t axis);
  // Whether x is of this rank (or more, `atLeast`); else a fault.
  bool checkRank(const Value &x, int64_t rank, bool atLeast = false);
  Value fail(const std::string &message);

  Graph graph;

private:
  friend class Layer;

  std::string name, kind;
  std::vector<std::pair<std::string, Value>> weights;
};

// A handle: copies are the same layer, with the same weights.
class Layer {
public:
  using Call = std::function<Value(LayerBuilder &, std::span<const Value>)>;

  // `kind` is what users know it by ("Dense"). A layer of your own is a `call`.
  Layer(std::string kind, std::string name, Call call);

  Value operator()(const Value &x) const { return (*this)(std::vector<Value>{x}); }
  Value operator()(const std::vector<Value> &xs) const;

  const std::string &kind() const;
  // Empty until it is called, if none was given.
  const std::string &name() const;

private:
  struct State;
  std::shared_ptr<State> state;
};

// The activation by itself.
Value activate(const Value &x, const std::string &activation);

// ---- Dense and embedding -------------------------------------------------------------

struct DenseOptions {
  int64_t units = 0;
  std::string activation = {};
  bool useBias = true;
  std::string kernelInitializer = "glorot_uniform", biasInitializer = "zeros";
  std::string name = {};
};
// [..., in] to [..., units].
Layer Dense(DenseOptions options);

struct EmbeddingOptions {
  int64_t inputDim = 0, outputDim = 0;
  std::string initializer = "uniform";
  std::string name = {};
};
// Integers [...] below inputDim to their rows [..., outputDim].
Layer Embedding(EmbeddingOptions options);

// ---- Convolution and pooling -----------------------------------------------------------

// Of kernelSize, strides and dilation one number counts for all dimensions.
struct ConvOptions {
  int64_t filters = 0;
  std::vector<int64_t> kernelSize = {};
  std::vector<int64_t> strides = {1};
  std::string padding = "valid"; // or "same"
  std::vector<int64_t> dilation = {1};
  int64_t groups = 1;
  std::string activation = {};
  bool useBias = true;
  std::string kernelInitializer = "glorot_uniform", biasInitializer = "zeros";
  bool channelsFirst = false;
  std::string name = {};
};
Layer Conv1D(ConvOptions options);
Layer Conv2D(ConvOptions options);
Layer Conv3D(ConvOptions options);
Layer Conv1DTranspose(ConvOptions options);
Layer Conv2DTranspose(ConvOptions options);
Layer Conv3DTranspose(ConvOptions options);
// Each channel by itself; `filters` is how many come of one (0: 1).
Layer DepthwiseConv2D(ConvOptions options);

struct PoolOptions {
  std::vector<int64_t> poolSize = {2};
  std::vector<int64_t> strides = {}; // as poolSize
  std::string padding = "valid";
  bool channelsFirst = false;
  std::string name = {};
};
Layer MaxPooling1D(PoolOptions options = {});
Layer MaxPooling2D(PoolOptions options = {});
Layer MaxPooling3D(PoolOptions options = {});
Layer AveragePooling1D(PoolOptions options = {});
Layer AveragePooling2D(PoolOptions options = {});
Layer AveragePooling3D(PoolOptions options = {});

struct GlobalPoolOptions {
  bool keepDims = false;
  bool channelsFirst = false;
  std::string name = {};
};
// Over all dimensions but batch and channels.
Layer GlobalMaxPooling(GlobalPoolOptions options = {});
Layer GlobalAveragePooling(GlobalPoolOptions options = {});

struct UpSamplingOptions {
  std::vector<int64_t> size = {2};
  std::string interpolation = "nearest"; // or "bilinear"
  bool channelsFirst = false;
  std::string name = {};
};
Layer UpSampling2D(UpSamplingOptions options = {});

// ---- Normalisation and regularisation -----------------------------------------------------

struct NormalizationOptions {
  double epsilon = 1e-3;
  double momentum = 0.99; // of running statistics
  int64_t groups = 32;
  bool center = true, scale = true; // add beta, multiply by gamma
  bool channelsFirst = false;
  std::string name = {};
};
Layer BatchNormalization(NormalizationOptions options = {});
Layer GroupNormalization(NormalizationOptions options = {});
// Each sample's channels by themselves.
Layer InstanceNormalization(NormalizationOptions options = {});
// Along the last dimension.
Layer LayerNormalization(NormalizationOptions options = {});
Layer RMSNormalization(NormalizationOptions options = {});

struct DropoutOptions {
  double rate = 0.5;
  std::string name = {};
};
Layer Dropout(DropoutOptions options = {});

// ---- Recurrence and attention ----------------------------------------------------------------

struct RecurrentOptions {
  int64_t units = 0;
  bool returnSequences = false;
  bool goBackwards = false;
  bool useBias = true;
  std::string kernelInitializer = "glorot_uniform", recurrentInitializer = "orthogonal", biasInitializer = "zeros";
  bool unitForgetBias = true; // LSTM: the forget gate's bias is 1 at first
  std::string name = {};
};
// A layer over time, which Bidirectional takes.
class RecurrentLayer : public Layer {
public:
  RecurrentLayer(std::string kind, RecurrentOptions options, bool isBidirectional = false);

private:
  friend Layer Bidirectional(const RecurrentLayer &, std::string);
  std::string type;
  RecurrentOptions options;
};
// [batch, time, features] to [batch, units], or to [batch, time, units] with returnSequences.
RecurrentLayer SimpleRNN(RecurrentOptions options);
RecurrentLayer GRU(RecurrentOptions options); // Keras' reset_after form
RecurrentLayer LSTM(RecurrentOptions options);
// The same in both directions, with weights for each; results side by side: [..., 2 units].
Layer Bidirectional(const RecurrentLayer &layer, std::string name = "");

struct AttentionOptions {
  int64_t numHeads = 1;
  int64_t keyDim = 0;   // per head
  int64_t valueDim = 0; // per head; 0: as keyDim
  bool useBias = true;
  bool causal = false; // each position sees itself and those before
  std::string kernelInitializer = "glorot_uniform", biasInitializer = "zeros";
  std::string name = {};
};
// query [batch, time, features], value and key the same with times of their own; called with
// one value (self-attention), with query and value, or with query, value and key.
Layer MultiHeadAttention(AttentionOptions options);

// ---- Shapes and elements ------------------------------------------------------------------------

// [batch, ...] to [batch, all the rest].
Layer Flatten(std::string name = "");
// [batch, ...] to [batch, dims...]; one of them may be -1.
Layer Reshape(std::vector<int64_t> dims, std::string name = "");
// The dimensions after the batch in another order, from 1.
Layer Permute(std::vector<int64_t> order, std::string name = "");
Layer Activation(std::string activation, std::string name = "");
Layer Concatenate(int64_t axis = -1, std::string name = "");

// Layers one after the other, as one.
Layer Sequential(std::vector<Layer> layers, std::string name = "");

} // namespace nacre::builder

#endif // NACRE_BUILDER_LAYERS_H
