// RUN: nacre-opt %s --form-loop-kernels -split-input-file | FileCheck %s

// A step of a recurrent layer for 16 rows: one kernel. What is written into memory from outside
// is written into the destination.
// CHECK-LABEL: func.func @layer
// CHECK-NOT: scf.for
// CHECK: kern.call @loop_0 ins(%{{.+}}, %{{.+}} : tensor<64x64xf32>, tensor<16x64xf32>) outs(%{{.+}}, %{{.+}} : tensor<16x64xf32>, tensor<9x16x64xf32>)
// CHECK: kern.func @loop_0(%[[W:.+]]: tensor<64x64xf32>, %[[H0:.+]]: tensor<16x64xf32>, %{{.+}}: tensor<16x64xf32>, %[[D:.+]]: tensor<9x16x64xf32>)
// CHECK-SAME: flops = 1179648
// CHECK: scf.for {{.*}} iter_args(%[[H:.+]] = %[[H0]], %[[Y:.+]] = %[[D]])
// CHECK: nn.matmul %[[H]], %[[W]]
// CHECK: tensor.insert_slice
func.func @layer(%h0: tensor<16x64xf32>, %w: tensor<64x64xf32>) -> (tensor<16x64xf32>, tensor<9x16x64xf32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c9 = arith.constant 9 : index
  %e = tensor.empty() : tensor<9x16x64xf32>
  %r:2 = scf.for %t = %c0 to %c9 step %c1 iter_args(%h = %h0, %y = %e) -> (tensor<16x64xf32>, tensor<9x16x64xf32>) {
    %s = nn.matmul %h, %w : (tensor<16x64xf32>, tensor<64x64xf32>) -> tensor<16x64xf32>
    %n = nn.tanh %s : (tensor<16x64xf32>) -> tensor<16x64xf32>
    %z = tensor.insert_slice %n into %y[%t, 0, 0] [1, 16, 64] [1, 1, 1] : tensor<16x64xf32> into tensor<9x16x64xf32>
    scf.yield %n, %z : tensor<16x64xf32>, tensor<9x16x64xf32>
  }
  return %r#0, %r#1 : tensor<16x64xf32>, tensor<9x16x64xf32>
}

// -----

// Threads share the product of each iteration instead: there are few rows, and much to do.
// CHECK-LABEL: func.func @few_rows
// CHECK: scf.for
// CHECK-NOT: kern.func
func.func @few_rows(%h0: tensor<2x512xf32>, %w: tensor<512x512xf32>) -> tensor<2x512xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c9 = arith.constant 9 : index
  %r = scf.for %t = %c0 to %c9 step %c1 iter_args(%h = %h0) -> (tensor<2x512xf32>) {
    %s = nn.matmul %h, %w : (tensor<2x512xf32>, tensor<512x512xf32>) -> tensor<2x512xf32>
    scf.yield %s : tensor<2x512xf32>
  }
  return %r : tensor<2x512xf32>
}

// -----

// Sizes are open.
// CHECK-LABEL: func.func @open
// CHECK: scf.for
// CHECK-NOT: kern.func
func.func @open(%h0: tensor<?x64xf32>) -> tensor<?x64xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c9 = arith.constant 9 : index
  %r = scf.for %t = %c0 to %c9 step %c1 iter_args(%h = %h0) -> (tensor<?x64xf32>) {
    %n = nn.tanh %h : (tensor<?x64xf32>) -> tensor<?x64xf32>
    scf.yield %n : tensor<?x64xf32>
  }
  return %r : tensor<?x64xf32>
}

// -----

// A run of it can be cancelled: it would take long.
// CHECK-LABEL: func.func @long
// CHECK: scf.for
// CHECK-NOT: kern.func
func.func @long(%h0: tensor<4xf32>) -> tensor<4xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %many = arith.constant 100000000 : index
  %r = scf.for %t = %c0 to %many step %c1 iter_args(%h = %h0) -> (tensor<4xf32>) {
    %n = nn.tanh %h : (tensor<4xf32>) -> tensor<4xf32>
    scf.yield %n : tensor<4xf32>
  }
  return %r : tensor<4xf32>
}
