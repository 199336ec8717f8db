// RUN: nacre-opt %s --hoist-parameters --canonicalize | FileCheck %s

// What a version for given sizes computes of parameters is hoisted as well, and once for all.
nn.parameter @w = dense<1.0> : tensor<4x8xf32>

// CHECK: nn.parameter @[[ONLY:.*]] = {{.*}} : tensor<8x4xf32> {nn.computed}
// CHECK: nn.parameter @[[BOTH:.*]] = {{.*}} : tensor<8x4xf32> {nn.computed}
// CHECK-NOT: nn.computed
// CHECK-LABEL: func.func @main
// CHECK: nn.get_parameter @[[BOTH]]
// CHECK-NOT: nn.transpose
func.func @main(%x: tensor<?x8xf32>) -> tensor<?x4xf32> {
  %w = nn.get_parameter @w : tensor<4x8xf32>
  %a = nn.transpose %w {permutation = array<i64: 1, 0>} : (tensor<4x8xf32>) -> tensor<8x4xf32>
  %0 = nn.matmul %x, %a : (tensor<?x8xf32>, tensor<8x4xf32>) -> tensor<?x4xf32>
  return %0 : tensor<?x4xf32>
}

// CHECK-LABEL: func.func private @main.n_1
// CHECK-DAG: nn.get_parameter @[[BOTH]]
// CHECK-DAG: nn.get_parameter @[[ONLY]]
// CHECK-NOT: nn.transpose
// CHECK-LABEL: func.func @prepare
// CHECK-COUNT-1: nn.transpose
// CHECK-NOT: nn.transpose
func.func private @main.n_1(%x: tensor<1x8xf32>) -> (tensor<1x4xf32>, tensor<1x4xf32>) attributes {nacre.sizes = {n = 1 : i64}} {
  %w = nn.get_parameter @w : tensor<4x8xf32>
  %a = nn.transpose %w {permutation = array<i64: 1, 0>} : (tensor<4x8xf32>) -> tensor<8x4xf32>
  %b = nn.relu %a : (tensor<8x4xf32>) -> tensor<8x4xf32>
  %0 = nn.matmul %x, %a : (tensor<1x8xf32>, tensor<8x4xf32>) -> tensor<1x4xf32>
  %1 = nn.matmul %x, %b : (tensor<1x8xf32>, tensor<8x4xf32>) -> tensor<1x4xf32>
  return %0, %1 : tensor<1x4xf32>, tensor<1x4xf32>
}
