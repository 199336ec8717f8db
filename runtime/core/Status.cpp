#include "runtime/core/Status.h"

#include <cstdarg>
#include <cstdio>

namespace nacre::runtime {

static constinit thread_local char lastErrorText[1024] = "";

const char *lastError() { return lastErrorText; }

nacre_status fail(nacre_status code, const char *format, ...) {
  // The arguments may point into the old text: format beside it, then copy.
  char text[sizeof lastErrorText];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  __builtin_memcpy(lastErrorText, text, sizeof text);
  return code;
}

static void quote(const char *name, char *out, size_t size) {
  char *end = out + size - 8;
  for (; name && *name; ++name) {
    if (out >= end) {
      __builtin_memcpy(out, "...", 3);
      out += 3;
      break;
    }
    unsigned char c = static_cast<unsigned char>(*name);
    // UTF-8 passes: it is what names are in. The cut may fall inside of a
    // sequence, which terminals show as one replacement character.
    if (c < 0x20 || c == 0x7F || c == '\'' || c == '\\')
      out += std::snprintf(out, 5, "\\x%02X", c);
    else
      *out++ = static_cast<char>(c);
  }
  *out = 0;
}

Quoted::Quoted(const char *name) { quote(name, text, sizeof text); }
QuotedPath::QuotedPath(const char *path) { quote(path, text, sizeof text); }

} // namespace nacre::runtime
