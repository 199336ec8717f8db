// RUN: nacre-opt %s --form-kernels --canonicalize | FileCheck %s

// A contraction takes its element-wise epilogue; sizes come from the arguments.
// CHECK-LABEL: func.func @epilogue
// CHECK: %[[N:.*]] = tensor.dim %arg0
// 4 columns, 8 multiply-adds for each element: the operations depend on the size.
// CHECK: %[[FLOPS:.*]] = arith.muli %[[N]], %c64
// CHECK: %[[D:.*]] = tensor.empty(%[[N]])
// CHECK: rt.work %[[FLOPS]]
// CHECK: kern.call @matmul_0 ins(%arg0, %arg1, %arg2 {{.*}}) outs(%[[D]]
func.func @epilogue(%a: tensor<?x8xf32>, %w: tensor<8x4xf32>, %b: tensor<4xf32>) -> tensor<?x4xf32> {
  %0 = nn.matmul %a, %w : (tensor<?x8xf32>, tensor<8x4xf32>) -> tensor<?x4xf32>
  %1 = nn.add %0, %b : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  %2 = nn.relu %1 : (tensor<?x4xf32>) -> tensor<?x4xf32>
  return %2 : tensor<?x4xf32>
}

// A value with a use outside stays a kernel's result.
// CHECK-LABEL: func.func @two_uses
// CHECK-NOT: rt.work
// CHECK: kern.call @matmul_1
// CHECK: kern.call @relu_2
func.func @two_uses(%a: tensor<4x8xf32>, %w: tensor<8x4xf32>) -> (tensor<4x4xf32>, tensor<4x4xf32>) {
  %0 = nn.matmul %a, %w : (tensor<4x8xf32>, tensor<8x4xf32>) -> tensor<4x4xf32>
  %1 = nn.relu %0 : (tensor<4x4xf32>) -> tensor<4x4xf32>
  return %0, %1 : tensor<4x4xf32>, tensor<4x4xf32>
}

// An update is a kernel of its own, that computes the new value over the old one.
// CHECK-LABEL: func.func @update
// CHECK: %[[W:.*]] = nn.get_parameter @w
// CHECK: %[[G:.*]] = kern.call @reduce_{{[0-9]+}}
// CHECK: %[[NEW:.*]] = kern.call @sub_{{[0-9]+}} ins(%[[G]], %{{.*}} : tensor<4xf32>, tensor<f32>) outs(%[[W]] : tensor<4xf32>)
// CHECK: nn.set_parameter @w, %[[NEW]]
nn.parameter trainable @w = dense<1.0> : tensor<4xf32>
func.func @update(%x: tensor<?x4xf32>, %rate: tensor<f32>) {
  %w = nn.get_parameter @w : tensor<4xf32>
  %g = nn.reduce sum, %x {axes = array<i64: 0>} : (tensor<?x4xf32>) -> tensor<4xf32>
  %step = nn.mul %g, %rate : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %new = nn.sub %w, %step : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  nn.set_parameter @w, %new : tensor<4xf32>
  return
}

// A contraction does not join it: the tiles of its result would be where the old value is.
// CHECK-LABEL: func.func @update_of_contraction
// CHECK: %[[V:.*]] = nn.get_parameter @v
// CHECK: %[[G:.*]] = kern.call @matmul_{{[0-9]+}}
// CHECK: %[[NEW:.*]] = kern.call @sub_{{[0-9]+}} ins(%[[G]] : tensor<4x4xf32>) outs(%[[V]] : tensor<4x4xf32>)
// CHECK: nn.set_parameter @v, %[[NEW]]
nn.parameter trainable @v = dense<1.0> : tensor<4x4xf32>
func.func @update_of_contraction(%x: tensor<4x4xf32>) {
  %v = nn.get_parameter @v : tensor<4x4xf32>
  %g = nn.matmul %x, %x : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  %new = nn.sub %v, %g : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  nn.set_parameter @v, %new : tensor<4x4xf32>
  return
}

// State beside the parameter is updated in the same kernel, over its old value as well.
// CHECK-LABEL: func.func @update_of_state
// CHECK-DAG: %[[U:.*]] = nn.get_parameter @u
// CHECK-DAG: %[[M:.*]] = nn.get_parameter @u.momentum
// CHECK: %[[BOTH:.*]]:2 = kern.call @sub_{{[0-9]+}} ins(%arg0 : tensor<4xf32>) outs(%[[U]], %[[M]] : tensor<4xf32>, tensor<4xf32>)
// CHECK-NEXT: nn.set_parameter @u, %[[BOTH]]#0
// CHECK-NEXT: nn.set_parameter @u.momentum, %[[BOTH]]#1
nn.parameter trainable @u = dense<1.0> : tensor<4xf32>
nn.parameter trainable @u.momentum = dense<0.0> : tensor<4xf32>
func.func @update_of_state(%g: tensor<4xf32>) {
  %u = nn.get_parameter @u : tensor<4xf32>
  %m = nn.get_parameter @u.momentum : tensor<4xf32>
  %next = nn.add %m, %g : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %new = nn.sub %u, %next : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  nn.set_parameter @u, %new : tensor<4xf32>
  nn.set_parameter @u.momentum, %next : tensor<4xf32>
  return
}
// A scatter changes in place what another kernel makes for it alone.
// CHECK-LABEL: func.func @scatter
// CHECK: %[[ZEROS:.*]] = kern.call @{{.*}} outs(%{{.*}} : tensor<100x8xf32>)
// CHECK: kern.call @{{.*}} ins(%arg0, %arg1 : tensor<5x1xi64>, tensor<5x8xf32>) outs(%[[ZEROS]] : tensor<100x8xf32>)
func.func @scatter(%i: tensor<5x1xi64>, %u: tensor<5x8xf32>) -> tensor<100x8xf32> {
  %zero = nn.constant dense<0.0> : tensor<1x1xf32>
  %size = nn.constant dense<[100, 8]> : tensor<2xi64>
  %zeros = nn.broadcast %zero, %size : (tensor<1x1xf32>, tensor<2xi64>) -> tensor<100x8xf32>
  %y = nn.scatter_nd %zeros, %i, %u add : (tensor<100x8xf32>, tensor<5x1xi64>, tensor<5x8xf32>) -> tensor<100x8xf32>
  return %y : tensor<100x8xf32>
}

// What a model is given, or what is read besides, stays as it is.
// CHECK-LABEL: func.func @scatter_of_input
// CHECK: %[[FRESH:.*]] = tensor.empty
// CHECK: kern.call @{{.*}} ins(%arg0, %arg1, %arg2 : {{.*}}) outs(%[[FRESH]] : tensor<100x8xf32>)
func.func @scatter_of_input(%x: tensor<100x8xf32>, %i: tensor<5x1xi64>, %u: tensor<5x8xf32>) -> tensor<100x8xf32> {
  %y = nn.scatter_nd %x, %i, %u add : (tensor<100x8xf32>, tensor<5x1xi64>, tensor<5x8xf32>) -> tensor<100x8xf32>
  return %y : tensor<100x8xf32>
}

// CHECK: kern.func @matmul_0
// CHECK-NEXT: nn.matmul
// CHECK-NEXT: nn.add
// CHECK-NEXT: nn.relu
// CHECK-NEXT: kern.return

// CHECK: kern.func @sub_{{[0-9]+}}(%[[GRADIENT:.*]]: tensor<4xf32>, %[[RATE:.*]]: tensor<f32>, %[[OLD:.*]]: tensor<4xf32>)
// CHECK-NEXT: %[[STEP:.*]] = nn.mul %[[GRADIENT]], %[[RATE]]
// CHECK-NEXT: nn.sub %[[OLD]], %[[STEP]]
