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

// A type that knows more is a promise.
// CHECK-LABEL: @promised
// CHECK-SAME: (%[[X:.*]]: tensor<?x3xf32>
func.func @promised(%x: tensor<?x3xf32>) -> tensor<4x3xf32> {
  // CHECK-DAG: %[[N:.*]] = tensor.dim %[[X]]
  // CHECK-DAG: %[[OK:.*]] = arith.cmpi eq, %[[N]], %{{.*}}
  // CHECK: rt.check %[[OK]], 2, "node 'p' (If): a tensor's dimension 0 is not of the size 4
  // CHECK: tensor.cast
  %y = tensor.cast %x : tensor<?x3xf32> to tensor<4x3xf32> loc("p (If)")
  return %y : tensor<4x3xf32>
}

// CHECK-LABEL: @forgotten
// CHECK-NOT: rt.check
func.func @forgotten(%x: tensor<4x3xf32>) -> tensor<?x3xf32> {
  %y = tensor.cast %x : tensor<4x3xf32> to tensor<?x3xf32>
  return %y : tensor<?x3xf32>
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

// -----

// Of lengths, the smallest and the largest are looked at.
// CHECK-LABEL: @lengths
// CHECK-SAME: (%{{.*}}: tensor<8x4xf32>{{.*}}, %[[N:.*]]: tensor<4xi64>
func.func @lengths(%x: tensor<8x4xf32>, %n: tensor<4xi64>) -> tensor<8x4xf32> {
  // CHECK-DAG: %[[LEAST:.*]] = nn.reduce min, %[[N]]
  // CHECK-DAG: %[[MOST:.*]] = nn.reduce max, %[[N]]
  // CHECK-DAG: %[[A:.*]] = tensor.extract %[[LEAST]]
  // CHECK-DAG: %[[B:.*]] = tensor.extract %[[MOST]]
  // CHECK-DAG: %[[LOW:.*]] = arith.cmpi sge, %[[A]], %{{.*}} : i64
  // CHECK-DAG: %[[HIGH:.*]] = arith.cmpi sle, %[[B]], %{{.*}} : i64
  // CHECK: %[[OK:.*]] = arith.andi %[[LOW]], %[[HIGH]]
  // CHECK: rt.check %[[OK]], 3, "node 'r' (ReverseSequence): a sequence's length is negative or above the number of time steps"
  // CHECK: nn.reverse_sequence
  %y = nn.reverse_sequence %x, %n {batch_axis = 1 : i64, time_axis = 0 : i64}
      : (tensor<8x4xf32>, tensor<4xi64>) -> tensor<8x4xf32> loc("r (ReverseSequence)")
  return %y : tensor<8x4xf32>
}
