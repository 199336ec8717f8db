//===- Module.cpp - The extension module of the Python package --*- C++ -*-===//
//
// nacre/__init__.py is its face: what users see, with types and documentation.
//
//===----------------------------------------------------------------------===//
#include "compiler/api/Compiler.h"
#include "frontends/python/Arrays.h"
#include "frontends/python/Builder.h"
#include "frontends/python/Program.h"
#include "frontends/python/Training.h"
#include "runtime/api/nacre_schedule.hpp"

#include <chrono>
#include <memory>
#include <mutex>

#include <nanobind/stl/filesystem.h>
#include <nanobind/stl/map.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

using namespace nacre;
using namespace nacre::python;

namespace {

using Dims = std::map<std::string, int64_t>;
using Shapes = std::map<std::string, std::vector<int64_t>>;

using Lengths = std::map<std::string, std::optional<int64_t>>;
using Examples = std::map<std::string, std::optional<std::vector<std::vector<int64_t>>>>;
using Train = std::map<std::string, std::string>;

/// A schedule and the text that it points into.
class RateSchedule {
public:
  RateSchedule(std::string given, int64_t steps, int64_t perEpoch) : text(std::move(given)) {
    spec::Message why;
    if (!Schedule::parse(text, schedule, why))
      throw nb::value_error(why.c_str());
    schedule.setLength(steps, perEpoch);
  }
  RateSchedule(const RateSchedule &) = delete;
  double rate(double lr, int64_t step) const { return schedule.at(lr, step); }
  void observe(double lr, double metric) { schedule.observe(lr, metric); }

private:
  std::string text;
  Schedule schedule;
};

/// What may be asked for when a model is compiled, in file or in process; the package's
/// functions set what they were given.
struct Request {
  Dims dims;
  Shapes inputShapes;
  Lengths inputLengths;
  std::string precision = "f32", targetCpu, targetTriple;
  bool exactConv = false;
  Shapes specialize; // sizes by name
  std::optional<double> tuneSeconds;
  int32_t tuneThreads = 0;
  Dims tuneSizes;
  std::optional<Decisions> decisions;
  std::optional<Train> train;
  std::optional<std::string> cacheDirectory;
  uint64_t cacheBytes = CompileOptions().cacheBytes;
  std::string reproducer;
  nb::object progress = nb::none(); // or called with a phase, its number and how many there are
  nb::object log = nb::none();      // or called with each line
};

/// Lines of the log on their way from the threads that compile to the one that waits, which
/// alone has to do with Python.
class LogQueue {
public:
  void push(std::string_view line) {
    std::lock_guard<std::mutex> lock(mutex);
    lines.emplace_back(line);
  }
  std::vector<std::string> take() {
    std::lock_guard<std::mutex> lock(mutex);
    return std::exchange(lines, {});
  }

private:
  std::mutex mutex;
  std::vector<std::string> lines;
};

/// `lines` must outlive the compilation.
CompileOptions makeOptions(const Request &request, LogQueue &lines) {
  CompileOptions options;
  options.dims = request.dims;
  options.inputShapes = request.inputShapes;
  options.inputLengths = request.inputLengths;
  options.precision = request.precision;
  options.exactConv = request.exactConv;
  options.specialize = request.specialize;
  options.decisions = request.decisions;
  if (request.tuneSeconds)
    options.tune = {*request.tuneSeconds, request.tuneThreads, request.tuneSizes};
  options.targetCpu = request.targetCpu;
  options.targetTriple = request.targetTriple;
  options.cacheDirectory = request.cacheDirectory;
  options.cacheBytes = request.cacheBytes;
  options.reproducer = request.reproducer;
  if (!request.log.is_none())
    options.log = [&lines](std::string_view line) { lines.push(line); };
  // Of the tests that run generated code under AddressSanitizer (test/e2e/sanitized_run.py).
  options.sanitizeAddress = std::getenv("NACRE_TEST_SANITIZE_ADDRESS") != nullptr;
  if (request.train) {
    options.train.emplace();
    for (const auto &[key, value] : *request.train)
      if (Status set = setTrainOption(*options.train, key, value); !set)
        throw nb::value_error(set.error().message.c_str());
  }
  return options;
}

/// The names of all kinds of files, for a message.
std::string listKinds() {
  std::string names;
  for (Emit kind : kEmitKinds)
    names += (names.empty() ? "" : ", ") + std::string(getName(kind));
  return names;
}

/// A line may have a model's names in it, whose bytes need not be UTF-8.
nb::object toPython(const std::string &line) {
  return nb::steal(PyUnicode_DecodeUTF8(line.data(), Py_ssize_t(line.size()), "replace"));
}

[[noreturn]] void raiseCompileError(const Error &error) {
  Exceptions &e = getExceptions();
  switch (error.status) {
  case NACRE_INTERNAL:
    raise(e.internalError, error.message);
  case NACRE_CANCELLED:
    raise(e.cancelled, error.message);
  case NACRE_IO_ERROR:
    raise(e.writeError, error.message);
  case NACRE_INVALID_ARGUMENT:
    throw nb::value_error(error.message.c_str());
  default:
    raise(e.compileError, error.message);
  }
}

/// Waits for the task without the interpreter's lock, but looks at signals and reports
/// phases and lines meanwhile. What a signal handler (Ctrl-C), `progress` or `log` raises
/// cancels the task.
void await(CompileTask &task, const Request &request, LogQueue &lines) {
  int32_t reported = 0;
  for (bool isDone = false; !isDone;) {
    {
      nb::gil_scoped_release unlocked;
      isDone = task.wait(std::chrono::milliseconds(50));
    }
    try {
      if (PyErr_CheckSignals() != 0)
        throw nb::python_error();
      CompileProgress now = task.progress();
      for (; !request.progress.is_none() && reported < now.number; ++reported) {
        std::string_view phase = getPhaseNames()[size_t(reported)];
        request.progress(nb::str(phase.data(), phase.size()), reported + 1, now.count);
      }
      for (const std::string &line : lines.take())
        request.log(toPython(line));
    } catch (nb::python_error &) {
      nb::gil_scoped_release unlocked;
      task.cancel();
      task.wait();
      throw;
    }
  }
}

Program compileModel(nb::handle source, const Request &request, const Examples &examples, int32_t threads,
                     std::vector<int32_t> cpus) {
  LogQueue lines;
  CompileOptions options = makeOptions(request, lines);
  options.examples = examples;
  auto task = [&] {
    if (!PyBytes_Check(source.ptr()))
      return compileAsync(nb::cast<std::string>(source), options);
    auto *data = reinterpret_cast<const std::byte *>(PyBytes_AS_STRING(source.ptr()));
    return compileAsync(std::vector<std::byte>(data, data + PyBytes_GET_SIZE(source.ptr())), options);
  }();
  await(task, request, lines);
  Result<Model> model = task.take();
  if (!model)
    raiseCompileError(model.error());
  return Program(std::make_shared<Model>(*std::move(model)), {threads, std::move(cpus)});
}

void compileModelToFile(const std::string &path, const std::string &artifact, const std::vector<std::string> &emit,
                        const Request &request) {
  LogQueue lines;
  CompileOptions options = makeOptions(request, lines);
  options.emit.clear();
  for (const std::string &name : emit) {
    std::optional<Emit> kind = parseEmit(name);
    if (!kind)
      throw nb::value_error(("no kind of file is named '" + name + "'; expected " + listKinds()).c_str());
    options.emit.push_back(*kind);
  }
  CompileTask task = compileToFileAsync(path, artifact, std::move(options));
  await(task, request, lines);
  if (Status status = task.status(); !status)
    raiseCompileError(status.error());
}

/// The inputs of a model: (name, whether it lacks a rank, whether it lacks to know if there is an element). None
/// of one that is no ONNX model: what is wrong with it is said when it is compiled.
std::vector<std::tuple<std::string, bool, bool>> listModelInputs(nb::handle source) {
  auto listed = [&] {
    if (!PyBytes_Check(source.ptr()))
      return listInputs(nb::cast<std::string>(source));
    auto *data = reinterpret_cast<const std::byte *>(PyBytes_AS_STRING(source.ptr()));
    return listInputs(std::span(data, size_t(PyBytes_GET_SIZE(source.ptr()))));
  }();
  std::vector<std::tuple<std::string, bool, bool>> result;
  if (listed)
    for (const OpenInput &input : *listed)
      result.emplace_back(input.name, input.lacksRank, input.lacksElement);
  return result;
}

Program loadModel(const std::string &path, int32_t threads, std::vector<int32_t> cpus, bool copyParameters) {
  Result<Model> model = Model::load(path);
  if (!model)
    raise(model.error().status == NACRE_NOT_FOUND ? getExceptions().missingFileError : getExceptions().loadError,
          model.error().message);
  return Program(std::make_shared<Model>(*std::move(model)), {threads, std::move(cpus), copyParameters});
}

bool isMap(const Signature &signature) {
  return signature.kind == NACRE_VALUE_MAP || signature.kind == NACRE_VALUE_MAPS;
}

std::string describe(const Signature &signature) {
  if (signature.kind != NACRE_VALUE_TENSOR) {
    std::string text = "ValueInfo(name=" + std::string(nb::repr(signature.key).c_str());
    if (signature.kind == NACRE_VALUE_NOTHING)
      return text + ", nothing)";
    if (signature.kind == NACRE_VALUE_ANY_RANK)
      text += ", tensor of any rank";
    if (isMap(signature))
      text += signature.kind == NACRE_VALUE_MAP ? ", map" : ", sequence of maps";
    for (const Signature &element : signature.elements)
      text += ", " + describe(element);
    return text + ")";
  }
  return "TensorInfo(name=" + std::string(nb::repr(signature.key).c_str()) + ", dtype=" +
         nacre_dtype_name(signature.dtype) + ", shape=" + nb::repr(signature.shape).c_str() + ")";
}

/// "(x: f32[N, 4], y: f32[N, 4])".
std::string describeShort(const std::vector<Signature> &signatures) {
  std::string text = "(";
  for (const Signature &signature : signatures) {
    text += (text.size() == 1 ? "" : ", ") + signature.name + ": ";
    if (signature.kind == NACRE_VALUE_NOTHING)
      text += "nothing";
    else if (signature.kind == NACRE_VALUE_SEQUENCE)
      text += "sequence of " + std::to_string(signature.elements.size());
    else if (signature.kind == NACRE_VALUE_PACKED)
      text += std::string("sequence of ") + nacre_dtype_name(signature.elements[0].dtype);
    else if (signature.kind == NACRE_VALUE_ANY_RANK)
      text += std::string(nacre_dtype_name(signature.elements[0].dtype)) + " of any rank";
    else if (isMap(signature))
      text += std::string(signature.kind == NACRE_VALUE_MAP ? "map" : "sequence of maps") + " from " +
              nacre_dtype_name(signature.elements[0].dtype) + " to " + nacre_dtype_name(signature.elements[1].dtype);
    else {
      text += std::string(nacre_dtype_name(signature.dtype)) + "[";
      for (size_t i = 0; i < nb::len(signature.shape); ++i) {
        nb::object size = signature.shape[i];
        text += i ? ", " : "";
        text += size.is_none() ? "?" : nb::str(size).c_str();
      }
      text += "]";
    }
  }
  return text + ")";
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
  bindBuilder(module);

  nb::class_<Signature>(module, "TensorInfo", "What an input or an output must look like")
      .def_ro("name", &Signature::name)
      .def_prop_ro("dtype", [](const Signature &s) { return s.kind == NACRE_VALUE_TENSOR ? getDtype(s.dtype) : nb::none(); })
      .def_prop_ro("elements",
                   [](const Signature &s) {
                     return s.kind == NACRE_VALUE_SEQUENCE || isMap(s) ? nb::cast(s.elements) : nb::none();
                   },
                   "Of a sequence: its tensors. Of maps: their keys and values. None of a tensor, and of an optional "
                   "without an element")
      .def_ro("shape", &Signature::shape, "Sizes; names of dynamic dimensions, or None")
      .def("__repr__", describe);

  nb::class_<FunctionSignature>(module, "Signature", "What a model takes and gives")
      .def_ro("inputs", &FunctionSignature::inputs, "A list of TensorInfo")
      .def_ro("outputs", &FunctionSignature::outputs, "A list of TensorInfo")
      .def("__repr__", [](const FunctionSignature &signature) {
        return describeShort(signature.inputs) + " -> " + describeShort(signature.outputs);
      });

  nb::class_<Request>(module, "_Request")
      .def(nb::init<>())
      .def_rw("dims", &Request::dims)
      .def_rw("input_shapes", &Request::inputShapes)
      .def_rw("input_lengths", &Request::inputLengths)
      .def_rw("precision", &Request::precision)
      .def_rw("exact_conv", &Request::exactConv)
      .def_rw("specialize", &Request::specialize)
      .def_rw("tune_seconds", &Request::tuneSeconds, nb::arg().none())
      .def_rw("tune_threads", &Request::tuneThreads)
      .def_rw("tune_sizes", &Request::tuneSizes)
      .def_rw("decisions", &Request::decisions, nb::arg().none())
      .def_rw("target_cpu", &Request::targetCpu)
      .def_rw("target_triple", &Request::targetTriple)
      .def_rw("train", &Request::train, nb::arg().none())
      .def_rw("cache_dir", &Request::cacheDirectory, nb::arg().none())
      .def_rw("cache_bytes", &Request::cacheBytes)
      .def_rw("reproducer", &Request::reproducer)
      .def_rw("progress", &Request::progress, nb::arg().none())
      .def_rw("log", &Request::log, nb::arg().none());

  nb::class_<Program>(module, "Model",
                      "A compiled model with threads and memory: made by nacre.compile or nacre.load.\n"
                      "Thread-safe: runs may overlap, and other Python threads go on meanwhile.")
      .def("run", &Program::run, nb::arg("inputs"), nb::arg("function") = "main", nb::arg("out") = nb::none(),
           "Runs a function of the model. Inputs: a sequence of arrays, or a dict of them by name;\n"
           "a list of arrays for a sequence, None for an optional without an element.\n"
           "Strings are arrays of Python strings. Arrays are NumPy's, or anything with __dlpack__\n"
           "(PyTorch, JAX) in this machine's memory; both are read where they are, unless they have\n"
           "gaps or another order: then a copy is.\n"
           "out: arrays to write outputs into, of their shapes, row-major: a sequence (None where the\n"
           "run shall make an array) or a dict by name.\n"
           "Returns a list of all outputs in order; a sequence is a list of arrays, an optional\n"
           "without an element None; with `out`, the arrays given there. Raises InputError,\n"
           "OutOfMemoryError, Cancelled or another RunError; the model can be used on.")
      .def("__call__", &Program::call, nb::arg("inputs"), nb::arg("named_inputs"),
           "Runs the model on arrays by position, or by name as keywords.\n"
           "Returns the output, or a tuple of them if the model has not exactly one.")
      .def_prop_ro("inputs", &Program::getInputs, nb::rv_policy::copy,
                   "What the model takes: a list of TensorInfo")
      .def_prop_ro("outputs", &Program::getOutputs, nb::rv_policy::copy,
                   "What the model gives: a list of TensorInfo")
      .def_prop_ro("provenance",
                   [](const Program &program) {
                     return nb::module_::import_("json").attr("loads")(toPython(program.getProvenance()));
                   },
                   "What the model was compiled from, and with which options and decisions")
      .def_prop_ro("target_cpu", &Program::getTargetCpu,
                   "LLVM's name of the CPU that the code is for; of a file for several, what was chosen")
      .def_prop_ro("target_cpus", &Program::getTargetCpus, "The CPUs that there is code for, the best first")
      .def_prop_ro("functions", &Program::getFunctions,
                   "The names of the model's functions: main; step and evaluate if it can be trained")
      .def_prop_ro("signatures", &Program::getSignatures, "What each function takes and gives, by its name")
      .def_prop_ro("parameters", &Program::getParameters, "The names of the model's parameters")
      .def("read_parameter", &Program::readParameter, nb::arg("name"),
           "A copy of a parameter's value, made between runs")
      .def("view_parameter", [](nb::handle self, const std::string &name) {
             return nb::cast<Program &>(self).viewParameter(name, self);
           }, nb::arg("name"),
           "The parameter itself as a read-only array, without a copy: it shows what runs make of it,\n"
           "and must not be looked at during one")
      .def("write_parameter", &Program::writeParameter, nb::arg("name"), nb::arg("value"),
           "Gives a parameter that training changes another value, between runs")
      .def("set_seed", &Program::setSeed, nb::arg("seed"),
           "Sets what random numbers (RandomNormal, Dropout, ...) are drawn from, and begins to count\n"
           "the runs anew. They depend on the seed, 0 at first, and on how many runs began before")
      .def_prop_rw("random_state", &Program::getRandomState, &Program::setRandomState,
                   "What the next run's random numbers depend on: a tuple of the seed and of how many runs\n"
                   "began since it was set")
      .def("save_parameters", &Program::saveParameters, nb::arg("path"), nb::arg("metadata") = Session::Metadata(),
           "Writes the parameters that training changes (weights, running statistics, the optimizer's\n"
           "state, moving averages) by their names as a .safetensors file, between runs. metadata: texts\n"
           "that go with them. The file appears complete or not at all. Raises WriteError.")
      .def("load_parameters", &Program::loadParameters, nb::arg("path"), nb::arg("allow_missing_state") = false,
           nb::arg("allow_others") = false,
           "Sets them to what a .safetensors file has, whoever wrote it, between runs; returns the\n"
           "metadata. The file is checked before anything changes: it must have exactly these parameters\n"
           "with their types and shapes. allow_missing_state: what training keeps beside the weights may\n"
           "be missing, and stays; allow_others: the file may have tensors of other names. Raises LoadError.")
      .def_prop_ro("signature",
                   [](const Program &program) {
                     return FunctionSignature{program.getInputs(), program.getOutputs()};
                   },
                   "What the model takes and gives: inputs and outputs; printed as one line")
      .def("cancel", &Program::cancel,
           "Ends the runs in flight within a second: they raise Cancelled. From any thread;\n"
           "Ctrl-C does the same to a run on the main thread, which raises KeyboardInterrupt")
      .def("new_session", &Program::makeSession, nb::arg("threads") = 0, nb::arg("cpus") = std::vector<int32_t>(),
           "Another model with threads and memory of its own, and the same code and weights, which\n"
           "are in memory once; parameters that training changes begin anew")
      .def("profile", [](nb::handle self) { return nb::module_::import_("nacre._profile").attr("Profile")(self); },
           "A context manager that measures the runs inside of it: its `kernels` say how long each\n"
           "took, its `write_trace(path)` writes a Chrome trace")
      .def("_set_profiling", &Program::setProfiling)
      .def("_reset_profile", &Program::resetProfile)
      .def("_kernel_times", &Program::getKernelTimes)
      .def("_write_trace", &Program::writeTrace)
      .def_prop_ro("threads", &Program::getThreads, "How many threads a run uses at most")
      .def("__repr__", describeProgram);

  nb::class_<RateSchedule>(module, "Schedule",
                           "A learning rate over a training: `model.run(..., function=\"step\")` takes it as an\n"
                           "input. text is as in \"cosine:warmup=100\" (docs/training.md lists what there is); steps is\n"
                           "the number of steps in all, steps_per_epoch those of an epoch. Not thread-safe.")
      .def(nb::init<std::string, int64_t, int64_t>(), nb::arg("text"), nb::arg("steps"), nb::arg("steps_per_epoch") = 1)
      .def("rate", &RateSchedule::rate, nb::arg("lr"), nb::arg("step"),
           "The rate of a step, counted from 0; lr is the optimiser's")
      .def("observe", &RateSchedule::observe, nb::arg("lr"), nb::arg("metric"),
           "Tells the schedule `plateau` how good an epoch was; others do not mind");

  bindTraining(module);
  module.def("compile", compileModel);
  module.def("list_inputs", listModelInputs);
  module.def("compile_to_file", compileModelToFile);
  module.def("load", loadModel);
}
