//===- Arrays.h - NumPy arrays as tensors and back --------------*- C++ -*-===//
//
// Arrays that are row-major, aligned and in native byte order are used where they lie;
// others are copied once. Types that NumPy lacks (bfloat16, float8, int4, ...) travel as
// arrays of ml_dtypes, which is imported when the first of them is met. Strings are
// arrays of Python strings (dtype object); NumPy's own string types are taken too.
//
//===----------------------------------------------------------------------===//
#ifndef NACRE_FRONTENDS_PYTHON_ARRAYS_H
#define NACRE_FRONTENDS_PYTHON_ARRAYS_H

#include "runtime/api/nacre.h"

#include <cstdint>
#include <nanobind/nanobind.h>
#include <tuple>
#include <vector>

namespace nacre::python {

namespace nb = nanobind;

/// Loads NumPy's C API; once, when the module is imported.
void initArrays();

/// The NumPy dtype of an element type. Throws if there is none.
nb::object getDtype(int32_t dtype);

/// What keeps an input's memory alive during a run.
struct InputMemory {
  nb::object array; // or what holds the DLPack tensor
  std::vector<std::byte> copy; // of a DLPack tensor with gaps
  std::vector<uint8_t> packed; // of types below a byte
  std::vector<nacre_string> strings; // their bytes are those of the Python strings in `array`
};

/// An input tensor that refers to `object`'s memory, or to a copy in `memory`. Throws a
/// TypeError if the object is no array that a model can take.
nacre_tensor toTensor(nb::handle object, InputMemory &memory);

/// A tensor that a run can write its output into: `object`'s own memory, which must be
/// writable and without gaps. Throws a TypeError or ValueError else.
nacre_tensor toOutput(nb::handle object, InputMemory &memory);

/// A new array, where its elements lie and how many bytes they are, for a type of whole bytes.
std::tuple<nb::object, void *, int64_t> makeArray(const nacre_tensor_info &info);

/// An array that takes over the memory of a run's output.
nb::object toArray(nacre_tensor &tensor);

/// A read-only array over a tensor's memory, of types of whole bytes, which `owner` keeps.
nb::object viewArray(const nacre_tensor &tensor, nb::handle owner);

} // namespace nacre::python

#endif // NACRE_FRONTENDS_PYTHON_ARRAYS_H
