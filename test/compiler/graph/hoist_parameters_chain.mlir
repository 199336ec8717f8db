// RUN: nacre-opt %s --hoist-parameters --canonicalize | FileCheck %s

// What is read by the model and by another computation on parameters: in @prepare the
// second one reads the value, not the parameter that is not written yet.
nn.parameter @w = dense<1.0> : tensor<4x8xf32>

// CHECK-LABEL: func.func @main
// CHECK-NOT: nn.relu
func.func @main(%x: tensor<2x8xf32>) -> (tensor<2x4xf32>, tensor<2x4xf32>) {
  %w = nn.get_parameter @w : tensor<4x8xf32>
  %a = nn.transpose %w {permutation = array<i64: 1, 0>} : (tensor<4x8xf32>) -> tensor<8x4xf32>
  %b = nn.relu %a : (tensor<8x4xf32>) -> tensor<8x4xf32>
  %0 = nn.matmul %x, %a : (tensor<2x8xf32>, tensor<8x4xf32>) -> tensor<2x4xf32>
  %1 = nn.matmul %x, %b : (tensor<2x8xf32>, tensor<8x4xf32>) -> tensor<2x4xf32>
  return %0, %1 : tensor<2x4xf32>, tensor<2x4xf32>
}
// CHECK-LABEL: func.func @prepare
// CHECK: %[[W:.*]] = nn.get_parameter @w
// CHECK-NEXT: %[[A:.*]] = nn.transpose %[[W]]
// CHECK-NEXT: %[[B:.*]] = nn.relu %[[A]]
// CHECK-NEXT: return %[[A]], %[[B]]
