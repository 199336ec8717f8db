//===- BufferizableKernels.cpp - How calls bufferize ------------*- C++ -*-===//
#include "compiler/buffer/BufferizableKernels.h"
#include "dialects/kern/KernOps.h"
#include "dialects/rt/RtOps.h"
#include "mlir/Dialect/Bufferization/IR/BufferizableOpInterface.h"
#include "mlir/Dialect/Bufferization/IR/DstBufferizableOpInterfaceImpl.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace mlir::bufferization;
using namespace nacre;

namespace {

/// Kernels take dense row-major buffers: a buffer of another layout is copied.
FailureOr<Value> getDenseBuffer(RewriterBase &rewriter, Value tensor, Type argument,
                                const BufferizationOptions &options, BufferizationState &state) {
  FailureOr<Value> buffer = getBuffer(rewriter, tensor, options, state);
  if (failed(buffer) || buffer->getType() == argument)
    return buffer;
  auto from = cast<MemRefType>(buffer->getType());
  auto type = cast<RankedTensorType>(tensor.getType());
  auto dense = MemRefType::get(type.getShape(), type.getElementType());
  Location loc = tensor.getLoc();
  if (from.getLayout().isIdentity())
    return buffer;
  SmallVector<Value> sizes;
  for (int64_t i = 0; i < type.getRank(); ++i)
    if (type.isDynamicDim(i))
      sizes.push_back(memref::DimOp::create(rewriter, loc, *buffer, i));
  Value copy = memref::AllocOp::create(rewriter, loc, dense, sizes);
  memref::CopyOp::create(rewriter, loc, *buffer, copy);
  return copy;
}

/// Of a call, kern.call or rt.host_call, with the operands `inputs` and `outs`.
template <typename Call>
struct CallInterface : DstBufferizableOpInterfaceExternalModel<CallInterface<Call>, Call> {
  // A destination is written as a whole; one that holds something is read before.
  bool bufferizesToMemoryRead(Operation *op, OpOperand &operand, const AnalysisState &) const {
    return !cast<DestinationStyleOpInterface>(op).isDpsInit(&operand) ||
           !operand.get().getDefiningOp<tensor::EmptyOp>();
  }
  // Kernels assume that destinations overlap no input.
  bool bufferizesToElementwiseAccess(Operation *, const AnalysisState &, ArrayRef<OpOperand *>) const {
    return false;
  }

  LogicalResult bufferize(Operation *op, RewriterBase &rewriter, const BufferizationOptions &options,
                          BufferizationState &bufferization) const {
    auto call = cast<Call>(op);
    rewriter.setInsertionPoint(op);
    SmallVector<Value> inputs, outs;
    for (Value input : call.getInputs()) {
      if (!isa<TensorType>(input.getType())) {
        inputs.push_back(input);
        continue;
      }
      FailureOr<Value> buffer = getDenseBuffer(rewriter, input, input.getType(), options, bufferization);
      if (failed(buffer))
        return failure();
      inputs.push_back(*buffer);
    }
    for (Value out : call.getOuts()) {
      FailureOr<Value> buffer = getBuffer(rewriter, out, options, bufferization);
      if (failed(buffer))
        return failure();
      outs.push_back(*buffer);
    }
    // The same op without results: operands are inputs, then destinations.
    OperationState state(op->getLoc(), op->getName());
    state.addOperands(inputs);
    state.addOperands(outs);
    state.addAttributes(op->getDiscardableAttrDictionary().getValue());
    state.propertiesAttr = op->getPropertiesAsAttribute();
    rewriter.create(state);
    replaceOpWithBufferizedValues(rewriter, op, outs);
    return success();
  }
};

/// Of kern.winograd: views may have any layout.
struct WinogradInterface : DstBufferizableOpInterfaceExternalModel<WinogradInterface, kern::WinogradOp> {
  bool bufferizesToMemoryRead(Operation *op, OpOperand &operand, const AnalysisState &) const {
    return !cast<DestinationStyleOpInterface>(op).isDpsInit(&operand);
  }
  bool bufferizesToElementwiseAccess(Operation *, const AnalysisState &, ArrayRef<OpOperand *>) const {
    return false;
  }

  LogicalResult bufferize(Operation *op, RewriterBase &rewriter, const BufferizationOptions &options,
                          BufferizationState &state) const {
    rewriter.setInsertionPoint(op);
    SmallVector<Value> buffers;
    for (Value operand : op->getOperands()) {
      FailureOr<Value> buffer = getBuffer(rewriter, operand, options, state);
      if (failed(buffer))
        return failure();
      buffers.push_back(*buffer);
    }
    kern::WinogradOp::create(rewriter, op->getLoc(), TypeRange(), buffers[0], buffers[1], buffers[2]);
    replaceOpWithBufferizedValues(rewriter, op, buffers[2]);
    return success();
  }
};

} // namespace

void buffer::registerBufferizableOpInterfaces(DialectRegistry &registry) {
  registry.addExtension(+[](MLIRContext *context, kern::KernDialect *) {
    kern::WinogradOp::attachInterface<WinogradInterface>(*context);
    kern::CallOp::attachInterface<CallInterface<kern::CallOp>>(*context);
  });
  registry.addExtension(+[](MLIRContext *context, rt::RtDialect *) {
    rt::HostCallOp::attachInterface<CallInterface<rt::HostCallOp>>(*context);
  });
}
