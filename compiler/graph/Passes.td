//===- Passes.td - Passes of the graph phase --------------------*- tablegen -*-===//
include "mlir/Pass/PassBase.td"

def InferShapesPass : Pass<"infer-shapes", "::mlir::func::FuncOp"> {
  let summary = "Refine the types of nn ops from their operands";
  let description = [{
    Runs InferTypeOpInterface again on every op, in order, and refines result types;
    function results follow. Precondition: nn on tensors. Postcondition: every op's
    result types are at least as precise as what its operands imply.
  }];
}
