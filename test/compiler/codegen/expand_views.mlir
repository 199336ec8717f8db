// RUN: nacre-opt %s --expand-views | FileCheck %s

// A dimension split into two of dynamic size, which upstream's pass cannot.
// CHECK-LABEL: func @split
// CHECK-SAME: (%[[A:.*]]: memref<?xf32>, %[[M:.*]]: index, %[[N:.*]]: index)
// CHECK: %[[BASE:.*]], %{{.*}}, %{{.*}}, %[[S:.*]] = memref.extract_strided_metadata %[[A]]
// CHECK: %[[T:.*]] = arith.muli %[[S]], %[[N]]
// CHECK: memref.reinterpret_cast %[[BASE]] to offset: [0], sizes: [%[[M]], %[[N]]], strides: [%[[T]], 1]
// CHECK-NOT: expand_shape
func.func @split(%a: memref<?xf32>, %m: index, %n: index) -> memref<?x?xf32> {
  %v = memref.expand_shape %a [[0, 1]] output_shape [%m, %n] : memref<?xf32> into memref<?x?xf32>
  return %v : memref<?x?xf32>
}

// Strides of the source are kept.
// CHECK-LABEL: func @strided
// CHECK: memref.reinterpret_cast %{{.*}} to offset: [%{{.*}}], sizes: [3, 4, %{{.*}}], strides: [%{{.*}}, %{{.*}}, 2]
func.func @strided(%a: memref<12x?xf32, strided<[?, 2], offset: ?>>, %n: index)
    -> memref<3x4x?xf32, strided<[?, ?, 2], offset: ?>> {
  %v = memref.expand_shape %a [[0, 1], [2]] output_shape [3, 4, %n]
      : memref<12x?xf32, strided<[?, 2], offset: ?>> into memref<3x4x?xf32, strided<[?, ?, 2], offset: ?>>
  return %v : memref<3x4x?xf32, strided<[?, ?, 2], offset: ?>>
}

// CHECK-LABEL: func @scalar
// CHECK: memref.reinterpret_cast %{{.*}} to offset: [0], sizes: [1, 1], strides: [1, 1]
func.func @scalar(%a: memref<f32>) -> memref<1x1xf32> {
  %v = memref.expand_shape %a [] output_shape [1, 1] : memref<f32> into memref<1x1xf32>
  return %v : memref<1x1xf32>
}
