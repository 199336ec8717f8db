//===- Losses.cpp - What there is to minimise -------------------*- C++ -*-===//
//
// PyTorch's definitions and defaults where PyTorch has the loss. Each is built of ordinary
// ops on the model's outputs, computed in f32 (f64 for f64 outputs), and differentiated
// like the model.
//
//===----------------------------------------------------------------------===//
#include "compiler/train/Losses.h"
#include "compiler/train/Update.h"
#include "dialects/nn/Expr.h"
#include "dialects/nn/NodeLocation.h"
#include "llvm/ADT/Sequence.h"

using namespace mlir;
using namespace nacre;
using namespace nacre::train;
using namespace nacre::spec;
using nn::TensorExpr;

namespace {

constexpr StringLiteral kOutput = "output:";

/// What a loss is built with.
class Loss {
public:
  Loss(const Request &settings, Text outputs, StepBuilder &step)
      : settings(settings), step(step), outputNames(outputs.data(), outputs.size()),
        b(step.getTerminator()),
        loc(nn::getNodeLocation(b.getContext(), "loss", std::string(settings.entry->name))) {}

  double operator[](Text key) const { return settings[key]; }
  bool isOn(Text flag) const { return settings[flag] != 0; }

  /// The outputs that the term names, or the model's first ones, of floats.
  LogicalResult takeOutputs(unsigned count, StringRef what) {
    SmallVector<StringRef> names;
    if (!outputNames.empty())
      outputNames.split(names, ',');
    if (!names.empty() && names.size() != count)
      return error("takes ") << count << (count == 1 ? " output" : " outputs") << ", found '" << outputNames << "'";
    for (unsigned i = 0; i < count; ++i) {
      Value output = names.empty() ? step.getOutput(i) : step.findOutput(names[i].trim());
      if (!output && names.empty())
        return error("takes ") << count << (count == 1 ? " output" : " outputs") << ", the model has "
                               << step.getFunction().getNumResults();
      if (!output)
        return error("applies to '") << names[i].trim() << "', but no output is called so: the outputs are "
                                     << step.listOutputs();
      auto type = cast<RankedTensorType>(output.getType());
      if (!isa<FloatType>(type.getElementType()))
        return error("expects ") << what << ", found " << type;
      raw.push_back(output);
      outputs.push_back(castTo(TensorExpr(b, loc, output), nn::getComputeType(type.getElementType())));
    }
    return success();
  }

  /// Reports that an output's shape is wrong.
  LogicalResult refuse(StringRef what) {
    return error("expects ") << what << ", found " << raw[0].getType();
  }

  /// An input for what the outputs should be, as `like` but for dropped dimensions.
  FailureOr<Value> addTarget(StringRef role, Value like, ArrayRef<int64_t> dropped, Type element) {
    std::string name = role.str();
    if (!outputNames.empty())
      name = (outputNames.split(',').first.trim() + "." + role).str();
    bool isGiven = role != "advantages" && settings.isSet("target");
    if (isGiven)
      name = std::string(settings.text("target"));
    if (Value target = step.addTarget(name, like, dropped, element, isGiven))
      return target;
    return error("expects a target '") << name << "' that fits " << like.getType()
                                       << ", but what has the name does not; another can be named with target=NAME";
  }
  /// As the first output.
  FailureOr<TensorExpr> addTargets() {
    FailureOr<Value> target = addTarget("targets", outputs[0], {}, outputs[0].getType().getElementType());
    if (failed(target))
      return failure();
    return outputs[0].with(*target);
  }

  /// The mean or the sum of all elements.
  TensorExpr reduce(TensorExpr losses) {
    return settings.is("reduction", "sum") ? sumAll(losses) : meanAll(losses);
  }

  /// Weights that were given, one for each of `size` (-1: any number of) classes.
  FailureOr<Value> getWeights(Text key, int64_t size) {
    if (!settings.isSet(key))
      return Value();
    SmallVector<Attribute> values;
    auto element = cast<FloatType>(outputs[0].getType().getElementType());
    settings.forEachNumber(key, [&](double value) { values.push_back(FloatAttr::get(element, value)); });
    int64_t count = values.size();
    if (size >= 0 && count != size)
      return error("has ") << count << " weights, but the output has " << size << " classes: " << raw[0].getType();
    auto type = RankedTensorType::get({count}, element);
    return nn::ConstantOp::create(b, loc, DenseElementsAttr::get(type, values)).getResult();
  }

  InFlightDiagnostic error(const Twine &text) {
    return step.getFunction().emitError("the loss ") << StringRef(settings.entry->name.data(), settings.entry->name.size())
                                                     << " " << text;
  }

  const Request &settings;
  StepBuilder &step;
  StringRef outputNames;
  OpBuilder b;
  Location loc;
  SmallVector<Value> raw;
  SmallVector<TensorExpr> outputs;
};

TensorExpr softplus(TensorExpr x) {
  return x.with(nn::SoftplusOp::create(x.getBuilder(), x.getLoc(), x).getResult());
}
TensorExpr logSoftmax(TensorExpr x) {
  return x.with(nn::SoftmaxOp::create(x.getBuilder(), x.getLoc(), x, /*axis=*/1, /*log=*/true).getResult());
}
TensorExpr relu(TensorExpr x) { return x.with(nn::ReluOp::create(x.getBuilder(), x.getLoc(), x).getResult()); }
/// The sum along a dimension, which goes.
TensorExpr sumOver(TensorExpr x, ArrayRef<int64_t> axes) {
  return x.with(nn::ReduceOp::create(x.getBuilder(), x.getLoc(), nn::ReduceKind::sum, x, axes, /*keepdims=*/false).getResult());
}
/// [C] as a factor for [N, C, D...].
TensorExpr alongClasses(TensorExpr weights, int64_t rank) {
  auto ones = llvm::to_vector(llvm::seq<int64_t>(1, rank - 1));
  if (ones.empty())
    return weights;
  return weights.with(nn::UnsqueezeOp::create(weights.getBuilder(), weights.getLoc(), weights, ones).getResult());
}

constexpr Text kAddAll = "what becomes of the losses";
constexpr Setting kReduction = choice("reduction", "mean|sum", kAddAll);
constexpr Setting kTarget = name("target", "the input with what the output should be");

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
                            numbers("weight", kNotNegative, "a weight for each class"), kReduction, kTarget};

FailureOr<Value> buildNegativeLogLikelihood(Loss &l) {
  constexpr StringLiteral expected = "log-probabilities [N, C, D...]";
  if (failed(l.takeOutputs(1, expected)))
    return failure();
  if (l.outputs[0].getType().getRank() < 2)
    return l.refuse(expected);
  return buildNll(l, l.outputs[0], l.getWeights("weight", l.outputs[0].getType().getDimSize(1)), 0);
}

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

/// Outputs [N, D] or [D] in equal shapes.
LogicalResult takeVectors(Loss &l, unsigned count, StringRef what) {
  if (failed(l.takeOutputs(count, what)))
    return failure();
  for (TensorExpr output : l.outputs)
    if (output.getType().getRank() != 2 || output.getType() != l.outputs[0].getType())
      return l.refuse(what);
  return success();
}

constexpr Setting kCosine[] = {number("margin", 0, kAny, "similarity that unlike pairs may have"), kReduction, kTarget};
FailureOr<Value> buildCosineEmbedding(Loss &l) {
  if (failed(takeVectors(l, 2, "two outputs [N, D] of one type")))
    return failure();
  FailureOr<Value> targets = l.addTarget("targets", l.outputs[0], 1, l.outputs[0].getType().getElementType());
  if (failed(targets))
    return failure();
  TensorExpr x = l.outputs[0], y = l.outputs[1], t = x.with(*targets), zero = x.constant(0);
  constexpr double epsilon = 1e-12; // PyTorch's
  TensorExpr squares = (sumOver(x * x, 1) + epsilon) * (sumOver(y * y, 1) + epsilon);
  TensorExpr cosine = sumOver(x * y, 1) / sqrt(squares);
  TensorExpr like = where(t == 1.0, 1.0 - cosine, zero), unlike = where(t == -1.0, relu(cosine - l["margin"]), zero);
  return l.reduce(like + unlike).get();
}

constexpr Setting kTriplet[] = {number("margin", 1, kNotNegative, "how much further the negative should be"),
                                number("p", 2, kPositive, "the norm"), number("eps", 1e-6, kAny, "added to differences"),
                                flag("swap", "takes the negative's distance from the positive if that is less"), kReduction};
FailureOr<Value> buildTriplet(Loss &l) {
  if (failed(takeVectors(l, 3, "three outputs [N, D] of one type: anchor, positive, negative")))
    return failure();
  double p = l["p"];
  auto distance = [&](TensorExpr x, TensorExpr y) {
    TensorExpr difference = x - y + l["eps"];
    if (p == 1)
      return sumOver(abs(difference), 1);
    if (p == 2)
      return sqrt(sumOver(square(difference), 1));
    return pow(sumOver(pow(abs(difference), x.constant(p)), 1), x.constant(1 / p));
  };
  TensorExpr positive = distance(l.outputs[0], l.outputs[1]), negative = distance(l.outputs[0], l.outputs[2]);
  if (l.isOn("swap"))
    negative = min(negative, distance(l.outputs[1], l.outputs[2]));
  return l.reduce(relu(positive - negative + l["margin"])).get();
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

template <size_t N> constexpr Entry entry(Text name, const Setting (&settings)[N], Text about) {
  static_assert(N <= size_t(Request::kMost));
  return {name, settings, N, about};
}

constexpr Entry kLosses[] = {
    entry("softmax-cross-entropy", kCrossEntropy, "logits [N, C, D...] at `labels` [N, D...]"),
    entry("nll", kNll, "log-probabilities [N, C, D...] at `labels` [N, D...]"),
    entry("bce-with-logits", kBce, "binary cross-entropy of logits and `targets` from 0 to 1"),
    entry("mse", kPlain, "squared distance from `targets`"),
    entry("mae", kPlain, "absolute distance from `targets`"),
    entry("huber", kHuber, "squared distance from `targets`, straight from delta on"),
    entry("smooth-l1", kSmoothL1, "huber divided by beta"),
    entry("kl-divergence", kKl, "of the log-probabilities from the probabilities `targets`"),
    entry("hinge", kHinge, "what is missing to the margin; `targets` are 1 and -1"),
    entry("hinge-embedding", kHinge, "distances, for `targets` 1 and -1"),
    entry("cosine-embedding", kCosine, "angle of two outputs [N, D]; `targets` [N] are 1 and -1"),
    entry("triplet-margin", kTriplet, "three outputs [N, D]: anchor, positive, negative"),
    entry("dice", kDice, "overlap of probabilities and `targets`, for each sample and channel"),
    entry("policy-gradient", kPolicy, "-log p of `actions` [N] times `advantages` [N]; logits [N, C]"),
};
constexpr FailureOr<Value> (*kBuilders[])(Loss &) = {
    buildCrossEntropy, buildNegativeLogLikelihood, buildBce,     buildMse,   buildMae,
    buildHuber,        buildSmoothL1,              buildKl,      buildHinge, buildHingeEmbedding,
    buildCosineEmbedding, buildTriplet,            buildDice,    buildPolicyGradient,
};
static_assert(std::size(kLosses) == std::size(kBuilders));

bool parseLoss(Text what, Request &request, Message &message) {
  if (parse(what, kLosses, "loss", request, message))
    return true;
  if (Text rest = what; request.entry == nullptr || cut(rest, ":") != request.entry->name)
    message << " or output:NAME";
  else if (what.find("reduction=none") != Text::npos)
    message << ": a step needs one number";
  return false;
}

/// An output as a scalar.
FailureOr<Value> buildOutput(StringRef name, StepBuilder &step) {
  Value output = step.findOutput(name);
  if (!output)
    return step.getFunction().emitError("no output is called '")
           << name << "' for the loss: the outputs are " << step.listOutputs();
  auto type = cast<RankedTensorType>(output.getType());
  if (!isa<FloatType>(type.getElementType()) || !type.hasStaticShape() || type.getNumElements() != 1)
    return step.getFunction().emitError("the loss '")
           << name << "' is not one floating-point number: it is " << type;
  OpBuilder b(step.getTerminator());
  return type.getRank() == 0 ? output : nn::reshapeTo(b, output, {});
}

} // namespace

bool train::checkLosses(Text sum, Message &message) {
  do {
    Term term;
    if (!cutTerm(sum, term, message))
      return false;
    Request request;
    if (!StringRef(term.what).starts_with(kOutput) && !parseLoss(term.what, request, message))
      return false;
  } while (!sum.empty());
  return true;
}

int64_t train::getIgnoredLabel(Text sum) {
  Message message;
  do {
    Term term;
    Request request;
    if (cutTerm(sum, term, message) && term.outputs.empty() && !StringRef(term.what).starts_with(kOutput) &&
        parseLoss(term.what, request, message) && request.has("ignore_index"))
      return int64_t(request["ignore_index"]);
  } while (!sum.empty());
  return -100;
}

std::string train::describeLosses() {
  std::string text;
  describe(kLosses, [&](Text part) { text += part; });
  return text + "  output:NAME: a scalar output of the model\n";
}

FailureOr<Value> train::buildLosses(Text sum, StepBuilder &step) {
  Message message;
  if (!checkLosses(sum, message))
    return step.getFunction().emitError(message.c_str());
  Value total;
  do {
    Term term;
    (void)cutTerm(sum, term, message);
    FailureOr<Value> made;
    Request request;
    if (StringRef what = term.what; what.consume_front(kOutput)) {
      made = buildOutput(what, step);
    } else {
      (void)parseLoss(term.what, request, message);
      Loss loss(request, term.outputs, step);
      made = kBuilders[request.entry - kLosses](loss);
    }
    if (failed(made))
      return failure();
    OpBuilder b(step.getTerminator());
    TensorExpr value(b, made->getLoc(), *made);
    if (total || !sum.empty() || term.factor != 1)
      value = castTo(value, nn::getComputeType(value.getType().getElementType()));
    if (term.factor != 1)
      value = value * term.factor;
    if (total) {
      TensorExpr before = value.with(total);
      if (before.getType() != value.getType()) { // an f64 output among f32 ones
        before = castTo(before, b.getF64Type());
        value = castTo(value, b.getF64Type());
      }
      value = before + value;
    }
    total = value;
  } while (!sum.empty());
  return total;
}
