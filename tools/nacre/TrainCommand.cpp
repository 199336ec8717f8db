//===- TrainCommand.cpp - nacre train ---------------------------*- C++ -*-===//
#include "compiler/api/Exporter.h"
#include "runtime/api/nacre_train.hpp"
#include "tools/nacre/Command.h"
#include "tools/nacre/TrainData.h"
#include "tools/nacre/TrainFlags.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/Signals.h"
#include "llvm/Support/raw_ostream.h"
#include <atomic>
#include <chrono>
#include <csignal>

using namespace nacre;
using namespace nacre::tool;
namespace cl = llvm::cl;
using Clock = std::chrono::steady_clock;

static int runTrain();
static Command command("train", "Train a model's weights and write it as ONNX again",
                       "  nacre train mlp.onnx --data digits.npz -o trained.onnx\n"
                       "  nacre train mlp.onnx --data digits.npz -o trained.onnx --epochs 10 --batch-size 64 \\\n"
                       "    --loss softmax-cross-entropy:label_smoothing=0.1 --optimizer adamw:lr=3e-4,weight_decay=0.01 \\\n"
                       "    --schedule cosine:warmup=100 --clip-norm 1 --group '*.bias:weight_decay=0'\n"
                       "  The data has an array for each input by its name, and what the loss compares with: `labels`\n"
                       "  (class numbers) or `targets`; `NAME.targets` for another output's.\n"
                       "  More options, and lists of losses, optimizers, schedules, metrics: nacre train --help-hidden\n", runTrain);
static cl::opt<std::string> path(cl::Positional, cl::sub(command.subcommand), cl::desc("<model.onnx>"));
static cl::opt<std::string> dataPath("data", cl::sub(command.subcommand), cl::value_desc("file.npz"),
                                     cl::desc("The examples"));
static cl::opt<std::string> validPath("valid", cl::sub(command.subcommand), cl::value_desc("file.npz"),
                                      cl::desc("Examples to measure with after each epoch, never to train on"));
static cl::list<std::string> metrics("metric", cl::sub(command.subcommand), cl::value_desc("accuracy"),
                                     cl::desc("What to measure besides the loss; may be given several times"));
static cl::opt<bool> listMetrics("list-metrics", cl::sub(command.subcommand),
                                 cl::desc("Print all metrics and their settings"));
static cl::opt<std::string> output("o", cl::sub(command.subcommand), cl::value_desc("file"),
                                   cl::desc("The trained model"));
static TrainFlags trainFlags(command.subcommand, "loss",
                             "What is minimised (default softmax-cross-entropy); several make a sum, as "
                             "--loss mse --loss 0.4*mae@aux; output:NAME is a scalar output");
static cl::opt<std::string> schedule("schedule", cl::sub(command.subcommand), cl::value_desc("cosine:warmup=100"),
                                     cl::desc("How the learning rate changes from step to step (default: it stays)"));
static cl::opt<bool> listSchedules("list-schedules", cl::sub(command.subcommand),
                                   cl::desc("Print all schedules and their settings"));
static cl::opt<int64_t> epochs("epochs", cl::sub(command.subcommand), cl::init(10), cl::value_desc("n"),
                               cl::desc("Passes over the data (default 10)"));
static cl::opt<int64_t> batchSize("batch-size", cl::sub(command.subcommand), cl::value_desc("n"),
                                  cl::desc("Examples per step (default 32)"));
static cl::opt<uint64_t> seed("seed", cl::sub(command.subcommand), cl::value_desc("n"),
                              cl::desc("Orders the examples, draws random numbers (default 0)"));
static cl::opt<int> threads("threads", cl::sub(command.subcommand), cl::value_desc("n"),
                            cl::desc("Threads (default: all cores); the result is the same"));
static cl::opt<bool> json("json", cl::sub(command.subcommand), cl::desc("Print a summary as JSON"));
static CompileFlags compileFlags(command.subcommand);
static HiddenOptions hidden(command.subcommand, {"accumulate", "allow-symlinks", "average", "cache-dir", "clip-value",
                                                 "dump-phases", "input-length", "no-cache", "target-cpu", "target-features",
                                                 "verbose", "list-schedules", "list-optimizers", "list-metrics"});

namespace {

/// What to do, as the command line says.
struct Plan {
  CompileOptions compile;
  TrainerOptions trainer;
};

bool makePlan(Plan &plan) {
  if (!compileFlags.fill(plan.compile))
    return false;
  TrainOptions train;
  auto refuse = [](const std::string &message) {
    fail(message, kUsageError);
    return false;
  };
  if (path.empty() || dataPath.empty() || output.empty())
    return refuse("expected a model, --data and -o; see nacre train --help");
  if (!llvm::StringRef(path).ends_with(".onnx"))
    return refuse(path + ": expected a model.onnx, whose weights can be written again");
  Result<double> rate = trainFlags.fill(train);
  if (!rate)
    return refuse(rate.error().message);
  plan.trainer.learningRate = float(*rate);
  if (epochs < 1 || epochs > UINT32_MAX)
    return refuse("--epochs " + std::to_string(epochs) + ": expected 1 or more");
  if (batchSize.getNumOccurrences() && batchSize < 1)
    return refuse("--batch-size " + std::to_string(batchSize) + ": expected 1 or more");
  Schedule parsed;
  spec::Message why;
  if (!schedule.empty() && !Schedule::parse(schedule.getValue(), parsed, why))
    return refuse("--schedule: " + std::string(why.c_str()) + "; see --list-schedules");
  Metric metric;
  for (const std::string &text : metrics)
    if (!Metric::parse(text, metric, why))
      return refuse("--metric: " + std::string(why.c_str()) + "; see --list-metrics");
  plan.compile.train = train;
  plan.trainer.schedule = schedule;
  plan.trainer.epochs = epochs;
  plan.trainer.ignoredLabel = getIgnoredLabel(train);
  plan.trainer.batchSize = batchSize;
  plan.trainer.metrics.assign(metrics.begin(), metrics.end());
  plan.trainer.seed = seed;
  return true;
}

/// Ctrl-C during training: the run in flight ends, nothing is written.
std::atomic<nacre_session *> interruptible = nullptr;
std::atomic<bool> wasInterrupted = false;

void interrupt() {
  wasInterrupted = true;
  if (nacre_session *session = interruptible)
    nacre_session_cancel(session);
}

/// A line that is written over while training goes on; only on a terminal.
class ProgressLine {
public:
  explicit ProgressLine(const Trainer &trainer) : trainer(trainer), isShown(llvm::errs().is_displayed()) {}
  ~ProgressLine() { clear(); }

  void show(int64_t epoch, const TrainingStep &step) {
    Clock::time_point now = Clock::now();
    seen += step.examples - (step.index ? lastExamples : 0);
    lastExamples = step.examples;
    if (!isShown || now - last < std::chrono::milliseconds(100))
      return;
    last = now;
    double rate = double(seen) / seconds(start);
    double left = (double(trainer.examples()) * double(epochs) - double(seen)) / rate;
    llvm::errs() << "\r\033[K"
                 << llvm::format("epoch %lld/%lld  %3.0f %%  loss %.4f  %.0f examples/s  %.0f s left",
                                 (long long)epoch + 1, (long long)epochs,
                                 100.0 * double(step.examples) / double(trainer.examples()), step.loss, rate, left);
    llvm::errs().flush();
  }
  void clear() {
    if (isShown)
      llvm::errs() << "\r\033[K";
  }

  static double seconds(Clock::time_point since) { return std::chrono::duration<double>(Clock::now() - since).count(); }

private:
  const Trainer &trainer;
  bool isShown;
  Clock::time_point start = Clock::now(), last = start;
  int64_t seen = 0, lastExamples = 0;
};

/// "loss 0.1234, accuracy 0.9876", or entries of `object`, with names before which `prefix` stands.
void report(double loss, const std::vector<double> &values, const std::string &prefix, std::string &text,
            llvm::json::Object &object) {
  auto add = [&](const std::string &name, double value) {
    text += (text.empty() ? "" : ", ") + prefix + name + llvm::formatv(" {0:F4}", value).str();
    object[prefix + name] = value;
  };
  add("loss", loss);
  for (auto [name, value] : llvm::zip(metrics, values))
    add(name, value);
}

/// All epochs: a line for each, or entries of `list`.
Status runEpochs(Trainer &trainer, llvm::json::Array &list, bool printsJson) {
  ProgressLine line(trainer);
  int64_t now = 0;
  auto finish = [&](const Epoch &epoch) {
    std::string text;
    llvm::json::Object object{{"epoch", epoch.index + 1}};
    report(epoch.loss, epoch.metrics, "", text, object);
    if (epoch.validation)
      report(epoch.validation->loss, epoch.validation->metrics, "val_", text, object);
    double rate = double(epoch.examples) / epoch.seconds;
    object["examples_per_second"] = rate;
    line.clear();
    if (printsJson)
      list.push_back(std::move(object));
    else
      llvm::outs() << llvm::formatv("epoch {0}/{1}: {2}, {3:F0} examples/s\n", epoch.index + 1, int64_t(epochs), text, rate);
    llvm::outs().flush();
    now = epoch.index + 1;
    return true;
  };
  Result<std::vector<Epoch>> history = trainer.fit(finish, [&](const TrainingStep &step) {
    line.show(now, step);
    return !wasInterrupted;
  });
  return history ? Status() : Status(history.error());
}

/// The process ends as if it had not caught the signal, so that a shell's script ends too.
int endInterrupted() {
  fail("interrupted: nothing was written");
  std::signal(SIGINT, SIG_DFL);
  std::raise(SIGINT);
  return kInputError;
}

} // namespace

static int runTrain() {
  if (listSchedules)
    Schedule::describe([](spec::Text part) { llvm::outs() << llvm::StringRef(part.data(), part.size()); });
  if (listMetrics)
    Metric::describe([](spec::Text part) { llvm::outs() << llvm::StringRef(part.data(), part.size()); });
  if (trainFlags.printLists() || listSchedules || listMetrics)
    return kSuccess;
  Plan plan;
  if (!makePlan(plan))
    return kUsageError;
  bool printsJson = json, hasAverages = plan.compile.train->average > 0;
  std::string target = output;
  // Before time goes into compiling.
  Result<Archive> archive = Archive::open(dataPath);
  if (!archive)
    return fail(archive.error());
  std::optional<Archive> validArchive;
  if (!validPath.empty()) {
    Result<Archive> opened = Archive::open(validPath);
    if (!opened)
      return fail(opened.error());
    validArchive = *std::move(opened);
  }
  Clock::time_point start = Clock::now();
  Result<Model> model = openModel(path, plan.compile);
  if (!model)
    return fail(model.error());
  double compileSeconds = ProgressLine::seconds(start);
  Result<Exporter> exporter = Exporter::open(path, *model, plan.compile.allowSymlinks);
  if (!exporter)
    return fail(exporter.error());
  Result<TrainData> data = TrainData::read(*archive, *model);
  if (!data)
    return fail(data.error());
  TrainData others;
  if (validArchive) {
    Result<TrainData> read = TrainData::read(*validArchive, *model);
    if (!read)
      return fail(read.error());
    others = *std::move(read);
    plan.trainer.validation = others.columns();
  }
  Result<Session> session = createSession(*model, threads, seed);
  if (!session)
    return fail(session.error());
  Result<Trainer> trainer = Trainer::create(*session, data->columns(), plan.trainer);
  if (!trainer)
    return fail(trainer.error());

  interruptible = trainer->session().get();
  llvm::sys::SetInterruptFunction(interrupt);
  llvm::json::Array list;
  start = Clock::now();
  Status trained = runEpochs(*trainer, list, printsJson);
  double seconds = ProgressLine::seconds(start);
  if (wasInterrupted)
    return endInterrupted();
  if (!trained)
    return fail(trained.error());
  // From here on Ctrl-C removes what is written so far and ends.
  llvm::sys::SetInterruptFunction(nullptr);
  interruptible = nullptr;
  if (hasAverages)
    if (Status set = trainer->useAverages(); !set)
      return fail(set.error());
  if (Status written = exporter->write(trainer->session(), target); !written)
    return fail(written.error());
  if (printsJson)
    printJson(llvm::json::Object{{"model", toUtf8(target)},
                                 {"examples", trainer->examples()},
                                 {"batch_size", trainer->batchSize()},
                                 {"compile_seconds", compileSeconds},
                                 {"seconds", seconds},
                                 {"epochs", std::move(list)}});
  else
    llvm::outs() << target << ": " << trainer->examples() << " examples, " << epochs << " epochs in "
                 << llvm::format("%.2f", seconds) << " s\n";
  return kSuccess;
}
