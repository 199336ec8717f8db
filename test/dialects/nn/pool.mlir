// RUN: nacre-opt %s -split-input-file -infer-shapes | nacre-opt -split-input-file | FileCheck %s

// CHECK-LABEL: @max
// CHECK: nn.max_pool %{{.*}} {dilations = {{.*}}} : {{.*}} -> tensor<?x64x56x56xf32>
func.func @max(%x: tensor<?x64x112x112xf32>) -> tensor<?x?x?x?xf32> {
  %y = nn.max_pool %x {kernel = array<i64: 3, 3>, strides = array<i64: 2, 2>, dilations = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>}
      : (tensor<?x64x112x112xf32>) -> tensor<?x?x?x?xf32>
  return %y : tensor<?x?x?x?xf32>
}

// -----

// ceil_mode: 7 elements hold places at 0, 3 and 6, but of 6 elements only 0 and 3
// start inside.
// CHECK-LABEL: @ceil
// CHECK: nn.max_pool_with_indices {{.*}} -> (tensor<1x3x2xf32>, tensor<1x3x2xi64>)
// CHECK: nn.avg_pool {{.*}} -> tensor<1x3x3xf32>
func.func @ceil(%x: tensor<1x6x2xf32>, %z: tensor<1x3x7xf32>) {
  %y, %i = nn.max_pool_with_indices %z {kernel = array<i64: 3>, strides = array<i64: 4>, dilations = array<i64: 1>, pads = array<i64: 0, 0>, ceil_mode}
      : (tensor<1x3x7xf32>) -> (tensor<?x?x?xf32>, tensor<?x?x?xi64>)
  %a = nn.avg_pool %z {kernel = array<i64: 2>, strides = array<i64: 3>, dilations = array<i64: 1>, pads = array<i64: 0, 0>, ceil_mode}
      : (tensor<1x3x7xf32>) -> tensor<?x?x?xf32>
  return
}

// -----

// CHECK-LABEL: @same
// CHECK: nn.lp_pool %{{.*}} auto_pad same_upper {{.*}} -> tensor<1x3x4x8xf32>
func.func @same(%x: tensor<1x5x8x8xf32>) {
  %y = nn.lp_pool %x auto_pad same_upper {p = 2 : i64, kernel = array<i64: 2, 9>, strides = array<i64: 2, 2>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, channels_last}
      : (tensor<1x5x8x8xf32>) -> tensor<?x?x?x?xf32>
  return
}

// -----

// 127 taps and their number fit into i8, 128 do not.
// CHECK-LABEL: @taps
// CHECK: nn.max_pool_taps {{.*}} -> tensor<2x3x4x4xi8>
// CHECK: nn.max_pool_taps {{.*}} -> tensor<1x1x1xi32>
// CHECK: nn.scatter_taps {{.*}} -> tensor<2x3x9x8xf32>
func.func @taps(%x: tensor<2x3x9x8xf32>, %y: tensor<2x3x4x4xf32>, %u: tensor<1x1x128xf32>, %v: tensor<1x1x1xf32>) {
  %t = nn.max_pool_taps %x, %y {kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>}
      : (tensor<2x3x9x8xf32>, tensor<2x3x4x4xf32>) -> tensor<2x3x4x4xi8>
  %s = nn.max_pool_taps %u, %v {kernel = array<i64: 128>, strides = array<i64: 1>, dilations = array<i64: 1>, pads = array<i64: 0, 0>}
      : (tensor<1x1x128xf32>, tensor<1x1x1xf32>) -> tensor<1x1x1xi32>
  %sizes = nn.constant dense<[9, 8]> : tensor<2xi64>
  %dx = nn.scatter_taps %y, %t, %sizes {kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>}
      : (tensor<2x3x4x4xf32>, tensor<2x3x4x4xi8>, tensor<2xi64>) -> tensor<?x?x?x?xf32>
  return
}
