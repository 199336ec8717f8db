//===- LoopGradients.cpp - The gradient of a counted loop -------*- C++ -*-===//
//
// Before: %r, %y = scf.for %i = 0 to %n (%a = %init, %e = %empty) {
//           %x = extract %xs[%i];  %p = nn.matmul %a, %w;  %b = f(%p, %x)
//           yield %b, (insert %b into %e[%i]) }
// After:  %r, %y, %as, %ps = scf.for ... { the same, and
//           insert %a into %as[%i];  insert %p into %ps[%i] }
//         %dinit, %dxs, %dps = scf.for %k = 0 to %n (%db = %dr) {
//           %i = %n - 1 - %k;  %p = extract %ps[%i]
//           %dp, %dx = the gradient of f(%p, %x) by %db + (extract %dy[%i])
//           yield nn.matmul %dp, %w^T, (insert %dx into %dxs[%i]), (insert %dp into %dps[%i]) }
//         %dw = nn.matmul %as^T, %dps                  one product of all iterations
//
// A loop keeps what it carries and its products, once for each iteration, as far as the
// gradient needs them; what else it computes is computed again. What it reads and writes row
// by row (%xs, %y) has its gradient row by row. The gradient of a factor from outside is one
// product over the rows of all iterations; of other values from outside it is a running sum.
// Of what is carried and changes its sizes, the elements of all iterations stand one behind
// the other, and beside them where each begins and its sizes. To know how many there are the
// loop runs once before, if they are needed at all.
//
//===----------------------------------------------------------------------===//
#include "compiler/train/Differentiator.h"
#include "compiler/train/LoopShapes.h"
#include "compiler/train/LoopStates.h"
#include "dialects/nn/NNOps.h"
#include "dialects/rt/RtOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/IR/IRMapping.h"

using namespace mlir;
using namespace nacre;
using namespace nacre::train;

namespace {

/// What is the same for all iterations of a loop that runs backwards, and what it stacks: a
/// row in each iteration.
struct Backward {
  scf::ForOp op;
  /// Of what it carries: the tensors whose sizes stay.
  llvm::BitVector fixed = {};
  /// Where rows stand now.
  Value place;
  /// Values of this loop that are rows of a value from outside.
  llvm::DenseMap<Value, Value> rowOf;
  /// A row each, made in this loop, and what it goes to.
  SmallVector<Value> rows, empties;
  SmallVector<SmallVector<OpFoldResult>> shapes;

  void addStack(Value row, ArrayRef<OpFoldResult> shape, Value empty) {
    rows.push_back(row);
    shapes.push_back(llvm::to_vector(shape));
    empties.push_back(empty);
  }

  /// A value from outside whose row `value` is, or (null, the number of a stack). Neither if
  /// there can be no stack.
  std::optional<std::pair<Value, unsigned>> getStack(Value value, const LoopStates &loop, graph::DimAnalysis &dims) {
    while (auto cast = value.getDefiningOp<tensor::CastOp>())
      value = cast.getSource();
    if (Value whole = rowOf.lookup(value))
      return std::make_pair(whole, 0u);
    if (auto found = llvm::find(rows, value); found != rows.end())
      return std::make_pair(Value(), static_cast<unsigned>(found - rows.begin()));
    auto shape = LoopStates::getFixedShape(value, op, fixed, dims);
    if (!shape)
      return std::nullopt;
    OpBuilder b(op);
    SmallVector<OpFoldResult> all{getAsOpFoldResult(loop.count)};
    llvm::append_range(all, *shape);
    addStack(value, *shape, tensor::EmptyOp::create(b, loop.loc, all, getElementTypeOrSelf(value.getType())));
    return std::make_pair(Value(), static_cast<unsigned>(rows.size() - 1));
  }
};

/// The summands of a sum that gradients were added up to.
void collectSummands(Value sum, SmallVectorImpl<Value> &summands) {
  if (auto cast = sum.getDefiningOp<tensor::CastOp>())
    return collectSummands(cast.getSource(), summands);
  if (auto add = sum.getDefiningOp<nn::AddOp>(); add && add.getLhs().getType() == add.getRhs().getType()) {
    collectSummands(add.getLhs(), summands);
    return collectSummands(add.getRhs(), summands);
  }
  summands.push_back(sum);
}

/// A product l^T r of matrices, summed over their rows; null if it is something else.
nn::MatMulOp getRowProduct(Value value) {
  auto product = value.getDefiningOp<nn::MatMulOp>();
  auto isMatrix = [](Value operand) { return cast<RankedTensorType>(operand.getType()).getRank() == 2; };
  bool sumsRows = product && product.getTransposeLhs() && !product.getTransposeRhs() && isMatrix(product.getLhs()) &&
                  isMatrix(product.getRhs());
  return sumsRows ? product : nullptr;
}

} // namespace

LogicalResult Differentiator::visitFor(scf::ForOp op, ArrayRef<Value> own) {
  Location loc = op.getLoc();
  llvm::SetVector<Value> captured = getCaptured(op);
  LoopStates loop(op, captured.getArrayRef(), dims);

  // What runs backwards: a gradient for each float that is carried, a sum for each from outside
  // that is not scanned.
  SmallVector<Value> inits, summed;
  SmallVector<unsigned> floats;
  for (auto [i, init] : llvm::enumerate(op.getInitArgs())) {
    if (!LoopStates::isFloatTensor(init.getType()) || loop.written[i])
      continue;
    floats.push_back(i);
    inits.push_back(own[i] ? castTo(loc, own[i], init.getType()) : createZeros(loc, loop.fixed[i] ? init : op.getResult(i)));
  }
  for (Value value : captured)
    if (!loop.scanned.contains(value)) {
      summed.push_back(value);
      inits.push_back(createZeros(loc, value));
    }
  OpBuilder b(before);
  Value zero = arith::ConstantIndexOp::create(b, loc, 0), one = arith::ConstantIndexOp::create(b, loc, 1);
  Backward backward;
  backward.op = scf::ForOp::create(b, loc, zero, loop.count, one, inits);
  backward.fixed.resize(inits.size(), true);
  for (auto [k, i] : llvm::enumerate(floats))
    backward.fixed[k] = loop.fixed[i];
  Block &body = *backward.op.getBody();
  if (body.mightHaveTerminator())
    body.getTerminator()->erase();
  b.setInsertionPointToEnd(&body);
  Value last = arith::SubIOp::create(b, loc, loop.count, one);
  Value index = arith::SubIOp::create(b, loc, last, backward.op.getInductionVar());
  backward.place = loop.createPlace(b, index);
  IRMapping mapping;
  Value iteration = arith::MulIOp::create(b, loc, index, op.getStep());
  mapping.map(op.getInductionVar(), arith::AddIOp::create(b, loc, op.getLowerBound(), iteration).getResult());
  for (LoopStates::Tape &tape : loop.tapes) {
    tape.row = loop.extractRow(b, tape, backward.place);
    backward.rowOf[tape.row] = tape.whole;
    if (auto argument = dyn_cast<BlockArgument>(tape.value)) {
      Value row = tape.row;
      if (argument.getType().isIndex())
        row = arith::IndexCastOp::create(b, loc, argument.getType(), row);
      else if (isa<RankedTensorType>(argument.getType()))
        row = b.createOrFold<tensor::CastOp>(loc, argument.getType(), row);
      mapping.map(argument, row);
    }
  }
  for (LoopStates::Ragged &ragged : loop.ragged) {
    ragged.row = loop.extractRow(b, ragged, backward.place);
    mapping.map(ragged.value, b.createOrFold<tensor::CastOp>(loc, ragged.value.getType(), ragged.row));
  }
  SmallVector<Operation *> again;
  SmallVector<std::pair<Value, Value>> scanned; // rows, and what they are of
  for (Operation &forward : op.getBody()->without_terminator()) {
    if (isa<rt::CheckOp>(forward)) // it has held
      continue;
    for (Value operand : forward.getOperands())
      if (auto argument = dyn_cast<BlockArgument>(operand); argument && argument.getOwner() == op.getBody() &&
                                                            !mapping.contains(argument))
        return op.emitError("carries a scalar that its body reads, through which there is no gradient");
    Operation *cloned = b.clone(forward, mapping);
    auto slice = dyn_cast<tensor::ExtractSliceOp>(cloned);
    if (slice && loop.scanned.contains(slice.getSource())) {
      scanned.push_back({slice.getResult(), slice.getSource()});
      backward.rowOf[slice.getResult()] = slice.getSource();
    } else {
      again.push_back(cloned);
    }
  }
  Operation *yield = scf::YieldOp::create(b, loc);

  Differentiator inner(yield, dims, checks);
  for (unsigned i : floats)
    inner.addVariable(mapping.lookup(op.getRegionIterArgs()[i]));
  for (auto [row, whole] : scanned)
    inner.addVariable(row);
  for (auto [k, value] : llvm::enumerate(summed)) {
    inner.addVariable(value);
    // Slices are added to where they stand in the sum.
    if (llvm::any_of(value.getUsers(), [&](Operation *user) { return isa<tensor::ExtractSliceOp>(user) && op->isAncestor(user); }))
      inner.addGradient(loc, value, backward.op.getRegionIterArg(floats.size() + k));
  }
  auto yielded = cast<scf::YieldOp>(op.getBody()->getTerminator()).getResults();
  for (auto [k, i] : llvm::enumerate(floats)) {
    Value value = mapping.lookupOrDefault(yielded[i]), gradient = backward.op.getRegionIterArg(k);
    if (!loop.fixed[i])
      dims.assume(gradient, dims.getDims(value));
    inner.addGradient(loc, value, gradient);
  }
  for (auto [i, insert] : llvm::enumerate(loop.written))
    if (insert && own[i])
      inner.addGradient(loc, mapping.lookupOrDefault(insert.getSource()),
                        tensor::ExtractSliceOp::create(inner.builder, loc, insert.getSourceType(),
                                                       inner.castTo(loc, own[i], insert.getDestType()),
                                                       LoopStates::mapAll(insert.getMixedOffsets(), mapping),
                                                       LoopStates::mapAll(insert.getMixedSizes(), mapping), insert.getMixedStrides()));
  if (failed(inner.run(again)))
    return failure();

  // Products are read, not computed again.
  for (LoopStates::Tape &tape : loop.tapes)
    if (tape.value.getDefiningOp())
      mapping.lookup(tape.value).replaceAllUsesWith(inner.castTo(loc, tape.row, tape.value.getType()));
  SmallVector<Value> next;
  for (unsigned i : floats) {
    Value state = mapping.lookup(op.getRegionIterArgs()[i]), gradient = inner.getGradient(state);
    next.push_back(gradient ? inner.castTo(loc, gradient, state.getType()) : inner.createZeros(loc, state));
  }
  // Of what is scanned: a row each.
  llvm::MapVector<Value, Value> rows;
  for (auto [row, whole] : scanned)
    if (Value gradient = inner.getGradient(row)) {
      Value &sum = rows[whole];
      sum = sum ? nn::AddOp::create(inner.builder, loc, sum, gradient).getResult() : gradient;
    }
  for (auto [whole, row] : rows) {
    OpBuilder outside(backward.op);
    SmallVector<OpFoldResult> shape = dims.getDims(whole);
    auto type = cast<RankedTensorType>(whole.getType());
    Value empty = tensor::EmptyOp::create(outside, loc, shape, type.getElementType());
    backward.addStack(row, ArrayRef(shape).drop_front(), outside.createOrFold<tensor::CastOp>(loc, type, empty));
  }
  // Of other values from outside: products and sums of all rows, and what else there is.
  struct Product {
    Value factor;
    std::pair<Value, unsigned> left, right;
    SmallVector<int64_t> summedAxes; // of `left`, if there is no product
  };
  SmallVector<Product> products;
  SmallVector<std::pair<Value, unsigned>> sums;
  llvm::BitVector dropped(1 + floats.size() + summed.size());
  // Sums of rows, too, are taken out of loops with products, so that these do not mix rows and
  // threads can share them; other loops hold no more than their running sums.
  bool hasProducts = llvm::any_of(loop.tapes, [](const LoopStates::Tape &tape) { return tape.value.getDefiningOp(); });
  for (auto [k, value] : llvm::enumerate(summed)) {
    unsigned number = 1 + floats.size() + k;
    Value sum = inner.getGradient(value), argument = body.getArgument(number);
    SmallVector<Value> summands, rest;
    if (sum && argument.use_empty())
      collectSummands(sum, summands);
    for (Value summand : summands) {
      std::optional<std::pair<Value, unsigned>> left, right;
      auto reduce = summand.getDefiningOp<nn::ReduceOp>();
      if (nn::MatMulOp product = getRowProduct(summand))
        if ((left = backward.getStack(product.getLhs(), loop, dims)))
          right = backward.getStack(product.getRhs(), loop, dims);
      if (hasProducts && reduce && reduce.getKind() == nn::ReduceKind::sum && !reduce.getKeepdims() && llvm::is_contained(reduce.getAxes(), 0))
        left = backward.getStack(reduce.getInput(), loop, dims);
      if (left && reduce) {
        SmallVector<int64_t> axes{0};
        for (int64_t axis : reduce.getAxes())
          axes.push_back(axis + 1);
        products.push_back({value, *left, {}, axes});
      } else if (right)
        products.push_back({value, *left, *right, {}});
      else
        rest.push_back(summand);
    }
    if (!sum || (!summands.empty() && rest.empty())) {
      dropped.set(number);
      continue;
    }
    for (Value summand : rest)
      argument = nn::AddOp::create(inner.builder, loc, argument, summand);
    sums.push_back({value, static_cast<unsigned>(next.size())});
    next.push_back(inner.castTo(loc, rest.empty() ? sum : argument, value.getType()));
  }
  SmallVector<Value> kept;
  for (auto [i, init] : llvm::enumerate(inits))
    if (!dropped.test(1 + i))
      kept.push_back(init);
  body.eraseArguments(dropped);
  unsigned firstStack = next.size();
  for (auto [row, shape, empty] : llvm::zip_equal(backward.rows, backward.shapes, backward.empties)) {
    Value stack = body.addArgument(empty.getType(), loc);
    next.push_back(LoopStates::insertRow(inner.builder, loc, row, stack, backward.place, shape));
    kept.push_back(empty);
  }
  yield->setOperands(next);
  b.setInsertionPoint(backward.op);
  auto made = scf::ForOp::create(b, loc, zero, loop.count, one, kept);
  made.getRegion().takeBody(backward.op.getRegion());
  backward.op.erase();

  auto getWhole = [&](std::pair<Value, unsigned> stack) -> Value {
    return stack.first ? stack.first : made.getResult(firstStack + stack.second);
  };
  auto getRows = [&](std::pair<Value, unsigned> stack) { return nn::CollapseOp::create(builder, loc, getWhole(stack), 0, 2); };
  for (const Product &product : products) {
    Value gradient;
    if (!product.summedAxes.empty())
      gradient = nn::ReduceOp::create(builder, loc, nn::ReduceKind::sum, getWhole(product.left), product.summedAxes,
                                      /*keepdims=*/false);
    else
      gradient = nn::MatMulOp::create(builder, loc, getRows(product.left), getRows(product.right),
                                      /*transpose_lhs=*/true, /*transpose_rhs=*/false);
    addGradient(loc, product.factor, gradient);
  }
  SmallVector<Value> carried(op.getInitArgs());
  loop.keep(made, dims);
  ResultRange results = made.getResults();
  if (!loop.ragged.empty())
    results = makeWhile(made, dims).getResults().drop_front();
  for (auto [k, i] : llvm::enumerate(floats))
    if (active.contains(carried[i]))
      addGradient(loc, carried[i], results[k]);
  for (auto [value, number] : sums)
    addGradient(loc, value, results[number]);
  for (auto [k, row] : llvm::enumerate(rows))
    addGradient(loc, row.first, results[firstStack + k]);
  return success();
}
