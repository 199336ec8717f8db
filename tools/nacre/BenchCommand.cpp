//===- BenchCommand.cpp - nacre bench ---------------------------*- C++ -*-===//
#include "tools/nacre/Inputs.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/raw_ostream.h"
#include <chrono>

using namespace nacre;
using namespace nacre::tool;
namespace cl = llvm::cl;
using Clock = std::chrono::steady_clock;

static int runBench();
static Command command("bench", "Measure a model's latency",
                       "nacre bench model.onnx --threads 2 --per-kernel", runBench);
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

static double percentile(const std::vector<double> &sorted, double p) {
  return sorted[std::min(sorted.size() - 1, size_t(p * double(sorted.size())))];
}

static int runBench() {
  Result<Model> model = openModel(path, compileFlags);
  if (!model)
    return fail(model.error());
  Function function = model->functions().front();
  Result<std::vector<HostTensor>> inputs = inputFlags.read(function, true);
  if (!inputs)
    return fail(inputs.error());
  Result<Session> session = Session::create(*model, {.threads = threads});
  if (!session)
    return fail(session.error());
  std::vector<TensorView> views;
  for (const HostTensor &tensor : *inputs)
    views.push_back(tensor.view());
  std::vector<Tensor> outputs(function.outputs.size());
  auto run = [&] { return session->run(std::span<const TensorView>(views), std::span(outputs)); };

  // Warm up for a tenth of the time, at least twice.
  auto start = Clock::now();
  auto elapsed = [&] { return std::chrono::duration<double>(Clock::now() - start).count(); };
  for (int i = 0; i < 2 || elapsed() < seconds / 10; ++i)
    if (Status status = run(); !status)
      return fail(status.error());
  std::vector<double> times;
  start = Clock::now();
  while (times.size() < 3 || elapsed() < seconds) {
    auto before = Clock::now();
    if (Status status = run(); !status)
      return fail(status.error());
    times.push_back(std::chrono::duration<double, std::milli>(Clock::now() - before).count());
  }
  llvm::sort(times);

  int64_t flops = 0;
  std::vector<nacre_kernel_info> kernels = model->kernels();
  for (const nacre_kernel_info &kernel : kernels)
    flops += std::max<int64_t>(0, kernel.flops);
  double median = percentile(times, 0.5), gflops = double(flops) / median / 1e6;
  if (json)
    llvm::outs() << llvm::formatv("{0:2}\n", llvm::json::Value(llvm::json::Object{
                        {"runs", int64_t(times.size())}, {"threads", session->threads()},
                        {"min_ms", times.front()}, {"median_ms", median},
                        {"p90_ms", percentile(times, 0.9)}, {"p99_ms", percentile(times, 0.99)},
                        {"gflops", gflops}}));
  else
    llvm::outs() << llvm::format("median %.4f ms, min %.4f, p90 %.4f, p99 %.4f (%zu runs, %d threads)", median,
                                 times.front(), percentile(times, 0.9), percentile(times, 0.99), times.size(),
                                 session->threads())
                 << llvm::format("; %.1f GFLOP/s\n", gflops);
  if (!perKernel)
    return kSuccess;

  session->setProfiling(NACRE_PROFILING_TOTALS);
  for (int i = 0; i < 10; ++i)
    if (Status status = run(); !status)
      return fail(status.error());
  struct Row {
    double ms;
    const nacre_kernel_info *kernel;
    int64_t launches;
  };
  std::vector<Row> rows;
  double total = 0;
  for (size_t i = 0; i < kernels.size(); ++i) {
    nacre_kernel_time time = session->kernelTime(int32_t(i));
    rows.push_back({double(time.total_ns) / 10e6, &kernels[i], time.launches / 10});
    total += rows.back().ms;
  }
  llvm::sort(rows, [](const Row &l, const Row &r) { return l.ms > r.ms; });
  for (const Row &row : rows)
    llvm::outs() << llvm::format("%9.4f ms %5.1f %% %4lldx %8.1f GFLOP/s  %-20s ", row.ms, 100 * row.ms / total,
                                 (long long)row.launches,
                                 row.ms > 0 ? double(std::max<int64_t>(0, row.kernel->flops)) *
                                                  double(row.launches) / row.ms / 1e6
                                            : 0.0,
                                 row.kernel->name)
                 << llvm::StringRef(row.kernel->nodes).take_front(80) << '\n';
  return kSuccess;
}
