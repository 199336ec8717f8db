//===- TrainReport.h - What a training tells --------------------*- C++ -*-===//
#ifndef NACRE_TOOLS_NACRE_TRAINREPORT_H
#define NACRE_TOOLS_NACRE_TRAINREPORT_H

#include "runtime/api/nacre_train.hpp"
#include "llvm/Support/JSON.h"
#include "llvm/Support/raw_ostream.h"
#include <memory>

namespace nacre::tool {

/// Tells people and files how a training goes: a line that is written over on a terminal, a
/// line for each epoch, a file of JSON lines, a picture of the curves.
class TrainReport {
public:
  struct Options {
    std::vector<std::string> metrics; // by their names, in their order
    bool isQuiet = false;             // no lines
    std::string logPath, plotPath;    // empty: none
    int64_t logEvery = 100;           // steps
  };

  TrainReport(Trainer &trainer, Options options) : trainer(trainer), options(std::move(options)) {}
  ~TrainReport() { clear(); }

  /// Goes on after epochs that describeEpoch told of, and so many steps, or from the start. Of the log stays what belongs to these.
  Status begin(const std::vector<std::string> &epochs, double seconds, int64_t step);
  void addStep(const TrainingStep &step);
  void addEpoch(const Epoch &epoch);
  /// Draws the curves a last time.
  Status finish();
  /// A line on standard error.
  void warn(const std::string &message) const;

  /// An object for each epoch.
  const llvm::json::Array &getEpochs() const { return epochs; }
  /// Of all the training.
  double getSeconds() const;

private:
  Status openLog(int64_t step);
  void log(llvm::json::Object object);
  Status plot() const;
  void show(int64_t epoch, const TrainingStep &step);
  void clear() const;

  using Clock = std::chrono::steady_clock;
  static double since(Clock::time_point then) { return std::chrono::duration<double>(Clock::now() - then).count(); }

  Trainer &trainer;
  Options options;
  llvm::json::Array epochs;
  double secondsBefore = 0;
  std::unique_ptr<llvm::raw_fd_ostream> logFile;
  bool isShown = llvm::errs().is_displayed();
  // The examples seen since the start, and up to the last line of the log; when that and other
  // things happened.
  int64_t seen = 0, seenInEpoch = 0, seenAtLog = 0;
  Clock::time_point start = Clock::now(), lastShown = start, lastLogged = start, lastPlotted = start;
};

/// Curves over the epochs, as SVG: a panel for the loss and for each metric.
std::string drawCurves(const llvm::json::Array &epochs, const std::vector<std::string> &metrics);

} // namespace nacre::tool

#endif // NACRE_TOOLS_NACRE_TRAINREPORT_H
