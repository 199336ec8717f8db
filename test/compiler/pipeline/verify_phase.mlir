// A phase's contract as a pass, and a module that enters in the middle.
// RUN: nacre-opt %s --verify-phase=phase=graph -o /dev/null
// RUN: not nacre-opt %s --verify-phase=phase=lower 2>&1 | FileCheck %s --check-prefix=LOWER
// RUN: not nacre-opt %s --verify-phase=phase=lowest 2>&1 | FileCheck %s --check-prefix=NONE
// RUN: nacre compile %s --start-at=lower --stop-after=lower | FileCheck %s
// RUN: nacre compile %s --start-at=lower -o %t.so
// RUN: not nacre compile %s --start-at=artifact -o %t.so 2>&1 | FileCheck %s --check-prefix=START
// RUN: not nacre compile %t.onnx --start-at=tile -o %t.so 2>&1 | FileCheck %s --check-prefix=MODEL

// LOWER: error: internal error: after the lower phase, no nn op is left
// NONE: error: no phase is named 'lowest'
// START: no module enters at the phase 'artifact'
// MODEL: a model enters at the first phase, not at 'tile'
// CHECK: kern.func @exp
// CHECK: math.exp
func.func @main(%x: tensor<4x8xf32> {nn.name = "x"}) -> (tensor<4x8xf32> {nn.name = "y"})
    attributes {nacre.inputs = [{name = "x", symbols = ["", ""], type = tensor<4x8xf32>}],
                nacre.outputs = [{name = "y", symbols = ["", ""], type = tensor<4x8xf32>}]} {
  %0 = tensor.empty() : tensor<4x8xf32>
  %1 = kern.call @exp ins(%x : tensor<4x8xf32>) outs(%0 : tensor<4x8xf32>) -> tensor<4x8xf32>
  return %1 : tensor<4x8xf32>
}
kern.func @exp(%x: tensor<4x8xf32>, %d: tensor<4x8xf32>) -> tensor<4x8xf32> attributes {nodes = []} {
  %0 = nn.exp %x : (tensor<4x8xf32>) -> tensor<4x8xf32>
  kern.return %0 : tensor<4x8xf32>
}
