// RUN: nacre-opt %s --resolve-training-mode --split-input-file --verify-diagnostics | FileCheck %s

nn.parameter trainable @w = dense<1.0> : tensor<4xf32>
nn.parameter trainable @mean = dense<0.0> : tensor<4xf32>

// CHECK-LABEL: func.func @main
// CHECK-SAME: %[[T:.*]]: tensor<?x4xf32>, %[[I:.*]]: tensor<?x4xf32>
// CHECK-NOT: nn.set_parameter
// CHECK: return %[[I]]
func.func @main(%t: tensor<?x4xf32>, %i: tensor<?x4xf32>, %m: tensor<4xf32>) -> tensor<?x4xf32> {
  nn.update_parameter @mean, %m : tensor<4xf32>
  %y = nn.in_training %t else %i : tensor<?x4xf32>, tensor<?x4xf32> -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// CHECK-LABEL: func.func @step
// CHECK-SAME: %[[T:.*]]: tensor<?x4xf32>, %[[I:.*]]: tensor<?x4xf32>, %[[M:.*]]: tensor<4xf32>
// CHECK-DAG: nn.set_parameter @mean, %[[M]]
// CHECK-DAG: nn.set_parameter @w
// CHECK: return %[[T]]
func.func @step(%t: tensor<?x4xf32>, %i: tensor<?x4xf32>, %m: tensor<4xf32>) -> tensor<?x4xf32> {
  nn.update_parameter @mean, %m : tensor<4xf32>
  %y = nn.in_training %t else %i : tensor<?x4xf32>, tensor<?x4xf32> -> tensor<?x4xf32>
  nn.set_parameter @w, %m : tensor<4xf32>
  return %y : tensor<?x4xf32>
}

// -----

nn.parameter trainable @w = dense<1.0> : tensor<4xf32>

func.func @step(%m: tensor<4xf32>) {
  nn.set_parameter @w, %m : tensor<4xf32>
  // expected-error @+1 {{updates 'w', which another node updates as well}}
  nn.update_parameter @w, %m : tensor<4xf32>
  return
}
