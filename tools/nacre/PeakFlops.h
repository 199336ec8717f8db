//===- PeakFlops.h - The machine's limit ------------------------*- C++ -*-===//
#ifndef NACRE_TOOLS_NACRE_PEAKFLOPS_H
#define NACRE_TOOLS_NACRE_PEAKFLOPS_H

namespace nacre::tool {

/// The f32 operations per second that so many threads reach with fused
/// multiply-adds in registers: measured, in about 0.1 s. What a kernel is compared with.
double measurePeakFlops(int threads);

} // namespace nacre::tool

#endif // NACRE_TOOLS_NACRE_PEAKFLOPS_H
