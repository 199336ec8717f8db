// Elements that are stored as codes: conversions of constants, and what is refused.
// RUN: nacre-opt %s -canonicalize -split-input-file -verify-diagnostics | FileCheck %s

// CHECK-LABEL: @saturated
func.func @saturated() -> (tensor<5xf8E4M3FN>, tensor<5xf8E4M3FN>, tensor<5xf8E5M2>) {
  // 464 is in the middle between 448 and what does not exist, and goes to the even one.
  %x = nn.constant dense<[464.0, 465.0, 0xFF800000, 0.0009765625, -0.0]> : tensor<5xf32>
  // CHECK-DAG: %[[A:.*]] = nn.constant dense<[4.480000e+02, 4.480000e+02, -4.480000e+02, 0.000000e+00, -0.000000e+00]> : tensor<5xf8E4M3FN>
  %a = nn.cast %x to f8E4M3FN : (tensor<5xf32>) -> tensor<5xf8E4M3FN>
  // CHECK-DAG: %[[B:.*]] = nn.constant dense<[4.480000e+02, 0x7F, 0xFF, 0.000000e+00, -0.000000e+00]> : tensor<5xf8E4M3FN>
  %b = nn.cast %x to f8E4M3FN {saturate = false} : (tensor<5xf32>) -> tensor<5xf8E4M3FN>
  // CHECK-DAG: %[[C:.*]] = nn.constant dense<[4.480000e+02, 4.480000e+02, 0xFC, 9.765620e-04, -0.000000e+00]> : tensor<5xf8E5M2>
  %c = nn.cast %x to f8E5M2 {saturate = false} : (tensor<5xf32>) -> tensor<5xf8E5M2>
  // CHECK: return %[[A]], %[[B]], %[[C]]
  return %a, %b, %c : tensor<5xf8E4M3FN>, tensor<5xf8E4M3FN>, tensor<5xf8E5M2>
}

// CHECK-LABEL: @integers
func.func @integers() -> (tensor<4xi4>, tensor<4xui4>, tensor<4xf32>, tensor<4xi4>) {
  %x = nn.constant dense<[7, 8, -9, 255]> : tensor<4xi32>
  // CHECK-DAG: %[[A:.*]] = nn.constant dense<[7, -8, 7, -1]> : tensor<4xi4>
  %a = nn.cast %x to i4 : (tensor<4xi32>) -> tensor<4xi4>
  // CHECK-DAG: %[[B:.*]] = nn.constant dense<[7, 8, 7, 15]> : tensor<4xui4>
  %b = nn.cast %x to ui4 : (tensor<4xi32>) -> tensor<4xui4>
  // CHECK-DAG: %[[C:.*]] = nn.constant dense<[7.000000e+00, -8.000000e+00, 7.000000e+00, -1.000000e+00]> : tensor<4xf32>
  %c = nn.cast %a to f32 : (tensor<4xi4>) -> tensor<4xf32>
  // CHECK: return %[[A]], %[[B]], %[[C]], %[[A]]
  %d = nn.bitcast %b to i4 : (tensor<4xui4>) -> tensor<4xi4>
  return %a, %b, %c, %d : tensor<4xi4>, tensor<4xui4>, tensor<4xf32>, tensor<4xi4>
}

// CHECK-LABEL: @powers
func.func @powers() -> (tensor<3xf8E8M0FNU>, tensor<3xf8E8M0FNU>, tensor<3xf8E8M0FNU>) {
  %x = nn.constant dense<[3.0, 2.5, -4.0]> : tensor<3xf32>
  // CHECK-DAG: %[[A:.*]] = nn.constant dense<4.000000e+00> : tensor<3xf8E8M0FNU>
  %a = nn.cast %x to f8E8M0FNU : (tensor<3xf32>) -> tensor<3xf8E8M0FNU>
  // CHECK-DAG: %[[B:.*]] = nn.constant dense<[2.000000e+00, 2.000000e+00, 4.000000e+00]> : tensor<3xf8E8M0FNU>
  %b = nn.cast %x to f8E8M0FNU {rounding = 1 : i32} : (tensor<3xf32>) -> tensor<3xf8E8M0FNU>
  // CHECK-DAG: %[[C:.*]] = nn.constant dense<[4.000000e+00, 2.000000e+00, 4.000000e+00]> : tensor<3xf8E8M0FNU>
  %c = nn.cast %x to f8E8M0FNU {rounding = 2 : i32} : (tensor<3xf32>) -> tensor<3xf8E8M0FNU>
  // CHECK: return %[[A]], %[[B]], %[[C]]
  return %a, %b, %c : tensor<3xf8E8M0FNU>, tensor<3xf8E8M0FNU>, tensor<3xf8E8M0FNU>
}

// Saturation changes what has infinities, even to the same type.
// CHECK-LABEL: @same
func.func @same(%x: tensor<4xf8E4M3FN>, %y: tensor<4xf8E5M2>) -> (tensor<4xf8E4M3FN>, tensor<4xf8E5M2>, tensor<4xf8E5M2>) {
  %a = nn.cast %x to f8E4M3FN : (tensor<4xf8E4M3FN>) -> tensor<4xf8E4M3FN>
  // CHECK: %[[B:.*]] = nn.cast %arg1
  %b = nn.cast %y to f8E5M2 : (tensor<4xf8E5M2>) -> tensor<4xf8E5M2>
  %c = nn.cast %y to f8E5M2 {saturate = false} : (tensor<4xf8E5M2>) -> tensor<4xf8E5M2>
  // CHECK: return %arg0, %[[B]], %arg1
  return %a, %b, %c : tensor<4xf8E4M3FN>, tensor<4xf8E5M2>, tensor<4xf8E5M2>
}

// -----

func.func @arithmetic(%x: tensor<4xf8E5M2>) {
  // expected-error@+1 {{operand #0 must be ranked tensor of number}}
  %0 = nn.add %x, %x : (tensor<4xf8E5M2>, tensor<4xf8E5M2>) -> tensor<4xf8E5M2>
  return
}

// -----

func.func @comparison(%x: tensor<4xi4>) {
  // expected-error@+1 {{operand #0 must be ranked tensor of number or boolean}}
  %0 = nn.compare eq, %x, %x : (tensor<4xi4>, tensor<4xi4>) -> tensor<4xi1>
  return
}

// -----

func.func @widths(%x: tensor<4xi4>) {
  // expected-error@+1 {{expects a type of 4 bits, found 'f8E5M2'}}
  %0 = nn.bitcast %x to f8E5M2 : (tensor<4xi4>) -> tensor<4xf8E5M2>
  return
}
