//===- TrainFlags.cpp - How to train, on the command line -------*- C++ -*-===//
#include "tools/nacre/TrainFlags.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/raw_ostream.h"

using namespace nacre;
using namespace nacre::tool;
namespace cl = llvm::cl;

TrainFlags::TrainFlags(cl::SubCommand &command, const char *lossName, const char *lossSummary)
    : losses(llvm::StringRef(lossName), cl::sub(command), cl::value_desc("[factor*]loss[:settings][@output]"), cl::desc(lossSummary)),
      groups("group", cl::sub(command), cl::value_desc("pattern:settings"),
             cl::desc("Train parameters whose names match otherwise: '*.bias:weight_decay=0', 'enc*:frozen', "
                      "'head*:lr_factor=10'; the first that matches counts")),
      optimizer("optimizer", cl::sub(command), cl::init("sgd:lr=0.01"), cl::value_desc("adamw:lr=3e-4"),
                cl::desc("The optimiser and its settings (default sgd:lr=0.01)")),
      memoryBudget("memory-budget", cl::sub(command), cl::value_desc("500MB"),
                   cl::desc("What parameters, the optimiser's state and a step may take; what does not fit is computed "
                            "again")),
      clipNorm("clip-norm", cl::sub(command), cl::value_desc("n"),
               cl::desc("Scale gradients down to this norm of all together")),
      clipValue("clip-value", cl::sub(command), cl::value_desc("n"), cl::desc("Clip each element of a gradient")),
      average("average", cl::sub(command), cl::value_desc("decay"),
              cl::desc("Keep a moving average of the weights; nacre train writes it instead of them")),
      accumulate("accumulate", cl::sub(command), cl::init(1), cl::value_desc("n"),
                 cl::desc("Update with the mean gradient of so many steps (default 1)")),
      detectAnomaly("detect-anomaly", cl::sub(command),
                    cl::desc("Stop at the first node that makes a NaN, or a gradient that is not finite, and name it")),
      listLosses("list-losses", cl::sub(command), cl::desc("Print all losses and their settings")),
      listOptimizers("list-optimizers", cl::sub(command), cl::desc("Print all optimisers and their settings")) {}

bool TrainFlags::isGiven() const { return losses.getNumOccurrences() != 0; }

bool TrainFlags::needsLoss() const {
  return !isGiven() && (groups.getNumOccurrences() || optimizer.getNumOccurrences() || clipNorm.getNumOccurrences() ||
                        clipValue.getNumOccurrences() || average.getNumOccurrences() || accumulate.getNumOccurrences() ||
                        memoryBudget.getNumOccurrences() || detectAnomaly);
}

Result<double> TrainFlags::fill(TrainOptions &options, CompileOptions &compile) const {
  auto join = [](const cl::list<std::string> &list) { return llvm::join(list.begin(), list.end(), " + "); };
  if (!losses.empty())
    options.loss = join(losses);
  options.groups = join(groups);
  options.optimizer = optimizer;
  auto refuse = [](const char *flag, const std::string &why) {
    return Error{NACRE_INVALID_ARGUMENT, std::string(flag) + ": " + why};
  };
  if (!(clipNorm >= 0 && clipValue >= 0))
    return refuse("--clip-norm, --clip-value", "expected a number from 0 up");
  if (accumulate < 1)
    return refuse("--accumulate", "expected 1 or more");
  if (!(average >= 0 && average < 1))
    return refuse("--average", "expected a decay from 0 to below 1");
  options.clipNorm = clipNorm;
  options.clipValue = clipValue;
  options.accumulate = accumulate;
  options.average = average;
  options.detectAnomaly = detectAnomaly;
  if (Status set = setTrainOption(options, "precision", compile.precision); !set)
    return refuse("--precision", set.error().message);
  compile.precision = "f32";
  if (memoryBudget.getNumOccurrences())
    if (Status set = setTrainOption(options, "memory_budget", memoryBudget); !set)
      return refuse("--memory-budget", set.error().message);
  // One after the other, to name the flag at fault.
  TrainOptions alone;
  alone.loss = options.loss;
  if (Result<double> rate = getLearningRate(alone); !rate)
    return refuse(("--" + losses.ArgStr).str().c_str(), rate.error().message + "; see --list-losses");
  alone = {};
  alone.optimizer = options.optimizer;
  if (Result<double> rate = getLearningRate(alone); !rate)
    return refuse("--optimizer", rate.error().message + "; see --list-optimizers");
  Result<double> rate = getLearningRate(options);
  return rate ? rate : refuse("--group", rate.error().message);
}

bool TrainFlags::printLists() const {
  if (listLosses)
    llvm::outs() << describeLosses();
  if (listOptimizers)
    llvm::outs() << describeOptimizers();
  return listLosses || listOptimizers;
}
