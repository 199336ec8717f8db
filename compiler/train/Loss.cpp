//===- Loss.cpp - What losses are built with --------------------*- C++ -*-===//
#include "compiler/train/Loss.h"
#include "dialects/nn/Expr.h"
#include "dialects/nn/NodeLocation.h"

using namespace mlir;
using namespace nacre;
using namespace nacre::train;
using namespace nacre::spec;
using nn::TensorExpr;

Loss::Loss(const Request &settings, Text outputs, StepBuilder &step)
    : settings(settings), step(step), outputNames(outputs), b(step.getTerminator()),
      loc(nn::getNodeLocation(b.getContext(), "loss", std::string(settings.entry->name))) {}

LogicalResult Loss::takeOutputs(unsigned count, StringRef what) {
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

LogicalResult Loss::refuse(StringRef what) {
  return error("expects ") << what << ", found " << raw[0].getType();
}

FailureOr<Value> Loss::addTarget(StringRef role, Value like, ArrayRef<int64_t> dropped, Type element) {
  SmallVector<int64_t> kept;
  for (int64_t i = 0, rank = cast<RankedTensorType>(like.getType()).getRank(); i < rank; ++i)
    if (!llvm::is_contained(dropped, i))
      kept.push_back(i);
  return addTargetOf(role, like, kept, element, /*isExtra=*/role == "advantages");
}

FailureOr<Value> Loss::addTargetOf(StringRef role, Value like, ArrayRef<int64_t> kept, Type element, bool isExtra) {
  std::string name = role.str();
  if (!outputNames.empty())
    name = (outputNames.split(',').first.trim() + "." + role).str();
  bool isGiven = !isExtra && settings.isSet("target");
  if (isGiven)
    name = std::string(settings.text("target"));
  if (Value target = step.addTarget(name, like, kept, element, isGiven))
    return target;
  return error("expects a target '") << name << "' that fits " << like.getType()
                                     << ", but what has the name does not; another can be named with target=NAME";
}

FailureOr<TensorExpr> Loss::addTargets() {
  FailureOr<Value> target = addTarget("targets", outputs[0], {}, outputs[0].getType().getElementType());
  if (failed(target))
    return failure();
  return outputs[0].with(*target);
}

TensorExpr Loss::reduce(TensorExpr losses) {
  return settings.is("reduction", "sum") ? sumAll(losses) : meanAll(losses);
}

FailureOr<Value> Loss::getWeights(Text key, int64_t size) {
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

InFlightDiagnostic Loss::error(const Twine &text) {
  return step.getFunction().emitError("the loss ") << StringRef(settings.entry->name.data(), settings.entry->name.size())
                                                   << " " << text;
}

TensorExpr train::softplus(TensorExpr x) {
  return x.with(nn::SoftplusOp::create(x.getBuilder(), x.getLoc(), x).getResult());
}
TensorExpr train::logSoftmax(TensorExpr x) {
  return x.with(nn::SoftmaxOp::create(x.getBuilder(), x.getLoc(), x, /*axis=*/1, /*log=*/true).getResult());
}
TensorExpr train::relu(TensorExpr x) { return x.with(nn::ReluOp::create(x.getBuilder(), x.getLoc(), x).getResult()); }
TensorExpr train::sumOver(TensorExpr x, ArrayRef<int64_t> axes) {
  return x.with(nn::ReduceOp::create(x.getBuilder(), x.getLoc(), nn::ReduceKind::sum, x, axes, /*keepdims=*/false).getResult());
}
