// RUN: nacre-opt %s -nn-to-linalg -canonicalize | FileCheck %s

// The input's elements stand 2 apart, 0 around them; the kernel is read backwards.
// CHECK-DAG: #[[IN:.*]] = affine_map<(d0, d1, d2, d3, d4) -> (d0, d4, d1 + d3)>
// CHECK-DAG: #[[W:.*]] = affine_map<(d0, d1, d2, d3, d4) -> (d2, d4, d3)>
// CHECK-LABEL: @stride_2
// CHECK-SAME: (%[[X:.*]]: tensor<1x4x5xf32>, %[[W0:.*]]: tensor<4x6x3xf32>)
// CHECK: %[[SPREAD:.*]] = linalg.generic {{.*}} outs(%{{.*}} : tensor<1x4x11xf32>)
// CHECK: scf.if
// CHECK: tensor.extract %[[X]]
// CHECK: %[[FLIPPED:.*]] = linalg.generic {{.*}} outs(%{{.*}} : tensor<6x4x3xf32>)
// CHECK: tensor.extract %[[W0]]
// CHECK: linalg.generic {indexing_maps = [#[[IN]], #[[W]], {{.*}} ins(%[[SPREAD]], %[[FLIPPED]]
func.func @stride_2(%x: tensor<1x4x5xf32>, %w: tensor<4x6x3xf32>) -> tensor<1x6x9xf32> {
  %y = nn.conv_transpose %x, %w {strides = array<i64: 2>, dilations = array<i64: 1>, pads = array<i64: 1, 1>, output_padding = array<i64: 0>}
      : (tensor<1x4x5xf32>, tensor<4x6x3xf32>) -> tensor<1x6x9xf32>
  return %y : tensor<1x6x9xf32>
}
