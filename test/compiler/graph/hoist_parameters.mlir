// RUN: nacre-opt %s --hoist-parameters --canonicalize | FileCheck %s

// CHECK: nn.parameter @[[NEW:.*]] = {{.*}} : tensor<8x4xf32> {nn.computed}
nn.parameter @w = dense<1.0> : tensor<4x8xf32>
nn.parameter trainable @t = dense<1.0> : tensor<4x8xf32>

// CHECK-LABEL: func.func @main
// CHECK-DAG: nn.get_parameter @[[NEW]]
// CHECK-DAG: nn.transpose {{.*}} : (tensor<4x8xf32>)
func.func @main(%x: tensor<2x8xf32>) -> (tensor<2x4xf32>, tensor<2x4xf32>) {
  %w = nn.get_parameter @w : tensor<4x8xf32>
  %a = nn.transpose %w {permutation = array<i64: 1, 0>} : (tensor<4x8xf32>) -> tensor<8x4xf32>
  // A trainable parameter changes: nothing is computed from it ahead of time.
  %t = nn.get_parameter @t : tensor<4x8xf32>
  %b = nn.transpose %t {permutation = array<i64: 1, 0>} : (tensor<4x8xf32>) -> tensor<8x4xf32>
  %0 = nn.matmul %x, %a : (tensor<2x8xf32>, tensor<8x4xf32>) -> tensor<2x4xf32>
  %1 = nn.matmul %x, %b : (tensor<2x8xf32>, tensor<8x4xf32>) -> tensor<2x4xf32>
  return %0, %1 : tensor<2x4xf32>, tensor<2x4xf32>
}
// CHECK-LABEL: func.func @prepare
// CHECK-SAME: nacre.outputs = [{name = "[[NEW]]"
// CHECK: nn.transpose
