// The JSON of a .safetensors header. It has one form, an object of objects of
// given keys, so that nothing nests deeper than that.
#ifndef NACRE_RUNTIME_CORE_SAFETENSORSPARSER_H
#define NACRE_RUNTIME_CORE_SAFETENSORSPARSER_H

#include "runtime/core/SafeTensors.h"

namespace nacre::runtime::safetensors {

// Fills a header out of its text, in which strings are decoded in place.
class Parser {
public:
  Parser(const char *path, Header &header)
      : path(path), header(header), begin(header.text.data()), next(begin),
        end(begin + header.text.size() - 1) {}
  nacre_status parse();

private:
  // All of these are false after a failure, which is recorded.
  bool expected(const char *what);
  bool reject(const char *place, const char *what);
  bool outOfMemory();
  void skipSpace();
  bool take(char c);
  bool require(char c, const char *what);
  bool string(const char *&result, const char *what);
  bool escape(char *&out);
  bool hexDigits(uint32_t &code);
  bool number(int64_t &result, const char *what);
  bool tensor(const char *name);
  bool shape(Entry &entry);
  bool metadata();

  const char *path;
  Header &header;
  char *begin, *next, *end;
  nacre_status status = NACRE_OK;
};

} // namespace nacre::runtime::safetensors

#endif // NACRE_RUNTIME_CORE_SAFETENSORSPARSER_H
