//===- Passes.td - Passes of the tile phase ---------------------*- tablegen -*-===//
include "mlir/Pass/PassBase.td"

def FuseElementwisePass : Pass<"fuse-elementwise"> {
  let summary = "Merge element-wise linalg.generic ops into their consumers";
  let description = [{
    Upstream's element-wise fusion inside a kernel: a producer whose loops are all
    parallel is computed where it is used, if it has one use.
    Precondition: linalg on tensors. Postcondition: the same results from fewer ops.
  }];
}
