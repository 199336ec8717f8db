//===- DelayKernels.cpp - Compute what is large when it is read -*- C++ -*-===//
//
// Before: %t = kern.call @transpose ins(%w)      %g = kern.call @product ins(%x, %dy)
//         kern.call @update ins(%g)              %dx = kern.call @product ins(%dy, %t)
// After:  %g = kern.call @product ins(%x, %dy)   kern.call @update ins(%g)
//         %t = kern.call @transpose ins(%w)      %dx = kern.call @product ins(%dy, %t)
//
// A kernel stands where its op was built: in a backward pass, all that an op's gradients are
// made of before the first of them. One that may wait for the first reader of its results does
// so if these are larger than what would have to be kept for it meanwhile.
//
// Precondition: a host function on tensors. Postcondition: views stand before their first
// reader, and so do kernels with fresh destinations of static size whose results are larger
// than what dies with their inputs.
//
//===----------------------------------------------------------------------===//
#include "compiler/buffer/BufferSizes.h"
#include "compiler/buffer/Passes.h"
#include "dialects/kern/KernOps.h"
#include "dialects/nn/NNOps.h"
#include "dialects/rt/RtOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

namespace nacre::buffer {
#define GEN_PASS_DEF_DELAYKERNELSPASS
#include "compiler/buffer/Passes.h.inc"
} // namespace nacre::buffer

using namespace mlir;
using namespace nacre;

namespace {

bool isView(Operation *op) { return isa<tensor::CollapseShapeOp, tensor::ExpandShapeOp, tensor::CastOp>(op); }

/// Bytes of a tensor; nothing if that is not known.
std::optional<int64_t> getBytes(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  if (!type || !type.hasStaticShape())
    return std::nullopt;
  return buffer::getStaticBytes(MemRefType::get(type.getShape(), type.getElementType()));
}

class Delayer {
public:
  explicit Delayer(Block &block) : block(block) {}

  void run() {
    // Readers first: what they wait for moves down with them.
    for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block)))
      if (isView(&op) || isa<kern::CallOp>(op))
        if (Operation *reader = findFirstReader(&op); reader && reader != op.getNextNode() && mayWait(&op, reader))
          op.moveBefore(isa_and_present<rt::WorkOp>(reader->getPrevNode()) ? reader->getPrevNode() : reader);
  }

private:
  Operation *findFirstReader(Operation *op) const {
    Operation *first = nullptr;
    for (Operation *user : op->getUsers()) {
      Operation *ancestor = block.findAncestorOpInBlock(*user);
      if (ancestor && (!first || ancestor->isBeforeInBlock(first)))
        first = ancestor;
    }
    return first;
  }

  /// The last op of the block that reads a value or a view of it.
  Operation *findLastReader(Value value) const {
    Operation *last = nullptr;
    SmallVector<Value> worklist{value};
    while (!worklist.empty())
      for (Operation *user : worklist.pop_back_val().getUsers()) {
        Operation *ancestor = block.findAncestorOpInBlock(*user);
        if (ancestor && (!last || last->isBeforeInBlock(ancestor)))
          last = ancestor;
        if (isView(user))
          worklist.push_back(user->getResult(0));
      }
    return last;
  }

  bool mayWait(Operation *op, Operation *reader) const {
    auto call = dyn_cast<kern::CallOp>(op);
    if (!call)
      return true;
    if (isa_and_present<rt::WorkOp>(op->getPrevNode())) // counts the work of the call behind it
      return false;
    int64_t saved = 0, kept = 0;
    for (auto [out, result] : llvm::zip(call.getOuts(), call.getResults())) {
      std::optional<int64_t> bytes = getBytes(result);
      if (!out.getDefiningOp<tensor::EmptyOp>() || !bytes)
        return false;
      saved += *bytes;
    }
    llvm::SmallPtrSet<Value, 8> inputs;
    for (Value input : call.getInputs()) {
      while (Operation *view = input.getDefiningOp()) {
        if (!isView(view))
          break;
        input = view->getOperand(0);
      }
      if (!isa<RankedTensorType>(input.getType()) || !inputs.insert(input).second)
        continue;
      if (isOverwritten(input, op, reader))
        return false;
      Operation *last = findLastReader(input);
      if (isa<BlockArgument>(input) || input.getDefiningOp<nn::GetParameterOp>() || !last || !last->isBeforeInBlock(reader))
        continue; // lives as long anyway
      std::optional<int64_t> bytes = getBytes(input);
      if (!bytes)
        return false;
      kept += *bytes;
    }
    return saved > kept;
  }

  /// Whether a kernel between the two writes over the value.
  static bool isOverwritten(Value value, Operation *from, Operation *to) {
    return llvm::any_of(value.getUsers(), [&](Operation *user) {
      auto call = dyn_cast<kern::CallOp>(user);
      return call && llvm::is_contained(call.getOuts(), value) && call->getBlock() == from->getBlock() &&
             from->isBeforeInBlock(call) && (call == to || call->isBeforeInBlock(to));
    });
  }

  Block &block;
};

struct DelayKernelsPass : buffer::impl::DelayKernelsPassBase<DelayKernelsPass> {
  void runOnOperation() override {
    getOperation().walk([](Block *block) { Delayer(*block).run(); });
  }
};

} // namespace
