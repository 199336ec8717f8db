//===- TrainSnapshot.cpp - A training's state as text -----------*- C++ -*-===//
// Numbers that must come back to the bit are written in hexadecimal, which holds infinities
// too; JSON's would not.
#include "compiler/api/TrainSnapshot.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/raw_ostream.h"
#include <cmath>
#include <cstdlib>

using namespace nacre;
namespace json = llvm::json;

/// To the bit.
static std::string print(double value) {
  std::string text;
  llvm::raw_string_ostream(text) << llvm::format("%a", value);
  return text;
}

static std::string print(const json::Value &value) {
  std::string text;
  llvm::raw_string_ostream(text) << value;
  return text;
}

std::string nacre::toText(const TrainingSnapshot &snapshot, std::pair<uint64_t, int64_t> random) {
  const TrainingState &state = snapshot.state;
  const Schedule::State &schedule = state.schedule;
  json::Array metrics;
  for (const Metric::Sums &sums : state.metrics)
    metrics.push_back(json::Array{print(sums.first), print(sums.second), print(sums.third)});
  json::Array history;
  for (const std::string &epoch : snapshot.history)
    history.push_back(llvm::cantFail(json::parse(epoch)));
  json::Object object{{"epoch", state.epoch},
                      {"step", state.step},
                      {"examples", state.examples},
                      {"sum", print(state.sum)},
                      {"rate", print(state.rate)},
                      {"seconds", print(state.seconds)},
                      {"metrics", std::move(metrics)},
                      {"schedule", json::Object{{"best", print(schedule.best)},
                                                {"reduction", print(schedule.reduction)},
                                                {"has_best", schedule.hasBest},
                                                {"bad", schedule.bad},
                                                {"cooldown", schedule.cooldown}}},
                      {"best", json::Object{{"epoch", snapshot.best.epoch},
                                            {"value", print(snapshot.best.value)},
                                            {"stale", snapshot.best.stale}}},
                      {"seed", random.first},
                      {"runs", random.second},
                      {"all_seconds", print(snapshot.seconds)},
                      {"history", std::move(history)}};
  return print(json::Value(std::move(object)));
}

std::string nacre::describeEpoch(const Epoch &epoch, const std::vector<std::string> &metrics) {
  // JSON has no infinities.
  auto number = [](double value) { return std::isfinite(value) ? json::Value(value) : json::Value(nullptr); };
  json::Object object{{"epoch", epoch.index + 1}};
  auto add = [&](const std::string &prefix, double loss, const std::vector<double> &values) {
    object[prefix + "loss"] = number(loss);
    for (auto [name, value] : llvm::zip(metrics, values))
      object[prefix + name] = number(value);
  };
  add("", epoch.loss, epoch.metrics);
  if (epoch.validation)
    add("val_", epoch.validation->loss, epoch.validation->metrics);
  object["examples_per_second"] = number(double(epoch.examples) / epoch.seconds);
  return print(json::Value(std::move(object)));
}

Epoch nacre::readEpoch(std::string_view text, const std::vector<std::string> &metrics) {
  Epoch epoch;
  json::Value value = llvm::cantFail(json::parse(text));
  const json::Object &object = *value.getAsObject();
  auto number = [&](const std::string &name) { return object.getNumber(name).value_or(std::nan("")); };
  auto read = [&](const std::string &prefix, double &loss, std::vector<double> &values) {
    loss = number(prefix + "loss");
    for (const std::string &name : metrics)
      values.push_back(number(prefix + name));
  };
  epoch.index = object.getInteger("epoch").value_or(1) - 1;
  read("", epoch.loss, epoch.metrics);
  if (object.get("val_loss"))
    read("val_", epoch.validation.emplace().loss, epoch.validation->metrics);
  return epoch;
}

namespace {

/// Reads members of an object; afterwards `isGood` says whether all were there.
class Reader {
public:
  explicit Reader(const json::Object *object, bool &isGood) : object(object), isGood(isGood) { isGood &= object != nullptr; }

  void read(llvm::StringRef name, int64_t &value) { take(object ? object->getInteger(name) : std::nullopt, value); }
  void read(llvm::StringRef name, bool &value) { take(object ? object->getBoolean(name) : std::nullopt, value); }
  void read(llvm::StringRef name, double &value) { parse(object ? object->getString(name) : std::nullopt, value); }
  void read(llvm::StringRef name, uint64_t &value) {
    const json::Value *found = object ? object->get(name) : nullptr;
    take(found ? found->getAsUINT64() : std::nullopt, value);
  }
  void parse(std::optional<llvm::StringRef> text, double &value) {
    if (!text)
      return void(isGood = false);
    std::string copy = text->str();
    char *end = nullptr;
    value = std::strtod(copy.c_str(), &end);
    isGood &= !copy.empty() && *end == 0;
  }

private:
  template <typename T> void take(std::optional<T> found, T &value) {
    isGood &= found.has_value();
    value = found.value_or(T());
  }

  const json::Object *object;
  bool &isGood;
};

} // namespace

bool nacre::fromText(std::string_view text, TrainingSnapshot &snapshot, std::pair<uint64_t, int64_t> &random) {
  llvm::Expected<json::Value> value = json::parse(text);
  if (!value)
    return llvm::consumeError(value.takeError()), false;
  bool isGood = true;
  const json::Object *object = value->getAsObject();
  Reader reader(object, isGood);
  if (!object)
    return false;
  TrainingState &state = snapshot.state;
  reader.read("epoch", state.epoch);
  reader.read("step", state.step);
  reader.read("examples", state.examples);
  reader.read("sum", state.sum);
  reader.read("rate", state.rate);
  reader.read("seconds", state.seconds);
  reader.read("all_seconds", snapshot.seconds);
  reader.read("seed", random.first);
  reader.read("runs", random.second);
  Reader schedule(object->getObject("schedule"), isGood);
  schedule.read("best", state.schedule.best);
  schedule.read("reduction", state.schedule.reduction);
  schedule.read("has_best", state.schedule.hasBest);
  schedule.read("bad", state.schedule.bad);
  schedule.read("cooldown", state.schedule.cooldown);
  Reader best(object->getObject("best"), isGood);
  best.read("epoch", snapshot.best.epoch);
  best.read("value", snapshot.best.value);
  best.read("stale", snapshot.best.stale);
  const json::Array *metrics = object->getArray("metrics"), *history = object->getArray("history");
  if (!metrics || !history)
    return false;
  for (const json::Value &entry : *metrics) {
    const json::Array *sums = entry.getAsArray();
    if (!sums || sums->size() != 3)
      return false;
    Metric::Sums &to = state.metrics.emplace_back();
    double *numbers[] = {&to.first, &to.second, &to.third};
    for (size_t i = 0; i < 3; ++i)
      reader.parse((*sums)[i].getAsString(), *numbers[i]);
  }
  for (const json::Value &epoch : *history) {
    isGood &= epoch.getAsObject() != nullptr;
    snapshot.history.push_back(print(epoch));
  }
  return isGood && random.second >= 0;
}
