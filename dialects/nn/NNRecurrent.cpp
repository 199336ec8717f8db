//===- NNRecurrent.cpp - Recurrent layers -----------------------*- C++ -*-===//
#include "dialects/nn/NNChecks.h"
#include "dialects/nn/NNOps.h"
#include "dialects/nn/NNSizeMath.h"

using namespace mlir;
using namespace nacre::nn;

namespace {

/// An operand whose sizes follow from T (time), B (batch) and H (state size), and how
/// many times H (0: not a multiple of it).
struct Expected {
  Value operand;
  StringRef name;
  SmallVector<int64_t> timesH; // per dimension; kBatch and kTime stand for B and T
};
constexpr int64_t kTime = -1, kBatch = -2;

template <typename Op> constexpr int64_t kGates = 1;
template <> constexpr int64_t kGates<GruOp> = 3;
template <> constexpr int64_t kGates<LstmOp> = 4;
template <typename Op> constexpr int64_t kActivations = 1;
template <> constexpr int64_t kActivations<GruOp> = 2;
template <> constexpr int64_t kActivations<LstmOp> = 3;

/// Every operand that is there, and its sizes. Works on ops and their adaptors.
template <typename Op, typename OpOrAdaptor> SmallVector<Expected> getExpected(OpOrAdaptor op) {
  constexpr int64_t n = kGates<Op>;
  SmallVector<Expected> list{{op.getGates(), "gates", {kTime, kBatch, n}},
                             {op.getRecurrent(), "recurrent weight", {n, 1}},
                             {op.getInitialH(), "initial state", {kBatch, 1}},
                             {op.getLengths(), "lengths", {kBatch}}};
  if constexpr (std::is_same_v<Op, GruOp>)
    list.push_back({op.getRecurrentBias(), "recurrent bias", {1}});
  if constexpr (std::is_same_v<Op, LstmOp>) {
    list.push_back({op.getInitialC(), "initial cell", {kBatch, 1}});
    list.push_back({op.getPeepholes(), "peepholes", {3}});
  }
  llvm::erase_if(list, [](const Expected &e) { return !e.operand; });
  return list;
}

template <typename Op>
LogicalResult inferTypes(std::optional<Location> loc, ValueRange operands,
                         typename Op::Adaptor op, SmallVectorImpl<Type> &types) {
  int64_t time = ShapedType::kDynamic, batch = time, state = time;
  SmallVector<Expected> list = getExpected<Op>(op);
  auto element = cast<RankedTensorType>(op.getGates().getType()).getElementType();
  for (const Expected &expected : list) {
    auto type = cast<RankedTensorType>(expected.operand.getType());
    if (type.getRank() != static_cast<int64_t>(expected.timesH.size()))
      return emitOptionalError(loc, "expected ", expected.name, " of rank ", expected.timesH.size(),
                               ", found ", type);
    if (type.getElementType() != element && expected.operand != op.getLengths())
      return emitOptionalError(loc, "expected ", expected.name, " of ", element, ", found ", type);
    for (auto [size, times] : llvm::zip(type.getShape(), expected.timesH)) {
      if (ShapedType::isDynamic(size))
        continue;
      int64_t &known = times == kTime ? time : times == kBatch ? batch : state;
      int64_t factor = std::max<int64_t>(times, 1);
      if (size % factor != 0 || (!ShapedType::isDynamic(known) && known != size / factor))
        return emitOptionalError(loc, "the size ", size, " in the ", expected.name, ", ", type,
                                 ", does not fit the other operands");
      known = size / factor;
    }
  }
  types.push_back(RankedTensorType::get({time, batch, state}, element));
  types.append(Op::template hasTrait<OpTrait::NResults<3>::Impl>() ? 2 : 1,
               RankedTensorType::get({batch, state}, element));
  return success();
}

template <typename Op> LogicalResult verifyRecurrent(Op op) {
  static constexpr StringRef known[] = {"affine", "elu", "hard_sigmoid", "leaky_relu", "relu",
                                        "scaled_tanh", "sigmoid", "softplus", "softsign", "tanh",
                                        "thresholded_relu"};
  size_t count = kActivations<Op>;
  if (op.getActivations().size() != count || op.getAlphas().size() != count ||
      op.getBetas().size() != count)
    return op.emitOpError("expects ") << count << " activations, alphas and betas";
  for (auto name : op.getActivations().template getAsValueRange<StringAttr>())
    if (!llvm::is_contained(known, name))
      return op.emitOpError("names an unknown activation: ") << name;
  if (op.getClip() && op.getClip()->convertToDouble() <= 0)
    return op.emitOpError("expects a positive clip");
  return success();
}

template <typename Op> SmallVector<SmallVector<OpFoldResult>> reify(OpBuilder &b, Op op) {
  OpFoldResult time = getDim(b, op.getLoc(), op.getGates(), 0),
               batch = getDim(b, op.getLoc(), op.getGates(), 1),
               state = getDim(b, op.getLoc(), op.getRecurrent(), 1);
  SmallVector<SmallVector<OpFoldResult>> sizes(op->getNumResults(), {batch, state});
  sizes[0] = {time, batch, state};
  return sizes;
}

template <typename Op> void pushChecks(OpBuilder &b, Op op, SmallVectorImpl<RuntimeCheck> &checks) {
  SizeMath m(b, op.getLoc());
  OpFoldResult batch = m.dim(op.getGates(), 1), state = m.dim(op.getRecurrent(), 1);
  for (const Expected &expected : getExpected<Op>(op))
    for (auto [dim, times] : llvm::enumerate(expected.timesH)) {
      if (times == kTime)
        continue;
      OpFoldResult wanted = times == kBatch ? batch : m.mul(state, m.constant(times));
      pushSizeCheck(b, op.getLoc(), m.dim(expected.operand, dim), wanted,
                    ("dimension " + Twine(dim) + " of the " + expected.name +
                     " does not fit the other operands").str(), checks);
    }
  if (op.getLengths())
    pushRangeCheck(b, op.getLoc(), op.getLengths(), m.dim(op.getGates(), 0),
                   "a sequence's length is negative or above the number of time steps", checks);
}

} // namespace

#define RECURRENT_OP(Op)                                                                           \
  LogicalResult Op::inferReturnTypes(MLIRContext *, std::optional<Location> loc,                   \
                                     ValueRange operands, DictionaryAttr, OpaqueProperties p,      \
                                     RegionRange, SmallVectorImpl<Type> &types) {                  \
    return inferTypes<Op>(loc, operands, Adaptor(operands, nullptr, p), types);                    \
  }                                                                                                \
  LogicalResult Op::reifyResultShapes(OpBuilder &b, ReifiedRankedShapedTypeDims &dims) {           \
    dims = reify(b, *this);                                                                        \
    return success();                                                                              \
  }                                                                                                \
  LogicalResult Op::verify() { return verifyRecurrent(*this); }                                    \
  void Op::buildChecks(OpBuilder &b, SmallVectorImpl<RuntimeCheck> &checks) {                      \
    pushChecks(b, *this, checks);                                                                  \
  }                                                                                                \
  OpFoldResult Op::buildFlops(OpBuilder &b) {                                                      \
    SizeMath m(b, getLoc());                                                                       \
    SmallVector<OpFoldResult> factors = m.dims(getGates());                                        \
    factors.push_back(m.dim(getRecurrent(), 1));                                                   \
    factors.push_back(m.constant(2));                                                              \
    return m.product(factors);                                                                     \
  }

RECURRENT_OP(RnnOp)
RECURRENT_OP(GruOp)
RECURRENT_OP(LstmOp)
