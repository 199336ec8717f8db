// RUN: nacre-opt %s --pass-pipeline='builtin.module(func.func(keep-narrow-weights))' | FileCheck %s

// CHECK-DAG: #[[X:.+]] = affine_map<(d0, d1, d2) -> (d0, d2)>
// CHECK-DAG: #[[W:.+]] = affine_map<(d0, d1, d2) -> (d2, d1)>
// CHECK-DAG: #[[Y:.+]] = affine_map<(d0, d1, d2) -> (d0, d1)>
// CHECK-DAG: #[[BS:.+]] = affine_map<(d0, d1, d2, d3) -> (d1, d2)>
// CHECK-DAG: #[[BQ:.+]] = affine_map<(d0, d1, d2, d3) -> (d1, d2, d3)>
// CHECK-DAG: #[[BX:.+]] = affine_map<(d0, d1, d2, d3) -> (d0, d2, d3)>

nn.parameter @q = dense<3> : tensor<64x32xi8>
nn.parameter @s = dense<0.5> : tensor<32xf32>
nn.parameter @bytes = dense<7> : tensor<32x4x16xui8>
nn.parameter @blocks = dense<0.5> : tensor<32x4x1xf32>
nn.parameter @rows = dense<0.5> : tensor<64x1xf32>

// A scale for each column goes to the result.
// CHECK-LABEL: func.func @of_columns
// CHECK: %[[Q:.+]] = nn.cast %{{.+}} to i8
// CHECK: %[[P:.+]] = nn.contract %arg0, %[[Q]] {indexing_maps = [#[[X]], #[[W]], #[[Y]]]} : (tensor<1x64xf32>, tensor<64x32xi8>) -> tensor<1x32xf32>
// CHECK: nn.mul %[[P]]
func.func @of_columns(%x: tensor<1x64xf32>) -> tensor<1x32xf32> {
  %q = nn.get_parameter @q : tensor<64x32xi8>
  %s = nn.get_parameter @s : tensor<32xf32>
  %f = nn.cast %q to f32 : (tensor<64x32xi8>) -> tensor<64x32xf32>
  %w = nn.mul %f, %s : (tensor<64x32xf32>, tensor<32xf32>) -> tensor<64x32xf32>
  %y = nn.matmul %x, %w : (tensor<1x64xf32>, tensor<64x32xf32>) -> tensor<1x32xf32>
  return %y : tensor<1x32xf32>
}

// Blocks of 16 with a scale each, of an open number of rows; 4 bits less 8 are in 8 bits.
// CHECK-LABEL: func.func @in_blocks
// CHECK: %[[D:.+]] = nn.sub
// CHECK-DAG: %[[Q:.+]] = nn.cast %[[D]] to i8
// CHECK-DAG: %[[R:.+]] = nn.reshape %arg0, %{{.+}} : (tensor<?x64xf32>, tensor<3xi64>) -> tensor<?x4x16xf32>
// CHECK: nn.contract %[[R]], %[[Q]], %{{.+}} {indexing_maps = [#[[BX]], #[[BQ]], #[[BS]], #{{.+}}]} : (tensor<?x4x16xf32>, tensor<32x4x16xi8>, tensor<32x4xf32>) -> tensor<?x32xf32>
func.func @in_blocks(%x: tensor<?x64xf32>) -> tensor<?x32xf32> {
  %b = nn.get_parameter @bytes : tensor<32x4x16xui8>
  %s = nn.get_parameter @blocks : tensor<32x4x1xf32>
  %mask = nn.constant dense<15> : tensor<ui8>
  %eight = nn.constant dense<8.0> : tensor<f32>
  %sizes = nn.constant dense<[32, 64]> : tensor<2xi64>
  %q = nn.and %b, %mask : (tensor<32x4x16xui8>, tensor<ui8>) -> tensor<32x4x16xui8>
  %f = nn.cast %q to f32 : (tensor<32x4x16xui8>) -> tensor<32x4x16xf32>
  %d = nn.sub %f, %eight : (tensor<32x4x16xf32>, tensor<f32>) -> tensor<32x4x16xf32>
  %w = nn.mul %d, %s : (tensor<32x4x16xf32>, tensor<32x4x1xf32>) -> tensor<32x4x16xf32>
  %m = nn.reshape %w, %sizes : (tensor<32x4x16xf32>, tensor<2xi64>) -> tensor<32x64xf32>
  %y = nn.matmul %x, %m {transpose_rhs} : (tensor<?x64xf32>, tensor<32x64xf32>) -> tensor<?x32xf32>
  return %y : tensor<?x32xf32>
}

// Not of many rows, not with a scale for each row of the matrix, not where the difference needs 9 bits.
// CHECK-LABEL: func.func @others
// CHECK-NOT: nn.contract
func.func @others(%x: tensor<9x64xf32>, %v: tensor<1x64xf32>) -> (tensor<9x32xf32>, tensor<1x32xf32>, tensor<1x64xf32>) {
  %q = nn.get_parameter @q : tensor<64x32xi8>
  %s = nn.get_parameter @s : tensor<32xf32>
  %r = nn.get_parameter @rows : tensor<64x1xf32>
  %f = nn.cast %q to f32 : (tensor<64x32xi8>) -> tensor<64x32xf32>
  %w = nn.mul %f, %s : (tensor<64x32xf32>, tensor<32xf32>) -> tensor<64x32xf32>
  %y = nn.matmul %x, %w : (tensor<9x64xf32>, tensor<64x32xf32>) -> tensor<9x32xf32>
  %u = nn.mul %f, %r : (tensor<64x32xf32>, tensor<64x1xf32>) -> tensor<64x32xf32>
  %z = nn.matmul %v, %u : (tensor<1x64xf32>, tensor<64x32xf32>) -> tensor<1x32xf32>
  %b = nn.get_parameter @bytes : tensor<32x4x16xui8>
  %bs = nn.get_parameter @blocks : tensor<32x4x1xf32>
  %eight = nn.constant dense<8.0> : tensor<f32>
  %sizes = nn.constant dense<[32, 64]> : tensor<2xi64>
  %bf = nn.cast %b to f32 : (tensor<32x4x16xui8>) -> tensor<32x4x16xf32>
  %d = nn.sub %bf, %eight : (tensor<32x4x16xf32>, tensor<f32>) -> tensor<32x4x16xf32>
  %bw = nn.mul %d, %bs : (tensor<32x4x16xf32>, tensor<32x4x1xf32>) -> tensor<32x4x16xf32>
  %m = nn.reshape %bw, %sizes : (tensor<32x4x16xf32>, tensor<2xi64>) -> tensor<32x64xf32>
  %t = nn.matmul %z, %m : (tensor<1x32xf32>, tensor<32x64xf32>) -> tensor<1x64xf32>
  return %y, %z, %t : tensor<9x32xf32>, tensor<1x32xf32>, tensor<1x64xf32>
}
