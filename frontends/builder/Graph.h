// Nacre's builder: a model written in C++, checked while it is written.
//
//   using namespace nacre::builder;
//   Graph graph;
//   Value x = graph.input("x", NACRE_F32, {"batch", 784});
//   Value w = graph.parameter("w", {784, 10}, "glorot_uniform");
//   Value y = graph.op("Softmax", {graph.op("MatMul", {x, w})}, {{"axis", -1}});
//   if (!graph.status())
//     puts(graph.status().error().message.c_str());
//   auto bytes = graph.serialize({x}, {y});        // an ONNX model
//   auto model = nacre::compile(*bytes);
//
// The operators are ONNX's, with ONNX's attributes, in the opset kOpset; layers
// (nacre_layers.hpp) are made of them. Each is checked as it is added: its outputs' types
// and sizes are known at once. What does not fit gives a Value that is false, and so does
// everything computed from it; status() keeps the first fault, with the name of its node.
// Not thread-safe: one thread at a time per graph.
#ifndef NACRE_BUILDER_GRAPH_H
#define NACRE_BUILDER_GRAPH_H

#include "runtime/api/nacre.hpp"

#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace nacre::builder {

// The opset that the operators of a graph are of.
inline constexpr int64_t kOpset = 23;

struct GraphState;

// A size: a number, or the name of one that differs from run to run ("" has no name).
struct Size {
  template <typename T>
    requires std::is_integral_v<T>
  Size(T size) : size(int64_t(size)) {}
  Size(const char *symbol) : symbol(symbol) {}
  Size(std::string symbol) : symbol(std::move(symbol)) {}

  int64_t size = -1;
  std::string symbol;
};

// A value of a graph. Cheap to copy; keeps its graph alive.
class Value {
public:
  Value() = default;

  // Whether it is one: false after a fault.
  explicit operator bool() const { return state != nullptr; }
  const std::string &name() const { return valueName; }
  nacre_dtype dtype() const { return type; }
  // -1: known only at run time.
  const std::vector<int64_t> &dims() const { return sizes; }
  int64_t rank() const { return int64_t(sizes.size()); }

private:
  friend class Graph;
  friend struct GraphState;

  std::shared_ptr<GraphState> state;
  std::string valueName;
  nacre_dtype type = NACRE_UNDEFINED;
  std::vector<int64_t> sizes;
};

// An attribute of a node.
struct Attribute {
  template <typename T>
    requires std::is_integral_v<T>
  Attribute(T value) : value(int64_t(value)) {}
  Attribute(double value) : value(value) {}
  Attribute(const char *value) : value(std::string(value)) {}
  Attribute(std::string value) : value(std::move(value)) {}
  Attribute(std::vector<int64_t> value) : value(std::move(value)) {}
  Attribute(std::vector<double> value) : value(std::move(value)) {}
  Attribute(std::vector<std::string> value) : value(std::move(value)) {}

  std::variant<int64_t, double, std::string, std::vector<int64_t>, std::vector<double>, std::vector<std::string>> value;
};
using Attributes = std::vector<std::pair<std::string, Attribute>>;

// How many values a weight's fan-in and fan-out are: what random initial values depend on.
struct Fans {
  int64_t in = 0, out = 0;
};

// A handle: copies are the same graph.
class Graph {
public:
  // The seed of all random initial values. The same seed gives the same bits.
  explicit Graph(uint64_t seed = 0);
  // The graph of a value.
  explicit Graph(const Value &value);

  // What the model takes. The name must be new in the graph.
  Value input(const std::string &name, nacre_dtype dtype, const std::vector<Size> &sizes);

  // A weight (f32) with initial values, "name:key=number,...":
  //   zeros, ones, constant:value=0
  //   uniform:min=-0.05,max=0.05, normal:mean=0,stddev=0.05, truncated_normal (the same, redrawn
  //   beyond two deviations)
  //   glorot_*, he_*, lecun_* with uniform or normal: of variance 2 / (in + out), 2 / in, 1 / in;
  //   fan_in_uniform: 1 / (3 in), what PyTorch's layers draw
  //   orthogonal:gain=1
  // Without fans those of [..., in, out], as in Keras.
  Value parameter(const std::string &name, const std::vector<int64_t> &dims, const std::string &initializer,
                  Fans fans = {});
  // The same with given values, of any type; they are copied.
  Value parameter(const std::string &name, const TensorView &values);

  // A constant; a scalar of f32; a vector of i64.
  Value constant(const TensorView &value);
  Value constant(double value);
  Value constant(const std::vector<int64_t> &values);

  // A node and its first output. A false input leaves out an optional one, unless it comes
  // of a fault. `name` ("": made from the operator) names the node; a taken one gets a number.
  Value op(const std::string &type, const std::vector<Value> &inputs, const Attributes &attributes = {},
           const std::string &name = "");
  // The same with all its outputs.
  std::vector<Value> ops(const std::string &type, const std::vector<Value> &inputs, const Attributes &attributes,
                         size_t outputs, const std::string &name = "");

  // Whether a value is one of this graph.
  bool holds(const Value &value) const { return value.state == state; }

  // A name that nothing has: `base`, or with a number behind it. It is taken from now on.
  std::string makeName(const std::string &base);

  // The first fault since the graph was made, or since it was cleared.
  const Status &status() const;
  void clearStatus();
  // Makes that fault; the false value.
  Value fail(const std::string &message);

  // What `outputs` need of the graph, as an ONNX model with the weights in it. An input
  // that they need and that is not among `inputs` is an error.
  Result<std::vector<std::byte>> serialize(const std::vector<Value> &inputs, const std::vector<Value> &outputs) const;

  // What `outputs` need of the graph, for people: a line for each layer, with its output's sizes
  // and how many weights it has, and sums.
  std::string summary(const std::vector<Value> &outputs) const;

private:
  friend class Layer;

  std::shared_ptr<GraphState> state;
};

// Element by element, with NumPy's broadcasting; a number is a constant of the value's type.
Value operator+(const Value &a, const Value &b);
Value operator-(const Value &a, const Value &b);
Value operator*(const Value &a, const Value &b);
Value operator/(const Value &a, const Value &b);
Value operator-(const Value &a);
// The matrix product.
Value matmul(const Value &a, const Value &b);

} // namespace nacre::builder

#endif // NACRE_BUILDER_GRAPH_H
