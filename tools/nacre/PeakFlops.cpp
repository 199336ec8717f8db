//===- PeakFlops.cpp - The machine's limit ----------------------*- C++ -*-===//
#include "tools/nacre/PeakFlops.h"
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <thread>
#include <vector>

using namespace nacre;
using namespace nacre::tool;
using Clock = std::chrono::steady_clock;

namespace {

// Independent chains: two FMA units with a latency of at most 5 cycles are kept busy by 10.
constexpr int kChains = 12;
constexpr int64_t kSteps = 100'000;

/// Each chain multiplies and adds kSteps times; the sum keeps the work alive.
template <typename Vector> [[gnu::always_inline]] inline float computeChains(float seed) {
  Vector chains[kChains];
  for (int i = 0; i < kChains; ++i)
    chains[i] = Vector{} + (seed + float(i));
  Vector factor = Vector{} + 0.999f, addend = Vector{} + seed;
  for (int64_t step = 0; step < kSteps; ++step) {
#pragma clang fp contract(fast)
#pragma clang loop unroll(full)
    for (int i = 0; i < kChains; ++i)
      chains[i] = chains[i] * factor + addend;
  }
  float sum = 0;
  for (int i = 0; i < kChains; ++i)
    sum += chains[i][0];
  return sum;
}

using Vector4 = float __attribute__((vector_size(16)));
using Vector8 = float __attribute__((vector_size(32)));
using Vector16 = float __attribute__((vector_size(64)));

[[gnu::target("avx512f"), gnu::noinline]] float compute16(float seed) { return computeChains<Vector16>(seed); }
[[gnu::target("avx2,fma"), gnu::noinline]] float compute8(float seed) { return computeChains<Vector8>(seed); }
[[gnu::noinline]] float compute4(float seed) { return computeChains<Vector4>(seed); }

} // namespace

double tool::measurePeakFlops(int threads) {
  float (*compute)(float) = compute4;
  int width = 4;
  if (__builtin_cpu_supports("avx512f"))
    compute = compute16, width = 16;
  else if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    compute = compute8, width = 8;

  // All threads at once, so that they share power and cores as in a run.
  std::atomic<int> ready = 0;
  std::vector<double> rates(size_t(std::max(1, threads)));
  auto measure = [&](size_t index) {
    ++ready;
    while (ready < int(rates.size())) // a few microseconds
      std::this_thread::yield();
    volatile float sink = 0;
    auto start = Clock::now();
    auto elapsed = [](Clock::time_point since) { return std::chrono::duration<double>(Clock::now() - since).count(); };
    while (elapsed(start) < 0.1) {
      auto before = Clock::now();
      sink = sink + compute(1e-3f);
      double seconds = elapsed(before);
      rates[index] = std::max(rates[index], 2.0 * width * kChains * double(kSteps) / seconds);
    }
  };
  std::vector<std::thread> others;
  for (size_t i = 1; i < rates.size(); ++i)
    others.emplace_back(measure, i);
  measure(0);
  for (std::thread &thread : others)
    thread.join();
  double total = 0;
  for (double rate : rates)
    total += rate;
  return total;
}
