//===- NNRecurrentGradients.cpp - Recurrent layers as loops -----*- C++ -*-===//
//
// Before: %y, %h, %c = nn.lstm %gates, %r
// After:  %w = nn.transpose %r                                       once
//         %y, %h, %c = scf.for %t (%y', %h', %c') {
//           %z = nn.add (nn.matmul %h', %w), %gates[%t]
//           %i = nn.sigmoid %z[:, 0 * H], ...
//           ... }
//
// All gates are one product, and what they are computed from one value, which the gradient
// can keep.
//
//===----------------------------------------------------------------------===//
#include "dialects/nn/NNOps.h"
#include "dialects/nn/NNSizeMath.h"
#include "dialects/nn/TensorExpr.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace nacre::nn;

namespace {

TensorExpr applyActivation(StringRef name, double alpha, double beta, TensorExpr x) {
  auto make = [&](auto example) { return x.with(decltype(example)::create(x.getBuilder(), x.getLoc(), x)); };
  if (name == "sigmoid")
    return sigmoid(x);
  if (name == "tanh")
    return tanh(x);
  if (name == "relu")
    return make(ReluOp());
  if (name == "affine")
    return x * alpha + beta;
  if (name == "leaky_relu")
    return where(x < 0.0, x * alpha, x);
  if (name == "thresholded_relu")
    return where(isAtMost(x, alpha), x.constant(0), x);
  if (name == "scaled_tanh")
    return tanh(x * beta) * alpha;
  if (name == "hard_sigmoid") {
    TensorExpr y = x * alpha + beta;
    return where(isAtMost(y, 0), x.constant(0), where(y < 1.0, y, x.constant(1)));
  }
  if (name == "elu")
    return where(x < 0.0, (exp(x) - 1.0) * alpha, x);
  if (name == "softsign")
    return make(SoftsignOp());
  assert(name == "softplus" && "the verifier knows the names");
  return make(SoftplusOp());
}

/// A recurrent layer as a loop over time.
template <typename Op> class TimeLoop {
public:
  /// `sized` knows sizes. What is made in the loop is no part of them, and is built by a
  /// builder of its own.
  TimeLoop(Op op, OpBuilder &sized)
      : op(op), loc(op.getLoc()), b(op.getContext()), time(getDim(sized, loc, op.getGates(), 0)),
        batch(getDim(sized, loc, op.getGates(), 1)),
        stateType(cast<RankedTensorType>(op->getResult(1).getType())),
        size(cast<RankedTensorType>(op.getRecurrent().getType()).getDimSize(1)) {
    b.setInsertionPoint(sized.getInsertionBlock(), sized.getInsertionPoint());
  }

  bool isPossible() const { return !ShapedType::isDynamic(size); }

  /// Parts [first, first + count) of the recurrent weight, transposed: [H, count * H].
  Value getWeight(int64_t first, int64_t count) {
    auto number = [&](int64_t n) { return OpFoldResult(b.getIndexAttr(n)); };
    Value part = op.getRecurrent();
    if (count * size != cast<RankedTensorType>(part.getType()).getDimSize(0))
      part = SliceOp::create(b, loc, part, createSizes(b, loc, {number(first * size), number(0)}),
                             createSizes(b, loc, {number((first + count) * size), number(size)}),
                             createSizes(b, loc, {number(1), number(1)}));
    return TransposeOp::create(b, loc, part, ArrayRef<int64_t>{1, 0});
  }
  /// Part `k` of a vector: [H].
  Value getVector(Value vector, int64_t k) {
    auto number = [&](int64_t n) { return OpFoldResult(b.getIndexAttr(n)); };
    return SliceOp::create(b, loc, vector, createSizes(b, loc, {number(k * size)}),
                           createSizes(b, loc, {number((k + 1) * size)}), createSizes(b, loc, {number(1)}));
  }

  /// A state before the first step.
  Value getInitial(Value given) {
    if (given)
      return castTo(given, stateType);
    Value zero = ConstantOp::create(b, loc, RankedTensorType::get({}, stateType.getElementType()),
                                    DenseElementsAttr::get(RankedTensorType::get({}, stateType.getElementType()),
                                                           b.getZeroAttr(stateType.getElementType())));
    Value sizes = createSizes(b, loc, {batch, b.getIndexAttr(size)});
    return castTo(BroadcastOp::create(b, loc, stateType, zero, sizes), stateType);
  }

  /// Runs `step`, which makes new states of old ones; the first is what the layer gives.
  SmallVector<Value> run(ArrayRef<Value> initial, function_ref<SmallVector<TensorExpr>(ArrayRef<TensorExpr>)> step) {
    auto allType = cast<RankedTensorType>(op->getResult(0).getType());
    Value all = tensor::EmptyOp::create(b, loc, ArrayRef<OpFoldResult>{time, batch, b.getIndexAttr(size)},
                                        allType.getElementType());
    SmallVector<Value> inits{castTo(all, allType)};
    llvm::append_range(inits, initial);
    Value zero = arith::ConstantIndexOp::create(b, loc, 0), one = arith::ConstantIndexOp::create(b, loc, 1);
    Value count = getValueOrCreateConstantIndexOp(b, loc, time);
    auto loop = scf::ForOp::create(b, loc, zero, count, one, inits, [&](OpBuilder &, Location, Value i, ValueRange carried) {
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToEnd(i.getParentBlock());
      now = i;
      if (op.getReverse()) {
        Value last = arith::SubIOp::create(b, loc, count, one);
        now = arith::SubIOp::create(b, loc, last, i);
      }
      SmallVector<TensorExpr> states;
      for (Value state : carried.drop_front())
        states.emplace_back(b, loc, state);
      SmallVector<Value> next{carried[0]};
      Value runs = getRuns(), row;
      for (auto [after, before] : llvm::zip_equal(step(states), states)) {
        TensorExpr kept = runs ? where(runs, after, before) : after;
        if (!row)
          row = runs ? where(runs, after, after.constant(0)) : after;
        next.push_back(castTo(kept, stateType));
      }
      next[0] = tensor::InsertSliceOp::create(b, loc, castTo(row, stateType), carried[0], at(0), sizes(size), ones(3));
      scf::YieldOp::create(b, loc, next);
    });
    return SmallVector<Value>(loop.getResults());
  }

  /// The gates now: [B, n * H].
  TensorExpr getGates() {
    auto type = cast<RankedTensorType>(op.getGates().getType());
    OpFoldResult width = b.getIndexAttr(cast<RankedTensorType>(op.getRecurrent().getType()).getDimSize(0));
    auto row = RankedTensorType::get({stateType.getDimSize(0), *getConstantIntValue(width)}, type.getElementType());
    return TensorExpr(b, loc, tensor::ExtractSliceOp::create(b, loc, row, op.getGates(), at(0), {b.getIndexAttr(1), batch, width}, ones(3)));
  }
  /// Parts [first, first + count) of a row of gates: [B, count * H].
  TensorExpr getPart(TensorExpr row, int64_t first, int64_t count = 1) {
    auto type = RankedTensorType::get({stateType.getDimSize(0), count * size}, stateType.getElementType());
    SmallVector<OpFoldResult> offsets{b.getIndexAttr(0), b.getIndexAttr(first * size)},
        extents{batch, b.getIndexAttr(count * size)};
    return row.with(tensor::ExtractSliceOp::create(b, loc, type, row, offsets, extents, ones(2)));
  }
  TensorExpr multiply(TensorExpr x, Value weight) { return x.with(MatMulOp::create(b, loc, x, weight)); }
  TensorExpr activate(unsigned index, TensorExpr x) {
    if (op.getClip()) {
      double clip = op.getClip()->convertToDouble();
      x = x.with(MaxOp::create(b, loc, x, x.constant(-clip)));
      x = x.with(MinOp::create(b, loc, x, x.constant(clip)));
    }
    return applyActivation(cast<StringAttr>(op.getActivations()[index]).getValue(), op.getAlphas()[index],
                           op.getBetas()[index], x);
  }

private:
  Value castTo(Value value, Type type) { return b.createOrFold<tensor::CastOp>(loc, type, value); }
  SmallVector<OpFoldResult> at(int64_t column) { return {now, b.getIndexAttr(0), b.getIndexAttr(column)}; }
  SmallVector<OpFoldResult> sizes(int64_t width) { return {b.getIndexAttr(1), batch, b.getIndexAttr(width)}; }
  SmallVector<OpFoldResult> ones(unsigned rank) { return SmallVector<OpFoldResult>(rank, b.getIndexAttr(1)); }

  /// Whether each sequence goes on now: [B, 1]; null if all do.
  Value getRuns() {
    if (!op.getLengths())
      return {};
    Type i32 = b.getI32Type();
    Value position = arith::IndexCastOp::create(b, loc, i32, now);
    position = tensor::FromElementsOp::create(b, loc, RankedTensorType::get({}, i32), position);
    Value runs = CompareOp::create(b, loc, ComparePredicate::lt, position, op.getLengths());
    return UnsqueezeOp::create(b, loc, runs, ArrayRef<int64_t>{1});
  }

  Op op;
  Location loc;
  OpBuilder b;
  OpFoldResult time, batch;
  RankedTensorType stateType;
  int64_t size;
  Value now;
};

} // namespace

LogicalResult RnnOp::decompose(OpBuilder &builder, SmallVectorImpl<Value> &results) {
  TimeLoop<RnnOp> loop(*this, builder);
  if (!loop.isPossible())
    return failure();
  Value weight = loop.getWeight(0, 1);
  results = loop.run({loop.getInitial(getInitialH())}, [&](ArrayRef<TensorExpr> s) -> SmallVector<TensorExpr> {
    return {loop.activate(0, loop.multiply(s[0], weight) + loop.getGates())};
  });
  return success();
}

LogicalResult GruOp::decompose(OpBuilder &builder, SmallVectorImpl<Value> &results) {
  TimeLoop<GruOp> loop(*this, builder);
  if (!loop.isPossible())
    return failure();
  auto addBias = [&](TensorExpr x) { return getRecurrentBias() ? x + x.with(getRecurrentBias()) : x; };
  auto mix = [](TensorExpr z, TensorExpr n, TensorExpr h) { return (1.0 - z) * n + z * h; };
  if (getLinearBeforeReset()) {
    Value weight = loop.getWeight(0, 3);
    results = loop.run({loop.getInitial(getInitialH())}, [&](ArrayRef<TensorExpr> s) -> SmallVector<TensorExpr> {
      TensorExpr h = s[0], product = loop.multiply(h, weight), gates = loop.getGates();
      auto part = [&](int64_t k) { return loop.getPart(product, k); };
      TensorExpr z = loop.activate(0, part(0) + loop.getPart(gates, 0));
      TensorExpr r = loop.activate(0, part(1) + loop.getPart(gates, 1));
      TensorExpr n = loop.activate(1, r * addBias(part(2)) + loop.getPart(gates, 2));
      return {mix(z, n, h)};
    });
    return success();
  }
  Value first = loop.getWeight(0, 2), last = loop.getWeight(2, 1);
  results = loop.run({loop.getInitial(getInitialH())}, [&](ArrayRef<TensorExpr> s) -> SmallVector<TensorExpr> {
    TensorExpr h = s[0], gates = loop.getGates();
    TensorExpr both = loop.multiply(h, first) + loop.getPart(gates, 0, 2);
    TensorExpr z = loop.activate(0, loop.getPart(both, 0)), r = loop.activate(0, loop.getPart(both, 1));
    TensorExpr n = loop.activate(1, addBias(loop.multiply(r * h, last)) + loop.getPart(gates, 2));
    return {mix(z, n, h)};
  });
  return success();
}

LogicalResult LstmOp::decompose(OpBuilder &builder, SmallVectorImpl<Value> &results) {
  TimeLoop<LstmOp> loop(*this, builder);
  if (!loop.isPossible())
    return failure();
  enum { kInput, kOutput, kForget, kCell };
  Value weight = loop.getWeight(0, 4), peepholes[3];
  for (int64_t k = 0; k < 3 && getPeepholes(); ++k)
    peepholes[k] = loop.getVector(getPeepholes(), k);
  results = loop.run(
      {loop.getInitial(getInitialH()), loop.getInitial(getInitialC())},
      [&](ArrayRef<TensorExpr> s) -> SmallVector<TensorExpr> {
        TensorExpr h = s[0], c = s[1], gates = loop.multiply(h, weight) + loop.getGates();
        auto getGate = [&](int64_t k) { return loop.getPart(gates, k); };
        auto look = [&](int64_t k, TensorExpr x, TensorExpr cell) {
          return peepholes[k] ? x + x.with(peepholes[k]) * cell : x;
        };
        TensorExpr i = loop.activate(0, look(kInput, getGate(kInput), c));
        TensorExpr f = getInputForget() ? 1.0 - i : loop.activate(0, look(kForget, getGate(kForget), c));
        TensorExpr cell = f * c + i * loop.activate(1, getGate(kCell));
        TensorExpr o = loop.activate(0, look(kOutput, getGate(kOutput), cell));
        return {o * loop.activate(2, cell), cell};
      });
  return success();
}
