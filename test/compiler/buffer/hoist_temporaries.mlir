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
