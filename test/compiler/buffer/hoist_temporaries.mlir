// RUN: nacre-opt %s --hoist-temporaries --canonicalize | FileCheck %s

// CHECK-LABEL: func.func @main
// CHECK: %[[T:.*]] = memref.alloc() : memref<64x64xf32>
// CHECK: kern.call @k ins(%{{.*}}) outs(%{{.*}}, %[[T]]
func.func @main() {
  %n = rt.input 0 : memref<64xf32>
  %y = rt.output 0 () : memref<64xf32>
  kern.call @k ins(%n : memref<64xf32>) outs(%y : memref<64xf32>)
  return
}
// The kernel's temporary becomes an argument, the tile's a stack buffer outside the loop.
// CHECK: kern.func @k(%{{.*}}: memref<64xf32>, %{{.*}}: memref<64xf32>, %[[ARG:.*]]: memref<64x64xf32>)
// CHECK: rt.parallel
// CHECK: memref.alloca() {{.*}} : memref<8xf32>
// CHECK: scf.for
kern.func @k(%x: memref<64xf32>, %y: memref<64xf32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c8 = arith.constant 8 : index
  %v = arith.constant 0.0 : f32
  %t = memref.alloc() : memref<64x64xf32>
  memref.store %v, %t[%c0, %c0] : memref<64x64xf32>
  rt.parallel (%begin, %end) to %c8 grain 1 {
    scf.for %i = %begin to %end step %c1 {
      %u = memref.alloc() : memref<8xf32>
      memref.store %v, %u[%c0] : memref<8xf32>
      %w = memref.load %u[%c0] : memref<8xf32>
      memref.store %w, %y[%i] : memref<64xf32>
    }
  }
  kern.return
}

// Temporaries of a size that depends on the tile have their bound's layout; views of them and
// branches that hand them on have types that follow from it.
// CHECK-LABEL: kern.func @branches
// CHECK-DAG: memref.alloca() {{.*}} : memref<8x4xf32>
// CHECK-DAG: memref.alloca() {{.*}} : memref<8x4xf32>
// CHECK: %[[T:.*]] = scf.if {{.*}} -> (memref<?x?xf32, strided<[4, 1]>>)
// CHECK: memref.subview %[[T]][1, 0] [1, %{{.*}}] [1, 1] : memref<?x?xf32, strided<[4, 1]>> to memref<1x?xf32, strided<[4, 1], offset: 4>>
kern.func @branches(%y: memref<64xf32>, %p: i1) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c60 = arith.constant 60 : index
  %v = arith.constant 0.0 : f32
  rt.parallel (%begin, %end) to %c60 grain 1 {
    scf.for %i = %begin to %end step %c1 {
      %m = affine.min affine_map<(d0) -> (8, -d0 + 64)>(%i)
      %n = affine.min affine_map<(d0) -> (4, -d0 + 64)>(%i)
      %t = scf.if %p -> (memref<?x?xf32>) {
        %u = memref.alloc(%m, %n) : memref<?x?xf32>
        memref.store %v, %u[%c0, %c0] : memref<?x?xf32>
        scf.yield %u : memref<?x?xf32>
      } else {
        %u = memref.alloc(%m, %n) : memref<?x?xf32>
        scf.yield %u : memref<?x?xf32>
      }
      %s = memref.subview %t[1, 0] [1, %n] [1, 1] : memref<?x?xf32> to memref<1x?xf32, strided<[?, 1], offset: ?>>
      %w = memref.load %s[%c0, %c0] : memref<1x?xf32, strided<[?, 1], offset: ?>>
      memref.store %w, %y[%i] : memref<64xf32>
    }
  }
  kern.return
}

// Of a tile that is too large for the stack: scratch where tiles run in parallel, else an
// argument too, of the largest size and with the place of the node that calls.
// CHECK-LABEL: func.func @serial
// CHECK: %[[T:.*]] = memref.alloc() : memref<8192xf32>
// CHECK: kern.call @large ins(%{{.*}}) outs(%{{.*}}, %[[T]]
// CHECK-LABEL: kern.func @large
// CHECK-SAME: %{{.*}}: memref<64xf32>, %{{.*}}: memref<64xf32>, %[[ARG:[a-z0-9]*]]: memref<8192xf32>
// CHECK-NOT: rt.scratch
// CHECK: scf.for
// CHECK: memref.subview %[[ARG]]
// CHECK: rt.parallel
// CHECK: rt.scratch() : memref<8192xf32>
func.func @serial() {
  %n = rt.input 0 : memref<64xf32>
  %y = rt.output 0 () : memref<64xf32>
  kern.call @large ins(%n : memref<64xf32>) outs(%y : memref<64xf32>)
  return
}
kern.func @large(%x: memref<64xf32>, %y: memref<64xf32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c8 = arith.constant 8 : index
  %v = arith.constant 0.0 : f32
  scf.for %i = %c0 to %c8 step %c1 {
    %m = affine.min affine_map<(d0) -> (8192, -d0 * 8192 + 64000)>(%i)
    %t = memref.alloc(%m) : memref<?xf32>
    memref.store %v, %t[%c0] : memref<?xf32>
    %w = memref.load %t[%c0] : memref<?xf32>
    memref.store %w, %y[%i] : memref<64xf32>
  }
  rt.parallel (%begin, %end) to %c8 grain 1 {
    %t = memref.alloc() : memref<8192xf32>
    memref.store %v, %t[%c0] : memref<8192xf32>
    %w = memref.load %t[%c0] : memref<8192xf32>
    memref.store %w, %y[%begin] : memref<64xf32>
  }
  kern.return
}
