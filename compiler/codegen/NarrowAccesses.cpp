//===- NarrowAccesses.cpp - Masked accesses of bf16 -------------*- C++ -*-===//
#include "compiler/codegen/NarrowAccesses.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/IntrinsicInst.h"
#include "llvm/IR/Module.h"

using namespace llvm;

/// The vector type with i16 in the place of bf16; null if it is another.
static VectorType *getIntegers(Type *type) {
  auto *vector = dyn_cast<VectorType>(type);
  if (!vector || !vector->getElementType()->isBFloatTy())
    return nullptr;
  return VectorType::get(Type::getInt16Ty(type->getContext()), vector->getElementCount());
}

static void rewrite(IntrinsicInst &access) {
  IRBuilder<> builder(&access);
  bool isLoad = access.getIntrinsicID() == Intrinsic::masked_load || access.getIntrinsicID() == Intrinsic::masked_gather;
  VectorType *integers = getIntegers(isLoad ? access.getType() : access.getArgOperand(0)->getType());
  if (!integers)
    return;
  unsigned place = isLoad ? 0 : 1;
  Value *address = access.getArgOperand(place), *mask = access.getArgOperand(place + 1);
  Align align = access.getParamAlign(place).valueOrOne();
  if (isLoad) {
    Value *other = builder.CreateBitCast(access.getArgOperand(2), integers);
    Value *loaded = access.getIntrinsicID() == Intrinsic::masked_load
                        ? builder.CreateMaskedLoad(integers, address, align, mask, other)
                        : builder.CreateMaskedGather(integers, address, align, mask, other);
    access.replaceAllUsesWith(builder.CreateBitCast(loaded, access.getType()));
  } else {
    Value *stored = builder.CreateBitCast(access.getArgOperand(0), integers);
    if (access.getIntrinsicID() == Intrinsic::masked_store)
      builder.CreateMaskedStore(stored, address, align, mask);
    else
      builder.CreateMaskedScatter(stored, address, align, mask);
  }
  access.eraseFromParent();
}

void nacre::codegen::accessBF16AsIntegers(Module &module) {
  for (Function &function : module)
    for (Instruction &instruction : make_early_inc_range(instructions(function)))
      if (auto *access = dyn_cast<IntrinsicInst>(&instruction);
          access && is_contained({Intrinsic::masked_load, Intrinsic::masked_store, Intrinsic::masked_gather,
                                  Intrinsic::masked_scatter},
                                 access->getIntrinsicID()))
        rewrite(*access);
}
