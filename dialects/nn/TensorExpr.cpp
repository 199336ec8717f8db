//===- TensorExpr.cpp - Formulas on tensors ---------------------*- C++ -*-===//
#include "dialects/nn/TensorExpr.h"
#include "dialects/nn/NNOps.h"

using namespace mlir;
using namespace nacre;
using namespace nacre::nn;

template <typename Op, typename... Operands>
static TensorExpr make(TensorExpr x, Operands... operands) {
  return x.with(Op::create(x.getBuilder(), x.getLoc(), x, operands...).getResult());
}

TensorExpr TensorExpr::constant(double number) const {
  auto element = cast<FloatType>(getType().getElementType());
  auto type = RankedTensorType::get({}, element);
  Attribute scalar = FloatAttr::get(element, number);
  return with(ConstantOp::create(*builder, loc, type, DenseElementsAttr::get(type, scalar)));
}

TensorExpr nn::operator+(TensorExpr l, TensorExpr r) { return make<AddOp>(l, r); }
TensorExpr nn::operator-(TensorExpr l, TensorExpr r) { return make<SubOp>(l, r); }
TensorExpr nn::operator*(TensorExpr l, TensorExpr r) { return make<MulOp>(l, r); }
TensorExpr nn::operator/(TensorExpr l, TensorExpr r) { return make<DivOp>(l, r); }
TensorExpr nn::operator-(TensorExpr x) { return make<NegOp>(x); }

static Value compare(ComparePredicate predicate, TensorExpr l, TensorExpr r) {
  return CompareOp::create(l.getBuilder(), l.getLoc(), predicate, l, r);
}
Value nn::operator<(TensorExpr l, TensorExpr r) { return compare(ComparePredicate::lt, l, r); }
Value nn::operator==(TensorExpr l, TensorExpr r) { return compare(ComparePredicate::eq, l, r); }
Value nn::isAtMost(TensorExpr l, double r) { return compare(ComparePredicate::le, l, l.constant(r)); }

TensorExpr nn::where(Value condition, TensorExpr onTrue, TensorExpr onFalse) {
  return onTrue.with(WhereOp::create(onTrue.getBuilder(), onTrue.getLoc(), condition, onTrue, onFalse));
}

TensorExpr nn::castTo(TensorExpr x, Type type) {
  return x.getType().getElementType() == type ? x : make<CastOp>(x, type);
}
TensorExpr nn::abs(TensorExpr x) { return make<AbsOp>(x); }
TensorExpr nn::sqrt(TensorExpr x) { return make<SqrtOp>(x); }
TensorExpr nn::exp(TensorExpr x) { return make<ExpOp>(x); }
TensorExpr nn::log(TensorExpr x) { return make<LogOp>(x); }
TensorExpr nn::sin(TensorExpr x) { return make<SinOp>(x); }
TensorExpr nn::cos(TensorExpr x) { return make<CosOp>(x); }
TensorExpr nn::sinh(TensorExpr x) { return make<SinhOp>(x); }
TensorExpr nn::cosh(TensorExpr x) { return make<CoshOp>(x); }
TensorExpr nn::tanh(TensorExpr x) { return make<TanhOp>(x); }
TensorExpr nn::erf(TensorExpr x) { return make<ErfOp>(x); }
TensorExpr nn::sigmoid(TensorExpr x) { return make<SigmoidOp>(x); }

static TensorExpr reduceAlong(ReduceKind kind, TensorExpr x, ArrayRef<int64_t> axes) {
  return x.with(ReduceOp::create(x.getBuilder(), x.getLoc(), kind, x, axes, /*keepdims=*/true).getResult());
}
TensorExpr nn::sumAlong(TensorExpr x, ArrayRef<int64_t> axes) { return reduceAlong(ReduceKind::sum, x, axes); }
TensorExpr nn::meanAlong(TensorExpr x, ArrayRef<int64_t> axes) { return reduceAlong(ReduceKind::mean, x, axes); }
