// RUN: nacre-opt %s --outline-parallel | FileCheck %s

// Buffers are captured whole, with what is known of them; the view and the
// constant are made again in the body.
// CHECK-LABEL: kern.func private @views.parallel0
// CHECK-SAME:    (%[[A:.*]]: memref<8x64xf32>, %[[D:.*]]: memref<8x64xf32> {llvm.noalias}, %[[B:.*]]: index, %[[E:.*]]: index)
// CHECK:         %[[C1:.*]] = arith.constant 1 : index
// CHECK:         %[[V:.*]] = memref.subview %[[A]][4, 0] [4, 64] [1, 1]
// CHECK:         scf.for %[[I:.*]] = %[[B]] to %[[E]] step %[[C1]]
// CHECK:           memref.load %[[V]]
// CHECK:           memref.store %{{.*}}, %[[D]]
// CHECK:         kern.return
// CHECK-LABEL: kern.func @views
// CHECK-SAME:    (%[[A:.*]]: memref<8x64xf32>, %[[D:.*]]: memref<8x64xf32> {llvm.noalias})
// CHECK:         %[[C4:.*]] = arith.constant 4 : index
// CHECK:         rt.launch @views.parallel0(%[[A]], %[[D]] : memref<8x64xf32>, memref<8x64xf32>) to %[[C4]] grain 2
// CHECK-NOT:     rt.parallel
kern.func @views(%a: memref<8x64xf32>, %d: memref<8x64xf32> {llvm.noalias}) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %v = memref.subview %a[4, 0] [4, 64] [1, 1] : memref<8x64xf32> to memref<4x64xf32, strided<[64, 1], offset: 256>>
  rt.parallel (%b, %e) to %c4 grain 2 {
    scf.for %i = %b to %e step %c1 {
      %x = memref.load %v[%i, %c0] : memref<4x64xf32, strided<[64, 1], offset: 256>>
      memref.store %x, %d[%i, %c0] : memref<8x64xf32>
    }
  }
  kern.return
}

// A loop in a loop, and a value that is not recomputed.
// CHECK-LABEL: kern.func private @nested.parallel1
// CHECK-SAME:    (%{{.*}}: memref<?xf32>, %{{.*}}: f32, %{{.*}}: index, %{{.*}}: index)
// CHECK-LABEL: kern.func private @nested.parallel0
// CHECK-SAME:    (%[[D:.*]]: memref<?xf32>, %[[X:.*]]: f32, %{{.*}}: index, %{{.*}}: index)
// CHECK:         %[[N:.*]] = memref.dim %[[D]]
// CHECK:         rt.launch @nested.parallel1(%[[D]], %[[X]] : memref<?xf32>, f32) to %[[N]] grain 1
// CHECK-LABEL: kern.func @nested
kern.func @nested(%d: memref<?xf32>, %s: memref<f32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %n = memref.dim %d, %c0 : memref<?xf32>
  %x = memref.load %s[] : memref<f32>
  rt.parallel (%b, %e) to %c1 grain 1 {
    rt.parallel (%b2, %e2) to %n grain 1 {
      memref.store %x, %d[%b2] : memref<?xf32>
    }
  }
  kern.return
}
