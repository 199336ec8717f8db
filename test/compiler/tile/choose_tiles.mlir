// RUN: nacre-opt %s --pass-pipeline='builtin.module(kern.func(choose-tiles))' | FileCheck %s
// RUN: nacre-opt %s --pass-pipeline='builtin.module(kern.func(choose-tiles))' --remarks-filter=choose-tiles -o /dev/null 2>&1 | FileCheck %s --check-prefix=REMARK

// REMARK-DAG: Function=large_plane | Remark="tiles of 1x28x14x144x0x0 of the loops 1x56x56x144x3x3 (0: the whole loop): no columns share what is read
// REMARK-DAG: Function=columns_in_place | Remark="tiles of 1024x64x0 of the loops 1024x1024x1024 (0: the whole loop): columns in panels of 64, moved into a buffer for at most 1280 rows", Remark="; 16 tiles, 1 to a thread at least"

#in = affine_map<(n, h, w, c, r, s) -> (n, h + r, w + s, c)>
#kernel = affine_map<(n, h, w, c, r, s) -> (c floordiv 16, r, s, c mod 16)>
#out = affine_map<(n, h, w, c, r, s) -> (n, h, w, c)>

// A depthwise convolution over a large plane: all channels of a few columns, so that
// memory is read in order and the rows of a window stay in the first-level cache.
// CHECK-LABEL: kern.func @large_plane
// CHECK-SAME: tiling = #kern.tiling<[1, 28, 14, 144, 0, 0]>
kern.func @large_plane(%x: tensor<1x58x58x144xf32>, %w: tensor<9x3x3x16xf32>, %d: tensor<1x56x56x144xf32>) -> tensor<1x56x56x144xf32> {
  %0 = linalg.generic {indexing_maps = [#in, #kernel, #out],
                       iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction", "reduction"]}
      ins(%x, %w : tensor<1x58x58x144xf32>, tensor<9x3x3x16xf32>) outs(%d : tensor<1x56x56x144xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %1 = arith.mulf %a, %b : f32
    %2 = arith.addf %c, %1 : f32
    linalg.yield %2 : f32
  } -> tensor<1x56x56x144xf32>
  kern.return %0 : tensor<1x56x56x144xf32>
}

// Over a small one the channels are what is divided, in whole vectors.
// CHECK-LABEL: kern.func @small_plane
// CHECK-SAME: tiling = #kern.tiling<[1, {{[0-9]+}}, {{[0-9]+}}, 48, 0, 0]>
kern.func @small_plane(%x: tensor<1x16x16x720xf32>, %w: tensor<45x3x3x16xf32>, %d: tensor<1x14x14x720xf32>) -> tensor<1x14x14x720xf32> {
  %0 = linalg.generic {indexing_maps = [#in, #kernel, #out],
                       iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction", "reduction"]}
      ins(%x, %w : tensor<1x16x16x720xf32>, tensor<45x3x3x16xf32>) outs(%d : tensor<1x14x14x720xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %1 = arith.mulf %a, %b : f32
    %2 = arith.addf %c, %1 : f32
    linalg.yield %2 : f32
  } -> tensor<1x14x14x720xf32>
  kern.return %0 : tensor<1x14x14x720xf32>
}

#places = affine_map<(n, h, w, o, c) -> (n, h, w, c)>
#weights = affine_map<(n, h, w, o, c) -> (c, o)>
#outputs = affine_map<(n, h, w, o, c) -> (n, h, w, o)>

// Images of a number that only a run knows: one at a time, as a single one may be all.
// CHECK-LABEL: kern.func @images
// CHECK-SAME: tiling = #kern.tiling<[1, 7, 7, 64, 0]>
kern.func @images(%x: tensor<?x7x7x512xf32>, %w: tensor<512x512xf32>, %d: tensor<?x7x7x512xf32>) -> tensor<?x7x7x512xf32> {
  %0 = linalg.generic {indexing_maps = [#places, #weights, #outputs],
                       iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction"]}
      ins(%x, %w : tensor<?x7x7x512xf32>, tensor<512x512xf32>) outs(%d : tensor<?x7x7x512xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %1 = arith.mulf %a, %b : f32
    %2 = arith.addf %c, %1 : f32
    linalg.yield %2 : f32
  } -> tensor<?x7x7x512xf32>
  kern.return %0 : tensor<?x7x7x512xf32>
}

#rows = affine_map<(m, n, k) -> (m, k)>
#columns = affine_map<(m, n, k) -> (k, n)>
#product = affine_map<(m, n, k) -> (m, n)>

// Columns that are not packed are moved once for each tile: many rows share them, as many
// as leave eight tiles, and 512 where the number is not known.
// CHECK-LABEL: kern.func @columns_in_place
// CHECK-SAME: tiling = #kern.tiling<[1024, 64, 0]>
kern.func @columns_in_place(%x: tensor<1024x1024xf32>, %w: tensor<1024x1024xf32>, %d: tensor<1024x1024xf32>) -> tensor<1024x1024xf32> {
  %0 = linalg.generic {indexing_maps = [#rows, #columns, #product], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %w : tensor<1024x1024xf32>, tensor<1024x1024xf32>) outs(%d : tensor<1024x1024xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %1 = arith.mulf %a, %b : f32
    %2 = arith.addf %c, %1 : f32
    linalg.yield %2 : f32
  } -> tensor<1024x1024xf32>
  kern.return %0 : tensor<1024x1024xf32>
}

// Where these are few, columns come before rows: all of them share a column that is moved.
// CHECK-LABEL: kern.func @few_columns_in_place
// CHECK-SAME: tiling = #kern.tiling<[64, 32, 0]>
kern.func @few_columns_in_place(%x: tensor<64x784xf32>, %w: tensor<784x64xf32>, %d: tensor<64x64xf32>) -> tensor<64x64xf32> {
  %0 = linalg.generic {indexing_maps = [#rows, #columns, #product], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %w : tensor<64x784xf32>, tensor<784x64xf32>) outs(%d : tensor<64x64xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %1 = arith.mulf %a, %b : f32
    %2 = arith.addf %c, %1 : f32
    linalg.yield %2 : f32
  } -> tensor<64x64xf32>
  kern.return %0 : tensor<64x64xf32>
}

// CHECK-LABEL: kern.func @dynamic_columns_in_place
// CHECK-SAME: tiling = #kern.tiling<[512, 64, 0]>
kern.func @dynamic_columns_in_place(%x: tensor<?x1024xf32>, %w: tensor<1024x1024xf32>, %d: tensor<?x1024xf32>) -> tensor<?x1024xf32> {
  %0 = linalg.generic {indexing_maps = [#rows, #columns, #product], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %w : tensor<?x1024xf32>, tensor<1024x1024xf32>) outs(%d : tensor<?x1024xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %1 = arith.mulf %a, %b : f32
    %2 = arith.addf %c, %1 : f32
    linalg.yield %2 : f32
  } -> tensor<?x1024xf32>
  kern.return %0 : tensor<?x1024xf32>
}

// What lies along the rows and spans 4 MiB is moved too: fewer rows, and more columns that
// share them.
// CHECK-LABEL: kern.func @far_rows
// CHECK-SAME: tiling = #kern.tiling<[128, 256, 0]>
kern.func @far_rows(%x: tensor<512x2048xf32>, %w: tensor<512x512xf32>, %d: tensor<2048x512xf32>) -> tensor<2048x512xf32> {
  %0 = linalg.generic {indexing_maps = [affine_map<(m, n, k) -> (k, m)>, #columns, #product], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %w : tensor<512x2048xf32>, tensor<512x512xf32>) outs(%d : tensor<2048x512xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %1 = arith.mulf %a, %b : f32
    %2 = arith.addf %c, %1 : f32
    linalg.yield %2 : f32
  } -> tensor<2048x512xf32>
  kern.return %0 : tensor<2048x512xf32>
}

// A transpose is done in squares: of each line of the cache all is used.
// CHECK-LABEL: kern.func @transposed
// CHECK-SAME: tiling = #kern.tiling<[64, 64]
kern.func @transposed(%x: tensor<2048x512xf32>, %d: tensor<512x2048xf32>) -> tensor<512x2048xf32> {
  %0 = linalg.generic {indexing_maps = [affine_map<(i, j) -> (j, i)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
      ins(%x : tensor<2048x512xf32>) outs(%d : tensor<512x2048xf32>) {
  ^bb0(%a: f32, %b: f32):
    linalg.yield %a : f32
  } -> tensor<512x2048xf32>
  kern.return %0 : tensor<512x2048xf32>
}

// Of products that are summed over a batch, a tile's sums take half of the first-level cache: they are read and
// written for each product.
// CHECK-LABEL: kern.func @summed_products
// CHECK-SAME: tiling = #kern.tiling<[64, 0, 64]>
kern.func @summed_products(%x: tensor<512x24x32xi8>, %w: tensor<24x32x768xi8>, %d: tensor<512x768xf32>) -> tensor<512x768xf32> {
  %zero = arith.constant 0 : i32
  %e = tensor.empty() : tensor<512x24x768xi32>
  %f = linalg.fill ins(%zero : i32) outs(%e : tensor<512x24x768xi32>) -> tensor<512x24x768xi32>
  %p = linalg.generic {indexing_maps = [affine_map<(m, b, n, k) -> (m, b, k)>, affine_map<(m, b, n, k) -> (b, k, n)>, affine_map<(m, b, n, k) -> (m, b, n)>],
                       iterator_types = ["parallel", "parallel", "parallel", "reduction"]}
      ins(%x, %w : tensor<512x24x32xi8>, tensor<24x32x768xi8>) outs(%f : tensor<512x24x768xi32>) {
  ^bb0(%a: i8, %b: i8, %c: i32):
    %1 = arith.extui %a : i8 to i32
    %2 = arith.extsi %b : i8 to i32
    %3 = arith.muli %1, %2 : i32
    %4 = arith.addi %c, %3 : i32
    linalg.yield %4 : i32
  } -> tensor<512x24x768xi32>
  %y = linalg.generic {indexing_maps = [affine_map<(m, b, n) -> (m, b, n)>, affine_map<(m, b, n) -> (m, n)>], iterator_types = ["parallel", "reduction", "parallel"]}
      ins(%p : tensor<512x24x768xi32>) outs(%d : tensor<512x768xf32>) {
  ^bb0(%a: i32, %c: f32):
    %1 = arith.sitofp %a : i32 to f32
    %2 = arith.addf %c, %1 : f32
    linalg.yield %2 : f32
  } -> tensor<512x768xf32>
  kern.return %y : tensor<512x768xf32>
}
