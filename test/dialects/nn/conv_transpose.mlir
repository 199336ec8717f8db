// RUN: nacre-opt %s -split-input-file -infer-shapes -verify-diagnostics | FileCheck %s

// CHECK-LABEL: @padded
// CHECK: nn.conv_transpose %{{.*}}, %{{.*}} bias %{{.*}} {{.*}} -> tensor<?x6x10x8xf32>
func.func @padded(%x: tensor<?x4x5x4xf32>, %w: tensor<4x6x3x3xf32>, %b: tensor<6xf32>) {
  %y = nn.conv_transpose %x, %w bias %b {strides = array<i64: 2, 2>, dilations = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, output_padding = array<i64: 1, 1>}
      : (tensor<?x4x5x4xf32>, tensor<4x6x3x3xf32>, tensor<6xf32>) -> tensor<?x?x?x?xf32>
  return
}

// -----

// The size wanted, even of an input of unknown size; twice the groups' channels.
// CHECK-LABEL: @output_shape
// CHECK: -> tensor<1x7x6xf32>
func.func @output_shape(%x: tensor<1x?x4xf32>, %w: tensor<4x3x3xf32>) {
  %y = nn.conv_transpose %x, %w {strides = array<i64: 2>, dilations = array<i64: 1>, pads = array<i64: 0, 0>, output_padding = array<i64: 0>,
                                 output_shape = array<i64: 7>, groups = 2, channels_last}
      : (tensor<1x?x4xf32>, tensor<4x3x3xf32>) -> tensor<?x?x?xf32>
  return
}

// -----

// CHECK-LABEL: @same
// CHECK: nn.conv_transpose %{{.*}}, %{{.*}} auto_pad same_upper {{.*}} -> tensor<1x3x15xf32>
func.func @same(%x: tensor<1x4x5xf32>, %w: tensor<4x3x4xf32>) {
  %y = nn.conv_transpose %x, %w auto_pad same_upper {strides = array<i64: 3>, dilations = array<i64: 1>, pads = array<i64: 0, 0>, output_padding = array<i64: 0>}
      : (tensor<1x4x5xf32>, tensor<4x3x4xf32>) -> tensor<?x?x?xf32>
  return
}

// -----

func.func @channels(%x: tensor<1x5x5xf32>, %w: tensor<4x3x4xf32>) {
  // expected-error @below {{the input has 5 channels, but the weight takes 4}}
  // expected-error @below {{failed to infer returned types}}
  %y = nn.conv_transpose %x, %w {strides = array<i64: 3>, dilations = array<i64: 1>, pads = array<i64: 0, 0>, output_padding = array<i64: 0>}
      : (tensor<1x5x5xf32>, tensor<4x3x4xf32>) -> tensor<?x?x?xf32>
  return
}

// -----

func.func @output_padding(%x: tensor<1x4x5xf32>, %w: tensor<4x3x4xf32>) {
  // expected-error @below {{output_padding and output_shape must be from 0 to 1099511627776, found -1}}
  // expected-error @below {{failed to infer returned types}}
  %y = nn.conv_transpose %x, %w {strides = array<i64: 3>, dilations = array<i64: 1>, pads = array<i64: 0, 0>, output_padding = array<i64: -1>}
      : (tensor<1x4x5xf32>, tensor<4x3x4xf32>) -> tensor<?x?x?xf32>
  return
}
