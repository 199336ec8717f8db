//===- TrainCommand.cpp - nacre train ---------------------------*- C++ -*-===//
#include "compiler/api/Exporter.h"
#include "runtime/api/nacre_train.hpp"
#include "tools/nacre/Command.h"
#include "tools/nacre/TrainData.h"
#include "tools/nacre/TrainFlags.h"
#include "tools/nacre/TrainResult.h"
#include "tools/nacre/TrainRun.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/Path.h"
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
static Command command("train", "Train a model's weights and write it again",
                       "  nacre train mlp.onnx --data digits.npz -o trained.onnx\n"
                       "  nacre train mlp.onnx --data digits.npz -o trained.onnx --epochs 10 --batch-size 64 \\\n"
                       "    --loss softmax-cross-entropy:label_smoothing=0.1 --optimizer adamw:lr=3e-4,weight_decay=0.01 \\\n"
                       "    --schedule cosine:warmup=100 --clip-norm 1 --group '*.bias:weight_decay=0'\n"
                       "  The data has an array for each input by its name, and what the loss compares with: `labels`\n"
                       "  (class numbers) or `targets`; `NAME.targets` for another output's.\n"
                       "  More options, and lists of losses, optimizers, schedules, metrics: nacre train --help-hidden\n", runTrain);
static cl::opt<std::string> path(cl::Positional, cl::sub(command.subcommand), cl::desc("<model.onnx or nn module.mlir>"));
static cl::opt<std::string> dataPath("data", cl::sub(command.subcommand), cl::value_desc("file.npz"),
                                     cl::desc("The examples: an archive, or a folder of .npz or .npy shards"));
static cl::opt<std::string> validPath("valid", cl::sub(command.subcommand), cl::value_desc("file.npz"),
                                      cl::desc("Examples to measure with after each epoch, never to train on"));
static cl::list<std::string> metrics("metric", cl::sub(command.subcommand), cl::value_desc("accuracy"),
                                     cl::desc("What to measure besides the loss; may be given several times"));
static cl::opt<bool> listMetrics("list-metrics", cl::sub(command.subcommand),
                                 cl::desc("Print all metrics and their settings"));
static cl::opt<std::string> output("o", cl::sub(command.subcommand), cl::value_desc("file"),
                                   cl::desc("The trained model; a .so, .o or .a is compiled of it for inference"));
static TrainFlags trainFlags(command.subcommand, "loss",
                             "What is minimised (default softmax-cross-entropy); several make a sum, as "
                             "--loss mse --loss 0.4*mae@aux; output:NAME is a scalar output");
static cl::opt<std::string> schedule("schedule", cl::sub(command.subcommand), cl::value_desc("cosine:warmup=100"),
                                     cl::desc("How the learning rate changes from step to step (default: it stays)"));
static cl::opt<bool> listSchedules("list-schedules", cl::sub(command.subcommand),
                                   cl::desc("Print all schedules and their settings"));
static cl::opt<int64_t> epochs("epochs", cl::sub(command.subcommand), cl::init(10), cl::value_desc("n"),
                               cl::desc("Passes over the data (default 10)"));
static cl::opt<int64_t> steps("steps", cl::sub(command.subcommand), cl::value_desc("n"),
                              cl::desc("Instead of --epochs: steps in all"));
static cl::opt<int64_t> patience("patience", cl::sub(command.subcommand), cl::value_desc("n"),
                                 cl::desc("End after so many epochs without progress on --valid, and write the best"));
static cl::opt<std::string> monitor("monitor", cl::sub(command.subcommand), cl::init("loss"), cl::value_desc("accuracy"),
                                    cl::desc("What --patience looks at: loss (default) or a metric"));
static cl::opt<std::string> checkpointFolder("checkpoint", cl::sub(command.subcommand), cl::value_desc("folder"),
                                             cl::desc("Keep checkpoints there"));
static cl::opt<bool> resumes("resume", cl::sub(command.subcommand), cl::desc("Go on from the newest checkpoint, if there is one"));
static cl::opt<std::string> checkpointEvery("checkpoint-every", cl::sub(command.subcommand), cl::init("1epoch"),
                                            cl::value_desc("500steps"),
                                            cl::desc("How often: epochs, or steps (default 1epoch)"));
static cl::opt<int64_t> keep("keep", cl::sub(command.subcommand), cl::init(3), cl::value_desc("n"),
                             cl::desc("How many checkpoints are kept (default 3)"));
static cl::opt<std::string> logPath("log", cl::sub(command.subcommand), cl::value_desc("file"),
                                    cl::desc("Write what happens as lines of JSON"));
static cl::opt<int64_t> logEvery("log-every", cl::sub(command.subcommand), cl::init(100), cl::value_desc("n"),
                                 cl::desc("Steps from one line of --log to the next (default 100)"));
static cl::opt<std::string> plotPath("plot", cl::sub(command.subcommand), cl::value_desc("file.svg"),
                                     cl::desc("Draw losses and metrics"));
static cl::opt<int64_t> batchSize("batch-size", cl::sub(command.subcommand), cl::value_desc("n"),
                                  cl::desc("Examples per step (default 32)"));
static cl::alias batch("batch", cl::aliasopt(batchSize), cl::desc("The same as --batch-size"));
static cl::opt<uint64_t> seed("seed", cl::sub(command.subcommand), cl::value_desc("n"),
                              cl::desc("Orders the examples, draws random numbers (default 0)"));
static cl::opt<int> threads("threads", cl::sub(command.subcommand), cl::value_desc("n"),
                            cl::desc("Threads (default: all cores); the result is the same"));
static cl::opt<bool> json("json", cl::sub(command.subcommand), cl::desc("Print a summary as JSON"));
static CompileFlags compileFlags(command.subcommand);
static HiddenOptions hidden(command.subcommand, {"accumulate", "allow-symlinks", "average", "cache-dir", "clip-value", "exact-conv",
                                                 "detect-anomaly", "dump-phases", "input-length", "no-cache", "target-cpu", "target-features",
                                                 "verbose", "list-schedules", "list-optimizers", "list-metrics", "monitor",
                                                 "checkpoint-every", "keep", "log-every", "steps", "list-losses", "clip-norm",
                                                 "group", "dim", "input-shape", "memory-budget", "precision", "specialize"});

namespace {

/// What to do, as the command line says.
struct Plan {
  CompileOptions compile;
  TrainerOptions trainer;
  TrainKeeperOptions kept;
  TrainReport::Options told;
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
  if (!isSource(path))
    return refuse(path + ": expected a model.onnx, or a module.mlir, whose weights can be written again");
  if (std::string why = checkName(path, output); !why.empty())
    return refuse(why);
  Result<double> rate = trainFlags.fill(train, plan.compile);
  if (!rate)
    return refuse(rate.error().message);
  plan.trainer.learningRate = float(*rate);
  if (epochs < 1 || epochs > UINT32_MAX)
    return refuse("--epochs " + std::to_string(epochs) + ": expected 1 or more");
  if (batchSize.getNumOccurrences() && batchSize < 1)
    return refuse("--batch-size " + std::to_string(batchSize) + ": expected 1 or more");
  if (steps.getNumOccurrences() && (steps < 1 || epochs.getNumOccurrences()))
    return refuse(steps < 1 ? "--steps " + std::to_string(steps) + ": expected 1 or more"
                            : "--steps, --epochs: expected one of them");
  if (patience.getNumOccurrences() && (patience < 1 || validPath.empty()))
    return refuse(patience < 1 ? "--patience " + std::to_string(patience) + ": expected 1 or more"
                               : "--patience: expected --valid, whose examples it looks at");
  std::optional<CheckpointInterval> interval = CheckpointInterval::parse(checkpointEvery);
  if (!interval)
    return refuse("--checkpoint-every " + checkpointEvery + ": expected a number, and `epochs` or `steps`");
  if (keep < 1)
    return refuse("--keep " + std::to_string(keep) + ": expected 1 or more");
  if (logEvery < 1)
    return refuse("--log-every " + std::to_string(logEvery) + ": expected 1 or more");
  if (checkpointFolder.empty() && (resumes || checkpointEvery.getNumOccurrences() || keep.getNumOccurrences()))
    return refuse("--resume, --checkpoint-every, --keep: expected --checkpoint, which names their folder");
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
  plan.trainer.steps = steps;
  plan.kept.checkpoints.folder = checkpointFolder;
  plan.kept.checkpoints.interval = *interval;
  plan.kept.checkpoints.keep = keep;
  plan.kept.checkpoints.resumes = resumes;
  plan.kept.patience = patience;
  plan.kept.monitor = monitor;
  plan.kept.metrics = plan.trainer.metrics;
  plan.told = {plan.trainer.metrics, json, logPath, plotPath, logEvery};
  return true;
}

std::string formatMemory(const TrainMemory &memory) {
  auto print = [](int64_t bytes) {
    bool isLarge = bytes >= 1000000;
    return llvm::formatv("{0:F1} {1}", double(bytes) / (isLarge ? 1e6 : 1e3), isLarge ? "MB" : "kB").str();
  };
  return "memory: " + print(memory.parameters + memory.step) + ", " + print(memory.parameters) +
         " of them parameters and the optimizer's state";
}

/// Ctrl-C during training: the run in flight ends, nothing is written.
std::atomic<nacre_session *> interruptible = nullptr;
std::atomic<bool> wasInterrupted = false;

void interrupt() {
  wasInterrupted = true;
  if (nacre_session *session = interruptible)
    nacre_session_cancel(session);
}

/// The process ends as if it had not caught the signal, so that a shell's script ends too.
int endInterrupted(int64_t checkpoint) {
  fail(checkpoint < 0 ? "interrupted: nothing was written"
                      : "interrupted: nothing was written but checkpoints; with --resume it goes on after step " +
                            std::to_string(checkpoint));
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
  if (Status checked = checkPlace(target); !checked)
    return fail(checked.error());
  Result<DataFiles> files = DataFiles::open(dataPath);
  if (!files)
    return fail(files.error());
  std::optional<DataFiles> validFiles;
  if (!validPath.empty()) {
    Result<DataFiles> opened = DataFiles::open(validPath);
    if (!opened)
      return fail(opened.error());
    validFiles = *std::move(opened);
  }
  TrainMemory memory;
  plan.compile.trainMemory = &memory;
  // What sizes that the model leaves open will be.
  for (auto &[name, shape] : files->shapes()) {
    shape.front() = std::min(shape.front(), batchSize ? batchSize : Feeder::kDefaultBatch);
    plan.compile.train->batchShapes[name] = std::move(shape);
  }
  Clock::time_point start = Clock::now();
  Result<Model> model = openModel(path, plan.compile);
  if (!model)
    return fail(model.error());
  double compileSeconds = std::chrono::duration<double>(Clock::now() - start).count();
  Result<Exporter> exporter = Exporter::open(path, *model, plan.compile.allowSymlinks);
  if (!exporter)
    return fail(exporter.error());
  Result<TrainData> data = TrainData::read(*files, *model);
  if (!data)
    return fail(data.error());
  TrainData others;
  if (validFiles) {
    Result<TrainData> read = TrainData::read(*validFiles, *model);
    if (!read)
      return fail(read.error());
    others = *std::move(read);
    plan.trainer.validation = others.columns();
    if (plan.trainer.validation.empty())
      return fail(Error{NACRE_INVALID_VALUE, validPath + ": no arrays are in it"});
  }
  Result<Session> session = createSession(*model, threads, seed);
  if (!session)
    return fail(session.error());
  Result<Trainer> trainer = Trainer::create(*session, data->columns(), plan.trainer);
  if (!trainer)
    return fail(trainer.error());

  TrainRun run(*trainer, plan.kept, plan.told);
  TrainCheckpoints::Agreement agreed; // which reads all data
  if (!checkpointFolder.empty())
    agreed = agree(*plan.compile.train, plan.trainer, *model, *trainer, data->columns());
  if (Status begun = run.begin(std::move(agreed)); !begun)
    return fail(begun.error());
  if (memory.step > 0 && !printsJson)
    llvm::outs() << formatMemory(memory) << "\n";
  if (std::optional<TrainedNodes> nodes = exporter->countTrainedNodes(); nodes && !printsJson)
    llvm::outs() << describe(*nodes);
  llvm::outs().flush();
  interruptible = trainer->session().get();
  llvm::sys::SetInterruptFunction(interrupt);
  Status trained = run.train([] { return !wasInterrupted; });
  double seconds = run.getReport().getSeconds();
  if (wasInterrupted)
    return endInterrupted(run.getKeeper().getNewestCheckpoint());
  if (!trained) {
    Error error = trained.error();
    if (error.status == NACRE_INVALID_VALUE && llvm::StringRef(error.message).starts_with("the loss became"))
      error.message += "; --detect-anomaly names what makes it so";
    return fail(error);
  }
  // From here on Ctrl-C removes what is written so far and ends.
  llvm::sys::SetInterruptFunction(nullptr);
  interruptible = nullptr;
  if (hasAverages)
    if (Status set = trainer->useAverages(); !set)
      return fail(set.error());
  if (Status written = writeResult(*exporter, trainer->session(), plan.compile, path, target); !written)
    return fail(written.error());
  int64_t count = int64_t(run.getReport().getEpochs().size());
  if (printsJson) {
    llvm::json::Object summary{{"model", toUtf8(target)},
                               {"examples", trainer->examples()},
                               {"batch_size", trainer->batchSize()},
                               {"compile_seconds", compileSeconds},
                               {"seconds", seconds},
                               {"epochs", llvm::json::Array(run.getReport().getEpochs())}};
    if (std::optional<TrainedNodes> nodes = exporter->countTrainedNodes())
      summary["nodes_in_training_mode"] =
          llvm::json::Object{{"BatchNormalization", nodes->batchNormalizations},
                             {"Dropout", nodes->dropouts},
                             {"folded BatchNormalization", nodes->foldedBatchNormalizations}};
    if (patience) {
      summary["best_epoch"] = run.getKeeper().getBestEpoch() + 1;
      summary["ended_early"] = run.getKeeper().endedEarly();
    }
    printJson(std::move(summary));
    return kSuccess;
  }
  llvm::outs() << target << ": " << trainer->examples() << " examples, " << count << " epochs in "
               << llvm::format("%.2f", seconds) << " s";
  if (patience)
    llvm::outs() << ", the best after epoch " << run.getKeeper().getBestEpoch() + 1;
  llvm::outs() << "\n";
  return kSuccess;
}
