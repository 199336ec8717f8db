//===- StepMemory.cpp - What a training step will hold ----------*- C++ -*-===//
#include "compiler/train/StepMemory.h"
#include "dialects/kern/KernOps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace nacre;

namespace {

/// Where each value's memory is needed last: where it, or what may be a view of it, is used.
class Lifetimes {
public:
  explicit Lifetimes(Block &block) : block(block) {
    for (auto [i, op] : llvm::enumerate(block))
      place[&op] = int64_t(i);
  }

  int64_t getPlace(Operation *op) const { return place.lookup(op); }

  int64_t getLastUse(Value value) {
    if (auto it = last.find(value); it != last.end())
      return it->second;
    int64_t result = value.getDefiningOp() ? place.lookup(value.getDefiningOp()) : 0;
    for (OpOperand &use : value.getUses()) {
      Operation *user = block.findAncestorOpInBlock(*use.getOwner());
      result = std::max(result, place.lookup(user));
      // A destination is its result; what no kernel computes is a view.
      if (auto call = dyn_cast<kern::CallOp>(user)) {
        if (call.isDpsInit(&use))
          result = std::max(result, getLastUse(call.getTiedOpResult(&use)));
      } else {
        for (Value view : user->getResults())
          if (isa<RankedTensorType>(view.getType()))
            result = std::max(result, getLastUse(view));
      }
    }
    return last[value] = result;
  }

private:
  Block &block;
  llvm::DenseMap<Operation *, int64_t> place;
  llvm::DenseMap<Value, int64_t> last;
};

} // namespace

int64_t train::estimateHeldBytes(func::FuncOp func, const graph::BatchSizes &sizes) {
  Block &block = func.getBody().front();
  Lifetimes lifetimes(block);
  graph::BatchSizes::Known known;
  std::vector<int64_t> change(block.getOperations().size() + 1, 0);
  for (Operation &op : block)
    for (OpResult result : op.getResults()) {
      auto call = dyn_cast<kern::CallOp>(op);
      auto empty = call ? call.getTiedOpOperand(result)->get().getDefiningOp<tensor::EmptyOp>() : tensor::EmptyOp();
      if (!empty && op.getNumRegions() == 0) // a view, or a parameter's own memory
        continue;
      int64_t bytes = sizes.getBytes(result.getType(), empty ? ValueRange(empty.getDynamicSizes()) : ValueRange(), known);
      change[lifetimes.getPlace(&op)] += bytes;
      change[lifetimes.getLastUse(result) + 1] -= bytes;
    }
  int64_t held = 0, most = 0;
  for (int64_t bytes : change)
    most = std::max(most, held += bytes);
  return most;
}
