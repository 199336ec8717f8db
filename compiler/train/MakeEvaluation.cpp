//===- MakeEvaluation.cpp - A function that computes the loss ----*- C++ -*-===//
//
// Before: func.func @main(%x) { ...; return %y }
// After:  func.func @evaluate(%x, %labels) { ...; %loss = ... %y, %labels; return %loss, %y }
//         and @main as it was
//
// Precondition: types inferred, shape arithmetic on scalars. Postcondition: @evaluate exists
// and changes no parameter.
//
//===----------------------------------------------------------------------===//
#include "compiler/train/Losses.h"
#include "compiler/train/Passes.h"
#include "compiler/train/Precision.h"
#include "dialects/rt/RtOps.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/SymbolTable.h"

namespace nacre::train {
#define GEN_PASS_DEF_MAKEEVALUATIONPASS
#include "compiler/train/Passes.h.inc"
} // namespace nacre::train

using namespace mlir;
using namespace nacre;
using namespace nacre::train;

namespace {

struct MakeEvaluationPass : train::impl::MakeEvaluationPassBase<MakeEvaluationPass> {
  using Base::Base;

  void runOnOperation() override {
    auto main = getOperation().lookupSymbol<func::FuncOp>("main");
    if (!main || main.isExternal())
      return;
    spec::Request request;
    spec::Message message;
    if (!parsePrecision(precision.getValue(), request, message)) {
      getOperation().emitError(message.c_str());
      return signalPassFailure();
    }
    FailureOr<func::FuncOp> copy = cloneMain(main, "evaluate");
    if (failed(copy))
      return signalPassFailure();
    OpPassManager passes(func::FuncOp::getOperationName());
    passes.addPass(createNarrowComputePass({std::string(request.entry->name)}));
    if (isNarrow(request) && failed(runPipeline(passes, *copy)))
      return signalPassFailure();
    graph::DimAnalysis dims(*copy);
    StepBuilder builder(*copy, dims);
    FailureOr<Value> total = buildLosses(loss.getValue(), builder);
    if (failed(total))
      return signalPassFailure();
    builder.addLoss(*total);
    dims.eraseUnused();
  }
};

} // namespace
