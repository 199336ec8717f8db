// Arithmetic on shapes becomes arithmetic on scalars, in terms of the argument's sizes.
// RUN: nacre-opt %s -scalarize-shapes -canonicalize -split-input-file | FileCheck %s

// Half of the first dimension, taken from a gathered element of the shape.
// CHECK-LABEL: @computed
// CHECK-SAME: (%[[X:.*]]: tensor<?x6xf32>)
func.func @computed(%x: tensor<?x6xf32>) -> tensor<?x?xf32> {
  // CHECK: %[[D:.*]] = tensor.dim %[[X]]
  // CHECK-NOT: nn.gather
  // CHECK-NOT: nn.concat
  // CHECK: %[[S:.*]] = tensor.from_elements
  // CHECK: nn.reshape %[[X]], %[[S]] {exact} : (tensor<?x6xf32>, tensor<2xi64>) -> tensor<?x3xf32>
  %shape = nn.shape %x : (tensor<?x6xf32>) -> tensor<2xi64>
  %zero = nn.constant dense<0> : tensor<1xi64>
  %two = nn.constant dense<2> : tensor<1xi64>
  %three = nn.constant dense<3> : tensor<1xi64>
  %rows = nn.gather %shape, %zero along 0 : (tensor<2xi64>, tensor<1xi64>) -> tensor<1xi64>
  %twice = nn.mul %rows, %two : (tensor<1xi64>, tensor<1xi64>) -> tensor<1xi64>
  %new = nn.concat %twice, %three along 0 : (tensor<1xi64>, tensor<1xi64>) -> tensor<2xi64>
  %y = nn.reshape %x, %new : (tensor<?x6xf32>, tensor<2xi64>) -> tensor<?x?xf32>
  return %y : tensor<?x?xf32>
}

// -----

// A shape that is known whole is a constant.
// CHECK-LABEL: @constant
func.func @constant(%x: tensor<4x6xf32>) -> tensor<?x?xf32> {
  // CHECK: nn.reshape {{.*}} -> tensor<6x4xf32>
  %shape = nn.shape %x : (tensor<4x6xf32>) -> tensor<2xi64>
  %swap = nn.constant dense<[1, 0]> : tensor<2xi64>
  %new = nn.gather %shape, %swap along 0 : (tensor<2xi64>, tensor<2xi64>) -> tensor<2xi64>
  %y = nn.reshape %x, %new : (tensor<4x6xf32>, tensor<2xi64>) -> tensor<?x?xf32>
  return %y : tensor<?x?xf32>
}

// -----

// What does not come from sizes stays an operand that arrives at run time.
// CHECK-LABEL: @data
func.func @data(%x: tensor<4x6xf32>, %new: tensor<2xi64>) -> tensor<?x?xf32> {
  // CHECK: tensor.extract
  // CHECK: nn.reshape {{.*}} -> tensor<?x?xf32>
  %y = nn.reshape %x, %new : (tensor<4x6xf32>, tensor<2xi64>) -> tensor<?x?xf32>
  return %y : tensor<?x?xf32>
}
