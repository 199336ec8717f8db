// RUN: nacre-opt %s -split-input-file -nn-to-linalg -canonicalize | FileCheck %s

// CHECK-DAG: #[[IN:.*]] = affine_map<(d0, d1, d2, d3, d4, d5) -> (d0, d1 * 2 + d4, d2 * 2 + d5, d3)>
// CHECK-DAG: #[[WINDOW:.*]] = affine_map<(d0, d1, d2, d3, d4, d5) -> (d4, d5)>
// CHECK-DAG: #[[OUT:.*]] = affine_map<(d0, d1, d2, d3, d4, d5) -> (d0, d1, d2, d3)>
// CHECK-LABEL: @max
// CHECK: %[[LOWEST:.*]] = arith.constant 0xFF800000 : f32
// CHECK: tensor.pad %{{.*}} low[0, 1, 1, 0] high[0, 1, 1, 0]
// CHECK: tensor.yield %[[LOWEST]]
// CHECK: linalg.generic {indexing_maps = [#[[IN]], #[[WINDOW]], #[[OUT]]]
// CHECK-SAME: ["parallel", "parallel", "parallel", "parallel", "reduction", "reduction"]
// CHECK: arith.maximumf
func.func @max(%x: tensor<1x9x9x8xf32>) -> tensor<1x5x5x8xf32> {
  %y = nn.max_pool %x {kernel = array<i64: 3, 3>, strides = array<i64: 2, 2>, dilations = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, channels_last}
      : (tensor<1x9x9x8xf32>) -> tensor<1x5x5x8xf32>
  return %y : tensor<1x5x5x8xf32>
}

// -----

// Unsigned elements start at 0 and compare unsigned.
// CHECK-LABEL: @unsigned
// CHECK: linalg.fill ins(%c0_i8 : i8)
// CHECK: arith.maxui
func.func @unsigned(%x: tensor<1x9x9xui8>) -> tensor<1x9x4xui8> {
  %y = nn.max_pool %x {kernel = array<i64: 3>, strides = array<i64: 2>, dilations = array<i64: 1>, pads = array<i64: 0, 0>}
      : (tensor<1x9x9xui8>) -> tensor<1x9x4xui8>
  return %y : tensor<1x9x4xui8>
}

// -----

// Without padding every window counts the same.
// CHECK-LABEL: @mean
// CHECK-NOT: tensor.pad
// CHECK: %[[SUM:.*]] = linalg.generic
// CHECK: linalg.generic {{.*}} ins(%[[SUM]] : tensor<1x8x1x1xf32>)
// CHECK: arith.divf %{{.*}}, %cst{{.*}} : f32
func.func @mean(%x: tensor<1x8x7x7xf32>) -> tensor<1x8x1x1xf32> {
  %y = nn.avg_pool %x {kernel = array<i64: 7, 7>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>}
      : (tensor<1x8x7x7xf32>) -> tensor<1x8x1x1xf32>
  return %y : tensor<1x8x1x1xf32>
}

// -----

// Only the padded dimension has counts that differ.
// CHECK-LABEL: @padded_mean
// CHECK: %[[SUM:.*]] = linalg.generic {{.*}} "reduction", "reduction"]
// CHECK: %[[COUNTS:.*]] = linalg.generic {{.*}} outs(%{{.*}} : tensor<9xf32>)
// CHECK: linalg.generic {{.*}} ins(%[[SUM]], %[[COUNTS]] : tensor<1x8x9x6xf32>, tensor<9xf32>)
func.func @padded_mean(%x: tensor<1x8x9x7xf32>) -> tensor<1x8x9x6xf32> {
  %y = nn.avg_pool %x {kernel = array<i64: 3, 2>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 1, 0, 1, 0>}
      : (tensor<1x8x9x7xf32>) -> tensor<1x8x9x6xf32>
  return %y : tensor<1x8x9x6xf32>
}

// -----

// Without padding only NaN and equality are asked.
// CHECK-LABEL: @taps
// CHECK: linalg.fill ins(%{{.*}} : i8)
// CHECK: linalg.generic {{.*}} "reduction", "reduction"]
// CHECK: %[[SAME:.*]] = arith.cmpf oeq
// CHECK: %[[NAN:.*]] = arith.cmpf uno
// CHECK: %[[IS:.*]] = arith.ori %[[SAME]], %[[NAN]]
// CHECK-NOT: arith.cmpi ult
// CHECK: arith.select %[[IS]]
// CHECK: arith.minsi
func.func @taps(%x: tensor<1x8x8x4xf32>, %y: tensor<1x4x4x4xf32>) -> tensor<1x4x4x4xi8> {
  %t = nn.max_pool_taps %x, %y {kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, channels_last}
      : (tensor<1x8x8x4xf32>, tensor<1x4x4x4xf32>) -> tensor<1x4x4x4xi8>
  return %t : tensor<1x4x4x4xi8>
}

// -----

// Windows that do not overlap: each place has one, and nothing is summed.
// CHECK-LABEL: @scatter
// CHECK-NOT: tensor.pad
// CHECK: %[[PARTS:.*]] = linalg.generic {{.*}} ["parallel", "parallel", "parallel", "parallel", "parallel", "parallel"]}
// CHECK-SAME: outs(%{{.*}} : tensor<1x4x2x4x2x4xf32>)
// CHECK: tensor.collapse_shape %[[PARTS]] {{.*}} into tensor<1x8x8x4xf32>
func.func @scatter(%y: tensor<1x4x4x4xf32>, %t: tensor<1x4x4x4xi8>) -> tensor<1x8x8x4xf32> {
  %sizes = nn.constant dense<[8, 8]> : tensor<2xi64>
  %x = nn.scatter_taps %y, %t, %sizes {kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, channels_last}
      : (tensor<1x4x4x4xf32>, tensor<1x4x4x4xi8>, tensor<2xi64>) -> tensor<1x8x8x4xf32>
  return %x : tensor<1x8x8x4xf32>
}

// -----

// Windows of 3 elements, 2 apart: a place has one or two. The ninth place is the last of five pairs.
// CHECK-LABEL: @overlapping
// CHECK: tensor.pad {{.*}} low[0, 0, 0] high[0, 0, 1]
// CHECK: linalg.generic {{.*}} ["parallel", "parallel", "parallel", "parallel", "reduction"]
// CHECK: arith.addf
// CHECK: tensor.collapse_shape {{.*}} into tensor<1x2x10xf32>
// CHECK: tensor.extract_slice {{.*}} to tensor<1x2x9xf32>
func.func @overlapping(%y: tensor<1x2x5xf32>, %t: tensor<1x2x5xi8>) -> tensor<1x2x9xf32> {
  %sizes = nn.constant dense<9> : tensor<1xi64>
  %x = nn.scatter_taps %y, %t, %sizes {kernel = array<i64: 3>, strides = array<i64: 2>, dilations = array<i64: 1>, pads = array<i64: 1, 1>}
      : (tensor<1x2x5xf32>, tensor<1x2x5xi8>, tensor<1xi64>) -> tensor<1x2x9xf32>
  return %x : tensor<1x2x9xf32>
}
