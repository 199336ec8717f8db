// Branch weights of loops, and none where nothing is known.
#include "compiler/codegen/WeighLoops.h"
#include "llvm/Analysis/LoopInfo.h"
#include "llvm/AsmParser/Parser.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "llvm/IR/ProfDataUtils.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/SourceMgr.h"
#include <gtest/gtest.h>

using namespace llvm;

namespace {

/// The weights of all conditional branches, in their order; {} of one without.
std::vector<SmallVector<uint32_t>> weigh(StringRef text) {
  LLVMContext context;
  SMDiagnostic error;
  std::unique_ptr<Module> module = parseAssemblyString(text, error, context);
  if (!module)
    report_fatal_error(error.getMessage());
  PassBuilder builder;
  LoopAnalysisManager loops;
  FunctionAnalysisManager functions;
  CGSCCAnalysisManager components;
  ModuleAnalysisManager modules;
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(components);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, components, modules);
  std::vector<SmallVector<uint32_t>> found;
  for (Function &function : *module) {
    nacre::codegen::WeighLoops().run(function, functions);
    for (Instruction &instruction : instructions(function))
      if (auto *branch = dyn_cast<BranchInst>(&instruction); branch && branch->isConditional())
        extractBranchWeights(*branch, found.emplace_back());
  }
  return found;
}

TEST(WeighLoops, CountsConstantIterations) {
  // A loop of 100 that ends below, around one of 7 that ends above.
  auto found = weigh(R"(
    define void @f() {
    entry:
      br label %outer
    outer:
      %i = phi i64 [ 0, %entry ], [ %next, %latch ]
      br label %header
    header:
      %j = phi i64 [ 0, %outer ], [ %more, %body ]
      %goes = icmp slt i64 %j, 7
      br i1 %goes, label %body, label %latch
    body:
      %more = add nsw i64 %j, 1
      br label %header
    latch:
      %next = add nuw nsw i64 %i, 1
      %done = icmp eq i64 %next, 100
      br i1 %done, label %exit, label %outer
    exit:
      ret void
    })");
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0], (SmallVector<uint32_t>{7, 1})); // the header runs eight times
  EXPECT_EQ(found[1], (SmallVector<uint32_t>{1, 99}));
}

TEST(WeighLoops, SaysNothingOfOthers) {
  auto found = weigh(R"(
    define void @f(i64 %n) {
    entry:
      br label %loop
    loop:
      %i = phi i64 [ 0, %entry ], [ %next, %loop ]
      %next = add nuw nsw i64 %i, 1
      %goes = icmp slt i64 %next, %n
      br i1 %goes, label %loop, label %exit
    exit:
      ret void
    })");
  ASSERT_EQ(found.size(), 1u);
  EXPECT_TRUE(found[0].empty());
}

} // namespace
