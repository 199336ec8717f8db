// RUN: nacre-opt %s --split-loops -split-input-file | FileCheck %s
// RUN: nacre-opt %s --pass-pipeline='builtin.module(kern.func(split-loops{l2-bytes=8192}))' -split-input-file | FileCheck %s --check-prefix=LARGE
// LARGE-NOT: scf.forall

// 16 of 32 rows at a time go through all of the loop, with all of the weight. A body that asks
// for the number of its row gets that in the whole tensor.
// CHECK-LABEL: kern.func @rows
// CHECK: scf.forall (%[[R:.+]]) = (0) to (32) step (16) shared_outs(%[[O0:.+]] = %arg3, %[[O1:.+]] = %arg4)
// CHECK-DAG: %[[H0:.+]] = tensor.extract_slice %arg0[%[[R]], 0] [16, 64] [1, 1]
// CHECK-DAG: %[[Y0:.+]] = tensor.extract_slice %[[O1]][0, %[[R]], 0] [100, 16, 64] [1, 1, 1]
// CHECK: scf.for {{.*}} iter_args(%[[H:.+]] = %[[H0]], %[[Y:.+]] = %[[Y0]]) -> (tensor<16x64xf32>, tensor<100x16x64xf32>)
// CHECK: linalg.matmul ins(%[[H]], %arg1 : tensor<16x64xf32>, tensor<64x64xf32>)
// CHECK: linalg.generic
// CHECK: %[[I:.+]] = linalg.index 0
// CHECK: %[[MOVED:.+]] = arith.addi %[[I]], %[[R]]
// CHECK: tensor.extract %arg2[%[[MOVED]]]
// CHECK: tensor.insert_slice %{{.+}} into %[[Y]][%{{.+}}, 0, 0] [1, 16, 64] [1, 1, 1]
// CHECK: tensor.parallel_insert_slice %{{.+}} into %[[O0]][%[[R]], 0] [16, 64] [1, 1]
// CHECK: tensor.parallel_insert_slice %{{.+}} into %[[O1]][0, %[[R]], 0] [100, 16, 64] [1, 1, 1]
#id = affine_map<(m, n) -> (m, n)>
kern.func @rows(%h0: tensor<32x64xf32>, %w: tensor<64x64xf32>, %bias: tensor<32xf32>, %d0: tensor<32x64xf32>, %d1: tensor<100x32x64xf32>) -> (tensor<32x64xf32>, tensor<100x32x64xf32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c100 = arith.constant 100 : index
  %r:2 = scf.for %t = %c0 to %c100 step %c1 iter_args(%h = %h0, %y = %d1) -> (tensor<32x64xf32>, tensor<100x32x64xf32>) {
    %e = tensor.empty() : tensor<32x64xf32>
    %s = linalg.matmul ins(%h, %w : tensor<32x64xf32>, tensor<64x64xf32>) outs(%e : tensor<32x64xf32>) -> tensor<32x64xf32>
    %n = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%s : tensor<32x64xf32>) outs(%h : tensor<32x64xf32>) {
    ^bb0(%a: f32, %b: f32):
      %i = linalg.index 0 : index
      %x = tensor.extract %bias[%i] : tensor<32xf32>
      %sum = arith.addf %a, %x : f32
      linalg.yield %sum : f32
    } -> tensor<32x64xf32>
    %z = tensor.insert_slice %n into %y[%t, 0, 0] [1, 32, 64] [1, 1, 1] : tensor<32x64xf32> into tensor<100x32x64xf32>
    scf.yield %n, %z : tensor<32x64xf32>, tensor<100x32x64xf32>
  }
  kern.return %r#0, %r#1 : tensor<32x64xf32>, tensor<100x32x64xf32>
}

// -----

// A sum over the rows mixes them. Along the columns they are mixed, too.
// CHECK-LABEL: kern.func @mixed
// CHECK-NOT: scf.forall
kern.func @mixed(%h0: tensor<32x64xf32>, %w: tensor<64x64xf32>, %d0: tensor<32x64xf32>) -> tensor<32x64xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c100 = arith.constant 100 : index
  %r = scf.for %t = %c0 to %c100 step %c1 iter_args(%h = %h0) -> (tensor<32x64xf32>) {
    %e = tensor.empty() : tensor<32x32xf32>
    %s = linalg.matmul indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>]
        ins(%h, %h : tensor<32x64xf32>, tensor<32x64xf32>) outs(%e : tensor<32x32xf32>) -> tensor<32x32xf32>
    %f = tensor.empty() : tensor<32x64xf32>
    %n = linalg.matmul ins(%s, %h : tensor<32x32xf32>, tensor<32x64xf32>) outs(%f : tensor<32x64xf32>) -> tensor<32x64xf32>
    scf.yield %n : tensor<32x64xf32>
  }
  kern.return %r : tensor<32x64xf32>
}
