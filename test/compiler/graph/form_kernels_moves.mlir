// RUN: nacre-opt %s --form-kernels --canonicalize | FileCheck %s

// What moves twice is moved once: here backwards, and into the other order.
// CHECK-LABEL: func.func @moved
// CHECK: kern.call @slice
// CHECK-NEXT: return
func.func @moved(%x: tensor<8x4xf32>) -> tensor<4x8xf32> {
  %s = nn.constant dense<[7, 0]> : tensor<2xi64>
  %e = nn.constant dense<[-9223372036854775808, 4]> : tensor<2xi64>
  %t = nn.constant dense<[-1, 1]> : tensor<2xi64>
  %a = nn.slice %x, %s, %e, %t : (tensor<8x4xf32>, tensor<2xi64>, tensor<2xi64>, tensor<2xi64>) -> tensor<8x4xf32>
  %b = nn.transpose %a {permutation = array<i64: 1, 0>} : (tensor<8x4xf32>) -> tensor<4x8xf32>
  return %b : tensor<4x8xf32>
}
