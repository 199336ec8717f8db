// RUN: nacre-opt %s --contract-blocked | FileCheck %s
// RUN: nacre-opt %s --contract-blocked=mixed-signs | FileCheck %s --check-prefix=MIXED

nn.parameter @q = dense<1> : tensor<2x32x8xi8>
nn.parameter @s = dense<2.0> : tensor<2x1x8xf32>
nn.parameter @u = dense<[[[250], [3]], [[9], [7]]]> : tensor<2x2x1xui8>
nn.parameter @v = dense<[[[4]], [[200]]]> : tensor<2x1x1xi32>
nn.parameter @t = dense<2.0> : tensor<8x2x1xf32>
nn.parameter @r = dense<1> : tensor<8x2x32xi8>

// A block's products are summed as integers and scaled; blocks are summed as floats, and scaled by what all have.
// CHECK-LABEL: func.func @blocks
// CHECK-SAME: %[[X:[^ ]+]]: tensor<?x64xui8>, %[[ZP:[^ ]+]]: tensor<i32>, %[[SX:[^ ]+]]: tensor<f32>
// CHECK-DAG: %[[V:.+]] = nn.reshape %[[X]], %{{.+}} : (tensor<?x64xui8>, tensor<3xi64>) -> tensor<?x2x32xui8>
// CHECK: %[[P:.+]] = nn.contract %[[V]], %{{.+}} wide} : (tensor<?x2x32xui8>, tensor<2x32x8xi8>) -> tensor<?x2x8xi32>
// CHECK: %[[C:.+]] = nn.reduce sum, %{{.+}} {axes = array<i64: 1>, keepdims} : (tensor<2x32x8xi32>) -> tensor<2x1x8xi32>
// CHECK: %[[M:.+]] = nn.reshape %[[C]], %{{.+}} : (tensor<2x1x8xi32>, tensor<2xi64>) -> tensor<2x8xi32>
// CHECK: %[[SHIFT:.+]] = nn.mul %[[ZP]], %[[M]]
// CHECK: %[[D:.+]] = nn.sub %[[P]], %[[SHIFT]]
// CHECK-DAG: %[[F:.+]] = nn.cast %[[D]] to f32
// CHECK-DAG: %[[S:.+]] = nn.reshape %{{.+}} : (tensor<2x1x8xf32>, tensor<2xi64>) -> tensor<2x8xf32>
// CHECK: %[[SCALED:.+]] = nn.mul %[[F]], %[[S]]
// CHECK: %[[SUM:.+]] = nn.reduce sum, %[[SCALED]] {axes = array<i64: 1>} : (tensor<?x2x8xf32>) -> tensor<?x8xf32>
// CHECK: %[[Y:.+]] = nn.mul %[[SUM]], %[[SX]]
// CHECK: return %[[Y]]
func.func @blocks(%x: tensor<?x64xui8>, %z: tensor<i32>, %sx: tensor<f32>) -> tensor<?x8xf32> {
  %xi = nn.cast %x to i32 : (tensor<?x64xui8>) -> tensor<?x64xi32>
  %xd = nn.sub %xi, %z : (tensor<?x64xi32>, tensor<i32>) -> tensor<?x64xi32>
  %xf = nn.cast %xd to f32 : (tensor<?x64xi32>) -> tensor<?x64xf32>
  %a = nn.mul %xf, %sx : (tensor<?x64xf32>, tensor<f32>) -> tensor<?x64xf32>
  %q = nn.get_parameter @q : tensor<2x32x8xi8>
  %s = nn.get_parameter @s : tensor<2x1x8xf32>
  %qf = nn.cast %q to f32 : (tensor<2x32x8xi8>) -> tensor<2x32x8xf32>
  %w = nn.mul %qf, %s : (tensor<2x32x8xf32>, tensor<2x1x8xf32>) -> tensor<2x32x8xf32>
  %b = nn.collapse %w from 0 to 2 : (tensor<2x32x8xf32>) -> tensor<64x8xf32>
  %y = nn.matmul %a, %b : (tensor<?x64xf32>, tensor<64x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// Zero points that leave differences beyond 8 bits: sums over the values' blocks take them off. On x86 unsigned weights
// become signed ones.
// CHECK-LABEL: func.func @zero_points
// CHECK: %[[P:.+]] = nn.contract %{{.+}} : (tensor<3x2x2xui8>, tensor<2x2x1xui8>) -> tensor<3x2x1xi32>
// CHECK: %[[R:.+]] = nn.reduce sum, %{{.+}} {axes = array<i64: 2>, keepdims} : (tensor<3x2x2xi32>) -> tensor<3x2x1xi32>
// CHECK: %[[SHIFT:.+]] = nn.mul %[[R]], %{{.+}} : (tensor<3x2x1xi32>, tensor<2x1xi32>) -> tensor<3x2x1xi32>
// CHECK: nn.sub %[[P]], %[[SHIFT]]
func.func @zero_points(%x: tensor<3x4xui8>, %sx: tensor<3x1xf32>) -> tensor<3x1xf32> {
  %xf = nn.cast %x to f32 : (tensor<3x4xui8>) -> tensor<3x4xf32>
  %a = nn.mul %xf, %sx : (tensor<3x4xf32>, tensor<3x1xf32>) -> tensor<3x4xf32>
  %q = nn.get_parameter @u : tensor<2x2x1xui8>
  %v = nn.get_parameter @v : tensor<2x1x1xi32>
  %s = nn.constant dense<[[[0.5]], [[0.25]]]> : tensor<2x1x1xf32>
  %qi = nn.cast %q to i32 : (tensor<2x2x1xui8>) -> tensor<2x2x1xi32>
  %qd = nn.sub %qi, %v : (tensor<2x2x1xi32>, tensor<2x1x1xi32>) -> tensor<2x2x1xi32>
  %qf = nn.cast %qd to f32 : (tensor<2x2x1xi32>) -> tensor<2x2x1xf32>
  %w = nn.mul %qf, %s : (tensor<2x2x1xf32>, tensor<2x1x1xf32>) -> tensor<2x2x1xf32>
  %b = nn.collapse %w from 0 to 2 : (tensor<2x2x1xf32>) -> tensor<4x1xf32>
  %y = nn.matmul %a, %b : (tensor<3x4xf32>, tensor<4x1xf32>) -> tensor<3x1xf32>
  return %y : tensor<3x1xf32>
}

// Transposed weights; on x86 signed values become unsigned ones.
// MIXED-LABEL: func.func @transposed
// MIXED: nn.add
// MIXED: %[[X:.+]] = nn.cast %{{.+}} to ui8
// MIXED: nn.contract {{.*}} wide} : (tensor<3x2x32xui8>, tensor<8x2x32xi8>) -> tensor<3x2x8xi32>
// MIXED: nn.transpose %{{.+}} {permutation = array<i64: 1, 0>} : (tensor<8x2xi32>) -> tensor<2x8xi32>
// MIXED: nn.transpose %{{.+}} {permutation = array<i64: 1, 0>} : (tensor<8x2xf32>) -> tensor<2x8xf32>
func.func @transposed(%x: tensor<3x64xi8>, %sx: tensor<f32>) -> tensor<3x8xf32> {
  %xf = nn.cast %x to f32 : (tensor<3x64xi8>) -> tensor<3x64xf32>
  %a = nn.mul %xf, %sx : (tensor<3x64xf32>, tensor<f32>) -> tensor<3x64xf32>
  %q = nn.get_parameter @r : tensor<8x2x32xi8>
  %s = nn.get_parameter @t : tensor<8x2x1xf32>
  %qf = nn.cast %q to f32 : (tensor<8x2x32xi8>) -> tensor<8x2x32xf32>
  %w = nn.mul %qf, %s : (tensor<8x2x32xf32>, tensor<8x2x1xf32>) -> tensor<8x2x32xf32>
  %b = nn.collapse %w from 1 to 3 : (tensor<8x2x32xf32>) -> tensor<8x64xf32>
  %y = nn.matmul %a, %b {transpose_rhs} : (tensor<3x64xf32>, tensor<8x64xf32>) -> tensor<3x8xf32>
  return %y : tensor<3x8xf32>
}

// A scale for each step: no sum has one. Values of floats: no integers.
// CHECK-LABEL: func.func @others
// CHECK-NOT: nn.contract
// CHECK: nn.matmul
// CHECK: nn.matmul
func.func @others(%x: tensor<3x64xui8>, %sx: tensor<64xf32>, %f: tensor<3x64xf32>) -> (tensor<3x8xf32>, tensor<3x8xf32>) {
  %xf = nn.cast %x to f32 : (tensor<3x64xui8>) -> tensor<3x64xf32>
  %a = nn.mul %xf, %sx : (tensor<3x64xf32>, tensor<64xf32>) -> tensor<3x64xf32>
  %q = nn.get_parameter @q : tensor<2x32x8xi8>
  %s = nn.get_parameter @s : tensor<2x1x8xf32>
  %qf = nn.cast %q to f32 : (tensor<2x32x8xi8>) -> tensor<2x32x8xf32>
  %w = nn.mul %qf, %s : (tensor<2x32x8xf32>, tensor<2x1x8xf32>) -> tensor<2x32x8xf32>
  %b = nn.collapse %w from 0 to 2 : (tensor<2x32x8xf32>) -> tensor<64x8xf32>
  %y = nn.matmul %a, %b : (tensor<3x64xf32>, tensor<64x8xf32>) -> tensor<3x8xf32>
  %z = nn.matmul %f, %b : (tensor<3x64xf32>, tensor<64x8xf32>) -> tensor<3x8xf32>
  return %y, %z : tensor<3x8xf32>, tensor<3x8xf32>
}
