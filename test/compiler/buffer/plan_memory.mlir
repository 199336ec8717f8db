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
