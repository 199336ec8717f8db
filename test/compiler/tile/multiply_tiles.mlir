// RUN: nacre-opt %s --multiply-tiles --canonicalize --cse | FileCheck %s
// RUN: nacre-opt %s --multiply-tiles --canonicalize --cse | nacre-opt | FileCheck %s
// RUN: nacre-opt %s --multiply-tiles --remarks-filter=multiply-tiles -o /dev/null 2>&1 | FileCheck %s --check-prefix=REMARK

// Two tiles of rows by two of columns: pairs of rows of the right operand, interleaved, are moved
// once for all rows; the left operand is read where it lies, and sums go straight to the output.
// CHECK-LABEL: func.func @whole
// CHECK-DAG: %[[PAIRS:.+]] = memref.alloca() {alignment = 64 : i64} : memref<{{.+}}xbf16>
// CHECK-DAG: %[[LAYOUT:.+]] = memref.alloca() {alignment = 64 : i64} : memref<64xi8>
// CHECK: vector.store %{{.+}}, %[[LAYOUT]]
// CHECK: llvm.call_intrinsic "llvm.x86.ldtilecfg"
// CHECK: scf.for
// CHECK: %[[A:.+]] = vector.load {{.+}} : memref<4096xbf16>, vector<32xbf16>
// CHECK: %[[B:.+]] = vector.load {{.+}} : memref<4096xbf16>, vector<32xbf16>
// CHECK: vector.shuffle %[[A]], %[[B]] [0, 32, 1, 33,
// CHECK: scf.for
// CHECK-COUNT-4: "llvm.x86.tilezero"
// CHECK: scf.for
// CHECK-COUNT-2: "llvm.x86.tileloadd64"
// CHECK: "llvm.x86.tileloadd64"
// CHECK-COUNT-2: "llvm.x86.tdpbf16ps"
// CHECK: "llvm.x86.tileloadd64"
// CHECK-COUNT-2: "llvm.x86.tdpbf16ps"
// CHECK-COUNT-4: "llvm.x86.tilestored64"
// CHECK: "llvm.x86.tilerelease"
// CHECK-NOT: linalg
// CHECK: return
// REMARK-DAG: tiles of 32 steps, right operand along columns
#lhs = affine_map<(m, n, k) -> (m, k)>
#rhs = affine_map<(m, n, k) -> (k, n)>
#out = affine_map<(m, n, k) -> (m, n)>
func.func @whole(%a: memref<64x128xbf16>, %b: memref<128x32xbf16>, %c: memref<64x32xf32>) {
  %zero = arith.constant 0.0 : f32
  linalg.fill ins(%zero : f32) outs(%c : memref<64x32xf32>)
  linalg.generic {indexing_maps = [#lhs, #rhs, #out], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%a, %b : memref<64x128xbf16>, memref<128x32xbf16>) outs(%c : memref<64x32xf32>) {
  ^bb0(%x: bf16, %y: bf16, %acc: f32):
    %xw = arith.extf %x : bf16 to f32
    %yw = arith.extf %y : bf16 to f32
    %0 = arith.mulf %xw, %yw : f32
    %1 = arith.addf %acc, %0 : f32
    linalg.yield %1 : f32
  }
  return
}

// Without a fill sums are added to what is there: of 20 columns the tiles go through a buffer.
// 40 steps are two tiles of 20; rows of unknown number are configured as they come.
// CHECK-LABEL: func.func @rest
// CHECK: %[[LEFT:.+]] = arith.remui %{{.+}}, %c16
// CHECK: arith.maxui %[[LEFT]], %c1
// CHECK: "llvm.x86.ldtilecfg"
// CHECK: linalg.generic
// CHECK: arith.addf
// CHECK: "llvm.x86.ldtilecfg"
// CHECK: memref.store %{{.+}} : memref<64xi8>
// CHECK: "llvm.x86.ldtilecfg"
// CHECK: "llvm.x86.tilerelease"
// REMARK-DAG: tiles of 20 steps, right operand along steps
#across = affine_map<(m, n, k) -> (n, k)>
func.func @rest(%a: memref<?x40xbf16>, %b: memref<20x40xbf16>, %c: memref<?x20xf32>) {
  linalg.generic {indexing_maps = [#lhs, #across, #out], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%a, %b : memref<?x40xbf16>, memref<20x40xbf16>) outs(%c : memref<?x20xf32>) {
  ^bb0(%x: bf16, %y: bf16, %acc: f32):
    %xw = arith.extf %x : bf16 to f32
    %yw = arith.extf %y : bf16 to f32
    %0 = arith.mulf %xw, %yw : f32
    %1 = arith.addf %acc, %0 : f32
    linalg.yield %1 : f32
  }
  return
}

// A weight's gradient: the left operand lies along the rows. What is computed from the sums runs
// on blocks of them.
// CHECK-LABEL: func.func @epilogue
// CHECK-COUNT-4: "llvm.x86.tdpbf16ps"
// CHECK: %[[SUMS:.+]] = memref.reinterpret_cast %{{.+}} : memref<1024xf32> to memref<32x32xf32, strided<[32, 1]>>
// CHECK: linalg.generic {{.+}} ins(%[[SUMS]] :
// CHECK: arith.truncf
// CHECK: "llvm.x86.tilerelease"
// CHECK-NOT: linalg.generic
// CHECK: return
// REMARK-DAG: tiles of 32 steps, right operand along columns, left one transposed, with the op that follows
#turned = affine_map<(m, n, k) -> (k, m)>
#same = affine_map<(m, n) -> (m, n)>
func.func @epilogue(%a: memref<100x64xbf16>, %b: memref<100x64xbf16>, %d: memref<64x64xbf16>) {
  %zero = arith.constant 0.0 : f32
  %c = memref.alloca() : memref<64x64xf32>
  linalg.fill ins(%zero : f32) outs(%c : memref<64x64xf32>)
  linalg.generic {indexing_maps = [#turned, #rhs, #out], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%a, %b : memref<100x64xbf16>, memref<100x64xbf16>) outs(%c : memref<64x64xf32>) {
  ^bb0(%x: bf16, %y: bf16, %acc: f32):
    %xw = arith.extf %x : bf16 to f32
    %yw = arith.extf %y : bf16 to f32
    %0 = arith.mulf %xw, %yw : f32
    %1 = arith.addf %acc, %0 : f32
    linalg.yield %1 : f32
  }
  linalg.generic {indexing_maps = [#same, #same], iterator_types = ["parallel", "parallel"]}
      ins(%c : memref<64x64xf32>) outs(%d : memref<64x64xbf16>) {
  ^bb0(%x: f32, %old: bf16):
    %0 = arith.truncf %x : f32 to bf16
    linalg.yield %0 : bf16
  }
  return
}

// Weights that PackParameters has laid out are read as they are.
// CHECK-LABEL: func.func @packed
// CHECK-NOT: vector.shuffle
// CHECK: "llvm.x86.tdpbf16ps"
// CHECK-NOT: vector.shuffle
// CHECK: return
#panels = affine_map<(m, n, k) -> (n floordiv 16, k floordiv 2, n mod 16, k mod 2)>
func.func @packed(%a: memref<32x64xbf16>, %b: memref<2x32x16x2xbf16>, %c: memref<32x32xf32>) {
  linalg.generic {indexing_maps = [#lhs, #panels, #out], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%a, %b : memref<32x64xbf16>, memref<2x32x16x2xbf16>) outs(%c : memref<32x32xf32>) {
  ^bb0(%x: bf16, %y: bf16, %acc: f32):
    %xw = arith.extf %x : bf16 to f32
    %yw = arith.extf %y : bf16 to f32
    %0 = arith.mulf %xw, %yw : f32
    %1 = arith.addf %acc, %0 : f32
    linalg.yield %1 : f32
  }
  return
}

// One row is left to vectors.
// CHECK-LABEL: func.func @one_row
// CHECK-NOT: llvm.x86
// CHECK: linalg.generic
// REMARK-DAG: too few rows
func.func @one_row(%a: memref<1x64xbf16>, %b: memref<64x32xbf16>, %c: memref<1x32xf32>) {
  linalg.generic {indexing_maps = [#lhs, #rhs, #out], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%a, %b : memref<1x64xbf16>, memref<64x32xbf16>) outs(%c : memref<1x32xf32>) {
  ^bb0(%x: bf16, %y: bf16, %acc: f32):
    %xw = arith.extf %x : bf16 to f32
    %yw = arith.extf %y : bf16 to f32
    %0 = arith.mulf %xw, %yw : f32
    %1 = arith.addf %acc, %0 : f32
    linalg.yield %1 : f32
  }
  return
}
