//===- BenchCommand.cpp - nacre bench ---------------------------*- C++ -*-===//
#include "compiler/api/RandomElements.h"
#include "tools/nacre/Inputs.h"
#include "tools/nacre/PeakFlops.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"
#include <chrono>

using namespace nacre;
using namespace nacre::tool;
namespace cl = llvm::cl;
using Clock = std::chrono::steady_clock;

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
static cl::opt<bool> perKernel("per-kernel", cl::sub(command.subcommand), cl::desc("Times of each kernel"));
static cl::opt<bool> json("json", cl::sub(command.subcommand), cl::desc("Print JSON"));
static CompileFlags compileFlags(command.subcommand);
static InputFlags inputFlags(command.subcommand);

namespace {

/// A bench's subject: a session with its inputs, whose outputs' memory is used again.
class Subject {
public:
  Subject(Session session, std::vector<HostTensor> inputs, size_t outputCount)
      : session(std::move(session)), inputs(std::move(inputs)), outputs(outputCount) {
    for (const HostTensor &tensor : this->inputs)
      views.push_back(tensor.view());
  }
  Status run() { return session.run(std::span<const TensorView>(views), std::span(outputs)); }

  Session session;
  std::vector<HostTensor> inputs;

private:
  std::vector<TensorView> views;
  std::vector<Tensor> outputs;
};

/// One kernel over all its launches in a run.
struct Row {
  nacre_kernel_info kernel;
  double ms;
  int64_t launches;
  int64_t flops; // of all launches; 0: data moves, or what is not counted
  double gflops() const { return ms > 0 ? double(flops) / ms / 1e6 : 0; }
};

} // namespace

static double getElapsed(Clock::time_point since) {
  return std::chrono::duration<double>(Clock::now() - since).count();
}

static double percentile(const std::vector<double> &sorted, double p) {
  return sorted[std::min(sorted.size() - 1, size_t(p * double(sorted.size())))];
}

/// Milliseconds of each run, sorted; after a warm-up of a tenth of the time.
static Result<std::vector<double>> measureRuns(Subject &subject) {
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

/// The kernels by the least time that a run spent in them, longest first.
static Result<std::vector<Row>> measureKernels(Subject &subject, llvm::ArrayRef<nacre_kernel_info> kernels) {
  subject.session.setProfiling(NACRE_PROFILING_TOTALS);
  std::vector<int64_t> least(kernels.size(), INT64_MAX), launches(kernels.size()), flops(kernels.size());
  std::vector<nacre_kernel_time> before(kernels.size());
  auto start = Clock::now();
  for (int run = 0; run < 10 || getElapsed(start) < seconds / 2; ++run) {
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
  std::vector<Row> rows;
  for (size_t i = 0; i < kernels.size(); ++i)
    if (launches[i] > 0)
      rows.push_back({kernels[i], double(least[i]) / 1e6, launches[i], flops[i]});
  llvm::sort(rows, [](const Row &l, const Row &r) { return l.ms > r.ms; });
  return rows;
}

/// GFLOP/s of a whole run.
static double computeRate(llvm::ArrayRef<Row> rows, double ms) {
  double flops = 0;
  for (const Row &row : rows)
    flops += double(row.flops);
  return flops / ms / 1e6;
}

/// A rate with its part of the peak.
static void addRate(llvm::json::Object &object, double gflops, double peak) {
  object["gflops"] = gflops;
  object["peak_percent"] = 100 * gflops / peak;
}

static void printAsJson(llvm::ArrayRef<double> times, llvm::ArrayRef<Row> rows, int threadCount, double gflops,
                        double peak) {
  llvm::json::Object object{{"runs", int64_t(times.size())}, {"threads", threadCount},
                            {"min_ms", times.front()},       {"median_ms", percentile(times, 0.5)},
                            {"p90_ms", percentile(times, 0.9)}, {"p99_ms", percentile(times, 0.99)},
                            {"peak_gflops", peak}};
  addRate(object, gflops, peak);
  llvm::json::Array list;
  for (const Row &row : rows) {
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

static void print(llvm::ArrayRef<double> times, llvm::ArrayRef<Row> rows, int threadCount, double gflops,
                  double peak) {
  llvm::outs() << llvm::format("median %.4f ms, min %.4f, p90 %.4f, p99 %.4f (%zu runs, %d threads)\n",
                               percentile(times, 0.5), times.front(), percentile(times, 0.9),
                               percentile(times, 0.99), times.size(), threadCount);
  llvm::outs() << llvm::format("%.1f GFLOP/s, %.1f %% of the measured FMA peak of %.1f\n", gflops,
                               100 * gflops / peak, peak);
  if (!perKernel)
    return;
  double total = 0;
  for (const Row &row : rows)
    total += row.ms;
  llvm::outs() << "       ms   share launches   GFLOP/s, part of peak   kernel\n";
  for (const Row &row : rows) {
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
  Result<Session> session = createSession(*model, threads);
  if (!session)
    return fail(session.error());
  Function function = model->functions().front();
  Result<std::vector<HostTensor>> inputs = inputFlags.collect(function, true);
  if (!inputs)
    return fail(inputs.error());
  int threadCount = session->threads();
  Subject subject(*std::move(session), *std::move(inputs), function.outputs.size());

  uint64_t limit = kIntegerLimit;
  Status first = tryIntegers(limit, [&] {
    inputFlags.limitIntegers(subject.inputs, limit);
    return subject.run();
  });
  if (!first)
    return fail(first.error());
  Result<std::vector<double>> times = measureRuns(subject);
  if (!times)
    return fail(times.error());
  Result<std::vector<Row>> rows = measureKernels(subject, model->kernels());
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
