/* What the compiler asks of the host library's regular expressions (runtime/regex).
 * C11.
 */
#ifndef NACRE_RUNTIME_REGEX_H
#define NACRE_RUNTIME_REGEX_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Whether `pattern` is a regular expression: 1, or 0 and what is wrong with it, ended by
 * a 0, in `message`, which has room for `room` bytes, 1 or more. Any thread. */
int32_t nacre_regex_check(const char *pattern, int64_t size, char *message, int64_t room);

#ifdef __cplusplus
}
#endif
#endif /* NACRE_RUNTIME_REGEX_H */
