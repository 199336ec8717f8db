// A copy between strided buffers is a loop, one between dense buffers stays a copy.
// RUN: nacre-opt %s -expand-copies | FileCheck %s

// CHECK-LABEL: @dense
func.func @dense(%a: memref<4x8xf32>, %b: memref<4x8xf32>) {
  // CHECK: memref.copy
  // CHECK-NOT: linalg.generic
  memref.copy %a, %b : memref<4x8xf32> to memref<4x8xf32>
  return
}

// CHECK-LABEL: @strided
func.func @strided(%a: memref<4x8xf32, strided<[16, 1]>>, %b: memref<4x8xf32>) {
  // CHECK-NOT: memref.copy
  // CHECK: linalg.generic
  memref.copy %a, %b : memref<4x8xf32, strided<[16, 1]>> to memref<4x8xf32>
  return
}
