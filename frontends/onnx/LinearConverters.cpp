//===- LinearConverters.cpp - Matrix products, determinants -----*- C++ -*-===//
#include "dialects/nn/CodedTypes.h"
#include "dialects/nn/Expr.h"
#include "frontends/onnx/Loops.h"
#include "frontends/onnx/ShapeVectors.h"
#include "frontends/onnx/TensorData.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace nacre;
using namespace nacre::frontend;

static LogicalResult convertMatMul(NodeContext &c) {
  Value lhs = c.input(0), rhs = c.input(1);
  bool row = NodeContext::rankOf(lhs) == 1, column = NodeContext::rankOf(rhs) == 1;
  if (NodeContext::rankOf(lhs) == 0 || NodeContext::rankOf(rhs) == 0)
    return c.error("expected operands of rank 1 or more, found a scalar");
  // A vector is a matrix of one row, or of one column, that goes away again.
  if (row)
    lhs = c.make<nn::UnsqueezeOp>(lhs, ArrayRef<int64_t>{0});
  if (column)
    rhs = c.make<nn::UnsqueezeOp>(rhs, ArrayRef<int64_t>{1});
  Value product = c.make<nn::MatMulOp>(lhs, rhs, /*transpose_lhs=*/false, /*transpose_rhs=*/false);
  if (!product)
    return failure();
  int64_t rank = NodeContext::rankOf(product);
  SmallVector<int64_t> axes;
  if (row)
    axes.push_back(rank - 2);
  if (column)
    axes.push_back(rank - 1);
  if (!axes.empty())
    product = c.make<nn::SqueezeOp>(product, axes);
  return c.replaceWith(product);
}

/// value * factor, without an op where the factor is 1.
static Value scale(NodeContext &c, Value value, double factor) {
  if (factor == 1 || !value)
    return value;
  return c.make<nn::MulOp>(value,
                           c.scalarConstant(NodeContext::typeOf(value).getElementType(), factor));
}

/// alpha * A * B + beta * C.
static LogicalResult convertGemm(NodeContext &c) {
  double alpha = c.getFloat("alpha", 1), beta = c.getFloat("beta", 1);
  bool transposeA = c.getFlag("transA"), transposeB = c.getFlag("transB");
  for (unsigned i : {0, 1})
    if (NodeContext::rankOf(c.input(i)) != 2)
      return c.error("expected matrices, found " + Twine(NodeContext::rankOf(c.input(i))) +
                     " dimensions in input " + Twine(i));
  Value product = c.make<nn::MatMulOp>(c.input(0), c.input(1), transposeA, transposeB);
  product = scale(c, product, alpha);
  Value bias = c.input(2);
  if (bias && c.version() < 7)
    bias = c.alignLegacyBroadcast(product, bias);
  if (!bias || beta == 0)
    return c.replaceWith(product);
  if (NodeContext::rankOf(bias) > 2)
    return c.error("expected a C of at most 2 dimensions, found " + Twine(NodeContext::rankOf(bias)));
  return c.replaceWith<nn::AddOp>(product, scale(c, bias, beta));
}

/// One step of Gauss's elimination on matrices [..., n, n]: the largest of column `k` from
/// row `k` on is brought to row `k` and makes zeros below. `det` takes it as a factor.
static void eliminate(NodeContext &c, Value &matrices, Value &det, Value k, Value rows) {
  int64_t rank = c.rankOf(matrices);
  Type type = c.typeOf(matrices).getElementType();
  Value zero = c.scalarConstant(type, 0), one = c.scalarConstant(type, 1), minusOne = c.scalarConstant(type, -1);
  auto compare = [&](nn::ComparePredicate predicate, Value lhs, Value rhs) {
    return c.make<nn::CompareOp>(predicate, lhs, rhs);
  };
  // A vector of rows beside the matrices' columns.
  auto standing = [&](Value x) { return c.make<nn::UnsqueezeOp>(x, ArrayRef<int64_t>{c.rankOf(x)}); };
  auto columnOf = [&](Value x) { return c.make<nn::GatherOp>(x, k, rank - 1, /*in_bounds=*/true); };
  Value magnitudes = c.make<nn::WhereOp>(compare(nn::ComparePredicate::ge, rows, k),
                                         c.make<nn::AbsOp>(columnOf(matrices)), minusOne);
  Value place = c.make<nn::ArgReduceOp>(nn::ReduceKind::max, magnitudes, rank - 2, /*keepdims=*/true,
                                        /*select_last=*/false);
  Value isPivot = compare(nn::ComparePredicate::eq, rows, place), isK = compare(nn::ComparePredicate::eq, rows, k);
  Value rowK = c.make<nn::GatherOp>(matrices, k, rank - 2, /*in_bounds=*/true);
  if (c.hadError())
    return;
  rowK = c.make<nn::UnsqueezeOp>(rowK, ArrayRef<int64_t>{rank - 2});
  Value pivotRow = c.make<nn::ReduceOp>(nn::ReduceKind::sum,
                                        c.make<nn::WhereOp>(standing(isPivot), matrices, zero),
                                        ArrayRef<int64_t>{rank - 2}, /*keepdims=*/true);
  matrices = c.make<nn::WhereOp>(standing(isPivot), rowK, matrices);
  matrices = c.make<nn::WhereOp>(standing(isK), pivotRow, matrices);
  Value pivot = columnOf(pivotRow);
  Value sign = c.make<nn::WhereOp>(compare(nn::ComparePredicate::eq, place, k), one, minusOne);
  det = c.make<nn::MulOp>(det, c.make<nn::SqueezeOp>(c.make<nn::MulOp>(pivot, sign), ArrayRef<int64_t>{rank - 2}));
  // Without a pivot the column is zero already, and the determinant for good.
  Value isBelow = c.make<nn::AndOp>(compare(nn::ComparePredicate::gt, rows, k),
                                    compare(nn::ComparePredicate::ne, pivot, zero));
  Value factors = c.make<nn::WhereOp>(isBelow, c.make<nn::DivOp>(columnOf(matrices), pivot), zero);
  if (!c.hadError())
    matrices = c.make<nn::SubOp>(matrices, c.make<nn::MulOp>(standing(factors), pivotRow));
}

/// By elimination, a loop over the columns; narrow types in f32.
static LogicalResult convertDet(NodeContext &c) {
  ShapeVectors v(c);
  OpBuilder &b = c.getBuilder();
  Location loc = c.getLoc();
  RankedTensorType type = c.inputType(0);
  int64_t rank = type.getRank();
  if (rank < 2)
    return c.error("expected matrices, found rank " + Twine(rank));
  Type compute = nn::getComputeType(type.getElementType());
  Value matrices = v.cast(c.input(0), compute), size = v.size(matrices, rank - 1);
  Value isSquare = v.compare(nn::ComparePredicate::eq, v.toScalar(v.size(matrices, rank - 2)), v.toScalar(size));
  if (failed(c.require(isSquare, "expected square matrices")))
    return failure();
  Value shape = v.part(v.shape(matrices), 0, rank - 2);
  Value det = v.broadcast(c.scalarConstant(compute, 1), shape);
  Value rows = c.make<nn::RangeOp>(v.scalar(0), v.scalar(1), v.toScalar(size));
  if (c.hadError())
    return failure();

  SmallVector<Value> states{matrices, det}, next = states;
  LoopBody body{createDraft(c), {matrices.getType(), det.getType()}, {}, {}};
  Block &block = *body.draft.block;
  Value column = block.addArgument(b.getIndexType(), loc);
  for (Value &state : next)
    state = block.addArgument(state.getType(), loc);
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToEnd(&block);
    column = arith::IndexCastOp::create(b, loc, b.getI64Type(), column);
    Value k = tensor::FromElementsOp::create(b, loc, RankedTensorType::get({}, b.getI64Type()), column);
    eliminate(c, next[0], next[1], k, rows);
  }
  if (c.hadError())
    return failure();
  Value count = tensor::DimOp::create(b, loc, matrices, rank - 1);
  auto results = buildLoop(c, body, states, next, {}, count, /*condition=*/{}, /*first=*/{});
  return results ? c.replaceWith(v.cast((*results)[1], type.getElementType())) : failure();
}

/// One column of Gauss and Jordan's elimination, on [matrix, what becomes the inverse].
static void clearColumn(NodeContext &c, std::pair<Value, Value> &state, Value k, Value rows) {
  int64_t rank = c.rankOf(state.first);
  Value zero = c.scalarConstant(c.typeOf(state.first).getElementType(), 0);
  Value minusOne = c.scalarConstant(c.typeOf(state.first).getElementType(), -1);
  auto compare = [&](nn::ComparePredicate p, Value lhs, Value rhs) { return c.make<nn::CompareOp>(p, lhs, rhs); };
  auto standing = [&](Value row) { return c.make<nn::UnsqueezeOp>(row, ArrayRef<int64_t>{c.rankOf(row)}); };
  Value column = c.make<nn::GatherOp>(state.first, k, rank - 1, /*in_bounds=*/true);
  if (c.hadError())
    return;
  Value sizes = c.make<nn::WhereOp>(compare(nn::ComparePredicate::ge, rows, k), c.make<nn::AbsOp>(column), minusOne);
  Value place = c.make<nn::ArgReduceOp>(nn::ReduceKind::max, sizes, rank - 2, /*keepdims=*/true, /*select_last=*/false);
  Value isPivot = standing(compare(nn::ComparePredicate::eq, rows, place)), isK = standing(compare(nn::ComparePredicate::eq, rows, k));
  // The row of the pivot, and the k-th in its place.
  auto exchange = [&](Value x) -> std::pair<Value, Value> {
    Value rowK = c.make<nn::GatherOp>(x, k, rank - 2, /*in_bounds=*/true);
    if (c.hadError())
      return {};
    rowK = c.make<nn::UnsqueezeOp>(rowK, ArrayRef<int64_t>{rank - 2});
    Value pivotRow = c.make<nn::ReduceOp>(nn::ReduceKind::sum, c.make<nn::WhereOp>(isPivot, x, zero),
                                          ArrayRef<int64_t>{rank - 2}, /*keepdims=*/true);
    return {pivotRow, c.make<nn::WhereOp>(isPivot, rowK, x)};
  };
  auto [pivotRow, matrix] = exchange(state.first);
  auto [otherRow, other] = exchange(state.second);
  if (c.hadError())
    return;
  Value pivot = standing(c.make<nn::GatherOp>(pivotRow, k, rank - 1, /*in_bounds=*/true));
  Value factors = standing(c.make<nn::GatherOp>(matrix, k, rank - 1, /*in_bounds=*/true));
  auto clear = [&](Value x, Value row) {
    Value scaled = c.make<nn::DivOp>(row, pivot);
    return c.make<nn::WhereOp>(isK, scaled, c.make<nn::SubOp>(x, c.make<nn::MulOp>(factors, scaled)));
  };
  state = {clear(matrix, pivotRow), clear(other, otherRow)};
}

/// com.microsoft's Inverse, of matrices; narrow types in f32.
static LogicalResult convertInverse(NodeContext &c) {
  ShapeVectors v(c);
  OpBuilder &b = c.getBuilder();
  Location loc = c.getLoc();
  if (c.numInputs() != 1 || !c.hasInput(0) || c.rankOf(c.input(0)) < 2)
    return c.error("expected matrices");
  int64_t rank = c.rankOf(c.input(0));
  Type element = c.inputType(0).getElementType(), compute = nn::getComputeType(element);
  if (!nn::isArithmeticFloat(element))
    return c.error("input 0 has the element type " + getDataTypeName(getDataType(element)) +
                   ", expected a floating-point type of at least 16 bits");
  Value matrices = v.cast(c.input(0), compute), size = v.size(matrices, rank - 1);
  Value isSquare = v.compare(nn::ComparePredicate::eq, v.toScalar(v.size(matrices, rank - 2)), v.toScalar(size));
  if (failed(c.require(isSquare, "expected square matrices")))
    return failure();
  Value rows = c.make<nn::RangeOp>(v.scalar(0), v.scalar(1), v.toScalar(size));
  Value diagonal = rows ? v.compare(nn::ComparePredicate::eq, c.make<nn::UnsqueezeOp>(rows, ArrayRef<int64_t>{1}), rows) : Value();
  Value ones = v.cast(diagonal, compute), identity = ones ? c.make<nn::BroadcastOp>(ones, v.shape(matrices)) : Value();
  if (c.hadError())
    return failure();
  SmallVector<Value> states{matrices, identity}, next;
  LoopBody body{createDraft(c), {matrices.getType(), identity.getType()}, {}, {}};
  Block &block = *body.draft.block;
  Value column = block.addArgument(b.getIndexType(), loc);
  std::pair<Value, Value> current{block.addArgument(matrices.getType(), loc), block.addArgument(identity.getType(), loc)};
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToEnd(&block);
    column = arith::IndexCastOp::create(b, loc, b.getI64Type(), column);
    Value k = tensor::FromElementsOp::create(b, loc, RankedTensorType::get({}, b.getI64Type()), column);
    clearColumn(c, current, k, rows);
  }
  if (c.hadError())
    return failure();
  next = {current.first, current.second};
  Value count = tensor::DimOp::create(b, loc, matrices, rank - 1);
  auto results = buildLoop(c, body, states, next, {}, count, /*condition=*/{}, /*first=*/{});
  return results ? c.replaceWith(v.cast((*results)[1], element)) : failure();
}

void nacre::frontend::registerLinearConverters(ConverterTable &table) {
  table.add("MatMul", convertMatMul);
  table.add("Gemm", convertGemm);
  table.add("Einsum", convertEinsum);
  table.add("Det", convertDet);
  table.add("Inverse", convertInverse, "com.microsoft");
}
