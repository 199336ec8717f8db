// RUN: nacre-opt %s --split-steps -split-input-file | FileCheck %s

#lhs = affine_map<(m, n, k) -> (m, k)>
#packed = affine_map<(m, n, k) -> (n floordiv 48, k, n mod 48)>
#out = affine_map<(m, n, k) -> (m, n)>

// Blocks of 96 columns, each with its fill; what has little to do stays.
// CHECK-LABEL: kern.func @columns
// CHECK: scf.for
// CHECK: scf.forall (%[[C:.+]]) = (0) to (768) step (96) shared_outs(%[[O:.+]] = %{{.+}})
// CHECK: %[[TILE:.+]] = tensor.extract_slice %[[O]][0, %[[C]]] [1, 96] [1, 1]
// CHECK: %[[FILL:.+]] = linalg.fill {{.*}} outs(%[[TILE]]
// CHECK: linalg.generic {{.*}} outs(%[[FILL]] : tensor<1x96xf32>)
// CHECK: tensor.parallel_insert_slice
// CHECK-NOT: scf.forall
// CHECK: linalg.tanh
kern.func @columns(%h0: tensor<1x768xf32>, %w: tensor<16x768x48xf32>, %d: tensor<1x768xf32>) -> tensor<1x768xf32> {
  %zero = arith.constant 0.0 : f32
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c100 = arith.constant 100 : index
  %r = scf.for %t = %c0 to %c100 step %c1 iter_args(%h = %h0) -> (tensor<1x768xf32>) {
    %e = tensor.empty() : tensor<1x768xf32>
    %f = linalg.fill ins(%zero : f32) outs(%e : tensor<1x768xf32>) -> tensor<1x768xf32>
    %s = linalg.generic {indexing_maps = [#lhs, #packed, #out], iterator_types = ["parallel", "parallel", "reduction"]}
        ins(%h, %w : tensor<1x768xf32>, tensor<16x768x48xf32>) outs(%f : tensor<1x768xf32>) {
    ^bb0(%a: f32, %b: f32, %c: f32):
      %p = arith.mulf %a, %b : f32
      %q = arith.addf %c, %p : f32
      linalg.yield %q : f32
    } -> tensor<1x768xf32>
    %n = linalg.tanh ins(%s : tensor<1x768xf32>) outs(%h : tensor<1x768xf32>) -> tensor<1x768xf32>
    scf.yield %n : tensor<1x768xf32>
  }
  kern.return %r : tensor<1x768xf32>
}

// -----

// 64 x 64 products are done before all threads have heard of them.
// CHECK-LABEL: kern.func @small
// CHECK-NOT: scf.forall
kern.func @small(%h0: tensor<1x64xf32>, %w: tensor<64x64xf32>, %d: tensor<1x64xf32>) -> tensor<1x64xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c100 = arith.constant 100 : index
  %r = scf.for %t = %c0 to %c100 step %c1 iter_args(%h = %h0) -> (tensor<1x64xf32>) {
    %e = tensor.empty() : tensor<1x64xf32>
    %s = linalg.generic {indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>],
                         iterator_types = ["parallel", "parallel", "reduction"]}
        ins(%h, %w : tensor<1x64xf32>, tensor<64x64xf32>) outs(%e : tensor<1x64xf32>) {
    ^bb0(%a: f32, %b: f32, %c: f32):
      %p = arith.mulf %a, %b : f32
      %q = arith.addf %c, %p : f32
      linalg.yield %q : f32
    } -> tensor<1x64xf32>
    scf.yield %s : tensor<1x64xf32>
  }
  kern.return %r : tensor<1x64xf32>
}
