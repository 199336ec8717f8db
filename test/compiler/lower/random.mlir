// RUN: nacre-opt %s --nn-to-linalg --canonicalize --cse | FileCheck %s

// The counter is the place of the element in row-major order, and the stream.
// CHECK-LABEL: @random
// CHECK-SAME: (%[[KEY:.*]]: i64, %[[N:.*]]: tensor<2xi64>)
// CHECK: linalg.generic {{.*}} outs(%{{.*}} : tensor<?x?xf32>)
// CHECK: %[[I:.*]] = linalg.index 0
// CHECK: %[[J:.*]] = linalg.index 1
// CHECK: arith.muli
// CHECK: arith.addi
// CHECK: arith.sitofp %{{.*}} : i32 to f32
// CHECK: arith.mulf %{{.*}}, %cst : f32
func.func @random(%key: i64, %n: tensor<2xi64>) -> tensor<?x?xf32> {
  %0 = nn.random %key, %n stream 3 of f32 : (i64, tensor<2xi64>) -> tensor<?x?xf32>
  return %0 : tensor<?x?xf32>
}

// 52 bits made the mantissa of a number in [1, 2).
// CHECK-LABEL: @wide
// CHECK: arith.bitcast %{{.*}} : i64 to f64
// CHECK: arith.subf
func.func @wide(%key: i64, %n: tensor<1xi64>) -> tensor<?xf64> {
  %0 = nn.random %key, %n stream 3 of f64 : (i64, tensor<1xi64>) -> tensor<?xf64>
  return %0 : tensor<?xf64>
}
