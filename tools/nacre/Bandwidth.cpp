//===- Bandwidth.cpp - How fast memory is read ------------------*- C++ -*-===//
#include "tools/nacre/Bandwidth.h"
#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <new>
#include <thread>
#include <unistd.h>
#include <vector>

using namespace nacre;
using namespace nacre::tool;
using Clock = std::chrono::steady_clock;

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
  size_t parts = size_t(std::max(1, threads)), count = size_t(bytes) / sizeof(uint64_t) / parts / 64 * 64;
  std::atomic<size_t> ready = 0;
  std::vector<double> rates(parts);
  auto measure = [&](size_t index) {
    struct Free {
      void operator()(uint64_t *data) const { ::operator delete(data, std::align_val_t(64)); }
    };
    auto *memory = static_cast<uint64_t *>(::operator new(count * sizeof(uint64_t), std::align_val_t(64), std::nothrow));
    std::unique_ptr<uint64_t, Free> data(memory);
    if (memory)
      std::fill_n(memory, count, 1); // by the thread that reads it
    ++ready;
    while (ready < parts)
      std::this_thread::yield();
    if (!memory)
      return;
    volatile uint64_t sink = 0;
    auto elapsed = [](Clock::time_point since) { return std::chrono::duration<double>(Clock::now() - since).count(); };
    for (auto start = Clock::now(); elapsed(start) < 0.1;) {
      auto before = Clock::now();
      sink = sink + sum(memory, count);
      rates[index] = std::max(rates[index], double(count * sizeof(uint64_t)) / elapsed(before));
    }
  };
  std::vector<std::thread> others;
  for (size_t i = 1; i < parts; ++i)
    others.emplace_back(measure, i);
  measure(0);
  for (std::thread &thread : others)
    thread.join();
  double total = 0;
  for (double rate : rates)
    total += rate;
  return total;
}

int64_t tool::getLastLevelCacheBytes() {
  long bytes = sysconf(_SC_LEVEL3_CACHE_SIZE);
  return bytes > 0 ? bytes : int64_t(32) << 20;
}
