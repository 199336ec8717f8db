//===- Training.cpp - Options of training -----------------------*- C++ -*-===//
#include "compiler/api/Compiler.h"
#include "compiler/train/Groups.h"
#include "compiler/train/Losses.h"

using namespace nacre;

Status nacre::setTrainOption(TrainOptions &options, std::string_view key, std::string_view value) {
  auto refuse = [&](const std::string &expected) {
    return Error{NACRE_INVALID_ARGUMENT, std::string(key) + " '" + std::string(value) + "': expected " + expected};
  };
  double number = 0;
  bool isNumber = spec::parseNumber(spec::trim(value), number);
  if (key == "loss")
    options.loss = value;
  else if (key == "optimizer")
    options.optimizer = value;
  else if (key == "groups")
    options.groups = value;
  else if (key == "clip_norm" || key == "clip_value") {
    if (!isNumber || number < 0)
      return refuse("a number from 0 up");
    (key == "clip_norm" ? options.clipNorm : options.clipValue) = number;
  } else if (key == "accumulate") {
    if (!isNumber || number < 1 || number > 1e9 || number != std::floor(number))
      return refuse("a number of steps, from 1");
    options.accumulate = int64_t(number);
  } else if (key == "average") {
    if (!isNumber || number < 0 || number >= 1)
      return refuse("a decay from 0 to below 1");
    options.average = number;
  } else if (key == "detect_anomaly") {
    llvm::StringRef word(value);
    bool isOn = word == "1" || word.equals_insensitive("true");
    if (!isOn && word != "0" && !word.equals_insensitive("false"))
      return refuse("true or false");
    options.detectAnomaly = isOn;
  } else {
    return Error{NACRE_INVALID_ARGUMENT, "training has no option '" + std::string(key) +
                                             "': loss, optimizer, groups, clip_norm, clip_value, accumulate, average, detect_anomaly"};
  }
  return {};
}

Result<double> nacre::getLearningRate(const TrainOptions &options) {
  spec::Request optimizer;
  spec::Message message;
  std::vector<train::Group> groups;
  if (!train::checkLosses(options.loss, message) || !train::parseOptimizer(options.optimizer, optimizer, message) ||
      !train::parseGroups(options.groups, optimizer, groups, message))
    return Error{NACRE_INVALID_ARGUMENT, message.c_str()};
  return optimizer["lr"];
}

int64_t nacre::getIgnoredLabel(const TrainOptions &options) { return train::getIgnoredLabel(options.loss); }

std::string nacre::describeLosses() { return train::describeLosses(); }
std::string nacre::describeOptimizers() { return train::describeOptimizers(); }
