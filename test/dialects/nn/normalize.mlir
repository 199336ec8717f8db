// Softmax and normalisations print and parse back, and infer their types.
// RUN: nacre-opt %s -infer-shapes | nacre-opt | FileCheck %s

// CHECK-LABEL: @rows
func.func @rows(%x: tensor<4x?x5xf32>) {
  // CHECK: nn.softmax %{{.*}} {axis = 1 : i64} : (tensor<4x?x5xf32>) -> tensor<4x?x5xf32>
  %0 = nn.softmax %x {axis = 1 : i64} : (tensor<4x?x5xf32>) -> tensor<?x?x?xf32>
  // CHECK: nn.softmax %{{.*}} {axis = 2 : i64, log} : (tensor<4x?x5xf32>) -> tensor<4x?x5xf32>
  %1 = nn.softmax %0 {axis = 2 : i64, log} : (tensor<?x?x?xf32>) -> tensor<?x?x?xf32>
  // CHECK: nn.hardmax
  %2 = nn.hardmax %1 {axis = 0 : i64} : (tensor<?x?x?xf32>) -> tensor<?x?x?xf32>
  // CHECK: nn.normalize %{{.*}} {axes = array<i64: 1, 2>, epsilon = 1.000000e-05 : f64, rms} : (tensor<4x?x5xf32>) -> tensor<4x?x5xf32>
  %3 = nn.normalize %2 {axes = array<i64: 1, 2>, epsilon = 1.0e-5 : f64, rms} : (tensor<?x?x?xf32>) -> tensor<?x?x?xf32>
  return
}

// CHECK-LABEL: @channels
func.func @channels(%x: tensor<?x64x5xf32>, %v: tensor<64xf32>) {
  // CHECK: nn.batch_norm {{.*}} {epsilon = 1.000000e-05 : f64} : {{.*}} -> tensor<?x64x5xf32>
  %0 = nn.batch_norm %x, %v, %v, %v, %v {epsilon = 1.0e-5 : f64}
      : (tensor<?x64x5xf32>, tensor<64xf32>, tensor<64xf32>, tensor<64xf32>, tensor<64xf32>) -> tensor<?x?x?xf32>
  // CHECK: nn.group_norm {{.*}} {epsilon = 1.000000e-05 : f64, groups = 8 : i64} : {{.*}} -> tensor<?x64x5xf32>
  %1 = nn.group_norm %0, %v, %v {groups = 8 : i64, epsilon = 1.0e-5 : f64}
      : (tensor<?x?x?xf32>, tensor<64xf32>, tensor<64xf32>) -> tensor<?x?x?xf32>
  return
}
