// The chain of inits starts at the destination; nothing else is allocated.
// RUN: nacre-opt %s --pass-pipeline='builtin.module(kern.func(forward-destinations,canonicalize))' | FileCheck %s

#map = affine_map<(d0, d1, d2) -> (d0, d2)>
#map1 = affine_map<(d0, d1, d2) -> (d2, d1)>
#map2 = affine_map<(d0, d1, d2) -> (d0, d1)>
#map3 = affine_map<(d0, d1) -> (d0, d1)>
#map4 = affine_map<(d0, d1) -> (d1)>

// CHECK-NOT: tensor.empty
// CHECK: %[[FILL:.*]] = linalg.fill {{.*}} outs(%arg3
// CHECK: %[[PRODUCT:.*]] = linalg.generic {{.*}} outs(%[[FILL]]
// CHECK: linalg.generic {{.*}} outs(%[[PRODUCT]]
// CHECK-NOT: tensor.empty
kern.func @k(%arg0: tensor<256x512xf32>, %arg1: tensor<512x256xf32>, %arg2: tensor<256xf32>, %arg3: tensor<256x256xf32>) -> tensor<256x256xf32> {
  %cst = arith.constant 0.000000e+00 : f32
  %0 = tensor.empty() : tensor<256x256xf32>
  %1 = linalg.fill ins(%cst : f32) outs(%0 : tensor<256x256xf32>) -> tensor<256x256xf32>
  %2 = linalg.generic {indexing_maps = [#map, #map1, #map2], iterator_types = ["parallel", "parallel", "reduction"]} ins(%arg0, %arg1 : tensor<256x512xf32>, tensor<512x256xf32>) outs(%1 : tensor<256x256xf32>) {
  ^bb0(%in: f32, %in_0: f32, %out: f32):
    %5 = arith.mulf %in, %in_0 : f32
    %6 = arith.addf %out, %5 : f32
    linalg.yield %6 : f32
  } -> tensor<256x256xf32>
  %3 = tensor.empty() : tensor<256x256xf32>
  %4 = linalg.generic {indexing_maps = [#map3, #map4, #map3], iterator_types = ["parallel", "parallel"]} ins(%2, %arg2 : tensor<256x256xf32>, tensor<256xf32>) outs(%3 : tensor<256x256xf32>) {
  ^bb0(%in: f32, %in_0: f32, %out: f32):
    %5 = arith.addf %in, %in_0 : f32
    %6 = arith.cmpf olt, %5, %cst : f32
    %7 = arith.select %6, %cst, %5 : f32
    linalg.yield %7 : f32
  } -> tensor<256x256xf32>
  kern.return %4 : tensor<256x256xf32>
}

// Each result is computed over its own old value.
// CHECK-LABEL: kern.func @update
// CHECK: linalg.generic {{.*}} ins(%arg0 : tensor<256xf32>) outs(%arg1, %arg2 : tensor<256xf32>, tensor<256xf32>)
// CHECK-NEXT: ^bb0(%[[GRADIENT:.*]]: f32, %[[STATE:.*]]: f32, %[[OLD:.*]]: f32):
// CHECK-NEXT: %[[NEXT:.*]] = arith.addf %[[GRADIENT]], %[[STATE]]
// CHECK-NEXT: arith.subf %[[OLD]], %[[NEXT]]
kern.func @update(%arg0: tensor<256xf32>, %arg1: tensor<256xf32>, %arg2: tensor<256xf32>) -> (tensor<256xf32>, tensor<256xf32>) {
  %0 = tensor.empty() : tensor<256xf32>
  %1:2 = linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0)>], iterator_types = ["parallel"]} ins(%arg0, %arg1, %arg2 : tensor<256xf32>, tensor<256xf32>, tensor<256xf32>) outs(%0, %0 : tensor<256xf32>, tensor<256xf32>) {
  ^bb0(%in: f32, %in_0: f32, %in_1: f32, %out: f32, %out_0: f32):
    %3 = arith.addf %in, %in_0 : f32
    %4 = arith.subf %in_1, %3 : f32
    linalg.yield %3, %4 : f32, f32
  } -> (tensor<256xf32>, tensor<256xf32>)
  kern.return %1#0, %1#1 : tensor<256xf32>, tensor<256xf32>
}

// What a loop changes piece by piece is the destination from the start.
// CHECK-LABEL: kern.func @loop
// CHECK: %[[COPY:.*]] = bufferization.materialize_in_destination %arg0 in %arg2
// CHECK-NEXT: scf.for {{.*}} iter_args(%{{.*}} = %[[COPY]])
kern.func @loop(%arg0: tensor<8x256xf32>, %arg1: tensor<256xf32>, %arg2: tensor<8x256xf32>) -> tensor<8x256xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c8 = arith.constant 8 : index
  %0 = tensor.empty() : tensor<8x256xf32>
  %1 = bufferization.materialize_in_destination %arg0 in %0 : (tensor<8x256xf32>, tensor<8x256xf32>) -> tensor<8x256xf32>
  %2 = scf.for %i = %c0 to %c8 step %c1 iter_args(%all = %1) -> (tensor<8x256xf32>) {
    %row = tensor.insert_slice %arg1 into %all[%i, 0] [1, 256] [1, 1] : tensor<256xf32> into tensor<8x256xf32>
    scf.yield %row : tensor<8x256xf32>
  }
  kern.return %2 : tensor<8x256xf32>
}

// A result whose dimensions are collapsed at the end is computed into the destination with
// these dimensions apart.
// CHECK-LABEL: kern.func @collapsed
// CHECK: %[[APART:.*]] = tensor.expand_shape %arg1 {{.*}} into tensor<4x2x8xf32>
// CHECK: linalg.generic {{.*}} outs(%[[APART]] : tensor<4x2x8xf32>)
// CHECK: tensor.collapse_shape
kern.func @collapsed(%arg0: tensor<4x8xf32>, %arg1: tensor<8x8xf32>) -> tensor<8x8xf32> {
  %0 = tensor.empty() : tensor<4x2x8xf32>
  %1 = linalg.generic {indexing_maps = [affine_map<(d0, d1, d2) -> (d0, d2)>, affine_map<(d0, d1, d2) -> (d0, d1, d2)>], iterator_types = ["parallel", "parallel", "parallel"]} ins(%arg0 : tensor<4x8xf32>) outs(%0 : tensor<4x2x8xf32>) {
  ^bb0(%in: f32, %out: f32):
    linalg.yield %in : f32
  } -> tensor<4x2x8xf32>
  %2 = tensor.collapse_shape %1 [[0, 1], [2]] : tensor<4x2x8xf32> into tensor<8x8xf32>
  kern.return %2 : tensor<8x8xf32>
}

// Parts are put into the destination, by threads too.
// CHECK-LABEL: kern.func @parts
// CHECK: tensor.insert_slice %arg0 into %arg2
// CHECK-LABEL: kern.func @slabs
// CHECK: scf.forall {{.*}} shared_outs(%{{.*}} = %arg1)
kern.func @parts(%arg0: tensor<2x8xf32>, %arg1: tensor<2x8xf32>, %arg2: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %0 = tensor.empty() : tensor<4x8xf32>
  %1 = tensor.insert_slice %arg0 into %0[0, 0] [2, 8] [1, 1] : tensor<2x8xf32> into tensor<4x8xf32>
  %2 = tensor.insert_slice %arg1 into %1[2, 0] [2, 8] [1, 1] : tensor<2x8xf32> into tensor<4x8xf32>
  kern.return %2 : tensor<4x8xf32>
}
kern.func @slabs(%arg0: tensor<8xf32>, %arg1: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %0 = tensor.empty() : tensor<4x8xf32>
  %1 = scf.forall (%i) in (4) shared_outs(%all = %0) -> (tensor<4x8xf32>) {
    scf.forall.in_parallel {
      tensor.parallel_insert_slice %arg0 into %all[%i, 0] [1, 8] [1, 1] : tensor<8xf32> into tensor<4x8xf32>
    }
  }
  kern.return %1 : tensor<4x8xf32>
}

// Two results are made of one tensor, which can be computed in the place of neither.
// CHECK-LABEL: kern.func @two
// CHECK: %[[FILL:.*]] = linalg.fill ins(%{{.*}}) outs(%{{[0-9]+}} :
// CHECK: kern.return
kern.func @two(%arg0: tensor<1xi64>, %arg1: tensor<1xi64>) -> (tensor<1xi64>, tensor<1xi64>) {
  %c0 = arith.constant 0 : index
  %c0_i64 = arith.constant 0 : i64
  %c1_i64 = arith.constant 1 : i64
  %0 = tensor.empty() : tensor<1xi64>
  %1 = linalg.fill ins(%c0_i64 : i64) outs(%0 : tensor<1xi64>) -> tensor<1xi64>
  %2 = tensor.insert %c0_i64 into %1[%c0] : tensor<1xi64>
  %3 = tensor.insert %c1_i64 into %1[%c0] : tensor<1xi64>
  kern.return %2, %3 : tensor<1xi64>, tensor<1xi64>
}

// A part whose place is computed later than its destination is there cannot be cut out first.
// CHECK-LABEL: kern.func @placed
// CHECK-NOT: tensor.extract_slice
// CHECK: tensor.insert_slice %{{.*}} into %arg1[%{{.*}}, 0]
kern.func @placed(%arg0: tensor<1xi64>, %arg1: tensor<4x1xf16>) -> tensor<4x1xf16> {
  %cst = arith.constant 1.0 : f16
  %c0 = arith.constant 0 : index
  %extracted = tensor.extract %arg0[%c0] : tensor<1xi64>
  %place = arith.index_cast %extracted : i64 to index
  %0 = tensor.empty() : tensor<1xf16>
  %1 = linalg.fill ins(%cst : f16) outs(%0 : tensor<1xf16>) -> tensor<1xf16>
  %2 = tensor.insert_slice %1 into %arg1[%place, 0] [1, 1] [1, 1] : tensor<1xf16> into tensor<4x1xf16>
  kern.return %2 : tensor<4x1xf16>
}
