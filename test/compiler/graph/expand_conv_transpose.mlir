// RUN: nacre-opt %s --expand-conv-transpose -split-input-file | FileCheck %s

// Without strides: the kernel backwards, and the channels exchanged.
// CHECK-LABEL: func.func @plain
// CHECK-SAME: %[[X:.*]]: tensor<?x8x?xf32>, %[[W:.*]]: tensor<8x4x3xf32>, %[[B:.*]]: tensor<4xf32>
// CHECK: %[[BACK:.*]] = nn.slice
// CHECK-SAME: tensor<1x8x4x3x1xf32>
// CHECK: %[[T:.*]] = nn.transpose %[[BACK]] {permutation = array<i64: 0, 2, 4, 1, 3>}
// CHECK: %[[V:.*]] = nn.reshape %[[T]]{{.*}} -> tensor<4x8x3xf32>
// CHECK: nn.conv %[[X]], %[[V]] bias %[[B]] {dilations = array<i64: 2>, {{.*}}pads = array<i64: 3, 4>, strides = array<i64: 1>}
// CHECK-NOT: nn.conv_transpose
func.func @plain(%x: tensor<?x8x?xf32>, %w: tensor<8x4x3xf32>, %b: tensor<4xf32>) -> tensor<?x4x?xf32> {
  %y = nn.conv_transpose %x, %w bias %b {strides = array<i64: 1>, dilations = array<i64: 2>, pads = array<i64: 1, 0>,
                                         output_padding = array<i64: 0>}
      : (tensor<?x8x?xf32>, tensor<8x4x3xf32>, tensor<4xf32>) -> tensor<?x4x?xf32>
  return %y : tensor<?x4x?xf32>
}

// -----

// Strides of two: two kernels of ceil(3 / 2) taps for each output channel, interleaved, one place cut off.
// CHECK-LABEL: func.func @strided
// CHECK: nn.pad %{{.*}} -> tensor<8x4x4xf32>
// CHECK: %[[V:.*]] = nn.reshape %{{.*}} -> tensor<8x8x2xf32>
// CHECK: %[[Z:.*]] = nn.conv %{{.*}}, %[[V]] {{.*}}strides = array<i64: 1>} : (tensor<1x8x5xf32>, tensor<8x8x2xf32>) -> tensor<1x8x5xf32>
// CHECK: nn.reshape %[[Z]]{{.*}} -> tensor<1x4x2x5xf32>
// CHECK: nn.transpose %{{.*}} {permutation = array<i64: 0, 1, 3, 2>}
// CHECK: nn.reshape %{{.*}} -> tensor<1x4x10xf32>
// CHECK: nn.slice %{{.*}} -> tensor<1x4x9xf32>
// CHECK-NOT: nn.conv_transpose
func.func @strided(%x: tensor<1x8x5xf32>, %w: tensor<8x4x3xf32>) -> tensor<1x4x9xf32> {
  %y = nn.conv_transpose %x, %w {strides = array<i64: 2>, dilations = array<i64: 1>, pads = array<i64: 1, 1>,
                                 output_padding = array<i64: 0>}
      : (tensor<1x8x5xf32>, tensor<8x4x3xf32>) -> tensor<1x4x9xf32>
  return %y : tensor<1x4x9xf32>
}

// -----

// Left as they are: strides with dilations, weights of unknown sizes.
// CHECK-LABEL: func.func @others
// CHECK-COUNT-2: nn.conv_transpose
func.func @others(%x: tensor<1x8x5xf32>, %w: tensor<8x4x3xf32>, %v: tensor<?x4x?xf32>) -> (tensor<1x4x13xf32>, tensor<1x4x?xf32>) {
  %y = nn.conv_transpose %x, %w {strides = array<i64: 2>, dilations = array<i64: 2>, pads = array<i64: 0, 0>,
                                 output_padding = array<i64: 0>}
      : (tensor<1x8x5xf32>, tensor<8x4x3xf32>) -> tensor<1x4x13xf32>
  %z = nn.conv_transpose %x, %v {strides = array<i64: 2>, dilations = array<i64: 1>, pads = array<i64: 0, 0>,
                                 output_padding = array<i64: 0>}
      : (tensor<1x8x5xf32>, tensor<?x4x?xf32>) -> tensor<1x4x?xf32>
  return %y, %z : tensor<1x4x13xf32>, tensor<1x4x?xf32>
}
