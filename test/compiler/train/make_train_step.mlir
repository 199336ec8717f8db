// RUN: nacre-opt %s --make-train-step --canonicalize --cse -split-input-file | FileCheck %s

// A linear layer: forward, loss, gradients, update; inputs and outputs in their order.
// CHECK-DAG: nn.parameter trainable @w
// CHECK-DAG: nn.parameter trainable @b
nn.parameter trainable @w = dense<0.5> : tensor<3x4xf32>
nn.parameter trainable @b = dense<0.0> : tensor<4xf32>
// CHECK-LABEL: func.func @main
// CHECK-NOT: nn.set_parameter
// CHECK: func.func @step(%[[X:.*]]: tensor<?x3xf32> {nn.name = "x", nn.symbols = ["N", ""]},
// CHECK-SAME: %[[L:.*]]: tensor<?xi64> {nn.name = "labels_1", nn.symbols = ["N"]},
// CHECK-SAME: %[[RATE:.*]]: tensor<f32> {nn.name = "learning_rate"})
// CHECK-SAME: -> (tensor<f32> {nn.name = "loss"}, tensor<?x4xf32> {nn.name = "labels"})
func.func @main(%x: tensor<?x3xf32> {nn.name = "x", nn.symbols = ["N", ""]}) -> (tensor<?x4xf32> {nn.name = "labels"}) {
  // CHECK-DAG: %[[W:.*]] = nn.get_parameter @w
  // CHECK-DAG: %[[B:.*]] = nn.get_parameter @b
  %w = nn.get_parameter @w : tensor<3x4xf32>
  %b = nn.get_parameter @b : tensor<4xf32>
  // CHECK: %[[Y:.*]] = nn.add
  // CHECK: %[[P:.*]] = nn.softmax %[[Y]] {axis = 1 : i64, log}
  // CHECK: nn.nll_loss %[[P]], %[[L]]
  // CHECK: %[[DY:.*]] = nn.sub
  // CHECK: %[[DB:.*]] = nn.reduce sum, %[[DY]] {axes = array<i64: 0>} : (tensor<?x4xf32>) -> tensor<4xf32>
  // CHECK: %[[DW:.*]] = nn.matmul %[[X]], %[[DY]] {transpose_lhs} : (tensor<?x3xf32>, tensor<?x4xf32>) -> tensor<3x4xf32>
  // CHECK: %[[WIDE:.*]] = nn.cast %[[RATE]] to f64
  // CHECK: %[[R:.*]] = nn.cast %[[WIDE]] to f32
  // CHECK-DAG: %[[STEPW:.*]] = nn.mul %[[DW]], %[[R]]
  // CHECK-DAG: %[[NEWW:.*]] = nn.sub %[[W]], %[[STEPW]]
  // CHECK-DAG: %[[STEPB:.*]] = nn.mul %[[DB]], %[[R]]
  // CHECK-DAG: %[[NEWB:.*]] = nn.sub %[[B]], %[[STEPB]]
  // CHECK-DAG: nn.set_parameter @w, %[[NEWW]]
  // CHECK-DAG: nn.set_parameter @b, %[[NEWB]]
  // CHECK: return %{{.*}}, %[[Y]]
  %p = nn.matmul %x, %w : (tensor<?x3xf32>, tensor<3x4xf32>) -> tensor<?x4xf32>
  %y = nn.add %p, %b : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}
