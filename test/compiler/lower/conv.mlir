// RUN: nacre-opt %s -split-input-file -nn-to-linalg -canonicalize | FileCheck %s

// CHECK-DAG: #[[IN:.*]] = affine_map<(d0, d1, d2, d3, d4, d5, d6) -> (d0, d1 * 2 + d4, d2 * 2 + d5, d6)>
// CHECK-DAG: #[[W:.*]] = affine_map<(d0, d1, d2, d3, d4, d5, d6) -> (d3, d6, d4, d5)>
// CHECK-DAG: #[[OUT:.*]] = affine_map<(d0, d1, d2, d3, d4, d5, d6) -> (d0, d1, d2, d3)>
// CHECK-LABEL: @channels_last
// CHECK: tensor.pad %{{.*}} low[0, 1, 1, 0] high[0, 1, 1, 0]
// CHECK: %[[SUM:.*]] = linalg.generic {indexing_maps = [#[[IN]], #[[W]], #[[OUT]]]
// CHECK-SAME: ["parallel", "parallel", "parallel", "parallel", "reduction", "reduction", "reduction"]
// CHECK: linalg.generic {{.*}} ins(%[[SUM]], %{{.*}} : tensor<1x5x5x12xf32>, tensor<12xf32>)
func.func @channels_last(%x: tensor<1x9x9x8xf32>, %w: tensor<12x8x3x3xf32>, %b: tensor<12xf32>) -> tensor<1x5x5x12xf32> {
  %y = nn.conv %x, %w bias %b {strides = array<i64: 2, 2>, dilations = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, channels_last}
      : (tensor<1x9x9x8xf32>, tensor<12x8x3x3xf32>, tensor<12xf32>) -> tensor<1x5x5x12xf32>
  return %y : tensor<1x5x5x12xf32>
}

// -----

// Depthwise: no loop of one element.
// CHECK-DAG: #[[IN:.*]] = affine_map<(d0, d1, d2, d3, d4, d5) -> (d0, d1 + d4, d2 + d5 * 2, d3)>
// CHECK-DAG: #[[W:.*]] = affine_map<(d0, d1, d2, d3, d4, d5) -> (d3, d4, d5)>
// CHECK-LABEL: @depthwise
// CHECK-NOT: tensor.pad
// CHECK: linalg.generic {indexing_maps = [#[[IN]], #[[W]],
// CHECK-SAME: ["parallel", "parallel", "parallel", "parallel", "reduction", "reduction"]
func.func @depthwise(%x: tensor<?x9x9x8xf32>, %w: tensor<8x1x3x3xf32>) -> tensor<?x7x5x8xf32> {
  %y = nn.conv %x, %w {strides = array<i64: 1, 1>, dilations = array<i64: 1, 2>, pads = array<i64: 0, 0, 0, 0>, groups = 8, channels_last}
      : (tensor<?x9x9x8xf32>, tensor<8x1x3x3xf32>) -> tensor<?x7x5x8xf32>
  return %y : tensor<?x7x5x8xf32>
}

// -----

// CHECK-DAG: #[[IN:.*]] = affine_map<(d0, d1, d2, d3, d4, d5) -> (d0, d2, d5, d1 + d4)>
// CHECK-DAG: #[[W:.*]] = affine_map<(d0, d1, d2, d3, d4, d5) -> (d2, d3, d5, d4)>
// CHECK-DAG: #[[OUT:.*]] = affine_map<(d0, d1, d2, d3, d4, d5) -> (d0, d2, d3, d1)>
// CHECK-LABEL: @groups
// CHECK: tensor.expand_shape %{{.*}} : tensor<1x8x9xf32> into tensor<1x4x2x9xf32>
// CHECK: tensor.expand_shape %{{.*}} : tensor<12x2x3xf32> into tensor<4x3x2x3xf32>
// CHECK: linalg.generic {indexing_maps = [#[[IN]], #[[W]], #[[OUT]]]
// CHECK: tensor.collapse_shape %{{.*}} : tensor<1x4x3x7xf32> into tensor<1x12x7xf32>
func.func @groups(%x: tensor<1x8x9xf32>, %w: tensor<12x2x3xf32>) -> tensor<1x12x7xf32> {
  %y = nn.conv %x, %w {strides = array<i64: 1>, dilations = array<i64: 1>, pads = array<i64: 0, 0>, groups = 4}
      : (tensor<1x8x9xf32>, tensor<12x2x3xf32>) -> tensor<1x12x7xf32>
  return %y : tensor<1x12x7xf32>
}

// -----

// Narrow floats accumulate in f32.
// CHECK-LABEL: @narrow
// CHECK: linalg.generic {{.*}} outs(%{{.*}} : tensor<1x4x7xf32>)
// CHECK: arith.extf %{{.*}} : bf16 to f32
// CHECK: linalg.generic {{.*}} ins(%{{.*}} : tensor<1x4x7xf32>) outs(%{{.*}} : tensor<1x4x7xbf16>)
// CHECK: arith.truncf
func.func @narrow(%x: tensor<1x8x9xbf16>, %w: tensor<4x8x3xbf16>) -> tensor<1x4x7xbf16> {
  %y = nn.conv %x, %w {strides = array<i64: 1>, dilations = array<i64: 1>, pads = array<i64: 0, 0>}
      : (tensor<1x8x9xbf16>, tensor<4x8x3xbf16>) -> tensor<1x4x7xbf16>
  return %y : tensor<1x4x7xbf16>
}

// -----

// A padded 3x3 kernel keeps the size: no arithmetic on it. Sizes may not fit
// otherwise: the result is never negative.
// CHECK-LABEL: @dynamic
// CHECK-SAME: (%[[X:.*]]: tensor<1x8x?x?xf32>
// CHECK-DAG: %[[W:.*]] = tensor.dim %[[X]], %c3
// CHECK-DAG: %[[MAX:.*]] = affine.max {{.*}}%[[W]]
// CHECK-DAG: %[[H:.*]] = tensor.dim %[[X]], %c2
// CHECK: tensor.empty(%[[H]], %[[MAX]]) : tensor<1x4x?x?xf32>
func.func @dynamic(%x: tensor<1x8x?x?xf32>, %w: tensor<4x8x3x3xf32>) -> tensor<1x4x?x?xf32> {
  %y = nn.conv %x, %w {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 1, 0, 1, 0>}
      : (tensor<1x8x?x?xf32>, tensor<4x8x3x3xf32>) -> tensor<1x4x?x?xf32>
  return %y : tensor<1x4x?x?xf32>
}

// -----

// Taps that meet nothing but padding are told: the middle of three places meets all.
// CHECK-LABEL: @halo
// CHECK: linalg.generic
// CHECK-SAME: kern.halo = [#kern.halo<place = 1, tap = 4, stride = 1, dilation = 1, begin = 1, size = 3, places = 3, taps = 3>,
// CHECK-SAME:              #kern.halo<place = 2, tap = 5, stride = 2, dilation = 2, begin = 0, size = 8, places = 3, taps = 3>]
func.func @halo(%x: tensor<1x3x8x4xf32>, %w: tensor<8x4x3x3xf32>) -> tensor<1x3x3x8xf32> {
  %y = nn.conv %x, %w {strides = array<i64: 1, 2>, dilations = array<i64: 1, 2>, pads = array<i64: 1, 0, 1, 1>, channels_last}
      : (tensor<1x3x8x4xf32>, tensor<8x4x3x3xf32>) -> tensor<1x3x3x8xf32>
  return %y : tensor<1x3x3x8xf32>
}

// CHECK-LABEL: @no_halo
// CHECK-NOT: kern.halo
func.func @no_halo(%x: tensor<1x8x9xf32>, %w: tensor<4x8x3xf32>) -> tensor<1x4x7xf32> {
  %y = nn.conv %x, %w {strides = array<i64: 1>, dilations = array<i64: 1>, pads = array<i64: 0, 0>}
      : (tensor<1x8x9xf32>, tensor<4x8x3xf32>) -> tensor<1x4x7xf32>
  return %y : tensor<1x4x7xf32>
}
