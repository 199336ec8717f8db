// RUN: nacre-opt %s --make-evaluation=loss=mse -split-input-file -verify-diagnostics | FileCheck %s

// The loss comes first, the targets last; nothing is differentiated or set.
// CHECK-LABEL: func.func @main
// CHECK-NOT: targets
// CHECK: func.func @evaluate(%[[X:.*]]: tensor<?x3xf32> {nn.name = "x", nn.symbols = ["N", ""]},
// CHECK-SAME: %[[T:.*]]: tensor<?x4xf32> {nn.name = "targets", nn.symbols = ["N", ""]})
// CHECK-SAME: -> (tensor<f32> {nn.name = "loss"}, tensor<?x4xf32> {nn.name = "y"})
// CHECK: %[[Y:.*]] = nn.matmul %[[X]]
// CHECK: nn.sub %[[Y]], %[[T]]
// CHECK-NOT: nn.set_parameter
// CHECK: return %{{.*}}, %[[Y]]
nn.parameter trainable @w = dense<0.5> : tensor<3x4xf32>
func.func @main(%x: tensor<?x3xf32> {nn.name = "x", nn.symbols = ["N", ""]}) -> (tensor<?x4xf32> {nn.name = "y"}) {
  %w = nn.get_parameter @w : tensor<3x4xf32>
  %y = nn.matmul %x, %w : (tensor<?x3xf32>, tensor<3x4xf32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// -----

func.func @main(%x: tensor<3xf32> {nn.name = "x"}) -> (tensor<3xf32> {nn.name = "y"}) {
  return %x : tensor<3xf32>
}
// expected-error @below {{the name 'evaluate' is taken: a function for training has it}}
func.func private @evaluate()
