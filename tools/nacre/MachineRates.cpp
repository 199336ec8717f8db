//===- MachineRates.cpp - The machine's limits ------------------*- C++ -*-===//
#include "tools/nacre/MachineRates.h"
#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <new>
#include <numeric>
#include <thread>
#include <unistd.h>
#include <vector>

using namespace nacre;
using namespace nacre::tool;

/// The work, again and again for a tenth of a second, of all threads at once, so that they share power and cores as in
/// a run: the sum of the best rates, in so much as the work does a second. Each thread makes its own; none if it cannot.
static double measureRates(int threads, double amount, const std::function<std::function<void()>()> &makeWork) {
  using Clock = std::chrono::steady_clock;
  std::vector<double> rates(size_t(std::max(1, threads)));
  std::atomic<size_t> ready = 0;
  auto measure = [&](size_t index) {
    std::function<void()> work = makeWork();
    ++ready;
    while (ready < rates.size()) // a few microseconds
      std::this_thread::yield();
    if (!work)
      return;
    auto elapsed = [](Clock::time_point since) { return std::chrono::duration<double>(Clock::now() - since).count(); };
    for (auto start = Clock::now(); elapsed(start) < 0.1;) {
      auto before = Clock::now();
      work();
      rates[index] = std::max(rates[index], amount / elapsed(before));
    }
  };
  std::vector<std::thread> others;
  for (size_t i = 1; i < rates.size(); ++i)
    others.emplace_back(measure, i);
  measure(0);
  for (std::thread &thread : others)
    thread.join();
  return std::accumulate(rates.begin(), rates.end(), 0.0);
}

// ---- Operations

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
  return measureRates(threads, 2.0 * width * kChains * double(kSteps), [compute] {
    return [compute] { volatile float sink = compute(1e-3f); (void)sink; };
  });
}

// ---- Bytes

/// Eight independent sums: what is read must not wait for what was added.
static uint64_t sum(const uint64_t *data, size_t count) {
  using Vector = uint64_t __attribute__((vector_size(64)));
  Vector sums[8] = {};
  for (size_t i = 0; i + 64 <= count; i += 64)
    for (size_t k = 0; k < 8; ++k)
      sums[k] += *reinterpret_cast<const Vector *>(data + i + 8 * k);
  uint64_t total = 0;
  for (Vector part : sums)
    for (int lane = 0; lane < 8; ++lane)
      total += part[lane];
  return total;
}

double tool::measureBandwidth(int threads, int64_t bytes) {
  size_t count = size_t(bytes) / sizeof(uint64_t) / size_t(std::max(1, threads)) / 64 * 64;
  return measureRates(threads, double(count * sizeof(uint64_t)), [count]() -> std::function<void()> {
    auto *memory = static_cast<uint64_t *>(::operator new(count * sizeof(uint64_t), std::align_val_t(64), std::nothrow));
    if (!memory)
      return {};
    std::shared_ptr<uint64_t> data(memory, [](uint64_t *data) { ::operator delete(data, std::align_val_t(64)); });
    std::fill_n(memory, count, 1); // by the thread that reads it
    return [data, count] { volatile uint64_t sink = sum(data.get(), count); (void)sink; };
  });
}

int64_t tool::getLastLevelCacheBytes() {
  long bytes = sysconf(_SC_LEVEL3_CACHE_SIZE);
  return bytes > 0 ? bytes : int64_t(32) << 20;
}
