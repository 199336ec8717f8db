// RUN: nacre-opt %s --pass-pipeline='builtin.module(kern.func(expand-winograd))' | FileCheck %s

// Two transforms of one tile of 6 x 6 places, 36 products, and two transforms back to 4 x 4.
// CHECK-LABEL: kern.func @k
// CHECK: %[[ROWS:.+]] = memref.alloc() : memref<6x6x16xf32>
// CHECK: %[[HALF:.+]] = memref.alloc() : memref<4x6x32xf32>
// CHECK: %[[V:.+]] = memref.alloc() : memref<6x6x1x2x3x16xf32>
// CHECK: %[[M:.+]] = memref.alloc() : memref<6x6x1x2x3x32xf32>
// CHECK: scf.for
// CHECK: scf.for
// CHECK: scf.for
// CHECK-COUNT-2: linalg.generic
// CHECK: linalg.generic {{.*}} ["parallel", "parallel", "parallel", "parallel", "reduction"]
// CHECK: scf.for
// CHECK: scf.for
// CHECK-COUNT-2: linalg.generic
// CHECK-NOT: kern.winograd
kern.func @k(%x: memref<1x10x14x16xf32>, %u: memref<6x6x1x16x32xf32>, %y: memref<1x8x12x32xf32>) {
  kern.winograd %x, %u into %y : (memref<1x10x14x16xf32>, memref<6x6x1x16x32xf32>, memref<1x8x12x32xf32>) -> ()
  kern.return
}

// 7 x 6 places in tiles of 2 x 2: the last rows begin at 5. The columns need no such step.
// CHECK-LABEL: kern.func @small
// CHECK: memref.alloc() : memref<4x4x16xf32>
// CHECK: memref.alloc() : memref<2x4x32xf32>
// CHECK: memref.alloc() : memref<4x4x1x4x3x16xf32>
// CHECK: %[[LAST:.+]] = arith.constant 5 : index
// CHECK: arith.minsi %{{.+}}, %[[LAST]]
// CHECK-NOT: arith.minsi
// CHECK: linalg.generic
kern.func @small(%x: memref<1x9x8x16xf32>, %u: memref<4x4x1x16x32xf32>, %y: memref<1x7x6x32xf32>) {
  kern.winograd %x, %u into %y : (memref<1x9x8x16xf32>, memref<4x4x1x16x32xf32>, memref<1x7x6x32xf32>) -> ()
  kern.return
}

// Three images, whose places are rows of one product; and images of an open number, one by one.
// CHECK-LABEL: kern.func @images
// CHECK: memref.alloc() : memref<6x6x3x1x1x16xf32>
// CHECK: linalg.generic {{.*}}"reduction"{{.*}} ins(%{{.+}}, %{{.+}} : memref<6x6x3x16xf32
// CHECK-LABEL: kern.func @open
// CHECK: %[[N:.+]] = memref.dim
// CHECK: scf.for %{{.+}} = %{{.+}} to %[[N]]
// CHECK: linalg.generic {{.*}}"reduction"{{.*}} ins(%{{.+}}, %{{.+}} : memref<6x6x1x16xf32
kern.func @images(%x: memref<3x6x6x16xf32>, %u: memref<6x6x1x16x32xf32>, %y: memref<3x4x4x32xf32>) {
  kern.winograd %x, %u into %y : (memref<3x6x6x16xf32>, memref<6x6x1x16x32xf32>, memref<3x4x4x32xf32>) -> ()
  kern.return
}
kern.func @open(%x: memref<?x6x6x16xf32>, %u: memref<6x6x1x16x32xf32>, %y: memref<?x4x4x32xf32>) {
  kern.winograd %x, %u into %y : (memref<?x6x6x16xf32>, memref<6x6x1x16x32xf32>, memref<?x4x4x32xf32>) -> ()
  kern.return
}
