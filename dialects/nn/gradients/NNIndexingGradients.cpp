//===- NNIndexingGradients.cpp - Of ops that read at places -----*- C++ -*-===//
//
// And of those that make tensors of places.
//
//===----------------------------------------------------------------------===//
#include "dialects/nn/Expr.h"
#include "dialects/nn/NNSizeMath.h"
#include "dialects/nn/gradients/Places.h"
#include "mlir/Dialect/Utils/IndexingUtils.h"

using namespace mlir;
using namespace nacre::nn;

using Gradients = SmallVectorImpl<Value>;

LogicalResult GatherOp::buildGradient(OpBuilder &b, ValueRange gradients, Gradients &operands) {
  SmallVector<OpFoldResult> sizes = getDims(b, getLoc(), getData());
  operands.append({scatterSlices(b, getLoc(), gradients[0], getIndices(), getAxis(), sizes, getInBounds()), Value()});
  return success();
}

LogicalResult GatherElementsOp::buildGradient(OpBuilder &b, ValueRange gradients, Gradients &operands) {
  Value zeros = createZeros(b, getLoc(), gradients[0], getDims(b, getLoc(), getData()));
  Value gradient = ScatterElementsOp::create(b, getLoc(), zeros, getIndices(), gradients[0], getAxis(),
                                             ScatterReduction::Add, getInBounds());
  operands.append({gradient, Value()});
  return success();
}

/// Tuples of positions with the places in the first dimensions, which are batches, in front.
static Value addBatches(OpBuilder &b, Location loc, Value indices, int64_t batchDims) {
  SizeMath m(b, loc);
  SmallVector<OpFoldResult> sizes = m.dims(indices);
  int64_t rank = sizes.size();
  sizes.back() = m.constant(1);
  SmallVector<Value> columns;
  for (int64_t i = 0; i < batchDims; ++i) {
    auto others = llvm::to_vector(llvm::seq<int64_t>(0, rank));
    others.erase(others.begin() + i);
    Value places = createPlaces(b, loc, m.constant(0), m.constant(1), sizes[i]);
    columns.push_back(BroadcastOp::create(b, loc, UnsqueezeOp::create(b, loc, places, others), createSizes(b, loc, sizes)));
  }
  columns.push_back(b.createOrFold<CastOp>(loc, indices, b.getI64Type()));
  return ConcatOp::create(b, loc, columns, rank - 1);
}

LogicalResult GatherNdOp::buildGradient(OpBuilder &b, ValueRange gradients, Gradients &operands) {
  Location loc = getLoc();
  Value indices = getBatchDims() == 0 ? getIndices() : addBatches(b, loc, getIndices(), getBatchDims());
  Value zeros = createZeros(b, loc, gradients[0], getDims(b, loc, getData()));
  Value gradient = ScatterNdOp::create(b, loc, zeros, indices, gradients[0], ScatterReduction::Add, getInBounds());
  operands.append({gradient, Value()});
  return success();
}

LogicalResult CacheWriteOp::buildGradient(OpBuilder &b, ValueRange gradients, Gradients &operands) {
  Location loc = getLoc();
  SizeMath m(b, loc);
  Value dy = gradients[0];
  int64_t axis = getAxis(), rank = getCache().getType().getRank();
  SmallVector<OpFoldResult> sizes = m.dims(getUpdate());
  Value zeros = createZeros(b, loc, dy, sizes);
  Value kept = CacheWriteOp::create(b, loc, dy, zeros, getPositions(), axis, getCircular(), getInBounds());
  // What the update's elements were written to: [B, U]. Negative positions count from the last
  // that there is room at.
  auto integer = [&](OpFoldResult size) { return createSizeScalar(b, loc, size); };
  OpFoldResult room = m.dim(getCache(), axis);
  Value positions = getPositions(), zero = createInteger(b, loc, 0);
  if (!getCircular()) {
    Value last = integer(m.add(m.sub(room, sizes[axis]), m.constant(1)));
    Value isNegative = CompareOp::create(b, loc, ComparePredicate::lt, positions, zero);
    positions = WhereOp::create(b, loc, isNegative, AddOp::create(b, loc, positions, last), positions);
  }
  Value places = AddOp::create(b, loc, UnsqueezeOp::create(b, loc, positions, ArrayRef<int64_t>{1}),
                               createPlaces(b, loc, m.constant(0), m.constant(1), sizes[axis]));
  if (getCircular())
    places = ModOp::create(b, loc, places, integer(room));
  auto front = llvm::to_vector(llvm::seq<int64_t>(0, rank));
  front.erase(front.begin() + axis);
  front.insert(front.begin() + 1, axis);
  Value tuples = UnsqueezeOp::create(b, loc, places, ArrayRef<int64_t>{2});
  Value read = GatherNdOp::create(b, loc, TransposeOp::create(b, loc, dy, front), tuples, /*batch_dims=*/int64_t(1),
                                  /*in_bounds=*/false);
  operands.append({kept, TransposeOp::create(b, loc, read, invertPermutationVector(front)), Value()});
  return success();
}

//===----------------------------------------------------------------------===//
// Scatters
//===----------------------------------------------------------------------===//

/// The same scatter of other elements; what stands where it writes.
static Value scatterLike(OpBuilder &b, ScatterElementsOp op, Value data, Value updates, ScatterReduction reduction) {
  return ScatterElementsOp::create(b, op.getLoc(), data, op.getIndices(), updates, op.getAxis(), reduction, op.getInBounds());
}
static Value scatterLike(OpBuilder &b, ScatterNdOp op, Value data, Value updates, ScatterReduction reduction) {
  return ScatterNdOp::create(b, op.getLoc(), data, op.getIndices(), updates, reduction, op.getInBounds());
}
static Value gatherLike(OpBuilder &b, ScatterElementsOp op, Value data) {
  return GatherElementsOp::create(b, op.getLoc(), data, op.getIndices(), op.getAxis(), op.getInBounds());
}
static Value gatherLike(OpBuilder &b, ScatterNdOp op, Value data) {
  return GatherNdOp::create(b, op.getLoc(), data, op.getIndices(), int64_t(0), op.getInBounds());
}

template <typename Op>
static LogicalResult buildScatterGradient(OpBuilder &b, Op op, Value gradient, Gradients &operands) {
  Location loc = op.getLoc();
  TensorExpr dy(b, loc, gradient), data = dy.with(op.getData()), updates = dy.with(op.getUpdates());
  TensorExpr zero = dy.constant(0), one = dy.constant(1);
  auto scatter = [&](Value l, Value r, ScatterReduction reduction) { return dy.with(scatterLike(b, op, l, r, reduction)); };
  auto gather = [&](Value from) { return dy.with(gatherLike(b, op, from)); };
  auto mark = [&](Value condition) { return where(condition, one, zero); };
  switch (op.getReduction()) {
  case ScatterReduction::Replace: { // where several replace one element, each gets its gradient, as in PyTorch
    Value none = createZeros(b, loc, dy, getDims(b, loc, updates));
    operands.append({scatter(dy, none, ScatterReduction::Replace), Value(), gather(dy)});
    return success();
  }
  case ScatterReduction::Add:
    operands.append({dy, Value(), gather(dy)});
    return success();
  case ScatterReduction::Min:
  case ScatterReduction::Max: { // equal extremes share
    TensorExpr y = dy.with(op.getResult()), isData = mark(data == y), isUpdate = mark(updates == gather(y));
    TensorExpr share = dy / scatter(isData, isUpdate, ScatterReduction::Add);
    operands.append({isData * share, Value(), isUpdate * gather(share)});
    return success();
  }
  case ScatterReduction::Mul: {
    // The product of the others, where they are not zero: besides one zero it counts for
    // that one, and besides several nothing does.
    TensorExpr isData = mark(data == 0.0), isUpdate = mark(updates == 0.0);
    TensorExpr factor = where(data == 0.0, one, data), factors = where(updates == 0.0, one, updates);
    TensorExpr zeros = scatter(isData, isUpdate, ScatterReduction::Add);
    TensorExpr product = dy * scatter(factor, factors, ScatterReduction::Mul);
    operands.append({where(zeros == isData, product / factor, zero), Value(),
                     where(gather(zeros) == isUpdate, gather(product) / factors, zero)});
    return success();
  }
  }
  llvm_unreachable("every reduction is handled");
}

LogicalResult ScatterElementsOp::buildGradient(OpBuilder &b, ValueRange gradients, Gradients &operands) {
  return buildScatterGradient(b, *this, gradients[0], operands);
}
LogicalResult ScatterNdOp::buildGradient(OpBuilder &b, ValueRange gradients, Gradients &operands) {
  return buildScatterGradient(b, *this, gradients[0], operands);
}

LogicalResult NllLossOp::buildGradient(OpBuilder &b, ValueRange gradients, Gradients &operands) {
  // The weights depend on nothing that is differentiated.
  Value none;
  operands.assign(getNumOperands(), none);
  if (!gradients[0])
    return success();
  Location loc = getLoc();
  Type i64 = b.getI64Type();
  TensorExpr dy(b, loc, gradients[0]);
  Value labels = b.createOrFold<CastOp>(loc, getLabels(), i64);
  auto constant = [&](int64_t value) {
    auto type = RankedTensorType::get({}, i64);
    return ConstantOp::create(b, loc, type, DenseElementsAttr::get(type, value)).getResult();
  };
  // Element-wise, so that it joins what comes before the loss: no label but the right
  // one equals its class, and ignored ones weigh nothing.
  Value count = createSizeScalar(b, loc, getDim(b, loc, getInput(), 1));
  Value classes = RangeOp::create(b, loc, constant(0), constant(1), count);
  SmallVector<int64_t> axes;
  for (int64_t i = 0, rank = getInput().getType().getRank(); i < rank; ++i)
    if (i != 1)
      axes.push_back(i);
  classes = UnsqueezeOp::create(b, loc, classes, axes);
  Value isLabel = CompareOp::create(b, loc, ComparePredicate::eq,
                                    UnsqueezeOp::create(b, loc, labels, int64_t(1)), classes);
  TensorExpr loss = -(dy * dy.with(getWeights()));
  operands[0] = where(isLabel, dy.with(UnsqueezeOp::create(b, loc, loss, int64_t(1))), dy.constant(0));
  return success();
}

//===----------------------------------------------------------------------===//
// Tensors made of places
//===----------------------------------------------------------------------===//

LogicalResult RangeOp::buildGradient(OpBuilder &b, ValueRange gradients, Gradients &operands) {
  Location loc = getLoc();
  Type element = getStart().getType().getElementType();
  TensorExpr dy = castTo(TensorExpr(b, loc, gradients[0]), getComputeType(element));
  TensorExpr places = dy.with(RangeOp::create(b, loc, dy.constant(0), dy.constant(1), getCount()));
  operands.append({castTo(sumAll(dy), element), castTo(sumAll(dy * places), element), Value()});
  return success();
}

LogicalResult OneHotOp::buildGradient(OpBuilder &b, ValueRange gradients, Gradients &operands) {
  Location loc = getLoc();
  auto type = RankedTensorType::get(2, b.getI1Type());
  Value offAndOn = ConstantOp::create(b, loc, type, DenseElementsAttr::get(type, ArrayRef<bool>{false, true}));
  Value isOn = OneHotOp::create(b, loc, getIndices(), getDepth(), offAndOn, getAxis());
  TensorExpr dy(b, loc, gradients[0]), zero = dy.constant(0);
  SmallVector<Value> sums;
  for (TensorExpr part : {where(isOn, zero, dy), where(isOn, dy, zero)})
    sums.push_back(UnsqueezeOp::create(b, loc, sumAll(part), ArrayRef<int64_t>{0}));
  operands.append({Value(), Value(), ConcatOp::create(b, loc, sums, 0)});
  return success();
}
