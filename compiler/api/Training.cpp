//===- Training.cpp - Options of training -----------------------*- C++ -*-===//
#include "compiler/api/Compiler.h"
#include "compiler/train/Groups.h"
#include "compiler/train/Losses.h"
#include "compiler/train/Precision.h"

using namespace nacre;

std::optional<int64_t> nacre::parseBytes(std::string_view text) {
  constexpr std::pair<std::string_view, double> kUnits[] = {
      {"KiB", 1024},       {"MiB", 1048576}, {"GiB", 1073741824}, {"TiB", 1099511627776},
      {"kB", 1e3}, {"KB", 1e3},  {"MB", 1e6},     {"GB", 1e9},         {"TB", 1e12}, {"B", 1}};
  text = spec::trim(text);
  double unit = 1, number = 0;
  for (auto [name, factor] : kUnits)
    if (text.ends_with(name)) {
      text.remove_suffix(name.size());
      unit = factor;
      break;
    }
  if (!spec::parseNumber(spec::trim(text), number) || !(number >= 0) || number * unit > 1e18)
    return std::nullopt;
  return int64_t(number * unit);
}

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
  } else if (key == "precision") {
    spec::Request request;
    spec::Message message;
    if (!train::parsePrecision(value, request, message))
      return Error{NACRE_INVALID_ARGUMENT, message.c_str()};
    options.precision = value;
  } else if (key == "memory_budget") {
    std::optional<int64_t> bytes = parseBytes(value);
    if (!bytes)
      return refuse("a number of bytes: 500MB, 2GiB");
    options.memoryBudget = *bytes;
  } else if (key == "open_size") {
    if (!isNumber || number < 0 || number > 1e9 || number != std::floor(number))
      return refuse("a size");
    options.openSize = int64_t(number);
  } else if (key == "batch_shapes") {
    std::map<std::string, std::vector<int64_t>> shapes;
    for (llvm::StringRef part : llvm::split(llvm::StringRef(value), ',')) {
      auto [name, sizes] = part.trim().rsplit('=');
      if (part.trim().empty())
        continue;
      std::vector<int64_t> &shape = shapes[name.str()];
      for (llvm::StringRef text : llvm::split(sizes, 'x'))
        if (text.getAsInteger(10, shape.emplace_back()) || shape.back() < 0)
          return refuse("shapes by the names of inputs and targets: x=32x128,labels=32");
    }
    options.batchShapes = std::move(shapes);
  } else {
    return Error{NACRE_INVALID_ARGUMENT, "training has no option '" + std::string(key) +
                                             "': loss, optimizer, groups, clip_norm, clip_value, accumulate, average, "
                                             "detect_anomaly, precision, memory_budget, open_size, batch_shapes"};
  }
  return {};
}

Result<double> nacre::getLearningRate(const TrainOptions &options) {
  spec::Request optimizer, precision;
  spec::Message message;
  std::vector<train::Group> groups;
  if (!train::checkLosses(options.loss, message) || !train::parseOptimizer(options.optimizer, optimizer, message) ||
      !train::parseGroups(options.groups, optimizer, groups, message) ||
      !train::parsePrecision(options.precision, precision, message))
    return Error{NACRE_INVALID_ARGUMENT, message.c_str()};
  return optimizer["lr"];
}

int64_t nacre::getIgnoredLabel(const TrainOptions &options) { return train::getIgnoredLabel(options.loss); }

std::string nacre::describeLosses() { return train::describeLosses(); }
std::string nacre::describeOptimizers() { return train::describeOptimizers(); }
