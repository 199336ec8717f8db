// RUN: nacre-opt %s --release-in-loops | FileCheck %s

// Two loops, each with its mark. The inner one gives back what it does not carry, the outer
// one what the inner one leaves; what is released already needs no mark.
// CHECK-LABEL: func.func @nested
// CHECK: %[[OUTER:.*]] = rt.mark
// CHECK-NEXT: scf.for
// CHECK: %[[INNER:.*]] = rt.mark
// CHECK-NEXT: %[[R:.*]]:3 = scf.for
// CHECK: %[[B:.*]] = rt.alloc
// CHECK: rt.release_since %[[INNER]] keep(%[[B]], %{{.*}} : memref<?xf32>, memref<?xf32>)
// CHECK-NEXT: scf.yield %{{.*}}, %[[B]], %{{.*}} : index, memref<?xf32>, memref<?xf32>
// CHECK: rt.release_since %[[OUTER]] keep(%[[R]]#1 : memref<?xf32>)
// CHECK-NEXT: scf.yield
// CHECK-NOT: rt.mark
// CHECK: return
func.func @nested(%n: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %x = rt.input 0 : memref<?xf32>
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%o = %x) -> (memref<?xf32>) {
    %s:3 = scf.for %j = %c0 to %n step %c1 iter_args(%m = %n, %v = %o, %u = %x) -> (index, memref<?xf32>, memref<?xf32>) {
      %w = rt.alloc(%m) : memref<?xf32>
      memref.copy %v, %w : memref<?xf32> to memref<?xf32>
      scf.yield %m, %w, %v : index, memref<?xf32>, memref<?xf32>
    }
    scf.yield %s#1 : memref<?xf32>
  }
  scf.for %i = %c0 to %n step %c1 {
    %w = rt.alloc(%n) : memref<?xf32>
    memref.copy %r, %w : memref<?xf32> to memref<?xf32>
    rt.release %w : memref<?xf32>
  }
  return
}

// A loop with a condition.
// CHECK-LABEL: func.func @conditional
// CHECK: %[[M:.*]] = rt.mark
// CHECK-NEXT: scf.while
// CHECK: } do {
// CHECK: rt.release_since %[[M]]{{$}}
// CHECK-NEXT: scf.yield %{{.*}} : i1
func.func @conditional(%n: index, %p: i1) {
  %x = rt.input 0 : memref<?xf32>
  %r = scf.while (%go = %p) : (i1) -> i1 {
    scf.condition(%go) %go : i1
  } do {
  ^bb0(%go: i1):
    // A result of a branch stays when the branch ends.
    %b = scf.if %go -> (memref<?xf32>) {
      %w = rt.alloc(%n) : memref<?xf32>
      scf.yield %w : memref<?xf32>
    } else {
      scf.yield %x : memref<?xf32>
    }
    memref.copy %x, %b : memref<?xf32> to memref<?xf32>
    scf.yield %p : i1
  }
  return
}
