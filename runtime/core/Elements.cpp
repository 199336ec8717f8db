// Elements whose form in a run is another than outside of it: strings are addresses
// there, and elements below a byte are bytes.
#include "runtime/core/Session.h"

#include "runtime/abi/nacre_dtype.h"

#include <cstddef>
#include <cstring>

namespace nacre::runtime {

static bool isPacked(int32_t dtype) {
  int32_t bits = nacre_abi_dtype_bits(dtype);
  return bits > 0 && bits < 8;
}

// What a tensor takes in a run; 0 if its elements are what they are outside.
int64_t Run::bytesInside(int32_t dtype, int32_t rank, const int64_t *dims) {
  if (dtype == NACRE_DTYPE_STRING)
    return bytesOf(dtype, rank, dims) / int64_t(sizeof(nacre_string)) *
           int64_t(sizeof(Handle));
  return isPacked(dtype) ? bytesOf(NACRE_DTYPE_U8, rank, dims) : 0;
}

// What is allocated goes when the run ends.
nacre_status Run::readInputs() {
  for (int32_t i = 0; i < function->input_count; ++i) {
    int32_t dtype = function->inputs[i].dtype;
    nacre_status status = dtype == NACRE_DTYPE_STRING ? readStrings(i)
                          : isPacked(dtype)           ? readPacked(i)
                                                      : NACRE_OK;
    if (status != NACRE_OK)
      return status;
  }
  return NACRE_OK;
}

nacre_status Run::readPacked(int32_t i) {
  const nacre_abi_tensor_info &info = function->inputs[i];
  int64_t count = bytesInside(info.dtype, info.rank, inputs[i].dims);
  void *elements = allocateMemory(this, count);
  if (!elements)
    return runtime::fail(NACRE_OUT_OF_MEMORY, "%s", failText);
  nacre_abi_unpack(info.dtype, inputs[i].data, count, elements);
  inputs[i].data = elements;
  return NACRE_OK;
}

// Makes addresses of the strings that the caller gave.
nacre_status Run::readStrings(int32_t i) {
  const nacre_abi_tensor_info &info = function->inputs[i];
  static_assert(sizeof(nacre_string) == sizeof(nacre_abi_string) &&
                offsetof(nacre_string, size) ==
                    offsetof(nacre_abi_string, size));
  auto *given = static_cast<Handle>(inputs[i].data);
  int64_t count = bytesOf(info.dtype, info.rank, inputs[i].dims) /
                  int64_t(sizeof(nacre_string));
  for (int64_t j = 0; j < count; ++j)
    if (given[j].size < 0 || (given[j].size > 0 && !given[j].data))
      return runtime::fail(NACRE_INVALID_VALUE,
                           "input '%s': element %lld is no string: its size "
                           "is %lld, its data %s",
                           Quoted(info.name).text, static_cast<long long>(j),
                           static_cast<long long>(given[j].size),
                           given[j].data ? "not NULL" : "NULL");
  auto *handles = static_cast<Handle *>(
      allocateMemory(this, count * int64_t(sizeof(Handle))));
  if (!handles)
    return runtime::fail(NACRE_OUT_OF_MEMORY, "%s", failText);
  for (int64_t j = 0; j < count; ++j)
    handles[j] = given[j].size > 0 ? &given[j] : nullptr;
  inputs[i].data = handles;
  return NACRE_OK;
}

nacre_status Run::writeOutputs() {
  for (int32_t i = 0; i < function->output_count; ++i) {
    OutputSlot &slot = slots[i];
    int32_t dtype = function->outputs[i].dtype;
    if (!slot.target || !slot.inside)
      continue;
    if (dtype == NACRE_DTYPE_STRING) {
      if (nacre_status status = writeStrings(i))
        return status;
      continue;
    }
    int64_t count =
        bytesInside(dtype, function->outputs[i].rank, slot.dims);
    nacre_abi_pack(dtype, slot.inside, count,
                   slot.memory ? slot.memory : slot.block->data());
  }
  return NACRE_OK;
}

// Copies strings that the run has made into memory that outlives it: the
// elements, then their bytes. Never memory that an output had before: an input
// of this run may lie there.
nacre_status Run::writeStrings(int32_t i) {
  OutputSlot &slot = slots[i];
  auto *strings = static_cast<Handle *>(slot.inside);
  int64_t count = slot.bytes / int64_t(sizeof(nacre_string));
  int64_t total = slot.bytes;
  for (int64_t j = 0; j < count && total >= 0; ++j)
    if (strings[j] &&
        __builtin_add_overflow(total, strings[j]->size, &total))
      total = -1;
  Block *block = session.getAllocator().allocate(total);
  if (!block)
    return runtime::fail(
        NACRE_OUT_OF_MEMORY,
        "output '%s': no memory for %lld bytes (the session's limit is %lld)",
        Quoted(function->outputs[i].name).text, static_cast<long long>(total),
        static_cast<long long>(session.getAllocator().getLimit()));
  auto *elements = static_cast<nacre_string *>(block->data());
  char *text = static_cast<char *>(block->data()) + slot.bytes;
  for (int64_t j = 0; j < count; ++j) {
    int64_t size = strings[j] ? strings[j]->size : 0;
    if (size > 0)
      std::memcpy(text, strings[j]->data, static_cast<size_t>(size));
    elements[j] = {text, size};
    text += size;
  }
  Allocator::release(slot.block);
  slot.block = block;
  return NACRE_OK;
}

} // namespace nacre::runtime
