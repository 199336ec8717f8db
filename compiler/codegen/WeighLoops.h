//===- WeighLoops.h - How often loops run -----------------------*- C++ -*-===//
#ifndef NACRE_COMPILER_CODEGEN_WEIGHLOOPS_H
#define NACRE_COMPILER_CODEGEN_WEIGHLOOPS_H

#include "llvm/IR/PassManager.h"

namespace nacre::codegen {

/// Notes on the branches out of loops how often they are taken, where the number of iterations is constant.
/// Without it LLVM takes the deeper of two loops for the hotter one, and of registers gives the constants
/// of a deep loop of few iterations more than the sums of a long one beside it.
struct WeighLoops : llvm::PassInfoMixin<WeighLoops> {
  llvm::PreservedAnalyses run(llvm::Function &function, llvm::FunctionAnalysisManager &analyses);
};

} // namespace nacre::codegen

#endif // NACRE_COMPILER_CODEGEN_WEIGHLOOPS_H
