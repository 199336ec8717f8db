//===- Measure.cpp - Times of a model and its kernels -----------*- C++ -*-===//
#include "tools/nacre/Measure.h"
#include "compiler/api/RandomElements.h"
#include "llvm/ADT/STLExtras.h"
#include <chrono>

using namespace nacre;
using namespace nacre::tool;
using Clock = std::chrono::steady_clock;

static double getElapsed(Clock::time_point since) { return std::chrono::duration<double>(Clock::now() - since).count(); }

Subject::Subject(Session session, std::vector<HostTensor> inputs, size_t outputCount)
    : session(std::move(session)), inputs(std::move(inputs)), outputs(outputCount) {
  for (const HostTensor &tensor : this->inputs)
    views.push_back(tensor.view());
}

Status Subject::runFirst(const InputFlags &flags) {
  uint64_t limit = kIntegerLimit;
  return tryIntegers(limit, [&] {
    flags.limitIntegers(inputs, limit);
    return run();
  });
}

double tool::percentile(llvm::ArrayRef<double> sorted, double p) {
  return sorted[std::min(sorted.size() - 1, size_t(p * double(sorted.size())))];
}

Result<std::vector<double>> tool::measureRuns(Subject &subject, double seconds) {
  auto start = Clock::now();
  for (int i = 0; i < 2 || getElapsed(start) < seconds / 10; ++i)
    if (Status status = subject.run(); !status)
      return status.error();
  std::vector<double> times;
  start = Clock::now();
  while (times.size() < 3 || getElapsed(start) < seconds) {
    auto before = Clock::now();
    if (Status status = subject.run(); !status)
      return status.error();
    times.push_back(getElapsed(before) * 1e3);
  }
  llvm::sort(times);
  return times;
}

Result<std::vector<KernelTime>> tool::measureKernels(Subject &subject, llvm::ArrayRef<nacre_kernel_info> kernels,
                                                     double seconds) {
  subject.session.setProfiling(NACRE_PROFILING_TOTALS);
  std::vector<int64_t> least(kernels.size(), INT64_MAX), launches(kernels.size()), flops(kernels.size());
  std::vector<nacre_kernel_time> before(kernels.size());
  auto start = Clock::now();
  for (int run = 0; run < 10 || getElapsed(start) < seconds; ++run) {
    for (size_t i = 0; i < kernels.size(); ++i)
      before[i] = subject.session.kernelTime(int32_t(i));
    if (Status status = subject.run(); !status)
      return status.error();
    for (size_t i = 0; i < kernels.size(); ++i) {
      nacre_kernel_time now = subject.session.kernelTime(int32_t(i));
      launches[i] = now.launches - before[i].launches;
      flops[i] = now.flops - before[i].flops;
      least[i] = std::min(least[i], int64_t(now.total_ns - before[i].total_ns));
    }
  }
  std::vector<KernelTime> rows;
  for (size_t i = 0; i < kernels.size(); ++i)
    if (launches[i] > 0)
      rows.push_back({int32_t(i), kernels[i], double(least[i]) / 1e6, launches[i], flops[i]});
  llvm::sort(rows, [](const KernelTime &l, const KernelTime &r) { return l.ms > r.ms; });
  return rows;
}
