//===- Pipelines.cpp - The pass pipelines of code generation ----*- C++ -*-===//
#include "compiler/codegen/Pipelines.h"
#include "compiler/codegen/Passes.h"
#include "mlir/Conversion/Passes.h"
#include "mlir/Dialect/Arith/Transforms/Passes.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Linalg/Passes.h"
#include "mlir/Dialect/MemRef/Transforms/Passes.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;
using namespace nacre;

void codegen::buildModulePasses(OpPassManager &pm) {
  pm.addPass(codegen::createAnnotateKernelsPass());
  pm.addPass(codegen::createLayoutParametersPass());
}

void codegen::buildToLLVM(OpPassManager &pm, const ToLLVMOptions &options) {
  // Structured: what is left of linalg becomes loops, parallel bodies functions.
  pm.addPass(codegen::createExpandCopiesPass());
  pm.addPass(createConvertLinalgToLoopsPass());
  pm.addPass(createConvertVectorToSCFPass());
  pm.addPass(codegen::createOutlineParallelPass());
  pm.addPass(createLowerAffinePass());
  pm.addPass(createSCFToControlFlowPass());
  // Flat: the ABI, then dialect after dialect.
  pm.addPass(codegen::createConvertRtToLLVMPass());
  // What LLVM has no intrinsic for becomes calls of libm, one for each lane: that
  // makes vector ops, so it comes first.
  pm.addPass(createConvertMathToLLVMPass());
  pm.addPass(createConvertMathToLibmPass());
  pm.addPass(createConvertVectorToLLVMPass());
  pm.addPass(codegen::createExpandViewsPass());
  pm.addPass(memref::createExpandStridedMetadataPass());
  pm.addPass(createLowerAffinePass());
  arith::ArithExpandOpsPassOptions expand;
  expand.includeBf16 = options.expandBF16;
  pm.addPass(arith::createArithExpandOpsPass(expand));
  pm.addPass(createConvertIndexToLLVMPass());
  pm.addPass(createFinalizeMemRefToLLVMConversionPass());
  pm.addPass(createArithToLLVMConversionPass());
  pm.addPass(createConvertFuncToLLVMPass());
  pm.addPass(createUBToLLVMConversionPass());
  pm.addPass(createConvertControlFlowToLLVMPass());
  pm.addPass(createReconcileUnrealizedCastsPass());
  pm.addPass(createCSEPass());
  pm.addNestedPass<LLVM::LLVMFuncOp>(codegen::createHoistAllocasPass());
}

void codegen::registerPipelines() {
  PassPipelineRegistration<ToLLVMOptions>(
      "kernels-to-llvm", "Kernels and host functions on buffers to the llvm dialect", buildToLLVM);
}
