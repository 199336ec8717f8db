//===- NNIndexingGradients.cpp - Of ops that read at places -----*- C++ -*-===//
#include "dialects/nn/NNOps.h"
#include "dialects/nn/NNSizeMath.h"
#include "dialects/nn/TensorExpr.h"
#include "mlir/Dialect/Utils/IndexingUtils.h"

using namespace mlir;
using namespace nacre::nn;

using Gradients = SmallVectorImpl<Value>;

static Value createZeros(OpBuilder &b, Location loc, Value like, ArrayRef<OpFoldResult> sizes) {
  return BroadcastOp::create(b, loc, TensorExpr(b, loc, like).constant(0), createSizes(b, loc, sizes));
}

LogicalResult GatherOp::buildGradient(OpBuilder &b, ValueRange gradients, Gradients &operands) {
  // Adds each slice where it came from, with the axis in front.
  Location loc = getLoc();
  Value dy = gradients[0];
  int64_t axis = getAxis(), indexRank = getIndices().getType().getRank(), rank = getData().getType().getRank();
  SmallVector<OpFoldResult> sizes = getDims(b, loc, getData());
  SmallVector<int64_t> front{axis};
  for (int64_t i = 0; i < rank; ++i)
    if (i != axis)
      front.push_back(i);
  if (axis != 0) {
    SmallVector<int64_t> permutation;
    for (int64_t i = 0; i < indexRank; ++i)
      permutation.push_back(axis + i);
    for (int64_t i = 0; i < rank - 1 + indexRank; ++i)
      if (i < axis || i >= axis + indexRank)
        permutation.push_back(i);
    dy = TransposeOp::create(b, loc, dy, permutation);
    sizes = applyPermutation(sizes, front);
  }
  Value tuples = UnsqueezeOp::create(b, loc, getIndices(), indexRank);
  Value zeros = createZeros(b, loc, dy, sizes);
  Value gradient = ScatterNdOp::create(b, loc, zeros, tuples, dy, ScatterReduction::Add, getInBounds());
  if (axis != 0)
    gradient = TransposeOp::create(b, loc, gradient, invertPermutationVector(front));
  operands.append({gradient, Value()});
  return success();
}

LogicalResult GatherElementsOp::buildGradient(OpBuilder &b, ValueRange gradients, Gradients &operands) {
  Value zeros = createZeros(b, getLoc(), gradients[0], getDims(b, getLoc(), getData()));
  Value gradient = ScatterElementsOp::create(b, getLoc(), zeros, getIndices(), gradients[0], getAxis(),
                                             ScatterReduction::Add, getInBounds());
  operands.append({gradient, Value()});
  return success();
}

LogicalResult GatherNdOp::buildGradient(OpBuilder &b, ValueRange gradients, Gradients &operands) {
  if (getBatchDims() != 0)
    return failure();
  Value zeros = createZeros(b, getLoc(), gradients[0], getDims(b, getLoc(), getData()));
  Value gradient = ScatterNdOp::create(b, getLoc(), zeros, getIndices(), gradients[0], ScatterReduction::Add,
                                       getInBounds());
  operands.append({gradient, Value()});
  return success();
}

// Where several updates replace one element, each gets its gradient, as in PyTorch.
LogicalResult ScatterElementsOp::buildGradient(OpBuilder &b, ValueRange gradients, Gradients &operands) {
  Location loc = getLoc();
  Value dy = gradients[0], kept = dy;
  if (getReduction() == ScatterReduction::Replace) {
    Value zeros = createZeros(b, loc, dy, getDims(b, loc, getUpdates()));
    kept = ScatterElementsOp::create(b, loc, dy, getIndices(), zeros, getAxis(), getReduction(), getInBounds());
  } else if (getReduction() != ScatterReduction::Add) {
    return failure();
  }
  operands.append({kept, Value(), GatherElementsOp::create(b, loc, dy, getIndices(), getAxis(), getInBounds())});
  return success();
}

LogicalResult ScatterNdOp::buildGradient(OpBuilder &b, ValueRange gradients, Gradients &operands) {
  Location loc = getLoc();
  Value dy = gradients[0], kept = dy;
  if (getReduction() == ScatterReduction::Replace) {
    Value zeros = createZeros(b, loc, dy, getDims(b, loc, getUpdates()));
    kept = ScatterNdOp::create(b, loc, dy, getIndices(), zeros, getReduction(), getInBounds());
  } else if (getReduction() != ScatterReduction::Add) {
    return failure();
  }
  operands.append({kept, Value(), GatherNdOp::create(b, loc, dy, getIndices(), int64_t(0), getInBounds())});
  return success();
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
