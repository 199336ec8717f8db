// RUN: nacre-opt %s -split-input-file -verify-diagnostics

func.func @kernel(%x: tensor<1x4x5x5xf32>) {
  // expected-error @below {{expected 2 kernel sizes, found 1}}
  // expected-error @below {{failed to infer returned types}}
  %y = nn.max_pool %x {kernel = array<i64: 3>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>}
      : (tensor<1x4x5x5xf32>) -> tensor<1x4x3x3xf32>
  return
}

// -----

func.func @empty(%x: tensor<1x4x5xf32>) {
  // expected-error @below {{kernel sizes must be from 1 to 1099511627776, found 0}}
  // expected-error @below {{failed to infer returned types}}
  %y = nn.avg_pool %x {kernel = array<i64: 0>, strides = array<i64: 1>, dilations = array<i64: 1>, pads = array<i64: 0, 0>}
      : (tensor<1x4x5xf32>) -> tensor<1x4x6xf32>
  return
}

// -----

func.func @norm(%x: tensor<1x4x5xf32>) {
  // expected-error @below {{expects a positive p, found 0}}
  %y = nn.lp_pool %x {p = 0 : i64, kernel = array<i64: 1>, strides = array<i64: 1>, dilations = array<i64: 1>, pads = array<i64: 0, 0>}
      : (tensor<1x4x5xf32>) -> tensor<1x4x5xf32>
  return
}

// -----

func.func @max_pool_with_indices(%x: tensor<1x2x8x8xf32>) {
  // expected-error@+2 {{expected 2 kernel sizes, found 1}}
  // expected-error@+1 {{failed to infer returned types}}
  %y, %i = nn.max_pool_with_indices %x {kernel = array<i64: 2>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>}
      : (tensor<1x2x8x8xf32>) -> (tensor<1x2x7x7xf32>, tensor<1x2x7x7xi64>)
  return
}
