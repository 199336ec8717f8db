//===- Module.cpp - The extension module of the Python package --*- C++ -*-===//
//
// nacre/__init__.py is its face: what users see, with types and documentation.
//
//===----------------------------------------------------------------------===//
#include "compiler/api/Compiler.h"
#include "frontends/python/Arrays.h"
#include "frontends/python/Program.h"

#include <nanobind/stl/map.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

using namespace nacre;
using namespace nacre::python;

namespace {

using Dims = std::map<std::string, int64_t>;
using Shapes = std::map<std::string, std::vector<int64_t>>;

using Lengths = std::map<std::string, std::optional<int64_t>>;
using Examples = std::map<std::string, std::optional<std::vector<int64_t>>>;
using Train = std::map<std::string, std::string>;

CompileOptions makeOptions(const Dims &dims, const Shapes &shapes, const Lengths &lengths,
                           const std::string &targetCpu, const std::optional<Train> &train) {
  CompileOptions options;
  options.dims = dims;
  options.inputShapes = shapes;
  options.inputLengths = lengths;
  options.targetCpu = targetCpu;
  if (train) {
    options.train.emplace();
    for (const auto &[key, value] : *train) {
      if (key != "loss" && key != "optimizer")
        throw nb::value_error(("training has no option '" + key + "': loss, optimizer").c_str());
      (key == "loss" ? options.train->loss : options.train->optimizer) = value;
    }
  }
  // Ctrl-C ends a compilation at the next phase.
  options.progress = [](std::string_view) {
    nb::gil_scoped_acquire locked;
    return PyErr_CheckSignals() == 0;
  };
  return options;
}

/// Runs `compilation` without the interpreter's lock; its value, or a CompileError or
/// InternalError (or what a signal handler raised).
template <typename Compilation> auto compileUnlocked(Compilation compilation) {
  auto result = [&] {
    nb::gil_scoped_release unlocked;
    return compilation();
  }();
  if (!result) {
    if (PyErr_Occurred())
      throw nb::python_error();
    bool isInternal = result.error().status == NACRE_INTERNAL;
    raise(isInternal ? getExceptions().internalError : getExceptions().compileError, result.error().message);
  }
  return result;
}

Program compileModel(nb::handle source, const Dims &dims, const Shapes &shapes, const Lengths &lengths,
                     const Examples &examples, int32_t threads, const std::string &targetCpu,
                     const std::optional<Train> &train) {
  CompileOptions options = makeOptions(dims, shapes, lengths, targetCpu, train);
  options.examples = examples;
  if (PyBytes_Check(source.ptr())) {
    auto *data = reinterpret_cast<const std::byte *>(PyBytes_AS_STRING(source.ptr()));
    std::span<const std::byte> bytes(data, size_t(PyBytes_GET_SIZE(source.ptr())));
    auto model = compileUnlocked([&] { return compile(bytes, options); });
    return Program(*std::move(model), threads);
  }
  std::string path = nb::cast<std::string>(source);
  auto model = compileUnlocked([&] { return compile(path, options); });
  return Program(*std::move(model), threads);
}

void compileModelToFile(const std::string &path, const std::string &artifact, const Dims &dims,
                        const Shapes &shapes, const Lengths &lengths, const std::string &targetCpu,
                        const std::optional<Train> &train) {
  CompileOptions options = makeOptions(dims, shapes, lengths, targetCpu, train);
  (void)compileUnlocked([&] { return compileToFile(path, artifact, options); });
}

Program loadModel(const std::string &path, int32_t threads) {
  Result<Model> model = Model::load(path);
  if (!model)
    raise(getExceptions().loadError, model.error().message);
  return Program(*std::move(model), threads);
}

std::string describe(const Signature &signature) {
  if (signature.kind != NACRE_VALUE_TENSOR) {
    std::string text = "ValueInfo(name=" + std::string(nb::repr(signature.key).c_str());
    if (signature.kind == NACRE_VALUE_NOTHING)
      return text + ", nothing)";
    for (const Signature &element : signature.elements)
      text += ", " + describe(element);
    return text + ")";
  }
  return "TensorInfo(name=" + std::string(nb::repr(signature.key).c_str()) + ", dtype=" +
         nacre_dtype_name(signature.dtype) + ", shape=" + nb::repr(signature.shape).c_str() + ")";
}

std::string describeProgram(const Program &program) {
  auto list = [](const std::vector<Signature> &signatures) {
    std::string text;
    for (const Signature &signature : signatures)
      text += (text.empty() ? "" : ", ") + signature.name;
    return text;
  };
  return "<nacre.Model (" + list(program.getInputs()) + ") -> (" + list(program.getOutputs()) + ")>";
}

} // namespace

NB_MODULE(_core, module) {
  initArrays();
  initExceptions(module);
  module.attr("__version__") = nacre_version();

  nb::class_<Signature>(module, "TensorInfo", "What an input or an output must look like")
      .def_ro("name", &Signature::name)
      .def_prop_ro("dtype", [](const Signature &s) { return s.kind == NACRE_VALUE_TENSOR ? getDtype(s.dtype) : nb::none(); })
      .def_prop_ro("elements",
                   [](const Signature &s) {
                     return s.kind == NACRE_VALUE_SEQUENCE ? nb::cast(s.elements) : nb::none();
                   },
                   "Of a sequence: its tensors. None of a tensor, and of an optional without an element")
      .def_ro("shape", &Signature::shape, "Sizes; names of dynamic dimensions, or None")
      .def("__repr__", describe);

  nb::class_<Program>(module, "Model",
                      "A compiled model with threads and memory: made by nacre.compile or nacre.load.\n"
                      "Thread-safe: runs may overlap, and other Python threads go on meanwhile.")
      .def("run", &Program::run, nb::arg("inputs"), nb::arg("function") = "main",
           "Runs a function of the model. Inputs: a sequence of arrays, or a dict of them by name;\n"
           "a list of arrays for a sequence, None for an optional without an element.\n"
           "Strings are arrays of Python strings.\n"
           "Returns a list of all outputs in order; a sequence is a list of arrays, an optional\n"
           "without an element None. Raises RunError.")
      .def("__call__", &Program::call, nb::arg("inputs"), nb::arg("named_inputs"),
           "Runs the model on arrays by position, or by name as keywords.\n"
           "Returns the output, or a tuple of them if the model has not exactly one.")
      .def_prop_ro("inputs", &Program::getInputs, nb::rv_policy::copy,
                   "What the model takes: a list of TensorInfo")
      .def_prop_ro("outputs", &Program::getOutputs, nb::rv_policy::copy,
                   "What the model gives: a list of TensorInfo")
      .def_prop_ro("functions", &Program::getFunctions,
                   "The names of the model's functions: main, and step if it can be trained")
      .def_prop_ro("parameters", &Program::getParameters, "The names of the model's parameters")
      .def("read_parameter", &Program::readParameter, nb::arg("name"),
           "A copy of a parameter's value, made between runs")
      .def("write_parameter", &Program::writeParameter, nb::arg("name"), nb::arg("value"),
           "Gives a parameter that training changes another value, between runs")
      .def("set_seed", &Program::setSeed, nb::arg("seed"),
           "Sets what random numbers (RandomNormal, Dropout, ...) are drawn from, and begins to count\n"
           "the runs anew. They depend on the seed, 0 at first, and on how many runs began before")
      .def_prop_ro("threads", &Program::getThreads, "How many threads a run uses at most")
      .def("__repr__", describeProgram);

  module.def("compile", compileModel, nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg(),
             nb::arg(), nb::arg(), nb::arg().none());
  module.def("compile_to_file", compileModelToFile, nb::arg(), nb::arg(), nb::arg(), nb::arg(),
             nb::arg(), nb::arg(), nb::arg().none());
  module.def("load", loadModel);
}
