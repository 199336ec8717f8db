//===- ReductionConverters.cpp - Reductions over axes -----------*- C++ -*-===//
#include "frontends/onnx/Converter.h"
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
};
} // namespace

/// `axes` became an input in opset 13 for ReduceSum, in 18 for all others. No axes
/// are all of them, or none at all if `noop_with_empty_axes` says so.
static std::optional<ReducedAxes> getReducedAxes(NodeContext &c) {
  int64_t inputSince = c.opType() == "ReduceSum" ? 13 : 18;
  bool keepdims = c.getFlag("keepdims", true);
  bool none = c.version() >= inputSince && c.getFlag("noop_with_empty_axes");
  auto given = c.constantIntsOperand("axes", 1, inputSince);
  if (c.hadError())
    return std::nullopt;
  int64_t rank = c.rankOf(c.input(0));
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

static Value reduce(NodeContext &c, ReduceKind kind, Value x,
                    const ReducedAxes &axes) {
  return c.make<nn::ReduceOp>(kind, x, axes.axes, axes.keepdims);
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
  Value x = widen(c, c.input(0), false);
  Value sum = reduce(c, ReduceKind::sum, c.make<nn::MulOp>(x, x), *axes);
  if (!sum)
    return failure();
  Value root = c.make<nn::SqrtOp>(widen(c, sum, true));
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
  ReducedAxes kept{axes->axes, true};
  Value maximum = reduce(c, ReduceKind::max, x, kept);
  Value zero = c.scalarConstant(elementTypeOf(x), 0);
  maximum = c.make<nn::WhereOp>(c.make<nn::IsInfOp>(maximum, true, true), zero,
                                maximum);
  Value terms = c.make<nn::ExpOp>(c.make<nn::SubOp>(x, maximum));
  Value log = c.make<nn::LogOp>(reduce(c, ReduceKind::sum, terms, kept));
  Value result = c.make<nn::AddOp>(log, maximum);
  if (!axes->keepdims)
    result = c.make<nn::SqueezeOp>(result, axes->axes);
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

template <ReduceKind kind>
static LogicalResult convertCumulative(NodeContext &c) {
  bool exclusive = c.getFlag("exclusive"), reverse = c.getFlag("reverse");
  auto given = c.constantInts(c.input(1));
  if (!given)
    return c.error(
        "input 1 (axis) is not known at compile time, which is not supported");
  if (given->size() != 1)
    return c.error("input 1 (axis) has " + Twine(given->size()) +
                   " elements, expected one");
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
