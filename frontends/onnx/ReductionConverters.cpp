//===- ReductionConverters.cpp - Reductions over axes -----------*- C++ -*-===//
#include "frontends/onnx/ShapeVectors.h"
#include "llvm/ADT/Sequence.h"

using namespace mlir;
using namespace nacre;
using namespace nacre::frontend;
using nn::ReduceKind;

//===----------------------------------------------------------------------===//
// Reduce*
//===----------------------------------------------------------------------===//

namespace {
/// What all Reduce* operators say about dimensions.
struct ReducedAxes {
  SmallVector<int64_t> axes;
  bool keepdims;
  /// Instead of `axes` where they arrive at run time: other than 0 for each dimension
  /// that is reduced.
  Value marks = {};
  /// Of the result without the reduced dimensions.
  int64_t rank = 0;
};
} // namespace

/// Axes that are not known at compile time. How many they are tells the result's rank;
/// if that is not known either, the model must declare it.
static std::optional<ReducedAxes> getMarkedAxes(NodeContext &c, Value axes, bool keepdims, bool none) {
  ShapeVectors v(c);
  int64_t rank = c.rankOf(c.input(0));
  ReducedAxes reduced{{}, keepdims};
  reduced.marks = v.marks(axes, rank);
  auto count = v.knownLength(axes);
  if (count && *count > 0) {
    reduced.rank = rank - *count;
  } else {
    // There may be no axes: all dimensions, unless that means none.
    if (!none) {
      Value hasNone = v.compare(nn::ComparePredicate::eq, v.shape(axes), v.constant(0));
      reduced.marks = v.select(hasNone, v.repeat(1, rank), reduced.marks);
    }
    if (!keepdims)
      reduced.rank = v.resultRank(count ? std::optional(none ? rank : 0) : std::nullopt, "axes", [&] {
                        Value isLeft = v.compare(nn::ComparePredicate::eq, reduced.marks, v.repeat(0, rank));
                        return OpenRank{v.sum(v.toI64(isLeft)), 0, rank};
                      }).value_or(0);
  }
  return c.hadError() ? std::nullopt : std::optional(reduced);
}

/// `axes` became an input in opset 13 for ReduceSum, in 18 for all others. No axes
/// are all of them, or none at all if `noop_with_empty_axes` says so.
static std::optional<ReducedAxes> getReducedAxes(NodeContext &c) {
  int64_t inputSince = c.opType() == "ReduceSum" ? 13 : 18;
  bool keepdims = c.getFlag("keepdims", true);
  bool none = c.version() >= inputSince && c.getFlag("noop_with_empty_axes");
  int64_t rank = c.rankOf(c.input(0));
  Value operand = c.intsOperand("axes", 1, inputSince);
  if (c.hadError())
    return std::nullopt;
  auto given = c.constantInts(operand);
  if (operand && !given)
    return getMarkedAxes(c, operand, keepdims, none);
  if (!given || given->empty()) {
    auto all = llvm::to_vector(llvm::seq<int64_t>(0, none ? 0 : rank));
    return ReducedAxes{all, keepdims};
  }
  auto axes = c.normalizeAxes(*given, rank);
  if (!axes)
    return std::nullopt;
  llvm::sort(*axes);
  return ReducedAxes{*axes, keepdims};
}

/// Takes the reduced dimensions, which have size 1, away.
static Value dropReduced(NodeContext &c, Value x, const ReducedAxes &axes) {
  if (!x || !axes.marks)
    return x ? c.make<nn::SqueezeOp>(x, axes.axes) : Value();
  ShapeVectors v(c);
  Value shape = v.unmarked(v.shape(x), axes.marks, axes.rank);
  return shape ? c.make<nn::ReshapeOp>(x, shape, /*allowzero=*/true) : Value();
}

static Value reduce(NodeContext &c, ReduceKind kind, Value x,
                    const ReducedAxes &axes) {
  if (!axes.marks)
    return c.make<nn::ReduceOp>(kind, x, axes.axes, axes.keepdims);
  Value reduced = x ? c.make<nn::ReduceMarkedOp>(kind, x, axes.marks) : Value();
  return reduced && !axes.keepdims ? dropReduced(c, reduced, axes) : reduced;
}

template <ReduceKind kind>
static LogicalResult convertReduce(NodeContext &c) {
  auto axes = getReducedAxes(c);
  return axes ? c.replaceWith(reduce(c, kind, c.input(0), *axes)) : failure();
}

static Type elementTypeOf(Value value) {
  return NodeContext::typeOf(value).getElementType();
}

static Value castTo(NodeContext &c, Value x, Type type) {
  return !x || elementTypeOf(x) == type ? x : c.make<nn::CastOp>(x, type);
}

/// Squares and exponentials of narrow floats are summed as f32 before they are
/// rounded; logarithms and roots of integers are those of f64.
static Value widen(NodeContext &c, Value x, bool integersToo) {
  Type type = elementTypeOf(x);
  Builder &b = c.getBuilder();
  if (isa<FloatType>(type))
    return castTo(c, x,
                  type.getIntOrFloatBitWidth() < 32 ? b.getF32Type() : type);
  return integersToo ? castTo(c, x, b.getF64Type()) : x;
}

Value frontend::makeRoot(NodeContext &c, Value sum, double p) {
  if (!sum)
    return {};
  Type type = elementTypeOf(sum);
  Value zero = c.scalarConstant(type, 0), isZero = c.make<nn::CompareOp>(nn::ComparePredicate::eq, sum, zero);
  Value other = c.make<nn::WhereOp>(isZero, c.scalarConstant(type, 1), sum);
  Value root = p == 2 ? c.make<nn::SqrtOp>(other) : c.make<nn::PowOp>(other, c.scalarConstant(type, 1 / p));
  return c.make<nn::WhereOp>(isZero, zero, root);
}

static LogicalResult convertReduceL1(NodeContext &c) {
  auto axes = getReducedAxes(c);
  if (!axes)
    return failure();
  Value x = c.make<nn::AbsOp>(c.input(0));
  return c.replaceWith(reduce(c, ReduceKind::sum, x, *axes));
}

static LogicalResult convertReduceSumSquare(NodeContext &c) {
  auto axes = getReducedAxes(c);
  if (!axes)
    return failure();
  Value x = widen(c, c.input(0), false);
  Value sum = reduce(c, ReduceKind::sum, c.make<nn::MulOp>(x, x), *axes);
  return c.replaceWith(castTo(c, sum, elementTypeOf(c.input(0))));
}

static LogicalResult convertReduceL2(NodeContext &c) {
  auto axes = getReducedAxes(c);
  if (!axes)
    return failure();
  Value x = widen(c, c.input(0), false), squares = c.make<nn::MulOp>(x, x);
  // Squares that 32 bits hold have sums that they do not, as the references compute them.
  if (auto type = dyn_cast<IntegerType>(elementTypeOf(c.input(0))); type && type.getWidth() < 64)
    squares = castTo(c, squares, IntegerType::get(type.getContext(), 64, type.getSignedness()));
  Value sum = reduce(c, ReduceKind::sum, squares, *axes);
  if (!sum)
    return failure();
  Value root = frontend::makeRoot(c, widen(c, sum, true), 2);
  return c.replaceWith(castTo(c, root, elementTypeOf(c.input(0))));
}

static LogicalResult convertReduceLogSum(NodeContext &c) {
  auto axes = getReducedAxes(c);
  if (!axes)
    return failure();
  Value x = widen(c, c.input(0), true);
  Value log = c.make<nn::LogOp>(reduce(c, ReduceKind::sum, x, *axes));
  return c.replaceWith(castTo(c, log, elementTypeOf(c.input(0))));
}

/// log(sum(exp(x - m))) + m, where m is the maximum, or 0 if that is infinite.
static LogicalResult convertReduceLogSumExp(NodeContext &c) {
  auto axes = getReducedAxes(c);
  if (!axes)
    return failure();
  Value x = widen(c, c.input(0), true);
  if (!x)
    return failure();
  ReducedAxes kept = *axes;
  kept.keepdims = true;
  Value maximum = reduce(c, ReduceKind::max, x, kept);
  Value zero = c.scalarConstant(elementTypeOf(x), 0);
  maximum = c.make<nn::WhereOp>(c.make<nn::IsInfOp>(maximum, true, true), zero,
                                maximum);
  Value terms = c.make<nn::ExpOp>(c.make<nn::SubOp>(x, maximum));
  Value log = c.make<nn::LogOp>(reduce(c, ReduceKind::sum, terms, kept));
  Value result = c.make<nn::AddOp>(log, maximum);
  if (!axes->keepdims)
    result = dropReduced(c, result, *axes);
  return c.replaceWith(castTo(c, result, elementTypeOf(c.input(0))));
}

//===----------------------------------------------------------------------===//
// ArgMax, ArgMin, CumSum, CumProd
//===----------------------------------------------------------------------===//

template <ReduceKind kind>
static LogicalResult convertArgReduce(NodeContext &c) {
  auto axis = c.normalizeAxis(c.getInt("axis", 0), c.rankOf(c.input(0)));
  bool keepdims = c.getFlag("keepdims", true);
  bool last = c.version() >= 12 && c.getFlag("select_last_index");
  return axis ? c.replaceWith<nn::ArgReduceOp>(kind, c.input(0), *axis,
                                               keepdims, last)
              : failure();
}

/// Along an axis that arrives at run time.
static LogicalResult cumulateAround(NodeContext &c, ReduceKind kind, Value axis, bool exclusive,
                                    bool reverse) {
  ShapeVectors v(c);
  Value x = c.input(0), merged = v.sizesAround(x, axis);
  Value rows = merged ? c.make<nn::ReshapeOp>(x, merged, /*allowzero=*/true) : Value();
  Value result = rows ? c.make<nn::CumulativeOp>(kind, rows, 1, exclusive, reverse) : Value();
  return result ? c.replaceWith<nn::ReshapeOp>(result, v.shape(x), /*allowzero=*/true) : failure();
}

template <ReduceKind kind>
static LogicalResult convertCumulative(NodeContext &c) {
  bool exclusive = c.getFlag("exclusive"), reverse = c.getFlag("reverse");
  ShapeVectors v(c);
  Value operand = v.toI64(c.input(1));
  if (operand && c.rankOf(operand) > 1)
    return c.error("input 1 (axis) has rank " + Twine(c.rankOf(operand)) + ", expected one number");
  operand = v.ofLength(v.toVector(operand), 1, "axes");
  if (!operand || v.knownLength(operand) != 1)
    return c.error("input 1 (axis) is not one number");
  auto given = c.constantInts(operand);
  if (!given)
    return cumulateAround(c, kind, operand, exclusive, reverse);
  auto axis = c.normalizeAxis(given->front(), c.rankOf(c.input(0)));
  return axis ? c.replaceWith<nn::CumulativeOp>(kind, c.input(0), *axis,
                                                exclusive, reverse)
              : failure();
}

void nacre::frontend::registerReductionConverters(ConverterTable &table) {
  table.add("ReduceSum", convertReduce<ReduceKind::sum>);
  table.add("ReduceProd", convertReduce<ReduceKind::prod>);
  table.add("ReduceMax", convertReduce<ReduceKind::max>);
  table.add("ReduceMin", convertReduce<ReduceKind::min>);
  table.add("ReduceMean", convertReduce<ReduceKind::mean>);
  table.add("ReduceL1", convertReduceL1);
  table.add("ReduceL2", convertReduceL2);
  table.add("ReduceSumSquare", convertReduceSumSquare);
  table.add("ReduceLogSum", convertReduceLogSum);
  table.add("ReduceLogSumExp", convertReduceLogSumExp);
  table.add("ArgMax", convertArgReduce<ReduceKind::max>);
  table.add("ArgMin", convertArgReduce<ReduceKind::min>);
  table.add("CumSum", convertCumulative<ReduceKind::sum>);
  table.add("CumProd", convertCumulative<ReduceKind::prod>);
}
