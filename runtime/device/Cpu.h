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

} // namespace nacre::runtime

#endif // NACRE_RUNTIME_DEVICE_CPU_H
