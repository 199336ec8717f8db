//===- Bufferize.cpp - Turn tensors into buffers ----------------*- C++ -*-===//
//
// Before: kern.func @k(%a: tensor<4xf32>, %d: tensor<4xf32>) -> tensor<4xf32>
//         func.func @main(%x: tensor<4xf32>) -> tensor<4xf32> {
//           %e = tensor.empty(); %r = kern.call @k ins(%x) outs(%e); return %r }
// After:  kern.func @k(%a: memref<4xf32>, %d: memref<4xf32>)
//         func.func @main() { %x = rt.input 0; %r = rt.output 0 ()
//           kern.call @k ins(%x) outs(%r); return }
//
// Precondition: no nn op but parameters is left; kernels are tiled.
// Postcondition: no tensor is left; host functions take and return nothing.
//
//===----------------------------------------------------------------------===//
#include "compiler/buffer/Passes.h"
#include "dialects/kern/KernOps.h"
#include "dialects/nn/NNOps.h"
#include "dialects/rt/RtOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Bufferization/IR/BufferizableOpInterface.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Bufferization/Transforms/OneShotAnalysis.h"
#include "mlir/Dialect/Bufferization/Transforms/Transforms.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Threading.h"

namespace nacre::buffer {
#define GEN_PASS_DEF_BUFFERIZEPASS
#include "compiler/buffer/Passes.h.inc"
} // namespace nacre::buffer

using namespace mlir;
using namespace nacre;

namespace {

MemRefType getBufferType(Type tensor) {
  auto type = cast<RankedTensorType>(tensor);
  return MemRefType::get(type.getShape(), type.getElementType());
}

/// The memref seen as a tensor; `writable` if the function may write into it.
Value createTensor(OpBuilder &b, Location loc, Type type, Value memref, bool writable) {
  return bufferization::ToTensorOp::create(b, loc, type, memref, /*restrict=*/true, writable);
}

void createMaterialize(OpBuilder &b, Location loc, Value tensor, Value memref) {
  auto op = bufferization::MaterializeInDestinationOp::create(b, loc, Type(), tensor, memref);
  op.setRestrict(true);
  op.setWritable(true);
}

/// Makes a kernel's arguments memrefs, seen as tensors inside, and its return a
/// materialisation of each result in its destination.
void convertKernelBoundary(kern::FuncOp func) {
  Block &entry = func.getBody().front();
  OpBuilder b = OpBuilder::atBlockBegin(&entry);
  unsigned inputs = func.getNumInputs();
  SmallVector<Value> destinations;
  for (BlockArgument argument : entry.getArguments()) {
    Type type = argument.getType();
    if (!isa<RankedTensorType>(type))
      continue;
    bool isDestination = argument.getArgNumber() >= inputs;
    argument.setType(getBufferType(type));
    Value tensor = createTensor(b, func.getLoc(), type, argument, isDestination);
    argument.replaceAllUsesExcept(tensor, tensor.getDefiningOp());
    if (isDestination)
      destinations.push_back(argument);
  }
  Operation *terminator = func.getBody().back().getTerminator();
  b.setInsertionPoint(terminator);
  for (auto [result, destination] : llvm::zip(terminator->getOperands(), destinations))
    createMaterialize(b, func.getLoc(), result, destination);
  terminator->setOperands({});
  func.setFunctionType(FunctionType::get(func.getContext(), entry.getArgumentTypes(), {}));
}

/// Makes a host function's arguments rt.input.
void convertInputs(func::FuncOp func) {
  Block &entry = func.getBody().front();
  OpBuilder b = OpBuilder::atBlockBegin(&entry);
  for (BlockArgument argument : entry.getArguments()) {
    Location loc = argument.getLoc();
    Value memref = rt::InputOp::create(b, loc, getBufferType(argument.getType()),
                                       b.getI64IntegerAttr(argument.getArgNumber()));
    argument.replaceAllUsesWith(createTensor(b, loc, argument.getType(), memref, false));
  }
  entry.eraseArguments(0, entry.getNumArguments());
}

/// Makes a host function's parameters rt.parameter. One that the function sets is seen as
/// one tensor that may be written: its new value is computed in place if nothing reads the
/// old one later (upstream's analysis finds out), and copied there at the end otherwise.
void convertParameters(func::FuncOp func) {
  SymbolTableCollection symbols;
  auto createMemRef = [&](OpBuilder &b, Location loc, Type type, FlatSymbolRefAttr name) {
    auto parameter = symbols.lookupNearestSymbolFrom<nn::ParameterOp>(func, name);
    return rt::ParameterOp::create(b, loc, getBufferType(type), name.getAttr(), parameter.getTrainableAttr(),
                                   IntegerAttr());
  };
  OpBuilder b = OpBuilder::atBlockBegin(&func.getBody().front());
  Operation *terminator = func.getBody().front().getTerminator();
  llvm::DenseMap<Attribute, Value> written;
  for (auto set : llvm::make_early_inc_range(func.getBody().front().getOps<nn::SetParameterOp>())) {
    Location loc = set.getLoc();
    Type type = set.getValue().getType();
    Value memref = createMemRef(b, loc, type, set.getNameAttr());
    written[set.getNameAttr()] = createTensor(b, loc, type, memref, true);
    OpBuilder at(set);
    Value value = set.getValue();
    if (!value.getDefiningOp<kern::CallOp>()) // it may be a parameter that is set as well
      value = bufferization::AllocTensorOp::create(at, loc, cast<RankedTensorType>(type), ValueRange(), value);
    at.setInsertionPoint(terminator);
    createMaterialize(at, loc, value, memref);
    set.erase();
  }
  func.walk([&](nn::GetParameterOp op) {
    Value tensor = written.lookup(op.getNameAttr());
    if (!tensor) {
      b.setInsertionPoint(op);
      Value memref = createMemRef(b, op.getLoc(), op.getType(), op.getNameAttr());
      tensor = createTensor(b, op.getLoc(), op.getType(), memref, false);
    }
    op.replaceAllUsesWith(tensor);
    op.erase();
  });
}

/// Makes a host function's constant strings rt.strings.
void convertStrings(func::FuncOp func) {
  OpBuilder b(func.getContext());
  func.walk([&](nn::StringConstantOp op) {
    b.setInsertionPoint(op);
    Value memref = rt::StringsOp::create(b, op.getLoc(), getBufferType(op.getType()), op.getValuesAttr());
    op.replaceAllUsesWith(createTensor(b, op.getLoc(), op.getType(), memref, false));
    op.erase();
  });
}

/// Computes each result into rt.output: in place if a kernel makes it into a tensor of
/// its own, else by a copy.
void convertOutputs(func::FuncOp func) {
  Operation *terminator = func.getBody().back().getTerminator();
  llvm::DenseSet<Value> taken;
  for (auto [index, result] : llvm::enumerate(terminator->getOperands())) {
    Location loc = result.getLoc();
    OpBuilder b(terminator);
    auto call = result.getDefiningOp<kern::CallOp>();
    tensor::EmptyOp empty;
    if (call && call->getBlock() == terminator->getBlock() && taken.insert(result).second) {
      empty = call.getTiedOpOperand(cast<OpResult>(result))->get().getDefiningOp<tensor::EmptyOp>();
      if (empty && empty->hasOneUse())
        b.setInsertionPoint(call);
      else
        empty = nullptr;
    }
    SmallVector<Value> sizes;
    if (empty)
      sizes = empty.getDynamicSizes();
    else
      for (int64_t i = 0, e = cast<RankedTensorType>(result.getType()).getRank(); i < e; ++i)
        if (cast<RankedTensorType>(result.getType()).isDynamicDim(i))
          sizes.push_back(tensor::DimOp::create(b, loc, result, i));
    Value memref = rt::OutputOp::create(b, loc, getBufferType(empty ? empty.getType() : result.getType()),
                                        b.getI64IntegerAttr(index), sizes);
    if (empty)
      empty.replaceAllUsesWith(createTensor(b, loc, empty.getType(), memref, true));
    b.setInsertionPoint(terminator);
    createMaterialize(b, loc, result, memref);
  }
  terminator->setOperands({});
}

/// Writes small constant tensors out element by element, and splats as fills: upstream
/// would make globals of them, which a kernel of its own cannot have.
void expandConstants(Operation *func) {
  SmallVector<arith::ConstantOp> constants;
  func->walk([&](arith::ConstantOp op) {
    if (isa<RankedTensorType>(op.getType()))
      constants.push_back(op);
  });
  for (arith::ConstantOp op : constants) {
    OpBuilder b(op);
    Location loc = op.getLoc();
    auto type = cast<RankedTensorType>(op.getType());
    auto elements = cast<DenseElementsAttr>(op.getValue());
    Value tensor;
    auto scalar = [&](Attribute value) -> Value {
      return arith::ConstantOp::create(b, loc, cast<TypedAttr>(value));
    };
    if (elements.isSplat() && type.getRank() > 0) {
      Value empty = tensor::EmptyOp::create(b, loc, type.getShape(), type.getElementType());
      tensor = linalg::FillOp::create(b, loc, scalar(elements.getSplatValue<Attribute>()), empty)
                   .getResult(0);
    } else {
      SmallVector<Value> scalars;
      for (Attribute value : elements.getValues<Attribute>())
        scalars.push_back(scalar(value));
      tensor = tensor::FromElementsOp::create(b, loc, type, scalars);
    }
    op.replaceAllUsesWith(tensor);
    op.erase();
  }
}

/// Makes views of no elements uninitialised tensors. Of a group of sizes of which one is 0 and one open,
/// upstream says that it is 0, and then that it ought to be open.
void replaceEmptyViews(Operation *func) {
  auto isEmpty = [](Type type) { return llvm::is_contained(cast<RankedTensorType>(type).getShape(), 0); };
  func->walk([&](Operation *op) {
    auto collapse = dyn_cast<tensor::CollapseShapeOp>(op);
    auto expand = dyn_cast<tensor::ExpandShapeOp>(op);
    if ((!collapse && !expand) || (!isEmpty(op->getOperand(0).getType()) && !isEmpty(op->getResult(0).getType())))
      return;
    OpBuilder b(op);
    Location loc = op->getLoc();
    auto type = cast<RankedTensorType>(op->getResult(0).getType());
    SmallVector<OpFoldResult> sizes = expand ? expand.getMixedOutputShape() : SmallVector<OpFoldResult>();
    if (collapse)
      for (const ReassociationIndices &group : collapse.getReassociationIndices()) {
        Value size = arith::ConstantIndexOp::create(b, loc, 1);
        for (int64_t dim : group)
          size = arith::MulIOp::create(b, loc, size, tensor::DimOp::create(b, loc, collapse.getSrc(), dim));
        sizes.push_back(size);
      }
    for (auto [size, known] : llvm::zip_equal(sizes, type.getShape()))
      if (!ShapedType::isDynamic(known))
        size = b.getIndexAttr(known);
    Value empty = tensor::EmptyOp::create(b, loc, sizes, type.getElementType());
    if (empty.getType() != type)
      empty = tensor::CastOp::create(b, loc, type, empty);
    op->replaceAllUsesWith(ValueRange(empty));
    op->erase();
  });
}

/// Gives every use of an uninitialised tensor one of its own, where it is used: shared ones would
/// look like data that one kernel writes and another still reads, and early ones hold memory that
/// nobody needs yet.
void splitEmptyTensors(func::FuncOp func) {
  SmallVector<tensor::EmptyOp> empties;
  func.walk([&](tensor::EmptyOp empty) { empties.push_back(empty); });
  for (tensor::EmptyOp empty : empties) {
    for (OpOperand &use : llvm::make_early_inc_range(empty->getUses())) {
      OpBuilder b(empty->getBlock()->findAncestorOpInBlock(*use.getOwner()));
      use.set(b.clone(*empty)->getResult(0));
    }
    empty.erase();
  }
}

/// Casts what a call passes to the types that its kernel wants: one side may know sizes
/// more precisely, but only dynamic sizes travel in a call.
void matchCallees(func::FuncOp func, const SymbolTable &symbols) {
  func.walk([&](kern::CallOp call) {
    auto kernel = symbols.lookup<kern::FuncOp>(call.getCallee());
    OpBuilder b(call);
    for (auto [operand, type] : llvm::zip(call->getOpOperands(), kernel.getArgumentTypes()))
      if (operand.get().getType() != type && isa<MemRefType>(type))
        operand.set(memref::CastOp::create(b, call.getLoc(), type, operand.get()));
  });
}

struct BufferizePass : buffer::impl::BufferizePassBase<BufferizePass> {
  void runOnOperation() override {
    for (auto func : getOperation().getOps<kern::FuncOp>()) {
      expandConstants(func);
      replaceEmptyViews(func);
      convertKernelBoundary(func);
    }
    for (auto func : getOperation().getOps<func::FuncOp>()) {
      expandConstants(func);
      replaceEmptyViews(func);
      splitEmptyTensors(func);
      convertInputs(func);
      convertOutputs(func);
      convertParameters(func); // after what copies to outputs
      convertStrings(func);
      for (unsigned i = 0; i < func.getNumArguments(); ++i)
        func.removeArgAttrsAttr();
      func.removeResAttrsAttr();
      func.setFunctionType(FunctionType::get(&getContext(), {}, {}));
    }
    bufferization::OneShotBufferizationOptions options;
    options.setFunctionBoundaryTypeConversion(bufferization::LayoutMapOption::IdentityLayoutMap);
    options.copyBeforeWrite = false;
    // What a loop carries may move, and grow, from one iteration to the next.
    options.allowReturnAllocsFromLoops = true;
    auto run = [&](Operation *func) {
      bufferization::BufferizationState state;
      bufferization::OneShotBufferizationOptions own = options;
      // In kernels what is allocated in an iteration has one place in all of them.
      own.allowReturnAllocsFromLoops = !isa<kern::FuncOp>(func);
      return bufferization::runOneShotBufferize(func, own, state);
    };
    SmallVector<Operation *> kernels, hosts;
    for (Operation &op : *getOperation().getBody())
      if (isa<kern::FuncOp>(op))
        kernels.push_back(&op);
      else if (isa<func::FuncOp>(op))
        hosts.push_back(&op);
    if (failed(failableParallelForEach(&getContext(), kernels, run)))
      return signalPassFailure();
    SymbolTable symbols(getOperation());
    for (Operation *host : hosts) {
      if (failed(run(host)))
        return signalPassFailure();
      matchCallees(cast<func::FuncOp>(host), symbols);
    }
  }
};

} // namespace
