// Element-wise ops that follow each other become one; the contraction stays by itself.
// RUN: nacre-opt %s --fuse-elementwise | FileCheck %s

#map = affine_map<(d0, d1, d2) -> (d0, d2)>
#map1 = affine_map<(d0, d1, d2) -> (d2, d1)>
#map2 = affine_map<(d0, d1, d2) -> (d0, d1)>
#map3 = affine_map<(d0, d1) -> (d0, d1)>
#map4 = affine_map<(d0, d1) -> (d1)>

// CHECK: linalg.fill
// CHECK: linalg.generic
// CHECK-SAME: "reduction"
// CHECK: linalg.generic
// CHECK-SAME: ["parallel", "parallel"]
// CHECK: arith.addf
// CHECK: arith.select
// CHECK-NOT: linalg.generic
kern.func @k(%arg0: tensor<256x512xf32>, %arg1: tensor<512x256xf32>, %arg2: tensor<256xf32>, %arg3: tensor<256x256xf32>) -> tensor<256x256xf32> {
  %cst = arith.constant 0.000000e+00 : f32
  %0 = tensor.empty() : tensor<256x256xf32>
  %1 = linalg.fill ins(%cst : f32) outs(%0 : tensor<256x256xf32>) -> tensor<256x256xf32>
  %2 = linalg.generic {indexing_maps = [#map, #map1, #map2], iterator_types = ["parallel", "parallel", "reduction"]} ins(%arg0, %arg1 : tensor<256x512xf32>, tensor<512x256xf32>) outs(%1 : tensor<256x256xf32>) {
  ^bb0(%in: f32, %in_0: f32, %out: f32):
    %7 = arith.mulf %in, %in_0 : f32
    %8 = arith.addf %out, %7 : f32
    linalg.yield %8 : f32
  } -> tensor<256x256xf32>
  %3 = tensor.empty() : tensor<256x256xf32>
  %4 = linalg.generic {indexing_maps = [#map3, #map4, #map3], iterator_types = ["parallel", "parallel"]} ins(%2, %arg2 : tensor<256x256xf32>, tensor<256xf32>) outs(%3 : tensor<256x256xf32>) {
  ^bb0(%in: f32, %in_0: f32, %out: f32):
    %7 = arith.addf %in, %in_0 : f32
    linalg.yield %7 : f32
  } -> tensor<256x256xf32>
  %5 = tensor.empty() : tensor<256x256xf32>
  %6 = linalg.generic {indexing_maps = [#map3, #map3], iterator_types = ["parallel", "parallel"]} ins(%4 : tensor<256x256xf32>) outs(%5 : tensor<256x256xf32>) {
  ^bb0(%in: f32, %out: f32):
    %cst_0 = arith.constant 0.000000e+00 : f32
    %7 = arith.cmpf olt, %in, %cst_0 : f32
    %8 = arith.select %7, %cst_0, %in : f32
    linalg.yield %8 : f32
  } -> tensor<256x256xf32>
  kern.return %6 : tensor<256x256xf32>
}

// A result that another is computed from is one of the op that both become.
// CHECK-LABEL: kern.func @update
// CHECK: %[[BOTH:.*]]:2 = linalg.generic {{.*}} ins(%arg2, %arg0, %arg1
// CHECK: %[[STATE:.*]] = arith.addf
// CHECK: %[[NEW:.*]] = arith.subf %{{.*}}, %[[STATE]]
// CHECK: linalg.yield %[[STATE]], %[[NEW]]
// CHECK-NOT: linalg.generic
// CHECK: kern.return %[[BOTH]]#1, %[[BOTH]]#0
kern.func @update(%arg0: tensor<256xf32>, %arg1: tensor<256xf32>, %arg2: tensor<256xf32>, %arg3: tensor<256xf32>, %arg4: tensor<256xf32>) -> (tensor<256xf32>, tensor<256xf32>) {
  %0 = tensor.empty() : tensor<256xf32>
  %1 = linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0)>], iterator_types = ["parallel"]} ins(%arg0, %arg1 : tensor<256xf32>, tensor<256xf32>) outs(%0 : tensor<256xf32>) {
  ^bb0(%in: f32, %in_0: f32, %out: f32):
    %3 = arith.addf %in, %in_0 : f32
    linalg.yield %3 : f32
  } -> tensor<256xf32>
  %2 = linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0)>], iterator_types = ["parallel"]} ins(%arg2, %1 : tensor<256xf32>, tensor<256xf32>) outs(%0 : tensor<256xf32>) {
  ^bb0(%in: f32, %in_0: f32, %out: f32):
    %3 = arith.subf %in, %in_0 : f32
    linalg.yield %3 : f32
  } -> tensor<256xf32>
  kern.return %2, %1 : tensor<256xf32>, tensor<256xf32>
}

// What reads a result with dimensions collapsed runs over these itself.
// CHECK-LABEL: kern.func @collapsed
// CHECK: %[[X:.*]] = tensor.expand_shape %arg1 {{.*}} into tensor<4x2x8xf32>
// CHECK: %[[BOTH:.*]] = linalg.generic
// CHECK-SAME: tensor<4x2x8xf32>)
// CHECK: arith.negf
// CHECK: arith.addf
// CHECK-NOT: linalg.generic
// CHECK: %[[R:.*]] = tensor.collapse_shape %[[BOTH]] {{.*}} into tensor<8x8xf32>
// CHECK: kern.return %[[R]]
kern.func @collapsed(%arg0: tensor<4x8xf32>, %arg1: tensor<8x8xf32>, %arg2: tensor<8x8xf32>) -> tensor<8x8xf32> {
  %0 = tensor.empty() : tensor<4x2x8xf32>
  %1 = linalg.generic {indexing_maps = [affine_map<(d0, d1, d2) -> (d0, d2)>, affine_map<(d0, d1, d2) -> (d0, d1, d2)>], iterator_types = ["parallel", "parallel", "parallel"]} ins(%arg0 : tensor<4x8xf32>) outs(%0 : tensor<4x2x8xf32>) {
  ^bb0(%in: f32, %out: f32):
    %4 = arith.negf %in : f32
    linalg.yield %4 : f32
  } -> tensor<4x2x8xf32>
  %2 = tensor.collapse_shape %1 [[0, 1], [2]] : tensor<4x2x8xf32> into tensor<8x8xf32>
  %3 = tensor.empty() : tensor<8x8xf32>
  %5 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%2, %arg1 : tensor<8x8xf32>, tensor<8x8xf32>) outs(%3 : tensor<8x8xf32>) {
  ^bb0(%in: f32, %in_0: f32, %out: f32):
    %6 = arith.addf %in, %in_0 : f32
    linalg.yield %6 : f32
  } -> tensor<8x8xf32>
  kern.return %5 : tensor<8x8xf32>
}

// What is rounded and then compared with a constant is compared before it is rounded: bf16 is compared in f32.
// CHECK-LABEL: kern.func @round_last
// CHECK: %[[SUM:.*]] = arith.addf %{{.*}}, %{{.*}} : f32
// CHECK: %[[LESS:.*]] = arith.cmpf olt, %[[SUM]], %[[ZERO:.*]] : f32
// CHECK: %[[CHOSEN:.*]] = arith.select %[[LESS]], %[[ZERO]], %[[SUM]] : f32
// CHECK: %[[ROUNDED:.*]] = arith.truncf %[[CHOSEN]] : f32 to bf16
// CHECK: linalg.yield %[[ROUNDED]]
// Not where what is chosen is something else.
// CHECK-LABEL: kern.func @other_choice
// CHECK: arith.truncf
// CHECK: arith.cmpf olt, %{{.*}}, %{{.*}} : bf16
#id1 = affine_map<(i) -> (i)>
kern.func @round_last(%a: tensor<8xf32>, %b: tensor<8xf32>, %out: tensor<8xbf16>) -> tensor<8xbf16> {
  %zero = arith.constant 0.0 : bf16
  %0 = linalg.generic {indexing_maps = [#id1, #id1, #id1], iterator_types = ["parallel"]}
      ins(%a, %b : tensor<8xf32>, tensor<8xf32>) outs(%out : tensor<8xbf16>) {
  ^bb0(%x: f32, %y: f32, %o: bf16):
    %s = arith.addf %x, %y : f32
    %t = arith.truncf %s : f32 to bf16
    %c = arith.cmpf olt, %t, %zero : bf16
    %r = arith.select %c, %zero, %t : bf16
    linalg.yield %r : bf16
  } -> tensor<8xbf16>
  kern.return %0 : tensor<8xbf16>
}
kern.func @other_choice(%a: tensor<8xf32>, %b: tensor<8xbf16>, %out: tensor<8xbf16>) -> tensor<8xbf16> {
  %zero = arith.constant 0.0 : bf16
  %0 = linalg.generic {indexing_maps = [#id1, #id1, #id1], iterator_types = ["parallel"]}
      ins(%a, %b : tensor<8xf32>, tensor<8xbf16>) outs(%out : tensor<8xbf16>) {
  ^bb0(%x: f32, %y: bf16, %o: bf16):
    %t = arith.truncf %x : f32 to bf16
    %c = arith.cmpf olt, %t, %zero : bf16
    %r = arith.select %c, %y, %t : bf16
    linalg.yield %r : bf16
  } -> tensor<8xbf16>
  kern.return %0 : tensor<8xbf16>
}
