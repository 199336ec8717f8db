//===- Scores.cpp - What classical models make of scores --------*- C++ -*-===//
#include "frontends/onnx/Scores.h"
#include "dialects/nn/NodeLocation.h"
#include "frontends/onnx/ShapeVectors.h"
#include "llvm/ADT/StringSwitch.h"
#include <cmath>

using namespace mlir;
using namespace nacre;
using namespace nacre::frontend;

Value frontend::vectorConstant(NodeContext &c, Type element, ArrayRef<double> numbers) {
  auto type = RankedTensorType::get({int64_t(numbers.size())}, element);
  SmallVector<APFloat> values;
  for (double number : numbers) {
    APFloat value(number);
    bool loses;
    value.convert(cast<FloatType>(element).getFloatSemantics(), APFloat::rmNearestTiesToEven, &loses);
    values.push_back(value);
  }
  return c.constant(DenseElementsAttr::get(type, values));
}

std::optional<Transform> frontend::getTransform(NodeContext &c) {
  StringRef name = c.getString("post_transform", "NONE");
  auto kind = llvm::StringSwitch<std::optional<Transform>>(name)
                  .Case("NONE", Transform::None)
                  .Case("SOFTMAX", Transform::Softmax)
                  .Case("LOGISTIC", Transform::Logistic)
                  .Case("SOFTMAX_ZERO", Transform::SoftmaxZero)
                  .Case("PROBIT", Transform::Probit)
                  .Default(std::nullopt);
  if (!kind)
    (void)c.error("the attribute 'post_transform' is " + nn::quoted(name) +
                  ", expected NONE, SOFTMAX, LOGISTIC, SOFTMAX_ZERO or PROBIT");
  return kind;
}

Value frontend::transformScores(NodeContext &c, Value x, Transform kind) {
  if (!x)
    return {};
  ShapeVectors v(c);
  Type element = NodeContext::typeOf(x).getElementType();
  auto number = [&](double value) { return c.scalarConstant(element, value); };
  switch (kind) {
  case Transform::None:
    return x;
  case Transform::Softmax:
    return c.make<nn::SoftmaxOp>(x, 1, /*log=*/false);
  case Transform::Logistic:
    return c.make<nn::SigmoidOp>(x);
  case Transform::SoftmaxZero: {
    // What is 0 stays near it, and takes next to nothing from the others.
    Value most = c.make<nn::ReduceOp>(nn::ReduceKind::max, x, ArrayRef<int64_t>{1}, /*keepdims=*/true);
    Value size = c.make<nn::AbsOp>(x), below = v.sub(x, most);
    Value scale = most ? c.make<nn::ExpOp>(c.make<nn::NegOp>(most)) : Value();
    Value isZero = size ? v.compare(nn::ComparePredicate::le, size, number(1e-7)) : Value();
    Value powers = below && isZero ? v.select(isZero, v.mul(x, scale), c.make<nn::ExpOp>(below)) : Value();
    Value sum = powers ? c.make<nn::ReduceOp>(nn::ReduceKind::sum, powers, ArrayRef<int64_t>{1}, /*keepdims=*/true) : Value();
    Value isNone = sum ? v.compare(nn::ComparePredicate::eq, sum, number(0)) : Value();
    return v.select(isNone, number(0.5), v.div(powers, sum));
  }
  case Transform::Probit: {
    // Winitzki's approximation of the inverse error function, as both references have it.
    Value y = v.sub(v.mul(x, number(2)), number(1));
    Value log = y ? c.make<nn::LogOp>(v.mul(v.sub(number(1), y), v.add(y, number(1)))) : Value();
    Value a = log ? v.add(v.mul(log, number(0.5)), number(2 / (M_PI * 0.147))) : Value();
    Value root = a ? c.make<nn::SqrtOp>(v.sub(v.mul(a, a), v.mul(log, number(1 / 0.147)))) : Value();
    Value size = root ? c.make<nn::SqrtOp>(v.sub(root, a)) : Value();
    return size ? v.mul(v.mul(c.make<nn::SignOp>(y), size), number(1.41421356)) : Value();
  }
  }
  return {};
}

Value frontend::completeScores(NodeContext &c, Value score, bool isShare, Transform kind) {
  ShapeVectors v(c);
  if (!score)
    return {};
  Type element = NodeContext::typeOf(score).getElementType();
  // Shares are transformed by the logistic function alone, which takes the opposite then.
  bool isTransformed = !isShare || kind == Transform::Logistic;
  Value other = isTransformed ? c.make<nn::NegOp>(score) : v.sub(c.scalarConstant(element, 1), score);
  Value both = other ? c.make<nn::ConcatOp>(ValueRange{other, score}, 1) : Value();
  return isTransformed ? transformScores(c, both, kind) : both;
}

Labels::Labels(NodeContext &c, StringRef namesAttribute, StringRef numbersAttribute) {
  if (c.hasAttr(namesAttribute))
    names = c.getStrings(namesAttribute);
  if (c.hasAttr(numbersAttribute))
    numbers = c.getInts(numbersAttribute);
}

Value Labels::at(NodeContext &c, Value places) const {
  Value labels = names.empty() ? c.intsConstant(numbers) : c.stringsConstant(names);
  return places && labels ? c.make<nn::GatherOp>(labels, places, 0, /*in_bounds=*/true) : Value();
}
