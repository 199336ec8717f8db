// RUN: nacre-opt %s --nn-to-linalg --pack-parameters | FileCheck %s

// CHECK-DAG: affine_map<(d0, d1, d2) -> (d1 floordiv 32, d2, d1 mod 32)>
// CHECK: nn.parameter @w.packed = {{.*}} : tensor<2x8x32xf32> {nn.computed}
nn.parameter @w = dense<1.0> : tensor<8x40xf32>

// CHECK-LABEL: func.func @main
// CHECK: %[[W:.*]] = nn.get_parameter @w.packed
// CHECK: kern.call @k ins(%arg0, %[[W]] : tensor<4x8xf32>, tensor<2x8x32xf32>)
func.func @main(%x: tensor<4x8xf32>) -> tensor<4x40xf32> {
  %w = nn.get_parameter @w : tensor<8x40xf32>
  %d = tensor.empty() : tensor<4x40xf32>
  %0 = kern.call @k ins(%x, %w : tensor<4x8xf32>, tensor<8x40xf32>) outs(%d : tensor<4x40xf32>) -> tensor<4x40xf32>
  return %0 : tensor<4x40xf32>
}
kern.func @k(%x: tensor<4x8xf32>, %w: tensor<8x40xf32>, %d: tensor<4x40xf32>) -> tensor<4x40xf32> {
  %0 = nn.matmul %x, %w : (tensor<4x8xf32>, tensor<8x40xf32>) -> tensor<4x40xf32>
  kern.return %0 : tensor<4x40xf32>
}
// The last panel is padded with zeros.
// CHECK: kern.func @pack_0
// CHECK: tensor.pad {{.*}} low[0, 0] high[0, 24]
// CHECK-LABEL: func.func @prepare
// CHECK: kern.call @pack_0
