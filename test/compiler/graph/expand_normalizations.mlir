// RUN: nacre-opt %s -expand-normalizations -split-input-file | FileCheck %s

// A factor and an offset for each channel.
// CHECK-LABEL: @batch_norm
// CHECK-SAME: (%[[X:.*]]: tensor<?x8x8x16xf32>, %[[S:.*]]: tensor<16xf32>, %[[B:.*]]: tensor<16xf32>, %[[M:.*]]: tensor<16xf32>, %[[V:.*]]: tensor<16xf32>)
func.func @batch_norm(%x: tensor<?x8x8x16xf32>, %s: tensor<16xf32>, %b: tensor<16xf32>, %m: tensor<16xf32>, %v: tensor<16xf32>) -> tensor<?x8x8x16xf32> {
  // CHECK: %[[E:.*]] = nn.constant dense<9.99999974E-6> : tensor<f32>
  // CHECK: %[[VE:.*]] = nn.add %[[V]], %[[E]]
  // CHECK: %[[D:.*]] = nn.sqrt %[[VE]]
  // CHECK: %[[F:.*]] = nn.div %[[S]], %[[D]]
  // CHECK: %[[MF:.*]] = nn.mul %[[M]], %[[F]]
  // CHECK: %[[O:.*]] = nn.sub %[[B]], %[[MF]]
  // CHECK: %[[FU:.*]] = nn.unsqueeze %[[F]] {axes = array<i64: 0, 1, 2>}
  // CHECK: %[[OU:.*]] = nn.unsqueeze %[[O]] {axes = array<i64: 0, 1, 2>}
  // CHECK: %[[P:.*]] = nn.mul %[[X]], %[[FU]]
  // CHECK: nn.add %[[P]], %[[OU]] : (tensor<?x8x8x16xf32>, tensor<1x1x1x16xf32>)
  %0 = nn.batch_norm %x, %s, %b, %m, %v {channels_last, epsilon = 1.0e-5 : f64}
      : (tensor<?x8x8x16xf32>, tensor<16xf32>, tensor<16xf32>, tensor<16xf32>, tensor<16xf32>) -> tensor<?x8x8x16xf32>
  return %0 : tensor<?x8x8x16xf32>
}

// -----

// Channels second; the input is narrow, the result too, all between f32.
// CHECK-LABEL: @narrow
func.func @narrow(%x: tensor<2x16x8xf16>, %s: tensor<16xf32>, %b: tensor<16xf32>, %m: tensor<16xf32>, %v: tensor<16xf32>) -> tensor<2x16x8xf16> {
  // CHECK: nn.unsqueeze %{{.*}} {axes = array<i64: 0, 2>} : (tensor<16xf32>) -> tensor<1x16x1xf32>
  // CHECK: nn.cast %{{.*}} to f32 : (tensor<2x16x8xf16>) -> tensor<2x16x8xf32>
  // CHECK: nn.cast %{{.*}} to f16 : (tensor<2x16x8xf32>) -> tensor<2x16x8xf16>
  %0 = nn.batch_norm %x, %s, %b, %m, %v {epsilon = 1.0e-5 : f64}
      : (tensor<2x16x8xf16>, tensor<16xf32>, tensor<16xf32>, tensor<16xf32>, tensor<16xf32>) -> tensor<2x16x8xf16>
  return %0 : tensor<2x16x8xf16>
}

// -----

// CHECK-LABEL: @group_norm
// CHECK-SAME: (%[[X:[a-z0-9]+]]: tensor<?x8x8x16xf32>
func.func @group_norm(%x: tensor<?x8x8x16xf32>, %s: tensor<16xf32>, %b: tensor<16xf32>) -> tensor<?x8x8x16xf32> {
  // CHECK-DAG: %[[SHAPE:.*]] = nn.shape %[[X]]
  // CHECK-DAG: %[[P:.*]] = nn.constant dense<[0, 0, 0, 4, -1]>
  // CHECK: %[[PARTS:.*]] = nn.reshape %[[X]], %[[P]] : {{.*}} -> tensor<?x8x8x4x4xf32>
  // CHECK: %[[N:.*]] = nn.normalize %[[PARTS]] {axes = array<i64: 1, 2, 4>
  // CHECK: %[[WHOLE:.*]] = nn.reshape %[[N]], %[[SHAPE]] {allowzero}
  // CHECK: nn.mul %[[WHOLE]]
  %0 = nn.group_norm %x, %s, %b {channels_last, groups = 4 : i64, epsilon = 1.0e-5 : f64}
      : (tensor<?x8x8x16xf32>, tensor<16xf32>, tensor<16xf32>) -> tensor<?x8x8x16xf32>
  return %0 : tensor<?x8x8x16xf32>
}

// -----

// CHECK-LABEL: @instance_norm
func.func @instance_norm(%x: tensor<2x?x16xf32>, %s: tensor<16xf32>, %b: tensor<16xf32>) -> tensor<2x?x16xf32> {
  // CHECK: nn.normalize %{{.*}} {axes = array<i64: 1>
  %0 = nn.group_norm %x, %s, %b {channels_last, groups = 0 : i64, epsilon = 1.0e-5 : f64}
      : (tensor<2x?x16xf32>, tensor<16xf32>, tensor<16xf32>) -> tensor<2x?x16xf32>
  return %0 : tensor<2x?x16xf32>
}

// -----

// It waits for the layout.
// CHECK-LABEL: @channels_second
func.func @channels_second(%x: tensor<2x16x?xf32>, %s: tensor<16xf32>, %b: tensor<16xf32>) -> tensor<2x16x?xf32> {
  // CHECK: nn.group_norm
  %0 = nn.group_norm %x, %s, %b {groups = 0 : i64, epsilon = 1.0e-5 : f64}
      : (tensor<2x16x?xf32>, tensor<16xf32>, tensor<16xf32>) -> tensor<2x16x?xf32>
  return %0 : tensor<2x16x?xf32>
}
