//===- ClassLosses.cpp - Losses of logits and class numbers ------*- C++ -*-===//
//
// PyTorch's definitions and defaults.
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

/// [C] as a factor for [N, C, D...].
TensorExpr alongClasses(TensorExpr weights, int64_t rank) {
  auto ones = llvm::to_vector(llvm::seq<int64_t>(1, rank - 1));
  if (ones.empty())
    return weights;
  return weights.with(nn::UnsqueezeOp::create(weights.getBuilder(), weights.getLoc(), weights, ones).getResult());
}

/// -log p of labels, which are not smoothed.
FailureOr<Value> buildNll(Loss &l, TensorExpr logarithms, FailureOr<Value> weights, double smoothing) {
  int64_t rank = logarithms.getType().getRank();
  FailureOr<Value> labels = l.addTarget("labels", l.outputs[0], 1, l.b.getI64Type());
  if (failed(labels) || failed(weights))
    return failure();
  auto ignored = l.b.getI64IntegerAttr(int64_t(l["ignore_index"]));
  auto nll = nn::NllLossOp::create(l.b, l.loc, logarithms, *labels, *weights, ignored);
  TensorExpr losses = logarithms.with(nll.getLosses()), weight = logarithms.with(nll.getWeights());
  TensorExpr sum = sumAll(losses);
  if (smoothing > 0) {
    // A part of every class's loss, each with its own weight, where the label counts.
    TensorExpr all = *weights ? logarithms * alongClasses(logarithms.with(*weights), rank) : logarithms;
    TensorExpr share = sumOver(-all, 1);
    Value index = nn::ConstantOp::create(l.b, l.loc, DenseElementsAttr::get(RankedTensorType::get({}, l.b.getI64Type()),
                                                                            ignored.getInt()));
    Value isIgnored = nn::CompareOp::create(l.b, l.loc, nn::ComparePredicate::eq, *labels, index);
    share = where(isIgnored, share.constant(0), share);
    int64_t count = logarithms.getType().getDimSize(1);
    sum = sum * (1 - smoothing) + sumAll(share) * (smoothing / double(count));
  }
  return l.settings.is("reduction", "sum") ? sum.get() : (sum / sumAll(weight)).get();
}

constexpr Setting kCrossEntropy[] = {
    number("label_smoothing", 0, kPart, "part of the target that all classes share"),
    integer("ignore_index", -100, kAny, "label of places that do not count"),
    numbers("weight", kNotNegative, "a weight for each class"),
    flag("soft", "targets are probabilities of all classes, as PyTorch takes floats"), kReduction, kTarget};

FailureOr<Value> buildCrossEntropy(Loss &l) {
  constexpr StringLiteral expected = "floating-point logits [N, C, D...]";
  if (failed(l.takeOutputs(1, expected)))
    return failure();
  RankedTensorType type = l.outputs[0].getType();
  if (type.getRank() < 2)
    return l.refuse(expected);
  double smoothing = l["label_smoothing"];
  if (smoothing > 0 && type.isDynamicDim(1))
    return l.refuse("a number of classes that is known, to smooth labels");
  FailureOr<Value> weights = l.getWeights("weight", type.getDimSize(1));
  TensorExpr logarithms = logSoftmax(l.outputs[0]);
  if (!l.isOn("soft"))
    return buildNll(l, logarithms, weights, smoothing);
  FailureOr<TensorExpr> targets = l.addTargets();
  if (failed(targets) || failed(weights))
    return failure();
  TensorExpr wanted = *targets;
  if (smoothing > 0)
    wanted = wanted * (1 - smoothing) + smoothing / double(type.getDimSize(1));
  TensorExpr losses = -(logarithms * wanted);
  if (*weights)
    losses = losses * alongClasses(losses.with(*weights), type.getRank());
  return l.reduce(sumOver(losses, 1)).get();
}

constexpr Setting kNll[] = {integer("ignore_index", -100, kAny, "label of places that do not count"),
                            numbers("weight", kNotNegative, "a weight for each class"),
                            flag("probabilities", "the output are probabilities, of which 1e-7 is the least that counts"),
                            kReduction, kTarget};

FailureOr<Value> buildNegativeLogLikelihood(Loss &l) {
  constexpr StringLiteral expected = "log-probabilities [N, C, D...]";
  if (failed(l.takeOutputs(1, expected)))
    return failure();
  if (l.outputs[0].getType().getRank() < 2)
    return l.refuse(expected);
  TensorExpr x = l.outputs[0];
  if (l.isOn("probabilities"))
    x = log(max(x, x.constant(1e-7))); // Keras' epsilon
  return buildNll(l, x, l.getWeights("weight", x.getType().getDimSize(1)), 0);
}


constexpr Setting kPolicy[] = {number("entropy", 0, kNotNegative, "reward for the entropy of the actions"), kReduction,
                               name("target", "the input with the actions taken")};
FailureOr<Value> buildPolicyGradient(Loss &l) {
  constexpr StringLiteral expected = "floating-point logits [N, C, D...] of actions";
  if (failed(l.takeOutputs(1, expected)))
    return failure();
  TensorExpr x = l.outputs[0];
  if (x.getType().getRank() < 2)
    return l.refuse(expected);
  FailureOr<Value> actions = l.addTarget("actions", x, 1, l.b.getI64Type());
  FailureOr<Value> advantages = l.addTarget("advantages", x, 1, x.getType().getElementType());
  if (failed(actions) || failed(advantages))
    return failure();
  TensorExpr logarithms = logSoftmax(x);
  auto nll = nn::NllLossOp::create(l.b, l.loc, logarithms, *actions, Value(), IntegerAttr());
  TensorExpr losses = x.with(nll.getLosses()) * x.with(*advantages);
  if (double reward = l["entropy"]; reward != 0)
    losses = losses + sumOver(exp(logarithms) * logarithms, 1) * reward;
  return l.reduce(losses).get();
}

constexpr LossKind kLosses[] = {
    {makeEntry("softmax-cross-entropy", kCrossEntropy, "logits [N, C, D...] at `labels` [N, D...]"), buildCrossEntropy},
    {makeEntry("nll", kNll, "log-probabilities [N, C, D...] at `labels` [N, D...]"), buildNegativeLogLikelihood},
    {makeEntry("policy-gradient", kPolicy, "-log p of `actions` [N] times `advantages` [N]; logits [N, C]"), buildPolicyGradient},
};

} // namespace

llvm::ArrayRef<LossKind> train::getClassLosses() { return kLosses; }
