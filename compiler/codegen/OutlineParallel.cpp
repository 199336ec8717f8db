//===- OutlineParallel.cpp - Outline rt.parallel bodies ---------*- C++ -*-===//
#include "compiler/codegen/Passes.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/BuiltinOps.h"

namespace nacre::codegen {
#define GEN_PASS_DEF_OUTLINEPARALLELPASS
#include "compiler/codegen/Passes.h.inc"
} // namespace nacre::codegen

namespace {
struct OutlineParallelPass
    : nacre::codegen::impl::OutlineParallelPassBase<OutlineParallelPass> {
  void runOnOperation() override {}
};
} // namespace
