// RUN: nacre-opt %s -split-input-file -materialize-broadcasts -canonicalize -cse | FileCheck %s

// Either size may be 1 at run time: both operands are stretched to what results.
// CHECK-LABEL: @add
// CHECK-SAME: (%[[A:.*]]: tensor<?xf32>, %[[B:.*]]: tensor<?xf32>)
// CHECK: %[[SHAPE:.*]] = tensor.from_elements
// CHECK-DAG: %[[A2:.*]] = nn.broadcast %[[A]], %[[SHAPE]]
// CHECK-DAG: %[[B2:.*]] = nn.broadcast %[[B]], %[[SHAPE]]
// CHECK: nn.add %[[A2]], %[[B2]]
func.func @add(%a: tensor<?xf32>, %b: tensor<?xf32>) -> tensor<?xf32> {
  %y = nn.add %a, %b : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32>
  return %y : tensor<?xf32>
}

// -----

// Sizes of the same name are equal.
// CHECK-LABEL: @same
// CHECK-NOT: nn.broadcast
func.func @same(%a: tensor<?xf32> {nn.symbols = ["n"]}, %b: tensor<?xf32> {nn.symbols = ["n"]}) -> tensor<?xf32> {
  %y = nn.add %a, %b : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32>
  return %y : tensor<?xf32>
}

// -----

// Only the batch of a product broadcasts; its matrices keep their sizes.
// CHECK-LABEL: @matmul
// CHECK-SAME: (%[[A:.*]]: tensor<?x4x?xf32>, %[[B:.*]]: tensor<3x?x?xf32>)
// CHECK-DAG: %[[K:.*]] = tensor.dim %[[A]], %c2
// CHECK-DAG: %[[KI:.*]] = arith.index_cast %[[K]] : index to i64
// CHECK: %[[SHAPE:.*]] = tensor.from_elements %c3{{.*}}, %c4{{.*}}, %[[KI]]
// CHECK: %[[A2:.*]] = nn.broadcast %[[A]], %[[SHAPE]] : (tensor<?x4x?xf32>, tensor<3xi64>) -> tensor<3x4x?xf32>
// CHECK: nn.matmul %[[A2]], %[[B]]
func.func @matmul(%a: tensor<?x4x?xf32>, %b: tensor<3x?x?xf32>) -> tensor<3x4x?xf32> {
  %y = nn.matmul %a, %b : (tensor<?x4x?xf32>, tensor<3x?x?xf32>) -> tensor<3x4x?xf32>
  return %y : tensor<3x4x?xf32>
}
