// RUN: nacre-opt %s --infer-shapes | FileCheck %s

// CHECK-LABEL: func.func @chain
// CHECK-SAME: -> tensor<4x8xf32>
func.func @chain(%x: tensor<4x8xf32>) -> tensor<?x?xf32> {
  // CHECK: nn.relu {{.*}} -> tensor<4x8xf32>
  %0 = nn.relu %x : (tensor<4x8xf32>) -> tensor<?x?xf32>
  return %0 : tensor<?x?xf32>
}
