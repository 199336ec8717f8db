//===- TrainReport.cpp - What a training tells ------------------*- C++ -*-===//
#include "tools/nacre/TrainReport.h"
#include "compiler/api/File.h"
#include "compiler/api/TrainSnapshot.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/raw_ostream.h"
#include <cmath>

using namespace nacre;
using namespace nacre::tool;
namespace json = llvm::json;

/// JSON has no infinities.
static json::Value number(double value) { return std::isfinite(value) ? json::Value(value) : json::Value(nullptr); }

double TrainReport::getSeconds() const { return secondsBefore + since(start); }

Status TrainReport::begin(const std::vector<std::string> &before, double seconds, int64_t step) {
  for (const std::string &epoch : before)
    epochs.push_back(llvm::cantFail(json::parse(epoch)));
  secondsBefore = seconds;
  seenInEpoch = trainer.state().examples;
  start = lastShown = lastLogged = lastPlotted = Clock::now();
  if (Status status = options.plotPath.empty() ? Status() : plot(); !status)
    return status;
  return options.logPath.empty() ? Status() : openLog(step);
}

Status TrainReport::openLog(int64_t step) {
  // Lines of steps that come again go, and half a line.
  std::string kept;
  if (step > 0)
    if (auto buffer = llvm::MemoryBuffer::getFile(options.logPath))
      for (llvm::StringRef line : llvm::split((*buffer)->getBuffer(), '\n')) {
        llvm::Expected<json::Value> value = json::parse(line);
        if (!value) {
          llvm::consumeError(value.takeError());
          continue;
        }
        const json::Object *object = value->getAsObject();
        // After an epoch's last step it may still have to be evaluated.
        if (object && object->getInteger("step").value_or(INT64_MAX) <= step &&
            (object->getString("event") != "epoch" || object->getInteger("epoch").value_or(INT64_MAX) <= trainer.state().epoch))
          kept += line.str() + "\n";
      }
  if (Status status = writeFile(options.logPath, kept); !status)
    return status;
  std::error_code code;
  logFile = std::make_unique<llvm::raw_fd_ostream>(options.logPath, code, llvm::sys::fs::CD_OpenExisting,
                                                   llvm::sys::fs::FA_Write, llvm::sys::fs::OF_Append);
  return code ? Status(Error{NACRE_IO_ERROR, "cannot write '" + options.logPath + "': " + code.message()}) : Status();
}

void TrainReport::log(json::Object object) {
  if (!logFile)
    return;
  *logFile << json::Value(std::move(object)) << "\n";
  logFile->flush();
  if (logFile->has_error()) {
    warn("cannot write '" + options.logPath + "': " + logFile->error().message() + "; the log ends here");
    logFile->clear_error();
    logFile.reset();
  }
}

void TrainReport::addStep(const TrainingStep &step) {
  int64_t epoch = trainer.state().epoch;
  seen += step.examples - (step.index ? seenInEpoch : 0);
  seenInEpoch = step.examples;
  show(epoch, step);
  int64_t index = epoch * trainer.steps() + step.index + 1;
  if (!logFile || index % options.logEvery != 0)
    return;
  double rate = double(seen - seenAtLog) / since(lastLogged);
  seenAtLog = seen;
  lastLogged = Clock::now();
  log(json::Object{{"event", "step"},
                   {"step", index},
                   {"epoch", epoch + 1},
                   {"loss", number(step.own)},
                   {"rate", number(step.rate)},
                   {"examples_per_second", number(rate)},
                   {"seconds", getSeconds()}});
}

void TrainReport::addEpoch(const Epoch &epoch) {
  std::string text;
  auto add = [&](const std::string &prefix, double loss, const std::vector<double> &values) {
    text += (text.empty() ? "" : ", ") + prefix + llvm::formatv("loss {0:F4}", loss).str();
    for (auto [name, value] : llvm::zip(options.metrics, values))
      text += ", " + prefix + name + llvm::formatv(" {0:F4}", value).str();
  };
  add("", epoch.loss, epoch.metrics);
  if (epoch.validation)
    add("val_", epoch.validation->loss, epoch.validation->metrics);
  double rate = double(epoch.examples) / epoch.seconds;
  clear();
  if (!options.isQuiet) {
    llvm::outs() << llvm::formatv("epoch {0}/{1}: {2}, {3:F0} examples/s\n", epoch.index + 1, trainer.epochs(), text, rate);
    llvm::outs().flush();
  }
  epochs.push_back(llvm::cantFail(json::parse(describeEpoch(epoch, options.metrics))));
  json::Object object = *epochs.back().getAsObject();
  object["event"] = "epoch";
  const TrainingState &state = trainer.state();
  object["step"] = state.epoch * trainer.steps() + state.step;
  object["rate"] = number(epoch.rate);
  object["seconds"] = getSeconds();
  log(std::move(object));
  if (!options.plotPath.empty() && since(lastPlotted) > 1) {
    if (Status status = plot(); !status)
      warn(status.error().message);
    lastPlotted = Clock::now();
  }
}

Status TrainReport::finish() {
  clear();
  return options.plotPath.empty() ? Status() : plot();
}

Status TrainReport::plot() const { return writeFile(options.plotPath, drawCurves(epochs, options.metrics)); }

void TrainReport::show(int64_t epoch, const TrainingStep &step) {
  if (!isShown || since(lastShown) < 0.1)
    return;
  lastShown = Clock::now();
  double rate = double(seen) / since(start);
  double all = double(trainer.examples()), left = all * double(trainer.epochs() - epoch) - double(step.examples);
  llvm::errs() << "\r\033[K"
               << llvm::format("epoch %lld/%lld  %3.0f %%  loss %.4f  %.0f examples/s  %.0f s left", (long long)epoch + 1,
                               (long long)trainer.epochs(), 100.0 * double(step.examples) / all, step.loss, rate,
                               left / rate);
  llvm::errs().flush();
}

void TrainReport::warn(const std::string &message) const {
  clear();
  llvm::errs() << "nacre: warning: " << message << "\n";
}

void TrainReport::clear() const {
  if (isShown)
    llvm::errs() << "\r\033[K";
}
