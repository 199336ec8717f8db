//===- Program.cpp - A model ready to run, for Python -----------*- C++ -*-===//
#include "frontends/python/Program.h"
#include "frontends/python/Arrays.h"

using namespace nacre;
using namespace nacre::python;

namespace {

Session createSession(const Model &model, int32_t threads) {
  Result<Session> session = Session::create(model, {.threads = threads});
  if (!session)
    raise(getExceptions().error, session.error().message);
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
                         : input.kind == NACRE_VALUE_SEQUENCE ? "a list of " + std::to_string(input.count) + " arrays"
                                                              : "an array";
  raise(getExceptions().runError, "input '" + name + "': found " + found + ", the model was compiled for " + expected +
                                      (length.empty() ? "" : "; compile it again with input_lengths={'" + name + "': " +
                                                                 length + "}"));
}

/// The arrays that an input's value is made of, to the end of `arrays`.
void flatten(const ValueInfo &input, nb::handle value, std::vector<nb::object> &arrays) {
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
  } else {
    Py_ssize_t count = PySequence_Size(value.ptr());
    if (count != input.count)
      raiseLength(input, "a list of " + std::to_string(count) + " arrays", std::to_string(count));
    for (Py_ssize_t i = 0; i < count; ++i)
      arrays.push_back(nb::steal(PySequence_GetItem(value.ptr(), i)));
  }
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
  auto add = [&](const char *name, const char *doc, PyObject *base) {
    std::string qualified = std::string("nacre.") + name;
    PyObject *exception = PyErr_NewExceptionWithDoc(qualified.c_str(), doc, base, nullptr);
    if (!exception)
      throw nb::python_error();
    module.attr(name) = nb::borrow(exception);
    return exception;
  };
  Exceptions &e = getExceptions();
  e.error = add("Error", "Any failure of Nacre", nullptr);
  e.compileError = add("CompileError", "A model that cannot be compiled, and all reasons", e.error);
  e.internalError = add("InternalError", "A fault of the compiler's own: please report it", e.error);
  e.loadError = add("LoadError", "A file that is no artefact for this machine", e.error);
  e.runError = add("RunError", "Inputs that do not fit, or a failure during a run", e.error);
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

Program::Program(Model given, int32_t threads)
    : model(std::move(given)), session(createSession(model, threads)) {
  for (const Function &function : model.functions())
    functions.push_back({std::string(function.name), describe(function.inputs, function.inputValues),
                         describe(function.outputs, function.outputValues), function.inputValues,
                         function.outputValues, function.outputs.size()});
  if (functions.empty())
    raise(getExceptions().error, "the model has no function");
}

std::vector<std::string> Program::getFunctions() const {
  std::vector<std::string> names;
  for (const Entry &function : functions)
    names.push_back(function.name);
  return names;
}

std::vector<std::string> Program::getParameters() const {
  std::vector<std::string> names;
  for (const TensorInfo &info : model.parameters())
    names.emplace_back(info.name);
  return names;
}

int32_t Program::findParameter(const std::string &name) const {
  Result<int32_t> index = model.findParameter(name);
  if (!index)
    raise(getExceptions().runError, index.error().message);
  return *index;
}

nb::object Program::readParameter(const std::string &name) {
  int32_t index = findParameter(name);
  nacre_tensor_info info = {};
  nacre_model_get_parameter(model.get(), index, &info);
  auto [array, data, size] = makeArray(info);
  if (nacre_session_read_parameter(session.get(), index, data, size) != NACRE_OK)
    raise(getExceptions().runError, nacre_last_error());
  return array;
}

void Program::writeParameter(const std::string &name, nb::handle value) {
  int32_t index = findParameter(name);
  InputMemory memory;
  nacre_tensor tensor = toTensor(value, memory);
  if (nacre_session_write_parameter(session.get(), index, &tensor) != NACRE_OK)
    raise(getExceptions().runError, nacre_last_error());
}

std::vector<nb::object> Program::collectByName(const Entry &function, nb::handle given) {
  std::vector<nb::object> values;
  Py_ssize_t found = 0;
  for (const Signature &input : function.inputs) {
    PyObject *value = PyDict_GetItemWithError(given.ptr(), input.key.ptr());
    if (!value) {
      if (PyErr_Occurred())
        throw nb::python_error();
      if (input.kind == NACRE_VALUE_NOTHING) { // may be left out
        values.push_back(nb::none());
        continue;
      }
      raise(getExceptions().runError, "input '" + input.name + "' is missing");
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
        raise(getExceptions().runError,
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
    raise(getExceptions().runError, "the model has " + std::to_string(function.inputs.size()) +
                                        " inputs, found " + std::to_string(count));
  std::vector<nb::object> values;
  for (size_t i = 0; i < count; ++i)
    values.push_back(nb::borrow(PySequence_Fast_GET_ITEM(sequence.ptr(), Py_ssize_t(i))));
  return values;
}

nb::list Program::run(nb::handle given, const std::string &name) {
  Result<int32_t> index = model.findFunction(name);
  if (!index)
    raise(getExceptions().runError, index.error().message);
  const Entry &function = functions[size_t(*index)];
  std::vector<nb::object> inputs = collect(function, given), values;
  for (size_t i = 0; i < inputs.size(); ++i)
    flatten(function.inputValues[i], inputs[i], values);
  std::vector<InputMemory> memory(values.size());
  std::vector<nacre_tensor> tensors(values.size());
  for (size_t i = 0; i < values.size(); ++i)
    tensors[i] = toTensor(values[i], memory[i]);
  Outputs results(function.tensorCount);
  nacre_status status;
  std::string message;
  {
    nb::gil_scoped_release unlocked;
    status = nacre_session_run(session.get(), *index, tensors.data(), int32_t(tensors.size()),
                               results.tensors.data(), int32_t(results.tensors.size()));
    if (status != NACRE_OK)
      message = nacre_last_error();
  }
  if (status != NACRE_OK)
    raise(getExceptions().runError, message);
  nb::list list;
  for (const ValueInfo &value : function.outputValues) {
    nb::list arrays;
    for (int32_t i = 0; i < value.count; ++i)
      arrays.append(toArray(results.tensors[size_t(value.first + i)]));
    if (value.kind == NACRE_VALUE_SEQUENCE)
      list.append(arrays);
    else
      list.append(value.count ? nb::object(arrays[0]) : nb::none());
  }
  return list;
}

nb::object Program::call(nb::args given, nb::kwargs named) {
  if (given.size() && named.size())
    raise(getExceptions().runError, "inputs are given by position or by name, not both");
  nb::list arrays = run(named.size() ? nb::handle(named) : nb::handle(given), functions.front().name);
  return arrays.size() == 1 ? nb::object(arrays[0]) : nb::object(nb::tuple(arrays));
}
