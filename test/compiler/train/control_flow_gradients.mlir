// RUN: nacre-opt %s --make-train-step=loss=output:l --canonicalize --cse -split-input-file -verify-diagnostics | FileCheck %s

// What the gradient needs of a loop's state is kept, once for each iteration, after a check that
// its sizes stay; the gradient runs backwards through it and adds up that of a value from outside.
nn.parameter trainable @w = dense<1.0> : tensor<4xf32>
// CHECK-LABEL: func.func @step
// CHECK: %[[TAPE:.*]] = tensor.empty(%[[COUNT:.*]], %{{.*}}) : tensor<?x?x4xf32>
// CHECK: %[[LOOP:.*]]:2 = scf.for %[[I:.*]] = {{.*}} iter_args(%[[V:.*]] = %{{.*}}, %[[T:.*]] = %[[TAPE]])
// CHECK: rt.check %{{.*}}, "a loop carries a tensor whose sizes change, which cannot be trained"
// CHECK: tensor.insert_slice %[[V]] into %[[T]][%[[I]], 0, 0]
// CHECK: nn.mul %[[V]], %[[W:.*]] :
// CHECK: scf.for %[[K:.*]] = %{{.*}} to %[[COUNT]] {{.*}} iter_args(%[[DV:.*]] = %{{.*}}, %[[SUM:.*]] = %{{.*}})
// CHECK: %[[STATE:.*]] = tensor.extract_slice %[[LOOP]]#1
// CHECK-DAG: %[[NEXT:.*]] = nn.mul %[[DV]], %[[W]]
// CHECK-DAG: %[[ADDED:.*]] = nn.add %[[SUM]], %{{.*}} : (tensor<4xf32>, tensor<4xf32>)
// CHECK: scf.yield %[[NEXT]], %[[ADDED]]
func.func @main(%x: tensor<?x4xf32>, %n: index) -> (tensor<f32> {nn.name = "l"}) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %w = nn.get_parameter @w : tensor<4xf32>
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%v = %x) -> (tensor<?x4xf32>) {
    %m = nn.mul %v, %w : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
    scf.yield %m : tensor<?x4xf32>
  }
  %l = nn.reduce sum, %r {axes = array<i64: 0, 1>} : (tensor<?x4xf32>) -> tensor<f32>
  return %l : tensor<f32>
}

// -----

// What it does not need is not kept.
nn.parameter trainable @w = dense<1.0> : tensor<4xf32>
// CHECK-LABEL: func.func @step
// CHECK-NOT: tensor.empty
// CHECK: scf.for
// CHECK-NOT: tensor.insert_slice
// CHECK: scf.for
// CHECK-NOT: tensor.extract_slice
// CHECK: nn.set_parameter @w
func.func @main(%x: tensor<4xf32>, %n: index) -> (tensor<f32> {nn.name = "l"}) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %w = nn.get_parameter @w : tensor<4xf32>
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%v = %x) -> (tensor<4xf32>) {
    %m = nn.add %v, %w : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
    scf.yield %m : tensor<4xf32>
  }
  %l = nn.reduce sum, %r {axes = array<i64: 0>} : (tensor<4xf32>) -> tensor<f32>
  return %l : tensor<f32>
}

// -----

// A branch: the one that was taken, again.
nn.parameter trainable @w = dense<1.0> : tensor<4xf32>
// CHECK-LABEL: func.func @step
// CHECK-SAME: %[[C:[a-z0-9]*]]: i1
// CHECK: scf.if %[[C]]
// CHECK: %[[D:.*]] = scf.if %[[C]] -> (tensor<4xf32>)
// CHECK: nn.cos
// CHECK: else
// CHECK: nn.set_parameter @w
func.func @main(%c: i1) -> (tensor<f32> {nn.name = "l"}) {
  %w = nn.get_parameter @w : tensor<4xf32>
  %r = scf.if %c -> (tensor<4xf32>) {
    %m = nn.sin %w : (tensor<4xf32>) -> tensor<4xf32>
    scf.yield %m : tensor<4xf32>
  } else {
    scf.yield %w : tensor<4xf32>
  }
  %l = nn.reduce sum, %r {axes = array<i64: 0>} : (tensor<4xf32>) -> tensor<f32>
  return %l : tensor<f32>
}

// -----

// A loop of unknown length counts, and runs again as one of known length.
nn.parameter trainable @w = dense<1.0> : tensor<f32>
// CHECK-LABEL: func.func @step
// CHECK: %[[WHILE:.*]]:2 = scf.while
// CHECK: scf.for %{{.*}} = %{{.*}} to %[[WHILE]]#1
// CHECK: scf.for
// CHECK: nn.set_parameter @w
func.func @main() -> (tensor<f32> {nn.name = "l"}) {
  %w = nn.get_parameter @w : tensor<f32>
  %most = arith.constant 100.0 : f32
  %r = scf.while (%v = %w) : (tensor<f32>) -> tensor<f32> {
    %e = tensor.extract %v[] : tensor<f32>
    %go = arith.cmpf olt, %e, %most : f32
    scf.condition(%go) %v : tensor<f32>
  } do {
  ^bb0(%v: tensor<f32>):
    %m = nn.exp %v : (tensor<f32>) -> tensor<f32>
    scf.yield %m : tensor<f32>
  }
  %l = nn.mul %r, %w : (tensor<f32>, tensor<f32>) -> tensor<f32>
  return %l : tensor<f32>
}

// -----

nn.parameter trainable @w = dense<1.0> : tensor<f32>
func.func @main() -> (tensor<f32> {nn.name = "l"}) {
  %w = nn.get_parameter @w : tensor<f32>
  %most = arith.constant 100.0 : f32
  // expected-error @+1 {{is a loop whose test computes what its body reads, which has no gradient}}
  %r = scf.while (%v = %w) : (tensor<f32>) -> tensor<f32> {
    %m = nn.exp %v : (tensor<f32>) -> tensor<f32>
    %e = tensor.extract %m[] : tensor<f32>
    %go = arith.cmpf olt, %e, %most : f32
    scf.condition(%go) %m : tensor<f32>
  } do {
  ^bb0(%v: tensor<f32>):
    scf.yield %v : tensor<f32>
  }
  return %r : tensor<f32>
}

// -----

nn.parameter trainable @w = dense<1.0> : tensor<4xf32>
func.func @main(%s: f32) -> (tensor<f32> {nn.name = "l"}) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c3 = arith.constant 3 : index
  %w = nn.get_parameter @w : tensor<4xf32>
  // expected-error @+1 {{carries a scalar that its body reads, through which there is no gradient}}
  %r:2 = scf.for %i = %c0 to %c3 step %c1 iter_args(%v = %w, %t = %s) -> (tensor<4xf32>, f32) {
    %f = tensor.from_elements %t : tensor<f32>
    %m = nn.mul %v, %f : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
    %u = arith.addf %t, %t : f32
    scf.yield %m, %u : tensor<4xf32>, f32
  }
  %l = nn.reduce sum, %r#0 {axes = array<i64: 0>} : (tensor<4xf32>) -> tensor<f32>
  return %l : tensor<f32>
}
