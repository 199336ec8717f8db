//===- VectorLosses.cpp - Losses of several outputs of vectors ---*- C++ -*-===//
//
// PyTorch's definitions and defaults.
//
//===----------------------------------------------------------------------===//
#include "compiler/train/Loss.h"

using namespace mlir;
using namespace nacre;
using namespace nacre::train;
using namespace nacre::spec;
using nn::TensorExpr;

namespace {

/// Outputs [N, D] of one type.
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

constexpr LossKind kLosses[] = {
    {makeEntry("cosine-embedding", kCosine, "angle of two outputs [N, D]; `targets` [N] are 1 and -1"), buildCosineEmbedding},
    {makeEntry("triplet-margin", kTriplet, "three outputs [N, D]: anchor, positive, negative"), buildTriplet},
};

} // namespace

llvm::ArrayRef<LossKind> train::getVectorLosses() { return kLosses; }
