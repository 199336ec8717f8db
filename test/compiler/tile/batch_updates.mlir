// RUN: nacre-opt %s --batch-updates | FileCheck %s

#id2 = affine_map<(i, j) -> (i, j)>
#one2 = affine_map<(i, j) -> ()>
#id = affine_map<(i) -> (i)>
#one = affine_map<(i) -> ()>

// Two parameters of different shapes, updated in the same way by one rate: one call.
// CHECK-LABEL: func.func @step
// CHECK: kern.call @other
// CHECK: kern.call @matrix_0 ins(%{{.*}}, %{{.*}}, %{{.*}} : memref<64x100xf32>, memref<5xf32>, memref<f32>) outs(%{{.*}}, %{{.*}} : memref<64x100xf32>, memref<5xf32>)
// CHECK-NOT: kern.call
func.func @step() {
  %g = rt.input 0 : memref<64x100xf32>
  %h = rt.input 1 : memref<5xf32>
  %rate = rt.input 2 : memref<f32>
  %w = rt.parameter state "w" : memref<64x100xf32>
  %b = rt.parameter state "b" : memref<5xf32>
  %c = rt.parameter state "c" : memref<5xf32>
  kern.call @matrix ins(%g, %rate : memref<64x100xf32>, memref<f32>) outs(%w : memref<64x100xf32>)
  kern.call @other ins(%h, %rate : memref<5xf32>, memref<f32>) outs(%c : memref<5xf32>)
  kern.call @vector ins(%h, %rate : memref<5xf32>, memref<f32>) outs(%b : memref<5xf32>)
  return
}

// Each has a rate of its own: chosen with its memory.
// CHECK-LABEL: func.func @rates
// CHECK: kern.call @[[OWN:.*]] ins(%{{.*}}, %[[A:.*]], %{{.*}}, %[[B:.*]] : memref<64x100xf32>, memref<f32>, memref<5xf32>, memref<f32>)
// CHECK-NOT: kern.call
func.func @rates() {
  %g = rt.input 0 : memref<64x100xf32>
  %h = rt.input 1 : memref<5xf32>
  %rate = rt.input 2 : memref<f32>
  %other = rt.input 3 : memref<f32>
  %w = rt.parameter state "w" : memref<64x100xf32>
  %b = rt.parameter state "b" : memref<5xf32>
  kern.call @matrix ins(%g, %rate : memref<64x100xf32>, memref<f32>) outs(%w : memref<64x100xf32>)
  kern.call @vector ins(%h, %other : memref<5xf32>, memref<f32>) outs(%b : memref<5xf32>)
  return
}

// Between them stands one that reads what the first updates.
// CHECK-LABEL: func.func @read_between
// CHECK: kern.call @matrix
// CHECK: kern.call @reader
// CHECK: kern.call @vector
func.func @read_between() {
  %g = rt.input 0 : memref<64x100xf32>
  %h = rt.input 1 : memref<5xf32>
  %rate = rt.input 2 : memref<f32>
  %w = rt.parameter state "w" : memref<64x100xf32>
  %b = rt.parameter state "b" : memref<5xf32>
  kern.call @matrix ins(%g, %rate : memref<64x100xf32>, memref<f32>) outs(%w : memref<64x100xf32>)
  kern.call @reader ins(%w : memref<64x100xf32>) outs(%h : memref<5xf32>)
  kern.call @vector ins(%h, %rate : memref<5xf32>, memref<f32>) outs(%b : memref<5xf32>)
  return
}

// 6400 elements are seven blocks, 5 are one.
// CHECK-LABEL: kern.func @matrix_0
// CHECK: rt.parallel (%[[BEGIN:.*]], %[[END:.*]]) to %c8{{[_0-9]*}} grain 8
// CHECK: scf.for %[[NUMBER:.*]] =
// CHECK: %[[T:.*]]:4 = scf.index_switch %[[NUMBER]]
// CHECK-SAME: memref<?xf32>, memref<?xf32>, index, index
// CHECK: arith.subi %[[BEGIN]], %[[T]]#3
// CHECK: %[[G:.*]] = memref.subview %[[T]]#0
// CHECK: %[[W:.*]] = memref.subview %[[T]]#1
// CHECK: linalg.generic {{.*}} ins(%[[G]], %arg2 : {{.*}}) outs(%[[W]] :
// CHECK: arith.mulf
// CHECK: arith.subf
// CHECK: kern.func @[[OWN]]
// CHECK: scf.index_switch {{.*}} -> memref<?xf32>, memref<f32>, memref<?xf32>, index, index
kern.func @matrix(%g: memref<64x100xf32>, %rate: memref<f32>, %w: memref<64x100xf32>) attributes {nodes = ["w"]} {
  linalg.generic {indexing_maps = [#id2, #one2, #id2], iterator_types = ["parallel", "parallel"]}
      ins(%g, %rate : memref<64x100xf32>, memref<f32>) outs(%w : memref<64x100xf32>) {
  ^bb0(%a: f32, %r: f32, %old: f32):
    %0 = arith.mulf %a, %r : f32
    %1 = arith.subf %old, %0 : f32
    linalg.yield %1 : f32
  }
  kern.return
}
kern.func @vector(%g: memref<5xf32>, %rate: memref<f32>, %w: memref<5xf32>) attributes {nodes = ["b"]} {
  linalg.generic {indexing_maps = [#id, #one, #id], iterator_types = ["parallel"]}
      ins(%g, %rate : memref<5xf32>, memref<f32>) outs(%w : memref<5xf32>) {
  ^bb0(%a: f32, %r: f32, %old: f32):
    %0 = arith.mulf %a, %r : f32
    %1 = arith.subf %old, %0 : f32
    linalg.yield %1 : f32
  }
  kern.return
}
kern.func @other(%g: memref<5xf32>, %rate: memref<f32>, %w: memref<5xf32>) {
  linalg.generic {indexing_maps = [#id, #one, #id], iterator_types = ["parallel"]}
      ins(%g, %rate : memref<5xf32>, memref<f32>) outs(%w : memref<5xf32>) {
  ^bb0(%a: f32, %r: f32, %old: f32):
    %0 = arith.mulf %a, %r : f32
    %1 = arith.addf %old, %0 : f32
    linalg.yield %1 : f32
  }
  kern.return
}
kern.func @reader(%w: memref<64x100xf32>, %d: memref<5xf32>) {
  kern.return
}
