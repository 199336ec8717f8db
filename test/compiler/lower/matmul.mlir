// RUN: nacre-opt %s -nn-to-linalg -split-input-file | FileCheck %s

// Transposition and the stretched batch are in the maps.
// CHECK-DAG: #[[A:.*]] = affine_map<(d0, d1, d2, d3, d4) -> (d0, 0, d2, d4)>
// CHECK-DAG: #[[B:.*]] = affine_map<(d0, d1, d2, d3, d4) -> (d1, d3, d4)>
// CHECK-DAG: #[[Y:.*]] = affine_map<(d0, d1, d2, d3, d4) -> (d0, d1, d2, d3)>
// CHECK-LABEL: @batched
// CHECK: linalg.generic {indexing_maps = [#[[A]], #[[B]], #[[Y]]]
// CHECK-SAME: ["parallel", "parallel", "parallel", "parallel", "reduction"]
func.func @batched(%a: tensor<?x1x3x4xf32>, %b: tensor<5x7x4xf32>) -> tensor<?x5x3x7xf32> {
  %y = nn.matmul %a, %b {transpose_rhs} : (tensor<?x1x3x4xf32>, tensor<5x7x4xf32>) -> tensor<?x5x3x7xf32>
  return %y : tensor<?x5x3x7xf32>
}

// -----

// CHECK-LABEL: @narrow
// CHECK: linalg.generic {{.*}} outs(%{{.*}} : tensor<3x7xf32>)
// CHECK: arith.extf
// CHECK: linalg.generic {{.*}} outs(%{{.*}} : tensor<3x7xf16>)
// CHECK: arith.truncf
func.func @narrow(%a: tensor<3x4xf16>, %b: tensor<4x7xf16>) -> tensor<3x7xf16> {
  %y = nn.matmul %a, %b : (tensor<3x4xf16>, tensor<4x7xf16>) -> tensor<3x7xf16>
  return %y : tensor<3x7xf16>
}
