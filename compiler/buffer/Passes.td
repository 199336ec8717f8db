//===- Passes.td - Passes of the buffer phase -------------------*- tablegen -*-===//
include "mlir/Pass/PassBase.td"

def BufferizeKernelsPass : Pass<"bufferize-kernels", "::nacre::kern::FuncOp"> {
  let summary = "Bufferize a kernel; results are computed into its destinations";
  let description = [{
    Arguments become memrefs, results disappear: each is computed in place into its
    destination. Upstream's one-shot bufferization does the work.
    Precondition: a kern.func on tensors without nn ops.
    Postcondition: a kern.func on memrefs without results.
  }];
  let dependentDialects = ["::mlir::bufferization::BufferizationDialect", "::mlir::memref::MemRefDialect"];
}
