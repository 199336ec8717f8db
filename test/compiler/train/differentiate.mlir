// RUN: nacre-opt %s --make-train-step=loss=output:l --canonicalize --cse -split-input-file | FileCheck %s

// A value used twice: its gradients are summed. A parameter read twice is one.
nn.parameter trainable @w = dense<0.5> : tensor<4xf32>
// CHECK-LABEL: func.func @step
// CHECK-COUNT-1: nn.get_parameter @w
// CHECK-NOT: nn.get_parameter
// CHECK: nn.add {{.*}} : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
// CHECK-COUNT-1: nn.set_parameter @w
// CHECK-NOT: nn.set_parameter
func.func @main() -> (tensor<f32> {nn.name = "l"}) {
  %a = nn.get_parameter @w : tensor<4xf32>
  %b = nn.get_parameter @w : tensor<4xf32>
  %e = nn.exp %a : (tensor<4xf32>) -> tensor<4xf32>
  %s = nn.sin %b : (tensor<4xf32>) -> tensor<4xf32>
  %p = nn.mul %e, %s : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %l = nn.reduce sum, %p {axes = array<i64: 0>} : (tensor<4xf32>) -> tensor<f32>
  return %l : tensor<f32>
}

// -----

// Sums over the dimensions that an operand was broadcast along: static ones, leading
// ones, and one that may turn out to be 1 at run time.
nn.parameter trainable @w = dense<0.5> : tensor<3x1xf32>
// CHECK-LABEL: func.func @step
// CHECK-SAME: (%[[X:.*]]: tensor<?x3x5xf32>
// CHECK: nn.reduce sum, %{{.*}} {axes = array<i64: 0, 2>} : (tensor<?x3x5xf32>) -> tensor<3xf32>
// CHECK: nn.unsqueeze %{{.*}} {axes = array<i64: 1>} : (tensor<3xf32>) -> tensor<3x1xf32>
func.func @main(%x: tensor<?x3x5xf32>) -> (tensor<f32> {nn.name = "l"}) {
  %w = nn.get_parameter @w : tensor<3x1xf32>
  %p = nn.mul %x, %w : (tensor<?x3x5xf32>, tensor<3x1xf32>) -> tensor<?x3x5xf32>
  %l = nn.reduce sum, %p {axes = array<i64: 0, 1, 2>} : (tensor<?x3x5xf32>) -> tensor<f32>
  return %l : tensor<f32>
}

// -----

nn.parameter trainable @w = dense<0.5> : tensor<f32>
// CHECK-LABEL: func.func @step
// CHECK-SAME: (%[[X:.*]]: tensor<?xf32>, %[[Y:.*]]: tensor<?xf32>
// CHECK: scf.if
// CHECK: nn.reduce sum, %{{.*}} {axes = array<i64: 0>, keepdims}
func.func @main(%x: tensor<?xf32>, %y: tensor<?xf32>) -> (tensor<f32> {nn.name = "l"}) {
  %w = nn.get_parameter @w : tensor<f32>
  %a = nn.mul %x, %w : (tensor<?xf32>, tensor<f32>) -> tensor<?xf32>
  %p = nn.mul %a, %y : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32>
  %l = nn.reduce sum, %p {axes = array<i64: 0>} : (tensor<?xf32>) -> tensor<f32>
  return %l : tensor<f32>
}

// -----

// What the loss does not depend on differentiably is trained no more.
// CHECK: nn.parameter @frozen
// CHECK-LABEL: func.func @step
nn.parameter trainable @w = dense<0.5> : tensor<4xf32>
nn.parameter trainable @frozen = dense<0.5> : tensor<4xf32>
func.func @main() -> (tensor<f32> {nn.name = "l"}) {
  %w = nn.get_parameter @w : tensor<4xf32>
  %f = nn.get_parameter @frozen : tensor<4xf32>
  %r = nn.floor %f : (tensor<4xf32>) -> tensor<4xf32>
  %p = nn.mul %w, %r : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %l = nn.reduce sum, %p {axes = array<i64: 0>} : (tensor<4xf32>) -> tensor<f32>
  return %l : tensor<f32>
}

// -----

// A cumulative product: what comes after each element is summed in steps of 1, 2, 4, ...
nn.parameter trainable @w = dense<0.5> : tensor<5xf32>
// CHECK-LABEL: func.func @step
// CHECK: nn.cumulative prod, %{{.*}} {axis = 0 : i64, exclusive}
// CHECK-COUNT-3: nn.add
// CHECK-NOT: scf.for
// CHECK-NOT: nn.div
// CHECK: nn.set_parameter @w
func.func @main() -> (tensor<f32> {nn.name = "l"}) {
  %w = nn.get_parameter @w : tensor<5xf32>
  %c = nn.cumulative prod, %w {axis = 0 : i64} : (tensor<5xf32>) -> tensor<5xf32>
  %l = nn.reduce sum, %c {axes = array<i64: 0>} : (tensor<5xf32>) -> tensor<f32>
  return %l : tensor<f32>
}

// -----

// How many steps is known in the run.
nn.parameter trainable @w = dense<0.5> : tensor<f32>
// CHECK-LABEL: func.func @step
// CHECK: math.ctlz
// CHECK: scf.for
// CHECK: nn.pad
func.func @main(%x: tensor<?xf32>) -> (tensor<f32> {nn.name = "l"}) {
  %w = nn.get_parameter @w : tensor<f32>
  %a = nn.mul %x, %w : (tensor<?xf32>, tensor<f32>) -> tensor<?xf32>
  %c = nn.cumulative prod, %a {axis = 0 : i64} : (tensor<?xf32>) -> tensor<?xf32>
  %l = nn.reduce sum, %c {axes = array<i64: 0>} : (tensor<?xf32>) -> tensor<f32>
  return %l : tensor<f32>
}

// -----

// The adjoint of reading with weights: writing with them.
nn.parameter trainable @w = dense<0.5> : tensor<2x4xf32>
// CHECK-LABEL: func.func @step
// CHECK: nn.scatter_nd %{{.*}} add {in_bounds} : (tensor<4x2xf32>, tensor<8x2x1xi64>, tensor<8x2x2xf32>) -> tensor<4x2xf32>
func.func @main(%i: tensor<8x2xi64>, %t: tensor<8x2xf32>) -> (tensor<f32> {nn.name = "l"}) {
  %w = nn.get_parameter @w : tensor<2x4xf32>
  %r = nn.resample %w, %i, %t along 1 : (tensor<2x4xf32>, tensor<8x2xi64>, tensor<8x2xf32>) -> tensor<2x8xf32>
  %l = nn.reduce sum, %r {axes = array<i64: 0, 1>} : (tensor<2x8xf32>) -> tensor<f32>
  return %l : tensor<f32>
}

// -----

// Not differentiated, but put in the place of what has no gradient of its own.
nn.parameter trainable @w = dense<0.5> : tensor<1x2x2x2xf32>
// CHECK-LABEL: func.func @step
// CHECK-NOT: nn.grid_sample
// CHECK-COUNT-4: nn.gather_nd
func.func @main() -> (tensor<f32> {nn.name = "l"}) {
  %w = nn.get_parameter @w : tensor<1x2x2x2xf32>
  %y = nn.grid_sample %w, %w linear zeros : (tensor<1x2x2x2xf32>, tensor<1x2x2x2xf32>) -> tensor<1x2x2x2xf32>
  %l = nn.reduce sum, %y {axes = array<i64: 0, 1, 2, 3>} : (tensor<1x2x2x2xf32>) -> tensor<f32>
  return %l : tensor<f32>
}
