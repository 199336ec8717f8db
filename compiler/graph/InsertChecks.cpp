//===- InsertChecks.cpp - What can only be known at run time ----*- C++ -*-===//
//
// Before: %y = nn.gather %x, %i along 0 : (tensor<?x8xf32>, tensor<?xi64>) -> tensor<?x8xf32>
// After:  %n = tensor.from_elements %dim : tensor<i64>
//         %c = nn.checked_index %i below %n
//         %y = nn.gather %x, %c along 0 {in_bounds}
//
// Precondition: nn ops in func.func. Postcondition: what CheckedOpInterface asks for
// is known or checked by rt.check before the op, so is what casts to types of known
// sizes say, and indices are in bounds.
//
//===----------------------------------------------------------------------===//
#include "compiler/graph/DimAnalysis.h"
#include "compiler/graph/Passes.h"
#include "dialects/nn/NNOps.h"
#include "dialects/rt/RtOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"

namespace nacre::graph {
#define GEN_PASS_DEF_INSERTCHECKSPASS
#include "compiler/graph/Passes.h.inc"
} // namespace nacre::graph

using namespace mlir;
using namespace nacre;

namespace {

/// A cast to a type that knows a size: it is that size, which everything after it goes by.
void buildChecks(tensor::CastOp op, OpBuilder &b, SmallVectorImpl<nn::RuntimeCheck> &checks) {
  auto from = dyn_cast<RankedTensorType>(op.getSource().getType()), to = dyn_cast<RankedTensorType>(op.getType());
  for (int64_t i = 0; from && to && i < from.getRank(); ++i)
    if (from.isDynamicDim(i) && !to.isDynamicDim(i))
      nn::pushSizeCheck(b, op.getLoc(), nn::getDim(b, op.getLoc(), op.getSource(), i), b.getIndexAttr(to.getDimSize(i)),
                        ("a tensor's dimension " + Twine(i) + " is not of the size " + Twine(to.getDimSize(i)) +
                         " that follows from what else is computed with it")
                            .str(),
                        checks);
}

/// Before the op: checks of what is not known to hold.
void insertChecks(Operation *op, graph::DimAnalysis &dims) {
  SmallVector<nn::RuntimeCheck> checks;
  OpBuilder conditions(op->getContext(), &dims);
  conditions.setInsertionPoint(op);
  if (auto checked = dyn_cast<nn::CheckedOpInterface>(op))
    checked.buildChecks(conditions, checks);
  else if (auto cast = dyn_cast<tensor::CastOp>(op))
    buildChecks(cast, conditions, checks);
  OpBuilder b(op);
  for (nn::RuntimeCheck &check : checks) {
    OpFoldResult condition = dims.simplify(check.condition, op);
    if (auto value = dyn_cast<Value>(condition); value && !matchPattern(value, m_One())) {
      bool isShape = check.kind == nn::RuntimeCheck::Shape;
      rt::CheckOp::create(b, op->getLoc(), value, isShape ? rt::Status::InvalidShape : rt::Status::InvalidValue,
                          check.message);
    } else if (auto attr = dyn_cast<Attribute>(condition); attr && !matchPattern(attr, m_One())) {
      Value never = arith::ConstantIntOp::create(b, op->getLoc(), 0, 1);
      rt::CheckOp::create(b, op->getLoc(), never, rt::Status::InvalidShape, check.message);
    }
  }
}

void checkIndices(nn::IndexedOpInterface op, graph::DimAnalysis &dims) {
  if (op.isInBounds())
    return;
  OpBuilder limits(op->getContext(), &dims);
  limits.setInsertionPoint(op);
  Value limit = op.buildIndexLimit(limits);
  OpBuilder b(op);
  OpOperand &indices = op.getIndexOperand();
  indices.set(b.createOrFold<nn::CheckedIndexOp>(op->getLoc(), indices.get().getType(), indices.get(), limit));
  op.markInBounds();
}

struct InsertChecksPass : graph::impl::InsertChecksPassBase<InsertChecksPass> {
  void runOnOperation() override {
    graph::DimAnalysis dims(getOperation());
    SmallVector<Operation *> ops;
    getOperation().walk<WalkOrder::PreOrder>([&](Operation *op) {
      if (isa<nn::CheckedOpInterface, nn::IndexedOpInterface, tensor::CastOp>(op))
        ops.push_back(op);
    });
    for (Operation *op : ops) {
      insertChecks(op, dims);
      if (auto indexed = dyn_cast<nn::IndexedOpInterface>(op))
        checkIndices(indexed, dims);
    }
    dims.eraseUnused();
  }
};

} // namespace
