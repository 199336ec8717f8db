//===- Precision.cpp - What a training computes in ----------------*- C++ -*-===//
#include "compiler/train/Precision.h"

using namespace mlir;
using namespace nacre;
using namespace nacre::train;
using namespace nacre::spec;
using nn::TensorExpr;

namespace {

constexpr spec::Range kFromOne{1, std::numeric_limits<double>::max(), "a number from 1 up"};
constexpr spec::Range kScale{0x1p-126, 0x1p127, "a number that f32 has, above 0"};
constexpr spec::Range kShare{0x1p-126, 1, "a number above 0 and up to 1"};

constexpr Setting kF16[] = {
    number("scale", 65536, kScale, "what the loss is multiplied by at the start"),
    number("growth", 2, kFromOne, "factor of the scale after so many updates without overflow"),
    number("backoff", 0.5, kShare, "factor of the scale after an overflow"),
    integer("interval", 2000, kFromOne, "updates without overflow until the scale grows")};

constexpr Entry kPrecisions[] = {
    {"f32", nullptr, 0, "everything in the model's own types"},
    {"bf16", nullptr, 0, "products in bf16, summed in f32"},
    {"f16", kF16, std::size(kF16), "products in f16, summed in f32, with a scaled loss"},
};

} // namespace

bool train::parsePrecision(Text text, Request &request, Message &message) {
  return parse(text, kPrecisions, "precision", request, message);
}

bool train::isNarrow(const Request &precision) { return precision.entry != &kPrecisions[0]; }
bool train::needsLossScale(const Request &precision) { return precision.entry == &kPrecisions[2]; }

static Value createInteger(OpBuilder &b, Location loc, int64_t value) {
  auto type = RankedTensorType::get({}, b.getI64Type());
  return nn::ConstantOp::create(b, loc, DenseElementsAttr::get(type, value));
}

static Value isFinite(TensorExpr x) { return abs(x) < x.constant(std::numeric_limits<double>::infinity()); }

LossScale::LossScale(const Request &settings, int64_t accumulate, SymbolTable &symbols, OpBuilder &b, Location loc)
    : settings(settings), accumulate(accumulate), state(symbols, b),
      factor(b, loc, state.get("optimizer.scale", RankedTensorType::get({}, b.getF32Type()), settings["scale"], loc)) {}

TensorExpr LossScale::scale(TensorExpr loss) {
  if (accumulate > 1)
    loss = loss / double(accumulate);
  return loss * castTo(factor, loss.getType().getElementType());
}

TensorExpr LossScale::unscale(TensorExpr gradient) {
  // In f64 and rounded once, as PyTorch does it.
  TensorExpr inverse = castTo(factor, Float64Type::get(factor.getType().getContext()));
  inverse = castTo(inverse.constant(double(accumulate)) / inverse, gradient.getType().getElementType());
  return gradient * inverse;
}

Value LossScale::update(ArrayRef<TensorExpr> gradients, Value isDue) {
  OpBuilder &b = factor.getBuilder();
  Location loc = factor.getLoc();
  std::optional<TensorExpr> bad;
  for (TensorExpr gradient : gradients) {
    TensorExpr one = factor.constant(1), own = sumAll(where(isFinite(gradient), factor.constant(0), one));
    bad = bad ? *bad + own : own;
  }
  Value areFinite = *bad == 0.0;
  Value zero = createInteger(b, loc, 0);
  Value old = state.get("optimizer.scale_steps", cast<RankedTensorType>(zero.getType()), 0, loc);
  Value next = nn::AddOp::create(b, loc, old, createInteger(b, loc, 1));
  Value grows = nn::CompareOp::create(b, loc, nn::ComparePredicate::eq, next,
                                      createInteger(b, loc, int64_t(settings["interval"])));
  TensorExpr grown = factor * settings["growth"];
  grown = where(grows, where(isFinite(grown), grown, factor), factor);
  TensorExpr moved = where(areFinite, grown, factor * settings["backoff"]);
  Value steps = nn::WhereOp::create(b, loc, grows, zero, next);
  steps = nn::WhereOp::create(b, loc, areFinite, steps, zero);
  state.set("optimizer.scale", moved);
  state.set("optimizer.scale_steps", steps);
  due = isDue;
  return areFinite;
}
