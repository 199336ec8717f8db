// RUN: nacre-opt %s --make-train-step="loss=output:l optimizer=sgd:momentum=0.9 groups='b:frozen + w:lr_factor=10'" --canonicalize --cse | FileCheck %s
// RUN: nacre-opt %s --make-train-step="loss=output:l accumulate=4 clip-norm=1" --canonicalize --cse | FileCheck %s --check-prefix=MEAN

// The state stands beside its parameter, begins as zeros and is set where the parameter is.
// A frozen parameter is a constant.
// CHECK-DAG: nn.parameter trainable @w.momentum = dense<0.000000e+00> : tensor<4xf32>
// CHECK-DAG: nn.parameter trainable @w =
// CHECK-DAG: nn.parameter @b =
// CHECK: func.func @step(%[[RATE:.*]]: tensor<f32> {nn.name = "learning_rate"})
// CHECK-DAG: %[[M:.*]] = nn.get_parameter @w.momentum
// CHECK-DAG: %[[KEPT:.*]] = nn.mul %[[M]], %{{.*}} : (tensor<4xf32>, tensor<f32>)
// CHECK-DAG: %[[NEW:.*]] = nn.add %[[KEPT]], %{{.*}} : (tensor<4xf32>, tensor<4xf32>)
// The factor of the group is multiplied in f64.
// CHECK-DAG: %[[WIDE:.*]] = nn.cast %[[RATE]] to f64
// CHECK-DAG: %[[OWN:.*]] = nn.mul %[[WIDE]], %{{.*}} : (tensor<f64>, tensor<f64>)
// CHECK-DAG: %[[NARROW:.*]] = nn.cast %[[OWN]] to f32
// CHECK-DAG: nn.mul %[[NEW]], %[[NARROW]]
// CHECK-NOT: nn.set_parameter @b
// CHECK-DAG: nn.set_parameter @w.momentum, %[[NEW]]
// CHECK-DAG: nn.set_parameter @w,

// Between updates the parameter keeps its value.
// MEAN-DAG: nn.parameter trainable @w.gradient = dense<0.000000e+00>
// MEAN-DAG: nn.parameter trainable @optimizer.batches = dense<0> : tensor<i64>
// MEAN: func.func @step
// MEAN-DAG: %[[DUE:.*]] = nn.compare eq, %{{.*}}, %{{.*}} : (tensor<i64>, tensor<i64>) -> tensor<i1>
// MEAN-DAG: %[[W:.*]] = nn.get_parameter @w :
// MEAN-DAG: %[[SET:.*]] = nn.where %[[DUE]], %{{.*}}, %[[W]]
// MEAN-DAG: nn.set_parameter @w, %[[SET]]
// MEAN-DAG: nn.set_parameter @w.gradient
// MEAN-DAG: nn.set_parameter @optimizer.batches
nn.parameter trainable @w = dense<0.5> : tensor<4xf32>
nn.parameter trainable @b = dense<0.5> : tensor<4xf32>
func.func @main() -> (tensor<f32> {nn.name = "l"}) {
  %w = nn.get_parameter @w : tensor<4xf32>
  %b = nn.get_parameter @b : tensor<4xf32>
  %p = nn.mul %w, %b : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %l = nn.reduce sum, %p {axes = array<i64: 0>} : (tensor<4xf32>) -> tensor<f32>
  return %l : tensor<f32>
}
