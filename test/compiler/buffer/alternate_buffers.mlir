// RUN: nacre-opt %s --alternate-buffers --allow-unregistered-dialect | FileCheck %s
// RUN: nacre-opt %s --alternate-buffers --plan-memory --release-in-loops --allow-unregistered-dialect | FileCheck %s --check-prefix=PLANNED

kern.func @k(%a: memref<16xf32>, %b: memref<16xf32>) {
  kern.return
}

// What an iteration hands to the next has two places that take turns.
// CHECK-LABEL: func.func @carried
// CHECK: %[[TURN:.*]] = memref.alloc() : memref<i1>
// CHECK: memref.store %{{.*}}, %[[TURN]][]
// CHECK: %[[B:.*]] = memref.alloc() : memref<16xf32>
// CHECK: %[[A:.*]] = memref.alloc() : memref<16xf32>
// CHECK: scf.for {{.*}} iter_args(%[[V:.*]] = %{{.*}})
// CHECK-NEXT: %[[ODD:.*]] = memref.load %[[TURN]][]
// CHECK-NEXT: %[[W:.*]] = arith.select %[[ODD]], %[[A]], %[[B]] : memref<16xf32>
// CHECK-NEXT: %[[NOT:.*]] = arith.xori %[[ODD]], %{{.*}}
// CHECK-NEXT: memref.store %[[NOT]], %[[TURN]][]
// CHECK-NEXT: kern.call @k ins(%[[V]] : memref<16xf32>) outs(%[[W]] : memref<16xf32>)
// CHECK-NEXT: scf.yield %[[W]]
// PLANNED-LABEL: func.func @carried
// PLANNED-NOT: rt.alloc
// PLANNED: return
func.func @carried(%n: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %x = rt.input 0 : memref<16xf32>
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%v = %x) -> (memref<16xf32>) {
    %w = memref.alloc() : memref<16xf32>
    kern.call @k ins(%v : memref<16xf32>) outs(%w : memref<16xf32>)
    scf.yield %w : memref<16xf32>
  }
  %y = rt.output 0 () : memref<16xf32>
  memref.copy %r, %y : memref<16xf32> to memref<16xf32>
  return
}

// So in a loop with a condition, and where a view is carried.
// CHECK-LABEL: func.func @conditional
// CHECK: scf.while
// CHECK: } do {
// CHECK-NEXT: ^bb0
// CHECK-NEXT: memref.load
// CHECK-NEXT: arith.select %{{.*}} : memref<4x4xf32>
// CHECK-NOT: memref.alloc
// CHECK: return
func.func @conditional() {
  %c0 = arith.constant 0 : index
  %zero = arith.constant 0.0 : f32
  %x = rt.input 0 : memref<16xf32>
  %r = scf.while (%v = %x) : (memref<16xf32>) -> memref<16xf32> {
    %first = memref.load %v[%c0] : memref<16xf32>
    %go = arith.cmpf olt, %first, %zero : f32
    scf.condition(%go) %v : memref<16xf32>
  } do {
  ^bb0(%v: memref<16xf32>):
    %w = memref.alloc() : memref<4x4xf32>
    %f = memref.collapse_shape %w [[0, 1]] : memref<4x4xf32> into memref<16xf32>
    kern.call @k ins(%v : memref<16xf32>) outs(%f : memref<16xf32>)
    scf.yield %f : memref<16xf32>
  }
  %y = rt.output 0 () : memref<16xf32>
  memref.copy %r, %y : memref<16xf32> to memref<16xf32>
  return
}

// A value that passes through two places lives for two iterations; one that is kept in
// some iterations, for who knows how many; the inner loop's, if it makes no turn, for those of
// the outer one. They stay where they are, and the run finds out when they go.
// CHECK-LABEL: func.func @longer
// CHECK-NOT: arith.select
// CHECK: scf.for
// CHECK: scf.for
// CHECK: return
// PLANNED-LABEL: func.func @longer
// PLANNED: %[[M:.*]] = rt.mark
// PLANNED: scf.for
// PLANNED: %[[W:.*]] = rt.alloc() : memref<16xf32>
// PLANNED: rt.release_since %[[M]] keep(%{{.*}}, %[[W]] : memref<16xf32>, memref<16xf32>)
// PLANNED-NEXT: scf.yield %{{.*}}, %[[W]]
// PLANNED: %[[N:.*]] = rt.mark
// PLANNED: scf.for
// PLANNED: %[[R:.*]] = scf.if
// PLANNED: rt.release_since %[[N]] keep(%[[R]] : memref<16xf32>)
func.func @longer(%n: index, %p: i1) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %x = rt.input 0 : memref<16xf32>
  %r:2 = scf.for %i = %c0 to %n step %c1 iter_args(%v = %x, %u = %x) -> (memref<16xf32>, memref<16xf32>) {
    %w = memref.alloc() : memref<16xf32>
    kern.call @k ins(%v : memref<16xf32>) outs(%w : memref<16xf32>)
    scf.yield %u, %w : memref<16xf32>, memref<16xf32>
  }
  %s = scf.for %i = %c0 to %n step %c1 iter_args(%v = %r#0) -> (memref<16xf32>) {
    %t = scf.if %p -> (memref<16xf32>) {
      %w = memref.alloc() : memref<16xf32>
      kern.call @k ins(%v : memref<16xf32>) outs(%w : memref<16xf32>)
      scf.yield %w : memref<16xf32>
    } else {
      scf.yield %v : memref<16xf32>
    }
    scf.yield %t : memref<16xf32>
  }
  %y = rt.output 0 () : memref<16xf32>
  memref.copy %s, %y : memref<16xf32> to memref<16xf32>
  return
}

// The inner loop's places stand in the outer one, which may hand each of them on.
// CHECK-LABEL: func.func @nested
// CHECK: scf.for
// CHECK: memref.alloc() : memref<16xf32>
// CHECK: memref.alloc() : memref<16xf32>
// CHECK: scf.for
// CHECK-NOT: memref.alloc
// CHECK: arith.select %{{.*}} : memref<16xf32>
// CHECK: return
// PLANNED-LABEL: func.func @nested
// PLANNED: %[[M:.*]] = rt.mark
// PLANNED: scf.for
// PLANNED: rt.alloc() : memref<16xf32>
// PLANNED: rt.alloc() : memref<16xf32>
// PLANNED-NOT: rt.mark
// PLANNED: %[[R:.*]] = scf.for
// PLANNED-NOT: rt.alloc
// PLANNED: }
// PLANNED: rt.release_since %[[M]] keep(%[[R]] : memref<16xf32>)
func.func @nested(%n: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %x = rt.input 0 : memref<16xf32>
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%o = %x) -> (memref<16xf32>) {
    %s = scf.for %j = %c0 to %n step %c1 iter_args(%v = %o) -> (memref<16xf32>) {
      %w = memref.alloc() : memref<16xf32>
      kern.call @k ins(%v : memref<16xf32>) outs(%w : memref<16xf32>)
      scf.yield %w : memref<16xf32>
    }
    scf.yield %s : memref<16xf32>
  }
  %y = rt.output 0 () : memref<16xf32>
  memref.copy %r, %y : memref<16xf32> to memref<16xf32>
  return
}

// What does not leave its iteration has its place anyway.
// CHECK-LABEL: func.func @inside
// CHECK-NOT: arith.select
// CHECK: scf.for
// CHECK-NEXT: memref.alloc
// PLANNED-LABEL: func.func @inside
// PLANNED-NOT: rt.alloc
// PLANNED-NOT: rt.mark
// PLANNED: return
func.func @inside(%n: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %x = rt.input 0 : memref<16xf32>
  scf.for %i = %c0 to %n step %c1 {
    %w = memref.alloc() : memref<16xf32>
    kern.call @k ins(%x : memref<16xf32>) outs(%w : memref<16xf32>)
  }
  return
}

// A branch without code of its own is a choice: what it chooses from may live on.
// CHECK-LABEL: func.func @choice
// CHECK: scf.for
// CHECK-NEXT: memref.alloc
// CHECK: return
func.func @choice(%n: index, %p: i1) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %x = rt.input 0 : memref<16xf32>
  %r:2 = scf.for %i = %c0 to %n step %c1 iter_args(%v = %x, %u = %x) -> (memref<16xf32>, memref<16xf32>) {
    %w = memref.alloc() : memref<16xf32>
    kern.call @k ins(%u : memref<16xf32>) outs(%w : memref<16xf32>)
    %s = arith.select %p, %v, %w : memref<16xf32>
    scf.yield %s, %w : memref<16xf32>, memref<16xf32>
  }
  %y = rt.output 0 () : memref<16xf32>
  memref.copy %r#0, %y : memref<16xf32> to memref<16xf32>
  return
}

// So is what an op does that nobody knows.
// CHECK-LABEL: func.func @unknown
// CHECK: scf.for
// CHECK-NEXT: memref.alloc
// CHECK: return
func.func @unknown(%n: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %x = rt.input 0 : memref<16xf32>
  %r:2 = scf.for %i = %c0 to %n step %c1 iter_args(%v = %x, %u = %x) -> (memref<16xf32>, memref<16xf32>) {
    %w = memref.alloc() : memref<16xf32>
    %s = "test.any"(%v, %w) : (memref<16xf32>, memref<16xf32>) -> memref<16xf32>
    scf.yield %s, %w : memref<16xf32>, memref<16xf32>
  }
  %y = rt.output 0 () : memref<16xf32>
  memref.copy %r#0, %y : memref<16xf32> to memref<16xf32>
  return
}
