// RUN: nacre-opt %s -split-input-file -infer-shapes -verify-diagnostics | FileCheck %s

// CHECK-LABEL: @batched
// CHECK: nn.matmul %{{.*}}, %{{.*}} : {{.*}} -> tensor<5x?x3x7xf32>
func.func @batched(%a: tensor<?x1x3x4xf32>, %b: tensor<5x?x4x7xf32>) {
  %y = nn.matmul %a, %b : (tensor<?x1x3x4xf32>, tensor<5x?x4x7xf32>) -> tensor<?x?x?x?xf32>
  return
}

// -----

// CHECK-LABEL: @transposed
// CHECK: nn.matmul %{{.*}}, %{{.*}} {transpose_lhs, transpose_rhs} : {{.*}} -> tensor<3x7xi32>
func.func @transposed(%a: tensor<4x3xi32>, %b: tensor<7x4xi32>) {
  %y = nn.matmul %a, %b {transpose_lhs, transpose_rhs} : (tensor<4x3xi32>, tensor<7x4xi32>) -> tensor<?x?xi32>
  return
}

// -----

func.func @inner(%a: tensor<3x4xf32>, %b: tensor<5x7xf32>) {
  // expected-error @below {{matmul's inner sizes differ: 4 and 5}}
  // expected-error @below {{failed to infer returned types}}
  %y = nn.matmul %a, %b : (tensor<3x4xf32>, tensor<5x7xf32>) -> tensor<3x7xf32>
  return
}

// -----

func.func @batch(%a: tensor<2x3x4xf32>, %b: tensor<3x4x7xf32>) {
  // expected-error @below {{matmul's batch sizes do not broadcast}}
  // expected-error @below {{failed to infer returned types}}
  %y = nn.matmul %a, %b : (tensor<2x3x4xf32>, tensor<3x4x7xf32>) -> tensor<3x3x7xf32>
  return
}
