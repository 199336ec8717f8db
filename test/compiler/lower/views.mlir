// RUN: nacre-opt %s --nn-to-linalg --canonicalize --cse | FileCheck %s

// CHECK-LABEL: @expand
// CHECK-SAME: (%[[X:.*]]: tensor<?x128x768xf32>)
func.func @expand(%x: tensor<?x128x768xf32>) -> tensor<?x128x12x64xf32> {
  %s = nn.constant dense<[0, 0, 12, -1]> : tensor<4xi64>
  // CHECK: %[[N:.*]] = tensor.dim %[[X]]
  // CHECK: tensor.expand_shape %[[X]] {{\[\[}}0], [1], [2, 3]] output_shape [%[[N]], 128, 12, 64]
  %y = nn.reshape %x, %s : (tensor<?x128x768xf32>, tensor<4xi64>) -> tensor<?x128x12x64xf32>
  return %y : tensor<?x128x12x64xf32>
}

// The smallest groups of equal size: [2, 6] is merged and split again, the rest only split or only merged.
// CHECK-LABEL: @regroup
func.func @regroup(%x: tensor<4x2x6x5x7xf32>) -> tensor<2x2x3x4x35xf32> {
  %s = nn.constant dense<[2, 2, 3, 4, 35]> : tensor<5xi64>
  // CHECK: tensor.collapse_shape %{{.*}} {{\[\[}}0], [1, 2], [3, 4]] : tensor<4x2x6x5x7xf32> into tensor<4x12x35xf32>
  // CHECK: tensor.expand_shape %{{.*}} {{\[\[}}0, 1], [2, 3], [4]] {{.*}} : tensor<4x12x35xf32> into tensor<2x2x3x4x35xf32>
  %y = nn.reshape %x, %s : (tensor<4x2x6x5x7xf32>, tensor<5xi64>) -> tensor<2x2x3x4x35xf32>
  return %y : tensor<2x2x3x4x35xf32>
}

// Sizes that arrive at run time: all dimensions in one group.
// CHECK-LABEL: @at_run_time
// CHECK: tensor.collapse_shape %{{.*}} {{\[\[}}0, 1]]
// CHECK: tensor.expand_shape %{{.*}} {{\[\[}}0, 1, 2]] output_shape [%{{.*}}, %{{.*}}, %{{.*}}] : tensor<?xf32> into tensor<?x?x?xf32>
func.func @at_run_time(%x: tensor<?x4xf32>, %s: tensor<3xi64>) -> tensor<?x?x?xf32> {
  %y = nn.reshape %x, %s : (tensor<?x4xf32>, tensor<3xi64>) -> tensor<?x?x?xf32>
  return %y : tensor<?x?x?xf32>
}

// CHECK-LABEL: @to_scalar
// CHECK: %[[ONE:.*]] = tensor.cast %{{.*}} : tensor<?x?xf32> to tensor<1x1xf32>
// CHECK: tensor.collapse_shape %[[ONE]] [] : tensor<1x1xf32> into tensor<f32>
func.func @to_scalar(%x: tensor<?x?xf32>) -> tensor<f32> {
  %y = nn.squeeze %x {axes = array<i64: 0, 1>} : (tensor<?x?xf32>) -> tensor<f32>
  return %y : tensor<f32>
}

// CHECK-LABEL: @from_scalar
// CHECK: tensor.expand_shape %{{.*}} [] output_shape [1, 1]
func.func @from_scalar(%x: tensor<f32>) -> tensor<1x1xf32> {
  %y = nn.unsqueeze %x {axes = array<i64: 0, 1>} : (tensor<f32>) -> tensor<1x1xf32>
  return %y : tensor<1x1xf32>
}

// CHECK-LABEL: @squeeze_unknown
// CHECK: tensor.collapse_shape
// CHECK-NEXT: tensor.cast {{.*}} to tensor<4xf32>
func.func @squeeze_unknown(%x: tensor<1x?x4x1xf32>) -> tensor<4xf32> {
  %y = nn.squeeze %x {axes = array<i64: 0, 1, 3>} : (tensor<1x?x4x1xf32>) -> tensor<4xf32>
  return %y : tensor<4xf32>
}

// CHECK-LABEL: @collapse_unsigned
// CHECK-SAME: tensor<?x4x5x?xi8>
// CHECK: tensor.collapse_shape %{{.*}} {{\[\[}}0], [1, 2], [3]] : tensor<?x4x5x?xi8> into tensor<?x20x?xi8>
func.func @collapse_unsigned(%x: tensor<?x4x5x?xui8>) -> tensor<?x20x?xui8> {
  %y = nn.collapse %x from 1 to 3 : (tensor<?x4x5x?xui8>) -> tensor<?x20x?xui8>
  return %y : tensor<?x20x?xui8>
}

// CHECK-LABEL: @size
// CHECK-SAME: (%[[X:.*]]: tensor<?x3xf32>)
// CHECK: %[[N:.*]] = tensor.dim %[[X]]
// CHECK: %[[P:.*]] = arith.muli %[[N]], %{{.*}} : index
// CHECK: %[[C:.*]] = arith.index_cast %[[P]] : index to i64
// CHECK: tensor.from_elements %[[C]] : tensor<i64>
func.func @size(%x: tensor<?x3xf32>) -> tensor<i64> {
  %n = nn.size %x : (tensor<?x3xf32>) -> tensor<i64>
  return %n : tensor<i64>
}

// A view of nothing reads nothing, however the sizes that are open may be grouped.
// CHECK-LABEL: @no_elements
// CHECK-NOT: tensor.collapse_shape
// CHECK: tensor.empty(%{{.*}}) : tensor<0x?xf32>
func.func @no_elements(%x: tensor<?x0x?x?xf32>, %s: tensor<2xi64>) -> tensor<0x?xf32> {
  %y = nn.reshape %x, %s {allowzero, exact} : (tensor<?x0x?x?xf32>, tensor<2xi64>) -> tensor<0x?xf32>
  return %y : tensor<0x?xf32>
}
