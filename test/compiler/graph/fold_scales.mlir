// RUN: nacre-opt %s --fold-scales | FileCheck %s

nn.parameter @w = dense<1.0> : tensor<16x3x1x1xf32>
nn.parameter @s = dense<2.0> : tensor<1x16x1x1xf32>

// CHECK-LABEL: func.func @conv
// CHECK: %[[V:.*]] = nn.mul {{.*}} (tensor<16x3x1x1xf32>, tensor<16x1x1x1xf32>)
// CHECK: %[[R:.*]] = nn.conv %arg0, %[[V]]
// CHECK-NEXT: return %[[R]]
func.func @conv(%x: tensor<1x3x8x8xf32>) -> tensor<1x16x8x8xf32> {
  %w = nn.get_parameter @w : tensor<16x3x1x1xf32>
  %s = nn.get_parameter @s : tensor<1x16x1x1xf32>
  %0 = nn.conv %x, %w {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>}
      : (tensor<1x3x8x8xf32>, tensor<16x3x1x1xf32>) -> tensor<1x16x8x8xf32>
  %1 = nn.mul %0, %s : (tensor<1x16x8x8xf32>, tensor<1x16x1x1xf32>) -> tensor<1x16x8x8xf32>
  return %1 : tensor<1x16x8x8xf32>
}

// A factor that differs along another dimension stays.
// CHECK-LABEL: func.func @other_dimension
// CHECK: nn.conv
// CHECK-NEXT: nn.mul
func.func @other_dimension(%x: tensor<1x3x8x16xf32>) -> tensor<1x16x8x16xf32> {
  %w = nn.get_parameter @w : tensor<16x3x1x1xf32>
  %s = nn.constant dense<3.0> : tensor<1x1x1x16xf32>
  %0 = nn.conv %x, %w {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>}
      : (tensor<1x3x8x16xf32>, tensor<16x3x1x1xf32>) -> tensor<1x16x8x16xf32>
  %1 = nn.mul %0, %s : (tensor<1x16x8x16xf32>, tensor<1x1x1x16xf32>) -> tensor<1x16x8x16xf32>
  return %1 : tensor<1x16x8x16xf32>
}
