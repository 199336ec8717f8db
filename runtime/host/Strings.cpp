// Functions of strings: concatenation, comparison, words, pieces.
#include "runtime/host/Host.h"

using namespace nacre::host;

namespace {

// Steps through the elements of an operand as it broadcasts to a result.
class Broadcast {
public:
  Broadcast(const Tensor &operand, const Tensor &result) : result(result) {
    int64_t stride = 1;
    int32_t offset = result.rank - operand.rank;
    for (int32_t i = operand.rank; i-- > 0; stride *= operand.dims[i]) {
      strides[offset + i] = operand.dims[i] == 1 ? 0 : stride;
      fits &= operand.dims[i] == 1 || operand.dims[i] == result.dims[offset + i];
    }
  }
  int64_t get() const { return position; }
  void next() {
    for (int32_t i = result.rank; i-- > 0;) {
      position += strides[i];
      if (++places[i] < result.dims[i])
        return;
      position -= strides[i] * result.dims[i];
      places[i] = 0;
    }
  }
  bool fits = true;

private:
  const Tensor &result;
  int64_t position = 0;
  int64_t strides[NACRE_ABI_MAX_RANK] = {}, places[NACRE_ABI_MAX_RANK] = {};
};

// The result's elements, each made of two strings. Ranks beyond the ABI's, and
// sizes that do not broadcast, are the compiler's to refuse.
template <typename T, typename Function>
void combine(Call &call, Function function) {
  Tensor lhs = call.input(0), rhs = call.input(1), result = call.output(0);
  T *elements = result.as<T>();
  int64_t count = result.count();
  bool fits = result.rank <= NACRE_ABI_MAX_RANK && lhs.rank <= result.rank &&
              rhs.rank <= result.rank;
  if (fits) {
    Broadcast left(lhs, result), right(rhs, result);
    fits = left.fits && right.fits;
    for (int64_t i = 0; fits && i < count; ++i, left.next(), right.next())
      elements[i] = function(lhs.as<Handle>()[left.get()],
                             rhs.as<Handle>()[right.get()]);
  }
  if (fits)
    return;
  call.fail(NACRE_ABI_INVALID_SHAPE, "the sizes do not broadcast");
  std::memset(elements, 0, static_cast<size_t>(count) * sizeof(T));
}

uint64_t hashText(Text text) { return hashBytes(text.data, text.size); }

bool isSpace(Text text, int64_t at, int &length) {
  auto byte = [&](int64_t i) {
    return at + i < text.size
               ? static_cast<unsigned char>(text.data[at + i])
               : 0u;
  };
  uint32_t code = byte(0);
  length = 1;
  if (code == 0xC2 && (byte(1) == 0x85 || byte(1) == 0xA0)) {
    length = 2;
    return true;
  }
  if ((code & 0xF0) == 0xE0) {
    length = 3;
    code = (code & 15) << 12 | (byte(1) & 63) << 6 | (byte(2) & 63);
    return code == 0x1680 || (code >= 0x2000 && code <= 0x200A) ||
           code == 0x2028 || code == 0x2029 || code == 0x202F ||
           code == 0x205F || code == 0x3000;
  }
  return code == ' ' || (code >= 9 && code <= 13) || (code >= 28 && code <= 31);
}

// Calls take(piece) for each piece of a text, as Python's str.split does.
template <typename Take>
void splitAtSpace(Text text, int64_t most, Take take) {
  int64_t at = 0;
  int length;
  auto skip = [&](bool space) {
    while (at < text.size && isSpace(text, at, length) == space)
      at += space ? length : 1;
  };
  for (int64_t cuts = 0;; ++cuts) {
    skip(true);
    if (at >= text.size)
      return;
    int64_t begin = at;
    if (most >= 0 && cuts >= most)
      at = text.size;
    else
      skip(false);
    take(Text(text.data + begin, at - begin));
  }
}

template <typename Take>
void splitAt(Text text, Text delimiter, int64_t most, Take take) {
  if (delimiter.size == 0)
    return splitAtSpace(text, most, take);
  int64_t begin = 0, cuts = 0;
  for (int64_t at = 0; at + delimiter.size <= text.size && (most < 0 || cuts < most);) {
    if (Text(text.data + at, delimiter.size) == delimiter) {
      take(Text(text.data + begin, at - begin));
      begin = at += delimiter.size;
      ++cuts;
    } else {
      ++at;
    }
  }
  take(Text(text.data + begin, text.size - begin));
}

} // namespace

NACRE_HOST_FUNCTION(string_bytes) {
  Call call(context, description);
  Tensor result = call.output(0);
  Text text = call.input(0).text(0);
  int64_t count = result.count(), given = text.size < count ? text.size : count;
  auto *to = result.as<char>();
  if (given > 0)
    std::memcpy(to, text.data, static_cast<size_t>(given));
  if (count > given)
    std::memset(to + given, 0, static_cast<size_t>(count - given));
}

NACRE_HOST_FUNCTION(string_concat) {
  Call call(context, description);
  combine<Handle>(call, [&](Handle lhs, Handle rhs) {
    Text left(lhs), right(rhs);
    if (left.size == 0)
      return rhs;
    if (right.size == 0)
      return lhs;
    Handle joined;
    if (char *to = call.makeString(left.size + right.size, joined)) {
      std::memcpy(to, left.data, static_cast<size_t>(left.size));
      std::memcpy(to + left.size, right.data, static_cast<size_t>(right.size));
    }
    return joined;
  });
}

NACRE_HOST_FUNCTION(string_equal) {
  Call call(context, description);
  combine<uint8_t>(call, [](Handle lhs, Handle rhs) {
    return static_cast<uint8_t>(Text(lhs) == Text(rhs));
  });
}

NACRE_HOST_FUNCTION(string_normalize) {
  Call call(context, description);
  Tensor input = call.input(0), stops = call.input(1), words = call.output(0);
  int64_t change = call.number(0), room = words.count(), used = 0;
  bool isSensitive = call.number(1) != 0;
  int64_t compared = isSensitive ? 0 : change ? change : 1;
  Index index;
  auto *folded = static_cast<Handle *>(
      call.allocate(stops.count() * int64_t(sizeof(Handle))));
  if (folded && index.reserve(call, stops.count()))
    for (int64_t i = 0; i < stops.count(); ++i) {
      folded[i] = changeCase(call, stops.as<Handle>()[i], compared);
      index.add(hashText(Text(folded[i])), i);
    }
  for (int64_t i = 0; i < input.count() && used < room; ++i) {
    Handle word = input.as<Handle>()[i];
    Text key(changeCase(call, word, compared));
    if (index.find(hashText(key), [&](int64_t stop) { return Text(folded[stop]) == key; }) < 0)
      words.as<Handle>()[used++] = changeCase(call, word, change);
  }
  *call.output(1).as<int64_t>() = used ? used : room < 1 ? 0 : 1;
  for (; used < room; ++used)
    words.as<Handle>()[used] = nullptr;
}

NACRE_HOST_FUNCTION(string_count_pieces) {
  Call call(context, description);
  Tensor input = call.input(0), result = call.output(0);
  Text delimiter = call.input(1).text(0);
  for (int64_t i = 0, e = result.count(); i < e; ++i) {
    int64_t count = 0;
    splitAt(input.text(i), delimiter, call.number(0), [&](Text) { ++count; });
    result.as<int64_t>()[i] = count;
  }
}

NACRE_HOST_FUNCTION(string_split) {
  Call call(context, description);
  Tensor input = call.input(0), result = call.output(0);
  Text delimiter = call.input(1).text(0);
  int64_t width = result.dims[result.rank - 1];
  Handle *row = result.as<Handle>();
  for (int64_t i = 0, e = width ? input.count() : 0; i < e; ++i, row += width) {
    int64_t used = 0;
    splitAt(input.text(i), delimiter, call.number(0), [&](Text piece) {
      if (used < width)
        row[used++] = call.share(piece);
    });
    for (; used < width; ++used)
      row[used] = nullptr;
  }
}
