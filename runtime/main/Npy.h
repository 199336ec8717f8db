// NumPy's .npy files, for models that are programs. No memory is taken that
// libc's malloc does not give; failures are the runtime's statuses and
// sentences.
#ifndef NACRE_RUNTIME_MAIN_NPY_H
#define NACRE_RUNTIME_MAIN_NPY_H

#include "runtime/api/nacre.h"

#include <cstddef>

namespace nacre::program {

// Records a sentence for lastError(); returns `code`.
[[gnu::format(printf, 2, 3)]] nacre_status fail(nacre_status code,
                                                const char *format, ...);
const char *lastError();

// The bytes of a file, mapped or owned.
struct Bytes {
  Bytes() = default;
  Bytes(const Bytes &) = delete;
  ~Bytes();
  nacre_status map(const char *path);
  const char *data = nullptr;
  size_t size = 0;
};

// Reads a tensor of the given type out of the bytes of a .npy file:
// little-endian, of row-major order (or of column-major order, which is copied:
// `owned` is the copy, freed by the caller). `tensor.data` points into the
// bytes.
nacre_status parseNpy(const char *file, const char *data, size_t size,
                      const nacre_tensor_info &info, nacre_tensor &tensor,
                      void *&owned);

// `folder/name.npy`, where the name has nothing in it that a file's cannot
// have.
nacre_status makePath(const char *folder, const char *name, char *path,
                      size_t capacity);

// Writes `folder/name.npy`, which appears complete or not at all; `path` (of
// `capacity` bytes) receives the name.
nacre_status writeNpy(const char *folder, const char *name,
                      const nacre_tensor &tensor, char *path, size_t capacity);

} // namespace nacre::program

#endif // NACRE_RUNTIME_MAIN_NPY_H
