//===- Passes.td - Passes of the codegen phase ------------------*- tablegen -*-===//
include "mlir/Pass/PassBase.td"

def OutlineParallelPass : Pass<"outline-parallel", "::mlir::ModuleOp"> {
  let summary = "Outline rt.parallel bodies into functions";
  let description = [{
    Precondition: the llvm dialect, and rt.parallel with regions in it.
    Postcondition: the llvm dialect only.
  }];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect"];
}
