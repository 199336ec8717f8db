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

/// Both branches hand on the type that their op has, whatever more one of them knows.
static void keepBranchTypes(Operation *op) {
  auto yield = dyn_cast<scf::YieldOp>(op);
  auto branch = dyn_cast<scf::IfOp>(op->getParentOp());
  if (!yield || !branch)
    return;
  OpBuilder b(yield);
  for (auto [operand, type] : llvm::zip_equal(yield->getOpOperands(), branch.getResultTypes()))
    if (operand.get().getType() != type)
      operand.set(tensor::CastOp::create(b, yield.getLoc(), type, operand.get()));
}

namespace {

struct InferShapesPass : nacre::graph::impl::InferShapesPassBase<InferShapesPass> {
  void runOnOperation() override {
    func::FuncOp func = getOperation();
    WalkResult result = func.walk<WalkOrder::PreOrder>([](Operation *op) {
      keepBranchTypes(op);
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
