//===- MachineRates.h - The machine's limits --------------------*- C++ -*-===//
#ifndef NACRE_TOOLS_NACRE_MACHINERATES_H
#define NACRE_TOOLS_NACRE_MACHINERATES_H

#include <cstdint>

namespace nacre::tool {

/// The f32 operations per second that so many threads reach with fused
/// multiply-adds in registers: measured, in about 0.1 s. What a kernel is compared with.
double measurePeakFlops(int threads);

/// Bytes a second that so many threads, each with a part of `bytes`, read again and again: the bandwidth of the level
/// of memory that holds them. 0 if there is no memory. Takes about a tenth of a second.
double measureBandwidth(int threads, int64_t bytes);

/// The bytes of the last-level cache, or 32 MiB if the system does not tell.
int64_t getLastLevelCacheBytes();

} // namespace nacre::tool

#endif // NACRE_TOOLS_NACRE_MACHINERATES_H
