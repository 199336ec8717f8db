// RUN: nacre-opt %s --pack-parameters="dot-i8=true" | FileCheck %s

// What is summed over a batch for the result has its panels for the whole batch one after the other, so that a tile reads them
// in order; what is not has them for each of the batch.
// CHECK-DAG: #[[SUMMED:.*]] = affine_map<(d0, d1, d2, d3) -> (d2 floordiv 32, d1, d3 floordiv 4, d2 mod 32, d3 mod 4)>
// CHECK-DAG: #[[APART:.*]] = affine_map<(d0, d1, d2, d3) -> (d1, d2 floordiv 32, d3 floordiv 4, d2 mod 32, d3 mod 4)>
// CHECK-DAG: nn.parameter @summed.packed = {{.*}} : tensor<2x3x2x32x4xi8> {nn.computed}
// CHECK-DAG: nn.parameter @apart.packed = {{.*}} : tensor<3x2x2x32x4xi8> {nn.computed}
// CHECK-LABEL: kern.func @sum
// CHECK: linalg.generic {indexing_maps = [#{{.*}}, #[[SUMMED]], #{{.*}}]
// CHECK-LABEL: kern.func @all
// CHECK: linalg.generic {indexing_maps = [#{{.*}}, #[[APART]], #{{.*}}]
nn.parameter @summed = dense<1> : tensor<3x8x64xi8>
nn.parameter @apart = dense<1> : tensor<3x8x64xi8>

func.func @main(%x: tensor<4x3x8xi8>) -> (tensor<4x64xf32>, tensor<4x3x64xi32>) {
  %w = nn.get_parameter @summed : tensor<3x8x64xi8>
  %v = nn.get_parameter @apart : tensor<3x8x64xi8>
  %d = tensor.empty() : tensor<4x64xf32>
  %e = tensor.empty() : tensor<4x3x64xi32>
  %0 = kern.call @sum ins(%x, %w : tensor<4x3x8xi8>, tensor<3x8x64xi8>) outs(%d : tensor<4x64xf32>) -> tensor<4x64xf32>
  %1 = kern.call @all ins(%x, %v : tensor<4x3x8xi8>, tensor<3x8x64xi8>) outs(%e : tensor<4x3x64xi32>) -> tensor<4x3x64xi32>
  return %0, %1 : tensor<4x64xf32>, tensor<4x3x64xi32>
}

#x = affine_map<(m, b, n, k) -> (m, b, k)>
#w = affine_map<(m, b, n, k) -> (b, k, n)>
#p = affine_map<(m, b, n, k) -> (m, b, n)>
#id = affine_map<(m, b, n) -> (m, b, n)>
kern.func @sum(%x: tensor<4x3x8xi8>, %w: tensor<3x8x64xi8>, %d: tensor<4x64xf32>) -> tensor<4x64xf32> {
  %e = tensor.empty() : tensor<4x3x64xi32>
  %f = tensor.empty() : tensor<4x3x64xf32>
  %p = linalg.generic {indexing_maps = [#x, #w, #p], iterator_types = ["parallel", "parallel", "parallel", "reduction"]}
      ins(%x, %w : tensor<4x3x8xi8>, tensor<3x8x64xi8>) outs(%e : tensor<4x3x64xi32>) {
  ^bb0(%a: i8, %b: i8, %c: i32):
    %0 = arith.extui %a : i8 to i32
    %1 = arith.extsi %b : i8 to i32
    %2 = arith.muli %0, %1 : i32
    %3 = arith.addi %c, %2 : i32
    linalg.yield %3 : i32
  } -> tensor<4x3x64xi32>
  %q = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%p : tensor<4x3x64xi32>) outs(%f : tensor<4x3x64xf32>) {
  ^bb0(%a: i32, %c: f32):
    %0 = arith.sitofp %a : i32 to f32
    linalg.yield %0 : f32
  } -> tensor<4x3x64xf32>
  %y = linalg.generic {indexing_maps = [#id, affine_map<(m, b, n) -> (m, n)>], iterator_types = ["parallel", "reduction", "parallel"]}
      ins(%q : tensor<4x3x64xf32>) outs(%d : tensor<4x64xf32>) {
  ^bb0(%a: f32, %c: f32):
    %0 = arith.addf %c, %a : f32
    linalg.yield %0 : f32
  } -> tensor<4x64xf32>
  kern.return %y : tensor<4x64xf32>
}
kern.func @all(%x: tensor<4x3x8xi8>, %w: tensor<3x8x64xi8>, %d: tensor<4x3x64xi32>) -> tensor<4x3x64xi32> {
  %p = linalg.generic {indexing_maps = [#x, #w, #p], iterator_types = ["parallel", "parallel", "parallel", "reduction"]}
      ins(%x, %w : tensor<4x3x8xi8>, tensor<3x8x64xi8>) outs(%d : tensor<4x3x64xi32>) {
  ^bb0(%a: i8, %b: i8, %c: i32):
    %0 = arith.extui %a : i8 to i32
    %1 = arith.extsi %b : i8 to i32
    %2 = arith.muli %0, %1 : i32
    %3 = arith.addi %c, %2 : i32
    linalg.yield %3 : i32
  } -> tensor<4x3x64xi32>
  kern.return %p : tensor<4x3x64xi32>
}
