// RUN: nacre-opt %s --merge-products --canonicalize --cse | FileCheck %s

nn.parameter @a = dense<1.0> : tensor<16x8xf32>
nn.parameter @b = dense<2.0> : tensor<16x24xf32>
nn.parameter @c = dense<3.0> : tensor<8xf32>
nn.parameter @d = dense<4.0> : tensor<1x24xf32>
nn.parameter trainable @trained = dense<4.0> : tensor<16x8xf32>

// What is known is there before the first product.
// CHECK-LABEL: func.func @biased
// CHECK: %[[W:.+]] = nn.concat %{{.+}}, %{{.+}} along 1 : (tensor<16x8xf32>, tensor<16x24xf32>) -> tensor<16x32xf32>
// CHECK: %[[Y:.+]] = nn.matmul %arg0, %[[W]] : (tensor<?x16xf32>, tensor<16x32xf32>) -> tensor<?x32xf32>
// CHECK: %[[B:.+]] = nn.concat %{{.+}}, %{{.+}} along 0 : (tensor<8xf32>, tensor<24xf32>) -> tensor<32xf32>
// CHECK: %[[Z:.+]] = nn.add %[[Y]], %[[B]]
// CHECK: nn.slice %[[Z]], {{.+}} -> tensor<?x8xf32>
// CHECK: nn.slice %[[Z]], {{.+}} -> tensor<?x24xf32>
// CHECK-NOT: nn.matmul
// CHECK: return
func.func @biased(%x: tensor<?x16xf32>) -> (tensor<8x?xf32>, tensor<24x?xf32>) {
  %a = nn.get_parameter @a : tensor<16x8xf32>
  %0 = nn.matmul %x, %a : (tensor<?x16xf32>, tensor<16x8xf32>) -> tensor<?x8xf32>
  %c = nn.get_parameter @c : tensor<8xf32>
  %1 = nn.add %0, %c : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %2 = nn.transpose %1 {permutation = array<i64: 1, 0>} : (tensor<?x8xf32>) -> tensor<8x?xf32>
  %b = nn.get_parameter @b : tensor<16x24xf32>
  %3 = nn.matmul %x, %b : (tensor<?x16xf32>, tensor<16x24xf32>) -> tensor<?x24xf32>
  %d = nn.get_parameter @d : tensor<1x24xf32>
  %4 = nn.add %d, %3 : (tensor<1x24xf32>, tensor<?x24xf32>) -> tensor<?x24xf32>
  %5 = nn.transpose %4 {permutation = array<i64: 1, 0>} : (tensor<?x24xf32>) -> tensor<24x?xf32>
  return %2, %5 : tensor<8x?xf32>, tensor<24x?xf32>
}

// Right sides that are transposed are put under each other.
// CHECK-LABEL: func.func @transposed
// CHECK: %[[W:.+]] = nn.concat {{.+}} along 0 : {{.+}} -> tensor<32x24xf32>
// CHECK: nn.matmul %arg0, %[[W]] {transpose_rhs} : (tensor<4x24xf32>, tensor<32x24xf32>) -> tensor<4x32xf32>
// CHECK-NOT: nn.matmul
// CHECK: return
func.func @transposed(%x: tensor<4x24xf32>) -> (tensor<16x4xf32>, tensor<16x4xf32>) {
  %b = nn.get_parameter @b : tensor<16x24xf32>
  %0 = nn.matmul %x, %b {transpose_rhs} : (tensor<4x24xf32>, tensor<16x24xf32>) -> tensor<4x16xf32>
  %1 = nn.matmul %x, %b {transpose_rhs} : (tensor<4x24xf32>, tensor<16x24xf32>) -> tensor<4x16xf32>
  %2 = nn.transpose %0 {permutation = array<i64: 1, 0>} : (tensor<4x16xf32>) -> tensor<16x4xf32>
  %3 = nn.transpose %1 {permutation = array<i64: 1, 0>} : (tensor<4x16xf32>) -> tensor<16x4xf32>
  return %2, %3 : tensor<16x4xf32>, tensor<16x4xf32>
}

// An activation is for the product's own kernel; weights that are trained, and those of another input, stay alone.
// CHECK-LABEL: func.func @others
// CHECK-NOT: nn.concat
// CHECK: return
func.func @others(%x: tensor<4x16xf32>, %z: tensor<4x16xf32>) -> (tensor<8x4xf32>, tensor<24x4xf32>, tensor<8x4xf32>, tensor<8x4xf32>) {
  %a = nn.get_parameter @a : tensor<16x8xf32>
  %b = nn.get_parameter @b : tensor<16x24xf32>
  %t = nn.get_parameter @trained : tensor<16x8xf32>
  %0 = nn.matmul %x, %a : (tensor<4x16xf32>, tensor<16x8xf32>) -> tensor<4x8xf32>
  %1 = nn.matmul %x, %b : (tensor<4x16xf32>, tensor<16x24xf32>) -> tensor<4x24xf32>
  %2 = nn.relu %1 : (tensor<4x24xf32>) -> tensor<4x24xf32>
  %3 = nn.matmul %x, %t : (tensor<4x16xf32>, tensor<16x8xf32>) -> tensor<4x8xf32>
  %4 = nn.matmul %z, %a : (tensor<4x16xf32>, tensor<16x8xf32>) -> tensor<4x8xf32>
  %5 = nn.transpose %0 {permutation = array<i64: 1, 0>} : (tensor<4x8xf32>) -> tensor<8x4xf32>
  %6 = nn.transpose %2 {permutation = array<i64: 1, 0>} : (tensor<4x24xf32>) -> tensor<24x4xf32>
  %7 = nn.transpose %3 {permutation = array<i64: 1, 0>} : (tensor<4x8xf32>) -> tensor<8x4xf32>
  %8 = nn.transpose %4 {permutation = array<i64: 1, 0>} : (tensor<4x8xf32>) -> tensor<8x4xf32>
  return %5, %6, %7, %8 : tensor<8x4xf32>, tensor<24x4xf32>, tensor<8x4xf32>, tensor<8x4xf32>
}
