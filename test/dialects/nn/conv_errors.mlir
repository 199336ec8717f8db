// RUN: nacre-opt %s -split-input-file -verify-diagnostics

func.func @rank(%x: tensor<1x4xf32>, %w: tensor<5x4xf32>) {
  // expected-error @below {{expected an input of rank 3 or more, found 'tensor<1x4xf32>'}}
  // expected-error @below {{failed to infer returned types}}
  %y = nn.conv %x, %w {strides = array<i64>, dilations = array<i64>, pads = array<i64>}
      : (tensor<1x4xf32>, tensor<5x4xf32>) -> tensor<1x5xf32>
  return
}

// -----

func.func @weight_rank(%x: tensor<1x4x5xf32>, %w: tensor<5x4x3x3xf32>) {
  // expected-error @below {{expected a weight of the input's rank 3, found 'tensor<5x4x3x3xf32>'}}
  // expected-error @below {{failed to infer returned types}}
  %y = nn.conv %x, %w {strides = array<i64: 1>, dilations = array<i64: 1>, pads = array<i64: 0, 0>}
      : (tensor<1x4x5xf32>, tensor<5x4x3x3xf32>) -> tensor<1x5x3xf32>
  return
}

// -----

func.func @lists(%x: tensor<1x4x5x5xf32>, %w: tensor<5x4x3x3xf32>) {
  // expected-error @below {{expected 2 strides, 2 dilations and 4 pads, found 1, 2 and 4}}
  // expected-error @below {{failed to infer returned types}}
  %y = nn.conv %x, %w {strides = array<i64: 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>}
      : (tensor<1x4x5x5xf32>, tensor<5x4x3x3xf32>) -> tensor<1x5x3x3xf32>
  return
}

// -----

func.func @stride(%x: tensor<1x4x5xf32>, %w: tensor<5x4x3xf32>) {
  // expected-error @below {{strides must be from 1 to 1048576, found 0}}
  // expected-error @below {{failed to infer returned types}}
  %y = nn.conv %x, %w {strides = array<i64: 0>, dilations = array<i64: 1>, pads = array<i64: 0, 0>}
      : (tensor<1x4x5xf32>, tensor<5x4x3xf32>) -> tensor<1x5x3xf32>
  return
}

// -----

func.func @pad(%x: tensor<1x4x5xf32>, %w: tensor<5x4x3xf32>) {
  // expected-error @below {{pads must be from 0 to 2147483648, found -1}}
  // expected-error @below {{failed to infer returned types}}
  %y = nn.conv %x, %w {strides = array<i64: 1>, dilations = array<i64: 1>, pads = array<i64: 0, -1>}
      : (tensor<1x4x5xf32>, tensor<5x4x3xf32>) -> tensor<1x5x3xf32>
  return
}

// -----

func.func @channels(%x: tensor<1x4x5xf32>, %w: tensor<6x4x3xf32>) {
  // expected-error @below {{the input has 4 channels, but the weight takes 4 in each of 2 groups}}
  // expected-error @below {{failed to infer returned types}}
  %y = nn.conv %x, %w {strides = array<i64: 1>, dilations = array<i64: 1>, pads = array<i64: 0, 0>, groups = 2}
      : (tensor<1x4x5xf32>, tensor<6x4x3xf32>) -> tensor<1x6x3xf32>
  return
}

// -----

func.func @output_groups(%x: tensor<1x4x5xf32>, %w: tensor<5x2x3xf32>) {
  // expected-error @below {{5 output channels do not make 2 groups}}
  // expected-error @below {{failed to infer returned types}}
  %y = nn.conv %x, %w {strides = array<i64: 1>, dilations = array<i64: 1>, pads = array<i64: 0, 0>, groups = 2}
      : (tensor<1x4x5xf32>, tensor<5x2x3xf32>) -> tensor<1x5x3xf32>
  return
}

// -----

func.func @bias(%x: tensor<1x4x5xf32>, %w: tensor<5x4x3xf32>, %b: tensor<6xf32>) {
  // expected-error @below {{expected 5 bias elements, found 6}}
  // expected-error @below {{failed to infer returned types}}
  %y = nn.conv %x, %w bias %b {strides = array<i64: 1>, dilations = array<i64: 1>, pads = array<i64: 0, 0>}
      : (tensor<1x4x5xf32>, tensor<5x4x3xf32>, tensor<6xf32>) -> tensor<1x5x3xf32>
  return
}

// -----

func.func @fit(%x: tensor<1x4x5xf32>, %w: tensor<5x4x3xf32>) {
  // expected-error @below {{a window of 9 does not fit into 8 elements, padding included}}
  // expected-error @below {{failed to infer returned types}}
  %y = nn.conv %x, %w {strides = array<i64: 1>, dilations = array<i64: 4>, pads = array<i64: 1, 2>}
      : (tensor<1x4x5xf32>, tensor<5x4x3xf32>) -> tensor<1x5x0xf32>
  return
}
