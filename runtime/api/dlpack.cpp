// DLPack in and out. The structs are those of dlpack.h, whose layout is fixed.
#include "runtime/api/nacre.h"
#include "runtime/abi/nacre_dtype.h"
#include "runtime/core/Status.h"
#include "runtime/core/Support.h"

#include <cstring>

using nacre::runtime::fail;

struct DLDevice {
  int32_t device_type;
  int32_t device_id;
};
struct DLDataType {
  uint8_t code;
  uint8_t bits;
  uint16_t lanes;
};
struct DLTensor {
  void *data;
  DLDevice device;
  int32_t ndim;
  DLDataType dtype;
  int64_t *shape;
  int64_t *strides;
  uint64_t byte_offset;
};
struct DLManagedTensor {
  DLTensor dl_tensor;
  void *manager_ctx;
  void (*deleter)(DLManagedTensor *self);
};

namespace {

// Where a tensor of the host's memory may lie: plain, or pinned for a GPU.
constexpr int32_t cpu = 1, pinnedCuda = 3, pinnedRocm = 11;

struct Type {
  int32_t dtype;
  uint8_t code, bits;
};
// What is smaller than a byte is packed in DLPack too, unless a flag of its newer
// struct says otherwise.
constexpr Type types[] = {
    {NACRE_I8, 0, 8},         {NACRE_I16, 0, 16},       {NACRE_I32, 0, 32},
    {NACRE_I64, 0, 64},       {NACRE_U8, 1, 8},         {NACRE_U16, 1, 16},
    {NACRE_U32, 1, 32},       {NACRE_U64, 1, 64},       {NACRE_F16, 2, 16},
    {NACRE_F32, 2, 32},       {NACRE_F64, 2, 64},       {NACRE_BF16, 4, 16},
    {NACRE_C64, 5, 64},       {NACRE_C128, 5, 128},     {NACRE_BOOL, 6, 8},
    {NACRE_F8E4M3FN, 10, 8},  {NACRE_F8E4M3FNUZ, 11, 8}, {NACRE_F8E5M2, 12, 8},
    {NACRE_F8E5M2FNUZ, 13, 8}, {NACRE_F8E8M0FNU, 14, 8}, {NACRE_F6E2M3FN, 15, 6},
    {NACRE_F6E3M2FN, 16, 6}, {NACRE_F4E2M1FN, 17, 4},   {NACRE_I4, 0, 4},
    {NACRE_I2, 0, 2},        {NACRE_U4, 1, 4},          {NACRE_U2, 1, 2}};

// A tensor on its way out: freed by its deleter.
struct Exported {
  DLManagedTensor managed;
  nacre_tensor tensor;
  int64_t shape[NACRE_MAX_RANK];
  int64_t strides[NACRE_MAX_RANK];
};

} // namespace

nacre_status nacre_tensor_from_dlpack(const DLTensor *dlpack,
                                      nacre_tensor *tensor) {
  if (!tensor)
    return fail(NACRE_INVALID_ARGUMENT, "tensor is NULL");
  *tensor = {};
  if (!dlpack)
    return fail(NACRE_INVALID_ARGUMENT, "dlpack is NULL");
  int32_t device = dlpack->device.device_type;
  if (device != cpu && device != pinnedCuda && device != pinnedRocm)
    return fail(NACRE_INVALID_ARGUMENT,
                "DLPack: the tensor is on a device of type %d, expected the "
                "CPU (%d)",
                device, cpu);
  if (dlpack->ndim < 0 || dlpack->ndim > NACRE_MAX_RANK)
    return fail(NACRE_INVALID_SHAPE, "DLPack: the rank is %d, expected 0 to %d",
                dlpack->ndim, NACRE_MAX_RANK);
  for (const Type &type : types)
    if (type.code == dlpack->dtype.code && type.bits == dlpack->dtype.bits &&
        dlpack->dtype.lanes == 1)
      tensor->dtype = type.dtype;
  if (tensor->dtype == NACRE_UNDEFINED)
    return fail(NACRE_INVALID_SHAPE,
                "DLPack: no element type of models has code %d, %d bits and "
                "%d lanes",
                dlpack->dtype.code, dlpack->dtype.bits, dlpack->dtype.lanes);
  int64_t elements = 1;
  for (int32_t i = 0; i < dlpack->ndim; ++i) {
    int64_t size = dlpack->shape[i];
    if (size < 0 || __builtin_mul_overflow(elements, size, &elements)) {
      *tensor = {};
      return fail(NACRE_INVALID_SHAPE, "DLPack: dimension %d is %lld", i,
                  static_cast<long long>(size));
    }
    tensor->dims[i] = size;
  }
  int64_t expected = 1;
  for (int32_t i = dlpack->ndim - 1; dlpack->strides && i >= 0; --i) {
    if (elements != 0 && tensor->dims[i] != 1 &&
        dlpack->strides[i] != expected) {
      *tensor = {};
      return fail(NACRE_INVALID_SHAPE,
                  "DLPack: the stride of dimension %d is %lld, expected %lld: "
                  "row-major memory without gaps",
                  i, static_cast<long long>(dlpack->strides[i]),
                  static_cast<long long>(expected));
    }
    expected *= tensor->dims[i];
  }
  tensor->rank = dlpack->ndim;
  tensor->data = static_cast<char *>(dlpack->data) + dlpack->byte_offset;
  int64_t bytes = nacre_abi_dtype_bytes(tensor->dtype, elements);
  tensor->size = bytes;
  if (bytes < 0) {
    *tensor = {};
    return fail(NACRE_INVALID_SHAPE, "DLPack: the tensor's size overflows");
  }
  return NACRE_OK;
}

nacre_status nacre_tensor_to_dlpack(nacre_tensor *tensor,
                                    DLManagedTensor **dlpack) {
  if (!dlpack)
    return fail(NACRE_INVALID_ARGUMENT, "dlpack is NULL");
  *dlpack = nullptr;
  if (!tensor)
    return fail(NACRE_INVALID_ARGUMENT, "tensor is NULL");
  if (!tensor->owner)
    return fail(NACRE_INVALID_ARGUMENT,
                "DLPack: the tensor has no memory of the runtime's to hand "
                "over");
  const Type *found = nullptr;
  for (const Type &type : types)
    if (type.dtype == tensor->dtype)
      found = &type;
  if (!found)
    return fail(NACRE_INVALID_ARGUMENT, "DLPack has no element type like %s",
                nacre_dtype_name(tensor->dtype));
  auto *exported = nacre::runtime::create<Exported>();
  if (!exported)
    return fail(NACRE_OUT_OF_MEMORY, "out of memory for a DLPack tensor");
  int64_t stride = 1;
  for (int32_t i = tensor->rank - 1; i >= 0; --i) {
    exported->shape[i] = tensor->dims[i];
    exported->strides[i] = stride;
    stride *= tensor->dims[i];
  }
  exported->tensor = *tensor;
  exported->managed.dl_tensor = {
      tensor->data,        {cpu, 0},          tensor->rank,
      {found->code, found->bits, 1}, exported->shape, exported->strides, 0};
  exported->managed.manager_ctx = exported;
  exported->managed.deleter = [](DLManagedTensor *self) {
    auto *own = static_cast<Exported *>(self->manager_ctx);
    nacre_tensor_release(&own->tensor);
    nacre::runtime::destroy(own);
  };
  *tensor = {};
  *dlpack = &exported->managed;
  return NACRE_OK;
}
