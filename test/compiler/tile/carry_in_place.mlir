// RUN: nacre-opt %s --carry-in-place -split-input-file | FileCheck %s

// The old state is read before: the new one is written over it.
// CHECK-LABEL: kern.func @over
// CHECK: scf.for {{.*}} iter_args(%[[H:.+]] = %arg0)
// CHECK: %[[S:.+]] = linalg.matmul ins(%[[H]]
// CHECK: %[[N:.+]] = linalg.generic {{.*}} ins(%[[S]] : tensor<4x4xf32>) outs(%[[H]] : tensor<4x4xf32>)
// CHECK: scf.yield %[[N]]
#id = affine_map<(m, n) -> (m, n)>
kern.func @over(%h0: tensor<4x4xf32>, %w: tensor<4x4xf32>, %d: tensor<4x4xf32>) -> tensor<4x4xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c9 = arith.constant 9 : index
  %r = scf.for %t = %c0 to %c9 step %c1 iter_args(%h = %h0) -> (tensor<4x4xf32>) {
    %e = tensor.empty() : tensor<4x4xf32>
    %s = linalg.matmul ins(%h, %w : tensor<4x4xf32>, tensor<4x4xf32>) outs(%e : tensor<4x4xf32>) -> tensor<4x4xf32>
    %n = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%s : tensor<4x4xf32>) outs(%e : tensor<4x4xf32>) {
    ^bb0(%a: f32, %b: f32):
      %y = math.tanh %a : f32
      linalg.yield %y : f32
    } -> tensor<4x4xf32>
    scf.yield %n : tensor<4x4xf32>
  }
  kern.return %r : tensor<4x4xf32>
}

// -----

// It is read later: the new one is copied at the end.
// CHECK-LABEL: kern.func @copied
// CHECK: scf.for {{.*}} iter_args(%[[H:.+]] = %arg0)
// CHECK: %[[N:.+]] = linalg.generic {{.*}} outs(%{{.*}} : tensor<4x4xf32>)
// CHECK: %[[S:.+]] = linalg.matmul ins(%[[H]]
// CHECK: linalg.matmul
// CHECK: %[[C:.+]] = linalg.copy ins(%{{.+}} : tensor<4x4xf32>) outs(%[[H]] : tensor<4x4xf32>)
// CHECK: scf.yield %[[C]]
#id = affine_map<(m, n) -> (m, n)>
kern.func @copied(%h0: tensor<4x4xf32>, %w: tensor<4x4xf32>, %d: tensor<4x4xf32>) -> tensor<4x4xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c9 = arith.constant 9 : index
  %r = scf.for %t = %c0 to %c9 step %c1 iter_args(%h = %h0) -> (tensor<4x4xf32>) {
    %e = tensor.empty() : tensor<4x4xf32>
    %n = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%h : tensor<4x4xf32>) outs(%e : tensor<4x4xf32>) {
    ^bb0(%a: f32, %b: f32):
      %y = math.tanh %a : f32
      linalg.yield %y : f32
    } -> tensor<4x4xf32>
    %s = linalg.matmul ins(%h, %w : tensor<4x4xf32>, tensor<4x4xf32>) outs(%e : tensor<4x4xf32>) -> tensor<4x4xf32>
    %p = linalg.matmul ins(%s, %n : tensor<4x4xf32>, tensor<4x4xf32>) outs(%e : tensor<4x4xf32>) -> tensor<4x4xf32>
    scf.yield %p : tensor<4x4xf32>
  }
  kern.return %r : tensor<4x4xf32>
}

// -----

// States that change places are saved first.
// CHECK-LABEL: kern.func @exchanged
// CHECK: scf.for {{.*}} iter_args(%[[A:.+]] = %arg0, %[[B:.+]] = %arg1)
// CHECK: %[[SB:.+]] = linalg.copy ins(%[[B]]
// CHECK: %[[SA:.+]] = linalg.copy ins(%[[A]]
// CHECK: %[[NA:.+]] = linalg.copy ins(%[[SB]] : tensor<4xf32>) outs(%[[A]] : tensor<4xf32>)
// CHECK: %[[NB:.+]] = linalg.copy ins(%[[SA]] : tensor<4xf32>) outs(%[[B]] : tensor<4xf32>)
// CHECK: scf.yield %[[NA]], %[[NB]]
kern.func @exchanged(%a0: tensor<4xf32>, %b0: tensor<4xf32>, %d: tensor<4xf32>, %e: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c9 = arith.constant 9 : index
  %r:2 = scf.for %t = %c0 to %c9 step %c1 iter_args(%a = %a0, %b = %b0) -> (tensor<4xf32>, tensor<4xf32>) {
    scf.yield %b, %a : tensor<4xf32>, tensor<4xf32>
  }
  kern.return %r#0, %r#1 : tensor<4xf32>, tensor<4xf32>
}
