//===- DeduplicateKernels.cpp - One of identical kernels --------*- C++ -*-===//
//
// Before: kern.func @relu0 ... {nodes = ["/r0"]}   kern.func @relu1 ... {nodes = ["/r1"]}
//         kern.call @relu0 ...                     kern.call @relu1 ...
// After:  kern.func @relu0 ... {nodes = ["/r0"]}
//         kern.call @relu0 ...                     kern.call @relu0 ... {nodes = ["/r1"]}
//
// The first in module order stays, so the result does not depend on hashes.
//
//===----------------------------------------------------------------------===//
#include "compiler/graph/SpecializeSizes.h"
#include "compiler/tile/Choices.h"
#include "compiler/tile/Passes.h"
#include "dialects/kern/KernOps.h"
#include "mlir/IR/OperationSupport.h"

namespace nacre::tile {
#define GEN_PASS_DEF_DEDUPLICATEKERNELSPASS
#include "compiler/tile/Passes.h.inc"
} // namespace nacre::tile

using namespace mlir;
using namespace nacre;

namespace {

/// Attributes that say where a kernel came from, not what it does.
constexpr StringLiteral kOrigin[] = {"nodes", "flops", "bytes"};

DictionaryAttr codeAttributes(kern::FuncOp kernel) {
  NamedAttrList attributes(kernel->getAttrDictionary());
  attributes.erase(SymbolTable::getSymbolAttrName());
  for (StringRef name : kOrigin)
    attributes.erase(name);
  attributes.erase(tile::kChoices);
  return attributes.getDictionary(kernel.getContext());
}

llvm::hash_code hashCode(kern::FuncOp kernel) {
  llvm::hash_code hash = mlir::hash_value(codeAttributes(kernel));
  llvm::DenseMap<Value, unsigned> numbers;
  auto number = [&](Value value) { return numbers.try_emplace(value, numbers.size()).first->second; };
  kernel.getBody().walk<WalkOrder::PreOrder>([&](Operation *op) {
    hash = llvm::hash_combine(
        hash, OperationEquivalence::computeHash(
                  op, [&](Value value) { return llvm::hash_value(number(value)); },
                  OperationEquivalence::ignoreHashValue, OperationEquivalence::IgnoreLocations));
  });
  return hash;
}

bool isSameCode(kern::FuncOp a, kern::FuncOp b) {
  return codeAttributes(a) == codeAttributes(b) &&
         OperationEquivalence::isRegionEquivalentTo(&a.getBody(), &b.getBody(),
                                                    OperationEquivalence::IgnoreLocations);
}

struct DeduplicateKernelsPass : tile::impl::DeduplicateKernelsPassBase<DeduplicateKernelsPass> {
  void runOnOperation() override {
    llvm::DenseMap<size_t, SmallVector<kern::FuncOp, 1>> seen;
    llvm::DenseMap<StringAttr, kern::FuncOp> replacement;
    SmallVector<kern::FuncOp> duplicates;
    for (auto kernel : getOperation().getOps<kern::FuncOp>()) {
      // Keys that DenseMap keeps for itself are folded away.
      auto &candidates = seen[size_t(hashCode(kernel)) >> 1];
      auto same = llvm::find_if(candidates, [&](kern::FuncOp c) { return isSameCode(c, kernel); });
      if (same == candidates.end()) {
        candidates.push_back(kernel);
        continue;
      }
      replacement[kernel.getNameAttr()] = *same;
      duplicates.push_back(kernel);
    }
    if (duplicates.empty())
      return;
    llvm::DenseMap<StringAttr, kern::FuncOp> byName;
    for (kern::FuncOp kernel : duplicates)
      byName[kernel.getNameAttr()] = kernel;
    getOperation().walk([&](kern::CallOp call) {
      StringAttr name = call.getCalleeAttr().getAttr();
      auto found = replacement.find(name);
      if (found == replacement.end())
        return;
      for (StringRef attribute : kOrigin)
        if (Attribute value = byName.lookup(name)->getAttr(attribute); value && !call->hasAttr(attribute))
          call->setAttr(attribute, value);
      call->setAttr(kern::kFormedAsAttr, name);
      // In a profile a version's kernels have its name, whoever else has the same.
      StringRef suffix = graph::getVersionSuffix(call->getParentOfType<func::FuncOp>()), kept = found->second.getName();
      if (kept.drop_front(std::min(kept.find('.'), kept.size())) != suffix)
        call->setAttr(graph::kLabelAttr, name);
      call.setCallee(kept);
    });
    for (kern::FuncOp kernel : duplicates)
      kernel.erase();
    dropped += duplicates.size();
  }
};

} // namespace
