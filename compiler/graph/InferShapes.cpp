//===- InferShapes.cpp - Refine the types of nn ops -------------*- C++ -*-===//
//
// Before: %0 = nn.relu %x : (tensor<4x8xf32>) -> tensor<?x?xf32>
// After:  %0 = nn.relu %x : (tensor<4x8xf32>) -> tensor<4x8xf32>
//
// Precondition: none. Postcondition: no op's inferred type is more precise than its
// result's type.
//
//===----------------------------------------------------------------------===//
#include "compiler/graph/InferShapes.h"
#include "compiler/graph/Passes.h"
#include "dialects/nn/NNOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

namespace nacre::graph {
#define GEN_PASS_DEF_INFERSHAPESPASS
#include "compiler/graph/Passes.h.inc"
} // namespace nacre::graph

using namespace mlir;

/// The meet of two compatible types: static where either is.
static Type refine(Type known, Type inferred) {
  auto a = dyn_cast<RankedTensorType>(known), b = dyn_cast<RankedTensorType>(inferred);
  if (!a || !b || a.getRank() != b.getRank())
    return known;
  SmallVector<int64_t> shape(a.getShape());
  for (auto [size, other] : llvm::zip(shape, b.getShape()))
    if (ShapedType::isDynamic(size))
      size = other;
  return a.clone(shape);
}

LogicalResult nacre::graph::refineResultTypes(Operation *op) {
  auto infer = dyn_cast<InferTypeOpInterface>(op);
  if (!infer || !isa<nacre::nn::NNDialect>(op->getDialect()))
    return success();
  SmallVector<Type> types;
  if (failed(infer.inferReturnTypes(op->getContext(), op->getLoc(), op->getOperands(),
                                    op->getDiscardableAttrDictionary(), op->getPropertiesStorage(),
                                    op->getRegions(), types)) ||
      failed(nn::verifySizes(op->getLoc(), types)))
    return failure();
  for (auto [result, type] : llvm::zip(op->getResults(), types))
    result.setType(refine(result.getType(), type));
  return success();
}

/// Branches, choices and loops take and hand on the types that they have, whatever more is known of an operand.
static void keepControlFlowTypes(Operation *op) {
  MutableArrayRef<OpOperand> operands = op->getOpOperands();
  SmallVector<Type> types;
  if (auto loop = dyn_cast<scf::ForOp>(op)) {
    operands = loop.getInitsMutable();
    llvm::append_range(types, loop.getResultTypes());
  } else if (auto loop = dyn_cast<scf::WhileOp>(op)) {
    llvm::append_range(types, ValueRange(loop.getBeforeArguments()).getTypes());
  } else if (isa<scf::ConditionOp>(op)) {
    operands = operands.drop_front(); // whether it goes on
    llvm::append_range(types, op->getParentOp()->getResultTypes());
  } else if (isa<arith::SelectOp>(op)) { // an If of nothing but values, after simplification
    operands = operands.drop_front();
    types.append(2, op->getResult(0).getType());
  } else if (isa<scf::YieldOp>(op)) {
    if (auto loop = dyn_cast<scf::WhileOp>(op->getParentOp()))
      llvm::append_range(types, ValueRange(loop.getBeforeArguments()).getTypes());
    else if (isa<scf::IfOp, scf::ForOp>(op->getParentOp()))
      llvm::append_range(types, op->getParentOp()->getResultTypes());
  }
  OpBuilder b(op);
  for (auto [operand, type] : llvm::zip(operands, types))
    if (operand.get().getType() != type)
      operand.set(tensor::CastOp::create(b, op->getLoc(), type, operand.get()));
}

namespace {

struct InferShapesPass : nacre::graph::impl::InferShapesPassBase<InferShapesPass> {
  void runOnOperation() override {
    func::FuncOp func = getOperation();
    WalkResult result = func.walk<WalkOrder::PreOrder>([](Operation *op) {
      keepControlFlowTypes(op);
      return failed(nacre::graph::refineResultTypes(op)) ? WalkResult::interrupt() : WalkResult::advance();
    });
    if (result.wasInterrupted() || func.isExternal())
      return result.wasInterrupted() ? signalPassFailure() : void();
    func.setFunctionType(FunctionType::get(
        &getContext(), func.getArgumentTypes(),
        func.getBody().back().getTerminator()->getOperandTypes()));
  }
};

} // namespace
