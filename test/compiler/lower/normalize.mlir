// RUN: nacre-opt %s -nn-to-linalg -split-input-file | FileCheck %s

// Passes over rows: maximum, powers, their sum, its inverse, the product.
// CHECK-LABEL: @softmax
// CHECK-SAME: (%[[X:.*]]: tensor<4x?xf32>)
func.func @softmax(%x: tensor<4x?xf32>) -> tensor<4x?xf32> {
  // CHECK: %[[M:.*]] = linalg.generic {{.*}} iterator_types = ["parallel", "reduction"]} ins(%[[X]]
  // CHECK: arith.maximumf
  // CHECK: %[[E:.*]] = linalg.generic {{.*}} iterator_types = ["parallel", "parallel"]} ins(%[[X]], %[[M]]
  // CHECK: math.exp
  // CHECK: %[[S:.*]] = linalg.generic {{.*}} iterator_types = ["parallel", "reduction"]} ins(%[[E]]
  // CHECK: arith.addf
  // CHECK: %[[R:.*]] = linalg.generic {{.*}} iterator_types = ["parallel"]} ins(%[[S]]
  // CHECK: arith.divf
  // CHECK: %[[Y:.*]] = linalg.generic {{.*}} ins(%[[E]], %[[R]]
  // CHECK: arith.mulf
  // CHECK: return %[[Y]]
  %0 = nn.softmax %x {axis = 1 : i64} : (tensor<4x?xf32>) -> tensor<4x?xf32>
  return %0 : tensor<4x?xf32>
}

// -----

// Squares are summed after the mean is taken away; narrow floats in f32.
// CHECK-LABEL: @layer_norm
func.func @layer_norm(%x: tensor<4x8xf16>) -> tensor<4x8xf16> {
  // CHECK: linalg.generic {{.*}} ins(%{{.*}} : tensor<4x8xf16>) outs(%{{.*}} : tensor<4xf32>)
  // CHECK: %[[MEAN:.*]] = linalg.generic
  // CHECK: arith.divf
  // CHECK: linalg.generic {{.*}} ins(%{{.*}}, %[[MEAN]] : tensor<4x8xf16>, tensor<4xf32>)
  // CHECK: arith.subf
  // CHECK: arith.mulf
  // CHECK: arith.addf
  // CHECK: math.sqrt
  // CHECK: arith.truncf %{{.*}} : f32 to f16
  %0 = nn.normalize %x {axes = array<i64: 1>, epsilon = 1.0e-5 : f64} : (tensor<4x8xf16>) -> tensor<4x8xf16>
  return %0 : tensor<4x8xf16>
}
