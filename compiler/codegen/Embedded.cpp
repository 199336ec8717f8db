//===- Embedded.cpp - What is linked into models ----------------*- C++ -*-===//
#include "compiler/codegen/Embedded.h"
#include "runtime/abi/nacre_host.h"

using namespace llvm;
using namespace nacre::codegen;

// The build names the objects that it has made: NACRE_EMBEDDED_<what>_<machine>.
#define NACRE_EMBED(symbol, path)                                                                  \
  __asm__(".section .rodata,\"a\",@progbits\n"                                                     \
          ".p2align 6\n" #symbol "_begin: .incbin \"" path "\"\n" #symbol "_end:\n"                \
          ".globl " #symbol "_begin, " #symbol "_end\n"                                            \
          ".hidden " #symbol "_begin, " #symbol "_end\n"                                           \
          ".text\n");                                                                              \
  extern "C" const char symbol##_begin[], symbol##_end[];

#ifdef NACRE_EMBEDDED_host_x86_64
NACRE_EMBED(nacre_host_x86_64, NACRE_EMBEDDED_host_x86_64)
NACRE_EMBED(nacre_runtime_x86_64, NACRE_EMBEDDED_runtime_x86_64)
NACRE_EMBED(nacre_main_x86_64, NACRE_EMBEDDED_main_x86_64)
#endif
#ifdef NACRE_EMBEDDED_regex_x86_64
NACRE_EMBED(nacre_regex_x86_64, NACRE_EMBEDDED_regex_x86_64)
NACRE_EMBED(nacre_images_x86_64, NACRE_EMBEDDED_images_x86_64)
#endif
#ifdef NACRE_EMBEDDED_host_aarch64
NACRE_EMBED(nacre_host_aarch64, NACRE_EMBEDDED_host_aarch64)
NACRE_EMBED(nacre_runtime_aarch64, NACRE_EMBEDDED_runtime_aarch64)
NACRE_EMBED(nacre_main_aarch64, NACRE_EMBEDDED_main_aarch64)
#endif
#ifdef NACRE_EMBEDDED_regex_aarch64
NACRE_EMBED(nacre_regex_aarch64, NACRE_EMBEDDED_regex_aarch64)
NACRE_EMBED(nacre_images_aarch64, NACRE_EMBEDDED_images_aarch64)
#endif

extern "C" void nacre_host_string_match(nacre_abi_context *, const nacre_host_call *);
extern "C" void nacre_host_decode_image(nacre_abi_context *, const nacre_host_call *);

#define NACRE_RANGE(symbol) StringRef(symbol##_begin, symbol##_end - symbol##_begin)
#define NACRE_RANGES(machine)                                                                      \
  {NACRE_RANGE(nacre_host_##machine), NACRE_RANGE(nacre_runtime_##machine),                        \
   NACRE_RANGE(nacre_main_##machine)}

ArrayRef<LibraryFunction> nacre::codegen::getLibraryFunctions() {
  static const LibraryFunction functions[] = {
      {Embedded::Regex, "nacre_host_string_match", reinterpret_cast<void *>(&nacre_host_string_match)},
      {Embedded::Images, "nacre_host_decode_image", reinterpret_cast<void *>(&nacre_host_decode_image)}};
  return functions;
}

/// Those of another machine are not to be had.
static Expected<MemoryBufferRef> getLibrary(Embedded what, const Triple &machine) {
  bool isRegex = what == Embedded::Regex;
  switch (machine.getArch()) {
#ifdef NACRE_EMBEDDED_regex_x86_64
  case Triple::x86_64:
    return MemoryBufferRef(isRegex ? NACRE_RANGE(nacre_regex_x86_64) : NACRE_RANGE(nacre_images_x86_64), kLibraryName);
#endif
#ifdef NACRE_EMBEDDED_regex_aarch64
  case Triple::aarch64:
    return MemoryBufferRef(isRegex ? NACRE_RANGE(nacre_regex_aarch64) : NACRE_RANGE(nacre_images_aarch64), kLibraryName);
#endif
  default:
    return createStringError(inconvertibleErrorCode(), "this build of Nacre has no %s for %s",
                             isRegex ? "regular expressions" : "decoders of images", machine.getArchName().str().c_str());
  }
}

Expected<MemoryBufferRef> nacre::codegen::getEmbedded(Embedded what, const Triple &machine) {
  if (what == Embedded::Regex || what == Embedded::Images)
    return getLibrary(what, machine);
  static constexpr StringLiteral names[] = {"nacre.library", "nacre.runtime", "nacre.main"};
  auto choose = [&](std::initializer_list<StringRef> objects) {
    return MemoryBufferRef(objects.begin()[size_t(what)], names[size_t(what)]);
  };
  switch (machine.getArch()) {
#ifdef NACRE_EMBEDDED_host_x86_64
  case Triple::x86_64:
    return choose(NACRE_RANGES(x86_64));
#endif
#ifdef NACRE_EMBEDDED_host_aarch64
  case Triple::aarch64:
    return choose(NACRE_RANGES(aarch64));
#endif
  default:
    return createStringError(inconvertibleErrorCode(),
                             "this build of Nacre has no runtime for %s: it was made without that "
                             "machine's C and C++ headers",
                             machine.getArchName().str().c_str());
  }
}
