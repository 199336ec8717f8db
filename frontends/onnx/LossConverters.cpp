//===- LossConverters.cpp - Losses ------------------------------*- C++ -*-===//
#include "dialects/nn/Expr.h"
#include "dialects/nn/NodeLocation.h"
#include "frontends/onnx/Converter.h"
#include "llvm/ADT/Sequence.h"

using namespace mlir;
using namespace nacre;
using namespace nacre::frontend;

/// The sum of all elements.
static Value sumAll(NodeContext &c, Value x) {
  auto axes = llvm::to_vector(llvm::seq<int64_t>(0, c.rankOf(x)));
  return c.make<nn::ReduceOp>(nn::ReduceKind::sum, x, axes, /*keepdims=*/false);
}

/// The loss of each label given logarithms of probabilities, reduced as the attribute
/// says. The mean is weighted, so what is ignored does not count.
static Value makeLoss(NodeContext &c, Value logarithms) {
  auto ignored = c.getOptionalInt("ignore_index");
  StringRef reduction = c.getString("reduction", "mean");
  if (reduction != "none" && reduction != "sum" && reduction != "mean") {
    (void)c.error("attribute 'reduction' is " + nn::quoted(reduction) + ", expected none, sum or mean");
    return {};
  }
  auto loss = c.createTyped<nn::NllLossOp>({}, logarithms, c.input(1), c.input(2),
                                           ignored ? c.getBuilder().getI64IntegerAttr(*ignored)
                                                   : IntegerAttr());
  if (!loss || reduction == "none")
    return loss ? loss.getLosses() : Value();
  // Sums of narrow floats stay wide until the end.
  Type type = c.typeOf(logarithms).getElementType(), wide = nn::getComputeType(type);
  auto castTo = [&](Value x, Type to) { return type == wide ? x : c.make<nn::CastOp>(x, to); };
  Value result = sumAll(c, castTo(loss.getLosses(), wide));
  if (reduction == "mean")
    result = c.make<nn::DivOp>(result, sumAll(c, castTo(loss.getWeights(), wide)));
  return castTo(result, type);
}

static LogicalResult convertNegativeLogLikelihoodLoss(NodeContext &c) {
  return c.replaceWith(makeLoss(c, c.input(0)));
}

static LogicalResult convertSoftmaxCrossEntropyLoss(NodeContext &c) {
  if (c.rankOf(c.input(0)) < 2)
    return c.error("the scores have rank " + Twine(c.rankOf(c.input(0))) + ", expected 2 or more");
  Value logarithms = c.make<nn::SoftmaxOp>(c.input(0), 1, /*log=*/true);
  if (!logarithms)
    return failure();
  return c.setResults({makeLoss(c, logarithms), logarithms});
}

void nacre::frontend::registerLossConverters(ConverterTable &table) {
  table.add("NegativeLogLikelihoodLoss", convertNegativeLogLikelihoodLoss);
  table.add("SoftmaxCrossEntropyLoss", convertSoftmaxCrossEntropyLoss);
}
