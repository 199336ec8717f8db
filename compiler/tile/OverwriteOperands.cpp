//===- OverwriteOperands.cpp - Compute over what is read last ---*- C++ -*-===//
//
// Before: %d = tensor.empty()                              @sum: %s = generic {add} ins(%p, %arg0)
//         %y = kern.call @sum ins(%x, %a) outs(%d)               kern.return %s
// After:  %y = kern.call @sum ins(%a) outs(%x)             @sum: %s = generic {add} ins(%p, %destination)
//
// A kernel that reads an intermediate value element by element, where it writes its result, and is
// the last to read it, needs no memory of its own: what is written is in the cache already, where a fresh
// destination would have to be fetched first. The sums of residual networks are of this kind.
//
// Precondition: kernels of structured ops on tensors, each with one call.
// Postcondition: the same values; the destination of a kernel that reads an operand element by element is
// this operand, where another kernel has computed it and no op reads it later.
//
//===----------------------------------------------------------------------===//
#include "compiler/graph/SpecializeSizes.h"
#include "compiler/tile/Passes.h"
#include "dialects/kern/KernOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

namespace nacre::tile {
#define GEN_PASS_DEF_OVERWRITEOPERANDSPASS
#include "compiler/tile/Passes.h.inc"
} // namespace nacre::tile

using namespace mlir;
using namespace nacre;

namespace {

/// The only use of a value beside questions for its sizes; null if there are more or none.
OpOperand *findOnlyUse(Value value) {
  OpOperand *only = nullptr;
  for (OpOperand &use : value.getUses()) {
    if (isa<tensor::DimOp>(use.getOwner()))
      continue;
    if (only)
      return nullptr;
    only = &use;
  }
  return only;
}

/// The number of the result that a kernel computes from an argument element by element, in the argument's
/// places; nullopt if there is none, or if the argument is read elsewhere.
std::optional<unsigned> findResultInPlace(BlockArgument argument) {
  Value value = argument;
  for (;;) {
    OpOperand *use = findOnlyUse(value);
    if (!use)
      return std::nullopt;
    if (isa<kern::ReturnOp>(use->getOwner()))
      return value == argument ? std::nullopt : std::optional(use->getOperandNumber());
    auto op = dyn_cast<linalg::GenericOp>(use->getOwner());
    if (!op || op.getNumLoops() != op.getNumParallelLoops() || op.getNumDpsInits() != 1 || !op.isDpsInput(use) ||
        !op.getMatchingIndexingMap(use).isIdentity() || !op.getMatchingIndexingMap(op.getDpsInitOperand(0)).isIdentity())
      return std::nullopt;
    value = op.getResult(0);
  }
}

/// Whether a call is the last op that reads a value that another call makes, and reads it once.
bool isLastReader(kern::CallOp call, OpOperand &operand) {
  auto producer = operand.get().getDefiningOp<kern::CallOp>();
  return producer && producer->getBlock() == call->getBlock() && llvm::all_of(operand.get().getUses(), [&](OpOperand &use) {
    Operation *reader = use.getOwner();
    // What is seen through a view may be read later.
    return &use == &operand || (isa<kern::CallOp>(reader) && reader->getBlock() == call->getBlock() && reader->isBeforeInBlock(call)) ||
           isa<tensor::DimOp>(reader);
  });
}

/// Whether a result has a destination of its own, of a type.
bool isFresh(kern::CallOp call, kern::FuncOp kernel, unsigned result, Type type) {
  Value destination = call.getOuts()[result];
  return destination.getDefiningOp<tensor::EmptyOp>() && !findOnlyUse(kernel.getDestinations()[result]) &&
         destination.getType() == type && call.getResult(result).getType() == type;
}

/// Makes an input the destination of a result.
void overwrite(kern::CallOp call, kern::FuncOp kernel, unsigned input, unsigned result) {
  Block &body = kernel.getBody().front();
  body.getArgument(input).replaceAllUsesWith(kernel.getDestinations()[result]);
  body.eraseArgument(input);
  kernel.setFunctionType(FunctionType::get(kernel.getContext(), body.getArgumentTypes(), kernel.getResultTypes()));
  Value old = call.getInputs()[input];
  Operation *fresh = call.getOuts()[result].getDefiningOp();
  call.getOutsMutable()[result].set(old);
  SmallVector<int64_t> all;
  if (auto others = call->getAttrOfType<DenseI64ArrayAttr>(kern::kOverwrites))
    llvm::append_range(all, others.asArrayRef());
  all.push_back(result);
  call->setAttr(kern::kOverwrites, DenseI64ArrayAttr::get(call.getContext(), all));
  call.getInputsMutable().erase(input);
  if (fresh->use_empty())
    fresh->erase();
}

/// So many kernels write over one tensor in turn at most: bufferization compares each two that share memory.
constexpr unsigned kLongestChain = 16;

struct OverwriteOperandsPass : tile::impl::OverwriteOperandsPassBase<OverwriteOperandsPass> {
  void runOnOperation() override {
    SymbolTable symbols(getOperation());
    llvm::DenseMap<Value, unsigned> written; // how many kernels have written over a tensor
    for (func::FuncOp func : graph::getMainAndVersions(getOperation()))
      func.walk([&](kern::CallOp call) { overwriteOperands(call, symbols.lookup<kern::FuncOp>(call.getCallee()), written); });
  }

private:
  static void overwriteOperands(kern::CallOp call, kern::FuncOp kernel, llvm::DenseMap<Value, unsigned> &written) {
    // Winograd's transforms leave their sums in the destination, which what follows reads again.
    if (!kernel.getOps<kern::WinogradOp>().empty())
      return;
    for (unsigned input = 0; input < call.getInputs().size();) {
      std::optional<unsigned> result = findResultInPlace(kernel.getArgument(input));
      unsigned before = written.lookup(call.getInputs()[input]);
      if (result && before < kLongestChain && isLastReader(call, call.getInputsMutable()[input]) &&
          isFresh(call, kernel, *result, kernel.getArgument(input).getType())) {
        overwrite(call, kernel, input, *result); // the next one has its number now
        written[call.getResult(*result)] = before + 1;
      } else {
        ++input;
      }
    }
  }
};

} // namespace
