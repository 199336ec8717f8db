// A way through a tree is a loop; what arrives as data is clamped, and the steps are counted.
// RUN: nacre-opt %s --nn-to-linalg | FileCheck %s

// CHECK-LABEL: func.func @leaves
// CHECK: linalg.generic
// CHECK: scf.while
// CHECK: arith.cmpi slt
// CHECK: arith.cmpi sge
// CHECK: scf.condition
// CHECK: arith.maxsi
// CHECK: tensor.extract
// CHECK: arith.cmpf olt
// CHECK: arith.cmpf oeq
// CHECK: arith.andi
func.func @leaves(%x: tensor<?x4xf32>, %roots: tensor<10xi32>, %features: tensor<90xi32>, %splits: tensor<90xf32>,
                  %outcomes: tensor<90xi8>, %yes: tensor<90xi32>, %no: tensor<90xi32>) -> tensor<?x10xi64> {
  %0 = nn.tree_leaves %x from %roots at %features, %splits, %outcomes to %yes, %no
      : (tensor<?x4xf32>, tensor<10xi32>, tensor<90xi32>, tensor<90xf32>, tensor<90xi8>, tensor<90xi32>, tensor<90xi32>)
      -> tensor<?x10xi64>
  return %0 : tensor<?x10xi64>
}
