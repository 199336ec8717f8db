// RUN: nacre-opt %s --hoist-parameters=max-bytes=16 | FileCheck %s --check-prefix=LIMIT
// RUN: nacre-opt %s --hoist-parameters --canonicalize | FileCheck %s

// Beside `max-bytes`, twice what the parameters are: 32 bytes. The result has 1024.
nn.parameter @w = dense<[1.0, 2.0, 3.0, 4.0]> : tensor<4xf32>

// LIMIT-LABEL: func.func @main
// LIMIT: nn.broadcast
// LIMIT-NOT: func.func @prepare
// CHECK-LABEL: func.func @main
// CHECK-NOT: nn.broadcast
// CHECK: func.func @prepare
// CHECK: nn.broadcast
func.func @main(%x: tensor<64x4xf32>) -> tensor<64x4xf32> {
  %w = nn.get_parameter @w : tensor<4xf32>
  %shape = nn.constant dense<[64, 4]> : tensor<2xi64>
  %b = nn.broadcast %w, %shape : (tensor<4xf32>, tensor<2xi64>) -> tensor<64x4xf32>
  %t = nn.tanh %b : (tensor<64x4xf32>) -> tensor<64x4xf32>
  %0 = nn.mul %x, %t : (tensor<64x4xf32>, tensor<64x4xf32>) -> tensor<64x4xf32>
  return %0 : tensor<64x4xf32>
}
