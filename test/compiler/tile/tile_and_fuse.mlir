// The kernel's last op is tiled as its attribute says, and what it reads is computed tile by tile.
// RUN: nacre-opt %s --pass-pipeline='builtin.module(kern.func(tile-and-fuse,canonicalize,cse))' | FileCheck %s

#map = affine_map<(d0, d1, d2) -> (d0, d2)>
#map1 = affine_map<(d0, d1, d2) -> (d2, d1)>
#map2 = affine_map<(d0, d1, d2) -> (d0, d1)>
#map3 = affine_map<(d0, d1) -> (d1)>
#map4 = affine_map<(d0, d1) -> (d0, d1)>

// CHECK-LABEL: kern.func @k
// CHECK: scf.forall {{.*}} to (256, 256) step (128, 64)
// CHECK: %[[FILL:.*]] = linalg.fill {{.*}} -> tensor<128x64xf32>
// CHECK: %[[PRODUCT:.*]] = linalg.generic {{.*}} outs(%[[FILL]] : tensor<128x64xf32>)
// CHECK: linalg.generic {{.*}} outs(%[[PRODUCT]] : tensor<128x64xf32>)
// CHECK: tensor.parallel_insert_slice
// CHECK-NOT: linalg
kern.func @k(%arg0: tensor<256x512xf32>, %arg1: tensor<512x256xf32>, %arg2: tensor<256xf32>, %arg3: tensor<256x256xf32>) -> tensor<256x256xf32> attributes {tiling = #kern.tiling<[128, 64]>} {
  %cst = arith.constant 0.000000e+00 : f32
  %0 = linalg.fill ins(%cst : f32) outs(%arg3 : tensor<256x256xf32>) -> tensor<256x256xf32>
  %1 = linalg.generic {indexing_maps = [#map, #map1, #map2], iterator_types = ["parallel", "parallel", "reduction"]} ins(%arg0, %arg1 : tensor<256x512xf32>, tensor<512x256xf32>) outs(%0 : tensor<256x256xf32>) {
  ^bb0(%in: f32, %in_0: f32, %out: f32):
    %3 = arith.mulf %in, %in_0 : f32
    %4 = arith.addf %out, %3 : f32
    linalg.yield %4 : f32
  } -> tensor<256x256xf32>
  %2 = linalg.generic {indexing_maps = [#map3, #map4], iterator_types = ["parallel", "parallel"]} ins(%arg2 : tensor<256xf32>) outs(%1 : tensor<256x256xf32>) {
  ^bb0(%in: f32, %out: f32):
    %3 = arith.addf %out, %in : f32
    %4 = arith.cmpf olt, %3, %cst : f32
    %5 = arith.select %4, %cst, %3 : f32
    linalg.yield %5 : f32
  } -> tensor<256x256xf32>
  kern.return %2 : tensor<256x256xf32>
}

#all = affine_map<(m, n) -> (m, n)>
#row = affine_map<(m, n) -> (m)>

// What two ops of a tile read, the sum of the exponentials and the quotient, is computed
// once in it.
// CHECK-LABEL: kern.func @two_consumers
// CHECK: scf.forall {{.*}} shared_outs(%[[D:.+]] = %arg1)
// CHECK: %[[TILE:.+]] = tensor.extract_slice %[[D]]
// CHECK: %[[E:.+]] = linalg.generic {{.*}} outs(%[[TILE]]
// CHECK: math.exp
// CHECK-NOT: math.exp
// CHECK: %[[Q:.+]] = linalg.generic {{.*}} outs(%[[E]]
// CHECK: arith.divf
// CHECK-NOT: linalg.generic
// CHECK: tensor.parallel_insert_slice %[[Q]] into %[[D]]
kern.func @two_consumers(%x: tensor<64x128xf32>, %d: tensor<64x128xf32>) -> tensor<64x128xf32>
    attributes {tiling = #kern.tiling<[16, 0]>} {
  %zero = arith.constant 0.0 : f32
  %e = linalg.generic {indexing_maps = [#all, #all], iterator_types = ["parallel", "parallel"]}
      ins(%x : tensor<64x128xf32>) outs(%d : tensor<64x128xf32>) {
  ^bb0(%a: f32, %b: f32):
    %1 = math.exp %a : f32
    linalg.yield %1 : f32
  } -> tensor<64x128xf32>
  %empty = tensor.empty() : tensor<64xf32>
  %f = linalg.fill ins(%zero : f32) outs(%empty : tensor<64xf32>) -> tensor<64xf32>
  %s = linalg.generic {indexing_maps = [#all, #row], iterator_types = ["parallel", "reduction"]}
      ins(%e : tensor<64x128xf32>) outs(%f : tensor<64xf32>) {
  ^bb0(%a: f32, %b: f32):
    %1 = arith.addf %b, %a : f32
    linalg.yield %1 : f32
  } -> tensor<64xf32>
  %q = linalg.generic {indexing_maps = [#row, #all], iterator_types = ["parallel", "parallel"]}
      ins(%s : tensor<64xf32>) outs(%e : tensor<64x128xf32>) {
  ^bb0(%a: f32, %b: f32):
    %1 = arith.divf %b, %a : f32
    linalg.yield %1 : f32
  } -> tensor<64x128xf32>
  kern.return %q : tensor<64x128xf32>
}
