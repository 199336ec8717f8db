// Memory and failures of the host library's functions.
#include "runtime/host/Host.h"

#include <cstdarg>
#include <cstdio>

namespace nacre::host {

void *Call::allocate(int64_t size) { return context->allocate(context, size); }

char *Call::makeString(int64_t size, Handle &handle) {
  constexpr int64_t header = sizeof(nacre_abi_string), chunkSize = 1 << 16;
  handle = nullptr;
  if (size < 0 || size > INT64_MAX / 2)
    size = INT64_MAX / 2; // fails below
  int64_t needed = (header + size + 7) & ~int64_t(7);
  char *memory;
  if (needed > chunkSize / 4) {
    memory = static_cast<char *>(allocate(needed));
  } else {
    if (needed > left) {
      chunk = static_cast<char *>(allocate(chunkSize));
      left = chunk ? chunkSize : 0;
    }
    memory = chunk;
    if (memory)
      chunk += needed, left -= needed;
  }
  if (!memory)
    return nullptr;
  auto *string = reinterpret_cast<nacre_abi_string *>(memory);
  *string = {memory + header, size};
  handle = string;
  return memory + header;
}

Handle Call::share(Text text) {
  Handle handle = nullptr;
  if (text.size == 0 || !makeString(0, handle))
    return nullptr;
  auto *string = const_cast<nacre_abi_string *>(handle);
  *string = {text.data, text.size};
  return handle;
}

void Call::fail(int32_t status, const char *format, ...) {
  char message[400];
  int length = std::snprintf(message, sizeof message, "%.250s", call.node);
  va_list arguments;
  va_start(arguments, format);
  if (length >= 0)
    std::vsnprintf(message + length, sizeof message - static_cast<size_t>(length),
                   format, arguments);
  va_end(arguments);
  context->fail(context, status, message);
}

bool Index::reserve(Call &call, int64_t count) {
  int64_t size = 16;
  while (size / 2 < count)
    size *= 2;
  slots = static_cast<int64_t *>(call.allocate(size * int64_t(sizeof *slots)));
  if (!slots)
    return false;
  mask = static_cast<uint64_t>(size) - 1;
  for (int64_t i = 0; i < size; ++i)
    slots[i] = -1;
  return true;
}

void Index::add(uint64_t hash, int64_t number) {
  uint64_t i = hash & mask;
  while (slots[i] >= 0)
    i = (i + 1) & mask;
  slots[i] = number;
}

} // namespace nacre::host
