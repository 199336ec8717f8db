//===- MaterializeBroadcasts.cpp - Make run-time broadcasts explicit -*- C++ -*-===//
//
// Before: %y = nn.add %a, %b : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32>
// After:  %s = tensor.from_elements %n : tensor<1xi64>
//         %c = nn.broadcast %a, %s, %d = nn.broadcast %b, %s
//         %y = nn.add %c, %d      (nothing changes if the sizes are known equal)
//
// Precondition: types inferred. Postcondition: a dynamic dimension of an element-wise
// op's operand has the size of the result's dimension.
//
//===----------------------------------------------------------------------===//
#include "compiler/graph/DimAnalysis.h"
#include "compiler/graph/Passes.h"
#include "dialects/nn/NNOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

namespace nacre::graph {
#define GEN_PASS_DEF_MATERIALIZEBROADCASTSPASS
#include "compiler/graph/Passes.h.inc"
} // namespace nacre::graph

using namespace mlir;
using namespace nacre;

namespace {

/// Whether a dimension of the operand, but for the last `inner`, might be 1 at run time
/// where the result's is not.
bool mayStretch(graph::DimAnalysis &dims, Value operand, Value result, int64_t inner) {
  auto operandType = cast<RankedTensorType>(operand.getType());
  auto resultType = cast<RankedTensorType>(result.getType());
  int64_t offset = resultType.getRank() - operandType.getRank();
  for (int64_t i = 0; i < operandType.getRank() - inner; ++i)
    if (operandType.isDynamicDim(i) &&
        !dims.areEqual(dims.getDim(operand, i), dims.getDim(result, offset + i)))
      return true;
  return false;
}

/// The sizes of a value as a vector, for nn ops that take shapes.
Value createShape(OpBuilder &b, Location loc, ArrayRef<OpFoldResult> sizes) {
  SmallVector<Value> elements;
  for (OpFoldResult size : sizes)
    elements.push_back(b.createOrFold<arith::IndexCastOp>(
        loc, b.getI64Type(), getValueOrCreateConstantIndexOp(b, loc, size)));
  return tensor::FromElementsOp::create(
      b, loc, RankedTensorType::get(static_cast<int64_t>(sizes.size()), b.getI64Type()), elements);
}

struct MaterializeBroadcastsPass
    : graph::impl::MaterializeBroadcastsPassBase<MaterializeBroadcastsPass> {
  void runOnOperation() override {
    graph::DimAnalysis dims(getOperation());
    getOperation().walk<WalkOrder::PreOrder>([&](Operation *op) {
      auto batched = dyn_cast<nn::BatchedOpInterface>(op);
      if ((!batched && !isa<nn::ElementwiseOpInterface>(op)) || op->getNumOperands() < 2)
        return;
      int64_t inner = batched ? batched.getNumInnerDims() : 0;
      Value result = op->getResult(0);
      for (OpOperand &operand : op->getOpOperands()) {
        if (!mayStretch(dims, operand.get(), result, inner))
          continue;
        // The result's leading sizes, the operand's own inner ones.
        OpBuilder b(op);
        SmallVector<OpFoldResult> sizes = dims.getDims(result), own = dims.getDims(operand.get());
        std::copy(own.end() - inner, own.end(), sizes.end() - inner);
        SmallVector<int64_t> shape(cast<RankedTensorType>(result.getType()).getShape());
        ArrayRef<int64_t> ownShape = cast<RankedTensorType>(operand.get().getType()).getShape();
        std::copy(ownShape.end() - inner, ownShape.end(), shape.end() - inner);
        Type type = RankedTensorType::get(shape, getElementTypeOrSelf(operand.get()));
        operand.set(nn::BroadcastOp::create(b, op->getLoc(), type, operand.get(),
                                            createShape(b, op->getLoc(), sizes)));
      }
    });
    dims.eraseUnused();
  }
};

} // namespace
