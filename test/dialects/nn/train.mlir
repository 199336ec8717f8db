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

nn.parameter trainable @w = dense<1.0> : tensor<4x8xf32>
// CHECK-LABEL: @update
func.func @update(%g: tensor<4x8xf32>) {
  // CHECK: nn.set_parameter @w, %{{.*}} : tensor<4x8xf32>
  %w = nn.get_parameter @w : tensor<4x8xf32>
  %new = nn.sub %w, %g : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  nn.set_parameter @w, %new : tensor<4x8xf32>
  return
}

// Two variables of one value stay two.
// CHECK-LABEL: @gradient
func.func @gradient(%x: tensor<4x8xf32>, %z: tensor<?xi64>) -> tensor<?x?xf32> {
  // CHECK: nn.variable %{{.*}} "a" : (tensor<4x8xf32>) -> tensor<4x8xf32>
  // CHECK: nn.variable %{{.*}} "b" : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %a = nn.variable %x "a" : (tensor<4x8xf32>) -> tensor<?x?xf32>
  %b = nn.variable %x "b" : (tensor<4x8xf32>) -> tensor<?x?xf32>
  // CHECK: nn.gradient %{{.*}} by(%{{.*}}, %{{.*}}) with(%{{.*}}) at(%{{.*}}, %{{.*}}, %{{.*}}) : {{.*}} -> (tensor<4x8xf32>, tensor<4x8xf32>)
  %d:2 = nn.gradient %a by (%a, %b) with (%z) at (%x, %b, %z)
      : (tensor<?x?xf32>, tensor<?x?xf32>, tensor<?x?xf32>, tensor<?xi64>, tensor<4x8xf32>, tensor<?x?xf32>, tensor<?xi64>)
      -> (tensor<?x?xf32>, tensor<?x?xf32>)
  return %d#1 : tensor<?x?xf32>
}

nn.parameter trainable @mean = dense<0.0> : tensor<8xf32>
// CHECK-LABEL: @in_training
func.func @in_training(%t: tensor<4x8xf32>, %i: tensor<4x8xf32>, %m: tensor<8xf32>) -> tensor<?x8xf32> {
  // CHECK: nn.update_parameter @mean, %{{.*}} : tensor<8xf32>
  nn.update_parameter @mean, %m : tensor<8xf32>
  // CHECK: nn.in_training %{{.*}} else %{{.*}} : tensor<4x8xf32>, tensor<4x8xf32> -> tensor<4x8xf32>
  %y = nn.in_training %t else %i : tensor<4x8xf32>, tensor<4x8xf32> -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}
