//===- Values.cpp - Lists and dicts as the arrays of a run ------*- C++ -*-===//
#include "frontends/python/Values.h"
#include "frontends/python/Arrays.h"

#include <algorithm>

using namespace nacre;
using namespace nacre::python;

/// A key or a value as the type wants it; an invalid object if it is another one. NumPy would
/// cut floats to integers, and read numbers from strings.
static nb::object convertElement(int32_t dtype, nb::handle item) {
  PyObject *converted = nullptr;
  if (dtype == NACRE_STRING)
    converted = PyUnicode_Check(item.ptr()) || PyBytes_Check(item.ptr()) ? Py_NewRef(item.ptr()) : nullptr;
  else if (dtype != NACRE_F32 && dtype != NACRE_F64)
    converted = PyNumber_Index(item.ptr());
  else if (double number = PyFloat_AsDouble(item.ptr()); number != -1 || !PyErr_Occurred())
    converted = PyFloat_FromDouble(number);
  PyErr_Clear();
  return nb::steal(converted);
}

/// An array of a map's keys, or of its values.
static nb::object makeColumn(const Signature &part, nb::handle items) {
  nb::list list;
  for (nb::handle item : items) {
    nb::object element = convertElement(part.dtype, item);
    if (!element.is_valid())
      raise(getExceptions().inputError, "input '" + part.name + "': found " + nb::repr(item).c_str() + ", expected " +
                                            nacre_dtype_name(part.dtype));
    list.append(element);
  }
  try {
    return nb::module_::import_("numpy").attr("array")(list, getDtype(part.dtype));
  } catch (nb::python_error &error) { // an integer of more than 64 bits
    raise(getExceptions().inputError, "input '" + part.name + "': " + nb::str(error.value()).c_str());
  }
}

void nacre::python::flattenMap(const Signature &input, nb::handle value, std::vector<nb::object> &arrays) {
  if (!PyDict_Check(value.ptr()))
    raise(getExceptions().inputError,
          "input '" + input.name + "': found " + Py_TYPE(value.ptr())->tp_name + ", expected a dict");
  arrays.push_back(makeColumn(input.elements[0], value.attr("keys")()));
  arrays.push_back(makeColumn(input.elements[1], value.attr("values")()));
}

static nb::object zip(nb::handle keys, nb::handle values) {
  nb::module_ builtins = nb::module_::import_("builtins");
  return builtins.attr("dict")(builtins.attr("zip")(keys, values));
}

nb::object nacre::python::makeMap(nb::handle keys, nb::handle values) {
  return zip(keys.attr("tolist")(), values.attr("tolist")());
}

nb::object nacre::python::makeMaps(nb::handle keys, nb::handle values) {
  nb::object names = keys.attr("tolist")();
  nb::list maps;
  for (nb::handle row : values.attr("tolist")())
    maps.append(zip(names, row));
  return maps;
}

void nacre::python::flattenSequence(const Signature &input, nb::handle value, std::vector<nb::object> &arrays) {
  nacre_dtype dtype = nacre_dtype(input.elements[0].dtype);
  size_t rank = nb::cast<size_t>(input.elements[1].shape[1]), length = nb::len(value);
  std::vector<InputMemory> memory(length);
  std::vector<nacre_tensor> tensors;
  nacre_tensor_info data{"", dtype, 1, {0}, {}, 0}, shapes{"", NACRE_I64, 2, {int64_t(length), int64_t(rank)}, {}, 0};
  for (size_t i = 0; i < length; ++i) {
    const nacre_tensor &tensor = tensors.emplace_back(toTensor(value[i], memory[i]));
    if (tensor.dtype != dtype || size_t(tensor.rank) != rank)
      raise(getExceptions().inputError, "input '" + input.name + "[" + std::to_string(i) + "]': found " +
                                            toString(TensorView(tensor)) + ", expected " + nacre_dtype_name(dtype) +
                                            " of rank " + std::to_string(rank));
    data.dims[0] += TensorView(tensor).elements();
  }
  auto [rows, sizes, rowBytes] = makeArray(shapes);
  for (auto *to = static_cast<int64_t *>(sizes); const nacre_tensor &tensor : tensors)
    to = std::copy_n(tensor.dims, rank, to);
  if (nacre_dtype_bits(dtype) < 8) { // in a run they are something else than in an array
    nb::list parts(nb::make_tuple(nb::module_::import_("numpy").attr("empty")(0, getDtype(dtype))));
    for (const InputMemory &one : memory)
      parts.append(one.array.attr("ravel")());
    arrays.push_back(nb::module_::import_("numpy").attr("concatenate")(parts));
  } else {
    auto [all, bytes, count] = makeArray(data);
    for (auto *to = static_cast<std::byte *>(bytes); const nacre_tensor &tensor : tensors)
      to = std::copy_n(static_cast<const std::byte *>(tensor.data),
                       TensorView(tensor).elements() * (nacre_dtype_bits(dtype) / 8), to);
    arrays.push_back(all);
  }
  arrays.push_back(rows);
}

nb::list nacre::python::unpackSequence(nb::handle data, nb::handle shapes) {
  nb::list arrays;
  Py_ssize_t begin = 0;
  for (nb::handle row : shapes.attr("tolist")()) {
    nb::list sizes;
    Py_ssize_t count = 1;
    for (nb::handle size : row)
      if (nb::cast<int64_t>(size) >= 0) {
        sizes.append(size);
        count *= nb::cast<Py_ssize_t>(size);
      }
    arrays.append(data[nb::slice(begin, begin + count)].attr("reshape")(nb::tuple(sizes)));
    begin += count;
  }
  return arrays;
}
