//===- AnnotateKernels.cpp - What all callers guarantee ---------*- C++ -*-===//
//
// Before: %a = rt.arena 0 : memref<16xf32>  %b = rt.arena 64 : memref<16xf32>
//         kern.call @k ins(%a) outs(%b)     kern.func @k(%a, %b)
// After:  kern.func @k(%a: memref<16xf32> {llvm.noalias}, %b: memref<16xf32> {llvm.noalias})
//
// An argument is noalias if, in every call, nothing that is written through
// another argument overlaps it, nor anything at all if it is written itself. A
// kernel that is called in place anywhere keeps the possibility.
//
//===----------------------------------------------------------------------===//
#include "compiler/codegen/Passes.h"
#include "dialects/kern/KernOps.h"
#include "dialects/rt/RtOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/ViewLikeInterface.h"

namespace nacre::codegen {
#define GEN_PASS_DEF_ANNOTATEKERNELSPASS
#include "compiler/codegen/Passes.h.inc"
} // namespace nacre::codegen

using namespace mlir;
using namespace nacre;

namespace {

/// The buffer that a value is a view of.
Value getRoot(Value value) {
  while (auto view = value.getDefiningOp<ViewLikeOpInterface>())
    value = view.getViewSource();
  return value;
}

bool isKnownRoot(Value root) {
  return isa_and_present<rt::ArenaOp, rt::AllocOp, rt::InputOp, rt::OutputOp, rt::ParameterOp,
                         rt::StringsOp>(root.getDefiningOp());
}

/// Whether two buffers certainly have no byte in common.
bool areDisjoint(Value a, Value b) {
  a = getRoot(a), b = getRoot(b);
  if (a == b || !isKnownRoot(a) || !isKnownRoot(b))
    return false;
  Operation *x = a.getDefiningOp(), *y = b.getDefiningOp();
  if (x->getName() != y->getName())
    return true; // different kinds of memory; inputs overlap no output
  if (auto first = dyn_cast<rt::ArenaOp>(x)) {
    auto range = [](rt::ArenaOp op) {
      auto type = cast<MemRefType>(op.getType());
      DataLayout layout;
      int64_t begin = op.getOffset();
      return std::pair(begin, begin + type.getNumElements() *
                                          int64_t(layout.getTypeSize(type.getElementType())));
    };
    auto [begin, end] = range(first);
    auto [otherBegin, otherEnd] = range(cast<rt::ArenaOp>(y));
    return end <= otherBegin || otherEnd <= begin;
  }
  if (auto first = dyn_cast<rt::ParameterOp>(x))
    return first.getName() != cast<rt::ParameterOp>(y).getName();
  if (auto first = dyn_cast<rt::OutputOp>(x))
    return first.getIndex() != cast<rt::OutputOp>(y).getIndex();
  // Two inputs may be the same memory. Two allocations alive at once never are.
  return isa<rt::AllocOp>(x);
}

struct AnnotateKernelsPass : codegen::impl::AnnotateKernelsPassBase<AnnotateKernelsPass> {
  void runOnOperation() override {
    SymbolTable symbols(getOperation());
    llvm::MapVector<kern::FuncOp, llvm::BitVector> apart;
    getOperation().walk([&](kern::CallOp call) {
      auto kernel = symbols.lookup<kern::FuncOp>(call.getCallee());
      if (!kernel)
        return;
      unsigned count = call->getNumOperands(), inputs = call.getInputs().size();
      llvm::BitVector &flags =
          apart.try_emplace(kernel, llvm::BitVector(count, true)).first->second;
      for (unsigned i = 0; i < count; ++i)
        for (unsigned j = 0; j < count; ++j) {
          bool isWritten = i >= inputs || j >= inputs;
          Value a = call->getOperand(i), b = call->getOperand(j);
          if (i != j && isWritten && flags[i] && isa<BaseMemRefType>(a.getType()) &&
              isa<BaseMemRefType>(b.getType()) && !areDisjoint(a, b))
            flags.reset(i);
        }
    });
    for (auto &[kernel, flags] : apart)
      for (unsigned i : flags.set_bits())
        if (isa<MemRefType>(kernel.getArgumentTypes()[i]))
          kernel.setArgAttr(i, LLVM::LLVMDialect::getNoAliasAttrName(), UnitAttr::get(&getContext()));
  }
};

} // namespace
