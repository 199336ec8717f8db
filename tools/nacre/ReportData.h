//===- ReportData.h - What a model tells of itself, with times --*- C++ -*-===//
//
// The JSON of `nacre report`: what the compiler wrote into the model (compiler/codegen/Report.h), its signature and kernels, and, if they
// were measured, times beside what the machine could do at best.
//
//===----------------------------------------------------------------------===//
#ifndef NACRE_TOOLS_NACRE_REPORTDATA_H
#define NACRE_TOOLS_NACRE_REPORTDATA_H

#include "tools/nacre/Measure.h"

namespace nacre::tool {

/// What the machine can do at best with the threads of a run.
struct Machine {
  int threads = 0;
  double peakGflops = 0, memoryGbs = 0, cacheGbs = 0;
  static Machine measure(int threads);
};

/// A run's measurements.
struct Measured {
  Machine machine;
  std::vector<double> runs; // ms, sorted
  std::vector<KernelTime> kernels;
  llvm::json::Array trace; // of one run
};

/// The report of a model; null if it has none, as one of an older compiler.
llvm::json::Value makeReport(const Model &model, llvm::StringRef path, const Measured *measured);

/// The events of the last run in a Chrome trace that the runtime wrote: {"thread", "kernel", "begin_us", "end_us"}.
llvm::json::Array readTrace(llvm::StringRef text, llvm::ArrayRef<nacre_kernel_info> kernels);

/// As lines of text: the kernels, longest first, each with its nodes and what was decided.
void printReport(const llvm::json::Object &report, llvm::raw_ostream &os);

} // namespace nacre::tool

#endif // NACRE_TOOLS_NACRE_REPORTDATA_H
