// Regular expressions, on RE2: for the models that have one (nacre-regex.o).
#include "runtime/abi/nacre_regex.h"
#include "runtime/host/Host.h"

#include <cstdio>

#include <re2/re2.h>

using namespace nacre::host;

namespace {

re2::StringPiece pieceOf(Text text) { return {text.data, static_cast<size_t>(text.size)}; }

RE2::Options makeOptions() {
  RE2::Options options;
  options.set_log_errors(false);
  return options;
}

} // namespace

NACRE_HOST_FUNCTION(string_match) {
  Call call(context, description);
  Tensor input = call.input(0), pattern = call.input(1), result = call.output(0);
  RE2 expression(pieceOf(pattern.count() > 0 ? pattern.text(0) : Text()), makeOptions());
  bool isRight = expression.ok();
  if (!isRight)
    call.fail(NACRE_ABI_INVALID_VALUE, "the pattern is no regular expression: %.200s", expression.error().c_str());
  for (int64_t i = 0, e = result.count(); i < e; ++i)
    result.as<uint8_t>()[i] = isRight && RE2::FullMatch(pieceOf(input.text(i)), expression);
}

extern "C" int32_t nacre_regex_check(const char *pattern, int64_t size, char *message, int64_t room) {
  RE2 expression(pieceOf(Text(pattern, size)), makeOptions());
  std::snprintf(message, static_cast<size_t>(room), "%s", expression.error().c_str());
  return expression.ok();
}
