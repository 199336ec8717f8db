#include "compiler/api/Tuner.h"
#include <gtest/gtest.h>

using namespace nacre;

namespace {

/// A kernel of a model that does not exist: what it takes by its tile, and the tiles around each.
struct FakeKernel {
  std::string key, chosen;
  std::map<std::string, double> ms; // by the tile
  std::string name = key;
};

/// Time is what runs and compilations take; both sides of a comparison see the same noise, but for `jitter`.
class FakeBench : public TuneBench {
public:
  explicit FakeBench(double seconds) : left(seconds) {}

  class Candidate : public TuneCandidate {
  public:
    Candidate(FakeBench &bench, const Decisions &decisions) : bench(bench) {
      for (const FakeKernel &kernel : bench.kernels) {
        auto decision = decisions.find(kernel.key);
        KernelChoice choice{kernel.key, decision == decisions.end() ? kernel.chosen : decision->second, {}, false, {kernel.name}};
        for (const auto &[tile, ms] : kernel.ms)
          if (tile != choice.chosen)
            choice.others.push_back(tile);
        choices.push_back(choice);
        times[kernel.name] = kernel.ms.at(choice.chosen);
      }
      ++bench.made;
    }
    const std::vector<KernelChoice> &getChoices() const override { return choices; }
    Result<RunTimes> run(bool perKernel) override {
      if (bench.left <= 0 && bench.runs > 0)
        return Error{NACRE_CANCELLED, "the limit"};
      RunTimes result{bench.overhead};
      bool isTuned = choices.front().chosen != bench.kernels.front().chosen;
      for (auto [name, ms] : times) {
        double now = ms * (1 + bench.jitter * double(bench.runs % 3));
        result.total += now + (isTuned ? bench.togetherMs : 0);
        if (perKernel)
          result.kernels[name] = now;
      }
      ++bench.runs;
      bench.left -= result.total / 1e3;
      return result;
    }

  private:
    FakeBench &bench;
    std::vector<KernelChoice> choices;
    std::map<std::string, double> times;
  };

  Result<std::unique_ptr<TuneCandidate>> make(const Decisions &decisions) override {
    left -= makeSeconds;
    return std::unique_ptr<TuneCandidate>(std::make_unique<Candidate>(*this, decisions));
  }
  double getSecondsLeft() override { return left; }
  std::optional<LearntChoice> find(const KernelChoice &choice) override {
    auto found = learnt.find(choice.key);
    return found == learnt.end() ? std::nullopt : std::optional(found->second);
  }
  void store(const KernelChoice &choice, const LearntChoice &value) override { learnt[choice.key] = value; }
  void report(const std::string &) override {}

  std::vector<FakeKernel> kernels;
  std::map<std::string, LearntChoice> learnt;
  double left, makeSeconds = 0.5, overhead = 0.1, jitter = 0, togetherMs = 0;
  int made = 0, runs = 0;
};

Decisions find(FakeBench &bench, TuneResult &result, bool measures = true) {
  Result<Decisions> found = findDecisions(bench, measures, result);
  EXPECT_TRUE(bool(found));
  return found ? *found : Decisions();
}

const FakeKernel kBetterIs8 = {"a", "4", {{"2", 3}, {"4", 2}, {"8", 1}, {"16", 1.5}}};
const FakeKernel kBestAlready = {"b", "4", {{"2", 3}, {"4", 1}, {"8", 1.5}}};

TEST(TunerTest, TakesWhatIsBetterOfEachKernel) {
  FakeBench bench(60);
  bench.kernels = {kBetterIs8, kBestAlready};
  TuneResult result;
  EXPECT_EQ(find(bench, result), (Decisions{{"a", "8"}}));
  EXPECT_EQ(result.choices, 2);
  EXPECT_EQ(result.known, 0);
  EXPECT_EQ(result.changed, 1);
  EXPECT_EQ(result.note, "");
  EXPECT_LT(result.tunedMs, result.untunedMs);
  EXPECT_EQ(bench.learnt.at("a").decision, "8");
  EXPECT_TRUE(bench.learnt.at("a").isExhausted);
  EXPECT_EQ(bench.learnt.at("b").decision, std::nullopt);
  EXPECT_TRUE(bench.learnt.at("b").isExhausted);
  // What is known is not measured again, with or without a limit.
  for (bool measures : {false, true}) {
    FakeBench next(measures ? 60 : 0);
    next.kernels = bench.kernels;
    next.learnt = bench.learnt;
    TuneResult again;
    EXPECT_EQ(find(next, again, measures), (Decisions{{"a", "8"}}));
    EXPECT_EQ(again.known, 2);
    EXPECT_EQ(again.measured, 0);
    EXPECT_EQ(next.made, 2);
  }
}

TEST(TunerTest, NothingIsMeasuredWithoutALimit) {
  FakeBench bench(0);
  bench.kernels = {kBetterIs8};
  TuneResult result;
  EXPECT_EQ(find(bench, result, false), Decisions());
  EXPECT_EQ(bench.runs, 0);
  EXPECT_TRUE(bench.learnt.empty());
}

TEST(TunerTest, NoiseIsNoGain) {
  FakeBench bench(60);
  bench.jitter = 0.2; // runs differ by more than the tiles do
  bench.kernels = {{"a", "4", {{"4", 1}, {"8", 0.98}}}};
  TuneResult result;
  EXPECT_EQ(find(bench, result), Decisions());
  EXPECT_EQ(result.measured, 1);
  EXPECT_TRUE(bench.learnt.at("a").isExhausted);
}

TEST(TunerTest, FallsBackIfTheWholeIsNotFaster) {
  FakeBench bench(60);
  bench.togetherMs = 2; // what no kernel's own time shows
  bench.kernels = {kBetterIs8, kBestAlready};
  TuneResult result;
  EXPECT_EQ(find(bench, result), Decisions());
  EXPECT_NE(result.note.find("no faster run together"), std::string::npos);
  EXPECT_GE(result.tunedMs, result.untunedMs);
  EXPECT_EQ(bench.learnt.count("a"), 0u); // it may be worth another trial
}

TEST(TunerTest, SmallKernelsAreLeftAlone) {
  FakeBench bench(60);
  bench.overhead = 10000;
  bench.left = 1e6;
  bench.kernels = {kBetterIs8};
  TuneResult result;
  EXPECT_EQ(find(bench, result), Decisions());
  EXPECT_EQ(result.measured, 0);
  EXPECT_EQ(result.note, "");
}

TEST(TunerTest, TheLimitIsKept) {
  // No time for a candidate: the first run is made, and a message.
  FakeBench bench(0.4);
  bench.kernels = {kBetterIs8};
  TuneResult result;
  EXPECT_EQ(find(bench, result), Decisions());
  EXPECT_GE(bench.runs, 1);
  EXPECT_EQ(result.measured, 0);
  EXPECT_NE(result.note.find("no time to measure a candidate"), std::string::npos);
  EXPECT_TRUE(bench.learnt.empty());
  // Time for some: it ends with what was found, and goes on from there the next time.
  FakeBench some(13);
  some.kernels = {{"a", "1", {{"1", 9}, {"2", 8}, {"3", 7}, {"4", 6}, {"5", 5}, {"6", 4}, {"7", 3}}}};
  TuneResult first;
  Decisions found = find(some, first);
  EXPECT_GE(some.left, -0.5);
  EXPECT_GE(first.measured, 1);
  EXPECT_NE(first.note.find("more seconds go on from here"), std::string::npos);
  ASSERT_EQ(found.count("a"), 1u);
  EXPECT_NE(found.at("a"), "7");
  EXPECT_FALSE(some.learnt.at("a").isExhausted);
  EXPECT_EQ(int64_t(some.learnt.at("a").tried.size()), first.measured);
  some.left = 60;
  TuneResult second;
  EXPECT_EQ(find(some, second), (Decisions{{"a", "7"}}));
  EXPECT_EQ(second.known, 1);
  EXPECT_EQ(first.measured + second.measured, 6); // none twice
}

TEST(TunerTest, TilesGoWithTheirAlgorithm) {
  /// A kernel "a" whose decision makes of a kernel "b" one that has other tiles.
  class Algorithms : public FakeBench {
  public:
    using FakeBench::FakeBench;
    Result<std::unique_ptr<TuneCandidate>> make(const Decisions &decisions) override {
      auto found = decisions.find("a");
      bool isOther = found != decisions.end() && found->second == "2";
      kernels = {{"a", "1", {{"1", 4}, {"2", 2}}}};
      kernels.push_back(isOther ? FakeKernel{"c", "4", {{"4", 2}, {"8", 1}}, "b"} : FakeKernel{"b", "4", {{"4", 2}, {"5", 1.9}, {"6", 1}}});
      return FakeBench::make(decisions);
    }
  };
  Algorithms bench(600);
  TuneResult result;
  EXPECT_EQ(find(bench, result), (Decisions{{"a", "2"}, {"c", "8"}}));
  EXPECT_EQ(bench.learnt.at("a").decision, "2");
  EXPECT_EQ(bench.learnt.at("c").decision, "8");
  bench.left = 600;
  TuneResult again;
  EXPECT_EQ(find(bench, again), (Decisions{{"a", "2"}, {"c", "8"}}));
  EXPECT_EQ(again.measured, 0);
}

TEST(TunerTest, WhatDoesNotWinAgainIsTakenBack) {
  /// After some runs nothing is better any more.
  class Lucky : public FakeBench {
  public:
    using FakeBench::FakeBench;
    Result<std::unique_ptr<TuneCandidate>> make(const Decisions &decisions) override {
      if (made >= 4) // the model's, a candidate, what won; then it is confirmed
        kernels.front().ms["8"] = 2;
      return FakeBench::make(decisions);
    }
  };
  Lucky bench(60);
  bench.kernels = {{"a", "4", {{"4", 2}, {"8", 1}}}, {"b", "4", {{"4", 2}, {"6", 2}, {"8", 1}}}};
  TuneResult result;
  EXPECT_EQ(find(bench, result), (Decisions{{"b", "8"}}));
  EXPECT_EQ(result.changed, 1);
  EXPECT_EQ(bench.learnt.at("a").decision, std::nullopt);
}

TEST(TunerTest, CandidatesThatFailAreLeftOut) {
  class Failing : public FakeBench {
  public:
    using FakeBench::FakeBench;
    Result<std::unique_ptr<TuneCandidate>> make(const Decisions &decisions) override {
      auto found = decisions.find("a");
      if (found != decisions.end() && found->second == "2")
        return Error{status, "cannot be tiled"};
      return FakeBench::make(decisions);
    }
    nacre_status status = NACRE_INTERNAL;
  };
  Failing bench(60);
  bench.kernels = {kBetterIs8};
  TuneResult result;
  EXPECT_EQ(find(bench, result), (Decisions{{"a", "8"}}));
  // But a host that cancels is listened to.
  Failing cancelled(60);
  cancelled.kernels = {kBetterIs8};
  cancelled.status = NACRE_CANCELLED;
  TuneResult none;
  Result<Decisions> found = findDecisions(cancelled, true, none);
  ASSERT_FALSE(bool(found));
  EXPECT_EQ(found.error().status, NACRE_CANCELLED);
  EXPECT_TRUE(cancelled.learnt.empty());
}

TEST(TunerTest, WhatIsNoDecisionAboutTheModelIsDropped) {
  /// A bench whose pass does not take what was kept.
  class Stubborn : public FakeBench {
  public:
    using FakeBench::FakeBench;
    Result<std::unique_ptr<TuneCandidate>> make(const Decisions &) override { return FakeBench::make({}); }
  };
  Stubborn bench(0);
  bench.kernels = {kBetterIs8};
  bench.learnt["a"] = {"999", true};
  TuneResult result;
  EXPECT_EQ(find(bench, result, false), Decisions());
}

} // namespace
