// RUN: nacre-opt %s --plan-memory | FileCheck %s

// %a and %c never live together and share their place; %b stands beside them.
// CHECK-LABEL: func.func @lifetimes
// CHECK-SAME: nacre.arena_size = 2048
// CHECK: %[[A:.*]] = rt.arena 0 : memref<256xf32>
// CHECK: rt.arena 1024 : memref<256xf32>
// CHECK: rt.arena 0 : memref<256xf32>
func.func @lifetimes() {
  %x = rt.input 0 : memref<256xf32>
  %a = memref.alloc() : memref<256xf32>
  memref.copy %x, %a : memref<256xf32> to memref<256xf32>
  %b = memref.alloc() : memref<256xf32>
  memref.copy %a, %b : memref<256xf32> to memref<256xf32>
  %c = memref.alloc() : memref<256xf32>
  memref.copy %b, %c : memref<256xf32> to memref<256xf32>
  %y = rt.output 0 () : memref<256xf32>
  memref.copy %c, %y : memref<256xf32> to memref<256xf32>
  return
}

// A table of indices takes 8 bytes for each.
// CHECK-LABEL: func.func @indices
// CHECK-SAME: nacre.arena_size = 2112
func.func @indices() {
  %x = rt.input 0 : memref<257xindex>
  %a = memref.alloc() : memref<257xindex>
  memref.copy %x, %a : memref<257xindex> to memref<257xindex>
  %y = rt.output 0 () : memref<257xindex>
  memref.copy %a, %y : memref<257xindex> to memref<257xindex>
  return
}

// A view keeps its buffer alive.
// CHECK-LABEL: func.func @views
// CHECK-SAME: nacre.arena_size = 2048
func.func @views() {
  %x = rt.input 0 : memref<256xf32>
  %a = memref.alloc() : memref<256xf32>
  memref.copy %x, %a : memref<256xf32> to memref<256xf32>
  %v = memref.expand_shape %a [[0, 1]] output_shape [16, 16] : memref<256xf32> into memref<16x16xf32>
  %b = memref.alloc() : memref<16x16xf32>
  memref.copy %v, %b : memref<16x16xf32> to memref<16x16xf32>
  %y = rt.output 0 () : memref<16x16xf32>
  memref.copy %b, %y : memref<16x16xf32> to memref<16x16xf32>
  return
}

// Sizes known only in a run: allocated then, released after the last use.
// CHECK-LABEL: func.func @dynamic
// CHECK: %[[D:.*]] = rt.alloc(%{{.*}}) : memref<?xf32>
// CHECK: memref.copy %{{.*}}, %[[D]]
// CHECK: memref.copy %[[D]]
// CHECK-NEXT: rt.release %[[D]]
func.func @dynamic() {
  %c0 = arith.constant 0 : index
  %x = rt.input 0 : memref<?xf32>
  %n = memref.dim %x, %c0 : memref<?xf32>
  %a = memref.alloc(%n) : memref<?xf32>
  memref.copy %x, %a : memref<?xf32> to memref<?xf32>
  %y = rt.output 0 (%n) : memref<?xf32>
  memref.copy %a, %y : memref<?xf32> to memref<?xf32>
  return
}

// A size that data decide, but not beyond 24: what it takes at most has a place in the arena.
// CHECK-LABEL: func.func @bounded
// CHECK-SAME: nacre.arena_size = 448
// CHECK: %[[SIZE:.*]] = arith.maxsi
// CHECK: %[[BYTES:.*]] = rt.arena 0 : memref<384xi8>
// CHECK: memref.view %[[BYTES]][%{{.*}}][%[[SIZE]]] : memref<384xi8> to memref<2x?xi64>
// CHECK-NOT: rt.release
// CHECK: return
func.func @bounded(%x: i64) {
  %c0 = arith.constant 0 : index
  %c24 = arith.constant 24 : index
  %count = memref.alloc() : memref<i64>
  memref.store %x, %count[] : memref<i64>
  %data = memref.load %count[] : memref<i64>
  %n = arith.index_cast %data : i64 to index
  %most = arith.minsi %n, %c24 : index
  %size = arith.maxsi %most, %c0 : index
  %a = memref.alloc(%size) : memref<2x?xi64>
  memref.store %data, %a[%c0, %c0] : memref<2x?xi64>
  memref.store %data, %count[] : memref<i64>
  return
}

// Of products too, but not where the bound is above 1 MiB: little of it may ever be used.
// CHECK-LABEL: func.func @bounds
// CHECK-SAME: nacre.arena_size = 1048576
// CHECK: rt.arena 0 : memref<1048576xi8>
// CHECK: rt.alloc
func.func @bounds(%x: index, %v: f32) {
  %c0 = arith.constant 0 : index
  %c2 = arith.constant 2 : index
  %most = arith.constant 131072 : index
  %1 = arith.minsi %x, %most : index
  %2 = arith.maxsi %1, %c0 : index
  %size = arith.muli %2, %c2 : index
  %more = arith.addi %size, %c2 : index
  %a = memref.alloc(%size) : memref<?xf32>
  memref.store %v, %a[%c0] : memref<?xf32>
  %b = memref.alloc(%more) : memref<?xf32>
  memref.store %v, %b[%c0] : memref<?xf32>
  return
}

// Large buffers first, each as low as may be, would take 7168 bytes: %b would stand on %a's end, and %d
// above %b. No more than 6144 live at a time, and that is what another order takes.
// CHECK-LABEL: func.func @order
// CHECK-SAME: nacre.arena_size = 6144
func.func @order(%i: index, %v: f32) {
  %a = memref.alloc() : memref<768xf32>
  memref.store %v, %a[%i] : memref<768xf32>
  %b = memref.alloc() : memref<512xf32>
  %0 = memref.load %a[%i] : memref<768xf32>
  memref.store %0, %b[%i] : memref<512xf32>
  %c = memref.alloc() : memref<512xf32>
  memref.store %0, %c[%i] : memref<512xf32>
  %d = memref.alloc() : memref<512xf32>
  %1 = memref.load %c[%i] : memref<512xf32>
  memref.store %1, %d[%i] : memref<512xf32>
  %2 = memref.load %d[%i] : memref<512xf32>
  memref.store %2, %b[%i] : memref<512xf32>
  return
}
