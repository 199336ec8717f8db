// RUN: nacre-opt %s --nn-to-linalg --canonicalize --cse | FileCheck %s

// One pass over the labels; a bad one is reported, and read as 0.
// CHECK-LABEL: @nll_loss
// CHECK-SAME: (%[[P:.*]]: tensor<?x10x4xf32>, %[[L:.*]]: tensor<?x4xi64>, %[[W:.*]]: tensor<10xf32>)
// CHECK: linalg.generic {{.*}} ins(%[[L]] : tensor<?x4xi64>)
// CHECK: %[[INSIDE:.*]] = arith.cmpi ult, %[[I:.*]], %c10
// CHECK: %[[IGNORED:.*]] = arith.cmpi eq, %[[I]], %c-1
// CHECK: %[[GOOD:.*]] = arith.ori %[[INSIDE]], %[[IGNORED]]
// CHECK: rt.check %[[GOOD]], 3, {{.*}}a label is out of range
// CHECK: %[[AT:.*]] = arith.select %{{.*}}, %[[I]], %c0
// CHECK: tensor.extract %[[P]][%{{.*}}, %[[AT]], %{{.*}}]
// CHECK: tensor.extract %[[W]][%[[AT]]]
func.func @nll_loss(%p: tensor<?x10x4xf32>, %l: tensor<?x4xi64>, %w: tensor<10xf32>) -> (tensor<?x4xf32>, tensor<?x4xf32>) {
  %0:2 = nn.nll_loss %p, %l weighted %w {ignore_index = -1 : i64}
      : (tensor<?x10x4xf32>, tensor<?x4xi64>, tensor<10xf32>) -> (tensor<?x4xf32>, tensor<?x4xf32>)
  return %0#0, %0#1 : tensor<?x4xf32>, tensor<?x4xf32>
}
