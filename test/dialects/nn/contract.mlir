// RUN: nacre-opt %s -split-input-file -infer-shapes -verify-diagnostics | FileCheck %s

// CHECK-LABEL: @batched
// CHECK: nn.contract {{.*}} -> tensor<6x4x5xf32>
func.func @batched(%a: tensor<?x4x8xf32>, %b: tensor<5x?x6xf32>) {
  %y = nn.contract %a, %b {indexing_maps = [affine_map<(b, i, j, k) -> (b, i, k)>, affine_map<(b, i, j, k) -> (j, k, b)>,
                                            affine_map<(b, i, j, k) -> (b, i, j)>]}
      : (tensor<?x4x8xf32>, tensor<5x?x6xf32>) -> tensor<?x?x?xf32>
  return
}

// -----

// The diagonal; a size of 1 that is stretched.
// CHECK-LABEL: @diagonal
// CHECK: nn.contract {{.*}} -> tensor<4xf32>
func.func @diagonal(%a: tensor<4x4xf32>, %b: tensor<1xf32>) {
  %y = nn.contract %a, %b {indexing_maps = [affine_map<(i) -> (i, i)>, affine_map<(i) -> (0)>, affine_map<(i) -> (i)>]}
      : (tensor<4x4xf32>, tensor<1xf32>) -> tensor<?xf32>
  return
}

// -----

func.func @sizes(%a: tensor<4x5xf32>, %b: tensor<4xf32>) {
  // expected-error @below {{contract's loop 1 has sizes 4 and 5}}
  // expected-error @below {{failed to infer returned types}}
  %y = nn.contract %a, %b {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (j)>, affine_map<(i, j) -> (i)>]}
      : (tensor<4x5xf32>, tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @maps(%a: tensor<4x5xf32>) {
  // expected-error @below {{contract expects one map for each operand and one for the result}}
  // expected-error @below {{failed to infer returned types}}
  %y = nn.contract %a {indexing_maps = [affine_map<(i, j) -> (i, j)>]} : (tensor<4x5xf32>) -> tensor<4xf32>
  return
}

// -----

// CHECK-LABEL: @wide
// CHECK: nn.contract {{.*}} wide} : (tensor<4x8xui8>, tensor<8x6xi8>) -> tensor<4x6xi32>
func.func @wide(%a: tensor<4x8xui8>, %b: tensor<8x6xi8>) {
  %y = nn.contract %a, %b {indexing_maps = [affine_map<(i, j, k) -> (i, k)>, affine_map<(i, j, k) -> (k, j)>, affine_map<(i, j, k) -> (i, j)>], wide}
      : (tensor<4x8xui8>, tensor<8x6xi8>) -> tensor<?x?xi32>
  return
}

// -----

func.func @wide_floats(%a: tensor<4x8xf32>) {
  // expected-error @below {{a wide contract expects 8-bit integers}}
  // expected-error @below {{failed to infer returned types}}
  %y = nn.contract %a {indexing_maps = [affine_map<(i, k) -> (i, k)>, affine_map<(i, k) -> (i)>], wide} : (tensor<4x8xf32>) -> tensor<4xi32>
  return
}
