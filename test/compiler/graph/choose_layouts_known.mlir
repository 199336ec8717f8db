// RUN: nacre-opt %s --choose-layouts | FileCheck %s

// Between values that are all known at compile time no transposition is moved: it would be
// moved back, without end.
nn.parameter @a = dense<1.0> : tensor<1x4x6xf32>
nn.parameter @b = dense<1.0> : tensor<1x6x4xf32>

// CHECK-LABEL: func.func @elementwise
// CHECK: %[[T:.*]] = nn.transpose
// CHECK: nn.add %[[T]], %
func.func @elementwise() -> tensor<1x6x4xf32> {
  %a = nn.get_parameter @a : tensor<1x4x6xf32>
  %b = nn.get_parameter @b : tensor<1x6x4xf32>
  %t = nn.transpose %a {permutation = array<i64: 0, 2, 1>} : (tensor<1x4x6xf32>) -> tensor<1x6x4xf32>
  %0 = nn.add %t, %b : (tensor<1x6x4xf32>, tensor<1x6x4xf32>) -> tensor<1x6x4xf32>
  return %0 : tensor<1x6x4xf32>
}

// CHECK-LABEL: func.func @concat
// CHECK: %[[T:.*]] = nn.transpose
// CHECK: nn.concat %[[T]], %
func.func @concat() -> tensor<1x12x4xf32> {
  %a = nn.get_parameter @a : tensor<1x4x6xf32>
  %b = nn.get_parameter @b : tensor<1x6x4xf32>
  %t = nn.transpose %a {permutation = array<i64: 0, 2, 1>} : (tensor<1x4x6xf32>) -> tensor<1x6x4xf32>
  %0 = nn.concat %t, %b along 1 : (tensor<1x6x4xf32>, tensor<1x6x4xf32>) -> tensor<1x12x4xf32>
  return %0 : tensor<1x12x4xf32>
}
