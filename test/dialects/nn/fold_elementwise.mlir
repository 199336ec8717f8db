// Element-wise ops on constants are evaluated by the body that they lower to.
// RUN: nacre-opt %s -canonicalize -split-input-file | FileCheck %s

// CHECK-LABEL: @shape_arithmetic
func.func @shape_arithmetic() -> (tensor<2x3xi64>, tensor<3xi64>, tensor<3xi1>) {
  %a = nn.constant dense<[[10], [-7]]> : tensor<2x1xi64>
  %b = nn.constant dense<[3, -1, 0]> : tensor<3xi64>
  // CHECK-DAG: %[[Q:.*]] = nn.constant dense<{{\[\[}}3, -10, 0], [-2, 7, 0]]> : tensor<2x3xi64>
  %q = nn.div %a, %b : (tensor<2x1xi64>, tensor<3xi64>) -> tensor<2x3xi64>
  // CHECK-DAG: %[[E:.*]] = nn.constant dense<[false, true, false]> : tensor<3xi1>
  %minus = nn.constant dense<-1> : tensor<i64>
  %e = nn.compare eq, %b, %minus : (tensor<3xi64>, tensor<i64>) -> tensor<3xi1>
  // CHECK-DAG: %[[W:.*]] = nn.constant dense<[3, 77, 0]> : tensor<3xi64>
  %seven = nn.constant dense<77> : tensor<i64>
  %w = nn.where %e, %seven, %b : (tensor<3xi1>, tensor<i64>, tensor<3xi64>) -> tensor<3xi64>
  // CHECK: return %[[Q]], %[[W]], %[[E]]
  return %q, %w, %e : tensor<2x3xi64>, tensor<3xi64>, tensor<3xi1>
}

// -----

// CHECK-LABEL: @conversions
func.func @conversions() -> (tensor<4xui8>, tensor<4xf16>, tensor<3xi32>) {
  %a = nn.constant dense<[1.5, -1.0, 300.0, 0.0]> : tensor<4xf32>
  // CHECK-DAG: nn.constant dense<[1, 255, 44, 0]> : tensor<4xui8>
  %0 = nn.cast %a to ui8 : (tensor<4xf32>) -> tensor<4xui8>
  // CHECK-DAG: nn.constant dense<[1.500000e+00, -1.000000e+00, 3.000000e+02, 0.000000e+00]> : tensor<4xf16>
  %1 = nn.cast %a to f16 : (tensor<4xf32>) -> tensor<4xf16>
  // NaN and what is out of range become the most negative value.
  // CHECK-DAG: nn.constant dense<[-2147483648, -2147483648, 7]> : tensor<3xi32>
  %b = nn.constant dense<[0x7FC00000, 1.0e10, 7.9]> : tensor<3xf32>
  %2 = nn.cast %b to i32 : (tensor<3xf32>) -> tensor<3xi32>
  return %0, %1, %2 : tensor<4xui8>, tensor<4xf16>, tensor<3xi32>
}

// -----

// A splat folds at any size; other large constants do not.
// CHECK-LABEL: @sizes
func.func @sizes(%x: tensor<1024xf32>) -> (tensor<1000000xf32>, tensor<2048x2xi64>) {
  %a = nn.constant dense<2.0> : tensor<1000000xf32>
  // CHECK-DAG: %[[S:.*]] = nn.constant dense<4.000000e+00> : tensor<1000000xf32>
  %0 = nn.mul %a, %a : (tensor<1000000xf32>, tensor<1000000xf32>) -> tensor<1000000xf32>
  %b = nn.constant dense<[1, 2]> : tensor<2xi64>
  %c = nn.constant dense<1> : tensor<2048x1xi64>
  // CHECK: %[[L:.*]] = nn.add
  %1 = nn.add %b, %c : (tensor<2xi64>, tensor<2048x1xi64>) -> tensor<2048x2xi64>
  // CHECK: return %[[S]], %[[L]]
  return %0, %1 : tensor<1000000xf32>, tensor<2048x2xi64>
}

// -----

// CHECK-LABEL: @neutral
// CHECK-SAME: (%[[X:.*]]: tensor<4xf32>, %[[N:.*]]: tensor<4xi64>)
func.func @neutral(%x: tensor<4xf32>, %n: tensor<4xi64>) -> (tensor<4xf32>, tensor<4xf32>, tensor<4xi64>) {
  %zero = nn.constant dense<0.0> : tensor<f32>
  %one = nn.constant dense<1.0> : tensor<f32>
  %none = nn.constant dense<0> : tensor<i64>
  // -0 + 0 is +0, so the sum stays.
  // CHECK: %[[S:.*]] = nn.add %[[X]]
  %0 = nn.add %x, %zero : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %1 = nn.mul %one, %x : (tensor<f32>, tensor<4xf32>) -> tensor<4xf32>
  %2 = nn.add %none, %n : (tensor<i64>, tensor<4xi64>) -> tensor<4xi64>
  // CHECK: return %[[S]], %[[X]], %[[N]]
  return %0, %1, %2 : tensor<4xf32>, tensor<4xf32>, tensor<4xi64>
}

// -----

// CHECK-LABEL: @square
// CHECK-SAME: (%[[X:.*]]: tensor<?xf32>)
func.func @square(%x: tensor<?xf32>) -> tensor<?xf32> {
  %two = nn.constant dense<2> : tensor<i64>
  // CHECK: %[[Y:.*]] = nn.mul %[[X]], %[[X]]
  // CHECK: return %[[Y]]
  %0 = nn.pow %x, %two : (tensor<?xf32>, tensor<i64>) -> tensor<?xf32>
  return %0 : tensor<?xf32>
}
