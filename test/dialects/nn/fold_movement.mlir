// RUN: nacre-opt %s --canonicalize | FileCheck %s

// CHECK-LABEL: @chain
// CHECK-NEXT: nn.constant dense<[2, 12]> : tensor<2xi64>
// CHECK-NEXT: return
func.func @chain(%x: tensor<2x3x4xf32>) -> tensor<2xi64> {
  %s = nn.shape %x : (tensor<2x3x4xf32>) -> tensor<3xi64>
  %0 = nn.constant dense<0> : tensor<1xi64>
  %1 = nn.constant dense<1> : tensor<1xi64>
  %first = nn.slice %s, %0, %1, %1 : (tensor<3xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<1xi64>
  %c12 = nn.constant dense<12> : tensor<i64>
  %rest = nn.unsqueeze %c12 {axes = array<i64: 0>} : (tensor<i64>) -> tensor<1xi64>
  %y = nn.concat %first, %rest along 0 : (tensor<1xi64>, tensor<1xi64>) -> tensor<2xi64>
  return %y : tensor<2xi64>
}

// CHECK-LABEL: @moves
func.func @moves() -> (tensor<3x2xf32>, tensor<2x2x3xf32>, tensor<3xf32>, tensor<2x2xf32>, tensor<6xf32>, tensor<3x2xf32>) {
  %x = nn.constant dense<[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]> : tensor<2x3xf32>
  // CHECK-DAG: %[[T:.*]] = nn.constant dense<{{\[\[}}1.{{0*}}e+00, 4.{{0*}}e+00], [2.{{0*}}e+00, 5.{{0*}}e+00], [3.{{0*}}e+00, 6.{{0*}}e+00]]>
  %t = nn.transpose %x {permutation = array<i64: 1, 0>} : (tensor<2x3xf32>) -> tensor<3x2xf32>
  // CHECK-DAG: %[[B:.*]] = nn.constant dense<{{.*}}> : tensor<2x2x3xf32>
  %s = nn.constant dense<[2, 2, 3]> : tensor<3xi64>
  %b = nn.broadcast %x, %s : (tensor<2x3xf32>, tensor<3xi64>) -> tensor<2x2x3xf32>
  // CHECK-DAG: %[[R:.*]] = nn.constant dense<[6.{{0*}}e+00, 5.{{0*}}e+00, 4.{{0*}}e+00]> : tensor<3xf32>
  %starts = nn.constant dense<[1, -1]> : tensor<2xi64>
  %ends = nn.constant dense<[2, -9]> : tensor<2xi64>
  %steps = nn.constant dense<[1, -1]> : tensor<2xi64>
  %row = nn.slice %x, %starts, %ends, %steps : (tensor<2x3xf32>, tensor<2xi64>, tensor<2xi64>, tensor<2xi64>) -> tensor<1x3xf32>
  %r = nn.squeeze %row {axes = array<i64: 0>} : (tensor<1x3xf32>) -> tensor<3xf32>
  // Columns 2 and 1 mirrored at the left edge: [3, 2, 1, 2, 3] without its last three.
  // CHECK-DAG: %[[P:.*]] = nn.constant dense<{{\[\[}}3.{{0*}}e+00, 2.{{0*}}e+00], [6.{{0*}}e+00, 5.{{0*}}e+00]]> : tensor<2x2xf32>
  %zero = nn.constant dense<0.0> : tensor<f32>
  %pads = nn.constant dense<[0, 2, 0, -3]> : tensor<4xi64>
  %p = nn.pad %x, %pads, %zero reflect : (tensor<2x3xf32>, tensor<4xi64>, tensor<f32>) -> tensor<2x2xf32>
  // CHECK-DAG: %[[C:.*]] = nn.constant dense<[1.{{0*}}e+00, 2.{{0*}}e+00, 3.{{0*}}e+00, 4.{{0*}}e+00, 5.{{0*}}e+00, 6.{{0*}}e+00]> : tensor<6xf32>
  %c = nn.collapse %x from 0 to 2 : (tensor<2x3xf32>) -> tensor<6xf32>
  // CHECK-DAG: %[[V:.*]] = nn.constant dense<{{\[\[}}1.{{0*}}e+00, 2.{{0*}}e+00], [3.{{0*}}e+00, 4.{{0*}}e+00], [5.{{0*}}e+00, 6.{{0*}}e+00]]>
  %shape = nn.constant dense<[-1, 2]> : tensor<2xi64>
  %v = nn.reshape %x, %shape : (tensor<2x3xf32>, tensor<2xi64>) -> tensor<3x2xf32>
  // CHECK: return %[[T]], %[[B]], %[[R]], %[[P]], %[[C]], %[[V]]
  return %t, %b, %r, %p, %c, %v : tensor<3x2xf32>, tensor<2x2x3xf32>, tensor<3xf32>, tensor<2x2xf32>, tensor<6xf32>, tensor<3x2xf32>
}

// What grows beyond a thousand elements stays an op.
// CHECK-LABEL: @large
// CHECK: nn.broadcast
func.func @large() -> tensor<64x64xf32> {
  %x = nn.constant dense<1.0> : tensor<f32>
  %s = nn.constant dense<64> : tensor<2xi64>
  %y = nn.broadcast %x, %s : (tensor<f32>, tensor<2xi64>) -> tensor<64x64xf32>
  return %y : tensor<64x64xf32>
}

// CHECK-LABEL: @empty
// CHECK: nn.constant dense<> : tensor<0xi64>
func.func @empty() -> tensor<0xi64> {
  %x = nn.constant dense<[1, 2]> : tensor<2xi64>
  %0 = nn.constant dense<0> : tensor<1xi64>
  %1 = nn.constant dense<1> : tensor<1xi64>
  %y = nn.slice %x, %0, %0, %1 : (tensor<2xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<0xi64>
  return %y : tensor<0xi64>
}
