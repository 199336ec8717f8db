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

// -----

func.func @max_pool_taps(%x: tensor<1x2x8xf32>, %y: tensor<1x2x3xf32>) {
  // expected-error @below {{expects an element for each window as in 'tensor<1x2x4xi8>', found 'tensor<1x2x3xf32>'}}
  %t = nn.max_pool_taps %x, %y {kernel = array<i64: 2>, strides = array<i64: 2>, dilations = array<i64: 1>, pads = array<i64: 0, 0>}
      : (tensor<1x2x8xf32>, tensor<1x2x3xf32>) -> tensor<1x2x4xi8>
  return
}

// -----

func.func @taps_of_f64(%x: tensor<1x2x8xf32>, %y: tensor<1x2x4xf64>) {
  // expected-error @below {{expects operands of one element type, found 'tensor<1x2x8xf32>' and 'tensor<1x2x4xf64>'}}
  %t = nn.max_pool_taps %x, %y {kernel = array<i64: 2>, strides = array<i64: 2>, dilations = array<i64: 1>, pads = array<i64: 0, 0>}
      : (tensor<1x2x8xf32>, tensor<1x2x4xf64>) -> tensor<1x2x4xi8>
  return
}

// -----

func.func @too_many_taps(%x: tensor<1x1x65536x65536xf16>, %y: tensor<1x1x1x1xf16>) {
  // expected-error @below {{the window has more taps than 2147483647}}
  // expected-error @below {{failed to infer returned types}}
  %t = nn.max_pool_taps %x, %y {kernel = array<i64: 65536, 65536>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>}
      : (tensor<1x1x65536x65536xf16>, tensor<1x1x1x1xf16>) -> tensor<1x1x1x1xi32>
  return
}

// -----

func.func @scatter_taps(%y: tensor<1x2x4xf32>, %t: tensor<1x2x3xi8>, %sizes: tensor<1xi64>) {
  // expected-error @below {{expects one tap for each element of 'tensor<1x2x4xf32>', found 'tensor<1x2x3xi8>'}}
  %x = nn.scatter_taps %y, %t, %sizes {kernel = array<i64: 2>, strides = array<i64: 2>, dilations = array<i64: 1>, pads = array<i64: 0, 0>}
      : (tensor<1x2x4xf32>, tensor<1x2x3xi8>, tensor<1xi64>) -> tensor<1x2x8xf32>
  return
}

// -----

func.func @scatter_taps_sizes(%y: tensor<1x2x4xf32>, %t: tensor<1x2x4xi8>, %sizes: tensor<2xi64>) {
  // expected-error @below {{expected 1 sizes, found 'tensor<2xi64>'}}
  // expected-error @below {{failed to infer returned types}}
  %x = nn.scatter_taps %y, %t, %sizes {kernel = array<i64: 2>, strides = array<i64: 2>, dilations = array<i64: 1>, pads = array<i64: 0, 0>}
      : (tensor<1x2x4xf32>, tensor<1x2x4xi8>, tensor<2xi64>) -> tensor<1x2x8xf32>
  return
}
