//===- Measure.h - Times of a model and its kernels -------------*- C++ -*-===//
#ifndef NACRE_TOOLS_NACRE_MEASURE_H
#define NACRE_TOOLS_NACRE_MEASURE_H

#include "tools/nacre/Inputs.h"
#include "llvm/ADT/ArrayRef.h"

namespace nacre::tool {

/// What is measured: a session with its inputs, whose outputs' memory is used again.
class Subject {
public:
  Subject(Session session, std::vector<HostTensor> inputs, size_t outputCount);
  Status run() { return session.run(std::span<const TensorView>(views), std::span(outputs)); }
  /// The first run: random integers of the inputs shrink until it succeeds.
  Status runFirst(const InputFlags &flags);

  Session session;

private:
  std::vector<HostTensor> inputs;
  std::vector<TensorView> views;
  std::vector<Tensor> outputs;
};

/// One kernel over all its launches in a run.
struct KernelTime {
  int32_t index; // in the model's table
  nacre_kernel_info kernel;
  double ms;
  int64_t launches;
  int64_t flops; // of all launches; 0: data moves, or what is not counted
  double gflops() const { return ms > 0 ? double(flops) / ms / 1e6 : 0; }
};

/// Milliseconds of each run in so many seconds, sorted; after a warm-up of a tenth of the time.
Result<std::vector<double>> measureRuns(Subject &subject, double seconds);

/// The kernels by the least time that a run spent in them, longest first.
Result<std::vector<KernelTime>> measureKernels(Subject &subject, llvm::ArrayRef<nacre_kernel_info> kernels, double seconds);

/// Of sorted times, the one below which the part `p` of them lies.
double percentile(llvm::ArrayRef<double> sorted, double p);

} // namespace nacre::tool

#endif // NACRE_TOOLS_NACRE_MEASURE_H
