// The runtime's ops print and parse back.
// RUN: nacre-opt %s | nacre-opt | FileCheck %s

// CHECK-LABEL: func.func @run
func.func @run(%n: index, %ok: i1) {
  // CHECK: %[[X:.*]] = rt.input 0 : memref<?x8xf32>
  %x = rt.input 0 : memref<?x8xf32>
  // CHECK: rt.output 1(%{{.*}}) : memref<?x8xf32>
  %y = rt.output 1 (%n) : memref<?x8xf32>
  // CHECK: rt.parameter "w" : memref<8xf32>
  %w = rt.parameter "w" : memref<8xf32>
  // CHECK: rt.parameter state "s" at 64 : memref<8xf32>
  %s = rt.parameter state "s" at 64 : memref<8xf32>
  // CHECK: rt.arena 4096 : memref<16x32xf32>
  %a = rt.arena 4096 : memref<16x32xf32>
  // CHECK: %[[B:.*]] = rt.alloc(%{{.*}}) : memref<?x8xf32>
  %b = rt.alloc(%n) : memref<?x8xf32>
  // CHECK: rt.release %[[B]] : memref<?x8xf32>
  rt.release %b : memref<?x8xf32>
  // CHECK: %[[M:.*]] = rt.mark
  %m = rt.mark
  // CHECK: rt.release_since %[[M]]{{$}}
  rt.release_since %m
  // CHECK: rt.release_since %[[M]] keep(%{{.*}}, %{{.*}} : memref<?x8xf32>, memref<8xf32>)
  rt.release_since %m keep(%x, %w : memref<?x8xf32>, memref<8xf32>)
  // CHECK: rt.strings ["monday", ""] : memref<2xi64>
  %t = rt.strings ["monday", ""] : memref<2xi64>
  // CHECK: rt.seed
  %seed = rt.seed
  // CHECK: rt.run
  %run = rt.run
  // CHECK: rt.work %{{.*}}
  rt.work %n
  // CHECK: rt.check %{{.*}}, 2, "sizes differ"
  rt.check %ok, 2, "sizes differ"
  return
}

// CHECK-LABEL: kern.func @loop
kern.func @loop(%n: index, %d: memref<2xi64>, %x: memref<?xf32>) {
  // CHECK: rt.parallel (%{{.*}}, %{{.*}}) to %{{.*}} grain 4 {
  // CHECK-NEXT: rt.scratch(%{{.*}}) : memref<?xf32>
  // CHECK-NEXT: }
  rt.parallel (%begin, %end) to %n grain 4 {
    %s = rt.scratch(%n) : memref<?xf32>
    rt.yield
  }
  // CHECK: } {alternating}
  rt.parallel (%begin, %end) to %n grain 4 {
  } {alternating}
  // CHECK: rt.launch @body(%{{.*}} : memref<?xf32>) to %{{.*}} grain 4 alternating
  rt.launch @body(%x : memref<?xf32>) to %n grain 4 alternating
  // CHECK: rt.launch @body(%{{.*}} : memref<?xf32>) to %{{.*}} grain 4
  rt.launch @body(%x : memref<?xf32>) to %n grain 4
  // CHECK: rt.host_call "f" for "node 'c' (F): " [1, 2] ins(%{{.*}} : memref<?xf32>) outs(%{{.*}} : memref<2xi64>) {types = [f32, i64]}
  rt.host_call "f" for "node 'c' (F): " [1, 2] ins(%x : memref<?xf32>) outs(%d : memref<2xi64>) {types = [f32, i64]}
  kern.return
}

kern.func private @body(%x: memref<?xf32>, %begin: index, %end: index) {
  kern.return
}
