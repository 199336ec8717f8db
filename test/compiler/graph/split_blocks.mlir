// RUN: nacre-opt %s --split-blocks | FileCheck %s

nn.parameter @q = dense<1> : tensor<64x8xui8>
nn.parameter @s = dense<2.0> : tensor<2x8xf32>
nn.parameter @z = dense<3> : tensor<2x8xui8>

// A scale and a zero point for each 32 rows of a matrix are computed with where each stands once.
// CHECK-LABEL: func.func @weights
// CHECK-NOT: nn.broadcast
// CHECK-DAG: %[[S:.+]] = nn.unsqueeze %{{.+}} : (tensor<2x8xf32>) -> tensor<2x1x8xf32>
// CHECK-DAG: %[[Z:.+]] = nn.cast %{{.+}} : (tensor<2x1x8xui8>) -> tensor<2x1x8xi32>
// CHECK-DAG: %[[U:.+]] = nn.reshape %{{.+}} : (tensor<64x8xui8>, tensor<3xi64>) -> tensor<2x32x8xui8>
// CHECK-DAG: %[[Q:.+]] = nn.cast %[[U]] to i32
// CHECK: %[[D:.+]] = nn.sub %[[Q]], %[[Z]]
// CHECK: %[[F:.+]] = nn.cast %[[D]] to f32
// CHECK: %[[W:.+]] = nn.mul %[[F]], %[[S]] : (tensor<2x32x8xf32>, tensor<2x1x8xf32>) -> tensor<2x32x8xf32>
// CHECK: %[[Y:.+]] = nn.collapse %[[W]] from 0 to 2 : (tensor<2x32x8xf32>) -> tensor<64x8xf32>
// CHECK: return %[[Y]]
func.func @weights() -> tensor<64x8xf32> {
  %shape = nn.constant dense<[2, 32, 8]> : tensor<3xi64>
  %q = nn.get_parameter @q : tensor<64x8xui8>
  %s = nn.get_parameter @s : tensor<2x8xf32>
  %z = nn.get_parameter @z : tensor<2x8xui8>
  %s1 = nn.unsqueeze %s {axes = array<i64: 1>} : (tensor<2x8xf32>) -> tensor<2x1x8xf32>
  %s2 = nn.broadcast %s1, %shape : (tensor<2x1x8xf32>, tensor<3xi64>) -> tensor<2x32x8xf32>
  %s3 = nn.collapse %s2 from 0 to 2 : (tensor<2x32x8xf32>) -> tensor<64x8xf32>
  %z1 = nn.unsqueeze %z {axes = array<i64: 1>} : (tensor<2x8xui8>) -> tensor<2x1x8xui8>
  %z2 = nn.broadcast %z1, %shape : (tensor<2x1x8xui8>, tensor<3xi64>) -> tensor<2x32x8xui8>
  %z3 = nn.collapse %z2 from 0 to 2 : (tensor<2x32x8xui8>) -> tensor<64x8xui8>
  %qi = nn.cast %q to i32 : (tensor<64x8xui8>) -> tensor<64x8xi32>
  %zi = nn.cast %z3 to i32 : (tensor<64x8xui8>) -> tensor<64x8xi32>
  %d = nn.sub %qi, %zi : (tensor<64x8xi32>, tensor<64x8xi32>) -> tensor<64x8xi32>
  %f = nn.cast %d to f32 : (tensor<64x8xi32>) -> tensor<64x8xf32>
  %w = nn.mul %f, %s3 : (tensor<64x8xf32>, tensor<64x8xf32>) -> tensor<64x8xf32>
  return %w : tensor<64x8xf32>
}

// What is computed in each run keeps its loops.
// CHECK-LABEL: func.func @values
// CHECK: nn.broadcast
// CHECK: nn.collapse
// CHECK: nn.mul %{{.+}} : (tensor<64x8xf32>, tensor<64x8xf32>)
func.func @values(%x: tensor<64x8xf32>) -> tensor<64x8xf32> {
  %shape = nn.constant dense<[2, 32, 8]> : tensor<3xi64>
  %s = nn.get_parameter @s : tensor<2x8xf32>
  %s1 = nn.unsqueeze %s {axes = array<i64: 1>} : (tensor<2x8xf32>) -> tensor<2x1x8xf32>
  %s2 = nn.broadcast %s1, %shape : (tensor<2x1x8xf32>, tensor<3xi64>) -> tensor<2x32x8xf32>
  %s3 = nn.collapse %s2 from 0 to 2 : (tensor<2x32x8xf32>) -> tensor<64x8xf32>
  %w = nn.mul %x, %s3 : (tensor<64x8xf32>, tensor<64x8xf32>) -> tensor<64x8xf32>
  return %w : tensor<64x8xf32>
}
