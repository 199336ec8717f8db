// The learning rate over a training, outside of the compiled step, which takes it as an
// input:
//
//   nacre::Schedule schedule;
//   nacre::spec::Message why;
//   if (!nacre::Schedule::parse("cosine:warmup=100", schedule, why)) ...
//   schedule.setLength(steps, stepsPerEpoch);
//   float rate = schedule.at(3e-4, step);
//
// The definitions are torch.optim.lr_scheduler's, as functions of the number of the step, so
// that a training can go on anywhere; only `plateau` keeps state. Like nacre_spec.hpp it
// needs no library and no memory.
#ifndef NACRE_SCHEDULE_HPP
#define NACRE_SCHEDULE_HPP

#include "nacre_spec.hpp"

namespace nacre {

namespace detail {

inline constexpr spec::Setting kWarmup =
    spec::integer("warmup", 0, spec::kNotNegative, "steps at the start in which the rate rises to its value");
inline constexpr spec::Setting kWarmupStart =
    spec::number("warmup_start", 0, spec::kPart, "fraction of the rate that the rise begins with");
inline constexpr spec::Setting kBy = spec::choice("by", "step|epoch", "what is counted, after the warm-up");
inline constexpr spec::Setting kTotal =
    spec::integer("total", 0, spec::kNotNegative, "how long it takes (0: all of the training)");
inline constexpr spec::Setting kGamma = spec::number("gamma", 0.1, spec::kNotNegative, "what the rate is multiplied with");

inline constexpr spec::Setting kConstant[] = {kWarmup, kWarmupStart};
inline constexpr spec::Setting kStep[] = {spec::integer("step_size", 30, spec::kPositive, "how often the rate falls"),
                                          kGamma, kBy, kWarmup, kWarmupStart};
inline constexpr spec::Setting kMultiStep[] = {spec::numbers("milestones", spec::kNotNegative, "where the rate falls"),
                                               kGamma, kBy, kWarmup, kWarmupStart};
inline constexpr spec::Setting kExponential[] = {
    spec::number("gamma", 0.95, spec::kNotNegative, "what the rate is multiplied with each time"), kBy, kWarmup,
    kWarmupStart};
inline constexpr spec::Setting kPolynomial[] = {kTotal, spec::number("power", 1, spec::kPositive, "of what is left"),
                                                kBy, kWarmup, kWarmupStart};
inline constexpr spec::Setting kCosine[] = {kTotal, spec::number("min_lr", 0, spec::kNotNegative, "the rate at the end"),
                                            kBy, kWarmup, kWarmupStart};
inline constexpr spec::Setting kRestarts[] = {
    spec::integer("period", 10, spec::kPositive, "length of the first cosine (PyTorch's T_0)"),
    spec::integer("factor", 1, {1, 1e9, "from 1 up"}, "how much longer each is than the one before (T_mult)"),
    spec::number("min_lr", 0, spec::kNotNegative, "the rate before a restart"), kBy, kWarmup, kWarmupStart};
inline constexpr spec::Setting kOneCycle[] = {
    kTotal, spec::number("pct_start", 0.3, spec::kPart, "part in which the rate rises"),
    spec::choice("anneal", "cos|linear", "how it rises and falls"),
    spec::number("div_factor", 25, spec::kPositive, "it begins with lr / div_factor"),
    spec::number("final_div_factor", 1e4, spec::kPositive, "it ends with the first rate / final_div_factor"),
    spec::flag("three_phase", "falls to the first rate as it rose, then to the last"), kBy};
inline constexpr spec::Setting kPlateau[] = {
    spec::number("factor", 0.1, spec::kBelowOne, "what the rate is multiplied with"),
    spec::integer("patience", 10, spec::kNotNegative, "epochs without progress that are borne"),
    spec::number("threshold", 1e-4, spec::kNotNegative, "what counts as progress"),
    spec::choice("threshold_mode", "rel|abs", "relative to the best, or a difference"),
    spec::choice("mode", "min|max", "whether less is better"),
    spec::integer("cooldown", 0, spec::kNotNegative, "epochs after a reduction that are not counted"),
    spec::number("min_lr", 0, spec::kNotNegative, "the least rate"),
    spec::number("eps", 1e-8, spec::kNotNegative, "a smaller change of the rate is not made"), kWarmup, kWarmupStart};

template <size_t N>
constexpr spec::Entry scheduleEntry(spec::Text name, const spec::Setting (&settings)[N], spec::Text about) {
  return {name, settings, N, about};
}

inline constexpr spec::Entry kSchedules[] = {
    scheduleEntry("constant", kConstant, "the rate stays"),
    scheduleEntry("step", kStep, "falls after every step_size steps"),
    scheduleEntry("multi-step", kMultiStep, "falls at milestones"),
    scheduleEntry("exponential", kExponential, "falls by a factor each time"),
    scheduleEntry("polynomial", kPolynomial, "falls to 0 by a power of what is left"),
    scheduleEntry("cosine", kCosine, "falls along half a cosine"),
    scheduleEntry("cosine-restarts", kRestarts, "falls along cosines, again and again"),
    scheduleEntry("one-cycle", kOneCycle, "rises to lr, and falls far below"),
    scheduleEntry("plateau", kPlateau, "falls when the loss of an epoch no longer does"),
};

} // namespace detail

class Schedule {
public:
  // "cosine:warmup=100"; false after a message.
  static bool parse(spec::Text text, Schedule &schedule, spec::Message &message) {
    schedule = {};
    if (!spec::parse(text, detail::kSchedules, "schedule", schedule.request, message))
      return false;
    if (schedule.is("multi-step") && !schedule.request.isSet("milestones")) {
      message << "schedule 'multi-step' needs milestones=A/B/...";
      return false;
    }
    return true;
  }

  // A line for each schedule and each of its settings; `print` takes pieces of text.
  template <typename Print> static void describe(Print print) { spec::describe(detail::kSchedules, print); }

  // How many steps the training has in all, and in an epoch.
  void setLength(int64_t all, int64_t perEpoch) {
    steps = all;
    epochSteps = perEpoch < 1 ? 1 : perEpoch;
  }

  // The rate of a step, from 0; `rate` is the optimiser's.
  double at(double rate, int64_t step) const {
    if (!request.entry)
      return rate;
    int64_t warmup = request.has("warmup") ? int64_t(request["warmup"]) : 0;
    if (step < warmup) {
      double start = request["warmup_start"];
      return rate * (start + (1 - start) * double(step) / double(warmup));
    }
    int64_t t = step - warmup, length = steps - warmup;
    if (request.has("by") && request.is("by", "epoch")) {
      t /= epochSteps;
      length = (length + epochSteps - 1) / epochSteps;
    }
    if (request.has("total") && request["total"] > 0)
      length = int64_t(request["total"]);
    return evaluate(rate, double(t), double(length < 1 ? 1 : length));
  }

  // Tells `plateau` how good an epoch was; `rate` is the optimiser's. PyTorch's
  // ReduceLROnPlateau.step.
  void observe(double rate, double metric) {
    if (!is("plateau"))
      return;
    double threshold = request["threshold"];
    bool isLess = request.is("mode", "min"), isRelative = request.is("threshold_mode", "rel");
    double margin = isRelative ? state.best * threshold : threshold;
    // Infinity is worse than anything.
    bool isBetter = !state.hasBest || (isLess ? metric < state.best - margin : metric > state.best + margin);
    if (isBetter) {
      state.best = metric;
      state.hasBest = true;
      state.bad = 0;
    } else {
      ++state.bad;
    }
    if (state.cooldown > 0) {
      --state.cooldown;
      state.bad = 0;
    }
    if (state.bad <= int64_t(request["patience"]))
      return;
    double old = rate * state.reduction, least = request["min_lr"], reduced = old * request["factor"];
    reduced = reduced < least ? least : reduced;
    if (old - reduced > request["eps"])
      state.reduction = reduced / rate;
    state.cooldown = int64_t(request["cooldown"]);
    state.bad = 0;
  }

  // What `plateau` has seen; others have no state. Setting it goes on where another schedule was.
  struct State {
    double best = 0, reduction = 1;
    bool hasBest = false;
    int64_t bad = 0, cooldown = 0;
  };
  const State &getState() const { return state; }
  void setState(const State &other) { state = other; }

private:
  bool is(spec::Text name) const { return request.entry && request.entry->name == name; }

  static double cosine(double from, double to, double part) {
    return to + (from - to) / 2 * (1 + std::cos(3.14159265358979323846 * part));
  }

  double evaluate(double rate, double t, double length) const {
    if (is("step"))
      return rate * std::pow(request["gamma"], std::floor(t / request["step_size"]));
    if (is("multi-step")) {
      double passed = 0;
      request.forEachNumber("milestones", [&](double milestone) { passed += t >= milestone; });
      return rate * std::pow(request["gamma"], passed);
    }
    if (is("exponential"))
      return rate * std::pow(request["gamma"], t);
    if (is("polynomial"))
      return t >= length ? 0 : rate * std::pow(1 - t / length, request["power"]);
    if (is("cosine"))
      return cosine(rate, request["min_lr"], t >= length ? 1 : t / length);
    if (is("cosine-restarts")) {
      double period = request["period"], factor = request["factor"];
      if (factor == 1)
        return cosine(rate, request["min_lr"], std::fmod(t, period) / period);
      for (; t >= period; period *= factor)
        t -= period;
      return cosine(rate, request["min_lr"], t / period);
    }
    if (is("one-cycle"))
      return oneCycle(rate, t, length);
    return rate * state.reduction;
  }

  double oneCycle(double rate, double t, double length) const {
    double first = rate / request["div_factor"], last = first / request["final_div_factor"];
    double rise = request["pct_start"] * length - 1;
    struct {
      double end, from, to;
    } phases[3] = {{rise, first, rate}, {length - 1, rate, last}, {length - 1, rate, last}};
    int count = 2;
    if (request["three_phase"] != 0) {
      phases[1] = {2 * request["pct_start"] * length - 2, rate, first};
      phases[2] = {length - 1, first, last};
      count = 3;
    }
    double start = 0;
    for (int i = 0; i < count; ++i) {
      if (t <= phases[i].end || i + 1 == count) {
        double span = phases[i].end - start, part = span > 0 ? (t - start) / span : 1;
        part = part > 1 ? 1 : part;
        return request.is("anneal", "cos") ? cosine(phases[i].from, phases[i].to, part)
                                           : phases[i].from + (phases[i].to - phases[i].from) * part;
      }
      start = phases[i].end;
    }
    return last;
  }

  spec::Request request;
  int64_t steps = 1, epochSteps = 1;
  State state;
};

} // namespace nacre

#endif // NACRE_SCHEDULE_HPP
