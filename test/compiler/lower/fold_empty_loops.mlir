// What is summed over nothing is what it started from.
// RUN: nacre-opt %s -fold-empty-loops | FileCheck %s

// CHECK-LABEL: @product
// CHECK: %[[ZERO:.*]] = linalg.fill
// CHECK-NOT: linalg.
// CHECK: return %[[ZERO]]
func.func @product(%a: tensor<?x?xf32>, %b: tensor<0x4xf32>, %y: tensor<?x4xf32>) -> tensor<?x4xf32> {
  %zero = arith.constant 0.0 : f32
  %filled = linalg.fill ins(%zero : f32) outs(%y : tensor<?x4xf32>) -> tensor<?x4xf32>
  %product = linalg.matmul ins(%a, %b : tensor<?x?xf32>, tensor<0x4xf32>) outs(%filled : tensor<?x4xf32>) -> tensor<?x4xf32>
  return %product : tensor<?x4xf32>
}

// What only a run knows is left.
// CHECK-LABEL: @open
// CHECK: linalg.matmul
func.func @open(%a: tensor<?x?xf32>, %b: tensor<?x4xf32>, %y: tensor<?x4xf32>) -> tensor<?x4xf32> {
  %product = linalg.matmul ins(%a, %b : tensor<?x?xf32>, tensor<?x4xf32>) outs(%y : tensor<?x4xf32>) -> tensor<?x4xf32>
  return %product : tensor<?x4xf32>
}
