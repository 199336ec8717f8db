//===- BufferizeKernels.cpp - Bufferize a kernel ----------------*- C++ -*-===//
//
// Before: kern.func @k(%a: tensor<4xf32>, %d: tensor<4xf32>) -> tensor<4xf32>
// After:  kern.func @k(%a: memref<4xf32>, %d: memref<4xf32>)
//
//===----------------------------------------------------------------------===//
#include "compiler/buffer/Passes.h"
#include "dialects/kern/KernOps.h"
#include "mlir/Dialect/Bufferization/IR/BufferizableOpInterface.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Bufferization/Transforms/OneShotAnalysis.h"
#include "mlir/Dialect/Bufferization/Transforms/Transforms.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

namespace nacre::buffer {
#define GEN_PASS_DEF_BUFFERIZEKERNELSPASS
#include "compiler/buffer/Passes.h.inc"
} // namespace nacre::buffer

using namespace mlir;
using namespace nacre;

namespace {

/// Makes the arguments memrefs, seen as tensors inside, and the return a
/// materialisation of each result in its destination.
void convertBoundary(kern::FuncOp func) {
  Block &entry = func.getBody().front();
  OpBuilder builder = OpBuilder::atBlockBegin(&entry);
  unsigned inputs = func.getNumInputs();
  SmallVector<Value> destinations;
  for (BlockArgument argument : entry.getArguments()) {
    auto type = dyn_cast<RankedTensorType>(argument.getType());
    bool isDestination = argument.getArgNumber() >= inputs;
    if (!type)
      continue;
    argument.setType(MemRefType::get(type.getShape(), type.getElementType()));
    auto tensor = bufferization::ToTensorOp::create(builder, func.getLoc(), type, argument,
                                                    /*restrict=*/true, /*writable=*/isDestination);
    argument.replaceAllUsesExcept(tensor, tensor);
    if (isDestination)
      destinations.push_back(argument);
  }
  Operation *terminator = func.getBody().back().getTerminator();
  builder.setInsertionPoint(terminator);
  for (auto [result, destination] : llvm::zip(terminator->getOperands(), destinations)) {
    auto materialize = bufferization::MaterializeInDestinationOp::create(
        builder, func.getLoc(), /*result=*/Type(), result, destination);
    materialize.setRestrict(true);
    materialize.setWritable(true);
  }
  terminator->setOperands({});
  func.setFunctionType(FunctionType::get(func.getContext(), entry.getArgumentTypes(), {}));
}

struct BufferizeKernelsPass : buffer::impl::BufferizeKernelsPassBase<BufferizeKernelsPass> {
  void runOnOperation() override {
    convertBoundary(getOperation());
    bufferization::OneShotBufferizationOptions options;
    options.allowUnknownOps = false;
    options.setFunctionBoundaryTypeConversion(bufferization::LayoutMapOption::IdentityLayoutMap);
    bufferization::BufferizationState state;
    if (failed(bufferization::runOneShotBufferize(getOperation(), options, state)))
      signalPassFailure();
  }
};

} // namespace
