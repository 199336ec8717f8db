//===- WeighLoops.cpp - How often loops run ---------------------*- C++ -*-===//
#include "compiler/codegen/WeighLoops.h"
#include "llvm/Analysis/LoopInfo.h"
#include "llvm/Analysis/ScalarEvolution.h"
#include "llvm/IR/ProfDataUtils.h"

using namespace llvm;

PreservedAnalyses nacre::codegen::WeighLoops::run(Function &function, FunctionAnalysisManager &analyses) {
  auto &evolution = analyses.getResult<ScalarEvolutionAnalysis>(function);
  for (Loop *loop : analyses.getResult<LoopAnalysis>(function).getLoopsInPreorder()) {
    BasicBlock *exiting = loop->getExitingBlock();
    auto *branch = exiting ? dyn_cast<BranchInst>(exiting->getTerminator()) : nullptr;
    // How often the exiting block runs, the last time included.
    unsigned count = branch ? evolution.getSmallConstantTripCount(loop, exiting) : 0;
    if (count == 0)
      continue;
    bool staysFirst = loop->contains(branch->getSuccessor(0));
    setBranchWeights(*branch, {staysFirst ? count - 1 : 1, staysFirst ? 1 : count - 1}, /*IsExpected=*/false);
  }
  return PreservedAnalyses::all();
}
