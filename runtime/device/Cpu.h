// What the runtime asks of the machine it runs on.
#ifndef NACRE_RUNTIME_DEVICE_CPU_H
#define NACRE_RUNTIME_DEVICE_CPU_H

#include <cstdint>

namespace nacre::runtime {

// Cores that this process may use: its affinity mask, cut down to the CPU quota
// of its control group. At least 1.
int32_t usableCores();

// Bytes of physical memory.
int64_t physicalMemory();

// Nanoseconds of a clock that never goes back.
int64_t nanoseconds();

// The first of the comma-separated features (LLVM's names, an optional '+' in
// front; "-name" is skipped) that this CPU or its operating system lacks,
// copied into `missing`. False if all are there.
bool findMissingFeature(const char *features, char (&missing)[64]);

// In a spinning loop: lets the sibling thread and the memory bus breathe.
inline void pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ __volatile__("yield" ::: "memory");
#endif
}

// Sets the thread's floating-point mode to the standard's (round to nearest,
// denormals kept, nothing traps) and back at the end: a host that flushes
// denormals would otherwise change results, and on some threads only.
class StandardFloats {
public:
#if defined(__x86_64__)
  StandardFloats() : saved(__builtin_ia32_stmxcsr()) {
    __builtin_ia32_ldmxcsr(0x1F80);
  }
  ~StandardFloats() { __builtin_ia32_ldmxcsr(saved); }

private:
  uint32_t saved;
#elif defined(__aarch64__)
  StandardFloats() {
    __asm__ __volatile__("mrs %0, fpcr" : "=r"(saved));
    __asm__ __volatile__("msr fpcr, %0" : : "r"(uint64_t(0)));
  }
  ~StandardFloats() { __asm__ __volatile__("msr fpcr, %0" : : "r"(saved)); }

private:
  uint64_t saved;
#else
  StandardFloats() {}
#endif
  StandardFloats(const StandardFloats &) = delete;
  StandardFloats &operator=(const StandardFloats &) = delete;
};

} // namespace nacre::runtime

#endif // NACRE_RUNTIME_DEVICE_CPU_H
