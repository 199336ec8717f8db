// RUN: nacre-opt %s -nn-to-linalg -canonicalize | FileCheck %s

// One product and one element-wise op in each step; the cell is updated in place.
// CHECK-LABEL: @lstm
// CHECK-SAME: (%[[G:.*]]: tensor<7x2x64xf32>, %[[R:.*]]: tensor<64x16xf32>)
// CHECK: scf.for %[[T:.*]] = {{.*}} iter_args(%[[Y:.*]] = %{{.*}}, %[[H:.*]] = %{{.*}}, %[[C:.*]] = %{{.*}})
// CHECK: %[[ROW:.*]] = tensor.extract_slice %[[Y]][%[[T]], 0, 0]
// CHECK: %[[SUM:.*]] = linalg.generic {{.*}} ins(%[[H]], %[[R]] :
// CHECK: tensor.extract_slice %[[G]][%[[T]], 0, 0] [1, 2, 16]
// CHECK: %[[STEP:.*]]:3 = linalg.generic {{.*}} outs(%{{.*}}, %[[C]], %[[ROW]] :
// CHECK: %[[NEXT:.*]] = tensor.insert_slice %[[STEP]]#2 into %[[Y]][%[[T]], 0, 0]
// CHECK: scf.yield %[[NEXT]], %[[STEP]]#0, %[[STEP]]#1
func.func @lstm(%g: tensor<7x2x64xf32>, %r: tensor<64x16xf32>) -> tensor<7x2x16xf32> {
  %y, %h, %c = nn.lstm %g, %r {activations = ["sigmoid", "tanh", "tanh"], alphas = array<f64: 0.0, 0.0, 0.0>, betas = array<f64: 0.0, 0.0, 0.0>}
      : (tensor<7x2x64xf32>, tensor<64x16xf32>) -> (tensor<7x2x16xf32>, tensor<2x16xf32>, tensor<2x16xf32>)
  return %y : tensor<7x2x16xf32>
}

// Less is known of the initial state than of the others.
// CHECK-LABEL: @open_state
// CHECK: %[[H0:.*]] = tensor.cast %{{.*}} : tensor<?x?xf32> to tensor<2x16xf32>
// CHECK: scf.for {{.*}} iter_args(%{{.*}} = %{{.*}}, %{{.*}} = %[[H0]])
func.func @open_state(%g: tensor<7x2x16xf32>, %r: tensor<16x16xf32>, %h0: tensor<?x?xf32>) -> tensor<7x2x16xf32> {
  %y, %h = nn.rnn %g, %r initial %h0 {activations = ["tanh"], alphas = array<f64: 0.0>, betas = array<f64: 0.0>}
      : (tensor<7x2x16xf32>, tensor<16x16xf32>, tensor<?x?xf32>) -> (tensor<7x2x16xf32>, tensor<2x16xf32>)
  return %y : tensor<7x2x16xf32>
}
