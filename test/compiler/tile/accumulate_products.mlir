// A contraction of which only sums over its batch are read is computed for one of the batch at a time.
// RUN: nacre-opt %s --pass-pipeline='builtin.module(kern.func(accumulate-products,canonicalize,cse))' | FileCheck %s

#x = affine_map<(m, b, n, k) -> (m, b, k)>
#w = affine_map<(m, b, n, k) -> (b, k, n)>
#p = affine_map<(m, b, n, k) -> (m, b, n)>
#id = affine_map<(m, b, n) -> (m, b, n)>
#s = affine_map<(m, b, n) -> (b, n)>
#y = affine_map<(m, b, n) -> (m, n)>

// CHECK-LABEL: kern.func @sums
// CHECK-SAME: %[[X:[^:]+]]: tensor<?x24x32xi8>, %[[W:[^:]+]]: tensor<24x32x64xi8>, %[[S:[^:]+]]: tensor<24x64xf32>, %[[D:[^:]+]]: tensor<?x64xf32>
// CHECK: %[[ZERO:.+]] = linalg.fill {{.*}} outs(%[[D]] : tensor<?x64xf32>)
// CHECK: scf.for %[[B:.+]] = %{{.+}} to %c24 step %c1 iter_args(%[[SUM:.+]] = %[[ZERO]])
// CHECK-DAG: %[[XB:.+]] = tensor.extract_slice %[[X]][0, %[[B]], 0] [%{{.+}}, 1, 32]
// CHECK-DAG: %[[WB:.+]] = tensor.extract_slice %[[W]][%[[B]], 0, 0] [1, 32, 64]
// CHECK-DAG: %[[XP:.+]] = tensor.extract_slice %[[XB]]{{.*}} to tensor<?x32xi8>
// CHECK-DAG: %[[WP:.+]] = tensor.extract_slice %[[WB]]{{.*}} to tensor<32x64xi8>
// CHECK-DAG: %[[START:.+]] = linalg.fill {{.*}} -> tensor<?x64xi32>
// CHECK: %[[P:.+]] = linalg.generic {{.*}}iterator_types = ["parallel", "parallel", "reduction"]{{.*}} ins(%[[XP]], %[[WP]] : tensor<?x32xi8>, tensor<32x64xi8>) outs(%[[START]] : tensor<?x64xi32>)
// CHECK: linalg.generic {{.*}}iterator_types = ["parallel", "parallel"]{{.*}} ins(%[[P]], %{{.+}} : tensor<?x64xi32>, tensor<64xf32>) outs(%{{.+}} : tensor<?x64xf32>)
kern.func @sums(%x: tensor<?x24x32xi8>, %w: tensor<24x32x64xi8>, %s: tensor<24x64xf32>, %d: tensor<?x64xf32>) -> tensor<?x64xf32> {
  %zero = arith.constant 0 : i32
  %zerof = arith.constant 0.0 : f32
  %c0 = arith.constant 0 : index
  %rows = tensor.dim %d, %c0 : tensor<?x64xf32>
  %e = tensor.empty(%rows) : tensor<?x24x64xi32>
  %f = linalg.fill ins(%zero : i32) outs(%e : tensor<?x24x64xi32>) -> tensor<?x24x64xi32>
  %p = linalg.generic {indexing_maps = [#x, #w, #p], iterator_types = ["parallel", "parallel", "parallel", "reduction"]}
      ins(%x, %w : tensor<?x24x32xi8>, tensor<24x32x64xi8>) outs(%f : tensor<?x24x64xi32>) {
  ^bb0(%a: i8, %b: i8, %c: i32):
    %0 = arith.extui %a : i8 to i32
    %1 = arith.extsi %b : i8 to i32
    %2 = arith.muli %0, %1 : i32
    %3 = arith.addi %c, %2 : i32
    linalg.yield %3 : i32
  } -> tensor<?x24x64xi32>
  %g = linalg.fill ins(%zerof : f32) outs(%d : tensor<?x64xf32>) -> tensor<?x64xf32>
  %y = linalg.generic {indexing_maps = [#id, #s, #y], iterator_types = ["parallel", "reduction", "parallel"]}
      ins(%p, %s : tensor<?x24x64xi32>, tensor<24x64xf32>) outs(%g : tensor<?x64xf32>) {
  ^bb0(%a: i32, %b: f32, %c: f32):
    %0 = arith.sitofp %a : i32 to f32
    %1 = arith.mulf %0, %b : f32
    %2 = arith.addf %c, %1 : f32
    linalg.yield %2 : f32
  } -> tensor<?x64xf32>
  kern.return %y : tensor<?x64xf32>
}

// Sums along the columns stay: lanes run along them.
// CHECK-LABEL: kern.func @columns
// CHECK-NOT: scf.for
kern.func @columns(%x: tensor<8x16xf32>, %w: tensor<16x64xf32>, %d: tensor<8xf32>) -> tensor<8xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<8x64xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<8x64xf32>) -> tensor<8x64xf32>
  %p = linalg.generic {indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>],
                       iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %w : tensor<8x16xf32>, tensor<16x64xf32>) outs(%f : tensor<8x64xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %0 = arith.mulf %a, %b : f32
    %1 = arith.addf %c, %0 : f32
    linalg.yield %1 : f32
  } -> tensor<8x64xf32>
  %g = linalg.fill ins(%zero : f32) outs(%d : tensor<8xf32>) -> tensor<8xf32>
  %y = linalg.generic {indexing_maps = [affine_map<(m, n) -> (m, n)>, affine_map<(m, n) -> (m)>], iterator_types = ["parallel", "reduction"]}
      ins(%p : tensor<8x64xf32>) outs(%g : tensor<8xf32>) {
  ^bb0(%a: f32, %c: f32):
    %0 = arith.addf %c, %a : f32
    linalg.yield %0 : f32
  } -> tensor<8xf32>
  kern.return %y : tensor<8xf32>
}
