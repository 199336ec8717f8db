//===- Arrays.cpp - NumPy arrays as tensors and back ------------*- C++ -*-===//
#include "frontends/python/Arrays.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <nanobind/ndarray.h>
#include <numpy/arrayobject.h>

using namespace nacre::python;

namespace {

constexpr int32_t kDtypeCount = NACRE_F6E3M2FN + 1;

/// NumPy's number of a type that NumPy has itself, else -1.
int toNumpyType(int32_t dtype) {
  switch (dtype) {
  case NACRE_F32:
    return NPY_FLOAT32;
  case NACRE_U8:
    return NPY_UINT8;
  case NACRE_I8:
    return NPY_INT8;
  case NACRE_U16:
    return NPY_UINT16;
  case NACRE_I16:
    return NPY_INT16;
  case NACRE_I32:
    return NPY_INT32;
  case NACRE_I64:
    return NPY_INT64;
  case NACRE_BOOL:
    return NPY_BOOL;
  case NACRE_F16:
    return NPY_FLOAT16;
  case NACRE_F64:
    return NPY_FLOAT64;
  case NACRE_U32:
    return NPY_UINT32;
  case NACRE_U64:
    return NPY_UINT64;
  case NACRE_C64:
    return NPY_COMPLEX64;
  case NACRE_C128:
    return NPY_COMPLEX128;
  case NACRE_STRING:
    return NPY_OBJECT;
  default:
    return -1;
  }
}

/// The name in ml_dtypes of a type that NumPy lacks, else null.
const char *getForeignName(int32_t dtype) {
  switch (dtype) {
  case NACRE_BF16:
    return "bfloat16";
  case NACRE_F8E4M3FN:
    return "float8_e4m3fn";
  case NACRE_F8E4M3FNUZ:
    return "float8_e4m3fnuz";
  case NACRE_F8E5M2:
    return "float8_e5m2";
  case NACRE_F8E5M2FNUZ:
    return "float8_e5m2fnuz";
  case NACRE_U4:
    return "uint4";
  case NACRE_I4:
    return "int4";
  case NACRE_F4E2M1FN:
    return "float4_e2m1fn";
  case NACRE_F8E8M0FNU:
    return "float8_e8m0fnu";
  case NACRE_U2:
    return "uint2";
  case NACRE_I2:
    return "int2";
  case NACRE_F6E2M3FN:
    return "float6_e2m3fn";
  case NACRE_F6E3M2FN:
    return "float6_e3m2fn";
  default:
    return nullptr;
  }
}

/// dtype objects by element type, made when first asked for. Read and written with the
/// interpreter's lock held; never freed, as the interpreter outlives them.
std::array<PyArray_Descr *, kDtypeCount> &getDescriptors() {
  static std::array<PyArray_Descr *, kDtypeCount> descriptors = {};
  return descriptors;
}

/// A borrowed dtype object; null without a Python error if the type has none.
PyArray_Descr *findDescriptor(int32_t dtype) {
  if (dtype < 0 || dtype >= kDtypeCount)
    return nullptr;
  PyArray_Descr *&descriptor = getDescriptors()[dtype];
  if (descriptor)
    return descriptor;
  if (int number = toNumpyType(dtype); number >= 0)
    return descriptor = PyArray_DescrFromType(number);
  if (const char *name = getForeignName(dtype)) {
    nb::object type = nb::module_::import_("ml_dtypes").attr(name);
    if (!PyArray_DescrConverter(type.ptr(), &descriptor))
      throw nb::python_error();
  }
  return descriptor;
}

/// The element type of an array; NACRE_UNDEFINED if models have none like it.
int32_t getElementType(PyArrayObject *array) {
  int number = PyArray_TYPE(array);
  for (int32_t dtype = 0; dtype < kDtypeCount; ++dtype) {
    int native = toNumpyType(dtype);
    // On Linux `long` and `long long` are two numbers for one type.
    if (native == number ||
        (native >= 0 && number < NPY_USERDEF && PyArray_EquivTypenums(native, number)))
      return dtype;
  }
  // A type of another package: ml_dtypes is loaded already if it is one of its.
  if (number >= NPY_USERDEF)
    for (int32_t dtype = 0; dtype < kDtypeCount; ++dtype)
      if (getForeignName(dtype) && findDescriptor(dtype)->type_num == number)
        return dtype;
  return NACRE_UNDEFINED;
}

/// The bytes of the Python strings (or bytes objects) of an object array, which keeps
/// them alive. Throws a TypeError at what is no string.
void readStrings(PyArrayObject *array, std::vector<nacre_string> &strings) {
  auto **elements = static_cast<PyObject **>(PyArray_DATA(array));
  for (npy_intp i = 0, count = PyArray_SIZE(array); i < count; ++i) {
    Py_ssize_t size = 0;
    const char *data = nullptr;
    if (elements[i] && PyUnicode_Check(elements[i])) {
      data = PyUnicode_AsUTF8AndSize(elements[i], &size); // kept by the string itself
      if (!data)
        throw nb::python_error();
    } else if (elements[i] && PyBytes_Check(elements[i])) {
      data = PyBytes_AS_STRING(elements[i]);
      size = PyBytes_GET_SIZE(elements[i]);
    } else {
      throw nb::type_error(("element " + std::to_string(i) + " of an array of objects is no string").c_str());
    }
    strings.push_back({data, size});
  }
}

/// An array of Python strings. Bytes that are no UTF-8 become surrogates, as Python has it.
nb::object makeStrings(const nacre_tensor &tensor) {
  npy_intp dims[NACRE_MAX_RANK];
  for (int32_t i = 0; i < tensor.rank; ++i)
    dims[i] = tensor.dims[i];
  nb::object array = nb::steal(PyArray_SimpleNew(tensor.rank, dims, NPY_OBJECT));
  if (!array.is_valid())
    throw nb::python_error();
  auto *object = reinterpret_cast<PyArrayObject *>(array.ptr());
  auto **elements = static_cast<PyObject **>(PyArray_DATA(object));
  auto *strings = static_cast<const nacre_string *>(tensor.data);
  for (npy_intp i = 0, count = PyArray_SIZE(object); i < count; ++i) {
    PyObject *text = PyUnicode_DecodeUTF8(strings[i].data, strings[i].size, "surrogateescape");
    if (!text)
      throw nb::python_error();
    Py_XSETREF(elements[i], text);
  }
  return array;
}

/// The element type of a DLPack tensor; NACRE_UNDEFINED if models have none like it.
int32_t getElementType(nb::dlpack::dtype type) {
  using Code = nb::dlpack::dtype_code;
  if (type.lanes != 1)
    return NACRE_UNDEFINED;
  auto choose = [&](std::initializer_list<std::pair<int, int32_t>> types) {
    for (auto [bits, dtype] : types)
      if (bits == type.bits)
        return dtype;
    return int32_t(NACRE_UNDEFINED);
  };
  switch (Code(type.code)) {
  case Code::Int:
    return choose({{8, NACRE_I8}, {16, NACRE_I16}, {32, NACRE_I32}, {64, NACRE_I64}});
  case Code::UInt:
    return choose({{8, NACRE_U8}, {16, NACRE_U16}, {32, NACRE_U32}, {64, NACRE_U64}});
  case Code::Float:
    return choose({{16, NACRE_F16}, {32, NACRE_F32}, {64, NACRE_F64}});
  case Code::Complex:
    return choose({{64, NACRE_C64}, {128, NACRE_C128}});
  case Code::Bfloat:
    return choose({{16, NACRE_BF16}});
  case Code::Bool:
    return choose({{8, NACRE_BOOL}});
  default: // nanobind names no others
    for (auto [code, dtype] : {std::pair(10, NACRE_F8E4M3FN), {11, NACRE_F8E4M3FNUZ}, {12, NACRE_F8E5M2},
                               {13, NACRE_F8E5M2FNUZ}, {14, NACRE_F8E8M0FNU}})
      if (type.code == code && type.bits == 8)
        return dtype;
    return NACRE_UNDEFINED;
  }
}

/// Copies a strided tensor into row-major memory.
void copyStrided(const std::byte *from, const nacre_tensor &tensor, const int64_t *strides, int32_t dim,
                 int64_t elementSize, std::byte *&to) {
  if (dim == tensor.rank) {
    to = std::copy_n(from, elementSize, to);
    return;
  }
  for (int64_t i = 0; i < tensor.dims[dim]; ++i)
    copyStrided(from + i * strides[dim] * elementSize, tensor, strides, dim + 1, elementSize, to);
}

/// What other packages' arrays (PyTorch, JAX, CuPy, ...) offer.
bool isDLPack(nb::handle object) {
  return !PyArray_Check(object.ptr()) && !PyArray_CheckAnyScalar(object.ptr()) &&
         nb::hasattr(nb::handle(reinterpret_cast<PyObject *>(Py_TYPE(object.ptr()))), "__dlpack__");
}

/// The tensor behind `object`'s __dlpack__, which `memory` keeps. One with gaps is copied,
/// unless it is to be written.
template <typename Array> nacre_tensor fromDLPack(nb::handle object, InputMemory &memory, bool isOutput) {
  Array array;
  if (!nb::try_cast(object, array)) {
    std::string type = Py_TYPE(object.ptr())->tp_name;
    throw nb::type_error((type + " gives no " + (isOutput ? "writable " : "") +
                          "DLPack tensor in this machine's memory").c_str());
  }
  if (array.device_type() != nb::device::cpu::value)
    throw nb::type_error("a tensor on another device: move it to the CPU");
  nacre_tensor tensor = {};
  tensor.dtype = getElementType(array.dtype());
  if (tensor.dtype == NACRE_UNDEFINED)
    throw nb::type_error("models take no tensors of this element type");
  if (array.ndim() > NACRE_MAX_RANK)
    throw nb::type_error("models take arrays of 16 dimensions at most");
  tensor.rank = int32_t(array.ndim());
  int64_t strides[NACRE_MAX_RANK], expected = 1;
  bool isContiguous = true;
  for (int32_t i = tensor.rank - 1; i >= 0; --i) {
    tensor.dims[i] = int64_t(array.shape(size_t(i)));
    strides[i] = array.stride(size_t(i));
    isContiguous &= tensor.dims[i] == 1 || strides[i] == expected;
    expected *= tensor.dims[i];
  }
  auto *data = reinterpret_cast<std::byte *>(const_cast<void *>(static_cast<const void *>(array.data())));
  int64_t elementSize = nacre_dtype_bits(tensor.dtype) / 8;
  tensor.data = data;
  tensor.size = expected * elementSize;
  memory.array = nb::cast(array, nb::rv_policy::none); // holds the producer's memory
  if (isContiguous || expected == 0)
    return tensor;
  if (isOutput)
    throw nb::value_error("an array for an output must be row-major, without gaps");
  memory.copy.resize(size_t(tensor.size));
  std::byte *to = memory.copy.data();
  copyStrided(data, tensor, strides, 0, elementSize, to);
  tensor.data = memory.copy.data();
  return tensor;
}

void releaseTensor(PyObject *capsule) {
  auto *tensor = static_cast<nacre_tensor *>(PyCapsule_GetPointer(capsule, nullptr));
  nacre_tensor_release(tensor);
  delete tensor;
}

} // namespace

void nacre::python::initArrays() {
  if (PyArray_ImportNumPyAPI() < 0)
    throw nb::python_error();
}

nb::object nacre::python::getDtype(int32_t dtype) {
  PyArray_Descr *descriptor = findDescriptor(dtype);
  if (!descriptor)
    throw nb::type_error("an element type that NumPy and ml_dtypes lack");
  return nb::borrow(reinterpret_cast<PyObject *>(descriptor));
}

nacre_tensor nacre::python::toTensor(nb::handle object, InputMemory &memory) {
  constexpr int flags = NPY_ARRAY_C_CONTIGUOUS | NPY_ARRAY_ALIGNED | NPY_ARRAY_NOTSWAPPED;
  auto *array = reinterpret_cast<PyArrayObject *>(object.ptr());
  if (isDLPack(object))
    return fromDLPack<nb::ndarray<nb::ro>>(object, memory, /*isOutput=*/false);
  if (PyArray_Check(object.ptr()) && PyArray_CHKFLAGS(array, NPY_ARRAY_C_CONTIGUOUS |
                                                                 NPY_ARRAY_ALIGNED) &&
      PyArray_ISNOTSWAPPED(array)) {
    memory.array = nb::borrow(object);
  } else {
    memory.array = nb::steal(PyArray_FromAny(object.ptr(), nullptr, 0, 0, flags, nullptr));
    if (!memory.array.is_valid())
      throw nb::python_error();
    array = reinterpret_cast<PyArrayObject *>(memory.array.ptr());
  }
  // NumPy's own strings, of fixed length or not, become Python's.
  if (int type = PyArray_TYPE(array); type == NPY_UNICODE || type == NPY_STRING || type == NPY_VSTRING) {
    memory.array = nb::steal(PyArray_FromAny(memory.array.ptr(), PyArray_DescrFromType(NPY_OBJECT), 0, 0,
                                             flags | NPY_ARRAY_FORCECAST, nullptr));
    if (!memory.array.is_valid())
      throw nb::python_error();
    array = reinterpret_cast<PyArrayObject *>(memory.array.ptr());
  }
  nacre_tensor tensor = {};
  tensor.dtype = getElementType(array);
  if (tensor.dtype == NACRE_UNDEFINED) {
    nb::str name(nb::handle(reinterpret_cast<PyObject *>(PyArray_DESCR(array))));
    throw nb::type_error((std::string("models take no arrays of type ") + name.c_str()).c_str());
  }
  tensor.rank = PyArray_NDIM(array);
  if (tensor.rank > NACRE_MAX_RANK)
    throw nb::type_error("models take arrays of 16 dimensions at most");
  for (int32_t i = 0; i < tensor.rank; ++i)
    tensor.dims[i] = PyArray_DIM(array, i);
  tensor.data = PyArray_DATA(array);
  if (tensor.dtype == NACRE_STRING) {
    readStrings(array, memory.strings);
    tensor.data = memory.strings.data();
    return tensor;
  }
  if (int bits = nacre_dtype_bits(tensor.dtype); bits < 8) {
    memory.packed.resize(size_t(PyArray_SIZE(array) * bits + 7) / 8);
    nacre_dtype_pack(tensor.dtype, tensor.data, PyArray_SIZE(array), memory.packed.data());
    tensor.data = memory.packed.data();
  }
  return tensor;
}

nacre_tensor nacre::python::toOutput(nb::handle object, InputMemory &memory) {
  if (isDLPack(object))
    return fromDLPack<nb::ndarray<>>(object, memory, /*isOutput=*/true);
  auto *array = reinterpret_cast<PyArrayObject *>(object.ptr());
  if (!PyArray_Check(object.ptr()))
    throw nb::type_error((std::string("an array for an output must be a NumPy array or have __dlpack__, found ") +
                          Py_TYPE(object.ptr())->tp_name).c_str());
  if (!PyArray_ISCARRAY(array))
    throw nb::value_error("an array for an output must be row-major, without gaps, aligned and writable");
  nacre_tensor tensor = {};
  tensor.dtype = getElementType(array);
  if (tensor.dtype == NACRE_UNDEFINED || nacre_dtype_bits(tensor.dtype) < 8)
    throw nb::type_error("outputs of this element type cannot be written into an array");
  tensor.rank = PyArray_NDIM(array);
  if (tensor.rank > NACRE_MAX_RANK)
    throw nb::type_error("models give arrays of 16 dimensions at most");
  for (int32_t i = 0; i < tensor.rank; ++i)
    tensor.dims[i] = PyArray_DIM(array, i);
  tensor.data = PyArray_DATA(array);
  tensor.size = int64_t(PyArray_NBYTES(array));
  memory.array = nb::borrow(object);
  return tensor;
}

std::tuple<nb::object, void *, int64_t> nacre::python::makeArray(const nacre_tensor_info &info) {
  if (nacre_dtype_bits(info.dtype) < 8)
    throw nb::type_error("an element type below a byte");
  nb::object descriptor = getDtype(info.dtype);
  npy_intp dims[NACRE_MAX_RANK];
  std::copy_n(info.dims, info.rank, dims);
  nb::object array = nb::steal(PyArray_NewFromDescr(
      &PyArray_Type, reinterpret_cast<PyArray_Descr *>(descriptor.release().ptr()), info.rank, dims,
      nullptr, nullptr, 0, nullptr));
  if (!array.is_valid())
    throw nb::python_error();
  auto *object = reinterpret_cast<PyArrayObject *>(array.ptr());
  return {std::move(array), PyArray_DATA(object), int64_t(PyArray_NBYTES(object))};
}

nb::object nacre::python::viewArray(const nacre_tensor &tensor, nb::handle owner) {
  if (nacre_dtype_bits(nacre_dtype(tensor.dtype)) < 8 || tensor.dtype == NACRE_STRING)
    throw nb::type_error("there are no views of strings and of elements below a byte");
  nb::object descriptor = getDtype(tensor.dtype);
  npy_intp dims[NACRE_MAX_RANK];
  std::copy_n(tensor.dims, tensor.rank, dims);
  nb::object array = nb::steal(PyArray_NewFromDescr(
      &PyArray_Type, reinterpret_cast<PyArray_Descr *>(descriptor.release().ptr()), tensor.rank, dims, nullptr,
      tensor.data, NPY_ARRAY_CARRAY_RO, nullptr));
  // The call takes over a reference to the owner.
  if (!array.is_valid() ||
      PyArray_SetBaseObject(reinterpret_cast<PyArrayObject *>(array.ptr()), owner.inc_ref().ptr()) != 0)
    throw nb::python_error();
  return array;
}

nb::object nacre::python::toArray(nacre_tensor &tensor) {
  if (tensor.dtype == NACRE_STRING)
    return makeStrings(tensor);
  npy_intp dims[NACRE_MAX_RANK];
  npy_intp count = 1;
  for (int32_t i = 0; i < tensor.rank; ++i)
    count *= dims[i] = tensor.dims[i];
  nb::object descriptor = getDtype(tensor.dtype);
  int bits = nacre_dtype_bits(tensor.dtype);
  // Without elements, or packed: memory of NumPy's own.
  bool owned = count > 0 && bits >= 8;
  void *data = owned ? tensor.data : nullptr;
  // The call takes over the reference to the descriptor.
  nb::object array = nb::steal(PyArray_NewFromDescr(
      &PyArray_Type, reinterpret_cast<PyArray_Descr *>(descriptor.release().ptr()), tensor.rank,
      dims, nullptr, data, owned ? NPY_ARRAY_CARRAY : 0, nullptr));
  if (!array.is_valid())
    throw nb::python_error();
  auto *object = reinterpret_cast<PyArrayObject *>(array.ptr());
  if (!owned) {
    if (count > 0)
      nacre_dtype_unpack(tensor.dtype, tensor.data, count, PyArray_DATA(object));
    return array;
  }
  auto *kept = new nacre_tensor(tensor);
  PyObject *capsule = PyCapsule_New(kept, nullptr, releaseTensor);
  if (!capsule) {
    delete kept;
    throw nb::python_error();
  }
  tensor = {}; // the capsule has it now
  if (PyArray_SetBaseObject(object, capsule) < 0)
    throw nb::python_error();
  return array;
}
