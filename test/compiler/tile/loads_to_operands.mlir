// RUN: nacre-opt %s --pass-pipeline='builtin.module(kern.func(loads-to-operands))' | FileCheck %s

#id = affine_map<(d0, d1) -> (d0, d1)>

// CHECK-DAG: #[[FLIPPED:.+]] = affine_map<(d0, d1) -> (0, d0, -d1 + 2)>
// CHECK-DAG: #[[STEPS:.+]] = affine_map<(d0, d1) -> (d0, d1 * 3)>

// Backwards, in a row that is chosen outside.
// CHECK-LABEL: kern.func @flip
// CHECK-SAME: %[[X:[a-z0-9]+]]: memref<8x4x3xf32>
kern.func @flip(%x: memref<8x4x3xf32>, %y: memref<4x3xf32>) {
  %c2 = arith.constant 2 : index
  %c8 = arith.constant 8 : index
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  // CHECK: scf.for %[[ROW:.+]] =
  scf.for %row = %c0 to %c8 step %c1 {
    // CHECK: %[[PART:.+]] = memref.subview %[[X]][%[[ROW]], 0, 0] [1, 4, 3] [1, 1, 1]
    // CHECK: linalg.generic {indexing_maps = [#[[FLIPPED]], #{{.+}}]{{.*}}ins(%[[PART]]
    // CHECK-NEXT: ^bb0
    // CHECK-NEXT: linalg.yield
    linalg.generic {indexing_maps = [#id], iterator_types = ["parallel", "parallel"]} outs(%y : memref<4x3xf32>) {
    ^bb0(%out: f32):
      %i = linalg.index 0 : index
      %j = linalg.index 1 : index
      %back = arith.subi %c2, %j : index
      %v = memref.load %x[%row, %i, %back] : memref<8x4x3xf32>
      linalg.yield %v : f32
    }
  }
  kern.return
}

// CHECK-LABEL: kern.func @steps
// CHECK: memref.subview %{{.+}}[0, 1] [4, 7] [1, 1]
// CHECK: linalg.generic {indexing_maps = [#[[STEPS]]
kern.func @steps(%x: memref<4x9xf32>, %y: memref<4x3xf32>) {
  linalg.generic {indexing_maps = [#id], iterator_types = ["parallel", "parallel"]} outs(%y : memref<4x3xf32>) {
  ^bb0(%out: f32):
    %i = linalg.index 0 : index
    %j = linalg.index 1 : index
    %k = affine.apply affine_map<(d0) -> (3 * d0 + 1)>(%j)
    %v = memref.load %x[%i, %k] : memref<4x9xf32>
    linalg.yield %v : f32
  }
  kern.return
}

// What is chosen by data, what the op writes, and what moves with a loop of open size stays.
// CHECK-LABEL: kern.func @others
// CHECK-COUNT-3: memref.load
kern.func @others(%x: memref<9xf32>, %at: memref<3xindex>, %y: memref<3xf32>, %open: memref<?xf32>) {
  linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0)>], iterator_types = ["parallel"]} ins(%at : memref<3xindex>) outs(%y : memref<3xf32>) {
  ^bb0(%in: index, %out: f32):
    %i = linalg.index 0 : index
    %v = memref.load %x[%in] : memref<9xf32>
    %w = memref.load %y[%i] : memref<3xf32>
    %s = arith.addf %v, %w : f32
    linalg.yield %s : f32
  }
  linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>], iterator_types = ["parallel"]} outs(%open : memref<?xf32>) {
  ^bb0(%out: f32):
    %i = linalg.index 0 : index
    %v = memref.load %x[%i] : memref<9xf32>
    linalg.yield %v : f32
  }
  kern.return
}
