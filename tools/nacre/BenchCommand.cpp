//===- BenchCommand.cpp - nacre bench ---------------------------*- C++ -*-===//
#include "tools/nacre/Measure.h"
#include "tools/nacre/MachineRates.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"

using namespace nacre;
using namespace nacre::tool;
namespace cl = llvm::cl;

static int runBench();
static Command command("bench", "Measure a model's latency",
                       "  nacre bench model.so --threads 2 --per-kernel\n"
                       "  nacre bench model.onnx --dim batch=8 --json     compiled in process for that size\n"
                       "  nacre bench model.onnx --size batch=8           for any size, measured at that\n", runBench);
static cl::opt<std::string> path(cl::Positional, cl::Required, cl::sub(command.subcommand),
                                 cl::desc("<model.so | model.onnx>"));
static cl::opt<int> threads("threads", cl::sub(command.subcommand), cl::value_desc("n"),
                            cl::desc("Threads (default: all cores)"));
static cl::opt<double> seconds("seconds", cl::sub(command.subcommand), cl::init(2.0),
                               cl::desc("Measure for so long (default 2)"));
static cl::opt<bool> copyParameters("copy-parameters", cl::sub(command.subcommand), cl::Hidden,
                                    cl::desc("Copy a file's weights to huge pages first (nacre_session_options)"));
static cl::opt<bool> perKernel("per-kernel", cl::sub(command.subcommand), cl::desc("Times of each kernel"));
static cl::opt<bool> json("json", cl::sub(command.subcommand), cl::desc("Print JSON"));
static CompileFlags compileFlags(command.subcommand);
static InputFlags inputFlags(command.subcommand);

/// GFLOP/s of a whole run.
static double computeRate(llvm::ArrayRef<KernelTime> rows, double ms) {
  double flops = 0;
  for (const KernelTime &row : rows)
    flops += double(row.flops);
  return flops / ms / 1e6;
}

/// A rate with its part of the peak.
static void addRate(llvm::json::Object &object, double gflops, double peak) {
  object["gflops"] = gflops;
  object["peak_percent"] = 100 * gflops / peak;
}

static void printAsJson(llvm::ArrayRef<double> times, llvm::ArrayRef<KernelTime> rows, int threadCount, double gflops,
                        double peak) {
  llvm::json::Object object{{"runs", int64_t(times.size())}, {"threads", threadCount},
                            {"min_ms", times.front()},       {"median_ms", percentile(times, 0.5)},
                            {"p90_ms", percentile(times, 0.9)}, {"p99_ms", percentile(times, 0.99)},
                            {"peak_gflops", peak}};
  addRate(object, gflops, peak);
  llvm::json::Array list;
  for (const KernelTime &row : rows) {
    llvm::json::Object kernel{{"name", toUtf8(row.kernel.name)},
                              {"nodes", toUtf8(row.kernel.nodes)},
                              {"ms", row.ms},
                              {"launches", row.launches}};
    addRate(kernel, row.gflops(), peak);
    list.push_back(std::move(kernel));
  }
  if (perKernel)
    object["kernels"] = std::move(list);
  printJson(std::move(object));
}

static void printRate(double gflops, double peak) {
  if (gflops == 0) // data moves, or what is not counted
    llvm::outs() << "                        -  ";
  else
    llvm::outs() << llvm::format("%8.1f GFLOP/s %5.1f %%  ", gflops, 100 * gflops / peak);
}

static void print(llvm::ArrayRef<double> times, llvm::ArrayRef<KernelTime> rows, int threadCount, double gflops,
                  double peak) {
  llvm::outs() << llvm::format("median %.4f ms, min %.4f, p90 %.4f, p99 %.4f (%zu runs, %d threads)\n",
                               percentile(times, 0.5), times.front(), percentile(times, 0.9),
                               percentile(times, 0.99), times.size(), threadCount);
  llvm::outs() << llvm::format("%.1f GFLOP/s, %.1f %% of the measured FMA peak of %.1f\n", gflops,
                               100 * gflops / peak, peak);
  if (!perKernel)
    return;
  double total = 0;
  for (const KernelTime &row : rows)
    total += row.ms;
  llvm::outs() << "       ms   share launches   GFLOP/s, part of peak   kernel\n";
  for (const KernelTime &row : rows) {
    llvm::outs() << llvm::format("%9.4f %5.1f %% %8lld ", row.ms, total > 0 ? 100 * row.ms / total : 0.0,
                                 (long long)row.launches);
    printRate(row.gflops(), peak);
    llvm::outs() << row.kernel.name << ": " << llvm::StringRef(row.kernel.nodes).take_front(80) << '\n';
  }
}

static int runBench() {
  CompileOptions options;
  if (!compileFlags.fill(options, path) || !inputFlags.parse(options))
    return kUsageError;
  if (Status read = inputFlags.read(options); !read)
    return fail(read.error());
  Result<Model> model = openModel(path, options);
  if (!model)
    return fail(model.error());
  Result<Session> session = createSession(*model, threads, /*seed=*/0, copyParameters);
  if (!session)
    return fail(session.error());
  Function function = model->functions().front();
  Result<std::vector<HostTensor>> inputs = inputFlags.collect(function, true);
  if (!inputs)
    return fail(inputs.error());
  int threadCount = session->threads();
  Subject subject(*std::move(session), *std::move(inputs), function.outputs.size());

  if (Status first = subject.runFirst(inputFlags); !first)
    return fail(first.error());
  Result<std::vector<double>> times = measureRuns(subject, seconds);
  if (!times)
    return fail(times.error());
  Result<std::vector<KernelTime>> rows = measureKernels(subject, model->kernels(), seconds / 2);
  if (!rows)
    return fail(rows.error());
  double peak = measurePeakFlops(threadCount) / 1e9;
  double gflops = computeRate(*rows, percentile(*times, 0.5));
  if (json)
    printAsJson(*times, *rows, threadCount, gflops, peak);
  else
    print(*times, *rows, threadCount, gflops, peak);
  return kSuccess;
}
