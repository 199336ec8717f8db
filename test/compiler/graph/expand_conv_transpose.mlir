// RUN: nacre-opt %s --expand-conv-transpose -split-input-file | FileCheck %s

// Without strides: the kernel backwards, and the channels exchanged.
// CHECK-LABEL: func.func @plain
// CHECK-SAME: %[[X:.*]]: tensor<?x8x?xf32>, %[[W:.*]]: tensor<8x4x3xf32>, %[[B:.*]]: tensor<4xf32>
// CHECK: %[[BACK:.*]] = nn.slice %[[W]]
// CHECK: %[[V:.*]] = nn.transpose %[[BACK]] {permutation = array<i64: 1, 0, 2>} {{.*}} -> tensor<4x8x3xf32>
// CHECK: nn.conv %[[X]], %[[V]] bias %[[B]] {dilations = array<i64: 2>, {{.*}}pads = array<i64: 3, 4>, strides = array<i64: 1>}
// CHECK-NOT: nn.conv_transpose
func.func @plain(%x: tensor<?x8x?xf32>, %w: tensor<8x4x3xf32>, %b: tensor<4xf32>) -> tensor<?x4x?xf32> {
  %y = nn.conv_transpose %x, %w bias %b {strides = array<i64: 1>, dilations = array<i64: 2>, pads = array<i64: 1, 0>,
                                         output_padding = array<i64: 0>}
      : (tensor<?x8x?xf32>, tensor<8x4x3xf32>, tensor<4xf32>) -> tensor<?x4x?xf32>
  return %y : tensor<?x4x?xf32>
}

// -----

// Strides of two: the even taps' convolution and the odd one's, in turn with channels last, one place cut off.
// CHECK-LABEL: func.func @strided
// CHECK: %[[EVEN:.*]] = nn.conv %{{.*}}pads = array<i64: 1, 0>, strides = array<i64: 1>} : (tensor<1x8x5xf32>, tensor<4x8x2xf32>) -> tensor<1x4x5xf32>
// CHECK: %[[ODD:.*]] = nn.conv %{{.*}}pads = array<i64: 0, 0>, strides = array<i64: 1>} : (tensor<1x8x5xf32>, tensor<4x8x1xf32>) -> tensor<1x4x5xf32>
// CHECK: %[[E:.*]] = nn.transpose %[[EVEN]]
// CHECK: %[[F:.*]] = nn.reshape %[[E]]
// CHECK: %[[O:.*]] = nn.transpose %[[ODD]]
// CHECK: %[[P:.*]] = nn.reshape %[[O]]
// CHECK: nn.concat %[[F]], %[[P]] along 2 : {{.*}} -> tensor<1x5x2x4xf32>
// CHECK: nn.reshape %{{.*}} -> tensor<1x10x4xf32>
// CHECK: nn.slice %{{.*}} -> tensor<1x9x4xf32>
// CHECK: nn.transpose %{{.*}} -> tensor<1x4x9xf32>
// CHECK-NOT: nn.conv_transpose
func.func @strided(%x: tensor<1x8x5xf32>, %w: tensor<8x4x3xf32>) -> tensor<1x4x9xf32> {
  %y = nn.conv_transpose %x, %w {strides = array<i64: 2>, dilations = array<i64: 1>, pads = array<i64: 1, 1>,
                                 output_padding = array<i64: 0>}
      : (tensor<1x8x5xf32>, tensor<8x4x3xf32>) -> tensor<1x4x9xf32>
  return %y : tensor<1x4x9xf32>
}

// -----

// One tap serves the even places, none the odd ones: zeros.
// CHECK-LABEL: func.func @one_tap
// CHECK: nn.conv {{.*}} (tensor<1x8x5xf32>, tensor<4x8x1xf32>) -> tensor<1x4x5xf32>
// CHECK-NOT: nn.conv
// CHECK: %[[NONE:.*]] = nn.constant dense<0.000000e+00> : tensor<1x5x1x4xf32>
// CHECK: nn.concat %{{.*}}, %[[NONE]] along 2
func.func @one_tap(%x: tensor<1x8x5xf32>, %w: tensor<8x4x1xf32>) -> tensor<1x4x9xf32> {
  %y = nn.conv_transpose %x, %w {strides = array<i64: 2>, dilations = array<i64: 1>, pads = array<i64: 0, 0>,
                                 output_padding = array<i64: 0>}
      : (tensor<1x8x5xf32>, tensor<8x4x1xf32>) -> tensor<1x4x9xf32>
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
