// RUN: nacre-opt %s --narrow-compute=type=bf16 -split-input-file -verify-diagnostics | FileCheck %s
// RUN: nacre-opt %s --narrow-compute=type=bf16 -split-input-file -verify-diagnostics | nacre-opt -split-input-file
// RUN: not nacre-opt %s --narrow-compute=type=f8 -split-input-file 2>&1 | FileCheck %s --check-prefix=TYPE
// TYPE: expected a type of f16 or bf16 to compute in, found 'f8'

// A product takes rounded operands; what moves elements, and element-wise ops with narrow operands,
// numbers and biases, stay narrow; softmax is f32, as is what leaves the function.
// CHECK-LABEL: func.func @main
// CHECK-SAME: (%[[X:[^:]*]]: tensor<?x8xf32>) -> (tensor<?x4xf32>, tensor<4x?xf32>)
// CHECK: %[[XN:.*]] = nn.cast %[[X]] to bf16
// CHECK: %[[W:.*]] = nn.get_parameter @w
// CHECK: %[[WN:.*]] = nn.cast %[[W]] to bf16
// CHECK: %[[B:.*]] = nn.get_parameter @b
// CHECK: %[[Y:.*]] = nn.matmul %[[XN]], %[[WN]] : (tensor<?x8xbf16>, tensor<8x4xbf16>) -> tensor<?x4xbf16>
// CHECK: %[[YW:.*]] = nn.cast %[[Y]] to f32
// CHECK: %[[Z:.*]] = nn.add %[[YW]], %[[B]] : (tensor<?x4xf32>, tensor<4xf32>)
// CHECK: %[[ZN:.*]] = nn.cast %[[Z]] to bf16
// CHECK: %[[R:.*]] = nn.relu %[[ZN]] : (tensor<?x4xbf16>)
// CHECK: %[[RW:.*]] = nn.cast %[[R]] to f32
// CHECK: %[[H:.*]] = nn.mul %[[RW]], %{{.*}} : (tensor<?x4xf32>, tensor<f32>)
// CHECK: %[[HN:.*]] = nn.cast %[[H]] to bf16
// CHECK: %[[HW:.*]] = nn.cast %[[HN]] to f32
// CHECK: %[[T:.*]] = nn.transpose %[[HN]]
// CHECK: %[[TW:.*]] = nn.cast %[[T]] to f32
// CHECK: %[[P:.*]] = nn.softmax %[[HW]] {{.*}} : (tensor<?x4xf32>)
// CHECK: return %[[P]], %[[TW]]
nn.parameter trainable @w = dense<0.5> : tensor<8x4xf32>
nn.parameter trainable @b = dense<0.5> : tensor<4xf32>
func.func @main(%x: tensor<?x8xf32>) -> (tensor<?x4xf32>, tensor<4x?xf32>) {
  %w = nn.get_parameter @w : tensor<8x4xf32>
  %b = nn.get_parameter @b : tensor<4xf32>
  %tenth = nn.constant dense<0.1> : tensor<f32>
  %y = nn.matmul %x, %w : (tensor<?x8xf32>, tensor<8x4xf32>) -> tensor<?x4xf32>
  %z = nn.add %y, %b : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  %r = nn.relu %z : (tensor<?x4xf32>) -> tensor<?x4xf32>
  %h = nn.mul %r, %tenth : (tensor<?x4xf32>, tensor<f32>) -> tensor<?x4xf32>
  %t = nn.transpose %h {permutation = array<i64: 1, 0>} : (tensor<?x4xf32>) -> tensor<4x?xf32>
  %p = nn.softmax %h {axis = 1 : i64} : (tensor<?x4xf32>) -> tensor<?x4xf32>
  return %p, %t : tensor<?x4xf32>, tensor<4x?xf32>
}

// -----

// Two readers share a cast. The widest operand decides; exp and sums are f32; a number that the
// type does not hold widens.
// CHECK-LABEL: func.func @main
// CHECK-SAME: %{{.*}}: tensor<4x4xf32>, %[[Z:[^:]*]]: tensor<4x4xf32>,
// CHECK-COUNT-2: nn.cast %{{.*}} to bf16
// CHECK-NOT: to bf16
// CHECK: nn.matmul %[[XN:.*]], %[[ZN:.*]] : (tensor<4x4xbf16>
// CHECK: nn.matmul %[[ZN]], %[[XN]] : (tensor<4x4xbf16>
// CHECK: nn.add %{{.*}}, %[[Z]] : (tensor<4x4xf32>
// CHECK: nn.exp %{{.*}} : (tensor<4x4xf32>)
// CHECK: nn.reduce sum, %{{.*}} : (tensor<4x4xf32>
// CHECK: nn.where %{{.*}} : (tensor<4x4xi1>, tensor<4x4xf32>, tensor<f32>)
// CHECK-NOT: to bf16
// CHECK: return
func.func @main(%x: tensor<4x4xf32>, %z: tensor<4x4xf32>, %mask: tensor<4x4xi1>) -> (tensor<4x4xf32>, tensor<4x4xf32>, tensor<4xf32>, tensor<4x4xf32>) {
  %lowest = nn.constant dense<-3.40282347E+38> : tensor<f32>
  %a = nn.matmul %x, %z : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  %b = nn.matmul %z, %x : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  %c = nn.add %a, %z : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  %d = nn.exp %b : (tensor<4x4xf32>) -> tensor<4x4xf32>
  %e = nn.reduce sum, %b {axes = array<i64: 1>} : (tensor<4x4xf32>) -> tensor<4xf32>
  %f = nn.where %mask, %b, %lowest : (tensor<4x4xi1>, tensor<4x4xf32>, tensor<f32>) -> tensor<4x4xf32>
  return %c, %d, %e, %f : tensor<4x4xf32>, tensor<4x4xf32>, tensor<4xf32>, tensor<4x4xf32>
}

// -----

// In a loop what comes from outside is cast inside, so that its gradient is a sum of f32s.
// CHECK-LABEL: func.func @main
// CHECK-NOT: to bf16
// CHECK: scf.for
// CHECK: nn.cast %{{.*}} to bf16
// CHECK: nn.cast %{{.*}} to bf16
// CHECK: nn.matmul %{{.*}} -> tensor<2x2xbf16>
// CHECK: nn.cast %{{.*}} to f32
// CHECK: scf.yield %{{.*}} : tensor<2x2xf32>
func.func @main(%x: tensor<2x2xf32>, %w: tensor<2x2xf32>, %n: index) -> tensor<2x2xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%h = %x) -> tensor<2x2xf32> {
    %y = nn.matmul %h, %w : (tensor<2x2xf32>, tensor<2x2xf32>) -> tensor<2x2xf32>
    scf.yield %y : tensor<2x2xf32>
  }
  return %r : tensor<2x2xf32>
}

// -----

// A recurrent layer becomes its loop: the state is f32, the product narrow.
// CHECK-LABEL: func.func @main
// CHECK-NOT: nn.rnn
// CHECK: scf.for {{.*}} -> (tensor<5x2x3xf32>, tensor<2x3xf32>)
// CHECK: nn.matmul {{.*}} -> tensor<2x3xbf16>
// CHECK: nn.add {{.*}} -> tensor<2x3xf32>
// CHECK: nn.tanh {{.*}} -> tensor<2x3xf32>
func.func @main(%gates: tensor<5x2x3xf32>, %r: tensor<3x3xf32>) -> tensor<2x3xf32> {
  %y, %h = nn.rnn %gates, %r {activations = ["tanh"], alphas = array<f64: 0.0>, betas = array<f64: 0.0>}
      : (tensor<5x2x3xf32>, tensor<3x3xf32>) -> (tensor<5x2x3xf32>, tensor<2x3xf32>)
  return %h : tensor<2x3xf32>
}

// -----

// expected-error @below {{there is nothing to compute in bf16: no matrix product, convolution or recurrent layer of the model takes f32}}
func.func @main(%x: tensor<2x2xf64>) -> tensor<2x2xf64> {
  %y = nn.matmul %x, %x : (tensor<2x2xf64>, tensor<2x2xf64>) -> tensor<2x2xf64>
  return %y : tensor<2x2xf64>
}
