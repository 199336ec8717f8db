// RUN: nacre-opt %s --recompute-elementwise | FileCheck %s

// What is kept for later is computed again of what it is made of.
// CHECK-LABEL: func.func @centered
// CHECK: %[[C:.*]] = nn.sub %[[X:.*]], %[[MEAN:.*]] :
// CHECK: nn.mul %[[C]], %[[C]]
// CHECK: %[[D:.*]] = nn.sub %[[X]], %[[MEAN]]
// CHECK: nn.mul %[[D]], %{{.*}} :
func.func @centered(%x: tensor<64x32xf32>, %mean: tensor<1x32xf32>, %dy: tensor<64x32xf32>) -> (tensor<32xf32>, tensor<64x32xf32>) {
  %c = nn.sub %x, %mean : (tensor<64x32xf32>, tensor<1x32xf32>) -> tensor<64x32xf32>
  %s = nn.mul %c, %c : (tensor<64x32xf32>, tensor<64x32xf32>) -> tensor<64x32xf32>
  %v = nn.reduce mean, %s {axes = array<i64: 0>} : (tensor<64x32xf32>) -> tensor<32xf32>
  %d = nn.mul %c, %dy : (tensor<64x32xf32>, tensor<64x32xf32>) -> tensor<64x32xf32>
  return %v, %d : tensor<32xf32>, tensor<64x32xf32>
}

// Sizes that are not known: of a channel's factor fewer dimensions are long.
// CHECK-LABEL: func.func @dynamic
// CHECK-COUNT-2: nn.mul %{{.*}}, %{{.*}} : (tensor<?x32xf32>, tensor<32xf32>)
func.func @dynamic(%x: tensor<?x32xf32>, %f: tensor<32xf32>) -> (tensor<?xf32>, tensor<32xf32>) {
  %c = nn.mul %x, %f : (tensor<?x32xf32>, tensor<32xf32>) -> tensor<?x32xf32>
  %a = nn.reduce sum, %c {axes = array<i64: 1>} : (tensor<?x32xf32>) -> tensor<?xf32>
  %b = nn.reduce max, %c {axes = array<i64: 0>} : (tensor<?x32xf32>) -> tensor<32xf32>
  return %a, %b : tensor<?xf32>, tensor<32xf32>
}

// Two large tensors would be read again, a function takes long, a mask is smaller than what it is made
// of, and a product takes no element-wise op in front: all of these are kept.
// CHECK-LABEL: func.func @kept
// CHECK-COUNT-1: nn.add
// CHECK-COUNT-1: nn.exp
// CHECK-COUNT-1: nn.compare
// CHECK-COUNT-1: nn.relu
// CHECK-NOT: nn.add
// CHECK-NOT: nn.exp
// CHECK-NOT: nn.compare
// CHECK-NOT: nn.relu
func.func @kept(%x: tensor<64x64xf32>, %y: tensor<64x64xf32>, %z: tensor<f32>, %w: tensor<64x64xf32>)
    -> (tensor<64xf32>, tensor<64xf32>, tensor<64xf32>, tensor<64xf32>, tensor<64x64xf32>, tensor<64x64xf32>, tensor<64x64xf32>, tensor<64xf32>) {
  %a = nn.add %x, %y : (tensor<64x64xf32>, tensor<64x64xf32>) -> tensor<64x64xf32>
  %a0 = nn.reduce sum, %a {axes = array<i64: 0>} : (tensor<64x64xf32>) -> tensor<64xf32>
  %a1 = nn.reduce sum, %a {axes = array<i64: 1>} : (tensor<64x64xf32>) -> tensor<64xf32>
  %e = nn.exp %x : (tensor<64x64xf32>) -> tensor<64x64xf32>
  %e0 = nn.reduce sum, %e {axes = array<i64: 0>} : (tensor<64x64xf32>) -> tensor<64xf32>
  %e1 = nn.reduce sum, %e {axes = array<i64: 1>} : (tensor<64x64xf32>) -> tensor<64xf32>
  %m = nn.compare gt, %x, %z : (tensor<64x64xf32>, tensor<f32>) -> tensor<64x64xi1>
  %m0 = nn.where %m, %y, %z : (tensor<64x64xi1>, tensor<64x64xf32>, tensor<f32>) -> tensor<64x64xf32>
  %m1 = nn.where %m, %z, %y : (tensor<64x64xi1>, tensor<f32>, tensor<64x64xf32>) -> tensor<64x64xf32>
  %r = nn.relu %x : (tensor<64x64xf32>) -> tensor<64x64xf32>
  %r0 = nn.matmul %r, %w : (tensor<64x64xf32>, tensor<64x64xf32>) -> tensor<64x64xf32>
  %r1 = nn.reduce sum, %r {axes = array<i64: 1>} : (tensor<64x64xf32>) -> tensor<64xf32>
  return %a0, %a1, %e0, %e1, %m0, %m1, %r0, %r1 : tensor<64xf32>, tensor<64xf32>, tensor<64xf32>, tensor<64xf32>, tensor<64x64xf32>, tensor<64x64xf32>, tensor<64x64xf32>, tensor<64xf32>
}
