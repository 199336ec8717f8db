// Which instruction sets this CPU and its operating system offer, under LLVM's
// names. Refusing before the first instruction beats dying of SIGILL in it.
#include "runtime/device/Cpu.h"
#include "runtime/abi/nacre_tiles.h"

#include <cstring>

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__)
#include <sys/auxv.h>
#include <sys/prctl.h>
#endif

namespace nacre::runtime {

#if defined(__x86_64__)

namespace {

enum Register : uint8_t { EAX, EBX, ECX, EDX };

// State that the operating system must save: bits of XCR0.
enum State : uint32_t { None = 0, Avx = 0x6, Avx512 = 0xE6, Amx = 0x60000 };

struct Feature {
  const char *name;
  uint32_t leaf, subleaf;
  Register reg;
  uint8_t bit;
  uint32_t state;
};

} // namespace

static constexpr uint32_t extended = 0x80000001u;

static const Feature knownFeatures[] = {
    {"64bit", extended, 0, EDX, 29, None},
    {"cx8", 1, 0, EDX, 8, None},
    {"cmov", 1, 0, EDX, 15, None},
    {"x87", 1, 0, EDX, 0, None},
    {"mmx", 1, 0, EDX, 23, None},
    {"fxsr", 1, 0, EDX, 24, None},
    {"sse", 1, 0, EDX, 25, None},
    {"sse2", 1, 0, EDX, 26, None},
    {"sse3", 1, 0, ECX, 0, None},
    {"pclmul", 1, 0, ECX, 1, None},
    {"ssse3", 1, 0, ECX, 9, None},
    {"fma", 1, 0, ECX, 12, Avx},
    {"cx16", 1, 0, ECX, 13, None},
    {"sse4.1", 1, 0, ECX, 19, None},
    {"sse4.2", 1, 0, ECX, 20, None},
    {"crc32", 1, 0, ECX, 20, None},
    {"movbe", 1, 0, ECX, 22, None},
    {"popcnt", 1, 0, ECX, 23, None},
    {"aes", 1, 0, ECX, 25, None},
    {"xsave", 1, 0, ECX, 27, None},
    {"avx", 1, 0, ECX, 28, Avx},
    {"f16c", 1, 0, ECX, 29, Avx},
    {"rdrnd", 1, 0, ECX, 30, None},
    {"fsgsbase", 7, 0, EBX, 0, None},
    {"sgx", 7, 0, EBX, 2, None},
    {"bmi", 7, 0, EBX, 3, None},
    {"avx2", 7, 0, EBX, 5, Avx},
    {"bmi2", 7, 0, EBX, 8, None},
    {"invpcid", 7, 0, EBX, 10, None},
    {"rtm", 7, 0, EBX, 11, None},
    {"avx512f", 7, 0, EBX, 16, Avx512},
    {"avx512dq", 7, 0, EBX, 17, Avx512},
    {"rdseed", 7, 0, EBX, 18, None},
    {"adx", 7, 0, EBX, 19, None},
    {"avx512ifma", 7, 0, EBX, 21, Avx512},
    {"clflushopt", 7, 0, EBX, 23, None},
    {"clwb", 7, 0, EBX, 24, None},
    {"avx512cd", 7, 0, EBX, 28, Avx512},
    {"sha", 7, 0, EBX, 29, None},
    {"avx512bw", 7, 0, EBX, 30, Avx512},
    {"avx512vl", 7, 0, EBX, 31, Avx512},
    {"avx512vbmi", 7, 0, ECX, 1, Avx512},
    {"pku", 7, 0, ECX, 4, None},
    {"waitpkg", 7, 0, ECX, 5, None},
    {"avx512vbmi2", 7, 0, ECX, 6, Avx512},
    {"shstk", 7, 0, ECX, 7, None},
    {"gfni", 7, 0, ECX, 8, None},
    {"vaes", 7, 0, ECX, 9, Avx},
    {"vpclmulqdq", 7, 0, ECX, 10, Avx},
    {"avx512vnni", 7, 0, ECX, 11, Avx512},
    {"avx512bitalg", 7, 0, ECX, 12, Avx512},
    {"avx512vpopcntdq", 7, 0, ECX, 14, Avx512},
    {"rdpid", 7, 0, ECX, 22, None},
    {"kl", 7, 0, ECX, 23, None},
    {"cldemote", 7, 0, ECX, 25, None},
    {"movdiri", 7, 0, ECX, 27, None},
    {"movdir64b", 7, 0, ECX, 28, None},
    {"enqcmd", 7, 0, ECX, 29, None},
    {"uintr", 7, 0, EDX, 5, None},
    {"avx512vp2intersect", 7, 0, EDX, 8, Avx512},
    {"serialize", 7, 0, EDX, 14, None},
    {"tsxldtrk", 7, 0, EDX, 16, None},
    {"pconfig", 7, 0, EDX, 18, None},
    {"amx-bf16", 7, 0, EDX, 22, Amx},
    {"avx512fp16", 7, 0, EDX, 23, Avx512},
    {"amx-tile", 7, 0, EDX, 24, Amx},
    {"amx-int8", 7, 0, EDX, 25, Amx},
    {"sha512", 7, 1, EAX, 0, Avx},
    {"sm3", 7, 1, EAX, 1, Avx},
    {"sm4", 7, 1, EAX, 2, Avx},
    {"raoint", 7, 1, EAX, 3, None},
    {"avxvnni", 7, 1, EAX, 4, Avx},
    {"avx512bf16", 7, 1, EAX, 5, Avx512},
    {"cmpccxadd", 7, 1, EAX, 7, None},
    {"amx-fp16", 7, 1, EAX, 21, Amx},
    {"hreset", 7, 1, EAX, 22, None},
    {"avxifma", 7, 1, EAX, 23, Avx},
    {"movrs", 7, 1, EAX, 31, None},
    {"avxvnniint8", 7, 1, EDX, 4, Avx},
    {"avxneconvert", 7, 1, EDX, 5, Avx},
    {"amx-complex", 7, 1, EDX, 8, Amx},
    {"avxvnniint16", 7, 1, EDX, 10, Avx},
    {"prefetchi", 7, 1, EDX, 14, None},
    {"usermsr", 7, 1, EDX, 15, None},
    {"avx10.1", 7, 1, EDX, 19, Avx512},
    {"xsaveopt", 0xD, 1, EAX, 0, None},
    {"xsavec", 0xD, 1, EAX, 1, None},
    {"xsaves", 0xD, 1, EAX, 3, None},
    {"ptwrite", 0x14, 0, EBX, 4, None},
    {"sahf", extended, 0, ECX, 0, None},
    {"lzcnt", extended, 0, ECX, 5, None},
    {"sse4a", extended, 0, ECX, 6, None},
    {"prfchw", extended, 0, ECX, 8, None},
    {"xop", extended, 0, ECX, 11, Avx},
    {"lwp", extended, 0, ECX, 15, None},
    {"fma4", extended, 0, ECX, 16, Avx},
    {"tbm", extended, 0, ECX, 21, None},
    {"mwaitx", extended, 0, ECX, 29, None},
    {"clzero", 0x80000008u, 0, EBX, 0, None},
    {"rdpru", 0x80000008u, 0, EBX, 4, None},
    {"wbnoinvd", 0x80000008u, 0, EBX, 9, None},
};

static bool hasFeature(const char *name, size_t length) {
  for (const Feature &feature : knownFeatures) {
    if (std::strlen(feature.name) != length ||
        std::memcmp(feature.name, name, length) != 0)
      continue;
    unsigned r[4] = {};
    if (!__get_cpuid_count(feature.leaf, feature.subleaf, &r[0], &r[1], &r[2],
                           &r[3]) ||
        !(r[feature.reg] >> feature.bit & 1))
      return false;
    if (feature.state == None)
      return true;
    unsigned a, b, c, d;
    __cpuid(1, a, b, c, d);
    if (!(c >> 27 & 1)) // OSXSAVE
      return false;
    uint32_t low, high;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (low & feature.state) == feature.state && (feature.state != Amx || nacre_abi_request_tiles());
  }
  return false; // a name newer than this runtime: it cannot promise it
}

#elif defined(__aarch64__)

// Bits of the auxiliary vector's words of capabilities, as Linux numbers them.
static bool hasFeature(const char *name, size_t length) {
  static const struct {
    const char *name;
    unsigned long auxiliary;
    int bit;
  } known[] = {{"fp-armv8", AT_HWCAP, 0},     {"neon", AT_HWCAP, 1},
               {"aes", AT_HWCAP, 3},          {"sha2", AT_HWCAP, 6},
               {"crc", AT_HWCAP, 7},          {"lse", AT_HWCAP, 8},
               {"fullfp16", AT_HWCAP, 10},    {"rdm", AT_HWCAP, 12},
               {"jsconv", AT_HWCAP, 13},      {"complxnum", AT_HWCAP, 14},
               {"rcpc", AT_HWCAP, 15},        {"sha3", AT_HWCAP, 17},
               {"sm4", AT_HWCAP, 19},         {"dotprod", AT_HWCAP, 20},
               {"sve", AT_HWCAP, 22},         {"fp16fml", AT_HWCAP, 23},
               {"rcpc-immo", AT_HWCAP, 26},   {"flagm", AT_HWCAP, 27},
               {"sve2", AT_HWCAP2, 1},        {"sve-aes", AT_HWCAP2, 2},
               {"sve-bitperm", AT_HWCAP2, 4}, {"sve-sha3", AT_HWCAP2, 5},
               {"sve-sm4", AT_HWCAP2, 6},     {"altnzcv", AT_HWCAP2, 7},
               {"fptoint", AT_HWCAP2, 8},     {"f32mm", AT_HWCAP2, 10},
               {"f64mm", AT_HWCAP2, 11},      {"i8mm", AT_HWCAP2, 13},
               {"bf16", AT_HWCAP2, 14},       {"cssc", AT_HWCAP2, 34},
               {"sve2p1", AT_HWCAP2, 36},     {"mops", AT_HWCAP2, 43},
               {"sve-b16b16", AT_HWCAP2, 45}, {"rcpc3", AT_HWCAP2, 46}};
  for (auto &feature : known)
    if (std::strlen(feature.name) == length &&
        std::memcmp(feature.name, name, length) == 0)
      return getauxval(feature.auxiliary) >> feature.bit & 1;
  // A length of SVE's vectors in bits, "sve256": at least.
  if (length > 3 && length < 8 && std::memcmp(name, "sve", 3) == 0) {
    int wanted = 0;
    for (size_t i = 3; i < length; ++i) {
      if (name[i] < '0' || name[i] > '9')
        return false;
      wanted = 10 * wanted + (name[i] - '0');
    }
    int bytes = getauxval(AT_HWCAP) >> 22 & 1 ? prctl(PR_SVE_GET_VL) : -1;
    return bytes > 0 && 8 * (bytes & PR_SVE_VL_LEN_MASK) >= wanted;
  }
  return false;
}

#else
static bool hasFeature(const char *, size_t) { return false; }
#endif

bool findMissingFeature(const char *features, char (&missing)[64]) {
  missing[0] = 0;
  while (features && *features) {
    size_t length = std::strcspn(features, ",");
    const char *name = features;
    features += length + (features[length] == ',');
    while (length > 0 && *name == ' ')
      ++name, --length;
    while (length > 0 && name[length - 1] == ' ')
      --length;
    if (length == 0 || *name == '-')
      continue;
    if (*name == '+')
      ++name, --length;
    if (hasFeature(name, length))
      continue;
    size_t shown = length < sizeof missing ? length : sizeof missing - 1;
    std::memcpy(missing, name, shown);
    missing[shown] = 0;
    return true;
  }
  return false;
}

} // namespace nacre::runtime
