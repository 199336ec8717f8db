//===- ElementLosses.cpp - Losses of outputs and targets of one shape *- C++ -*-===//
//
// PyTorch's definitions and defaults where PyTorch has the loss.
//
//===----------------------------------------------------------------------===//
#include "compiler/train/Loss.h"
#include "llvm/ADT/Sequence.h"

using namespace mlir;
using namespace nacre;
using namespace nacre::train;
using namespace nacre::spec;
using nn::TensorExpr;

namespace {

/// A loss of each element of one output, and its target.
template <typename Formula> FailureOr<Value> buildElements(Loss &l, StringRef what, Formula formula) {
  if (failed(l.takeOutputs(1, what)))
    return failure();
  FailureOr<TensorExpr> targets = l.addTargets();
  if (failed(targets))
    return failure();
  return l.reduce(formula(l.outputs[0], *targets)).get();
}

constexpr Setting kBce[] = {numbers("pos_weight", kNotNegative, "weights of positives, along the last dimension"),
                            kReduction, kTarget};

FailureOr<Value> buildBce(Loss &l) {
  if (failed(l.takeOutputs(1, "floating-point logits")))
    return failure();
  RankedTensorType type = l.outputs[0].getType();
  FailureOr<TensorExpr> targets = l.addTargets();
  int64_t last = type.getRank() ? type.getDimSize(type.getRank() - 1) : 1;
  unsigned given = 0;
  l.settings.forEachNumber("pos_weight", [&](double) { ++given; });
  FailureOr<Value> weights = l.getWeights("pos_weight", given == 1 || ShapedType::isDynamic(last) ? -1 : last);
  if (failed(targets) || failed(weights))
    return failure();
  TensorExpr x = l.outputs[0], t = *targets, factor = t.constant(1);
  if (*weights && given == 1)
    factor = t * (x.with(nn::reshapeTo(l.b, *weights, {})) - 1) + 1;
  else if (*weights)
    factor = t * (x.with(*weights) - 1) + 1;
  return l.reduce((1.0 - t) * x + factor * softplus(-x)).get();
}

constexpr Setting kPlain[] = {kReduction, kTarget};

FailureOr<Value> buildMse(Loss &l) {
  return buildElements(l, "floating-point numbers", [](TensorExpr x, TensorExpr t) { return square(x - t); });
}

FailureOr<Value> buildMae(Loss &l) {
  return buildElements(l, "floating-point numbers", [](TensorExpr x, TensorExpr t) { return abs(x - t); });
}

/// x^2 / 2 up to `width`, then `width * (x - width / 2)`.
TensorExpr makeHuber(TensorExpr difference, double width) {
  TensorExpr size = abs(difference);
  return where(size < width, square(difference) * 0.5, (size - 0.5 * width) * width);
}

constexpr Setting kHuber[] = {number("delta", 1, kPositive, "where it goes on straight"), kReduction, kTarget};
FailureOr<Value> buildHuber(Loss &l) {
  return buildElements(l, "floating-point numbers",
                       [&](TensorExpr x, TensorExpr t) { return makeHuber(x - t, l["delta"]); });
}

constexpr Setting kSmoothL1[] = {number("beta", 1, kNotNegative, "where it goes on straight"), kReduction, kTarget};
FailureOr<Value> buildSmoothL1(Loss &l) {
  double beta = l["beta"];
  return buildElements(l, "floating-point numbers", [&](TensorExpr x, TensorExpr t) {
    return beta == 0 ? abs(x - t) : makeHuber(x - t, beta) / beta;
  });
}

constexpr Setting kKl[] = {choice("reduction", "mean|sum|batchmean", "batchmean divides by the samples alone"),
                           flag("log_target", "targets are log-probabilities"), kTarget};
FailureOr<Value> buildKl(Loss &l) {
  bool isLog = l.isOn("log_target"), isBatch = l.settings.is("reduction", "batchmean");
  if (failed(l.takeOutputs(1, "log-probabilities")))
    return failure();
  RankedTensorType type = l.outputs[0].getType();
  if (isBatch && type.getRank() == 0)
    return l.refuse("samples to divide by");
  FailureOr<TensorExpr> targets = l.addTargets();
  if (failed(targets))
    return failure();
  TensorExpr x = l.outputs[0], t = *targets, losses = x;
  if (isLog) {
    losses = exp(t) * (t - x);
  } else {
    // 0 log 0 is 0.
    Value isZero = t == 0.0;
    losses = t * (where(isZero, t.constant(0), log(where(isZero, t.constant(1), t))) - x);
  }
  if (!isBatch)
    return l.reduce(losses).get();
  auto others = llvm::to_vector(llvm::seq<int64_t>(1, type.getRank()));
  return meanAll(others.empty() ? losses : sumOver(losses, others)).get();
}

constexpr Setting kHinge[] = {number("margin", 1, kAny, "what target times output should reach"), kReduction, kTarget};
FailureOr<Value> buildHinge(Loss &l) {
  return buildElements(l, "floating-point scores",
                       [&](TensorExpr x, TensorExpr t) { return relu(l["margin"] - x * t); });
}
FailureOr<Value> buildHingeEmbedding(Loss &l) {
  return buildElements(l, "floating-point distances", [&](TensorExpr x, TensorExpr t) {
    TensorExpr zero = x.constant(0);
    return where(t == 1.0, zero, relu(l["margin"] - x)) + where(t == -1.0, zero, x);
  });
}

constexpr Setting kDice[] = {number("smooth", 1, kNotNegative, "added above and below"),
                             flag("logits", "the output goes through a sigmoid first"), kReduction, kTarget};
FailureOr<Value> buildDice(Loss &l) {
  constexpr StringLiteral expected = "probabilities [N, D] or [N, C, D...]";
  if (failed(l.takeOutputs(1, expected)))
    return failure();
  int64_t rank = l.outputs[0].getType().getRank();
  if (rank < 2)
    return l.refuse(expected);
  FailureOr<TensorExpr> targets = l.addTargets();
  if (failed(targets))
    return failure();
  TensorExpr x = l.isOn("logits") ? sigmoid(l.outputs[0]) : l.outputs[0], t = *targets;
  auto places = llvm::to_vector(llvm::seq<int64_t>(rank == 2 ? 1 : 2, rank)); // of a sample's channel
  TensorExpr both = sumOver(x * t, places), all = sumOver(x, places) + sumOver(t, places);
  double smooth = l["smooth"];
  return l.reduce(1.0 - (both * 2.0 + smooth) / (all + smooth)).get();
}

constexpr LossKind kLosses[] = {
    {makeEntry("bce-with-logits", kBce, "binary cross-entropy of logits and `targets` from 0 to 1"), buildBce},
    {makeEntry("mse", kPlain, "squared distance from `targets`"), buildMse},
    {makeEntry("mae", kPlain, "absolute distance from `targets`"), buildMae},
    {makeEntry("huber", kHuber, "squared distance from `targets`, straight from delta on"), buildHuber},
    {makeEntry("smooth-l1", kSmoothL1, "huber divided by beta"), buildSmoothL1},
    {makeEntry("kl-divergence", kKl, "of the log-probabilities from the probabilities `targets`"), buildKl},
    {makeEntry("hinge", kHinge, "what is missing to the margin; `targets` are 1 and -1"), buildHinge},
    {makeEntry("hinge-embedding", kHinge, "distances, for `targets` 1 and -1"), buildHingeEmbedding},
    {makeEntry("dice", kDice, "overlap of probabilities and `targets`, for each sample and channel"), buildDice},
};

} // namespace

llvm::ArrayRef<LossKind> train::getElementLosses() { return kLosses; }
