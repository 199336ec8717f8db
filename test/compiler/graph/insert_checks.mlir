// What is not known to fit is checked when the model runs, and only that.
// RUN: nacre-opt %s -insert-checks -split-input-file -mlir-print-debuginfo | FileCheck %s

// The message names the node.
// CHECK-LABEL: @sizes
// CHECK-SAME: (%[[A:.*]]: tensor<4x?xf32>{{.*}}, %[[B:.*]]: tensor<?x5xf32>
func.func @sizes(%a: tensor<4x?xf32>, %b: tensor<?x5xf32>) -> tensor<4x5xf32> {
  // CHECK: %[[OK:.*]] = arith.cmpi eq
  // CHECK: rt.check %[[OK]], 2, "node '/proj' (MatMul): {{.*}}"
  // CHECK: nn.matmul
  %y = nn.matmul %a, %b : (tensor<4x?xf32>, tensor<?x5xf32>) -> tensor<4x5xf32> loc("/proj (MatMul)")
  return %y : tensor<4x5xf32>
}

// -----

// CHECK-LABEL: @known
// CHECK-NOT: rt.check
func.func @known(%a: tensor<4x3xf32>, %b: tensor<3x?xf32>) -> tensor<4x?xf32> {
  %y = nn.matmul %a, %b : (tensor<4x3xf32>, tensor<3x?xf32>) -> tensor<4x?xf32>
  return %y : tensor<4x?xf32>
}

// -----

// Positions that are data are checked where they are read.
// CHECK-LABEL: @positions
func.func @positions(%x: tensor<10x4xf32>, %i: tensor<?xi64>) -> tensor<?x4xf32> {
  // CHECK: %[[I:.*]] = nn.checked_index %{{.*}} below
  // CHECK: nn.gather %{{.*}}, %[[I]] along 0 {in_bounds}
  %y = nn.gather %x, %i along 0 : (tensor<10x4xf32>, tensor<?xi64>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// -----

// CHECK-LABEL: @constant_positions
// CHECK-NOT: nn.checked_index
func.func @constant_positions(%x: tensor<10x4xf32>) -> tensor<2x4xf32> {
  %i = nn.constant dense<[0, 9]> : tensor<2xi64>
  %y = nn.gather %x, %i along 0 : (tensor<10x4xf32>, tensor<2xi64>) -> tensor<2x4xf32>
  return %y : tensor<2x4xf32>
}
