// Losses and updates print and parse back, and infer their types.
// RUN: nacre-opt %s -infer-shapes | FileCheck %s

// CHECK-LABEL: @nll_loss
func.func @nll_loss(%p: tensor<?x10x4xf32>, %l: tensor<8x?xi64>, %w: tensor<10xf32>) -> (tensor<?x?xf32>, tensor<?x?xf32>) {
  // CHECK: nn.nll_loss %{{.*}}, %{{.*}} : (tensor<?x10x4xf32>, tensor<8x?xi64>) -> (tensor<8x4xf32>, tensor<8x4xf32>)
  %0:2 = nn.nll_loss %p, %l : (tensor<?x10x4xf32>, tensor<8x?xi64>) -> (tensor<?x?xf32>, tensor<?x?xf32>)
  // CHECK: nn.nll_loss %{{.*}}, %{{.*}} weighted %{{.*}} {ignore_index = -1 : i64}
  %1:2 = nn.nll_loss %p, %l weighted %w {ignore_index = -1 : i64}
      : (tensor<?x10x4xf32>, tensor<8x?xi64>, tensor<10xf32>) -> (tensor<?x?xf32>, tensor<?x?xf32>)
  return %0#0, %1#1 : tensor<?x?xf32>, tensor<?x?xf32>
}
