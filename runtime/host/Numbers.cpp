// Numbers as strings and back, in the C locale whatever the process's is.
#include "runtime/host/Host.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <locale.h>
#include <strings.h>

using namespace nacre::host;

namespace {

class CLocale {
public:
  CLocale() : locale(newlocale(LC_ALL_MASK, "C", nullptr)) {
    if (locale)
      previous = uselocale(locale);
  }
  ~CLocale() {
    if (!locale)
      return;
    uselocale(previous);
    freelocale(locale);
  }
  CLocale(const CLocale &) = delete;

private:
  locale_t locale, previous = nullptr;
};

struct Buffer {
  char text[64];
  int length = 0;
};

// The fewest digits that give the number back.
template <typename T> void formatFloat(T value, Buffer &to) {
  constexpr int most = sizeof(T) == 4 ? 9 : 17;
  auto name = [&](const char *text) {
    to.length = std::snprintf(to.text, sizeof to.text, "%s", text);
  };
  if (value != value)
    return name("NaN");
  if (value - value != 0)
    return name(value < 0 ? "-INF" : "INF");
  char digits[40];
  int precision = 0;
  for (; precision < most; ++precision) {
    std::snprintf(digits, sizeof digits, "%.*e", precision, double(value));
    T back = sizeof(T) == 4 ? T(std::strtof(digits, nullptr)) : T(std::strtod(digits, nullptr));
    if (back == value)
      break;
  }
  const char *mark = std::strchr(digits, 'e');
  int exponent = mark ? std::atoi(mark + 1) : 0;
  if (exponent < -4 || exponent > 15)
    return name(digits);
  int decimals = precision - exponent;
  to.length = std::snprintf(to.text, sizeof to.text, "%.*f", decimals < 1 ? 1 : decimals, double(value));
}

template <typename T> void formatInteger(T value, Buffer &to) {
  to.length = T(-1) < T(0) ? std::snprintf(to.text, sizeof to.text, "%lld", static_cast<long long>(value))
                           : std::snprintf(to.text, sizeof to.text, "%llu",
                                           static_cast<unsigned long long>(value));
}

template <typename T, typename Format>
void formatAll(Call &call, Format format) {
  Tensor input = call.input(0), result = call.output(0);
  for (int64_t i = 0, e = result.count(); i < e; ++i) {
    Buffer buffer;
    format(input.as<T>()[i], buffer);
    if (char *to = call.makeString(buffer.length, result.as<Handle>()[i]))
      std::memcpy(to, buffer.text, static_cast<size_t>(buffer.length));
  }
}

// A short text as a C string; false if it is longer than any number.
bool copy(Text text, char (&to)[512]) {
  if (text.size == 0 || text.size >= int64_t(sizeof to) || text.data[0] == ' ')
    return false;
  std::memcpy(to, text.data, static_cast<size_t>(text.size));
  to[text.size] = 0;
  return std::strlen(to) == static_cast<size_t>(text.size);
}

// C's functions read more than decimal numbers: hexadecimal ones, leading space.
bool isPlain(const char *text) {
  return (*text >= '0' && *text <= '9') || *text == '-' || *text == '+' || *text == '.';
}

template <typename T> bool parseFloat(const char *text, T &value) {
  const char *name = text + (*text == '-' || *text == '+');
  bool isNamed = strcasecmp(name, "inf") == 0 || strcasecmp(name, "nan") == 0 ||
                 strcasecmp(name, "infinity") == 0;
  if (!isNamed && (!isPlain(text) || std::strpbrk(text, "xX")))
    return false;
  char *end;
  value = sizeof(T) == 4 ? T(std::strtof(text, &end)) : T(std::strtod(text, &end));
  return *end == 0;
}

template <typename T> bool parseInteger(const char *text, T &value) {
  if (!isPlain(text) || *text == '.')
    return false;
  char *end;
  errno = 0;
  if (T(-1) < T(0)) {
    long long wide = std::strtoll(text, &end, 10);
    value = T(wide);
    return *end == 0 && errno == 0 && wide == static_cast<long long>(value);
  }
  unsigned long long wide = *text == '-' ? 1 : std::strtoull(text, &end, 10);
  value = T(wide);
  return *text != '-' && *end == 0 && errno == 0 && wide == static_cast<unsigned long long>(value);
}

template <typename T> void parseAll(Call &call, bool (*parse)(const char *, T &)) {
  Tensor input = call.input(0), result = call.output(0);
  for (int64_t i = 0, e = result.count(); i < e; ++i) {
    char text[512];
    T value = 0;
    if (!copy(input.text(i), text) || !parse(text, value)) {
      Text found = input.text(i);
      call.fail(NACRE_ABI_INVALID_VALUE, "element %lld is '%.*s', which is no number of the wanted type",
                static_cast<long long>(i), int(found.size < 40 ? found.size : 40), found.data);
      value = 0;
    }
    result.as<T>()[i] = value;
  }
}

} // namespace

NACRE_HOST_FUNCTION(string_format) {
  Call call(context, description);
  CLocale locale;
  switch (call.input(0).dtype) {
  case NACRE_DTYPE_F32: return formatAll<float>(call, formatFloat<float>);
  case NACRE_DTYPE_F64: return formatAll<double>(call, formatFloat<double>);
  case NACRE_DTYPE_I8: return formatAll<int8_t>(call, formatInteger<int8_t>);
  case NACRE_DTYPE_I16: return formatAll<int16_t>(call, formatInteger<int16_t>);
  case NACRE_DTYPE_I32: return formatAll<int32_t>(call, formatInteger<int32_t>);
  case NACRE_DTYPE_I64: return formatAll<int64_t>(call, formatInteger<int64_t>);
  case NACRE_DTYPE_BOOL:
  case NACRE_DTYPE_U8: return formatAll<uint8_t>(call, formatInteger<uint8_t>);
  case NACRE_DTYPE_U16: return formatAll<uint16_t>(call, formatInteger<uint16_t>);
  case NACRE_DTYPE_U32: return formatAll<uint32_t>(call, formatInteger<uint32_t>);
  case NACRE_DTYPE_U64: return formatAll<uint64_t>(call, formatInteger<uint64_t>);
  default:
    call.fail(NACRE_ABI_INVALID_VALUE, "internal error: numbers of type %d have no text", call.input(0).dtype);
    std::memset(call.output(0).data, 0, static_cast<size_t>(call.output(0).count()) * sizeof(Handle));
  }
}

NACRE_HOST_FUNCTION(string_parse) {
  Call call(context, description);
  CLocale locale;
  switch (call.output(0).dtype) {
  case NACRE_DTYPE_F32: return parseAll<float>(call, parseFloat<float>);
  case NACRE_DTYPE_F64: return parseAll<double>(call, parseFloat<double>);
  case NACRE_DTYPE_I8: return parseAll<int8_t>(call, parseInteger<int8_t>);
  case NACRE_DTYPE_I16: return parseAll<int16_t>(call, parseInteger<int16_t>);
  case NACRE_DTYPE_I32: return parseAll<int32_t>(call, parseInteger<int32_t>);
  case NACRE_DTYPE_I64: return parseAll<int64_t>(call, parseInteger<int64_t>);
  case NACRE_DTYPE_U8: return parseAll<uint8_t>(call, parseInteger<uint8_t>);
  case NACRE_DTYPE_U16: return parseAll<uint16_t>(call, parseInteger<uint16_t>);
  case NACRE_DTYPE_U32: return parseAll<uint32_t>(call, parseInteger<uint32_t>);
  case NACRE_DTYPE_U64: return parseAll<uint64_t>(call, parseInteger<uint64_t>);
  default:
    call.fail(NACRE_ABI_INVALID_VALUE, "internal error: no text becomes type %d", call.output(0).dtype);
  }
}
