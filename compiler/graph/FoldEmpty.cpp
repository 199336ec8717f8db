//===- FoldEmpty.cpp - Compute nothing that has no elements -----*- C++ -*-===//
//
// Before: %0 = nn.relu %x : (tensor<0x4xf32>) -> tensor<0x4xf32>
// After:  %0 = nn.constant dense<> : tensor<0x4xf32>
//
// Precondition: types inferred. Postcondition: no op without side effects is left whose results
// are all known to have no elements. Later passes cut tensors into parts, of which these have none.
//
//===----------------------------------------------------------------------===//
#include "compiler/graph/Passes.h"
#include "dialects/nn/NNOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

namespace nacre::graph {
#define GEN_PASS_DEF_FOLDEMPTYPASS
#include "compiler/graph/Passes.h.inc"
} // namespace nacre::graph

using namespace mlir;
using namespace nacre;

namespace {

bool isEmpty(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  return tensor && tensor.hasStaticShape() && tensor.getNumElements() == 0 && tensor.getElementType().isIntOrFloat();
}

struct FoldEmptyPass : graph::impl::FoldEmptyPassBase<FoldEmptyPass> {
  void runOnOperation() override {
    getOperation().walk([](Operation *op) {
      if (!isa<nn::NNDialect>(op->getDialect()) || op->getNumResults() == 0 || op->hasTrait<OpTrait::ConstantLike>() ||
          !isMemoryEffectFree(op) || !llvm::all_of(op->getResultTypes(), isEmpty))
        return;
      OpBuilder b(op);
      for (Value result : op->getResults()) {
        auto type = cast<RankedTensorType>(result.getType());
        auto none = DenseElementsAttr::get(type, ArrayRef<Attribute>());
        result.replaceAllUsesWith(nn::ConstantOp::create(b, op->getLoc(), type, none));
      }
      op->erase();
    });
  }
};

} // namespace
