// Element-wise ops print and parse back, and infer their result types.
// RUN: nacre-opt %s -infer-shapes | nacre-opt | FileCheck %s

// CHECK-LABEL: @arithmetic
func.func @arithmetic(%a: tensor<4x?xf32>, %b: tensor<?xf32>, %i: tensor<i64>) -> tensor<?x?xf32> {
  // CHECK: nn.add %{{.*}}, %{{.*}} : (tensor<4x?xf32>, tensor<?xf32>) -> tensor<4x?xf32>
  %0 = nn.add %a, %b : (tensor<4x?xf32>, tensor<?xf32>) -> tensor<?x?xf32>
  // CHECK: nn.pow %{{.*}}, %{{.*}} : (tensor<4x?xf32>, tensor<i64>) -> tensor<4x?xf32>
  %1 = nn.pow %0, %i : (tensor<?x?xf32>, tensor<i64>) -> tensor<?x?xf32>
  // CHECK: nn.sub %{{.*}}, %{{.*}} : (tensor<4x?xf32>, tensor<?xf32>) -> tensor<4x?xf32>
  %2 = nn.sub %a, %b : (tensor<4x?xf32>, tensor<?xf32>) -> tensor<?x?xf32>
  // CHECK: nn.mod %{{.*}}, %{{.*}} : (tensor<4x?xf32>, tensor<?xf32>) -> tensor<4x?xf32>
  %3 = nn.mod %a, %b : (tensor<4x?xf32>, tensor<?xf32>) -> tensor<?x?xf32>
  // CHECK: nn.fmod %{{.*}}, %{{.*}} : (tensor<4x?xf32>, tensor<?xf32>) -> tensor<4x?xf32>
  %4 = nn.fmod %a, %b : (tensor<4x?xf32>, tensor<?xf32>) -> tensor<?x?xf32>
  // CHECK: nn.min %{{.*}}, %{{.*}} : (tensor<4x?xf32>, tensor<?xf32>) -> tensor<4x?xf32>
  %5 = nn.min %a, %b : (tensor<4x?xf32>, tensor<?xf32>) -> tensor<?x?xf32>
  // CHECK: nn.max %{{.*}}, %{{.*}} : (tensor<4x?xf32>, tensor<?xf32>) -> tensor<4x?xf32>
  %6 = nn.max %a, %b : (tensor<4x?xf32>, tensor<?xf32>) -> tensor<?x?xf32>
  // CHECK: nn.prelu %{{.*}}, %{{.*}} : (tensor<4x?xf32>, tensor<?xf32>) -> tensor<4x?xf32>
  %7 = nn.prelu %a, %b : (tensor<4x?xf32>, tensor<?xf32>) -> tensor<?x?xf32>
  return %1 : tensor<?x?xf32>
}

// CHECK-LABEL: @broadcast
func.func @broadcast(%a: tensor<3x1xi32>, %b: tensor<1x5xi32>, %c: tensor<0x1xi32>, %d: tensor<1x1xi32>) {
  // CHECK: -> tensor<3x5xi32>
  %0 = nn.mul %a, %b : (tensor<3x1xi32>, tensor<1x5xi32>) -> tensor<?x?xi32>
  // CHECK: -> tensor<0x1xi32>
  %1 = nn.mul %c, %d : (tensor<0x1xi32>, tensor<1x1xi32>) -> tensor<?x?xi32>
  return
}

// CHECK-LABEL: @conditions
func.func @conditions(%a: tensor<4x1xf32>, %b: tensor<f32>, %c: tensor<8xf32>) {
  // CHECK: %[[C:.*]] = nn.compare lt, %{{.*}}, %{{.*}} : (tensor<4x1xf32>, tensor<f32>) -> tensor<4x1xi1>
  %0 = nn.compare lt, %a, %b : (tensor<4x1xf32>, tensor<f32>) -> tensor<?x?xi1>
  // CHECK: nn.where %[[C]], %{{.*}} : (tensor<4x1xi1>, tensor<8xf32>, tensor<f32>) -> tensor<4x8xf32>
  %1 = nn.where %0, %c, %b : (tensor<?x?xi1>, tensor<8xf32>, tensor<f32>) -> tensor<?x?xf32>
  // CHECK: nn.is_inf %{{.*}} {negative = false} : (tensor<4x8xf32>) -> tensor<4x8xi1>
  %2 = nn.is_inf %1 {negative = false} : (tensor<?x?xf32>) -> tensor<?x?xi1>
  // CHECK: nn.cast %{{.*}} to ui8 : (tensor<4x8xi1>) -> tensor<4x8xui8>
  %3 = nn.cast %2 to ui8 : (tensor<?x?xi1>) -> tensor<?x?xui8>
  return
}

// CHECK-LABEL: @activations
func.func @activations(%x: tensor<4xf32>) {
  // CHECK: nn.elu %{{.*}} {alpha = 2.000000e+00 : f64}
  %0 = nn.elu %x {alpha = 2.0 : f64} : (tensor<4xf32>) -> tensor<4xf32>
  // CHECK: nn.gelu %{{.*}} {approximate}
  %1 = nn.gelu %x {approximate} : (tensor<4xf32>) -> tensor<4xf32>
  // CHECK: nn.leaky_relu %{{.*}} {alpha = 1.000000e-02 : f64}
  %3 = nn.leaky_relu %x {alpha = 0.01 : f64} : (tensor<4xf32>) -> tensor<4xf32>
  // CHECK: nn.hard_sigmoid %{{.*}} {alpha = 2.000000e-01 : f64, beta = 5.000000e-01 : f64}
  %4 = nn.hard_sigmoid %x {alpha = 0.2 : f64, beta = 0.5 : f64} : (tensor<4xf32>) -> tensor<4xf32>
  // CHECK: nn.softplus
  %2 = nn.softplus %x : (tensor<4xf32>) -> tensor<4xf32>
  return
}

// CHECK-LABEL: @bits
func.func @bits(%p: tensor<4x1xi1>, %q: tensor<8xi1>, %a: tensor<4x1xui8>, %x: tensor<8xf32>) {
  // CHECK: nn.and %{{.*}}, %{{.*}} : (tensor<4x1xi1>, tensor<8xi1>) -> tensor<4x8xi1>
  %0 = nn.and %p, %q : (tensor<4x1xi1>, tensor<8xi1>) -> tensor<?x?xi1>
  // CHECK: nn.or %{{.*}}, %{{.*}} : (tensor<4x1xi1>, tensor<8xi1>) -> tensor<4x8xi1>
  %1 = nn.or %p, %q : (tensor<4x1xi1>, tensor<8xi1>) -> tensor<?x?xi1>
  // CHECK: nn.xor %{{.*}}, %{{.*}} : (tensor<4x1xi1>, tensor<8xi1>) -> tensor<4x8xi1>
  %2 = nn.xor %p, %q : (tensor<4x1xi1>, tensor<8xi1>) -> tensor<?x?xi1>
  // CHECK: nn.not %{{.*}} : (tensor<4x1xui8>) -> tensor<4x1xui8>
  %3 = nn.not %a : (tensor<4x1xui8>) -> tensor<?x1xui8>
  // CHECK: nn.shift_left %{{.*}}, %{{.*}} : (tensor<4x1xui8>, tensor<4x1xui8>) -> tensor<4x1xui8>
  %4 = nn.shift_left %a, %a : (tensor<4x1xui8>, tensor<4x1xui8>) -> tensor<?x?xui8>
  // CHECK: nn.shift_right %{{.*}}, %{{.*}} : (tensor<4x1xui8>, tensor<4x1xui8>) -> tensor<4x1xui8>
  %5 = nn.shift_right %a, %a : (tensor<4x1xui8>, tensor<4x1xui8>) -> tensor<?x?xui8>
  // CHECK: nn.is_nan %{{.*}} : (tensor<8xf32>) -> tensor<8xi1>
  %6 = nn.is_nan %x : (tensor<8xf32>) -> tensor<?xi1>
  // CHECK: nn.bitcast %{{.*}} to i32 : (tensor<8xf32>) -> tensor<8xi32>
  %7 = nn.bitcast %x to i32 : (tensor<8xf32>) -> tensor<?xi32>
  return
}
