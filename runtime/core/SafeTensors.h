// The .safetensors format (huggingface.co/docs/safetensors): the length of a
// header in 8 bytes, the header, which is JSON, and the tensors' bytes.
#ifndef NACRE_RUNTIME_CORE_SAFETENSORS_H
#define NACRE_RUNTIME_CORE_SAFETENSORS_H

#include "runtime/core/File.h"
#include "runtime/core/Support.h"

namespace nacre::runtime::safetensors {

// The format's own limit.
constexpr uint64_t maxHeader = 100000000;

// The format's name of an element type; null if it has none.
const char *nameOf(int32_t dtype);

// Bytes of the valid sequence of UTF-8 that begins at `text` and ends before
// `end`; 0 if there is none.
int sequenceLength(const char *text, const char *end);

struct Entry {
  const char *name;
  const char *typeName;
  int32_t dtype; // NACRE_UNDEFINED: one that we have no tensors of
  int32_t rank;
  int64_t firstDim; // in Header::dims
  uint64_t begin, end; // in the file
};

// What stands in a file before its tensors. Strings point into `text`.
struct Header {
  Array<char> text;
  Array<Entry> entries;
  Array<int64_t> dims;
  Array<nacre_metadata> metadata;
  int64_t entryCount = 0, dimCount = 0, metadataCount = 0;

  // Reads and checks it: afterwards names are unique, and the entries, ordered
  // by their places, cover the rest of the file without overlaps and gaps, as
  // their types and shapes say.
  nacre_status read(const InputFile &file, const char *path);

private:
  nacre_status checkNames(const char *path);
  nacre_status checkPlaces(const char *path, uint64_t begin, uint64_t end);
};

// "F32[2, 3]", for messages; of an unknown type as the file calls it.
struct TypeText {
  TypeText(const char *typeName, int32_t rank, const int64_t *dims);
  char text[160];
};

} // namespace nacre::runtime::safetensors

#endif // NACRE_RUNTIME_CORE_SAFETENSORS_H
