// RUN: nacre-opt %s --infer-shapes | FileCheck %s

// CHECK-LABEL: func.func @chain
// CHECK-SAME: -> tensor<4x8xf32>
func.func @chain(%x: tensor<4x8xf32>) -> tensor<?x?xf32> {
  // CHECK: nn.relu {{.*}} -> tensor<4x8xf32>
  %0 = nn.relu %x : (tensor<4x8xf32>) -> tensor<?x?xf32>
  return %0 : tensor<?x?xf32>
}

// One branch knows more than the other: both still hand on what their op has.
// CHECK-LABEL: @branches
func.func @branches(%x: tensor<1x4xf32>, %y: tensor<?x4xf32>, %p: i1) -> tensor<?x4xf32> {
  // CHECK: %[[R:.*]] = nn.relu %{{.*}} : (tensor<1x4xf32>) -> tensor<1x4xf32>
  // CHECK: %[[C:.*]] = tensor.cast %[[R]] : tensor<1x4xf32> to tensor<?x4xf32>
  // CHECK: scf.yield %[[C]] : tensor<?x4xf32>
  %0 = scf.if %p -> (tensor<?x4xf32>) {
    %1 = nn.relu %x : (tensor<1x4xf32>) -> tensor<?x4xf32>
    scf.yield %1 : tensor<?x4xf32>
  } else {
    scf.yield %y : tensor<?x4xf32>
  }
  return %0 : tensor<?x4xf32>
}

// An If of values alone has become a choice.
// CHECK-LABEL: @choice
func.func @choice(%x: tensor<1x4xf32>, %y: tensor<?x4xf32>, %p: i1) -> tensor<?x4xf32> {
  // CHECK: %[[R:.*]] = nn.relu %{{.*}} : (tensor<1x4xf32>) -> tensor<1x4xf32>
  // CHECK: %[[C:.*]] = tensor.cast %[[R]] : tensor<1x4xf32> to tensor<?x4xf32>
  // CHECK: arith.select %{{.*}}, %[[C]], %{{.*}} : tensor<?x4xf32>
  %0 = nn.relu %x : (tensor<1x4xf32>) -> tensor<?x4xf32>
  %1 = arith.select %p, %0, %y : tensor<?x4xf32>
  return %1 : tensor<?x4xf32>
}

// A loop's body knows more than the loop.
// CHECK-LABEL: @loop
func.func @loop(%x: tensor<?x4xf32>, %y: tensor<1x4xf32>, %n: index) -> tensor<?x4xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  // CHECK: %[[R:.*]] = nn.relu %{{.*}} : (tensor<1x4xf32>) -> tensor<1x4xf32>
  // CHECK: %[[C:.*]] = tensor.cast %[[R]] : tensor<1x4xf32> to tensor<?x4xf32>
  // CHECK: scf.yield %[[C]] : tensor<?x4xf32>
  %0 = scf.for %i = %c0 to %n step %c1 iter_args(%s = %x) -> (tensor<?x4xf32>) {
    %1 = nn.relu %y : (tensor<1x4xf32>) -> tensor<?x4xf32>
    scf.yield %1 : tensor<?x4xf32>
  }
  return %0 : tensor<?x4xf32>
}

// More becomes known of what a loop begins with.
// CHECK-LABEL: @while
func.func @while(%x: tensor<1x4xf32>, %p: i1) -> tensor<?x4xf32> {
  // CHECK: %[[R:.*]] = nn.relu %{{.*}} : (tensor<1x4xf32>) -> tensor<1x4xf32>
  // CHECK: %[[C:.*]] = tensor.cast %[[R]] : tensor<1x4xf32> to tensor<?x4xf32>
  // CHECK: scf.while (%{{.*}} = %[[C]]) : (tensor<?x4xf32>) -> tensor<?x4xf32>
  %0 = nn.relu %x : (tensor<1x4xf32>) -> tensor<?x4xf32>
  %1 = scf.while (%s = %0) : (tensor<?x4xf32>) -> tensor<?x4xf32> {
    scf.condition(%p) %s : tensor<?x4xf32>
  } do {
  ^bb0(%s: tensor<?x4xf32>):
    // CHECK: tensor.cast %{{.*}} : tensor<1x4xf32> to tensor<?x4xf32>
    %2 = nn.relu %x : (tensor<1x4xf32>) -> tensor<?x4xf32>
    scf.yield %2 : tensor<?x4xf32>
  }
  return %1 : tensor<?x4xf32>
}
