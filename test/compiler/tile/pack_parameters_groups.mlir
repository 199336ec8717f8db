// RUN: nacre-opt %s --pack-parameters="dot-bf16=true dot-i8=true" | FileCheck %s
// RUN: nacre-opt %s --pack-parameters | FileCheck %s --check-prefix=PLAIN

// Steps of one product instruction lie side by side: two of bf16, four of bytes, the last group padded with zeros. What
// the target has no instruction for is packed step by step, or left.
// CHECK-DAG: #[[PAIRS:.*]] = affine_map<(d0, d1, d2) -> (d1 floordiv 32, d2 floordiv 2, d1 mod 32, d2 mod 2)>
// CHECK-DAG: #[[FOURS:.*]] = affine_map<(d0, d1, d2) -> (d1 floordiv 32, d2 floordiv 4, d1 mod 32, d2 mod 4)>
// CHECK-DAG: nn.parameter @pairs.packed = {{.*}} : tensor<2x5x32x2xbf16> {nn.computed}
// CHECK-DAG: nn.parameter @fours.packed = {{.*}} : tensor<2x3x32x4xi8> {nn.computed}
// CHECK-DAG: nn.parameter @signed =
// PLAIN-DAG: nn.parameter @pairs.packed = {{.*}} : tensor<2x9x32xbf16> {nn.computed}
// PLAIN-DAG: nn.parameter @fours =
nn.parameter @pairs = dense<1.0> : tensor<9x40xbf16>
nn.parameter @fours = dense<1> : tensor<10x40xi8>
nn.parameter @signed = dense<1> : tensor<10x40xi8>

func.func @main(%x: tensor<4x9xbf16>, %u: tensor<4x10xi8>, %s: tensor<4x10xi8>) -> (tensor<4x40xf32>, tensor<4x40xi32>, tensor<4x40xi32>) {
  %w = nn.get_parameter @pairs : tensor<9x40xbf16>
  %f = nn.get_parameter @fours : tensor<10x40xi8>
  %g = nn.get_parameter @signed : tensor<10x40xi8>
  %d = tensor.empty() : tensor<4x40xf32>
  %i = tensor.empty() : tensor<4x40xi32>
  %0 = kern.call @bf16 ins(%x, %w : tensor<4x9xbf16>, tensor<9x40xbf16>) outs(%d : tensor<4x40xf32>) -> tensor<4x40xf32>
  %1 = kern.call @mixed ins(%u, %f : tensor<4x10xi8>, tensor<10x40xi8>) outs(%i : tensor<4x40xi32>) -> tensor<4x40xi32>
  %2 = kern.call @same ins(%s, %g : tensor<4x10xi8>, tensor<10x40xi8>) outs(%i : tensor<4x40xi32>) -> tensor<4x40xi32>
  return %0, %1, %2 : tensor<4x40xf32>, tensor<4x40xi32>, tensor<4x40xi32>
}

#lhs = affine_map<(m, n, k) -> (m, k)>
#rhs = affine_map<(m, n, k) -> (k, n)>
#out = affine_map<(m, n, k) -> (m, n)>
kern.func @bf16(%a: tensor<4x9xbf16>, %b: tensor<9x40xbf16>, %d: tensor<4x40xf32>) -> tensor<4x40xf32> {
  %0 = linalg.generic {indexing_maps = [#lhs, #rhs, #out], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%a, %b : tensor<4x9xbf16>, tensor<9x40xbf16>) outs(%d : tensor<4x40xf32>) {
  ^bb0(%x: bf16, %y: bf16, %acc: f32):
    %xw = arith.extf %x : bf16 to f32
    %yw = arith.extf %y : bf16 to f32
    %1 = arith.mulf %xw, %yw : f32
    %2 = arith.addf %acc, %1 : f32
    linalg.yield %2 : f32
  } -> tensor<4x40xf32>
  kern.return %0 : tensor<4x40xf32>
}
kern.func @mixed(%a: tensor<4x10xi8>, %b: tensor<10x40xi8>, %d: tensor<4x40xi32>) -> tensor<4x40xi32> {
  %0 = linalg.generic {indexing_maps = [#lhs, #rhs, #out], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%a, %b : tensor<4x10xi8>, tensor<10x40xi8>) outs(%d : tensor<4x40xi32>) {
  ^bb0(%x: i8, %y: i8, %acc: i32):
    %xw = arith.extui %x : i8 to i32
    %yw = arith.extsi %y : i8 to i32
    %1 = arith.muli %xw, %yw : i32
    %2 = arith.addi %acc, %1 : i32
    linalg.yield %2 : i32
  } -> tensor<4x40xi32>
  kern.return %0 : tensor<4x40xi32>
}
kern.func @same(%a: tensor<4x10xi8>, %b: tensor<10x40xi8>, %d: tensor<4x40xi32>) -> tensor<4x40xi32> {
  %0 = linalg.generic {indexing_maps = [#lhs, #rhs, #out], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%a, %b : tensor<4x10xi8>, tensor<10x40xi8>) outs(%d : tensor<4x40xi32>) {
  ^bb0(%x: i8, %y: i8, %acc: i32):
    %xw = arith.extsi %x : i8 to i32
    %yw = arith.extsi %y : i8 to i32
    %1 = arith.muli %xw, %yw : i32
    %2 = arith.addi %acc, %1 : i32
    linalg.yield %2 : i32
  } -> tensor<4x40xi32>
  kern.return %0 : tensor<4x40xi32>
}
