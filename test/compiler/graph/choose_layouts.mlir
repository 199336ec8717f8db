// RUN: nacre-opt %s --choose-layouts | FileCheck %s

// One transpose at either end; those between the convolutions cancel.
// CHECK-LABEL: func.func @chain
// CHECK: nn.transpose %arg0 {permutation = array<i64: 0, 2, 3, 1>}
// CHECK-NEXT: nn.conv {{.*}}channels_last
// CHECK-NEXT: nn.relu {{.*}} -> tensor<1x8x8x16xf32>
// CHECK-NEXT: nn.conv {{.*}}channels_last
// CHECK-NEXT: nn.transpose {{.*}} {permutation = array<i64: 0, 3, 1, 2>}
// CHECK-NEXT: return
func.func @chain(%x: tensor<1x3x8x8xf32>, %w: tensor<16x3x1x1xf32>, %v: tensor<4x16x1x1xf32>) -> tensor<1x4x8x8xf32> {
  %0 = nn.conv %x, %w {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>}
      : (tensor<1x3x8x8xf32>, tensor<16x3x1x1xf32>) -> tensor<1x16x8x8xf32>
  %1 = nn.relu %0 : (tensor<1x16x8x8xf32>) -> tensor<1x16x8x8xf32>
  %2 = nn.conv %1, %v {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>}
      : (tensor<1x16x8x8xf32>, tensor<4x16x1x1xf32>) -> tensor<1x4x8x8xf32>
  return %2 : tensor<1x4x8x8xf32>
}

// What is read both ways is transposed once, and what is computed of it is not transposed too:
// as in an optimizer's state, which is made of a gradient and of its square.
// CHECK-LABEL: func.func @once
// CHECK: %[[C:.*]] = nn.conv
// CHECK: %[[T:.*]] = nn.transpose %[[C]] {permutation = array<i64: 0, 3, 1, 2>}
// CHECK: %[[SQUARE:.*]] = nn.mul %[[T]], %[[T]]
// CHECK: nn.mul %[[SQUARE]], %{{.*}} : (tensor<1x16x8x8xf32>, tensor<f32>)
// CHECK-NOT: nn.transpose
func.func @once(%x: tensor<1x3x8x8xf32>, %w: tensor<16x3x1x1xf32>, %m: tensor<1x16x8x8xf32>, %v: tensor<1x16x8x8xf32>) -> (tensor<1x16x8x8xf32>, tensor<1x16x8x8xf32>) {
  %c = nn.constant dense<0.001> : tensor<f32>
  %0 = nn.conv %x, %w {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>}
      : (tensor<1x3x8x8xf32>, tensor<16x3x1x1xf32>) -> tensor<1x16x8x8xf32>
  %1 = nn.sub %0, %m : (tensor<1x16x8x8xf32>, tensor<1x16x8x8xf32>) -> tensor<1x16x8x8xf32>
  %2 = nn.mul %0, %0 : (tensor<1x16x8x8xf32>, tensor<1x16x8x8xf32>) -> tensor<1x16x8x8xf32>
  %3 = nn.mul %2, %c : (tensor<1x16x8x8xf32>, tensor<f32>) -> tensor<1x16x8x8xf32>
  %4 = nn.add %3, %v : (tensor<1x16x8x8xf32>, tensor<1x16x8x8xf32>) -> tensor<1x16x8x8xf32>
  return %1, %4 : tensor<1x16x8x8xf32>, tensor<1x16x8x8xf32>
}

// Sums over all but the channels need no transposition: of what stays there is nothing to transpose.
// CHECK-LABEL: func.func @sums
// CHECK: %[[C:.*]] = nn.conv
// CHECK: nn.reduce sum, %[[C]] {axes = array<i64: 0, 1, 2>} : (tensor<1x8x8x16xf32>) -> tensor<16xf32>
// CHECK: %[[S:.*]] = nn.reduce max, %[[C]] {axes = array<i64: 1>} : (tensor<1x8x8x16xf32>) -> tensor<1x8x16xf32>
// CHECK: nn.transpose %[[S]] {permutation = array<i64: 0, 2, 1>}
// CHECK-NOT: nn.transpose
func.func @sums(%x: tensor<1x8x8x8xf32>, %w: tensor<16x8x1x1xf32>) -> (tensor<16xf32>, tensor<1x16x8xf32>) {
  %0 = nn.conv %x, %w {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>}
      : (tensor<1x8x8x8xf32>, tensor<16x8x1x1xf32>) -> tensor<1x16x8x8xf32>
  %1 = nn.reduce sum, %0 {axes = array<i64: 0, 2, 3>} : (tensor<1x16x8x8xf32>) -> tensor<16xf32>
  %2 = nn.reduce max, %0 {axes = array<i64: 2>} : (tensor<1x16x8x8xf32>) -> tensor<1x16x8xf32>
  return %1, %2 : tensor<16xf32>, tensor<1x16x8xf32>
}

// Factors of channels, and what is spread over all places, have no order of their own: nothing is
// transposed for them.
// CHECK-LABEL: func.func @channels
// CHECK: %[[C:.*]] = nn.conv
// CHECK: %[[F:.*]] = nn.unsqueeze %{{.*}} {axes = array<i64: 0, 1, 2>} : (tensor<16xf32>) -> tensor<1x1x1x16xf32>
// CHECK: %[[S:.*]] = nn.mul %[[C]], %[[F]]
// CHECK: %[[P:.*]] = nn.squeeze %{{.*}} {axes = array<i64: 2, 3>}
// CHECK: %[[Q:.*]] = nn.unsqueeze %[[P]] {axes = array<i64: 1, 2>}
// CHECK: %[[B:.*]] = nn.broadcast %[[Q]], %{{.*}} -> tensor<2x8x8x16xf32>
// CHECK: %[[R:.*]] = nn.add %[[S]], %[[B]]
// CHECK: nn.transpose %[[R]]
// CHECK-NOT: nn.transpose
func.func @channels(%x: tensor<2x3x8x8xf32>, %w: tensor<16x3x1x1xf32>, %f: tensor<16xf32>, %p: tensor<2x16x1x1xf32>) -> tensor<2x16x8x8xf32> {
  %sizes = nn.constant dense<[2, 16, 8, 8]> : tensor<4xi64>
  %0 = nn.conv %x, %w {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>}
      : (tensor<2x3x8x8xf32>, tensor<16x3x1x1xf32>) -> tensor<2x16x8x8xf32>
  %1 = nn.unsqueeze %f {axes = array<i64: 0, 2, 3>} : (tensor<16xf32>) -> tensor<1x16x1x1xf32>
  %2 = nn.mul %0, %1 : (tensor<2x16x8x8xf32>, tensor<1x16x1x1xf32>) -> tensor<2x16x8x8xf32>
  %3 = nn.broadcast %p, %sizes : (tensor<2x16x1x1xf32>, tensor<4xi64>) -> tensor<2x16x8x8xf32>
  %4 = nn.add %2, %3 : (tensor<2x16x8x8xf32>, tensor<2x16x8x8xf32>) -> tensor<2x16x8x8xf32>
  return %4 : tensor<2x16x8x8xf32>
}

// An operand that would need a transposition of its own: nothing is tried again and again with
// another that is free.
// CHECK-LABEL: func.func @chosen
// CHECK: %[[T:.*]] = nn.transpose %{{.*}} {permutation = array<i64: 0, 3, 1, 2>}
// CHECK: nn.where %{{.*}}, %[[T]], %arg2
func.func @chosen(%x: tensor<2x3x?x8xf32>, %w: tensor<3x3x1x1xf32>, %y: tensor<?x?x?x?xf32>) -> tensor<2x3x?x8xf32> {
  %mask = nn.constant dense<[[[[true]], [[false]], [[true]]]]> : tensor<1x3x1x1xi1>
  %0 = nn.conv %x, %w {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>}
      : (tensor<2x3x?x8xf32>, tensor<3x3x1x1xf32>) -> tensor<2x3x?x8xf32>
  %1 = nn.where %mask, %0, %y : (tensor<1x3x1x1xi1>, tensor<2x3x?x8xf32>, tensor<?x?x?x?xf32>) -> tensor<2x3x?x8xf32>
  return %1 : tensor<2x3x?x8xf32>
}
