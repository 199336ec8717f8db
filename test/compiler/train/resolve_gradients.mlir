// RUN: nacre-opt %s --resolve-gradients --canonicalize --cse -split-input-file | FileCheck %s

// By the value itself, as often as it is read; ones for each element of y.
// CHECK-LABEL: func.func @square
// CHECK-SAME: (%[[X:.*]]: tensor<?xf32>)
// CHECK-NOT: nn.variable
// CHECK-NOT: nn.gradient
// CHECK: %[[P:.*]] = nn.mul %{{.*}}, %[[X]] : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32>
// CHECK: %[[D:.*]] = nn.add %[[P]], %[[P]]
// CHECK: return %[[D]]
func.func @square(%x: tensor<?xf32>) -> tensor<?xf32> {
  %v = nn.variable %x "x" : (tensor<?xf32>) -> tensor<?xf32>
  %y = nn.mul %v, %v : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32>
  %d = nn.gradient %y by (%v) : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32>
  return %d : tensor<?xf32>
}

// -----

// A second gradient differentiates what the first one has become.
// CHECK-LABEL: func.func @twice
// CHECK: %[[S:.*]] = nn.sin
// CHECK: %[[D:.*]] = nn.neg %[[S]]
// CHECK: return %[[D]]
func.func @twice(%x: tensor<f32>) -> tensor<f32> {
  %v = nn.variable %x "x" : (tensor<f32>) -> tensor<f32>
  %y = nn.sin %v : (tensor<f32>) -> tensor<f32>
  %d = nn.gradient %y by (%v) : (tensor<f32>, tensor<f32>) -> tensor<f32>
  %d2 = nn.gradient %d by (%v) : (tensor<f32>, tensor<f32>) -> tensor<f32>
  return %d2 : tensor<f32>
}

// -----

// What y does not depend on has zeros of its own shape.
// CHECK-LABEL: func.func @zeros
// CHECK-SAME: (%{{.*}}: tensor<f32>, %[[B:.*]]: tensor<?x3xf32>)
// CHECK: %[[ZERO:.*]] = nn.constant dense<0.000000e+00> : tensor<f32>
// CHECK: tensor.dim %[[B]]
// CHECK: nn.broadcast %[[ZERO]], %{{.*}} -> tensor<?x3xf32>
func.func @zeros(%a: tensor<f32>, %b: tensor<?x3xf32>) -> tensor<?x3xf32> {
  %va = nn.variable %a "a" : (tensor<f32>) -> tensor<f32>
  %vb = nn.variable %b "b" : (tensor<?x3xf32>) -> tensor<?x3xf32>
  %y = nn.exp %va : (tensor<f32>) -> tensor<f32>
  %d:2 = nn.gradient %y by (%va, %vb) : (tensor<f32>, tensor<f32>, tensor<?x3xf32>) -> (tensor<f32>, tensor<?x3xf32>)
  return %d#1 : tensor<?x3xf32>
}

// -----

// At another value: the function is evaluated there. y itself stays.
// CHECK-LABEL: func.func @elsewhere
// CHECK-SAME: (%[[X:.*]]: tensor<4xf32>, %[[O:.*]]: tensor<4xf32>)
// CHECK-DAG: %[[Y:.*]] = nn.exp %[[X]]
// CHECK-DAG: %[[D:.*]] = nn.exp %[[O]]
// CHECK: return %[[Y]],
func.func @elsewhere(%x: tensor<4xf32>, %o: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
  %v = nn.variable %x "x" : (tensor<4xf32>) -> tensor<4xf32>
  %y = nn.exp %v : (tensor<4xf32>) -> tensor<4xf32>
  %d = nn.gradient %y by (%v) at (%o) : (tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return %y, %d : tensor<4xf32>, tensor<4xf32>
}

// -----

// Nothing asks for a gradient: nothing happens.
// CHECK-LABEL: func.func @none
// CHECK-NEXT: nn.exp
// CHECK-NEXT: return
func.func @none(%x: tensor<4xf32>) -> tensor<4xf32> {
  %v = nn.variable %x "x" : (tensor<4xf32>) -> tensor<4xf32>
  %y = nn.exp %v : (tensor<4xf32>) -> tensor<4xf32>
  return %y : tensor<4xf32>
}
