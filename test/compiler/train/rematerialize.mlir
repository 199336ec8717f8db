// RUN: nacre-opt %s --rematerialize="budget=82000 open-size=64" -split-input-file -verify-diagnostics | FileCheck %s

// Parameter, input and each value of a layer take 16 KB, and six of them do not fit: what costs little
// is computed again where the backward pass asks for it, and the first layer from its start.
// CHECK-LABEL: func.func @step
// CHECK: %[[H0:.*]] = nn.matmul %{{.*}}, %[[W:.*]] :
// CHECK: %[[A0:.*]] = nn.exp %[[H0]]
// CHECK: %[[H1:.*]] = nn.matmul %[[A0]], %[[W]]
// CHECK: %[[LOSS:.*]] = nn.reduce sum
// CHECK: %[[D1:.*]] = nn.matmul %{{.*}} {transpose_rhs}
// CHECK: %[[A1:.*]] = nn.exp %[[H1]]
// CHECK: nn.mul %[[D1]], %[[A1]]
// CHECK: %[[AGAIN:.*]] = nn.matmul %arg0, %[[W]] :
// CHECK-NEXT: %[[A:.*]] = nn.exp %[[AGAIN]]
// CHECK-NEXT: nn.mul %{{.*}}, %[[A]]
// CHECK: return %[[LOSS]]
nn.parameter trainable @w = dense<0.5> : tensor<64x64xf32>
func.func @step(%x: tensor<?x64xf32> {nn.name = "x"}) -> tensor<f32> attributes {nacre.inputs = [{name = "x", symbols = ["N", ""], type = tensor<?x64xf32>}]} {
  %w = nn.get_parameter @w : tensor<64x64xf32>
  %h0 = nn.matmul %x, %w : (tensor<?x64xf32>, tensor<64x64xf32>) -> tensor<?x64xf32>
  %a0 = nn.exp %h0 : (tensor<?x64xf32>) -> tensor<?x64xf32>
  %h1 = nn.matmul %a0, %w : (tensor<?x64xf32>, tensor<64x64xf32>) -> tensor<?x64xf32>
  %a1 = nn.exp %h1 : (tensor<?x64xf32>) -> tensor<?x64xf32>
  %h2 = nn.matmul %a1, %w : (tensor<?x64xf32>, tensor<64x64xf32>) -> tensor<?x64xf32>
  %a2 = nn.exp %h2 : (tensor<?x64xf32>) -> tensor<?x64xf32>
  %loss = nn.reduce sum, %a2 {axes = array<i64: 0, 1>} : (tensor<?x64xf32>) -> tensor<f32>
  %d1 = nn.matmul %a2, %w {transpose_rhs} : (tensor<?x64xf32>, tensor<64x64xf32>) -> tensor<?x64xf32>
  %g1 = nn.mul %d1, %a1 : (tensor<?x64xf32>, tensor<?x64xf32>) -> tensor<?x64xf32>
  %d0 = nn.matmul %g1, %w {transpose_rhs} : (tensor<?x64xf32>, tensor<64x64xf32>) -> tensor<?x64xf32>
  %g0 = nn.mul %d0, %a0 : (tensor<?x64xf32>, tensor<?x64xf32>) -> tensor<?x64xf32>
  %dw = nn.matmul %x, %g0 {transpose_lhs} : (tensor<?x64xf32>, tensor<?x64xf32>) -> tensor<64x64xf32>
  %new = nn.sub %w, %dw : (tensor<64x64xf32>, tensor<64x64xf32>) -> tensor<64x64xf32>
  nn.set_parameter @w, %new : tensor<64x64xf32>
  return %loss : tensor<f32>
}

// -----

nn.parameter trainable @v = dense<0.5> : tensor<512x512xf32>
// expected-error @+1 {{parameters, the optimizer's state and a training step take 1.05 MB of memory at least, and the budget is 0.08 MB; make the batch smaller, or the budget larger}}
func.func @step(%x: tensor<1x512xf32> {nn.name = "x"}) -> tensor<f32> attributes {nacre.inputs = [{name = "x", symbols = ["", ""], type = tensor<1x512xf32>}]} {
  %v = nn.get_parameter @v : tensor<512x512xf32>
  %y = nn.matmul %x, %v : (tensor<1x512xf32>, tensor<512x512xf32>) -> tensor<1x512xf32>
  %loss = nn.reduce sum, %y {axes = array<i64: 0, 1>} : (tensor<1x512xf32>) -> tensor<f32>
  return %loss : tensor<f32>
}
