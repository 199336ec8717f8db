#include "runtime/core/SafeTensorsParser.h"

#include <cstdio>
#include <cstring>

namespace nacre::runtime::safetensors {

int sequenceLength(const char *text, const char *end) {
  auto at = [&](int i) { return static_cast<unsigned char>(text[i]); };
  if (text >= end)
    return 0;
  uint32_t first = at(0);
  if (first < 0x80)
    return 1;
  int length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || end - text < length)
    return 0;
  uint32_t code = first & (0x7Fu >> length);
  for (int i = 1; i < length; ++i) {
    if ((at(i) & 0xC0) != 0x80)
      return 0;
    code = code << 6 | (at(i) & 0x3Fu);
  }
  // Written with more bytes than it needs, half a pair, or beyond Unicode.
  bool isValid = code >= (length == 4 ? 0x10000u : length == 3 ? 0x800u : 0x80u) &&
                 (code < 0xD800 || code > 0xDFFF) && code <= 0x10FFFF;
  return isValid ? length : 0;
}

// ---- Pieces -----------------------------------------------------------------

bool Parser::reject(const char *place, const char *what) {
  if (status == NACRE_OK)
    status = fail(NACRE_CORRUPT,
                  "%s: damaged, or not a .safetensors file: byte %lld of its "
                  "header: %s",
                  path, static_cast<long long>(place - begin), what);
  return false;
}

bool Parser::expected(const char *what) {
  char found[16] = "its end", message[160];
  auto c = static_cast<unsigned char>(*next);
  if (next < end)
    std::snprintf(found, sizeof found,
                  c > 0x20 && c < 0x7F ? "'%c'" : "the byte %02X", c);
  std::snprintf(message, sizeof message, "found %s, expected %s", found, what);
  return reject(next, message);
}

bool Parser::outOfMemory() {
  if (status == NACRE_OK)
    status =
        fail(NACRE_OUT_OF_MEMORY, "%s: out of memory for its header", path);
  return false;
}

void Parser::skipSpace() {
  while (next < end &&
         (*next == ' ' || *next == '\t' || *next == '\n' || *next == '\r'))
    ++next;
}

bool Parser::take(char c) {
  skipSpace();
  if (next >= end || *next != c)
    return false;
  ++next;
  return true;
}

bool Parser::require(char c, const char *what) {
  return take(c) || expected(what);
}

bool Parser::hexDigits(uint32_t &code) {
  code = 0;
  for (int i = 0; i < 4; ++i, ++next) {
    char c = next < end ? *next : 0;
    int digit = c >= '0' && c <= '9'   ? c - '0'
                : c >= 'a' && c <= 'f' ? c - 'a' + 10
                : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                       : -1;
    if (digit < 0)
      return expected("four hexadecimal digits");
    code = code << 4 | uint32_t(digit);
  }
  return true;
}

// What follows a backslash. It has no more bytes decoded than it had written.
bool Parser::escape(char *&out) {
  const char *place = next - 1;
  char c = next < end ? *next : 0;
  const char *plain = "\"\"\\\\//b\bf\fn\nr\rt\t";
  for (; c && *plain; plain += 2)
    if (*plain == c) {
      ++next;
      *out++ = plain[1];
      return true;
    }
  if (c != 'u')
    return expected("an escape sequence");
  ++next;
  uint32_t code = 0, low = 0;
  if (!hexDigits(code))
    return false;
  if (code == 0)
    return reject(place, "a name or text has a zero in it");
  if (code >= 0xD800 && code <= 0xDBFF && end - next >= 6 && next[0] == '\\' &&
      next[1] == 'u') {
    next += 2;
    if (!hexDigits(low))
      return false;
    if (low >= 0xDC00 && low <= 0xDFFF)
      code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
  }
  if (code >= 0xD800 && code <= 0xDFFF)
    return reject(place, "half of a surrogate pair");
  int length = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  if (length == 1) {
    *out++ = static_cast<char>(code);
    return true;
  }
  *out++ = static_cast<char>((0xF00u >> length & 0xFF) |
                             code >> (6 * (length - 1)));
  for (int i = length - 2; i >= 0; --i)
    *out++ = static_cast<char>(0x80 | (code >> (6 * i) & 0x3F));
  return true;
}

bool Parser::string(const char *&result, const char *what) {
  if (!take('"'))
    return expected(what);
  char *out = next;
  result = out;
  while (next < end && *next != '"') {
    if (*next == '\\') {
      ++next;
      if (!escape(out))
        return false;
      continue;
    }
    if (static_cast<unsigned char>(*next) < 0x20)
      return expected("no control character in a string");
    int length = sequenceLength(next, end);
    if (!length)
      return expected("UTF-8");
    while (length--)
      *out++ = *next++;
  }
  if (next >= end)
    return expected("the end of a string");
  ++next;
  *out = 0; // on the quote, or before it
  return true;
}

bool Parser::number(int64_t &result, const char *what) {
  skipSpace();
  const char *first = next;
  result = 0;
  while (next < end && *next >= '0' && *next <= '9') {
    if (__builtin_mul_overflow(result, int64_t(10), &result) ||
        __builtin_add_overflow(result, int64_t(*next - '0'), &result))
      return reject(first, "the number is larger than any that can be");
    ++next;
  }
  if (next == first)
    return expected(what);
  if (*first == '0' && next - first > 1)
    return reject(first, "a number begins with 0");
  if (next < end && (*next == '.' || *next == 'e' || *next == 'E'))
    return expected("a whole number");
  return true;
}

// ---- The header -------------------------------------------------------------

// Makes room for one more element.
template <typename T> static bool reserve(Array<T> &array, int64_t count) {
  return count < array.size() || array.grow(count < 8 ? 16 : 2 * count);
}

bool Parser::shape(Entry &entry) {
  entry.rank = 0;
  entry.firstDim = header.dimCount;
  if (!require('[', "'[' and sizes"))
    return false;
  if (take(']'))
    return true;
  do {
    skipSpace();
    if (entry.rank == NACRE_MAX_RANK)
      return expected("at most 16 sizes");
    if (!reserve(header.dims, header.dimCount))
      return outOfMemory();
    if (!number(header.dims[header.dimCount], "a size"))
      return false;
    ++header.dimCount;
    ++entry.rank;
  } while (take(','));
  return require(']', "',' or ']'");
}

bool Parser::tensor(const char *name) {
  Entry entry = {};
  entry.name = name;
  bool hasShape = false, hasPlace = false;
  int64_t from = 0, to = 0;
  if (!require('{', "'{' and a tensor's type, shape and place"))
    return false;
  do {
    skipSpace();
    const char *place = next, *key = nullptr;
    if (!string(key, "\"dtype\", \"shape\" or \"data_offsets\"") ||
        !require(':', "':'"))
      return false;
    bool isType = std::strcmp(key, "dtype") == 0,
         isShape = std::strcmp(key, "shape") == 0;
    if (!isType && !isShape && std::strcmp(key, "data_offsets") != 0)
      return reject(place,
                    "expected \"dtype\", \"shape\" or \"data_offsets\"");
    if (isType ? entry.typeName != nullptr : isShape ? hasShape : hasPlace)
      return reject(place, "a key that was there before");
    if (isType) {
      if (!string(entry.typeName, "the name of a type"))
        return false;
    } else if (isShape) {
      hasShape = true;
      if (!shape(entry))
        return false;
    } else {
      hasPlace = true;
      if (!require('[', "'[' and two numbers") || !number(from, "a number") ||
          !require(',', "','") || !number(to, "a number") ||
          !require(']', "']'"))
        return false;
    }
  } while (take(','));
  if (!require('}', "',' or '}'"))
    return false;
  if (!entry.typeName || !hasShape || !hasPlace)
    return reject(next, !entry.typeName ? "a tensor without \"dtype\""
                        : !hasShape     ? "a tensor without \"shape\""
                                    : "a tensor without \"data_offsets\"");
  entry.begin = uint64_t(from);
  entry.end = uint64_t(to);
  if (!reserve(header.entries, header.entryCount))
    return outOfMemory();
  header.entries[header.entryCount++] = entry;
  return true;
}

bool Parser::metadata() {
  if (!require('{', "'{' and texts"))
    return false;
  if (take('}'))
    return true;
  do {
    nacre_metadata pair;
    if (!string(pair.key, "the name of a text") || !require(':', "':'") ||
        !string(pair.value, "a text"))
      return false;
    if (!reserve(header.metadata, header.metadataCount))
      return outOfMemory();
    header.metadata[header.metadataCount++] = pair;
  } while (take(','));
  return require('}', "',' or '}'");
}

nacre_status Parser::parse() {
  bool hasMetadata = false;
  // The format wants no space before it.
  bool isGood = next < end && *next == '{' ? take('{') : expected("'{'");
  if (isGood && !take('}')) {
    do {
      skipSpace();
      const char *place = next, *name = nullptr;
      isGood = string(name, "the name of a tensor") && require(':', "':'");
      if (!isGood)
        break;
      if (std::strcmp(name, "__metadata__") != 0)
        isGood = tensor(name);
      else if (hasMetadata)
        isGood = reject(place, "a second \"__metadata__\"");
      else
        isGood = hasMetadata = metadata();
    } while (isGood && take(','));
    isGood = isGood && require('}', "',' or '}'");
  }
  skipSpace();
  if (isGood && next < end)
    isGood = expected("nothing behind the last '}'");
  return status;
}

} // namespace nacre::runtime::safetensors
