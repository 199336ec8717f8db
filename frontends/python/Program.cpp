//===- Program.cpp - A model ready to run, for Python -----------*- C++ -*-===//
#include "frontends/python/Program.h"
#include "frontends/python/Arrays.h"
#include "frontends/python/Interrupt.h"
#include "frontends/python/Values.h"

#include <algorithm>

using namespace nacre;
using namespace nacre::python;

namespace {

Session createSession(const Model &model, const Program::Options &options) {
  Result<Session> session = Session::create(model, {.threads = options.threads, .cpus = options.cpus, .copyParameters = options.copyParameters});
  if (!session) {
    if (session.error().status == NACRE_INVALID_ARGUMENT)
      throw nb::value_error(session.error().message.c_str());
    raiseRunError(session.error().status, session.error().message);
  }
  return *std::move(session);
}

std::vector<Signature> describe(const std::vector<TensorInfo> &infos) {
  std::vector<Signature> result;
  for (const TensorInfo &info : infos) {
    nb::list shape;
    for (const Dim &dim : info.dims) {
      if (dim.size >= 0)
        shape.append(dim.size);
      else if (dim.symbol.empty())
        shape.append(nb::none());
      else
        shape.append(nb::str(dim.symbol.data(), dim.symbol.size()));
    }
    std::string name(info.name);
    nb::object key = nb::str(name.data(), name.size());
    result.push_back({std::move(name), info.dtype, std::move(key), nb::tuple(shape), NACRE_VALUE_TENSOR, {}});
  }
  return result;
}

/// Inputs or outputs as the model's author sees them.
std::vector<Signature> describe(const std::vector<TensorInfo> &infos, const std::vector<ValueInfo> &infosOfValues) {
  std::vector<Signature> tensors = describe(infos), values;
  for (const ValueInfo &value : infosOfValues) {
    auto first = tensors.begin() + value.first;
    if (value.kind == NACRE_VALUE_TENSOR) {
      values.push_back(*first);
      continue;
    }
    nb::object key = nb::str(value.name.data(), value.name.size());
    values.push_back({std::string(value.name), NACRE_UNDEFINED, std::move(key), nb::tuple(), value.kind,
                       {first, first + value.count}});
  }
  return values;
}

/// Refuses a value of another length than the model was compiled for.
[[noreturn]] void raiseLength(const ValueInfo &input, const std::string &found, const std::string &length) {
  std::string name(input.name);
  std::string expected = input.kind == NACRE_VALUE_NOTHING    ? "none"
                         : input.kind == NACRE_VALUE_PACKED   ? "a list of arrays"
                         : input.kind == NACRE_VALUE_SEQUENCE ? "a list of " + std::to_string(input.count) + " arrays"
                                                              : "an array";
  raise(getExceptions().inputError, "input '" + name + "': found " + found + ", the model was compiled for " + expected +
                                      (length.empty() ? "" : "; compile it again with input_lengths={'" + name + "': " +
                                                                 length + "}"));
}

/// What an optional holds that has no element: zeros, none of them where sizes are open.
nb::object makeStandIn(const Signature &tensor) {
  nb::list shape;
  for (nb::handle size : tensor.shape)
    shape.append(nb::isinstance<nb::int_>(size) ? nb::borrow(size) : nb::int_(0));
  nb::object fill = tensor.dtype == NACRE_STRING ? nb::object(nb::str("")) : nb::object(nb::int_(0));
  return nb::module_::import_("numpy").attr("full")(nb::tuple(shape), fill, getDtype(tensor.dtype));
}

/// The arrays that an input's value is made of, to the end of `arrays`.
void flatten(const ValueInfo &input, const Signature &signature, nb::handle value, std::vector<nb::object> &arrays);

/// Of an optional of which only a run tells whether it has an element.
void flattenMaybe(ValueInfo input, const Signature &signature, nb::handle value, std::vector<nb::object> &arrays) {
  input.isMaybe = false;
  --input.count;
  if (!value.is_none())
    flatten(input, signature, value, arrays);
  else if (input.kind == NACRE_VALUE_TENSOR)
    arrays.push_back(makeStandIn(signature));
  else
    for (int32_t i = 0; i < input.count; ++i)
      arrays.push_back(makeStandIn(signature.elements[size_t(i)]));
  arrays.push_back(nb::module_::import_("numpy").attr("bool_")(!value.is_none()));
}

void flatten(const ValueInfo &input, const Signature &signature, nb::handle value, std::vector<nb::object> &arrays) {
  if (input.isMaybe)
    return flattenMaybe(input, signature, value, arrays);
  if (input.kind == NACRE_VALUE_MAP)
    return flattenMap(signature, value, arrays);
  bool isList = PyList_Check(value.ptr()) || PyTuple_Check(value.ptr());
  bool isPlain = input.kind == NACRE_VALUE_TENSOR && !input.isOptional;
  if (isPlain || (input.kind == NACRE_VALUE_TENSOR && !value.is_none())) {
    arrays.push_back(nb::borrow(value));
  } else if (value.is_none()) {
    if (input.kind != NACRE_VALUE_NOTHING)
      raiseLength(input, "none", input.isOptional ? "None" : "");
  } else if (input.kind == NACRE_VALUE_NOTHING) {
    raiseLength(input, isList ? "a list of " + std::to_string(PySequence_Size(value.ptr())) + " arrays" : "an array",
                isList ? std::to_string(PySequence_Size(value.ptr())) : "1");
  } else if (!isList) {
    raiseLength(input, std::string("a ") + Py_TYPE(value.ptr())->tp_name, "");
  } else if (input.kind == NACRE_VALUE_PACKED) {
    flattenSequence(signature, value, arrays);
  } else {
    Py_ssize_t count = PySequence_Size(value.ptr());
    if (count != input.count)
      raiseLength(input, "a list of " + std::to_string(count) + " arrays", std::to_string(count));
    for (Py_ssize_t i = 0; i < count; ++i)
      arrays.push_back(nb::steal(PySequence_GetItem(value.ptr(), i)));
  }
}

/// Refuses an array that has another shape than the output which was written into it.
void checkWritten(const ValueInfo &value, const nacre_tensor &array, const nacre_tensor &output) {
  if (array.rank != output.rank || !std::equal(array.dims, array.dims + array.rank, output.dims))
    raise(getExceptions().inputError, "output '" + std::string(value.name) + "': its shape is " +
                                          toString(TensorView(output)) + ", that of the array for it " +
                                          toString(TensorView(array)));
}

/// Outputs of a run; what is not handed over is given back.
struct Outputs {
  explicit Outputs(size_t count) : tensors(count) {}
  ~Outputs() {
    for (nacre_tensor &tensor : tensors)
      nacre_tensor_release(&tensor);
  }
  std::vector<nacre_tensor> tensors;
};

} // namespace

Exceptions &nacre::python::getExceptions() {
  static Exceptions exceptions = {};
  return exceptions;
}

void nacre::python::initExceptions(nb::module_ &module) {
  auto add = [&](const char *name, const char *doc, PyObject *base, PyObject *builtin = nullptr) {
    std::string qualified = std::string("nacre.") + name;
    nb::object bases = builtin ? nb::make_tuple(nb::handle(base), nb::handle(builtin)) : nb::borrow(base);
    PyObject *exception = PyErr_NewExceptionWithDoc(qualified.c_str(), doc, bases.ptr(), nullptr);
    if (!exception)
      throw nb::python_error();
    module.attr(name) = nb::borrow(exception);
    return exception;
  };
  Exceptions &e = getExceptions();
  e.error = add("Error", "Any failure of Nacre", PyExc_Exception);
  e.compileError = add("CompileError", "A model that cannot be compiled, and all reasons", e.error);
  e.writeError = add("WriteError", "A file that cannot be written", e.compileError, PyExc_OSError);
  e.graphError = add("GraphError", "A graph that is being written has a node that does not fit", e.compileError, PyExc_ValueError);
  e.internalError = add("InternalError", "A fault of the compiler's own: please report it", e.error);
  e.loadError = add("LoadError", "A file that is no artefact for this machine, or no checkpoint of the model", e.error);
  e.missingFileError = add("MissingFileError", "There is no such file", e.loadError, PyExc_FileNotFoundError);
  e.runError = add("RunError", "Inputs that do not fit, or a failure during a run", e.error);
  e.inputError = add("InputError", "Inputs or outputs that do not fit: their number, names, types, shapes or values",
                     e.runError, PyExc_ValueError);
  e.outOfMemoryError = add("OutOfMemoryError", "A run needs more memory than there is", e.runError, PyExc_MemoryError);
  e.cancelled = add("Cancelled", "A run or a compilation that was cancelled", e.error);
}

void nacre::python::raise(PyObject *exception, const std::string &message) {
  // Messages may quote bytes of a broken model.
  PyObject *text = PyUnicode_DecodeUTF8(message.data(), Py_ssize_t(message.size()), "replace");
  if (text) {
    PyErr_SetObject(exception, text);
    Py_DECREF(text);
  }
  throw nb::python_error();
}

void nacre::python::raiseRunError(nacre_status status, const std::string &message) {
  Exceptions &e = getExceptions();
  switch (status) {
  case NACRE_INVALID_SHAPE:
  case NACRE_INVALID_VALUE:
  case NACRE_INVALID_ARGUMENT:
  case NACRE_NOT_FOUND:
    raise(e.inputError, message);
  case NACRE_OUT_OF_MEMORY:
    raise(e.outOfMemoryError, message);
  case NACRE_CANCELLED:
    raise(e.cancelled, message);
  case NACRE_INTERNAL:
    raise(e.internalError, message);
  default:
    raise(e.runError, message);
  }
}

Program::Program(std::shared_ptr<Model> given, const Options &options)
    : model(std::move(given)), session(createSession(*model, options)) {
  for (const Function &function : model->functions())
    functions.push_back({std::string(function.name), describe(function.inputs, function.inputValues),
                         describe(function.outputs, function.outputValues), function.inputValues,
                         function.outputValues, function.outputs.size()});
  if (functions.empty())
    raise(getExceptions().error, "the model has no function");
}

std::string Program::getTargetCpu() const { return model->info().target_cpu; }

std::vector<std::string> Program::getTargetCpus() const {
  std::vector<std::string> names;
  for (const nacre_version_info &version : model->versions())
    names.push_back(version.target_cpu);
  return names;
}

std::vector<std::string> Program::getFunctions() const {
  std::vector<std::string> names;
  for (const Entry &function : functions)
    names.push_back(function.name);
  return names;
}

std::vector<std::string> Program::getParameters() const {
  std::vector<std::string> names;
  for (const TensorInfo &info : model->parameters())
    names.emplace_back(info.name);
  return names;
}

int32_t Program::findParameter(const std::string &name) const {
  Result<int32_t> index = model->findParameter(name);
  if (!index)
    raiseRunError(index.error().status, index.error().message);
  return *index;
}

nb::object Program::readParameter(const std::string &name) {
  int32_t index = findParameter(name);
  nacre_tensor_info info = {};
  nacre_model_get_parameter(model->get(), index, &info);
  auto [array, data, size] = makeArray(info);
  if (nacre_status status = nacre_session_read_parameter(session.get(), index, data, size))
    raiseRunError(status, nacre_last_error());
  return array;
}

nb::object Program::viewParameter(const std::string &name, nb::handle self) {
  nacre_tensor tensor = {};
  if (nacre_status status = nacre_session_get_parameter(session.get(), findParameter(name), &tensor))
    raiseRunError(status, nacre_last_error());
  return viewArray(tensor, self);
}

std::map<std::string, FunctionSignature> Program::getSignatures() const {
  std::map<std::string, FunctionSignature> signatures;
  for (const Entry &function : functions)
    signatures[function.name] = {function.inputs, function.outputs};
  return signatures;
}

void Program::writeParameter(const std::string &name, nb::handle value) {
  int32_t index = findParameter(name);
  InputMemory memory;
  nacre_tensor tensor = toTensor(value, memory);
  if (nacre_status status = nacre_session_write_parameter(session.get(), index, &tensor))
    raiseRunError(status, nacre_last_error());
}

void Program::setRandomState(std::pair<uint64_t, int64_t> state) {
  if (Status set = session.setRandomState(state.first, state.second); !set)
    raiseRunError(set.error().status, set.error().message);
}

void Program::saveParameters(const std::filesystem::path &path, const Session::Metadata &metadata) {
  Status saved;
  {
    nb::gil_scoped_release release;
    saved = session.save(path.string(), metadata);
  }
  if (!saved)
    raise(saved.error().status == NACRE_IO_ERROR ? getExceptions().writeError : getExceptions().inputError,
          saved.error().message);
}

Session::Metadata Program::loadParameters(const std::filesystem::path &path, bool allowMissingState, bool allowOthers) {
  uint32_t flags = (allowMissingState ? NACRE_LOAD_WITHOUT_STATE : 0) | (allowOthers ? NACRE_LOAD_OTHER_TENSORS : 0);
  auto load = [&] {
    nb::gil_scoped_release release;
    return session.load(path.string(), flags);
  };
  Result<Session::Metadata> metadata = load();
  if (!metadata) {
    Exceptions &e = getExceptions();
    nacre_status status = metadata.error().status;
    raise(status == NACRE_NOT_FOUND       ? e.missingFileError
          : status == NACRE_OUT_OF_MEMORY ? e.outOfMemoryError
                                          : e.loadError,
          metadata.error().message);
  }
  return *std::move(metadata);
}

std::vector<nb::object> Program::collectByName(const Entry &function, nb::handle given) {
  std::vector<nb::object> values;
  Py_ssize_t found = 0;
  for (size_t i = 0; i < function.inputs.size(); ++i) {
    const Signature &input = function.inputs[i];
    PyObject *value = PyDict_GetItemWithError(given.ptr(), input.key.ptr());
    if (!value) {
      if (PyErr_Occurred())
        throw nb::python_error();
      if (input.kind == NACRE_VALUE_NOTHING || function.inputValues[i].isMaybe) { // may be left out
        values.push_back(nb::none());
        continue;
      }
      raise(getExceptions().inputError, "input '" + input.name + "' is missing");
    }
    ++found;
    values.push_back(nb::borrow(value));
  }
  if (PyDict_Size(given.ptr()) != found)
    for (auto [key, value] : nb::borrow<nb::dict>(given)) {
      bool known = false;
      for (const Signature &input : function.inputs)
        known |= key.equal(input.key);
      if (!known)
        raise(getExceptions().inputError,
              std::string("the model has no input ") + nb::repr(key).c_str());
    }
  return values;
}

std::vector<nb::object> Program::collect(const Entry &function, nb::handle given) {
  if (PyDict_Check(given.ptr()))
    return collectByName(function, given);
  nb::object sequence =
      nb::steal(PySequence_Fast(given.ptr(), "inputs must be a sequence or a dict of arrays"));
  if (!sequence.is_valid())
    throw nb::python_error();
  size_t count = PySequence_Fast_GET_SIZE(sequence.ptr());
  if (count != function.inputs.size())
    raise(getExceptions().inputError, "the model has " + std::to_string(function.inputs.size()) +
                                          " inputs, found " + std::to_string(count));
  std::vector<nb::object> values;
  for (size_t i = 0; i < count; ++i)
    values.push_back(nb::borrow(PySequence_Fast_GET_ITEM(sequence.ptr(), Py_ssize_t(i))));
  return values;
}

/// The arrays to write tensors into, invalid ones where the run makes its own.
std::vector<nb::object> Program::collectOutputs(const Entry &function, nb::handle given) {
  std::vector<nb::object> arrays(function.tensorCount);
  if (given.is_none())
    return arrays;
  auto put = [&](size_t index, nb::handle array) {
    const ValueInfo &value = function.outputValues[index];
    if (value.kind != NACRE_VALUE_TENSOR)
      raise(getExceptions().inputError, "output '" + function.outputs[index].name + "' is no tensor: it has no array");
    if (!array.is_none())
      arrays[size_t(value.first)] = nb::borrow(array);
  };
  if (PyDict_Check(given.ptr())) {
    for (auto [key, array] : nb::borrow<nb::dict>(given)) {
      size_t index = 0;
      while (index < function.outputs.size() && !key.equal(function.outputs[index].key))
        ++index;
      if (index == function.outputs.size())
        raise(getExceptions().inputError, std::string("the model has no output ") + nb::repr(key).c_str());
      put(index, array);
    }
    return arrays;
  }
  if (!PyList_Check(given.ptr()) && !PyTuple_Check(given.ptr()))
    throw nb::type_error("out must be a list, tuple or dict of arrays");
  nb::sequence list = nb::borrow<nb::sequence>(given);
  if (nb::len(list) != function.outputs.size())
    raise(getExceptions().inputError, "the model has " + std::to_string(function.outputs.size()) +
                                          " outputs, found " + std::to_string(nb::len(list)) + " arrays for them");
  for (size_t i = 0; i < function.outputs.size(); ++i)
    put(i, nb::object(list[i]));
  return arrays;
}

nb::list Program::run(nb::handle given, const std::string &name, nb::handle out) {
  Result<int32_t> index = model->findFunction(name);
  if (!index)
    raiseRunError(index.error().status, index.error().message);
  const Entry &function = functions[size_t(*index)];
  std::vector<nb::object> inputs = collect(function, given), values;
  for (size_t i = 0; i < inputs.size(); ++i)
    flatten(function.inputValues[i], function.inputs[i], inputs[i], values);
  std::vector<InputMemory> memory(values.size());
  std::vector<nacre_tensor> tensors(values.size());
  for (size_t i = 0; i < values.size(); ++i)
    tensors[i] = toTensor(values[i], memory[i]);
  Outputs results(function.tensorCount);
  std::vector<nb::object> targets = collectOutputs(function, out);
  std::vector<InputMemory> targetMemory(targets.size());
  for (size_t i = 0; i < targets.size(); ++i)
    if (targets[i].is_valid())
      results.tensors[i] = toOutput(targets[i], targetMemory[i]);
  std::vector<nacre_tensor> asked = results.tensors;
  for (nacre_tensor &tensor : results.tensors)
    if (tensor.size == 0)
      tensor = {}; // nothing will be written
  nacre_status status;
  std::string message;
  {
    nb::gil_scoped_release unlocked;
    CancelOnInterrupt interruptible(session.get());
    status = nacre_session_run(session.get(), *index, tensors.data(), int32_t(tensors.size()),
                               results.tensors.data(), int32_t(results.tensors.size()));
    if (status != NACRE_OK)
      message = nacre_last_error();
  }
  if (status == NACRE_CANCELLED && PyErr_CheckSignals() != 0)
    throw nb::python_error(); // KeyboardInterrupt
  if (status != NACRE_OK)
    raiseRunError(status, message);
  nb::list list;
  for (const ValueInfo &value : function.outputValues) {
    nb::list arrays;
    for (int32_t i = 0; i < value.count; ++i) {
      size_t tensor = size_t(value.first + i);
      if (targets[tensor].is_valid())
        checkWritten(value, asked[tensor], results.tensors[tensor]);
      arrays.append(targets[tensor].is_valid() ? targets[tensor] : toArray(results.tensors[tensor]));
    }
    if (value.isMaybe && !nb::cast<bool>(nb::object(arrays[size_t(value.count) - 1]).attr("item")()))
      list.append(nb::none());
    else if (value.kind == NACRE_VALUE_PACKED)
      list.append(unpackSequence(nb::object(arrays[0]), nb::object(arrays[1])));
    else if (value.kind == NACRE_VALUE_ANY_RANK)
      list.append(nb::object(arrays[0].attr("reshape")(nb::tuple(nb::object(arrays[1].attr("tolist")())))));
    else if (value.kind == NACRE_VALUE_MAP)
      list.append(makeMap(nb::object(arrays[0]), nb::object(arrays[1])));
    else if (value.kind == NACRE_VALUE_MAPS)
      list.append(makeMaps(nb::object(arrays[0]), nb::object(arrays[1])));
    else if (value.kind == NACRE_VALUE_SEQUENCE && value.isMaybe)
      list.append(nb::object(arrays.attr("__getitem__")(nb::slice(0, value.count - 1))));
    else if (value.kind == NACRE_VALUE_SEQUENCE)
      list.append(arrays);
    else
      list.append(value.count ? nb::object(arrays[0]) : nb::none());
  }
  return list;
}

nb::object Program::call(nb::args given, nb::kwargs named) {
  if (given.size() && named.size())
    raise(getExceptions().inputError, "inputs are given by position or by name, not both");
  nb::list arrays = run(named.size() ? nb::handle(named) : nb::handle(given), functions.front().name, nb::none());
  return arrays.size() == 1 ? nb::object(arrays[0]) : nb::object(nb::tuple(arrays));
}

void Program::setProfiling(int32_t mode) { session.setProfiling(nacre_profiling(mode)); }

nb::list Program::getKernelTimes() {
  nb::list list;
  std::vector<nacre_kernel_info> kernels = model->kernels();
  for (size_t i = 0; i < kernels.size(); ++i) {
    nacre_kernel_time time = session.kernelTime(int32_t(i));
    if (time.launches == 0)
      continue;
    nb::dict kernel;
    kernel["name"] = kernels[i].name;
    kernel["nodes"] = nb::str(kernels[i].nodes);
    kernel["flops"] = kernels[i].flops;
    kernel["bytes"] = kernels[i].bytes;
    kernel["launches"] = time.launches;
    kernel["total_ns"] = time.total_ns;
    kernel["min_ns"] = time.min_ns;
    kernel["max_ns"] = time.max_ns;
    list.append(kernel);
  }
  return list;
}

void Program::writeTrace(const std::string &path) {
  if (Status status = session.writeTrace(path); !status)
    raise(getExceptions().writeError, status.error().message);
}
