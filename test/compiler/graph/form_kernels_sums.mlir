// RUN: nacre-opt %s --form-kernels --canonicalize | FileCheck %s

// A product of each of a batch's integers joins the sum over the batch: its results are never in memory.
// CHECK-LABEL: func.func @summed_products
// CHECK-COUNT-1: kern.call
// CHECK-NOT: kern.call
// CHECK: return
func.func @summed_products(%x: tensor<4x2x8xui8>, %w: tensor<2x8x16xi8>, %s: tensor<2x16xf32>) -> tensor<4x16xf32> {
  %p = nn.contract %x, %w {indexing_maps = [affine_map<(m, b, n, k) -> (m, b, k)>, affine_map<(m, b, n, k) -> (b, k, n)>,
                                            affine_map<(m, b, n, k) -> (m, b, n)>], wide} : (tensor<4x2x8xui8>, tensor<2x8x16xi8>) -> tensor<4x2x16xi32>
  %f = nn.cast %p to f32 : (tensor<4x2x16xi32>) -> tensor<4x2x16xf32>
  %d = nn.mul %f, %s : (tensor<4x2x16xf32>, tensor<2x16xf32>) -> tensor<4x2x16xf32>
  %y = nn.reduce sum, %d {axes = array<i64: 1>} : (tensor<4x2x16xf32>) -> tensor<4x16xf32>
  return %y : tensor<4x16xf32>
}

// Sums over columns, and the largest of a batch, are kernels of their own.
// CHECK-LABEL: func.func @other_products
// CHECK-COUNT-4: kern.call
// CHECK: return
func.func @other_products(%x: tensor<4x2x8xui8>, %w: tensor<2x8x16xi8>) -> (tensor<4x2xi32>, tensor<4x16xi32>) {
  %p = nn.contract %x, %w {indexing_maps = [affine_map<(m, b, n, k) -> (m, b, k)>, affine_map<(m, b, n, k) -> (b, k, n)>,
                                            affine_map<(m, b, n, k) -> (m, b, n)>], wide} : (tensor<4x2x8xui8>, tensor<2x8x16xi8>) -> tensor<4x2x16xi32>
  %y = nn.reduce sum, %p {axes = array<i64: 2>} : (tensor<4x2x16xi32>) -> tensor<4x2xi32>
  %x2 = nn.relu %x : (tensor<4x2x8xui8>) -> tensor<4x2x8xui8>
  %q = nn.contract %x2, %w {indexing_maps = [affine_map<(m, b, n, k) -> (m, b, k)>, affine_map<(m, b, n, k) -> (b, k, n)>,
                                             affine_map<(m, b, n, k) -> (m, b, n)>], wide} : (tensor<4x2x8xui8>, tensor<2x8x16xi8>) -> tensor<4x2x16xi32>
  %z = nn.reduce max, %q {axes = array<i64: 1>} : (tensor<4x2x16xi32>) -> tensor<4x16xi32>
  return %y, %z : tensor<4x2xi32>, tensor<4x16xi32>
}
