//===- RecomputeElementwise.cpp - Compute where it is read ------*- C++ -*-===//
//
// Before: %c = nn.sub %x, %mean
//         %v = nn.reduce mean, (nn.mul %c, %c)     ...     %d = nn.mul %c, %dy
// After:  %c = nn.sub %x, %mean;   %v = nn.reduce mean, (nn.mul %c, %c)     ...
//         %c2 = nn.sub %x, %mean;  %d = nn.mul %c2, %dy
//
// An element-wise value that two kernels read is written to memory, and in a training step
// kept from the forward pass for the backward pass. If it is made of one large tensor by a few
// instructions, both had better read that: as many bytes are read, none are written, and of
// the two one alone is kept.
//
// Precondition: run-time broadcasts explicit; nothing merges equal ops before kernels are
// formed. Postcondition: a value of this kind has one user, if all users may be in a kernel
// with it.
//
//===----------------------------------------------------------------------===//
#include "compiler/graph/KernelRoles.h"
#include "compiler/graph/Passes.h"
#include "dialects/nn/NNOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "llvm/ADT/SetVector.h"

namespace nacre::graph {
#define GEN_PASS_DEF_RECOMPUTEELEMENTWISEPASS
#include "compiler/graph/Passes.h.inc"
} // namespace nacre::graph

using namespace mlir;
using namespace nacre;
using graph::haveSameShape, graph::isElementwise;

namespace {

/// Whether an operand is stretched along so much of the result that reading it costs nothing.
bool isSmall(Value operand, Value result) {
  constexpr int64_t kMuch = 16;
  auto from = cast<RankedTensorType>(operand.getType()), to = cast<RankedTensorType>(result.getType());
  if (from.hasStaticShape() && to.hasStaticShape())
    return from.getNumElements() <= to.getNumElements() / kMuch;
  auto countLong = [](RankedTensorType type) { return llvm::count_if(type.getShape(), [](int64_t size) { return size != 1; }); };
  return countLong(from) < countLong(to);
}

int64_t getWidth(Value value) {
  Type type = getElementTypeOrSelf(value);
  return type.isIntOrFloat() ? type.getIntOrFloatBitWidth() : 64;
}

/// The one operand that costs memory to read, if there is one and it is no wider than the result.
Value getLargeOperand(Operation *op) {
  Value result = op->getResult(0), large;
  for (Value operand : op->getOperands()) {
    if (isSmall(operand, result))
      continue;
    if ((large && large != operand) || !haveSameShape(operand, result) || getWidth(operand) > getWidth(result))
      return {};
    large = operand;
  }
  return large;
}

/// Whether an element takes a few instructions.
bool isCheap(nn::ElementwiseOpInterface op) {
  constexpr size_t kFew = 4;
  Block block;
  for (Value operand : op->getOperands()) {
    Type type = getElementTypeOrSelf(operand);
    if (!type.isIntOrFloat())
      return false;
    if (!type.isSignlessInteger() && isa<IntegerType>(type))
      type = IntegerType::get(op.getContext(), type.getIntOrFloatBitWidth());
    block.addArgument(type, op.getLoc());
  }
  OpBuilder b(op.getContext());
  b.setInsertionPointToEnd(&block);
  op.buildElements(b, op.getLoc(), block.getArguments());
  auto isQuick = [](Operation &inner) {
    return !isa<arith::DivFOp, arith::DivSIOp, arith::DivUIOp, arith::RemFOp, arith::RemSIOp, arith::RemUIOp>(inner) &&
           (!isa<math::MathDialect>(inner.getDialect()) || isa<math::AbsFOp, math::AbsIOp>(inner)) && inner.getNumRegions() == 0;
  };
  return block.getOperations().size() <= kFew && llvm::all_of(block, isQuick);
}

/// Whether a user may be in a kernel with what it reads.
bool takesPrologue(Operation *user, Value value) {
  if (isElementwise(user))
    return haveSameShape(value, user->getResult(0));
  nn::KernelRole role = graph::getRole(user);
  return role == nn::KernelRole::Reduction || role == nn::KernelRole::Row;
}

struct RecomputeElementwisePass : graph::impl::RecomputeElementwisePassBase<RecomputeElementwisePass> {
  void runOnOperation() override {
    getOperation().walk<WalkOrder::PreOrder>([&](Block *block) {
      // Users first: what is computed again may be made of another value of this kind.
      for (Operation &op : llvm::make_early_inc_range(llvm::reverse(*block)))
        if (isElementwise(&op) && op.getNumResults() == 1)
          recompute(&op);
    });
  }

private:
  void recompute(Operation *op) {
    constexpr size_t kMostUsers = 8;
    llvm::SetVector<Operation *> users(llvm::from_range, op->getUsers());
    if (users.size() < 2 || users.size() > kMostUsers || !getLargeOperand(op) || !isCheap(cast<nn::ElementwiseOpInterface>(op)))
      return;
    for (Operation *user : users)
      if (user->getBlock() != op->getBlock() || !takesPrologue(user, op->getResult(0)))
        return;
    Operation *first = *llvm::min_element(users, [](Operation *l, Operation *r) { return l->isBeforeInBlock(r); });
    for (Operation *user : users) {
      if (user == first)
        continue;
      OpBuilder b(user);
      user->replaceUsesOfWith(op->getResult(0), b.clone(*op)->getResult(0));
      ++numRecomputed;
    }
  }
};

} // namespace
