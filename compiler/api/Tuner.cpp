//===- Tuner.cpp - Which decisions make a model faster ----------*- C++ -*-===//
//
// One compilation tries another decision for every kernel at once; kernels are judged one by one, by their
// own times. The model as it is and the candidate run in turns, so that what else the machine does meets
// both. Where a decision wins, what lies around it is tried next.
//
//===----------------------------------------------------------------------===//
#include "compiler/api/Tuner.h"

#include <algorithm>
#include <set>

using namespace nacre;

namespace {

/// A decision must be better by so much than the best that was seen of the other, in each half of the runs.
constexpr double kGain = 0.97;
/// Kernels of less of a run are not worth a compilation.
constexpr double kLeastShare = 0.005;
constexpr int kFewestRounds = 4, kMostRounds = 100;
/// So many times both sides are made anew to confirm what was found, and so much better it must be in the middle.
constexpr int kPairs = 3;
constexpr double kGainAgain = 0.985;
/// Seconds for a candidate, if the limit leaves so much.
constexpr double kSecondsOfCandidate = 0.8;
/// How often what was learnt may lead to kernels of which something is known in turn: an algorithm, then its tiles.
constexpr int kMostSteps = 4;

/// The least times of kernels over some runs.
struct LeastTimes {
  RunTimes least;
  void add(const RunTimes &run) {
    least.total = least.total == 0 ? run.total : std::min(least.total, run.total);
    for (const auto &[name, ms] : run.kernels) {
      auto [place, isNew] = least.kernels.try_emplace(name, ms);
      place->second = std::min(place->second, ms);
    }
  }
  double get(const std::vector<std::string> &kernels) const {
    double sum = 0;
    for (const std::string &name : kernels)
      if (auto found = least.kernels.find(name); found != least.kernels.end())
        sum += found->second;
    return sum;
  }
};

/// Two candidates' runs in turns: of each the least times of the even and of the odd rounds.
struct Comparison {
  LeastTimes times[2][2];
  int rounds = 0, won = 0; // by the other one, as a whole
  /// Of kernels' times, the other one's to the first one's; 1 where one did not run.
  double getRatio(const std::vector<std::string> &kernels) const {
    double least[2];
    for (int side : {0, 1})
      least[side] = std::min(times[side][0].get(kernels), times[side][1].get(kernels));
    return least[0] > 0 && least[1] > 0 ? least[1] / least[0] : 1;
  }
  double getTotal(int side) const { return std::min(times[side][0].least.total, times[side][1].least.total); }
};

class Tuner {
public:
  Tuner(TuneBench &bench, TuneResult &result) : bench(bench), result(result) {}

  Result<Decisions> run(bool measures) {
    if (Status status = take(make({}, newSeconds)); !status)
      return status.error();
    knownSeconds = newSeconds;
    if (Status status = useKnown(); !status)
      return status.error();
    if (measures)
      if (Status status = measure(); !status)
        return status.error();
    result.changed = int64_t(decisions.size());
    return decisions;
  }

private:
  /// What is known and done about one choice.
  struct State {
    KernelChoice first; // as the model made it
    std::set<std::string> tried;
    bool isExhausted = false, isMeasured = false;
  };

  /// Makes a candidate, and notes how long that takes: of one with code that was never compiled, or of another.
  Result<std::unique_ptr<TuneCandidate>> make(const Decisions &asked, double &seconds) {
    double before = bench.getSecondsLeft();
    Result<std::unique_ptr<TuneCandidate>> made = bench.make(asked);
    seconds = before - bench.getSecondsLeft();
    return made;
  }

  Status take(Result<std::unique_ptr<TuneCandidate>> made) {
    if (!made)
      return made.error();
    current = *std::move(made);
    for (const KernelChoice &choice : current->getChoices())
      if (decisions.count(choice.key) == 0)
        states.try_emplace(choice.key, State{choice, {}});
    dropIdle();
    return {};
  }

  /// Takes decisions back that the code does not show: of the tiles of an algorithm that was replaced, or what the
  /// pass does not take for one.
  void dropIdle() {
    Decisions taken;
    for (const KernelChoice &choice : current->getChoices())
      taken[choice.key] = choice.chosen;
    std::erase_if(decisions, [&](const auto &decision) {
      auto found = taken.find(decision.first);
      bool isIdle = found == taken.end() || found->second != decision.second;
      if (isIdle)
        states[decision.first].isMeasured = false;
      return isIdle;
    });
  }

  bool isTimeUp() { return bench.getSecondsLeft() <= reserve; }
  /// Whether a candidate can be made and measured, what wins be put together, and that be confirmed.
  bool hasTimeForCandidate() { return bench.getSecondsLeft() > newSeconds + knownSeconds + 1.25 * reserve; }

  Status useKnown() {
    std::set<std::string> asked;
    for (int step = 0; step < kMostSteps; ++step) {
      bool isChanged = false;
      for (const KernelChoice &choice : current->getChoices()) {
        if (!asked.insert(choice.key).second)
          continue;
        ++result.choices;
        std::optional<LearntChoice> learnt = bench.find(choice);
        if (!learnt)
          continue;
        ++result.known;
        states[choice.key].isExhausted = learnt->isExhausted;
        states[choice.key].tried = learnt->tried;
        if (learnt->decision && *learnt->decision != choice.chosen) {
          decisions[choice.key] = *learnt->decision;
          isChanged = true;
        }
      }
      if (!isChanged)
        break;
      if (Status status = take(make(decisions, newSeconds)); !status)
        return status;
    }
    return {};
  }

  Status measure() {
    known = decisions;
    LeastTimes times;
    for (int i = 0; i < 3 && (i < 2 || !isTimeUp()); ++i) { // the first warms caches up
      Result<RunTimes> run = current->run(true);
      if (!run && i > 0 && isTimeUp())
        break;
      if (!run)
        return run.error();
      times = i == 1 ? LeastTimes() : std::move(times);
      times.add(*run);
    }
    // What confirming takes, with what is left of it once more, if it is short.
    reserve = 2 * kPairs * (2 * knownSeconds + times.least.total * 6 * (kFewestRounds + 1) / 1e3);
    shares = times;
    while (hasTimeForCandidate()) {
      Decisions picks = choosePicks();
      if (picks.empty())
        break;
      Result<bool> isCompared = tryPicks(picks);
      if (!isCompared)
        return isCompared.error();
      if (!*isCompared)
        break;
    }
    bool isComplete = choosePicks().empty();
    if (!isComplete)
      result.note = result.measured == 0 ? "the limit left no time to measure a candidate; give more seconds"
                                         : "the limit ended it before all was tried; more seconds go on from here";
    if (decisions != known)
      if (Status status = confirm(); !status)
        return status;
    storeLearnt();
    return {};
  }

  /// One untried decision for each kernel that takes some time; of an algorithm before its tiles.
  Decisions choosePicks() {
    Decisions picks;
    std::set<std::string> busy;
    for (const KernelChoice &choice : current->getChoices()) {
      State &state = states[choice.key];
      if (state.isExhausted || shares.get(choice.kernels) < kLeastShare * shares.least.total)
        continue;
      if (std::any_of(choice.kernels.begin(), choice.kernels.end(), [&](const std::string &name) { return busy.count(name) > 0; }))
        continue;
      auto other = std::find_if(choice.others.begin(), choice.others.end(), [&](const std::string &text) {
        return text != choice.chosen && text != state.first.chosen && state.tried.count(text) == 0;
      });
      if (other == choice.others.end()) {
        state.isExhausted = state.isMeasured = true;
        continue;
      }
      picks[choice.key] = *other;
      busy.insert(choice.kernels.begin(), choice.kernels.end());
    }
    return picks;
  }

  /// Measures a candidate, and adopts what wins; false if the time is up.
  Result<bool> tryPicks(const Decisions &picks) {
    bench.report("candidate " + std::to_string(result.measured + 1) + ": " + std::to_string(picks.size()) + " kernels");
    Decisions tried = decisions;
    for (const auto &[key, choice] : picks)
      tried[key] = choice;
    Result<std::unique_ptr<TuneCandidate>> made = make(tried, newSeconds);
    if (!made && bench.getSecondsLeft() <= 0)
      return false;
    auto noteTried = [&] {
      for (const auto &[key, choice] : picks)
        states[key].tried.insert(choice);
    };
    if (!made) {
      if (made.error().status == NACRE_CANCELLED)
        return made.error();
      noteTried();
      bench.report("candidate " + std::to_string(result.measured + 1) + " is left out: " + made.error().message);
      return true;
    }
    Comparison compared;
    if (Status status = compare(*current, **made, true, (bench.getSecondsLeft() - reserve) / 2, compared); !status)
      return status.error();
    if (compared.rounds < kFewestRounds)
      return false;
    noteTried();
    ++result.measured;
    bool isAdopted = false;
    for (const KernelChoice &choice : (*made)->getChoices()) {
      auto pick = picks.find(choice.key);
      if (pick != picks.end() && pick->second == choice.chosen && wins(choice.kernels, compared)) {
        decisions[choice.key] = choice.chosen;
        isAdopted = true;
        bench.report(choice.kernels.front() + ": " + choice.key + "=" + choice.chosen);
      }
    }
    for (const auto &[key, choice] : picks)
      states[key].isMeasured = true;
    for (auto &side : compared.times)
      for (LeastTimes &times : side)
        shares.add(times.least);
    if (!isAdopted)
      return true;
    made = make(decisions, knownSeconds);
    if (!made && isTimeUp())
      return false;
    if (Status status = take(std::move(made)); !status)
      return status.error();
    return true;
  }

  /// The worst half of one side is better than the best half of the other.
  static bool wins(const std::vector<std::string> &kernels, const Comparison &compared) {
    auto get = [&](int side, int half) { return compared.times[side][half].get(kernels); };
    double mine = std::max(get(1, 0), get(1, 1));
    return mine > 0 && mine < kGain * std::min(get(0, 0), get(0, 1));
  }

  /// As many rounds as fit into some seconds.
  Status compare(TuneCandidate &left, TuneCandidate &right, bool perKernel, double seconds, Comparison &compared) {
    double start = bench.getSecondsLeft(), budget = std::min(kSecondsOfCandidate, seconds);
    for (int round = -1; round < kMostRounds; ++round) { // -1 warms caches up
      if (round >= kFewestRounds && start - bench.getSecondsLeft() > budget)
        break;
      RunTimes times[2];
      for (TuneCandidate *side : {&left, &right}) {
        Result<RunTimes> run = side->run(perKernel);
        if (!run && bench.getSecondsLeft() <= 0)
          return {};
        if (!run)
          return run.error();
        times[side == &right] = *run;
      }
      if (round < 0)
        continue;
      for (int side : {0, 1})
        compared.times[side][round % 2].add(times[side]);
      ++compared.rounds;
      compared.won += times[1].total < times[0].total;
    }
    return {};
  }

  /// Both sides made anew, some times: where memory comes to lie makes kernels faster or slower, too.
  struct Trial {
    std::map<std::string, std::vector<double>> ratios; // of kernels' times, by their choice's key
    int pairs = 0, won = 0;
    LeastTimes times[2];
  };

  /// Of what was adopted that stays which is better in the middle of some trials, if it makes a faster run in most.
  Status confirm() {
    reserve = 0;
    Trial trial;
    Status status = tryPairs(trial, true);
    if (status && dropLosers(trial) && decisions != known) {
      trial = {};
      status = tryPairs(trial, false);
    }
    if (!status && bench.getSecondsLeft() > 0)
      return status;
    if (decisions == known)
      return {};
    result.untunedMs = trial.times[0].least.total, result.tunedMs = trial.times[1].least.total;
    bool isComplete = trial.pairs == kPairs;
    if (isComplete && trial.won * 2 > kPairs)
      return {};
    result.note = isComplete ? "what was found makes no faster run together, and is not taken"
                             : "the limit left no time to confirm what was found; give more seconds";
    for (const auto &[key, choice] : decisions)
      if (isNew(key))
        states[key].isMeasured = false; // nothing is learnt
    decisions = known;
    return {};
  }

  Status tryPairs(Trial &trial, bool perKernel) {
    bench.report("confirming " + std::to_string(decisions.size()) + " decisions");
    for (int pair = 0; pair < kPairs; ++pair) {
      // What is left is for all that may come: this trial's pairs, and another trial's without kernels.
      int pairs = kPairs - pair + (perKernel ? kPairs : 0), comparisons = pairs + (perKernel ? kPairs - pair : 0);
      double seconds = (bench.getSecondsLeft() - 2 * pairs * knownSeconds) / comparisons;
      std::unique_ptr<TuneCandidate> before;
      Comparison kernels, whole;
      if (Status status = makePair(before); !status)
        return status;
      if (perKernel)
        if (Status status = compare(*before, *current, true, seconds, kernels); !status || kernels.rounds < kFewestRounds)
          return status;
      for (const KernelChoice &choice : current->getChoices())
        if (perKernel && decisions.count(choice.key) > 0 && isNew(choice.key))
          trial.ratios[choice.key].push_back(kernels.getRatio(choice.kernels));
      if (Status status = compare(*before, *current, false, seconds, whole); !status || whole.rounds < kFewestRounds)
        return status;
      ++trial.pairs;
      trial.won += whole.getTotal(1) < whole.getTotal(0) && whole.won * 2 > whole.rounds;
      for (int side : {0, 1})
        trial.times[side].add({whole.getTotal(side)});
    }
    return {};
  }

  /// The model as it was, and as it is now, both made anew.
  Status makePair(std::unique_ptr<TuneCandidate> &before) {
    current.reset();
    Result<std::unique_ptr<TuneCandidate>> left = bench.make(known);
    if (!left)
      return left.error();
    before = *std::move(left);
    return take(bench.make(decisions));
  }

  bool isNew(const std::string &key) const {
    auto before = known.find(key);
    return before == known.end() || before->second != decisions.at(key);
  }

  /// Takes new decisions back whose kernels do not win; whether there are any.
  bool dropLosers(Trial &trial) {
    std::set<std::string> losers;
    for (auto &[key, ratios] : trial.ratios) {
      std::sort(ratios.begin(), ratios.end());
      if (ratios[ratios.size() / 2] > kGainAgain)
        losers.insert(key);
    }
    for (const std::string &key : losers) {
      bench.report(key + "=" + decisions[key] + " does not win again");
      auto before = known.find(key);
      if (before == known.end())
        decisions.erase(key);
      else
        decisions[key] = before->second;
    }
    return !losers.empty();
  }

  void storeLearnt() {
    for (const auto &[key, state] : states) {
      if (!state.isMeasured)
        continue;
      auto decision = decisions.find(key);
      bench.store(state.first, {decision == decisions.end() ? std::nullopt : std::optional(decision->second), state.isExhausted,
                               state.isExhausted ? std::set<std::string>() : state.tried});
    }
  }

  TuneBench &bench;
  TuneResult &result;
  std::unique_ptr<TuneCandidate> current;
  Decisions decisions, known;
  std::map<std::string, State> states;
  LeastTimes shares;
  double newSeconds = 0, knownSeconds = 0;
  /// Seconds that stay for confirming.
  double reserve = 0;
};

} // namespace

Result<Decisions> nacre::findDecisions(TuneBench &bench, bool measures, TuneResult &result) {
  return Tuner(bench, result).run(measures);
}
