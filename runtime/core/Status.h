// Errors: a status code, and a sentence in a buffer of the calling thread.
#ifndef NACRE_RUNTIME_CORE_STATUS_H
#define NACRE_RUNTIME_CORE_STATUS_H

#include "runtime/api/nacre.h"

namespace nacre::runtime {

// Records the sentence as the thread's last error and returns `code`.
[[gnu::format(printf, 2, 3)]] nacre_status fail(nacre_status code,
                                                const char *format, ...);

// The sentence of the calling thread's last failure, or "".
const char *lastError();

// A name from outside, fit for a message: control characters and quotes are
// escaped, a long one is cut. Lives until the end of the full
// expression, as in fail(code, "input '%s'", Quoted(name).text).
struct Quoted {
  explicit Quoted(const char *name);
  char text[120];
};

// The same for paths, which may be longer.
struct QuotedPath {
  explicit QuotedPath(const char *path);
  char text[480];
};

} // namespace nacre::runtime

#endif // NACRE_RUNTIME_CORE_STATUS_H
