// RUN: nacre-opt %s -nn-to-linalg -split-input-file | FileCheck %s

// One linalg.generic; a dimension of size 1 is read at 0.
// CHECK-DAG: #[[ROW:.*]] = affine_map<(d0, d1) -> (d0, 0)>
// CHECK-DAG: #[[ID:.*]] = affine_map<(d0, d1) -> (d0, d1)>
// CHECK-LABEL: @stretch
func.func @stretch(%a: tensor<4x1xf32>, %b: tensor<4x8xf32>) -> tensor<4x8xf32> {
  // CHECK: linalg.generic {indexing_maps = [#[[ROW]], #[[ID]], #[[ID]]], iterator_types = ["parallel", "parallel"]}
  // CHECK: arith.subf
  %0 = nn.sub %a, %b : (tensor<4x1xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  return %0 : tensor<4x8xf32>
}

// -----

// Booleans are i8 in memory and i1 in bodies; unsigned types are signless.
// CHECK-LABEL: @storage
// CHECK-SAME: (%{{.*}}: tensor<4xi16>, %{{.*}}: tensor<4xi16>) -> tensor<4xi8>
func.func @storage(%a: tensor<4xui16>, %b: tensor<4xui16>) -> tensor<4xi1> {
  // CHECK: %[[C:.*]] = arith.cmpi ult
  // CHECK: %[[S:.*]] = arith.extui %[[C]] : i1 to i8
  // CHECK: linalg.yield %[[S]]
  %0 = nn.compare lt, %a, %b : (tensor<4xui16>, tensor<4xui16>) -> tensor<4xi1>
  return %0 : tensor<4xi1>
}

// -----

// A division never sees 0, nor MIN / -1.
// CHECK-LABEL: @divide
func.func @divide(%a: tensor<4xi32>, %b: tensor<4xi32>) -> tensor<4xi32> {
  // CHECK: ^bb0(%[[A:.*]]: i32, %[[B:.*]]: i32, %{{.*}}: i32):
  // CHECK: %[[SAFE:.*]] = arith.select %{{.*}}, %{{.*}}, %[[B]]
  // CHECK: %[[Q:.*]] = arith.divsi %[[A]], %[[SAFE]]
  // CHECK: %[[R:.*]] = arith.select %{{.*}}, %{{.*}}, %[[Q]]
  // CHECK: linalg.yield %[[R]]
  %0 = nn.div %a, %b : (tensor<4xi32>, tensor<4xi32>) -> tensor<4xi32>
  return %0 : tensor<4xi32>
}

// -----

// Narrow floats are computed in f32.
// CHECK-LABEL: @narrow
func.func @narrow(%a: tensor<4xbf16>) -> tensor<4xbf16> {
  // CHECK: arith.extf %{{.*}} : bf16 to f32
  // CHECK: math.tanh %{{.*}} : f32
  // CHECK: arith.truncf %{{.*}} : f32 to bf16
  %0 = nn.tanh %a : (tensor<4xbf16>) -> tensor<4xbf16>
  return %0 : tensor<4xbf16>
}

// -----

// CHECK-LABEL: @constant
func.func @constant() -> (tensor<2xi1>, tensor<2xui8>) {
  // CHECK-DAG: arith.constant dense<[1, 0]> : tensor<2xi8>
  // CHECK-DAG: arith.constant dense<[-1, 3]> : tensor<2xi8>
  %0 = nn.constant dense<[true, false]> : tensor<2xi1>
  %1 = nn.constant dense<[255, 3]> : tensor<2xui8>
  return %0, %1 : tensor<2xi1>, tensor<2xui8>
}

// -----

// The bits stay, whatever the signs of the types.
// CHECK-LABEL: @bitcast
// CHECK-SAME: (%{{.*}}: tensor<4xf32>) -> tensor<4xi32>
func.func @bitcast(%a: tensor<4xf32>) -> tensor<4xui32> {
  // CHECK: arith.bitcast %{{.*}} : f32 to i32
  %0 = nn.bitcast %a to ui32 : (tensor<4xf32>) -> tensor<4xui32>
  return %0 : tensor<4xui32>
}

// -----

// Coded types are i8 everywhere, constants too: integers as values, floats as bits.
// CHECK-LABEL: @coded
// CHECK-SAME: (%{{.*}}: tensor<4xi8>) -> (tensor<4xf32>, tensor<2xi8>, tensor<2xi8>)
func.func @coded(%a: tensor<4xui4>) -> (tensor<4xf32>, tensor<2xi4>, tensor<2xf8E5M2>) {
  // CHECK: arith.uitofp %{{.*}} : i8 to f32
  // CHECK: arith.constant dense<[-8, 7]> : tensor<2xi8>
  // CHECK: arith.constant dense<[60, -68]> : tensor<2xi8>
  %0 = nn.cast %a to f32 : (tensor<4xui4>) -> tensor<4xf32>
  %1 = nn.constant dense<[-8, 7]> : tensor<2xi4>
  %2 = nn.constant dense<[1.0, -1.0]> : tensor<2xf8E5M2>
  return %0, %1, %2 : tensor<4xf32>, tensor<2xi4>, tensor<2xf8E5M2>
}
