// RUN: nacre-opt %s --form-kernels | FileCheck %s

// Models name their parameters as they like, as a kernel would be named too: exporters
// call what they computed from weights "add_0" or "transpose_8".
// CHECK: nn.parameter @add_0
nn.parameter @add_0 = dense<1.0> : tensor<4x8xf32>

// CHECK-LABEL: func.func @main
// CHECK: kern.call @[[KERNEL:add_0_.*]] ins(
func.func @main(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %w = nn.get_parameter @add_0 : tensor<4x8xf32>
  %0 = nn.add %x, %w : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  return %0 : tensor<4x8xf32>
}
// CHECK: kern.func @[[KERNEL]](
