// RUN: nacre-opt %s --absorb-transposes | FileCheck %s

nn.parameter trainable @w = dense<1.0> : tensor<16x8xf32>
nn.parameter @known = dense<1.0> : tensor<16x8xf32>

// A layer's weight as exporters write it.
// CHECK-LABEL: func.func @operand
// CHECK: %[[W:.*]] = nn.get_parameter @w
// CHECK-NEXT: %[[Y:.*]] = nn.matmul %arg0, %[[W]] {transpose_rhs} : (tensor<2x?x8xf32>, tensor<16x8xf32>)
// CHECK-NEXT: return %[[Y]]
func.func @operand(%x: tensor<2x?x8xf32>) -> tensor<2x?x16xf32> {
  %w = nn.get_parameter @w : tensor<16x8xf32>
  %t = nn.transpose %w {permutation = array<i64: 1, 0>} : (tensor<16x8xf32>) -> tensor<8x16xf32>
  %y = nn.matmul %x, %t : (tensor<2x?x8xf32>, tensor<8x16xf32>) -> tensor<2x?x16xf32>
  return %y : tensor<2x?x16xf32>
}

// Transposed twice is not transposed.
// CHECK-LABEL: func.func @twice
// CHECK: nn.matmul %arg0, %arg1 : (tensor<4x5xf32>, tensor<5x6xf32>)
func.func @twice(%x: tensor<4x5xf32>, %y: tensor<5x6xf32>) -> tensor<4x6xf32> {
  %t = nn.transpose %x {permutation = array<i64: 1, 0>} : (tensor<4x5xf32>) -> tensor<5x4xf32>
  %z = nn.matmul %t, %y {transpose_lhs} : (tensor<5x4xf32>, tensor<5x6xf32>) -> tensor<4x6xf32>
  return %z : tensor<4x6xf32>
}

// What is known is transposed when the model is compiled.
// CHECK-LABEL: func.func @stays_known
// CHECK: nn.transpose
// CHECK: nn.matmul %arg0, %{{.*}} : (tensor<3x8xf32>, tensor<8x16xf32>)
func.func @stays_known(%x: tensor<3x8xf32>) -> tensor<3x16xf32> {
  %w = nn.get_parameter @known : tensor<16x8xf32>
  %t = nn.transpose %w {permutation = array<i64: 1, 0>} : (tensor<16x8xf32>) -> tensor<8x16xf32>
  %y = nn.matmul %x, %t : (tensor<3x8xf32>, tensor<8x16xf32>) -> tensor<3x16xf32>
  return %y : tensor<3x16xf32>
}

// Heads are moved before the tokens as rows, which keeps elements of a row together.
// CHECK-LABEL: func.func @heads
// CHECK: %[[K:.*]] = nn.transpose %arg1 {permutation = array<i64: 0, 2, 1, 3>}
// CHECK: nn.matmul %arg0, %[[K]] {transpose_rhs}
func.func @heads(%q: tensor<2x4x7x8xf32>, %k: tensor<2x7x4x8xf32>) -> tensor<2x4x7x7xf32> {
  %t = nn.transpose %k {permutation = array<i64: 0, 2, 3, 1>} : (tensor<2x7x4x8xf32>) -> tensor<2x4x8x7xf32>
  %s = nn.matmul %q, %t : (tensor<2x4x7x8xf32>, tensor<2x4x8x7xf32>) -> tensor<2x4x7x7xf32>
  return %s : tensor<2x4x7x7xf32>
}

// The gradient of a transposed weight: the other factor comes first.
// CHECK-LABEL: func.func @result
// CHECK: %[[G:.*]] = nn.matmul %arg1, %arg0 {transpose_lhs} : (tensor<?x16xf32>, tensor<?x8xf32>) -> tensor<16x8xf32>
// CHECK-NEXT: return %[[G]]
func.func @result(%x: tensor<?x8xf32>, %dy: tensor<?x16xf32>) -> tensor<16x8xf32> {
  %g = nn.matmul %x, %dy {transpose_lhs} : (tensor<?x8xf32>, tensor<?x16xf32>) -> tensor<8x16xf32>
  %t = nn.transpose %g {permutation = array<i64: 1, 0>} : (tensor<8x16xf32>) -> tensor<16x8xf32>
  return %t : tensor<16x8xf32>
}

// A product that is read besides, or whose operands would both be transposed, stays.
// CHECK-LABEL: func.func @stays
// CHECK-COUNT-2: nn.transpose
func.func @stays(%x: tensor<4x8xf32>, %y: tensor<8x6xf32>) -> (tensor<6x4xf32>, tensor<8x4xf32>, tensor<4x8xf32>) {
  %p = nn.matmul %x, %y : (tensor<4x8xf32>, tensor<8x6xf32>) -> tensor<4x6xf32>
  %t = nn.transpose %p {permutation = array<i64: 1, 0>} : (tensor<4x6xf32>) -> tensor<6x4xf32>
  %q = nn.matmul %p, %y {transpose_rhs} : (tensor<4x6xf32>, tensor<8x6xf32>) -> tensor<4x8xf32>
  %u = nn.transpose %q {permutation = array<i64: 1, 0>} : (tensor<4x8xf32>) -> tensor<8x4xf32>
  return %t, %u, %q : tensor<6x4xf32>, tensor<8x4xf32>, tensor<4x8xf32>
}

// What is transposed in front of a loop is so once, for all iterations; but none transposes it back.
// CHECK-LABEL: func.func @loop
// CHECK: %[[W:.*]] = nn.get_parameter @w
// CHECK-NEXT: %[[T:.*]] = nn.transpose %[[W]]
// CHECK: scf.for
// CHECK: %[[Y:.*]] = nn.matmul %{{.*}}, %[[T]] : (tensor<2x8xf32>, tensor<8x16xf32>)
// CHECK: nn.matmul %[[Y]], %[[W]] : (tensor<2x16xf32>, tensor<16x8xf32>)
func.func @loop(%x: tensor<2x8xf32>) -> tensor<2x8xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c9 = arith.constant 9 : index
  %w = nn.get_parameter @w : tensor<16x8xf32>
  %t = nn.transpose %w {permutation = array<i64: 1, 0>} : (tensor<16x8xf32>) -> tensor<8x16xf32>
  %r = scf.for %i = %c0 to %c9 step %c1 iter_args(%h = %x) -> (tensor<2x8xf32>) {
    %y = nn.matmul %h, %t : (tensor<2x8xf32>, tensor<8x16xf32>) -> tensor<2x16xf32>
    %z = nn.matmul %y, %t {transpose_rhs} : (tensor<2x16xf32>, tensor<8x16xf32>) -> tensor<2x8xf32>
    scf.yield %z : tensor<2x8xf32>
  }
  return %r : tensor<2x8xf32>
}
