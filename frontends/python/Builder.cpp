//===- Builder.cpp - Graphs and layers for Python ---------------*- C++ -*-===//
//
// nacre/nn is its face. A fault in a graph is raised where it is made.
//
//===----------------------------------------------------------------------===//
#include "frontends/python/Builder.h"
#include "frontends/builder/Layers.h"
#include "frontends/python/Arrays.h"
#include "frontends/python/Program.h"

#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

using namespace nacre;
using namespace nacre::builder;
using namespace nacre::python;
using namespace nb::literals;

namespace {

/// Raises the graph's fault, after which the graph can be used on.
void raiseFault(Graph graph) {
  if (graph.status())
    return;
  std::string message = graph.status().error().message;
  graph.clearStatus();
  raise(getExceptions().graphError, message);
}

template <typename T> T check(Graph graph, T result) {
  raiseFault(std::move(graph));
  return result;
}

nb::tuple getShape(const Value &value) {
  nb::list sizes;
  for (int64_t size : value.dims())
    sizes.append(size < 0 ? nb::none() : nb::object(nb::int_(size)));
  return nb::tuple(sizes);
}

Value addInput(Graph &graph, const std::string &name, nb::sequence shape, nb::handle dtype) {
  std::vector<Size> sizes;
  for (nb::handle size : shape) {
    if (size.is_none())
      sizes.emplace_back("");
    else if (nb::isinstance<nb::str>(size))
      sizes.emplace_back(nb::cast<std::string>(size));
    else
      sizes.emplace_back(nb::cast<int64_t>(size));
  }
  nb::object zero = nb::module_::import_("numpy").attr("zeros")(nb::make_tuple(), dtype);
  InputMemory memory;
  return check(graph, graph.input(name, nacre_dtype(toTensor(zero, memory).dtype), sizes));
}

TensorView toView(nb::handle array, InputMemory &memory) {
  nacre_tensor tensor = toTensor(array, memory);
  return TensorView(tensor.data, nacre_dtype(tensor.dtype), std::span(tensor.dims, size_t(tensor.rank)));
}

/// A value as it is; an array or number as a constant, a Python number in the type of `like`.
Value toValue(Graph &graph, nb::handle object, const Value *like = nullptr) {
  if (object.is_none())
    return {};
  if (nb::isinstance<Value>(object))
    return nb::cast<Value>(object);
  nb::module_ numpy = nb::module_::import_("numpy");
  bool isNumber = PyFloat_Check(object.ptr()) || PyLong_Check(object.ptr());
  nb::object array = isNumber && like ? numpy.attr("asarray")(object, getDtype(like->dtype())) : numpy.attr("asarray")(object);
  InputMemory memory;
  return check(graph, graph.constant(toView(array, memory)));
}

Attribute toAttribute(const std::string &name, nb::handle value) {
  if (PyBool_Check(value.ptr()) || PyLong_Check(value.ptr()))
    return nb::cast<int64_t>(value);
  if (PyFloat_Check(value.ptr()))
    return nb::cast<double>(value);
  if (nb::isinstance<nb::str>(value))
    return nb::cast<std::string>(value);
  std::vector<int64_t> ints;
  if (nb::try_cast(value, ints))
    return ints;
  std::vector<double> floats;
  if (nb::try_cast(value, floats))
    return floats;
  std::vector<std::string> strings;
  if (nb::try_cast(value, strings))
    return strings;
  throw nb::type_error(("the attribute '" + name + "' must be a number, a string, or a list of them").c_str());
}

nb::object addNode(Graph &graph, const std::string &type, nb::sequence inputs, nb::dict attributes, size_t outputs,
                   const std::string &name) {
  std::vector<Value> operands;
  Value like;
  for (nb::handle input : inputs)
    if (nb::isinstance<Value>(input) && !like)
      like = nb::cast<Value>(input);
  for (nb::handle input : inputs)
    operands.push_back(toValue(graph, input, like ? &like : nullptr));
  Attributes list;
  for (auto [key, value] : attributes)
    list.emplace_back(nb::cast<std::string>(key), toAttribute(nb::cast<std::string>(key), value));
  std::vector<Value> results = check(graph, graph.ops(type, operands, list, outputs, name));
  return outputs == 1 ? nb::cast(results.front()) : nb::object(nb::tuple(nb::cast(results)));
}

nb::bytes serialize(Graph &graph, const std::vector<Value> &inputs, const std::vector<Value> &outputs) {
  auto bytes = graph.serialize(inputs, outputs);
  if (!bytes)
    raise(getExceptions().graphError, bytes.error().message);
  return nb::bytes(bytes->data(), bytes->size());
}

Value addBinary(const char *type, const Value &a, nb::handle b, bool isSwapped) {
  Graph graph(a);
  Value other = toValue(graph, b, &a);
  return check(graph, graph.op(type, isSwapped ? std::vector<Value>{other, a} : std::vector<Value>{a, other}));
}

Value callLayer(const Layer &layer, nb::args inputs) {
  std::vector<Value> values;
  for (nb::handle input : inputs) {
    if (nb::isinstance<Value>(input))
      values.push_back(nb::cast<Value>(input));
    else
      for (nb::handle element : nb::cast<nb::sequence>(input))
        values.push_back(nb::cast<Value>(element));
  }
  if (values.empty())
    throw nb::type_error("a layer is called with one value or more");
  return check(Graph(values.front()), layer(values));
}

} // namespace

void python::bindBuilder(nb::module_ &module) {
  nb::module_ m = module.def_submodule("_nn");
  nb::class_<Value> value(m, "Tensor", "A value of a graph that is being written");
  value.def_prop_ro("name", &Value::name)
      .def_prop_ro("shape", getShape, "Sizes; None where a size is known only at run time")
      .def_prop_ro("dtype", [](const Value &v) { return getDtype(v.dtype()); })
      .def_prop_ro("graph", [](const Value &v) { return Graph(v); })
      .def("__neg__", [](const Value &v) { return -v; })
      .def("__repr__", [](const Value &v) {
        return "<Tensor '" + v.name() + "' " + nacre_dtype_name(v.dtype()) + nb::repr(getShape(v)).c_str() + ">";
      });
  const std::pair<const char *, const char *> operators[] = {
      {"add", "Add"}, {"sub", "Sub"}, {"mul", "Mul"}, {"truediv", "Div"}, {"pow", "Pow"}, {"matmul", "MatMul"}};
  for (auto [name, type] : operators) {
    value.def(("__" + std::string(name) + "__").c_str(),
              [type](const Value &a, nb::handle b) { return addBinary(type, a, b, false); }, nb::is_operator());
    value.def(("__r" + std::string(name) + "__").c_str(),
              [type](const Value &a, nb::handle b) { return addBinary(type, a, b, true); }, nb::is_operator());
  }

  nb::class_<Graph>(m, "Graph", "ONNX operators, checked as they are added")
      .def(nb::init<uint64_t>(), "seed"_a = 0)
      .def("input", addInput, "name"_a, "shape"_a, "dtype"_a = "float32")
      .def("parameter",
           [](Graph &graph, const std::string &name, nb::handle shape, const std::string &initializer) {
             if (!PyList_Check(shape.ptr()) && !PyTuple_Check(shape.ptr()))
               throw nb::next_overload(); // an array, of integers perhaps, is no shape
             return check(graph, graph.parameter(name, nb::cast<std::vector<int64_t>>(shape), initializer));
           },
           "name"_a, "shape"_a, "initializer"_a = "glorot_uniform")
      .def("parameter",
           [](Graph &graph, const std::string &name, nb::handle values) {
             InputMemory memory;
             return check(graph, graph.parameter(name, toView(values, memory)));
           },
           "name"_a, "values"_a)
      .def("constant", [](Graph &graph, nb::handle v) { return toValue(graph, v); }, "value"_a)
      .def("op", addNode, "type"_a, "inputs"_a, "attributes"_a = nb::dict(), "outputs"_a = 1, "name"_a = "")
      .def("summary", &Graph::summary, "outputs"_a)
      .def("serialize", serialize, "inputs"_a, "outputs"_a);

  nb::class_<Layer>(m, "Layer", "A layer: what is called with tensors")
      .def_prop_ro("name", &Layer::name)
      .def_prop_ro("kind", &Layer::kind)
      .def("__call__", callLayer)
      .def("__repr__", [](const Layer &layer) { return "<" + layer.kind() + " '" + layer.name() + "'>"; });
  nb::class_<RecurrentLayer, Layer>(m, "RecurrentLayer");
  bindLayers(m);
}
