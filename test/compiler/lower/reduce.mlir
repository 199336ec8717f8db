// RUN: nacre-opt %s -nn-to-linalg -split-input-file | FileCheck %s

// One reducing op; kept dimensions of size 1 are loops of their own.
// CHECK-DAG: #[[IN:.*]] = affine_map<(d0, d1, d2) -> (d0, d1)>
// CHECK-DAG: #[[OUT:.*]] = affine_map<(d0, d1, d2) -> (d0, d2)>
// CHECK-LABEL: @keepdims
func.func @keepdims(%x: tensor<4x?xf32>) -> tensor<4x1xf32> {
  // CHECK: %[[LOW:.*]] = arith.constant 0xFF800000 : f32
  // CHECK: linalg.fill ins(%[[LOW]] : f32) outs(%{{.*}} : tensor<4x1xf32>)
  // CHECK: linalg.generic {indexing_maps = [#[[IN]], #[[OUT]]], iterator_types = ["parallel", "reduction", "parallel"]}
  // CHECK: %[[M:.*]] = arith.maximumf
  // CHECK-NEXT: linalg.yield %[[M]]
  %0 = nn.reduce max, %x {axes = array<i64: 1>, keepdims} : (tensor<4x?xf32>) -> tensor<4x1xf32>
  return %0 : tensor<4x1xf32>
}

// -----

// A mean of bf16 is summed, divided and only then rounded.
// CHECK-LABEL: @mean
func.func @mean(%x: tensor<4x8xbf16>) -> tensor<4xbf16> {
  // CHECK: %[[S:.*]] = linalg.generic {{.*}} ins(%{{.*}} : tensor<4x8xbf16>) outs(%{{.*}} : tensor<4xf32>)
  // CHECK: arith.addf %{{.*}} : f32
  // CHECK: linalg.generic {{.*}} ins(%[[S]] : tensor<4xf32>) outs(%{{.*}} : tensor<4xbf16>)
  // CHECK: %[[N:.*]] = arith.constant 8.0
  // CHECK: arith.divf %{{.*}}, %[[N]] : f32
  // CHECK: arith.truncf %{{.*}} : f32 to bf16
  %0 = nn.reduce mean, %x {axes = array<i64: 1>} : (tensor<4x8xbf16>) -> tensor<4xbf16>
  return %0 : tensor<4xbf16>
}

// -----

// Booleans: «any» is the larger byte.
// CHECK-LABEL: @any
func.func @any(%x: tensor<4x8xi1>) -> tensor<4xi1> {
  // CHECK: arith.maxui %{{.*}}, %{{.*}} : i8
  %0 = nn.reduce max, %x {axes = array<i64: 1>} : (tensor<4x8xi1>) -> tensor<4xi1>
  return %0 : tensor<4xi1>
}

// -----

// CHECK-LABEL: @argmax
func.func @argmax(%x: tensor<4x8xf32>) -> tensor<4xi64> {
  // CHECK: %[[M:.*]] = linalg.generic
  // CHECK: arith.maximumf
  // CHECK: linalg.generic {{.*}} ins(%{{.*}}, %[[M]] : tensor<4x8xf32>, tensor<4xf32>)
  // CHECK: linalg.index 1
  // CHECK: arith.minsi
  %0 = nn.arg_reduce max, %x {axis = 1 : i64} : (tensor<4x8xf32>) -> tensor<4xi64>
  return %0 : tensor<4xi64>
}

// -----

// CHECK-LABEL: @cumsum
func.func @cumsum(%x: tensor<4x?xf32>) -> tensor<4x?xf32> {
  // CHECK: scf.forall (%[[I:.*]]) in (4)
  // CHECK: scf.for %[[J:[a-z0-9]+]] =
  // CHECK: tensor.extract %{{.*}}[%[[I]], %[[J]]]
  // CHECK: tensor.parallel_insert_slice
  %0 = nn.cumulative sum, %x {axis = 1 : i64} : (tensor<4x?xf32>) -> tensor<4x?xf32>
  return %0 : tensor<4x?xf32>
}

// -----

// Marked dimensions: windows as long as the dimension, else of size 1; a mean's
// divisor is their product.
// CHECK-DAG: #[[IN:.*]] = affine_map<(d0, d1, d2, d3) -> (d0 + d2, d1 + d3)>
// CHECK-DAG: #[[WINDOW:.*]] = affine_map<(d0, d1, d2, d3) -> (d2, d3)>
// CHECK-DAG: #[[OUT:.*]] = affine_map<(d0, d1, d2, d3) -> (d0, d1)>
// CHECK-LABEL: @marked
func.func @marked(%x: tensor<4x?xf16>, %m: i64, %n: i64) -> tensor<?x?xf16> {
  // CHECK: %[[R0:.*]] = arith.select %{{.*}}, %c4{{.*}}, %c1
  // CHECK: %[[W0:.*]] = arith.select %{{.*}}, %c1{{.*}}, %c4
  // CHECK: tensor.empty(%[[W0]], %{{.*}}) : tensor<?x?xi8>
  // CHECK: linalg.generic {indexing_maps = [#[[IN]], #[[WINDOW]], #[[OUT]]], iterator_types = ["parallel", "parallel", "reduction", "reduction"]}
  // CHECK: arith.addf {{.*}} : f32
  // CHECK: linalg.generic
  // CHECK: arith.divf
  // CHECK: arith.truncf
  %marks = tensor.from_elements %m, %n : tensor<2xi64>
  %0 = nn.reduce_marked mean, %x by %marks : (tensor<4x?xf16>, tensor<2xi64>) -> tensor<?x?xf16>
  return %0 : tensor<?x?xf16>
}
