//===- NarrowAccesses.h - Masked accesses of bf16 ---------------*- C++ -*-===//
#ifndef NACRE_COMPILER_CODEGEN_NARROWACCESSES_H
#define NACRE_COMPILER_CODEGEN_NARROWACCESSES_H

namespace llvm {
class Module;
} // namespace llvm

namespace nacre::codegen {

/// Makes masked loads, stores, gathers and scatters of bf16 those of i16: LLVM 22 has no code for the
/// former where vectors of fixed length are registers of SVE ("Cannot select: masked_store").
void accessBF16AsIntegers(llvm::Module &module);

} // namespace nacre::codegen

#endif // NACRE_COMPILER_CODEGEN_NARROWACCESSES_H
