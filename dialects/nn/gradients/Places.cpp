//===- Places.cpp - What gradients of moved elements share ------*- C++ -*-===//
#include "dialects/nn/gradients/Places.h"
#include "dialects/nn/NNSizeMath.h"
#include "mlir/Dialect/Utils/IndexingUtils.h"
#include "llvm/ADT/Sequence.h"

using namespace mlir;
using namespace nacre;
using namespace nacre::nn;

Value nn::createZeros(OpBuilder &b, Location loc, Value like, ArrayRef<OpFoldResult> sizes) {
  return BroadcastOp::create(b, loc, TensorExpr(b, loc, like).constant(0), createSizes(b, loc, sizes));
}

Value nn::padWithZeros(OpBuilder &b, Location loc, Value tensor, ArrayRef<OpFoldResult> low, ArrayRef<OpFoldResult> high) {
  SmallVector<OpFoldResult> pads(low);
  llvm::append_range(pads, high);
  Value zero = TensorExpr(b, loc, tensor).constant(0);
  return PadOp::create(b, loc, tensor, createSizes(b, loc, pads), zero, PadMode::Constant);
}

Value nn::reshapeToSizes(OpBuilder &b, Location loc, Value tensor, ArrayRef<OpFoldResult> sizes) {
  return ReshapeOp::create(b, loc, tensor, createSizes(b, loc, sizes), /*allowzero=*/true, /*exact=*/true);
}

Value nn::createInteger(OpBuilder &b, Location loc, int64_t value) {
  auto type = RankedTensorType::get({}, b.getI64Type());
  return ConstantOp::create(b, loc, type, DenseElementsAttr::get(type, value));
}

Value nn::createPlaces(OpBuilder &b, Location loc, OpFoldResult begin, OpFoldResult step, OpFoldResult count) {
  return RangeOp::create(b, loc, createSizeScalar(b, loc, begin), createSizeScalar(b, loc, step),
                         createSizeScalar(b, loc, count));
}

TensorExpr nn::createSizeLike(TensorExpr like, OpFoldResult size) {
  if (auto known = getConstantIntValue(size))
    return like.constant(*known);
  OpBuilder &b = like.getBuilder();
  return like.with(
      CastOp::create(b, like.getLoc(), createSizeScalar(b, like.getLoc(), size), like.getType().getElementType()));
}

Value nn::scatterSlices(OpBuilder &b, Location loc, Value dy, Value indices, int64_t axis, ArrayRef<OpFoldResult> sizes,
                        bool inBounds) {
  // nn.scatter_nd has the axis in front.
  int64_t indexRank = cast<RankedTensorType>(indices.getType()).getRank(), rank = sizes.size();
  SmallVector<OpFoldResult> permuted(sizes);
  auto front = llvm::to_vector(llvm::seq<int64_t>(0, rank));
  if (axis != 0) {
    front.erase(front.begin() + axis);
    front.insert(front.begin(), axis);
    SmallVector<int64_t> permutation;
    for (int64_t i = 0; i < indexRank; ++i)
      permutation.push_back(axis + i);
    for (int64_t i = 0; i < rank - 1 + indexRank; ++i)
      if (i < axis || i >= axis + indexRank)
        permutation.push_back(i);
    dy = TransposeOp::create(b, loc, dy, permutation);
    permuted = applyPermutation(permuted, front);
  }
  Value tuples = UnsqueezeOp::create(b, loc, indices, indexRank);
  Value zeros = createZeros(b, loc, dy, permuted);
  Value gradient = ScatterNdOp::create(b, loc, zeros, tuples, dy, ScatterReduction::Add, inBounds);
  return axis == 0 ? gradient : TransposeOp::create(b, loc, gradient, invertPermutationVector(front)).getResult();
}

Value nn::scatterToPlaces(OpBuilder &b, Location loc, Value dy, Value places, ArrayRef<OpFoldResult> sizes) {
  auto flatten = [&](Value tensor) {
    int64_t rank = cast<RankedTensorType>(tensor.getType()).getRank();
    return CollapseOp::create(b, loc, tensor, 0, rank).getResult();
  };
  Value zeros = createZeros(b, loc, dy, SizeMath(b, loc).product(sizes));
  Value sums = ScatterElementsOp::create(b, loc, zeros, flatten(places), flatten(dy), /*axis=*/0,
                                         ScatterReduction::Add, /*in_bounds=*/true);
  return reshapeToSizes(b, loc, sums, sizes);
}

TensorExpr nn::sumAll(TensorExpr x) {
  auto axes = llvm::to_vector(llvm::seq<int64_t>(0, x.getType().getRank()));
  return x.with(ReduceOp::create(x.getBuilder(), x.getLoc(), ReduceKind::sum, x, axes, /*keepdims=*/false));
}
