// Lower and upper case: Unicode's full mapping, the same in every locale.
// Bytes that are no UTF-8 stay as they are.
#include "runtime/host/Host.h"

namespace nacre::host {

namespace {

// Letters first, first + step, ... last become what lies `difference` further.
struct Range {
  uint32_t first, last;
  int32_t step, difference;
};
// A letter that becomes several.
struct Special {
  uint32_t code;
  uint32_t to[3]; // 0: none
};

#include "runtime/host/CaseTable.inc"

// The code point at `at`, and how many bytes it has; 0 of invalid ones.
int decode(Text text, int64_t at, uint32_t &code) {
  auto byte = [&](int64_t i) {
    return at + i < text.size
               ? static_cast<unsigned char>(text.data[at + i])
               : 0u;
  };
  auto follows = [&](int64_t i) { return (byte(i) & 0xC0) == 0x80; };
  uint32_t lead = byte(0);
  if (lead < 0x80) {
    code = lead;
    return 1;
  }
  int length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4)
    return 0;
  code = lead & (0x7Fu >> length);
  for (int i = 1; i < length; ++i) {
    if (!follows(i))
      return 0;
    code = code << 6 | (byte(i) & 0x3F);
  }
  bool tooShort = (length == 3 && code < 0x800) || (length == 4 && code < 0x10000);
  bool isSurrogate = code >= 0xD800 && code <= 0xDFFF;
  return tooShort || isSurrogate || code > 0x10FFFF ? 0 : length;
}

// Writes a code point, or only counts its bytes if `to` is null.
int encode(uint32_t code, char *to) {
  int length = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  if (!to)
    return length;
  if (length == 1) {
    *to = static_cast<char>(code);
    return 1;
  }
  for (int i = length - 1; i > 0; --i, code >>= 6)
    to[i] = static_cast<char>(0x80 | (code & 0x3F));
  to[0] = static_cast<char>((0xF00u >> length & 0xF0) | code);
  return length;
}

const Range *findRange(const Range *table, int64_t count, uint32_t code) {
  while (count > 0) {
    int64_t half = count / 2;
    const Range &range = table[half];
    if (code < range.first) {
      count = half;
    } else if (code > range.last) {
      table += half + 1;
      count -= half + 1;
    } else {
      return (code - range.first) % static_cast<uint32_t>(range.step) == 0
                 ? &range
                 : nullptr;
    }
  }
  return nullptr;
}

// What a letter becomes: up to three, 0 where there are fewer.
template <size_t N, size_t M>
void map(const Range (&ranges)[N], const Special (&specials)[M], uint32_t code,
         uint32_t (&to)[3]) {
  to[0] = code, to[1] = to[2] = 0;
  if (code < 0x80) { // the first range
    if (code >= ranges[0].first && code <= ranges[0].last)
      to[0] = static_cast<uint32_t>(int32_t(code) + ranges[0].difference);
    return;
  }
  for (const Special &special : specials)
    if (special.code == code) {
      std::memcpy(to, special.to, sizeof to);
      return;
    }
  if (const Range *range = findRange(ranges, N, code))
    to[0] = static_cast<uint32_t>(int32_t(code) + range->difference);
}

// The bytes of the text in the wanted case, written if `to` is not null.
int64_t convert(Text text, bool lower, char *to) {
  int64_t written = 0;
  for (int64_t at = 0; at < text.size;) {
    uint32_t code, codes[3];
    int length = decode(text, at, code);
    if (length == 0) {
      if (to)
        to[written] = text.data[at];
      ++written, ++at;
      continue;
    }
    if (lower)
      map(kLower, kLowerSpecial, code, codes);
    else
      map(kUpper, kUpperSpecial, code, codes);
    for (int i = 0; i < 3 && (i == 0 || codes[i]); ++i)
      written += encode(codes[i], to ? to + written : nullptr);
    at += length;
  }
  return written;
}

} // namespace

Handle changeCase(Call &call, Handle handle, int64_t change) {
  Text text(handle);
  if (change == 0 || text.size == 0)
    return handle;
  bool lower = change == 1;
  Handle changed;
  if (char *to = call.makeString(convert(text, lower, nullptr), changed))
    convert(text, lower, to);
  return changed;
}

} // namespace nacre::host
