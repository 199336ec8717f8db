#include "runtime/core/SafeTensors.h"

#include "runtime/abi/nacre_dtype.h"
#include "runtime/core/SafeTensorsParser.h"

#include <cerrno>
#include <cstdio>
#include <cstring>

namespace nacre::runtime::safetensors {

using ull = unsigned long long;

namespace {
struct Type {
  const char *name;
  int32_t dtype;
};
} // namespace

// Those below a byte are packed in another order than ours.
static constexpr Type types[] = {
    {"F32", NACRE_F32},           {"F16", NACRE_F16},
    {"BF16", NACRE_BF16},         {"F64", NACRE_F64},
    {"I64", NACRE_I64},           {"I32", NACRE_I32},
    {"I16", NACRE_I16},           {"I8", NACRE_I8},
    {"U64", NACRE_U64},           {"U32", NACRE_U32},
    {"U16", NACRE_U16},           {"U8", NACRE_U8},
    {"BOOL", NACRE_BOOL},         {"C64", NACRE_C64},
    {"F8_E4M3", NACRE_F8E4M3FN},  {"F8_E4M3FNUZ", NACRE_F8E4M3FNUZ},
    {"F8_E5M2", NACRE_F8E5M2},    {"F8_E5M2FNUZ", NACRE_F8E5M2FNUZ},
    {"F8_E8M0", NACRE_F8E8M0FNU}, {"F4", NACRE_UNDEFINED},
    {"F6_E2M3", NACRE_UNDEFINED}, {"F6_E3M2", NACRE_UNDEFINED}};

const char *nameOf(int32_t dtype) {
  for (const Type &type : types)
    if (type.dtype == dtype && dtype != NACRE_UNDEFINED)
      return type.name;
  return nullptr;
}

TypeText::TypeText(const char *typeName, int32_t rank, const int64_t *dims) {
  size_t used = 0;
  auto add = [&](const char *format, auto... values) {
    if (used < sizeof text)
      used += static_cast<size_t>(
          std::snprintf(text + used, sizeof text - used, format, values...));
  };
  add("%.24s[", typeName);
  for (int32_t d = 0; d < rank; ++d)
    add("%s%lld", d ? ", " : "", static_cast<long long>(dims[d]));
  add("%s", "]");
}

// ---- Checks -----------------------------------------------------------------

template <typename T>
static void sort(Array<T> &array, int64_t count,
                 int (*compare)(const void *, const void *)) {
  if (count > 1)
    std::qsort(array.data(), size_t(count), sizeof(T), compare);
}

nacre_status Header::checkNames(const char *path) {
  auto byName = [](const void *a, const void *b) {
    return std::strcmp(static_cast<const Entry *>(a)->name,
                       static_cast<const Entry *>(b)->name);
  };
  sort(entries, entryCount, byName);
  for (int64_t i = 1; i < entryCount; ++i)
    if (byName(&entries[i - 1], &entries[i]) == 0)
      return fail(NACRE_CORRUPT, "%s: two tensors are called '%s'", path,
                  Quoted(entries[i].name).text);
  auto byKey = [](const void *a, const void *b) {
    return std::strcmp(static_cast<const nacre_metadata *>(a)->key,
                       static_cast<const nacre_metadata *>(b)->key);
  };
  sort(metadata, metadataCount, byKey);
  for (int64_t i = 1; i < metadataCount; ++i)
    if (byKey(&metadata[i - 1], &metadata[i]) == 0)
      return fail(NACRE_CORRUPT, "%s: two texts are called '%s'", path,
                  Quoted(metadata[i].key).text);
  return NACRE_OK;
}

nacre_status Header::checkPlaces(const char *path, uint64_t begin,
                                 uint64_t end) {
  for (int64_t i = 0; i < entryCount; ++i) {
    Entry &entry = entries[i];
    const Type *type = types;
    while (type != types + sizeof types / sizeof *types &&
           std::strcmp(type->name, entry.typeName) != 0)
      ++type;
    Quoted name(entry.name);
    if (type == types + sizeof types / sizeof *types)
      return fail(NACRE_CORRUPT,
                  "%s: tensor '%s' has the type '%s', which .safetensors files "
                  "do not have",
                  path, name.text, Quoted(entry.typeName).text);
    entry.dtype = type->dtype;
    if (entry.begin > entry.end)
      return fail(NACRE_CORRUPT,
                  "%s: tensor '%s' ends at byte %llu, before it begins at %llu",
                  path, name.text, ull(entry.end), ull(entry.begin));
    if (entry.end > end - begin)
      return fail(NACRE_CORRUPT,
                  "%s: truncated: tensor '%s' ends at byte %llu of the data, "
                  "which has %llu; copy the file again",
                  path, name.text, ull(entry.end), ull(end - begin));
    const int64_t *sizes = dims.data() + entry.firstDim;
    int64_t count = 1, bytes = -1;
    bool fits = true;
    for (int32_t d = 0; d < entry.rank; ++d)
      fits &= !__builtin_mul_overflow(count, sizes[d], &count);
    if (fits)
      bytes = nacre_abi_dtype_bytes(entry.dtype, count);
    if (entry.dtype != NACRE_UNDEFINED &&
        (bytes < 0 || uint64_t(bytes) != entry.end - entry.begin))
      return fail(NACRE_CORRUPT,
                  "%s: tensor '%s' is %s and has %llu bytes, expected %lld",
                  path, name.text,
                  TypeText(entry.typeName, entry.rank, sizes).text,
                  ull(entry.end - entry.begin), static_cast<long long>(bytes));
    entry.begin += begin;
    entry.end += begin;
  }
  sort(entries, entryCount, [](const void *left, const void *right) {
    auto &a = *static_cast<const Entry *>(left);
    auto &b = *static_cast<const Entry *>(right);
    if (a.begin != b.begin)
      return a.begin < b.begin ? -1 : 1;
    return a.end < b.end ? -1 : int(a.end > b.end);
  });
  uint64_t covered = begin;
  for (int64_t i = 0; i < entryCount; ++i) {
    const Entry &entry = entries[i];
    if (entry.begin < covered)
      return fail(NACRE_CORRUPT, "%s: tensors '%s' and '%s' overlap", path,
                  Quoted(entries[i - 1].name).text, Quoted(entry.name).text);
    if (entry.begin > covered)
      return fail(NACRE_CORRUPT,
                  "%s: no tensor has bytes %llu to %llu of the data, before "
                  "tensor '%s'",
                  path, ull(covered - begin), ull(entry.begin - begin),
                  Quoted(entry.name).text);
    covered = entry.end;
  }
  if (covered != end)
    return fail(NACRE_CORRUPT,
                "%s: no tensor has bytes %llu to %llu of the data, at its end",
                path, ull(covered - begin), ull(end - begin));
  return NACRE_OK;
}

nacre_status Header::read(const InputFile &file, const char *path) {
  static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__);
  uint64_t size = file.getSize(), length = 0;
  auto unreadable = [&] {
    return fail(NACRE_IO_ERROR, "%s: cannot be read: %s", path,
                errno ? std::strerror(errno) : "it has become shorter");
  };
  if (size < sizeof length + 2)
    return fail(NACRE_CORRUPT,
                "%s: not a .safetensors file: it has %llu bytes, expected at "
                "least 10",
                path, ull(size));
  if (!file.read(&length, sizeof length, 0))
    return unreadable();
  if (length > maxHeader)
    return fail(NACRE_CORRUPT,
                "%s: not a .safetensors file: its header would have %llu "
                "bytes, expected at most %llu",
                path, ull(length), ull(maxHeader));
  uint64_t begin = sizeof length + length;
  if (begin > size)
    return fail(NACRE_CORRUPT,
                "%s: truncated, or not a .safetensors file: it has %llu bytes, "
                "but its header ends at byte %llu; copy it again",
                path, ull(size), ull(begin));
  // And a zero, which ends what is looked at.
  if (!text.allocate(int64_t(length) + 1))
    return fail(NACRE_OUT_OF_MEMORY, "%s: out of memory for its header", path);
  if (!file.read(text.data(), length, sizeof length))
    return unreadable();
  if (nacre_status status = Parser(path, *this).parse())
    return status;
  if (nacre_status status = checkNames(path))
    return status;
  return checkPlaces(path, begin, size);
}

} // namespace nacre::runtime::safetensors
