// RUN: nacre-opt %s --fold-empty | FileCheck %s

// What has no elements is not computed, and what has some is computed of it.
// CHECK-LABEL: func.func @none
// CHECK-NOT: nn.relu
// CHECK: %[[NONE:.*]] = nn.constant dense<> : tensor<0x4xf32>
// CHECK-NOT: nn.relu
// CHECK: %[[SUM:.*]] = nn.reduce sum, %[[NONE]]
// CHECK: return %[[NONE]], %[[SUM]]
func.func @none(%x: tensor<0x4xf32>) -> (tensor<0x4xf32>, tensor<4xf32>) {
  %0 = nn.relu %x : (tensor<0x4xf32>) -> tensor<0x4xf32>
  %1 = nn.reduce sum, %0 {axes = array<i64: 0>} : (tensor<0x4xf32>) -> tensor<4xf32>
  return %0, %1 : tensor<0x4xf32>, tensor<4xf32>
}

// What may have elements in another run stays.
// CHECK-LABEL: func.func @open
// CHECK: nn.relu
func.func @open(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  %0 = nn.relu %x : (tensor<?x4xf32>) -> tensor<?x4xf32>
  return %0 : tensor<?x4xf32>
}
