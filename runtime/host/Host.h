// What the functions of the host library share. The library is linked into
// models and knows the run by runtime/abi alone: no C++ library, no exceptions,
// no globals, nothing that depends on the process's locale.
#ifndef NACRE_RUNTIME_HOST_LIBRARY_H
#define NACRE_RUNTIME_HOST_LIBRARY_H

#include "runtime/abi/nacre_host.h"

#include <cstdint>
#include <cstring>

namespace nacre::host {

using Handle = const nacre_abi_string *;

struct Text {
  const char *data = "";
  int64_t size = 0;

  Text() = default;
  Text(const char *data, int64_t size) : data(data), size(size) {}
  explicit Text(Handle handle) {
    if (handle && handle->size > 0)
      data = handle->data, size = handle->size;
  }
  bool operator==(const Text &other) const {
    return size == other.size &&
           std::memcmp(data, other.data, static_cast<size_t>(size)) == 0;
  }
};

// One operand of a call.
struct Tensor : nacre_host_tensor {
  explicit Tensor(const nacre_host_tensor &t) : nacre_host_tensor(t) {}
  int64_t count() const {
    int64_t product = 1;
    for (int32_t i = 0; i < rank; ++i)
      product *= dims[i];
    return product;
  }
  template <typename T> T *as() const { return static_cast<T *>(data); }
  Text text(int64_t i) const { return Text(as<Handle>()[i]); }
};

class Call {
public:
  Call(nacre_abi_context *context, const nacre_host_call *call)
      : context(context), call(*call) {}

  Tensor input(int32_t i) const { return Tensor(call.inputs[i]); }
  Tensor output(int32_t i) const { return Tensor(call.outputs[i]); }
  int64_t number(int32_t i) const { return call.numbers[i]; }

  // Memory until the run ends, aligned to 8 bytes; null after a failure, which
  // is recorded.
  void *allocate(int64_t size);
  // `size` bytes to be written, and their string in `handle`; null and the empty
  // string after a failure.
  char *makeString(int64_t size, Handle &handle);
  // A string that shares its bytes with one that lives long enough.
  Handle share(Text text);

  // "node 'x' (Op): element 3 is 'abc', expected ...".
  [[gnu::format(printf, 3, 4)]] void fail(int32_t status, const char *format,
                                          ...);

private:
  nacre_abi_context *context;
  const nacre_host_call &call;
  char *chunk = nullptr; // of which `left` bytes are free
  int64_t left = 0;
};

inline uint64_t mix(uint64_t hash) {
  hash ^= hash >> 32;
  hash *= 0x9E3779B97F4A7C15u;
  return hash ^ hash >> 29;
}

inline uint64_t hashBytes(const void *data, int64_t size) {
  auto *bytes = static_cast<const unsigned char *>(data);
  uint64_t hash = static_cast<uint64_t>(size);
  for (int64_t i = 0; i < size; ++i)
    hash = (hash ^ bytes[i]) * 0x100000001B3u;
  return mix(hash);
}

// Numbers from 0 on, found by a hash and a comparison.
class Index {
public:
  // Room for so many; false after a failure.
  bool reserve(Call &call, int64_t count);
  void add(uint64_t hash, int64_t number);
  // The number added first for which `isIt` holds, or -1.
  template <typename Predicate>
  int64_t find(uint64_t hash, Predicate isIt) const {
    if (!slots)
      return -1;
    for (uint64_t i = hash & mask; slots[i] >= 0; i = (i + 1) & mask)
      if (isIt(slots[i]))
        return slots[i];
    return -1;
  }

private:
  int64_t *slots = nullptr; // -1: free
  uint64_t mask = 0;
};

// A word in one case (nn::CaseChange: 0 as it is, 1 lower, 2 upper); `handle`
// where nothing changes.
Handle changeCase(Call &call, Handle handle, int64_t change);

} // namespace nacre::host

// The start of a function of the library.
#define NACRE_HOST_FUNCTION(name)                                              \
  extern "C" void nacre_host_##name(nacre_abi_context *context,                \
                                    const nacre_host_call *description)

#endif // NACRE_RUNTIME_HOST_LIBRARY_H
