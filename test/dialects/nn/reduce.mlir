// Reductions print and parse back, infer their types and fold.
// RUN: nacre-opt %s -infer-shapes -canonicalize | FileCheck %s

// CHECK-LABEL: @types
func.func @types(%x: tensor<4x?x5xf32>) -> (tensor<?x?xf32>, tensor<?x?x?xf32>, tensor<?xi64>, tensor<?x?x?xf32>) {
  // CHECK: nn.reduce sum, %{{.*}} {axes = array<i64: 1>} : (tensor<4x?x5xf32>) -> tensor<4x5xf32>
  %0 = nn.reduce sum, %x {axes = array<i64: 1>} : (tensor<4x?x5xf32>) -> tensor<?x?xf32>
  // CHECK: nn.reduce max, %{{.*}} {axes = array<i64: 0, 2>, keepdims} : (tensor<4x?x5xf32>) -> tensor<1x?x1xf32>
  %1 = nn.reduce max, %x {axes = array<i64: 0, 2>, keepdims} : (tensor<4x?x5xf32>) -> tensor<?x?x?xf32>
  // CHECK: nn.arg_reduce min, %{{.*}} {axis = 0 : i64, select_last} : (tensor<4x5xf32>) -> tensor<5xi64>
  %2 = nn.arg_reduce min, %0 {axis = 0 : i64, select_last} : (tensor<?x?xf32>) -> tensor<?xi64>
  // CHECK: nn.cumulative prod, %{{.*}} {axis = 2 : i64, exclusive} : (tensor<4x?x5xf32>) -> tensor<4x?x5xf32>
  %3 = nn.cumulative prod, %x {axis = 2 : i64, exclusive} : (tensor<4x?x5xf32>) -> tensor<?x?x?xf32>
  return %0, %1, %2, %3 : tensor<?x?xf32>, tensor<?x?x?xf32>, tensor<?xi64>, tensor<?x?x?xf32>
}

// CHECK-LABEL: @folds
// CHECK-SAME: (%[[X:.*]]: tensor<4xf32>)
func.func @folds(%x: tensor<4xf32>) -> (tensor<4xf32>, tensor<i64>, tensor<1xi64>) {
  %0 = nn.reduce sum, %x {axes = array<i64>} : (tensor<4xf32>) -> tensor<4xf32>
  %c = nn.constant dense<[2, -3, 4]> : tensor<3xi64>
  // CHECK-DAG: %[[P:.*]] = nn.constant dense<-24> : tensor<i64>
  %1 = nn.reduce prod, %c {axes = array<i64: 0>} : (tensor<3xi64>) -> tensor<i64>
  // CHECK-DAG: %[[M:.*]] = nn.constant dense<-3> : tensor<1xi64>
  %2 = nn.reduce min, %c {axes = array<i64: 0>, keepdims} : (tensor<3xi64>) -> tensor<1xi64>
  // CHECK: return %[[X]], %[[P]], %[[M]]
  return %0, %1, %2 : tensor<4xf32>, tensor<i64>, tensor<1xi64>
}

// A mark of 1 that is known gives size 1, and so does a size of 1.
// CHECK-LABEL: @marked
func.func @marked(%x: tensor<4x1x?xf32>, %m: i64) -> tensor<?x?x?xf32> {
  %one = arith.constant 1 : i64
  %marks = tensor.from_elements %m, %m, %one : tensor<3xi64>
  // CHECK: nn.reduce_marked sum, %{{.*}} by %{{.*}} : (tensor<4x1x?xf32>, tensor<3xi64>) -> tensor<?x1x1xf32>
  %0 = nn.reduce_marked sum, %x by %marks : (tensor<4x1x?xf32>, tensor<3xi64>) -> tensor<?x?x?xf32>
  return %0 : tensor<?x?x?xf32>
}

// CHECK-LABEL: @marked_by_constants
func.func @marked_by_constants(%x: tensor<4x?xf32>) -> tensor<4x1xf32> {
  %marks = nn.constant dense<[0, 1]> : tensor<2xi64>
  // CHECK: nn.reduce max, %{{.*}} {axes = array<i64: 1>, keepdims} : (tensor<4x?xf32>) -> tensor<4x1xf32>
  %0 = nn.reduce_marked max, %x by %marks : (tensor<4x?xf32>, tensor<2xi64>) -> tensor<4x1xf32>
  return %0 : tensor<4x1xf32>
}
