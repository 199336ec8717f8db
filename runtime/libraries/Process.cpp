// What C and C++ libraries that are linked into a model want of a program, which a model has
// not: startup files, and standard streams where their code, made for programs, expects
// them. The build renames the streams in the libraries.
#include <cstdio>

extern "C" {
int __cxa_finalize(void *);

// Whose destructors at the end of the process are whose: this object's are its own.
__attribute__((visibility("hidden"))) void *__dso_handle = &__dso_handle;

FILE *nacre_library_stderr;
FILE *nacre_library_stdout;
}

namespace {

__attribute__((constructor(101))) void begin() {
  nacre_library_stderr = stderr;
  nacre_library_stdout = stdout;
}

// A model may be unloaded before.
__attribute__((destructor(101))) void end() { __cxa_finalize(&__dso_handle); }

} // namespace
