// Tiles become chunks of a range on the session's threads.
// RUN: nacre-opt %s --pass-pipeline='builtin.module(kern.func(forall-to-parallel))' | FileCheck %s

#map = affine_map<(d0, d1, d2) -> (d0, d2)>
#map1 = affine_map<(d0, d1, d2) -> (d2, d1)>
#map2 = affine_map<(d0, d1, d2) -> (d0, d1)>
#map3 = affine_map<(d0, d1) -> (d1)>
#map4 = affine_map<(d0, d1) -> (d0, d1)>

// CHECK-NOT: scf.forall
// CHECK: rt.parallel (%[[BEGIN:.*]], %[[END:.*]]) to %{{.*}} grain
// CHECK-NEXT: scf.for %{{.*}} = %[[BEGIN]] to %[[END]]
// CHECK-NOT: scf.forall
kern.func @k(%arg0: memref<256x512xf32>, %arg1: memref<512x256xf32>, %arg2: memref<256xf32>, %arg3: memref<256x256xf32>) attributes {tiling = #kern.tiling<[128, 64]>} {
  %cst = arith.constant 0.000000e+00 : f32
  scf.forall (%arg4, %arg5) = (0, 0) to (256, 256) step (128, 64) {
    %subview = memref.subview %arg2[%arg5] [64] [1] : memref<256xf32> to memref<64xf32, strided<[1], offset: ?>>
    %subview_0 = memref.subview %arg0[%arg4, 0] [128, 512] [1, 1] : memref<256x512xf32> to memref<128x512xf32, strided<[512, 1], offset: ?>>
    %subview_1 = memref.subview %arg1[0, %arg5] [512, 64] [1, 1] : memref<512x256xf32> to memref<512x64xf32, strided<[256, 1], offset: ?>>
    %subview_2 = memref.subview %arg3[%arg4, %arg5] [128, 64] [1, 1] : memref<256x256xf32> to memref<128x64xf32, strided<[256, 1], offset: ?>>
    linalg.fill ins(%cst : f32) outs(%subview_2 : memref<128x64xf32, strided<[256, 1], offset: ?>>)
    linalg.generic {indexing_maps = [#map, #map1, #map2], iterator_types = ["parallel", "parallel", "reduction"]} ins(%subview_0, %subview_1 : memref<128x512xf32, strided<[512, 1], offset: ?>>, memref<512x64xf32, strided<[256, 1], offset: ?>>) outs(%subview_2 : memref<128x64xf32, strided<[256, 1], offset: ?>>) {
    ^bb0(%in: f32, %in_3: f32, %out: f32):
      %0 = arith.mulf %in, %in_3 : f32
      %1 = arith.addf %out, %0 : f32
      linalg.yield %1 : f32
    }
    linalg.generic {indexing_maps = [#map3, #map4], iterator_types = ["parallel", "parallel"]} ins(%subview : memref<64xf32, strided<[1], offset: ?>>) outs(%subview_2 : memref<128x64xf32, strided<[256, 1], offset: ?>>) {
    ^bb0(%in: f32, %out: f32):
      %0 = arith.addf %out, %in : f32
      %1 = arith.cmpf olt, %0, %cst : f32
      %2 = arith.select %1, %cst, %0 : f32
      linalg.yield %2 : f32
    }
  }
  kern.return
}
