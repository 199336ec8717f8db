//===- SequenceLosses.cpp - Losses of sequences without alignment -*- C++ -*-===//
//
// Connectionist temporal classification, PyTorch's definitions and defaults. A target
// l1 l2 ... stands for the states  blank l1 blank l2 blank ...;  a path stays in a state, goes
// to the next, or leaves out the blank between two different labels. The probability of all
// paths together is a recursion over time:
//
//   a[t, s] = emission[t, s] + log(exp a[t-1, s] + exp a[t-1, s-1] + (exp a[t-1, s-2]))
//
// It is written as a loop, whose gradient is what loops have.
//
//===----------------------------------------------------------------------===//
#include "compiler/train/Loss.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace nacre;
using namespace nacre::train;
using namespace nacre::spec;
using nn::TensorExpr;

namespace {

/// The logarithm of no probability at all. A number: infinities have no differences.
constexpr double kNever = -1e30;

/// Integers.
class Ints {
public:
  Ints(OpBuilder &b, Location loc) : b(b), loc(loc) {}

  Value constant(int64_t value) {
    auto type = RankedTensorType::get({}, b.getI64Type());
    return nn::ConstantOp::create(b, loc, type, DenseElementsAttr::get(type, value));
  }
  Value places(OpFoldResult count) {
    return nn::RangeOp::create(b, loc, constant(0), constant(1), nn::createSizeScalar(b, loc, count));
  }
  Value compare(nn::ComparePredicate predicate, Value l, Value r) {
    return nn::CompareOp::create(b, loc, predicate, l, r);
  }
  Value where(Value condition, Value yes, Value no) { return nn::WhereOp::create(b, loc, condition, yes, no); }
  Value unsqueeze(Value x, int64_t axis) { return nn::UnsqueezeOp::create(b, loc, x, axis); }
  Value stretch(Value x, ArrayRef<OpFoldResult> sizes) {
    return nn::BroadcastOp::create(b, loc, x, nn::createSizes(b, loc, sizes));
  }
  /// Ends the run where one is negative, or is `limit` or more.
  Value check(Value x, Value limit) {
    // A position that is negative would count from the end.
    Value refused = where(compare(nn::ComparePredicate::lt, x, constant(0)), limit, x);
    return nn::CheckedIndexOp::create(b, loc, x.getType(), refused, limit);
  }

private:
  OpBuilder &b;
  Location loc;
};

/// log(exp l + exp r)
TensorExpr addLogarithms(TensorExpr l, TensorExpr r) { return max(l, r) + softplus(-abs(l - r)); }

/// What stands `distance` states before.
TensorExpr shiftStates(TensorExpr states, int64_t distance) {
  OpBuilder &b = states.getBuilder();
  auto type = RankedTensorType::get({4}, b.getI64Type());
  Value pads = nn::ConstantOp::create(b, states.getLoc(), type,
                                      DenseElementsAttr::get(type, ArrayRef<int64_t>{0, distance, 0, -distance}));
  return states.with(nn::PadOp::create(b, states.getLoc(), states, pads, states.constant(kNever), nn::PadMode::Constant));
}

/// The states after the last element of each sequence: [N, L]. Emissions are [T, N, L],
/// `skip` [N, L] is 0 where a path may come from two states before.
TensorExpr runStates(OpBuilder &sized, Value emissions, TensorExpr initial, TensorExpr skip, Value lengths) {
  Location loc = initial.getLoc();
  nn::SizeMath m(sized, loc);
  OpFoldResult length = m.dim(emissions, 0);
  SmallVector<OpFoldResult> sizes = m.dims(initial);
  RankedTensorType type = initial.getType();
  // What is made in the loop is no part of what knows sizes.
  OpBuilder b(sized.getContext());
  b.setInsertionPoint(sized.getInsertionBlock(), sized.getInsertionPoint());
  Value count = getValueOrCreateConstantIndexOp(b, loc, length);
  Value zero = arith::ConstantIndexOp::create(b, loc, 0), one = arith::ConstantIndexOp::create(b, loc, 1);
  OpFoldResult first = b.getIndexAttr(0), unit = b.getIndexAttr(1);
  auto loop = scf::ForOp::create(b, loc, zero, count, one, initial.get(), [&](OpBuilder &, Location, Value time, ValueRange carried) {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToEnd(time.getParentBlock());
    TensorExpr states(b, loc, carried[0]);
    SmallVector<OpFoldResult> offsets{time, first, first}, slice{unit, sizes[0], sizes[1]}, strides(3, unit);
    TensorExpr emission = states.with(tensor::ExtractSliceOp::create(b, loc, type, emissions, offsets, slice, strides));
    TensorExpr next = addLogarithms(states, shiftStates(states, 1));
    next = addLogarithms(next, shiftStates(states, 2) + states.with(skip)) + emission;
    Value now = arith::IndexCastOp::create(b, loc, b.getI64Type(), time);
    now = tensor::FromElementsOp::create(b, loc, RankedTensorType::get({}, b.getI64Type()), now);
    Value runs = nn::CompareOp::create(b, loc, nn::ComparePredicate::lt, now, lengths);
    scf::YieldOp::create(b, loc, b.createOrFold<tensor::CastOp>(loc, type, where(runs, next, states)));
  });
  return initial.with(loop.getResult(0));
}

constexpr Setting kCtc[] = {integer("blank", 0, kNotNegative, "the class that stands for no label"),
                            flag("zero_infinity", "targets that do not fit count as 0, not as infinity"),
                            flag("batch_first", "log-probabilities are [N, T, C], not [T, N, C]"), kReduction,
                            name("target", "the input with the labels")};

FailureOr<Value> buildCtc(Loss &l) {
  bool batchFirst = l.isOn("batch_first");
  StringRef expected = batchFirst ? "log-probabilities [N, T, C]" : "log-probabilities [T, N, C]";
  if (failed(l.takeOutputs(1, expected)))
    return failure();
  RankedTensorType type = l.outputs[0].getType();
  if (type.getRank() != 3)
    return l.refuse(expected);
  int64_t blank = l["blank"], timeDim = batchFirst ? 1 : 0, batchDim = 1 - timeDim;
  if (!type.isDynamicDim(2) && blank >= type.getDimSize(2))
    return l.refuse("more classes than the number of the blank one");
  Type i64 = l.b.getI64Type();
  FailureOr<Value> labels = l.addTargetOf("targets", l.outputs[0], {batchDim, StepBuilder::kAnySize}, i64);
  FailureOr<Value> inputLengths = l.addTargetOf("input_lengths", l.outputs[0], batchDim, i64, /*isExtra=*/true);
  FailureOr<Value> targetLengths = l.addTargetOf("target_lengths", l.outputs[0], batchDim, i64, /*isExtra=*/true);
  if (failed(labels) || failed(inputLengths) || failed(targetLengths))
    return failure();

  Location loc = l.loc;
  OpBuilder b(l.b.getContext(), &l.step.getDims());
  b.setInsertionPoint(l.step.getTerminator());
  nn::SizeMath m(b, loc);
  Ints ints(b, loc);
  TensorExpr x(b, loc, l.outputs[0]);
  OpFoldResult batch = m.dim(x, batchDim), longest = m.dim(*labels, 1), one = m.constant(1);
  auto limit = [&](OpFoldResult size) { return nn::createSizeScalar(b, loc, size); };
  Value times = ints.unsqueeze(ints.check(*inputLengths, limit(m.add(m.dim(x, timeDim), one))), 1);
  Value lengths = ints.unsqueeze(ints.check(*targetLengths, limit(m.add(longest, one))), 1);

  // The states [N, L]; what stands beyond a target's length may be anything.
  Value isLabel = ints.compare(nn::ComparePredicate::lt, ints.places(longest), lengths), none = ints.constant(blank);
  Value known = ints.unsqueeze(ints.where(isLabel, *labels, none), 2);
  Value pairs = nn::ConcatOp::create(b, loc, ValueRange{ints.stretch(none, {batch, longest, one}), known}, 2);
  OpFoldResult doubled = m.mul(longest, m.constant(2)), count = m.add(doubled, one);
  pairs = nn::ReshapeOp::create(b, loc, pairs, nn::createSizes(b, loc, {batch, doubled}), /*allowzero=*/true, /*exact=*/true);
  Value states = nn::ConcatOp::create(b, loc, ValueRange{pairs, ints.stretch(none, {batch, one})}, 1);
  states = ints.check(states, limit(m.dim(x, 2)));

  // [N, C, T] at the states: [N, L, T].
  Value classes = nn::TransposeOp::create(b, loc, x, batchFirst ? ArrayRef<int64_t>{0, 2, 1} : ArrayRef<int64_t>{1, 2, 0});
  TensorExpr emissions =
      x.with(nn::GatherNdOp::create(b, loc, classes, ints.unsqueeze(states, 2), /*batch_dims=*/int64_t(1), /*in_bounds=*/true));
  emissions = where(emissions < kNever, x.constant(kNever), emissions);
  Value byTime = nn::TransposeOp::create(b, loc, emissions, ArrayRef<int64_t>{2, 0, 1});

  OpFoldResult zero = m.constant(0), two = m.constant(2);
  Value pads = nn::createSizes(b, loc, {zero, two, zero, m.constant(-2)});
  Value earlier = nn::PadOp::create(b, loc, states, pads, none, nn::PadMode::Constant);
  TensorExpr never = x.constant(kNever), certain = x.constant(0);
  TensorExpr skip = where(ints.compare(nn::ComparePredicate::ne, states, earlier), certain, never);
  // Before the first element a path is in the first state, which it may stay in or leave.
  TensorExpr initial = where(ints.compare(nn::ComparePredicate::eq, ints.places(count), ints.constant(0)), certain, never);
  initial = x.with(ints.stretch(initial, {batch, count}));
  TensorExpr last = runStates(b, byTime, initial, skip, times);

  // Paths end in the last label or in the blank behind it.
  Value end = nn::MulOp::create(b, loc, lengths, ints.constant(2)), beforeEnd = nn::SubOp::create(b, loc, end, ints.constant(1));
  beforeEnd = nn::MaxOp::create(b, loc, beforeEnd, ints.constant(0));
  auto stateAt = [&](Value place) {
    return x.with(nn::GatherElementsOp::create(b, loc, last, place, /*axis=*/1, /*in_bounds=*/true));
  };
  Value isEmpty = ints.compare(nn::ComparePredicate::eq, lengths, ints.constant(0));
  TensorExpr all = addLogarithms(stateAt(end), where(isEmpty, never, stateAt(beforeEnd)));
  TensorExpr impossible = x.constant(l.isOn("zero_infinity") ? 0 : std::numeric_limits<double>::infinity());
  TensorExpr losses = where(all < kNever / 2, impossible, -all);
  if (!l.settings.is("reduction", "sum")) {
    Value divisor = nn::MaxOp::create(b, loc, lengths, ints.constant(1));
    losses = losses / x.with(nn::CastOp::create(b, loc, divisor, type.getElementType()));
  }
  return l.reduce(losses).get();
}

constexpr LossKind kLosses[] = {
    {makeEntry("ctc", kCtc, "log-probabilities [T, N, C] of `targets` [N, S] i64, of which `target_lengths` [N] count, "
                            "after `input_lengths` [N]"),
     buildCtc},
};

} // namespace

llvm::ArrayRef<LossKind> train::getSequenceLosses() { return kLosses; }
