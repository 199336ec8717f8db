//===- Optimizers.cpp - What there is to train with -------------*- C++ -*-===//
//
// PyTorch's definitions and defaults where PyTorch has the optimiser; LAMB and Lion are
// those of their papers. All are ordinary element-wise ops and reductions.
//
//===----------------------------------------------------------------------===//
#include "compiler/train/Optimizers.h"

using namespace nacre;
using namespace nacre::train;
using namespace nacre::spec;
using nn::TensorExpr;

namespace {

constexpr Text kEpsilon = "added to what is divided by";
constexpr Text kDecay = "fraction of the parameter added to its gradient";
constexpr Text kDecoupled = "fraction of the parameter, times the rate, taken off it";
constexpr Setting lr(double value) { return number("lr", value, kNotNegative, "learning rate at the start"); }
constexpr Setting beta1(double value) { return number("beta1", value, kBelowOne, "decay of the gradient's average"); }
constexpr Setting beta2(double value) { return number("beta2", value, kBelowOne, "decay of its square's average"); }
constexpr Setting eps(double value) { return number("eps", value, kNotNegative, kEpsilon); }

constexpr Setting kSgd[] = {lr(1e-3), number("momentum", 0, kNotNegative, "part of the last step that is made again"),
                            number("dampening", 0, kAny, "part of the gradient left out of the momentum"),
                            number("weight_decay", 0, kNotNegative, kDecay), flag("nesterov", "looks ahead by a step"),
                            flag("decoupled_weight_decay", "decays the parameter, not its gradient")};
constexpr Setting kAdam[] = {lr(1e-3),  beta1(0.9), beta2(0.999), eps(1e-8), number("weight_decay", 0, kNotNegative, kDecay),
                             flag("amsgrad", "divides by the largest average so far")};
constexpr Setting kAdamW[] = {lr(1e-3), beta1(0.9), beta2(0.999), eps(1e-8),
                              number("weight_decay", 1e-2, kNotNegative, kDecoupled),
                              flag("amsgrad", "divides by the largest average so far")};
constexpr Setting kAmsGrad[] = {lr(1e-3), beta1(0.9), beta2(0.999), eps(1e-8),
                                number("weight_decay", 0, kNotNegative, kDecay)};
constexpr Setting kRmsProp[] = {lr(1e-2), number("alpha", 0.99, kPart, "decay of the square's average"), eps(1e-8),
                                number("weight_decay", 0, kNotNegative, kDecay),
                                number("momentum", 0, kNotNegative, "part of the last step that is made again"),
                                flag("centered", "divides by the deviation from the average")};
constexpr Setting kAdagrad[] = {lr(1e-2), number("lr_decay", 0, kNotNegative, "rate / (1 + lr_decay * steps)"),
                                number("weight_decay", 0, kNotNegative, kDecay),
                                number("initial_accumulator_value", 0, kNotNegative, "what the sum of squares begins with"),
                                eps(1e-10)};
constexpr Setting kAdadelta[] = {lr(1), number("rho", 0.9, kPart, "decay of both averages"), eps(1e-6),
                                 number("weight_decay", 0, kNotNegative, kDecay)};
constexpr Setting kAdamax[] = {lr(2e-3), beta1(0.9), beta2(0.999), eps(1e-8),
                               number("weight_decay", 0, kNotNegative, kDecay)};
constexpr Setting kNAdam[] = {lr(2e-3), beta1(0.9), beta2(0.999), eps(1e-8), number("weight_decay", 0, kNotNegative, kDecay),
                              number("momentum_decay", 4e-3, kNotNegative, "how fast the momentum nears beta1"),
                              flag("decoupled_weight_decay", "decays the parameter, not its gradient")};
constexpr Setting kLamb[] = {lr(1e-3), beta1(0.9), beta2(0.999), eps(1e-6),
                             number("weight_decay", 0, kNotNegative, "fraction of the parameter added to its step")};
constexpr Setting kLion[] = {lr(1e-4), beta1(0.9), number("beta2", 0.99, kBelowOne, "decay of the momentum"),
                             number("weight_decay", 0, kNotNegative, kDecoupled)};

TensorExpr lerp(TensorExpr from, TensorExpr to, double part) { return from + (to - from) * part; }
/// 1 - decay^t: what an average that began at 0 is too small by.
TensorExpr bias(Update &u, double decay) { return 1.0 - pow(u.rate.constant(decay), u.count()); }

/// The gradient and the parameter with weight decay in one or the other.
struct Decayed {
  TensorExpr value, gradient;
};
Decayed decay(Update &u, bool isDecoupled) {
  double part = u["weight_decay"];
  if (part == 0)
    return {u.value, u.gradient};
  if (isDecoupled)
    return {u.value * u.narrow(1.0 - u.rate * part), u.gradient};
  return {u.value, u.gradient + u.value * part};
}

TensorExpr updateSgd(Update &u) {
  auto [value, step] = decay(u, u.isOn("decoupled_weight_decay"));
  if (double momentum = u["momentum"]; momentum != 0) {
    TensorExpr old = u.get("momentum"), buffer = old * momentum;
    if (double dampening = u["dampening"]; dampening != 0)
      buffer = where(u.count() == 1, step, buffer + step * (1 - dampening)); // the first is not dampened
    else
      buffer = buffer + step;
    u.set("momentum", buffer);
    step = u.isOn("nesterov") ? step + buffer * momentum : buffer;
  }
  return value - step * u.narrow(u.rate);
}

/// Averages of the gradient and of its square.
struct Moments {
  TensorExpr first, second;
};
Moments moveMoments(Update &u, TensorExpr gradient) {
  TensorExpr first = lerp(u.get("exp_avg"), gradient, 1 - u["beta1"]);
  TensorExpr second = u.get("exp_avg_sq") * u["beta2"] + gradient * gradient * (1 - u["beta2"]);
  u.set("exp_avg", first);
  u.set("exp_avg_sq", second);
  return {first, second};
}

TensorExpr makeAdam(Update &u, bool isDecoupled, bool isAmsGrad) {
  auto [value, gradient] = decay(u, isDecoupled);
  auto [first, second] = moveMoments(u, gradient);
  if (isAmsGrad) {
    second = max(u.get("max_exp_avg_sq"), second);
    u.set("max_exp_avg_sq", second);
  }
  // A division for each element is worth as much as all sums and products of its update.
  TensorExpr deviation = sqrt(bias(u, u["beta2"])), scale = sqrt(second) * u.narrow(deviation.constant(1) / deviation) + u["eps"];
  return value - first / scale * u.narrow(u.rate / bias(u, u["beta1"]));
}
TensorExpr updateAdam(Update &u) { return makeAdam(u, false, u.isOn("amsgrad")); }
TensorExpr updateAdamW(Update &u) { return makeAdam(u, true, u.isOn("amsgrad")); }
TensorExpr updateAmsGrad(Update &u) { return makeAdam(u, false, true); }

TensorExpr updateRmsProp(Update &u) {
  auto [value, gradient] = decay(u, false);
  double alpha = u["alpha"];
  TensorExpr square = u.get("square_avg") * alpha + gradient * gradient * (1 - alpha), variance = square;
  u.set("square_avg", square);
  if (u.isOn("centered")) {
    TensorExpr average = lerp(u.get("grad_avg"), gradient, 1 - alpha);
    u.set("grad_avg", average);
    variance = square - average * average;
  }
  TensorExpr step = gradient / (sqrt(variance) + u["eps"]);
  if (double momentum = u["momentum"]; momentum != 0) {
    step = u.get("momentum") * momentum + step;
    u.set("momentum", step);
  }
  return value - step * u.narrow(u.rate);
}

TensorExpr updateAdagrad(Update &u) {
  auto [value, gradient] = decay(u, false);
  TensorExpr sum = u.get("sum", u["initial_accumulator_value"]) + gradient * gradient, rate = u.rate;
  u.set("sum", sum);
  if (double decay = u["lr_decay"]; decay != 0)
    rate = rate / ((u.count() - 1) * decay + 1);
  return value - gradient / (sqrt(sum) + u["eps"]) * u.narrow(rate);
}

TensorExpr updateAdadelta(Update &u) {
  auto [value, gradient] = decay(u, false);
  double rho = u["rho"], epsilon = u["eps"];
  TensorExpr square = u.get("square_avg") * rho + gradient * gradient * (1 - rho), old = u.get("acc_delta");
  TensorExpr step = sqrt(old + epsilon) / sqrt(square + epsilon) * gradient;
  u.set("square_avg", square);
  u.set("acc_delta", old * rho + step * step * (1 - rho));
  return value - step * u.narrow(u.rate);
}

TensorExpr updateAdamax(Update &u) {
  auto [value, gradient] = decay(u, false);
  TensorExpr first = lerp(u.get("exp_avg"), gradient, 1 - u["beta1"]);
  TensorExpr largest = max(u.get("exp_inf") * u["beta2"], abs(gradient) + u["eps"]);
  u.set("exp_avg", first);
  u.set("exp_inf", largest);
  return value - first / largest * u.narrow(u.rate / bias(u, u["beta1"]));
}

TensorExpr updateNAdam(Update &u) {
  auto [value, gradient] = decay(u, u.isOn("decoupled_weight_decay"));
  auto [first, second] = moveMoments(u, gradient);
  auto momentum = [&](TensorExpr t) {
    return (1.0 - pow(t.constant(0.96), t * u["momentum_decay"]) * 0.5) * u["beta1"];
  };
  TensorExpr now = momentum(u.count()), next = momentum(u.count() + 1), product = u.getShared("mu_product", 1) * now;
  u.setShared("mu_product", product);
  TensorExpr scale = sqrt(second / u.narrow(bias(u, u["beta2"]))) + u["eps"];
  TensorExpr moved = value - gradient / scale * u.narrow(u.rate * (1.0 - now) / (1.0 - product));
  return moved - first / scale * u.narrow(u.rate * next / (1.0 - product * next));
}

TensorExpr updateLamb(Update &u) {
  auto [first, second] = moveMoments(u, u.gradient);
  TensorExpr scale = sqrt(second / u.narrow(bias(u, u["beta2"]))) + u["eps"];
  TensorExpr step = first / u.narrow(bias(u, u["beta1"])) / scale;
  if (double part = u["weight_decay"]; part != 0)
    step = step + u.value * part;
  // The trust ratio: 1 where a norm is 0.
  TensorExpr norm = sqrt(sumAll(u.value * u.value)), length = sqrt(sumAll(step * step)), one = norm.constant(1);
  TensorExpr ratio = where(norm > 0.0, where(length > 0.0, norm / length, one), one);
  return u.value - step * (ratio * u.narrow(u.rate));
}

TensorExpr updateLion(Update &u) {
  auto [value, gradient] = decay(u, true);
  TensorExpr old = u.get("exp_avg"), step = sign(old * u["beta1"] + gradient * (1 - u["beta1"]));
  u.set("exp_avg", old * u["beta2"] + gradient * (1 - u["beta2"]));
  return value - step * u.narrow(u.rate);
}

template <size_t N> constexpr Entry entry(Text name, const Setting (&settings)[N], Text about) {
  static_assert(N <= size_t(Request::kMost));
  return {name, settings, N, about};
}

constexpr Entry kOptimizers[] = {
    entry("sgd", kSgd, "stochastic gradient descent"),
    entry("adam", kAdam, "by averages of gradient and square"),
    entry("adamw", kAdamW, "adam with decoupled weight decay"),
    entry("amsgrad", kAmsGrad, "adam that divides by the largest average"),
    entry("rmsprop", kRmsProp, "by the root of the square's average"),
    entry("adagrad", kAdagrad, "by the root of the sum of squares"),
    entry("adadelta", kAdadelta, "by averages of squares and of steps"),
    entry("adamax", kAdamax, "adam with the largest gradient instead of the square"),
    entry("nadam", kNAdam, "adam with Nesterov's momentum"),
    entry("lamb", kLamb, "adam whose step is as long as the parameter"),
    entry("lion", kLion, "by the sign of the momentum"),
};
constexpr TensorExpr (*kBuilders[])(Update &) = {
    updateSgd,      updateAdam,   updateAdamW, updateAmsGrad, updateRmsProp, updateAdagrad,
    updateAdadelta, updateAdamax, updateNAdam, updateLamb,    updateLion,
};
static_assert(std::size(kOptimizers) == std::size(kBuilders));

} // namespace

bool train::parseOptimizer(Text text, Request &request, Message &message) {
  if (!parse(text, kOptimizers, "optimizer", request, message))
    return false;
  if (request.has("nesterov") && request["nesterov"] != 0 && (request["momentum"] == 0 || request["dampening"] != 0)) {
    message << "optimizer 'sgd': nesterov needs a momentum, and no dampening";
    return false;
  }
  return true;
}

std::string train::describeOptimizers() {
  std::string text;
  describe(kOptimizers, [&](Text part) { text += part; });
  return text;
}

TensorExpr train::buildUpdate(Update &update) {
  return kBuilders[update.settings.entry - kOptimizers](update);
}
