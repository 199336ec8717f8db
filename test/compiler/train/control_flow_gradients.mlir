// RUN: nacre-opt %s --make-train-step=loss=output:l --canonicalize --cse -split-input-file -verify-diagnostics | FileCheck %s

// What the gradient needs of a loop's state is kept, once for each iteration, as its
// sizes are known to stay; the gradient runs backwards through it and adds up that of a value from outside.
nn.parameter trainable @w = dense<1.0> : tensor<4xf32>
// CHECK-LABEL: func.func @step
// CHECK: %[[TAPE:.*]] = tensor.empty(%[[COUNT:.*]], %{{.*}}) : tensor<?x?x4xf32>
// CHECK: %[[LOOP:.*]]:2 = scf.for %[[I:.*]] = {{.*}} iter_args(%[[V:.*]] = %{{.*}}, %[[T:.*]] = %[[TAPE]])
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

// If they change, the states of all iterations stand one behind the other, in a store whose size a
// loop of the same steps counts; and beside them where each begins and its size. Loops have tests
// then, as counted ones must keep the sizes that they begin with.
nn.parameter trainable @w = dense<1.0> : tensor<4xf32>
// CHECK-LABEL: func.func @step
// CHECK: %[[SIZES:.*]] = tensor.empty(%[[COUNT:.*]]) : tensor<?xi64>
// CHECK: %[[TOTAL:.*]]:3 = scf.while
// CHECK: %[[STORE:.*]] = tensor.empty(%[[TOTAL]]#2) : tensor<?xf32>
// CHECK: %[[LOOP:.*]]:6 = scf.while
// CHECK: ^bb0(%[[I:.*]]: index, %[[V:.*]]: tensor<?x4xf32>, %[[ALL:.*]]: tensor<?xf32>, %[[BEGINS:.*]]: tensor<?xi64>, %[[END:.*]]: index, %[[OWN:.*]]: tensor<?xi64>):
// CHECK: %[[SIZE:.*]] = tensor.dim %[[V]]
// CHECK: %[[FLAT:.*]] = nn.collapse %[[V]] from 0 to 2
// CHECK: tensor.insert_slice %[[FLAT]] into %[[ALL]][%[[END]]]
// CHECK: tensor.insert %{{.*}} into %[[BEGINS]][%[[I]]]
// CHECK: tensor.insert %{{.*}} into %[[OWN]][%[[I]]]
// CHECK: scf.while
// CHECK: } do {
// CHECK: tensor.extract %[[LOOP]]#5
// CHECK: tensor.extract %[[LOOP]]#3
// CHECK: %[[ROW:.*]] = tensor.extract_slice %[[LOOP]]#2
// CHECK: nn.reshape %[[ROW]]
func.func @main(%x: tensor<?x4xf32>, %n: index) -> (tensor<f32> {nn.name = "l"}) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %w = nn.get_parameter @w : tensor<4xf32>
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%v = %x) -> (tensor<?x4xf32>) {
    %d = nn.concat %v, %v along 0 : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
    %m = nn.mul %d, %w : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
    scf.yield %m : tensor<?x4xf32>
  }
  %l = nn.reduce sum, %r {axes = array<i64: 0, 1>} : (tensor<?x4xf32>) -> tensor<f32>
  return %l : tensor<f32>
}

// -----

// Only sizes are kept where nothing else is needed.
nn.parameter trainable @w = dense<1.0> : tensor<4xf32>
// CHECK-LABEL: func.func @step
// CHECK-NOT: nn.collapse
// CHECK: %[[LOOP:.*]]:3 = scf.while
// CHECK: scf.while
// CHECK: tensor.extract %[[LOOP]]#2
// CHECK-NOT: nn.reshape
func.func @main(%x: tensor<?x4xf32>, %n: index) -> (tensor<f32> {nn.name = "l"}) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %w = nn.get_parameter @w : tensor<4xf32>
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%v = %x) -> (tensor<?x4xf32>) {
    %u = nn.unsqueeze %w {axes = array<i64: 0>} : (tensor<4xf32>) -> tensor<1x4xf32>
    %d = nn.concat %v, %u along 0 : (tensor<?x4xf32>, tensor<1x4xf32>) -> tensor<?x4xf32>
    scf.yield %d : tensor<?x4xf32>
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

// What is read row by row has its gradient row by row, and the gradient of the weight is one
// product of all iterations: no sum is carried. The product, with the sum that it goes to, is
// kept and not computed again.
nn.parameter trainable @w = dense<1.0> : tensor<4x4xf32>
nn.parameter trainable @x = dense<1.0> : tensor<9x2x4xf32>
// CHECK-LABEL: func.func @step
// CHECK: %[[LOOP:.*]]:4 = scf.for
// CHECK: nn.matmul
// CHECK: %[[Z:.*]] = nn.add
// CHECK: tensor.insert_slice %[[Z]]
// CHECK: %[[BACK:.*]]:2 = scf.for {{.*}} -> (tensor<2x4xf32>, tensor<9x2x4xf32>)
// CHECK: tensor.extract_slice %{{.*}}[%{{.*}}, 0, 0]
// CHECK: nn.tanh
// CHECK: nn.sub
// CHECK: %[[DZ:.*]] = nn.mul
// CHECK: %[[DH:.*]] = nn.matmul %[[DZ]], %{{.*}} {transpose_rhs}
// CHECK-NOT: nn.matmul
// CHECK: %[[ROWS:.*]] = tensor.insert_slice %[[DZ]]
// CHECK: scf.yield %[[DH]], %[[ROWS]]
// CHECK: nn.matmul %{{.*}}, %{{.*}} {transpose_lhs} : (tensor<18x4xf32>, tensor<18x4xf32>) -> tensor<4x4xf32>
func.func @main(%h0: tensor<2x4xf32>) -> (tensor<f32> {nn.name = "l"}) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c9 = arith.constant 9 : index
  %w = nn.get_parameter @w : tensor<4x4xf32>
  %x = nn.get_parameter @x : tensor<9x2x4xf32>
  %e = tensor.empty() : tensor<9x2x4xf32>
  %r:2 = scf.for %t = %c0 to %c9 step %c1 iter_args(%h = %h0, %y = %e) -> (tensor<2x4xf32>, tensor<9x2x4xf32>) {
    %row = tensor.extract_slice %x[%t, 0, 0] [1, 2, 4] [1, 1, 1] : tensor<9x2x4xf32> to tensor<2x4xf32>
    %p = nn.matmul %h, %w : (tensor<2x4xf32>, tensor<4x4xf32>) -> tensor<2x4xf32>
    %z = nn.add %p, %row : (tensor<2x4xf32>, tensor<2x4xf32>) -> tensor<2x4xf32>
    %n = nn.tanh %z : (tensor<2x4xf32>) -> tensor<2x4xf32>
    %all = tensor.insert_slice %n into %y[%t, 0, 0] [1, 2, 4] [1, 1, 1] : tensor<2x4xf32> into tensor<9x2x4xf32>
    scf.yield %n, %all : tensor<2x4xf32>, tensor<9x2x4xf32>
  }
  %l = nn.reduce sum, %r#1 {axes = array<i64: 0, 1, 2>} : (tensor<9x2x4xf32>) -> tensor<f32>
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
