//===- Update.cpp - One parameter's step --------------------------*- C++ -*-===//
#include "compiler/train/Update.h"
#include "llvm/ADT/Sequence.h"

using namespace mlir;
using namespace nacre;
using namespace nacre::train;
using nn::TensorExpr;

//===----------------------------------------------------------------------===//
// StepState
//===----------------------------------------------------------------------===//

Value StepState::get(StringRef name, RankedTensorType type, double initial, Location loc) {
  Entry &entry = entries[b.getStringAttr(name)];
  if (entry.old)
    return entry.old;
  Type element = type.getElementType();
  Attribute number = isa<FloatType>(element) ? Attribute(b.getFloatAttr(element, initial))
                                             : Attribute(b.getIntegerAttr(element, int64_t(initial)));
  Operation *module = symbols.getOp();
  OpBuilder at = OpBuilder::atBlockBegin(&module->getRegion(0).front());
  auto parameter = nn::ParameterOp::create(at, loc, name, DenseElementsAttr::get(type, number), /*trainable=*/true);
  entry.symbol = symbols.insert(parameter);
  entry.old = nn::GetParameterOp::create(b, loc, type, entry.symbol.getValue());
  return entry.old;
}

Value StepState::getCount(Location loc) {
  if (count)
    return count;
  auto type = RankedTensorType::get({}, b.getI64Type());
  Value one = nn::ConstantOp::create(b, loc, DenseElementsAttr::get(type, int64_t(1)));
  Value next = nn::AddOp::create(b, loc, get("optimizer.count", type, 0, loc), one);
  set("optimizer.count", next);
  return count = nn::CastOp::create(b, loc, next, b.getF64Type());
}

SmallVector<std::pair<StringAttr, Value>> StepState::finish(Value isDue) {
  SmallVector<std::pair<StringAttr, Value>> values;
  for (auto &[name, value] : changed) {
    const Entry &entry = entries[name];
    values.push_back({entry.symbol, isDue ? nn::WhereOp::create(b, value.getLoc(), isDue, value, entry.old) : value});
  }
  return values;
}

//===----------------------------------------------------------------------===//
// Update
//===----------------------------------------------------------------------===//

TensorExpr Update::get(StringRef slot, double initial) {
  TensorExpr old = value.with(state.get(name + "." + slot.str(), value.getType(), 0, value.getLoc()));
  // Zeros take no room in an artefact.
  return initial == 0 ? old : where(count() == 1, old.constant(initial), old);
}

void Update::set(StringRef slot, TensorExpr to) { state.set(name + "." + slot.str(), to); }

TensorExpr Update::getShared(StringRef slot, double initial) {
  return rate.with(state.get("optimizer." + slot.str() + group, rate.getType(), initial, value.getLoc()));
}

void Update::setShared(StringRef slot, TensorExpr to) { state.set("optimizer." + slot.str() + group, to); }

TensorExpr Update::count() { return rate.with(state.getCount(value.getLoc())); }

TensorExpr Update::narrow(TensorExpr number) { return castTo(number, value.getType().getElementType()); }

//===----------------------------------------------------------------------===//
// Formulas
//===----------------------------------------------------------------------===//

template <typename Op, typename... Operands>
static TensorExpr make(TensorExpr x, Operands... operands) {
  return x.with(Op::create(x.getBuilder(), x.getLoc(), x, operands...).getResult());
}

TensorExpr train::min(TensorExpr l, TensorExpr r) { return make<nn::MinOp>(l, r); }
TensorExpr train::max(TensorExpr l, TensorExpr r) { return make<nn::MaxOp>(l, r); }
TensorExpr train::pow(TensorExpr base, TensorExpr exponent) { return make<nn::PowOp>(base, exponent); }
TensorExpr train::sign(TensorExpr x) { return make<nn::SignOp>(x); }

static TensorExpr reduceAll(nn::ReduceKind kind, TensorExpr x) {
  if (x.getType().getRank() == 0)
    return x;
  auto axes = llvm::to_vector(llvm::seq<int64_t>(0, x.getType().getRank()));
  return x.with(nn::ReduceOp::create(x.getBuilder(), x.getLoc(), kind, x, axes, /*keepdims=*/false).getResult());
}
TensorExpr train::sumAll(TensorExpr x) { return reduceAll(nn::ReduceKind::sum, x); }
TensorExpr train::meanAll(TensorExpr x) { return reduceAll(nn::ReduceKind::mean, x); }
