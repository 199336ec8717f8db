//===- Coupling.cpp - Probabilities of classes from pairs -------*- C++ -*-===//
//
// Wu, Lin and Weng, "Probability Estimates for Multi-class Classification by Pairwise
// Coupling" (2004), the second method, as LIBSVM computes it and ONNX Runtime after it: p is
// improved one class after the other until nothing is off by more than 0.005 over the number of
// classes, which is where their results stop being the same as an exact solution's.
//
//===----------------------------------------------------------------------===//
#include "frontends/onnx/Loops.h"
#include "frontends/onnx/Scores.h"
#include "frontends/onnx/ShapeVectors.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/ADT/Sequence.h"

using namespace mlir;
using namespace nacre;
using namespace nacre::frontend;

namespace {

/// What changes from class to class: p and Qp, [rows, classes], and pᵀQp, [rows, 1].
struct Estimate {
  Value p, product, square;
};

/// Pairwise coupling of rows.
class Coupling {
public:
  Coupling(NodeContext &c, int64_t classes) : c(c), v(c), classes(classes), f32(c.getBuilder().getF32Type()) {}

  Value run(Value shares);

private:
  Value number(double value) { return c.scalarConstant(f32, value); }
  Value sumOver(Value x, int64_t axis) {
    return x ? c.make<nn::ReduceOp>(nn::ReduceKind::sum, x, ArrayRef<int64_t>{axis}, /*keepdims=*/true) : Value();
  }
  Value columnOf(Value x, Value index) {
    Value column = x ? c.make<nn::GatherOp>(x, index, 1, /*in_bounds=*/true) : Value();
    return column ? c.make<nn::UnsqueezeOp>(column, ArrayRef<int64_t>{1}) : Value();
  }
  Value makeMatrix(Value shares);
  Estimate improve(const Estimate &before, Value index);
  Value improveAll(const Estimate &before);
  /// A loop over `states`, whose `step` gives the next ones of the iteration (an index) and these; it may set a
  /// condition to go on.
  using Step = llvm::function_ref<SmallVector<Value>(Value, ArrayRef<Value>, Value &)>;
  std::optional<SmallVector<Value>> loop(ArrayRef<Value> states, int64_t count, Step step);

  NodeContext &c;
  ShapeVectors v;
  int64_t classes;
  Type f32;
  /// [rows, classes, classes]
  Value matrix;
};

} // namespace

std::optional<SmallVector<Value>> Coupling::loop(ArrayRef<Value> states, int64_t count, Step step) {
  OpBuilder &b = c.getBuilder();
  LoopBody body{createDraft(c), llvm::to_vector(ValueRange(states).getTypes()), {}, {}};
  Block &block = *body.draft.block;
  Value number = block.addArgument(b.getIndexType(), c.getLoc()), condition;
  SmallVector<Value> current, next;
  for (Value state : states)
    current.push_back(block.addArgument(state.getType(), c.getLoc()));
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToEnd(&block);
    next = step(number, current, condition);
  }
  if (c.hadError() || llvm::is_contained(next, Value()))
    return std::nullopt;
  Value first = arith::ConstantIntOp::create(b, c.getLoc(), 1, 1);
  return buildLoop(c, body, states, next, {}, arith::ConstantIndexOp::create(b, c.getLoc(), count), condition, first);
}

/// Qᵢⱼ = -rⱼᵢrᵢⱼ, and Qᵢᵢ the sum of the squares of rⱼᵢ.
Value Coupling::makeMatrix(Value shares) {
  int64_t pairs = classes * (classes - 1) / 2, pair = 0;
  // Columns of the shares, of what they lack to 1, and zeros.
  SmallVector<int64_t> places(classes * classes, 2 * pairs);
  for (int64_t i = 0; i < classes; ++i)
    for (int64_t j = i + 1; j < classes; ++j, ++pair) {
      places[i * classes + j] = pair;
      places[j * classes + i] = pairs + pair;
    }
  Value others = v.sub(number(1), shares);
  Value zeros = others ? v.mul(columnOf(shares, v.scalar(0)), number(0)) : Value();
  Value all = zeros ? c.make<nn::ConcatOp>(ValueRange{shares, others, zeros}, 1) : Value();
  Value flat = all ? c.make<nn::GatherOp>(all, v.constant(places), 1, /*in_bounds=*/true) : Value();
  Value sizes = v.concat({v.size(shares, 0), v.constant({classes, classes})});
  Value r = flat && sizes ? c.make<nn::ReshapeOp>(flat, sizes, /*allowzero=*/true) : Value();
  if (!r)
    return {};
  Value turned = c.make<nn::TransposeOp>(r, ArrayRef<int64_t>{0, 2, 1});
  SmallVector<double> ones(classes * classes, 0);
  for (int64_t i = 0; i < classes; ++i)
    ones[i * (classes + 1)] = 1;
  Value diagonal = c.make<nn::ReshapeOp>(vectorConstant(c, f32, ones), v.constant({classes, classes}), /*allowzero=*/true);
  Value squares = sumOver(v.mul(r, r), 1);
  Value product = v.mul(r, turned);
  return product && squares ? v.sub(v.mul(squares, diagonal), product) : Value();
}

/// The best pᵢ where the others stay, and all of them over their sum.
Estimate Coupling::improve(const Estimate &before, Value index) {
  OpBuilder &b = c.getBuilder();
  Value wide = arith::IndexCastOp::create(b, c.getLoc(), b.getI64Type(), index);
  Value i = tensor::FromElementsOp::create(b, c.getLoc(), RankedTensorType::get({}, b.getI64Type()), wide);
  Value row = c.make<nn::GatherOp>(matrix, i, 1, /*in_bounds=*/true);
  Value own = columnOf(row, i), product = columnOf(before.product, i);
  Value difference = v.div(v.sub(before.square, product), own);
  Value sum = v.add(difference, number(1));
  Value isOwn = v.compare(nn::ComparePredicate::eq, c.intsConstant(llvm::to_vector(llvm::seq<int64_t>(0, classes))), i);
  Value change = v.mul(difference, v.add(v.mul(difference, own), v.mul(product, number(2))));
  return {v.div(v.select(isOwn, v.add(before.p, difference), before.p), sum),
          v.div(v.add(before.product, v.mul(difference, row)), sum),
          v.div(v.div(v.add(before.square, change), sum), sum)};
}

Value Coupling::improveAll(const Estimate &before) {
  auto after = loop({before.p, before.product, before.square}, classes, [&](Value index, ArrayRef<Value> states, Value &) {
    Estimate next = improve({states[0], states[1], states[2]}, index);
    return SmallVector<Value>{next.p, next.product, next.square};
  });
  return after ? after->front() : Value();
}

Value Coupling::run(Value shares) {
  constexpr int64_t kMostSteps = 100;
  matrix = makeMatrix(shares);
  Value sizes = v.concat({v.size(shares, 0), v.constant(classes)});
  Value start = sizes ? c.make<nn::BroadcastOp>(number(1.0 / double(classes)), sizes) : Value();
  if (!matrix || !start)
    return {};
  auto result = loop(start, kMostSteps, [&](Value, ArrayRef<Value> states, Value &condition) -> SmallVector<Value> {
    Value p = states[0];
    Value standing = c.make<nn::UnsqueezeOp>(p, ArrayRef<int64_t>{2});
    Value product = standing ? c.make<nn::MatMulOp>(matrix, standing, /*transpose_lhs=*/false, /*transpose_rhs=*/false)
                             : Value();
    product = product ? c.make<nn::SqueezeOp>(product, ArrayRef<int64_t>{2}) : Value();
    Value square = sumOver(v.mul(p, product), 1), off = square ? c.make<nn::AbsOp>(v.sub(product, square)) : Value();
    Value most = off ? c.make<nn::ReduceOp>(nn::ReduceKind::max, off, ArrayRef<int64_t>{1}, /*keepdims=*/true) : Value();
    Value isDone = v.compare(nn::ComparePredicate::lt, most, number(0.005 / double(classes)));
    Value better = isDone ? improveAll({p, product, square}) : Value();
    if (!better)
      return {Value()};
    condition = c.make<nn::NotOp>(v.all(c.make<nn::CollapseOp>(isDone, 0, 2)));
    return {v.select(isDone, p, better)};
  });
  return result ? result->front() : Value();
}

Value frontend::coupleShares(NodeContext &c, Value shares, int64_t classes) { return Coupling(c, classes).run(shares); }
