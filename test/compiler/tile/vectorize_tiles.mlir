// RUN: nacre-opt %s --vectorize-tiles --cse | FileCheck %s

#lhs = affine_map<(m, n, k) -> (m, k)>
#packed = affine_map<(m, n, k) -> (n floordiv 32, k, n mod 32)>
#out = affine_map<(m, n, k) -> (m, n)>

// A block of 8 x 2 accumulators over the whole reduction, four steps in the loop's body; the fill is their start.
// CHECK-LABEL: func.func @contraction
// CHECK-NOT: linalg.fill
// CHECK: %[[ZERO:.+]] = arith.constant dense<0.000000e+00> : vector<16xf32>
// CHECK: scf.for
// CHECK: scf.for
// CHECK: %{{.+}}:16 = scf.for %{{.+}} = %c0 to %c48 step %c4
// CHECK-SAME: = %[[ZERO]]
// CHECK-COUNT-8: memref.load
// CHECK-COUNT-2: vector.load
// CHECK-COUNT-16: vector.fma
// CHECK: memref.load
// CHECK-COUNT-48: vector.fma
// CHECK-NOT: vector.fma
// CHECK: scf.yield
// CHECK-COUNT-16: vector.store
func.func @contraction(%a: memref<64x48xf32>, %b: memref<2x48x32xf32>, %c: memref<64x64xf32>) {
  %zero = arith.constant 0.0 : f32
  linalg.fill ins(%zero : f32) outs(%c : memref<64x64xf32>)
  linalg.generic {indexing_maps = [#lhs, #packed, #out],
                  iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%a, %b : memref<64x48xf32>, memref<2x48x32xf32>) outs(%c : memref<64x64xf32>) {
  ^bb0(%x: f32, %y: f32, %acc: f32):
    %0 = arith.mulf %x, %y : f32
    %1 = arith.addf %acc, %0 : f32
    linalg.yield %1 : f32
  }
  return
}

// Each block of 8 rows asks for a quarter of the next panel, 48 x 32 elements on: 48 for each row.
// CHECK-LABEL: func.func @prefetched
// CHECK: %[[START:.+]] = memref.extract_aligned_pointer_as_index %arg1
// CHECK: scf.for %[[N:.+]] = %c0 to %c64 step %c32
// CHECK: scf.for %[[M:.+]] = %c0 to %c32 step %c8
// CHECK: %[[PART:.+]] = arith.muli %[[M]], %c48
// CHECK: %[[NEXT:.+]] = arith.addi %{{.+}}, %c1536
// CHECK: %[[PLACE:.+]] = arith.addi %[[NEXT]], %[[PART]]
// CHECK: %{{.+}}:16 = scf.for %[[K:.+]] = %c0 to %c48 step %c4
// CHECK: %[[STEP:.+]] = arith.shrui %{{.+}}, %c2
// CHECK: arith.addi %[[PLACE]], %[[STEP]]
// CHECK: "llvm.intr.prefetch"(%{{.+}}) <{cache = 1 : i32, hint = 2 : i32, rw = 0 : i32}>
func.func @prefetched(%a: memref<32x48xf32>, %b: memref<2x48x32xf32>, %c: memref<32x64xf32>) {
  linalg.generic {indexing_maps = [#lhs, #packed, #out],
                  iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%a, %b : memref<32x48xf32>, memref<2x48x32xf32>) outs(%c : memref<32x64xf32>) {
  ^bb0(%x: f32, %y: f32, %acc: f32):
    %0 = arith.mulf %x, %y : f32
    %1 = arith.addf %acc, %0 : f32
    linalg.yield %1 : f32
  }
  return
}

// A panel of 2048 steps is summed in pieces, the first from nothing, and what follows comes after the last one.
// CHECK-LABEL: func.func @pieces
// CHECK: scf.for %{{.+}} = %c0{{.*}} to %c96{{.*}} step %c48
// CHECK: %{{.+}}:24 = scf.for %{{.+}} = %c0{{.*}} to %c256{{.*}} step %c4{{.*}} iter_args(%{{.+}} = %[[ZERO:cst[^,]*]], %{{.+}} = %[[ZERO]],
// CHECK-COUNT-24: vector.fma
// CHECK: scf.for %[[PIECE:.+]] = %c1{{.*}} to %c8{{.*}} step %c1
// CHECK: %[[OWN:.+]] = arith.remui %[[PIECE]], %c8
// CHECK: arith.muli %[[OWN]], %c256
// CHECK: %{{.+}}:24 = scf.for %{{.+}} = %c0{{.*}} to %c256{{.*}} step %c4
// CHECK: "llvm.intr.prefetch"
// CHECK-COUNT-24: vector.fma
// CHECK: arith.maximumf
#threes = affine_map<(m, n, k) -> (n floordiv 48, k, n mod 48)>
#all = affine_map<(m, n) -> (m, n)>
func.func @pieces(%a: memref<32x2048xf32>, %b: memref<2x2048x48xf32>, %c: memref<32x96xf32>, %d: memref<32x96xf32>) {
  %zero = arith.constant 0.0 : f32
  linalg.fill ins(%zero : f32) outs(%c : memref<32x96xf32>)
  linalg.generic {indexing_maps = [#lhs, #threes, #out],
                  iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%a, %b : memref<32x2048xf32>, memref<2x2048x48xf32>) outs(%c : memref<32x96xf32>) {
  ^bb0(%x: f32, %y: f32, %acc: f32):
    %0 = arith.mulf %x, %y : f32
    %1 = arith.addf %acc, %0 : f32
    linalg.yield %1 : f32
  }
  linalg.generic {indexing_maps = [#all, #all], iterator_types = ["parallel", "parallel"]}
      ins(%c : memref<32x96xf32>) outs(%d : memref<32x96xf32>) {
  ^bb0(%x: f32, %out: f32):
    %0 = arith.maximumf %x, %zero : f32
    linalg.yield %0 : f32
  }
  return
}

// So is a window of long taps: the taps of a column are pieces, and those of a row if they are still too long. Padding that
// would be left out is read.
// CHECK-LABEL: func.func @window
// CHECK: scf.for %[[PIECE:.+]] = %c1{{.*}} to %c9{{.*}} step %c1
// CHECK: arith.remui %[[PIECE]], %c3
// CHECK: %{{.+}} = scf.for %{{.+}} = %c0{{.*}} to %c512{{.*}} step %c4
// CHECK-NOT: affine.max
// CHECK: return
#image = affine_map<(h, w, o, i, j, c) -> (h + i, w + j, c)>
#taps = affine_map<(h, w, o, i, j, c) -> (o floordiv 32, i, j, c, o mod 32)>
#places = affine_map<(h, w, o, i, j, c) -> (h, w, o)>
func.func @window(%a: memref<9x9x512xf32>, %b: memref<2x3x3x512x32xf32>, %c: memref<7x7x64xf32>) {
  %zero = arith.constant 0.0 : f32
  linalg.fill ins(%zero : f32) outs(%c : memref<7x7x64xf32>)
  linalg.generic {indexing_maps = [#image, #taps, #places],
                  iterator_types = ["parallel", "parallel", "parallel", "reduction", "reduction", "reduction"],
                  kern.halo = [#kern.halo<place = 0, tap = 3, stride = 1, dilation = 1, begin = 1, size = 7, places = 7, taps = 3>]}
      ins(%a, %b : memref<9x9x512xf32>, memref<2x3x3x512x32xf32>) outs(%c : memref<7x7x64xf32>) {
  ^bb0(%x: f32, %y: f32, %acc: f32):
    %0 = arith.mulf %x, %y : f32
    %1 = arith.addf %acc, %0 : f32
    linalg.yield %1 : f32
  }
  return
}

// Rows of 19: one full vector and one masked.
// CHECK-LABEL: func.func @tail
// CHECK: %[[MASK:.+]] = vector.create_mask %c3
// CHECK: vector.load
// CHECK: vector.maskedload %{{.+}}, %[[MASK]]
// CHECK: vector.store
// CHECK: vector.maskedstore %{{.+}}, %[[MASK]]
func.func @tail(%a: memref<4x19xf32, strided<[32, 1]>>, %c: memref<4x19xf32, strided<[20, 1]>>) {
  memref.copy %a, %c : memref<4x19xf32, strided<[32, 1]>> to memref<4x19xf32, strided<[20, 1]>>
  return
}

// Loops that every operand walks through as through one are one.
// CHECK-LABEL: func.func @merged
// CHECK: scf.for %{{.+}} = %c0 to %c192 step %c32
// CHECK-NOT: scf.for
func.func @merged(%a: memref<3x8x8xf32>, %c: memref<3x8x8xf32>) {
  linalg.exp ins(%a : memref<3x8x8xf32>) outs(%c : memref<3x8x8xf32>)
  return
}

// Sums of rows: lanes along the reduction, one horizontal sum at the end.
// CHECK-LABEL: func.func @row_sums
// CHECK: scf.for
// CHECK: scf.for {{.*}} iter_args
// CHECK: vector.load
// CHECK: arith.addf {{.*}} vector<16xf32>
// CHECK: vector.shuffle
// CHECK: arith.addf {{.*}} vector<8xf32>
// CHECK: memref.store
func.func @row_sums(%a: memref<?x?xf32>, %c: memref<?xf32>) {
  linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i)>],
                  iterator_types = ["parallel", "reduction"]}
      ins(%a : memref<?x?xf32>) outs(%c : memref<?xf32>) {
  ^bb0(%x: f32, %acc: f32):
    %0 = arith.addf %acc, %x : f32
    linalg.yield %0 : f32
  }
  return
}

// Booleans are stored as bytes: no vector of i1 reaches memory.
// CHECK-LABEL: func.func @booleans
// CHECK: vector.load %{{.+}} : memref<64xi8>, vector<16xi8>
// CHECK: arith.cmpi ne, {{.*}} vector<16xi8>
// CHECK: arith.select {{.*}} vector<16xi1>, vector<16xf32>
func.func @booleans(%p: memref<64xi8>, %a: memref<64xf32>, %c: memref<64xf32>) {
  linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>, affine_map<(i) -> (i)>],
                  iterator_types = ["parallel"]}
      ins(%p, %a : memref<64xi8>, memref<64xf32>) outs(%c : memref<64xf32>) {
  ^bb0(%b: i8, %x: f32, %y: f32):
    %zero = arith.constant 0 : i8
    %none = arith.constant 0.0 : f32
    %0 = arith.cmpi ne, %b, %zero : i8
    %1 = arith.select %0, %x, %none : f32
    linalg.yield %1 : f32
  }
  return
}

// Lanes beyond the end divide by one.
// CHECK-LABEL: func.func @division
// CHECK: arith.divsi {{.*}} vector<16xi32>
// CHECK: %[[SAFE:.+]] = arith.select {{.*}} vector<16xi1>, vector<16xi32>
// CHECK: arith.divsi %{{.+}}, %[[SAFE]]
func.func @division(%a: memref<19xi32>, %b: memref<19xi32>, %c: memref<19xi32>) {
  linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>, affine_map<(i) -> (i)>],
                  iterator_types = ["parallel"]}
      ins(%a, %b : memref<19xi32>, memref<19xi32>) outs(%c : memref<19xi32>) {
  ^bb0(%x: i32, %y: i32, %z: i32):
    %0 = arith.divsi %x, %y : i32
    linalg.yield %0 : i32
  }
  return
}

// The element-wise op on the result is computed in registers: the tile is stored once.
// CHECK-LABEL: func.func @epilogue
// CHECK: %[[SUM:.+]]:16 = scf.for
// CHECK: scf.yield
// CHECK-COUNT-2: vector.load
// CHECK: %[[BIASED:.+]] = arith.addf %[[SUM]]#0
// CHECK: arith.maximumf %[[BIASED]]
// CHECK-COUNT-16: vector.store
// CHECK-NOT: vector.store
// CHECK: return
func.func @epilogue(%a: memref<8x48xf32>, %b: memref<48x32xf32>, %bias: memref<32xf32>,
                    %d: memref<8x32xf32>) {
  %zero = arith.constant 0.0 : f32
  %c = memref.alloc() : memref<8x32xf32>
  linalg.fill ins(%zero : f32) outs(%c : memref<8x32xf32>)
  linalg.matmul ins(%a, %b : memref<8x48xf32>, memref<48x32xf32>) outs(%c : memref<8x32xf32>)
  linalg.generic {indexing_maps = [affine_map<(m, n) -> (m, n)>, affine_map<(m, n) -> (n)>,
                                   affine_map<(m, n) -> (m, n)>],
                  iterator_types = ["parallel", "parallel"]}
      ins(%c, %bias : memref<8x32xf32>, memref<32xf32>) outs(%d : memref<8x32xf32>) {
  ^bb0(%x: f32, %y: f32, %z: f32):
    %0 = arith.addf %x, %y : f32
    %1 = arith.maximumf %0, %zero : f32
    linalg.yield %1 : f32
  }
  memref.dealloc %c : memref<8x32xf32>
  return
}

// A division on the result, outside of the reduction's loop.
// CHECK-LABEL: func.func @epilogue_division
// CHECK: scf.for
// CHECK: scf.yield
// CHECK: arith.divsi
// CHECK: memref.store
// CHECK: return
func.func @epilogue_division(%a: memref<8x?xi32>, %n: i32, %d: memref<8xi32>) {
  %zero = arith.constant 0 : i32
  linalg.fill ins(%zero : i32) outs(%d : memref<8xi32>)
  linalg.generic {indexing_maps = [affine_map<(m, k) -> (m, k)>, affine_map<(m, k) -> (m)>],
                  iterator_types = ["parallel", "reduction"]}
      ins(%a : memref<8x?xi32>) outs(%d : memref<8xi32>) {
  ^bb0(%x: i32, %y: i32):
    %0 = arith.addi %y, %x : i32
    linalg.yield %0 : i32
  }
  linalg.generic {indexing_maps = [affine_map<(m) -> (m)>], iterator_types = ["parallel"]}
      outs(%d : memref<8xi32>) {
  ^bb0(%x: i32):
    %0 = arith.divsi %x, %n : i32
    linalg.yield %0 : i32
  }
  return
}

// The target of the second op is read by the first: they stay apart.
// CHECK-LABEL: func.func @no_epilogue
// CHECK: vector.fma
// CHECK: vector.store
// CHECK: scf.for
// CHECK: vector.store
func.func @no_epilogue(%a: memref<32x32xf32>, %b: memref<32x32xf32>) {
  %zero = arith.constant 0.0 : f32
  %c = memref.alloc() : memref<32x32xf32>
  linalg.fill ins(%zero : f32) outs(%c : memref<32x32xf32>)
  linalg.matmul ins(%a, %b : memref<32x32xf32>, memref<32x32xf32>) outs(%c : memref<32x32xf32>)
  linalg.exp ins(%c : memref<32x32xf32>) outs(%a : memref<32x32xf32>)
  memref.dealloc %c : memref<32x32xf32>
  return
}

// A square of 16 x 16 is loaded along one dimension, transposed in registers, and
// stored along the other.
// CHECK-LABEL: func.func @transpose
// CHECK-COUNT-16: vector.load
// CHECK-COUNT-64: vector.shuffle
// CHECK-NOT: vector.shuffle
// CHECK-COUNT-16: vector.store
// CHECK-NOT: vector.store
// CHECK: return
func.func @transpose(%a: memref<64x32xf32>, %c: memref<32x64xf32>) {
  linalg.transpose ins(%a : memref<64x32xf32>) outs(%c : memref<32x64xf32>) permutation = [1, 0]
  return
}

// Of an image's three channels too: four places of each, and four times three values.
// CHECK-LABEL: func.func @channels_last
// CHECK-NOT: vector.gather
// CHECK-COUNT-3: vector.load {{.*}} vector<4xf32>
// CHECK-COUNT-8: vector.shuffle
// CHECK-COUNT-4: vector.maskedstore {{.*}} vector<4xf32>
func.func @channels_last(%a: memref<3x64xf32>, %c: memref<64x3xf32>) {
  linalg.transpose ins(%a : memref<3x64xf32>) outs(%c : memref<64x3xf32>) permutation = [1, 0]
  return
}

// Backwards: the lanes from the last one on, turned round. Of both dimensions it is one loop of nine.
// CHECK-LABEL: func.func @backwards
// CHECK: %[[V:.+]] = vector.maskedload
// CHECK: %[[R:.+]] = vector.shuffle %[[V]], %[[V]] [8, 7, 6, 5, 4, 3, 2, 1, 0, 9, 10, 11, 12, 13, 14, 15]
// CHECK: vector.maskedstore {{.+}}, %[[R]]
func.func @backwards(%a: memref<5x3x3xf32, strided<[100, 3, 1]>>, %c: memref<5x3x3xf32>) {
  linalg.generic {indexing_maps = [affine_map<(d0, d1, d2) -> (4 - d0, 2 - d1, 2 - d2)>, affine_map<(d0, d1, d2) -> (d0, d1, d2)>],
      iterator_types = ["parallel", "parallel", "parallel"]} ins(%a : memref<5x3x3xf32, strided<[100, 3, 1]>>) outs(%c : memref<5x3x3xf32>) {
  ^bb0(%in: f32, %out: f32):
    linalg.yield %in : f32
  }
  return
}

// The second operand is contiguous along the reduction: 32 columns at a time are
// transposed into a buffer, for all rows; the fill and the op on the result follow.
// CHECK-LABEL: func.func @staged
// CHECK: %[[BUFFER:.+]] = memref.alloca() {alignment = 64 : i64} : memref<64x32xf32>
// CHECK: scf.for
// CHECK: vector.shuffle
// CHECK: vector.store
// CHECK: iter_args
// CHECK: vector.fma
// CHECK-NOT: linalg
// CHECK: math.tanh
// CHECK: vector.store
func.func @staged(%a: memref<128x64xf32>, %b: memref<96x64xf32>, %c: memref<128x96xf32>) {
  %zero = arith.constant 0.0 : f32
  linalg.fill ins(%zero : f32) outs(%c : memref<128x96xf32>)
  linalg.generic {indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>,
                                   affine_map<(m, n, k) -> (m, n)>],
                  iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%a, %b : memref<128x64xf32>, memref<96x64xf32>) outs(%c : memref<128x96xf32>) {
  ^bb0(%x: f32, %y: f32, %acc: f32):
    %0 = arith.mulf %x, %y : f32
    %1 = arith.addf %acc, %0 : f32
    linalg.yield %1 : f32
  }
  linalg.generic {indexing_maps = [affine_map<(m, n) -> (m, n)>],
                  iterator_types = ["parallel", "parallel"]} outs(%c : memref<128x96xf32>) {
  ^bb0(%x: f32):
    %0 = math.tanh %x : f32
    linalg.yield %0 : f32
  }
  return
}

// Rows of the second operand are 2 KiB apart and 256 rows of the first one read them: 32
// columns at a time are moved into a buffer.
// CHECK-LABEL: func.func @staged_rows
// CHECK: %[[BUFFER:.+]] = memref.alloca() {alignment = 64 : i64} : memref<128x32xf32>
// CHECK: scf.for
// CHECK: scf.for
// CHECK-COUNT-2: vector.store {{.*}} memref<4096xf32>
// CHECK: scf.for
// CHECK: iter_args
// CHECK: vector.load {{.*}} memref<4096xf32>
// CHECK: vector.fma
// CHECK-NOT: scf.if
func.func @staged_rows(%a: memref<256x128xf32>, %b: memref<128x512xf32>, %c: memref<256x512xf32>) {
  linalg.matmul ins(%a, %b : memref<256x128xf32>, memref<128x512xf32>) outs(%c : memref<256x512xf32>)
  return
}

// So few rows read them where they are.
// CHECK-LABEL: func.func @few_rows
// CHECK-NOT: alloca
// CHECK: return
func.func @few_rows(%a: memref<64x128xf32>, %b: memref<128x512xf32>, %c: memref<64x512xf32>) {
  linalg.matmul ins(%a, %b : memref<64x128xf32>, memref<128x512xf32>) outs(%c : memref<64x512xf32>)
  return
}

// The code asks for the sizes that are not known, here of the first operand's rows. What
// stands around the op goes with it into both branches.
// CHECK-LABEL: func.func @asks_for_rows
// CHECK: %[[ROWS:.+]] = memref.dim %arg0, %c0
// CHECK: %[[MANY:.+]] = arith.cmpi sge, %[[ROWS]], %c128
// CHECK: scf.if %[[MANY]]
// CHECK: vector.store {{.*}} memref<4096xf32>
// CHECK: vector.fma
// CHECK: math.tanh
// CHECK: } else {
// CHECK-NOT: memref<4096xf32>
// CHECK: vector.fma
// CHECK-NOT: scf.for
// CHECK: math.tanh
// CHECK-NOT: linalg
// CHECK: return
func.func @asks_for_rows(%a: memref<?x128xf32>, %b: memref<128x512xf32>, %c: memref<?x512xf32>) {
  %zero = arith.constant 0.0 : f32
  linalg.fill ins(%zero : f32) outs(%c : memref<?x512xf32>)
  linalg.matmul ins(%a, %b : memref<?x128xf32>, memref<128x512xf32>) outs(%c : memref<?x512xf32>)
  linalg.generic {indexing_maps = [affine_map<(m, n) -> (m, n)>],
                  iterator_types = ["parallel", "parallel"]} outs(%c : memref<?x512xf32>) {
  ^bb0(%x: f32):
    %0 = math.tanh %x : f32
    linalg.yield %0 : f32
  }
  return
}

// Columns of 4 MiB are longer than the cache: few rows share them, in pieces.
// CHECK-LABEL: func.func @long_columns
// CHECK: memref.alloca() {alignment = 64 : i64} : memref<1024x32xf32>
// CHECK: scf.for %{{.*}} = %c0 to %c16384 step %c1024
// CHECK: vector.store {{.*}} memref<32768xf32>
// CHECK: iter_args
// CHECK: vector.load {{.*}} memref<32768xf32>
// CHECK-NOT: scf.if
func.func @long_columns(%a: memref<18x16384xf32>, %b: memref<16384x64xf32>, %c: memref<18x64xf32>) {
  linalg.matmul ins(%a, %b : memref<18x16384xf32>, memref<16384x64xf32>) outs(%c : memref<18x64xf32>)
  return
}

// The first operand lies along the rows, and its reduction spans 4 MiB: 128 rows of it are
// moved into a buffer, then 32 columns of the second one at a time.
// CHECK-LABEL: func.func @far_rows
// CHECK-DAG: %[[COLUMNS:.+]] = memref.alloca() {alignment = 64 : i64} : memref<512x32xf32>
// CHECK-DAG: %[[ROWS:.+]] = memref.alloca() {alignment = 64 : i64} : memref<512x128xf32>
// CHECK: scf.for %{{.*}} = %c0 to %c256 step %c128
// CHECK: vector.store {{.*}} memref<65536xf32>
// CHECK: scf.for %{{.*}} step %c32
// CHECK: vector.store {{.*}} memref<16384xf32>
// CHECK: iter_args
// CHECK: memref.load {{.*}} memref<65536xf32>
// CHECK: vector.load {{.*}} memref<16384xf32>
// CHECK: vector.fma
// CHECK-NOT: scf.if
func.func @far_rows(%a: memref<512x2048xf32>, %b: memref<512x512xf32>, %c: memref<256x512xf32>) {
  %rows = memref.subview %a[0, 0] [512, 256] [1, 1] : memref<512x2048xf32> to memref<512x256xf32, strided<[2048, 1]>>
  linalg.generic {indexing_maps = [affine_map<(m, n, k) -> (k, m)>, affine_map<(m, n, k) -> (k, n)>,
                                   affine_map<(m, n, k) -> (m, n)>],
                  iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%rows, %b : memref<512x256xf32, strided<[2048, 1]>>, memref<512x512xf32>) outs(%c : memref<256x512xf32>) {
  ^bb0(%x: f32, %y: f32, %acc: f32):
    %0 = arith.mulf %x, %y : f32
    %1 = arith.addf %acc, %0 : f32
    linalg.yield %1 : f32
  }
  return
}

// Tiling has added the tile's place to the index by an affine map: still a vector.
// CHECK-LABEL: func.func @tiled_index
// CHECK: vector.step : vector<8xindex>
// CHECK: arith.index_cast {{.*}} vector<8xindex> to vector<8xi64>
// CHECK: vector.store {{.*}} vector<8xi64>
func.func @tiled_index(%tile: index, %c: memref<32xi64>) {
  linalg.generic {indexing_maps = [affine_map<(i) -> (i)>], iterator_types = ["parallel"]}
      outs(%c : memref<32xi64>) {
  ^bb0(%x: i64):
    %0 = linalg.index 0 : index
    %1 = affine.apply affine_map<(d0)[s0] -> (d0 + s0 * 32)>(%0)[%tile]
    %2 = arith.index_cast %1 : index to i64
    linalg.yield %2 : i64
  }
  return
}

// Of three taps those are run that meet one of the seven elements between the padding; blocks
// run along the images, which have their places in common.
// CHECK-LABEL: func.func @halo
// CHECK: scf.for %[[PLACE:.+]] = %c0 to %c7 step %c1
// CHECK: %[[LOW:.+]] = affine.max #{{.*}}(%[[PLACE]])
// CHECK: %[[HIGH:.+]] = affine.min #{{.*}}(%[[PLACE]])
// CHECK: scf.for %{{.*}} = %[[LOW]] to %[[END:.+]] step %{{.+}} iter_args
// CHECK: vector.fma
// CHECK: scf.for %{{.*}} = %[[END]] to %[[HIGH]] step %c1 iter_args
func.func @halo(%x: memref<8x9x64xf32>, %w: memref<3x64x32xf32>, %y: memref<8x7x32xf32>) {
  linalg.generic {indexing_maps = [affine_map<(n, p, o, k, c) -> (n, p + k, c)>, affine_map<(n, p, o, k, c) -> (k, c, o)>,
                                   affine_map<(n, p, o, k, c) -> (n, p, o)>],
                  iterator_types = ["parallel", "parallel", "parallel", "reduction", "reduction"]}
      ins(%x, %w : memref<8x9x64xf32>, memref<3x64x32xf32>) outs(%y : memref<8x7x32xf32>)
      attrs = {kern.halo = [#kern.halo<place = 1, tap = 3, stride = 1, dilation = 1, begin = 1, size = 7, places = 7, taps = 3>]} {
  ^bb0(%a: f32, %b: f32, %acc: f32):
    %0 = arith.mulf %a, %b : f32
    %1 = arith.addf %acc, %0 : f32
    linalg.yield %1 : f32
  }
  return
}

// A tile of the places: what the list says is about others.
// CHECK-LABEL: func.func @tiled_halo
// CHECK-NOT: affine.max
func.func @tiled_halo(%x: memref<8x6x64xf32>, %w: memref<3x64x32xf32>, %y: memref<8x4x32xf32>) {
  linalg.generic {indexing_maps = [affine_map<(n, p, o, k, c) -> (n, p + k, c)>, affine_map<(n, p, o, k, c) -> (k, c, o)>,
                                   affine_map<(n, p, o, k, c) -> (n, p, o)>],
                  iterator_types = ["parallel", "parallel", "parallel", "reduction", "reduction"]}
      ins(%x, %w : memref<8x6x64xf32>, memref<3x64x32xf32>) outs(%y : memref<8x4x32xf32>)
      attrs = {kern.halo = [#kern.halo<place = 1, tap = 3, stride = 1, dilation = 1, begin = 1, size = 7, places = 7, taps = 3>]} {
  ^bb0(%a: f32, %b: f32, %acc: f32):
    %0 = arith.mulf %a, %b : f32
    %1 = arith.addf %acc, %0 : f32
    linalg.yield %1 : f32
  }
  return
}
