// RUN: nacre-opt %s --pass-pipeline='builtin.module(kern.func(choose-tiles{record-choices=true}))' | FileCheck %s
// RUN: nacre-opt %s --pass-pipeline='builtin.module(kern.func(choose-tiles))' | FileCheck %s --check-prefix=PLAIN
// The key is a hash of what the kernel computes; the other one is nobody's.
// RUN: nacre-opt %s --pass-pipeline='builtin.module(kern.func(choose-tiles{decisions=tiles.e6589400f9549386=512x128x0,tiles.0=1x1x0}))' | FileCheck %s --check-prefix=DECIDED
// RUN: nacre-opt %s --pass-pipeline='builtin.module(kern.func(choose-tiles{decisions=tiles.e6589400f9549386=512x128x0 record-choices=true}))' | FileCheck %s --check-prefix=NEXT
// Sixteen times as much, columns that are no panel, a reduction in parts, another number of loops, no numbers: none is for this kernel.
// RUN: nacre-opt %s --pass-pipeline='builtin.module(kern.func(choose-tiles{decisions=tiles.e6589400f9549386=1024x1024x0}))' 2>&1 | FileCheck %s --check-prefix=WRONG
// RUN: nacre-opt %s --pass-pipeline='builtin.module(kern.func(choose-tiles{decisions=tiles.e6589400f9549386=1024x64x512}))' 2>&1 | FileCheck %s --check-prefix=WRONG
// RUN: nacre-opt %s --pass-pipeline='builtin.module(kern.func(choose-tiles{decisions=tiles.e6589400f9549386=1024x64}))' 2>&1 | FileCheck %s --check-prefix=WRONG
// RUN: nacre-opt %s --pass-pipeline='builtin.module(kern.func(choose-tiles{decisions=tiles.e6589400f9549386=large}))' 2>&1 | FileCheck %s --check-prefix=WRONG

#rows = affine_map<(m, n, k) -> (m, k)>
#columns = affine_map<(m, n, k) -> (k, n)>
#packed = affine_map<(m, n, k) -> (n floordiv 48, k, n mod 48)>
#product = affine_map<(m, n, k) -> (m, n)>

// PLAIN-NOT: kern.choices

// Less or more of one loop, then less of one and more of the other. A reduction is no loop of tiles.
// CHECK-LABEL: kern.func @product(
// CHECK-SAME: kern.choices = [{chosen = "1024x64x0", key = "[[KEY:tiles.e6589400f9549386]]",
// CHECK-SAME: others = ["1024x32x0", "512x64x0", "1024x128x0", "512x128x0"]}]
// CHECK-SAME: tiling = #kern.tiling<[1024, 64, 0]>
// DECIDED-LABEL: kern.func @product(
// DECIDED-SAME: tiling = #kern.tiling<[512, 128, 0]>
// NEXT-LABEL: kern.func @product(
// NEXT-SAME: chosen = "512x128x0"
// NEXT-SAME: others = ["512x64x0", "256x128x0", "512x256x0", "1024x128x0", "1024x64x0", "256x256x0"]
// WRONG: warning: the decision tiles.e6589400f9549386={{.*}} is none for this kernel; left to the cost model
// WRONG: kern.func @product({{.*}}tiling = #kern.tiling<[1024, 64, 0]>
kern.func @product(%x: tensor<1024x1024xf32>, %w: tensor<1024x1024xf32>, %d: tensor<1024x1024xf32>) -> tensor<1024x1024xf32> {
  %0 = linalg.generic {indexing_maps = [#rows, #columns, #product], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %w : tensor<1024x1024xf32>, tensor<1024x1024xf32>) outs(%d : tensor<1024x1024xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %1 = arith.mulf %a, %b : f32
    %2 = arith.addf %c, %1 : f32
    linalg.yield %2 : f32
  } -> tensor<1024x1024xf32>
  kern.return %0 : tensor<1024x1024xf32>
}

// Another name, other nodes: the same key.
// CHECK-LABEL: kern.func @same(
// CHECK-SAME: key = "[[KEY]]"
kern.func @same(%x: tensor<1024x1024xf32>, %w: tensor<1024x1024xf32>, %d: tensor<1024x1024xf32>) -> tensor<1024x1024xf32>
    attributes {nodes = ["/fc"], flops = 1 : i64} {
  %0 = linalg.generic {indexing_maps = [#rows, #columns, #product], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %w : tensor<1024x1024xf32>, tensor<1024x1024xf32>) outs(%d : tensor<1024x1024xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %1 = arith.mulf %a, %b : f32
    %2 = arith.addf %c, %1 : f32
    linalg.yield %2 : f32
  } -> tensor<1024x1024xf32>
  kern.return %0 : tensor<1024x1024xf32>
}

// Panels of 48 columns stay whole. Sizes that a run tells are said to be open.
// CHECK-LABEL: kern.func @panels(
// CHECK-SAME: chosen = "{{[0-9]+}}x96x0"
// CHECK-NOT: key = "[[KEY]]"
// CHECK-SAME: open
// CHECK-SAME: others = ["{{[0-9]+}}x48x0", "{{[0-9]+}}x96x0", "{{[0-9]+}}x192x0"
kern.func @panels(%x: tensor<?x1024xf32>, %w: tensor<16x1024x48xf32>, %d: tensor<?x768xf32>) -> tensor<?x768xf32> {
  %0 = linalg.generic {indexing_maps = [#rows, #packed, #product], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %w : tensor<?x1024xf32>, tensor<16x1024x48xf32>) outs(%d : tensor<?x768xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %1 = arith.mulf %a, %b : f32
    %2 = arith.addf %c, %1 : f32
    linalg.yield %2 : f32
  } -> tensor<?x768xf32>
  kern.return %0 : tensor<?x768xf32>
}
