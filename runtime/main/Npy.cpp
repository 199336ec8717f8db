#include "runtime/main/Npy.h"

#include "runtime/abi/nacre_dtype.h"

#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace nacre::program {

static constinit char message[1024] = "";

nacre_status fail(nacre_status code, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(message, sizeof message, format, arguments);
  va_end(arguments);
  return code;
}

const char *lastError() { return message[0] ? message : nacre_last_error(); }

// ---- Reading ----------------------------------------------------------------

nacre_status Bytes::map(const char *path) {
  int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  struct stat status;
  if (file < 0 || fstat(file, &status) != 0) {
    int error = errno;
    if (file >= 0)
      close(file);
    return fail(NACRE_IO_ERROR, "%s: %s", path, std::strerror(error));
  }
  if (!S_ISREG(status.st_mode)) {
    close(file);
    return fail(NACRE_IO_ERROR, "%s: not a regular file", path);
  }
  size = static_cast<size_t>(status.st_size);
  void *memory =
      size ? mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file, 0) : nullptr;
  close(file);
  if (memory == MAP_FAILED) {
    size = 0;
    return fail(NACRE_IO_ERROR, "%s: %s", path, std::strerror(errno));
  }
  data = static_cast<const char *>(memory);
  return NACRE_OK;
}

Bytes::~Bytes() {
  if (data)
    munmap(const_cast<char *>(data), size);
}

// NumPy's name of a type: kind and bytes. What NumPy lacks is raw bytes, as its
// packages for such types save them, one at least for an element; 0 if a file cannot
// hold it.
static char kindOf(int32_t dtype) {
  switch (dtype) {
  case NACRE_F16:
  case NACRE_F32:
  case NACRE_F64:
    return 'f';
  case NACRE_I8:
  case NACRE_I16:
  case NACRE_I32:
  case NACRE_I64:
    return 'i';
  case NACRE_U8:
  case NACRE_U16:
  case NACRE_U32:
  case NACRE_U64:
    return 'u';
  case NACRE_BOOL:
    return 'b';
  case NACRE_C64:
  case NACRE_C128:
    return 'c';
  default:
    return nacre_dtype_bits(dtype) > 0 ? 'V' : 0;
  }
}

namespace {

// The header, a Python dictionary, from front to back.
struct Parser {
  const char *at, *end;

  void skip() {
    while (at < end && (*at == ' ' || *at == '\n'))
      ++at;
  }
  bool take(char c) {
    skip();
    if (at == end || *at != c)
      return false;
    ++at;
    return true;
  }
  bool word(const char *text) {
    skip();
    size_t length = std::strlen(text);
    if (size_t(end - at) < length || std::memcmp(at, text, length) != 0)
      return false;
    at += length;
    return true;
  }
  // Of at most 31 characters.
  bool string(char (&text)[32]) {
    skip();
    if (at == end || (*at != '\'' && *at != '"'))
      return false;
    char quote = *at++;
    size_t used = 0;
    while (at < end && *at != quote && used < sizeof text - 1)
      text[used++] = *at++;
    text[used] = 0;
    return take(quote);
  }
  bool number(int64_t &value) {
    skip();
    const char *first = at;
    for (value = 0; at < end && *at >= '0' && *at <= '9'; ++at)
      if (__builtin_mul_overflow(value, 10, &value) ||
          __builtin_add_overflow(value, *at - '0', &value))
        return false;
    return at != first;
  }
};

struct Header {
  char descr[32] = "";
  bool isFortran = false;
  int32_t rank = -1;
  int64_t dims[NACRE_MAX_RANK];

  bool shape(Parser &from) {
    if (!from.take('('))
      return false;
    for (rank = 0; !from.take(')'); ++rank) {
      if (rank == NACRE_MAX_RANK || (rank > 0 && !from.take(',')))
        return false;
      if (from.take(')'))
        return true;
      if (!from.number(dims[rank]))
        return false;
    }
    return true;
  }

  bool parse(Parser from) {
    if (!from.take('{'))
      return false;
    while (!from.take('}')) {
      char key[32];
      if (!from.string(key) || !from.take(':'))
        return false;
      bool good = false;
      if (std::strcmp(key, "descr") == 0)
        good = from.string(descr);
      else if (std::strcmp(key, "fortran_order") == 0)
        good = from.word("False") || (isFortran = from.word("True"));
      else if (std::strcmp(key, "shape") == 0)
        good = shape(from);
      if (!good)
        return false;
      (void)from.take(',');
    }
    return rank >= 0 && descr[0];
  }
};

} // namespace

// Column-major elements in row-major order.
static void transpose(const char *from, char *to, const Header &header,
                      int64_t count, size_t bytes) {
  int64_t index[NACRE_MAX_RANK] = {}, strides[NACRE_MAX_RANK];
  int64_t stride = 1;
  for (int32_t d = 0; d < header.rank; stride *= header.dims[d++])
    strides[d] = stride;
  for (int64_t i = 0; i < count; ++i, to += bytes) {
    int64_t offset = 0;
    for (int32_t d = 0; d < header.rank; ++d)
      offset += index[d] * strides[d];
    std::memcpy(to, from + size_t(offset) * bytes, bytes);
    for (int32_t d = header.rank; d-- > 0 && ++index[d] == header.dims[d];)
      index[d] = 0;
  }
}

nacre_status parseNpy(const char *file, const char *data, size_t size,
                      const nacre_tensor_info &info, nacre_tensor &tensor,
                      void *&owned) {
  auto *bytes = reinterpret_cast<const unsigned char *>(data);
  bool isNpy = size >= 12 && std::memcmp(data, "\x93NUMPY", 6) == 0;
  size_t begin = isNpy && bytes[6] == 1 ? 10 : 12, length = 0;
  for (size_t i = begin; isNpy && i-- > 8;)
    length = length << 8 | bytes[i];
  Header header;
  if (!isNpy || bytes[6] < 1 || bytes[6] > 3 || length > size - begin ||
      !header.parse({data + begin, data + begin + length}))
    return fail(NACRE_INVALID_VALUE,
                "%s: not a .npy file with an array of numbers", file);
  char kind = kindOf(info.dtype), expected[32];
  bool isPacked = nacre_dtype_bits(info.dtype) < 8;
  int32_t elementBytes = isPacked ? 1 : nacre_dtype_bits(info.dtype) / 8;
  if (!kind)
    return fail(NACRE_INVALID_VALUE,
                "%s: input '%s' has the type %s, which .npy files cannot hold",
                file, info.name, nacre_dtype_name(info.dtype));
  std::snprintf(expected, sizeof expected, "%c%d", kind, elementBytes);
  // One package has a name of its own for its f8E5M2.
  bool isE5M2 = info.dtype == NACRE_F8E5M2 && std::strcmp(header.descr, "<f1") == 0;
  if (!isE5M2 && (std::strcmp(header.descr + 1, expected) != 0 || header.descr[0] == '>'))
    return fail(NACRE_INVALID_VALUE,
                "%s: has elements of the type '%s', but input '%s' is %s "
                "('<%s')",
                file, header.descr, info.name, nacre_dtype_name(info.dtype),
                expected);
  int64_t count = 1;
  bool fits = true;
  for (int32_t d = 0; d < header.rank; ++d)
    fits &= !__builtin_mul_overflow(count, header.dims[d], &count);
  int64_t total = fits ? nacre_abi_dtype_bytes(
                             isPacked ? int32_t(NACRE_U8) : info.dtype, count)
                       : -1;
  size_t rest = size - begin - length;
  if (total < 0 || static_cast<uint64_t>(total) > rest)
    return fail(NACRE_INVALID_VALUE,
                "%s: truncated: it has %zu bytes of elements, its shape "
                "needs %lld",
                file, rest, static_cast<long long>(total));
  tensor = {};
  tensor.name = info.name;
  tensor.dtype = info.dtype;
  tensor.rank = header.rank;
  tensor.size = isPacked ? nacre_abi_dtype_bytes(info.dtype, count) : total;
  for (int32_t d = 0; d < header.rank; ++d)
    tensor.dims[d] = header.dims[d];
  const char *elements = data + begin + length;
  bool isAligned = reinterpret_cast<uintptr_t>(elements) % 8 == 0;
  bool isTransposed = header.isFortran && header.rank > 1;
  tensor.data = const_cast<char *>(elements);
  if (total == 0 || (isAligned && !isTransposed && !isPacked))
    return NACRE_OK;
  owned = std::malloc(static_cast<size_t>(total));
  if (!owned)
    return fail(NACRE_OUT_OF_MEMORY, "%s: out of memory", file);
  if (isTransposed)
    transpose(elements, static_cast<char *>(owned), header, count,
              static_cast<size_t>(elementBytes));
  else
    std::memcpy(owned, elements, static_cast<size_t>(total));
  if (isPacked) // in place: what is written has been read
    nacre_dtype_pack(info.dtype, owned, count, owned);
  tensor.data = owned;
  return NACRE_OK;
}

// ---- Writing ----------------------------------------------------------------

nacre_status makePath(const char *folder, const char *name, char *path,
                      size_t capacity) {
  char file[200];
  size_t used = 0;
  for (const char *c = name; *c && used < sizeof file - 1; ++c)
    file[used++] =
        *c == '/' || static_cast<unsigned char>(*c) < 0x20 ? '_' : *c;
  file[used] = 0;
  if (file[0] == '.')
    file[0] = '_';
  if (std::snprintf(path, capacity, "%s/%s.npy", folder, file) >=
      static_cast<int>(capacity))
    return fail(NACRE_IO_ERROR, "%s: the path is too long", folder);
  return NACRE_OK;
}

nacre_status writeNpy(const char *folder, const char *name,
                      const nacre_tensor &tensor, char *path, size_t capacity) {
  char kind = kindOf(tensor.dtype);
  if (!kind)
    return fail(
        NACRE_INVALID_VALUE,
        "output '%s' has the type %s, which .npy files cannot hold; use "
        "`nacre run` or the library",
        name, nacre_dtype_name(tensor.dtype));
  if (nacre_status s = makePath(folder, name, path, capacity))
    return s;
  char temporary[4200];
  std::snprintf(temporary, sizeof temporary, "%s.tmp", path);

  char header[1024];
  bool isPacked = nacre_dtype_bits(tensor.dtype) < 8;
  int32_t elementBytes = isPacked ? 1 : nacre_dtype_bits(tensor.dtype) / 8;
  size_t length = 10;
  auto add = [&](const char *format, auto... values) {
    length += static_cast<size_t>(std::snprintf(
        header + length, sizeof header - length, format, values...));
  };
  add("{'descr': '%c%c%d', 'fortran_order': False, 'shape': (",
      elementBytes == 1 ? '|' : '<', kind, elementBytes);
  for (int32_t d = 0; d < tensor.rank; ++d)
    add("%lld%s", static_cast<long long>(tensor.dims[d]),
        tensor.rank == 1 || d + 1 < tensor.rank ? "," : "");
  add("%s", "), }");
  while (length % 64 != 63)
    header[length++] = ' ';
  header[length++] = '\n';
  std::memcpy(header, "\x93NUMPY\x01\x00", 8);
  header[8] = static_cast<char>((length - 10) & 0xff);
  header[9] = static_cast<char>((length - 10) >> 8);

  size_t size = static_cast<size_t>(tensor.size);
  const void *elements = tensor.data;
  void *unpacked = nullptr;
  if (isPacked && size > 0) {
    int64_t count = 1;
    for (int32_t d = 0; d < tensor.rank; ++d)
      count *= tensor.dims[d];
    size = static_cast<size_t>(count);
    elements = unpacked = std::malloc(size);
    if (!unpacked)
      return fail(NACRE_OUT_OF_MEMORY, "%s: out of memory", path);
    nacre_dtype_unpack(tensor.dtype, tensor.data, count, unpacked);
  }
  FILE *out = std::fopen(temporary, "wbe");
  if (!out) {
    std::free(unpacked);
    return fail(NACRE_IO_ERROR, "%s: cannot be written: %s", path,
                std::strerror(errno));
  }
  bool good = std::fwrite(header, 1, length, out) == length &&
              (size == 0 || std::fwrite(elements, 1, size, out) == size) &&
              std::fflush(out) == 0 && fsync(fileno(out)) == 0;
  int error = errno;
  good &= std::fclose(out) == 0;
  std::free(unpacked);
  if (good && std::rename(temporary, path) == 0)
    return NACRE_OK;
  error = good ? errno : error;
  unlink(temporary);
  return fail(NACRE_IO_ERROR, "%s: cannot be written: %s", path,
              std::strerror(error));
}

} // namespace nacre::program
