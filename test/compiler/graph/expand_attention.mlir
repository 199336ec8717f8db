// RUN: nacre-opt %s -expand-attention -split-input-file | FileCheck %s

// CHECK-LABEL: @plain
// CHECK-SAME: (%[[Q:.*]]: tensor<2x4x8x16xf32>, %[[K:.*]]: tensor<2x4x6x16xf32>, %[[V:.*]]: tensor<2x4x6x10xf32>)
func.func @plain(%q: tensor<2x4x8x16xf32>, %k: tensor<2x4x6x16xf32>, %v: tensor<2x4x6x10xf32>) -> tensor<2x4x8x10xf32> {
  // CHECK: %[[F:.*]] = nn.constant dense<2.500000e-01> : tensor<f32>
  // CHECK: %[[S:.*]] = nn.mul %[[Q]], %[[F]]
  // CHECK: %[[P:.*]] = nn.matmul %[[S]], %[[K]] {transpose_rhs}
  // CHECK: %[[M:.*]] = nn.softmax %[[P]] {axis = 3 : i64}
  // CHECK: %[[Y:.*]] = nn.matmul %[[M]], %[[V]]
  // CHECK: return %[[Y]]
  %y, %s = nn.attention %q, %k, %v scores raw
      : (tensor<2x4x8x16xf32>, tensor<2x4x6x16xf32>, tensor<2x4x6x10xf32>) -> (tensor<2x4x8x10xf32>, tensor<2x4x8x6xf32>)
  return %y : tensor<2x4x8x10xf32>
}

// -----

// Four heads share two keys; the scores that come out have a row for each head.
// CHECK-LABEL: @grouped
// CHECK-SAME: (%[[Q:.*]]: tensor<2x4x8x16xf32>, %[[K:.*]]: tensor<2x2x6x16xf32>
func.func @grouped(%q: tensor<2x4x8x16xf32>, %k: tensor<2x2x6x16xf32>, %v: tensor<2x2x6x10xf32>) -> tensor<2x4x8x6xf32> {
  // CHECK: %[[G:.*]] = nn.reshape %{{.*}} : (tensor<2x4x8x16xf32>, tensor<4xi64>) -> tensor<2x2x16x16xf32>
  // CHECK: nn.matmul %[[G]], %[[K]] {transpose_rhs} : {{.*}} -> tensor<2x2x16x6xf32>
  // CHECK: nn.reshape %{{.*}} -> tensor<2x4x8x6xf32>
  %y, %s = nn.attention %q, %k, %v scores probabilities
      : (tensor<2x4x8x16xf32>, tensor<2x2x6x16xf32>, tensor<2x2x6x10xf32>) -> (tensor<2x4x8x10xf32>, tensor<2x4x8x6xf32>)
  return %s : tensor<2x4x8x6xf32>
}

// -----

// What is not seen counts as minus infinity, and a query that sees nothing gives 0.
// CHECK-LABEL: @masked
// CHECK-SAME: %[[M:[a-z0-9]+]]: tensor<8x6xi1>
func.func @masked(%q: tensor<2x4x8x16xf32>, %k: tensor<2x4x6x16xf32>, %v: tensor<2x4x6x10xf32>, %m: tensor<8x6xi1>) -> tensor<2x4x8x10xf32> {
  // CHECK: %[[C:.*]] = nn.constant dense<{{\[}}[true, false, false, false, false, false], [true, true,
  // CHECK: %[[A:.*]] = nn.and %[[M]], %[[C]]
  // CHECK: %[[B:.*]] = nn.where %[[A]]
  // CHECK: %[[TOP:.*]] = nn.reduce max, %[[B]] {axes = array<i64: 1>, keepdims}
  // CHECK: %[[NONE:.*]] = nn.compare eq, %[[TOP]]
  // CHECK: %[[SEEN:.*]] = nn.where %[[NONE]], %{{.*}}, %[[B]]
  // CHECK: nn.add %{{.*}}, %[[SEEN]] : (tensor<2x4x8x6xf32>, tensor<8x6xf32>)
  // CHECK: %[[P:.*]] = nn.softmax
  // CHECK: nn.where %[[NONE]], %{{.*}}, %[[P]]
  %y, %s = nn.attention %q, %k, %v mask %m scores raw {right_window = 0 : i64}
      : (tensor<2x4x8x16xf32>, tensor<2x4x6x16xf32>, tensor<2x4x6x10xf32>, tensor<8x6xi1>) -> (tensor<2x4x8x10xf32>, tensor<2x4x8x6xf32>)
  return %y : tensor<2x4x8x10xf32>
}

// -----

// Of the keys up to its own place a query sees the first at least.
// CHECK-LABEL: @causal
func.func @causal(%q: tensor<2x4x8x16xf32>, %k: tensor<2x4x6x16xf32>, %v: tensor<2x4x6x10xf32>) -> tensor<2x4x8x10xf32> {
  // CHECK-NOT: nn.reduce
  // CHECK: nn.add %{{.*}}, %{{.*}} : (tensor<2x4x8x6xf32>, tensor<8x6xf32>)
  // CHECK: %[[P:.*]] = nn.softmax
  // CHECK-NEXT: nn.matmul %[[P]]
  %y, %s = nn.attention %q, %k, %v scores raw {right_window = 0 : i64}
      : (tensor<2x4x8x16xf32>, tensor<2x4x6x16xf32>, tensor<2x4x6x10xf32>) -> (tensor<2x4x8x10xf32>, tensor<2x4x8x6xf32>)
  return %y : tensor<2x4x8x10xf32>
}

// -----

// Everything dynamic: the scale comes from the size, a mask is stretched to the scores.
// CHECK-LABEL: @dynamic
func.func @dynamic(%q: tensor<?x?x?x?xf16>, %k: tensor<?x?x?x?xf16>, %v: tensor<?x?x?x?xf16>, %m: tensor<?x?xf16>, %l: tensor<?xi64>) -> tensor<?x?x?x?xf16> {
  // CHECK: nn.sqrt {{.*}} : (tensor<f32>)
  // CHECK: nn.tanh
  // CHECK: nn.compare lt
  // CHECK: nn.compare le, %{{.*}}, %{{.*}} : (tensor<?xi64>, tensor<?x1xi64>) -> tensor<?x?xi1>
  // CHECK: nn.broadcast %{{.*}} -> tensor<?x?x?x?xf16>
  // CHECK: nn.softmax %{{.*}} : (tensor<?x?x?x?xf32>)
  // CHECK-NOT: nn.attention
  %y, %s = nn.attention %q, %k, %v mask %m lengths %l scores raw {softcap = 2.0, softmax_type = f32, right_window = 0 : i64}
      : (tensor<?x?x?x?xf16>, tensor<?x?x?x?xf16>, tensor<?x?x?x?xf16>, tensor<?x?xf16>, tensor<?xi64>)
      -> (tensor<?x?x?x?xf16>, tensor<?x?x?x?xf16>)
  return %y : tensor<?x?x?x?xf16>
}
