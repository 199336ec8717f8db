// RUN: nacre-opt %s --vectorize-tiles=dot-bf16=true --cse | FileCheck %s
// RUN: nacre-opt %s --vectorize-tiles=dot-bf16=true --cse | nacre-opt | FileCheck %s
// RUN: nacre-opt %s --vectorize-tiles --cse | FileCheck %s --check-prefix=PLAIN
// RUN: nacre-opt %s --vectorize-tiles=dot-i8=true --cse | FileCheck %s --check-prefix=BYTES
// RUN: nacre-opt %s --vectorize-tiles=dot-i16=true --cse | FileCheck %s --check-prefix=WORDS
// RUN: nacre-opt %s --vectorize-tiles="dot-i16=true vector-bits=256" --cse | FileCheck %s --check-prefix=WORDS256
// RUN: nacre-opt %s --vectorize-tiles="dot-mixed-i8=true dot-same-i8=true vector-bits=128" --cse | FileCheck %s --check-prefix=NEON
// RUN: nacre-opt %s --vectorize-tiles="dot-mixed-i8=true dot-same-i8=true vector-bits=256" --cse | FileCheck %s --check-prefix=SVE
// PLAIN-NOT: llvm.call_intrinsic

// Two steps of the reduction at once (and four times two in the loop's body): a pair of the left operand in all lanes, rows of the right
// one interleaved.
// CHECK-LABEL: func.func @even
// CHECK: scf.for %{{.+}} = %c0 to %c48 step %c8 iter_args
// CHECK: %[[A:.+]] = vector.load {{.+}} : memref<192xbf16>, vector<2xbf16>
// CHECK: vector.bitcast %[[A]] : vector<2xbf16> to vector<1xi32>
// CHECK: %[[X:.+]] = vector.bitcast %{{.+}} : vector<16xi32> to vector<32xbf16>
// CHECK: %[[B0:.+]] = vector.load {{.+}} vector<16xbf16>
// CHECK: %[[B1:.+]] = vector.load {{.+}} vector<16xbf16>
// CHECK: %[[Y:.+]] = vector.shuffle %[[B0]], %[[B1]] [0, 16, 1, 17,
// CHECK: llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%{{.+}}, %[[X]], %[[Y]]) : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
// CHECK-NOT: arith.mulf
// CHECK: return
#lhs = affine_map<(m, n, k) -> (m, k)>
#rhs = affine_map<(m, n, k) -> (k, n)>
#out = affine_map<(m, n, k) -> (m, n)>
func.func @even(%a: memref<4x48xbf16>, %b: memref<48x16xbf16>, %c: memref<4x16xf32>) {
  linalg.generic {indexing_maps = [#lhs, #rhs, #out], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%a, %b : memref<4x48xbf16>, memref<48x16xbf16>) outs(%c : memref<4x16xf32>) {
  ^bb0(%x: bf16, %y: bf16, %acc: f32):
    %xw = arith.extf %x : bf16 to f32
    %yw = arith.extf %y : bf16 to f32
    %0 = arith.mulf %xw, %yw : f32
    %1 = arith.addf %acc, %0 : f32
    linalg.yield %1 : f32
  }
  return
}

// Of an odd number of steps the last has a zero beside it; a left operand that is not contiguous
// along the reduction is read element by element.
// CHECK-LABEL: func.func @odd
// CHECK: scf.for
// CHECK: memref.load
// CHECK: memref.load
// CHECK: arith.shli
// CHECK: arith.ori
// CHECK: llvm.call_intrinsic
// CHECK: scf.yield
// CHECK: %[[ONE:.+]] = memref.load
// CHECK: arith.bitcast %[[ONE]] : bf16 to i16
// CHECK-NOT: arith.ori
// CHECK: vector.shuffle %{{.+}}, %cst
// CHECK: llvm.call_intrinsic
#across = affine_map<(m, n, k) -> (k, m)>
func.func @odd(%a: memref<49x4xbf16>, %b: memref<49x16xbf16>, %c: memref<4x16xf32>) {
  linalg.generic {indexing_maps = [#across, #rhs, #out], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%a, %b : memref<49x4xbf16>, memref<49x16xbf16>) outs(%c : memref<4x16xf32>) {
  ^bb0(%x: bf16, %y: bf16, %acc: f32):
    %xw = arith.extf %x : bf16 to f32
    %yw = arith.extf %y : bf16 to f32
    %0 = arith.mulf %xw, %yw : f32
    %1 = arith.addf %0, %acc : f32
    linalg.yield %1 : f32
  }
  return
}

// f16 is widened: there is no such instruction with sums in f32.
// CHECK-LABEL: func.func @f16
// CHECK-NOT: llvm.call_intrinsic
// CHECK: vector.fma
func.func @f16(%a: memref<4x48xf16>, %b: memref<48x16xf16>, %c: memref<4x16xf32>) {
  linalg.generic {indexing_maps = [#lhs, #rhs, #out], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%a, %b : memref<4x48xf16>, memref<48x16xf16>) outs(%c : memref<4x16xf32>) {
  ^bb0(%x: f16, %y: f16, %acc: f32):
    %xw = arith.extf %x : f16 to f32
    %yw = arith.extf %y : f16 to f32
    %0 = arith.mulf %xw, %yw : f32
    %1 = arith.addf %acc, %0 : f32
    linalg.yield %1 : f32
  }
  return
}

// Four steps of unsigned times signed integers; two that are left have zeros beside them.
// BYTES-LABEL: func.func @bytes
// BYTES: %[[FOUR:.+]] = arith.constant 4 : index
// BYTES: scf.for %{{.+}} = %{{.+}} to %{{.+}} step %[[FOUR]] iter_args
// BYTES: %[[X:.+]] = vector.bitcast %{{.+}} : vector<16xi32> to vector<64xi8>
// BYTES-COUNT-4: vector.load {{.+}} vector<16xi8>
// BYTES: vector.shuffle {{.+}} vector<16xi8>, vector<16xi8>
// BYTES: vector.shuffle {{.+}} vector<16xi8>, vector<16xi8>
// BYTES: vector.shuffle {{.+}} vector<16xi16>, vector<16xi16>
// BYTES: %[[Y:.+]] = vector.bitcast %{{.+}} : vector<32xi16> to vector<64xi8>
// BYTES: llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%{{.+}}, %[[X]], %[[Y]]) : (vector<16xi32>, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
// BYTES-NOT: arith.muli %{{.+}} : vector
// BYTES: scf.yield
// BYTES-COUNT-2: memref.load
// BYTES: vector.shuffle %{{.+}}, %cst
// BYTES: llvm.call_intrinsic
// BYTES: return

// Two steps as i16, each operand by its sign.
// WORDS-LABEL: func.func @bytes
// WORDS: scf.for %{{.+}} = %c0 to %c48 step %c8 iter_args
// WORDS: %[[PAIR:.+]] = vector.load {{.+}} vector<2xi8>
// WORDS: vector.bitcast %[[PAIR]] : vector<2xi8> to vector<1xi16>
// WORDS: %[[X8:.+]] = vector.bitcast %{{.+}} : vector<16xi16> to vector<32xi8>
// WORDS-COUNT-2: vector.load {{.+}} vector<16xi8>
// WORDS: %[[Y8:.+]] = vector.shuffle {{.+}} vector<16xi8>, vector<16xi8>
// WORDS: %[[X:.+]] = arith.extui %[[X8]] : vector<32xi8> to vector<32xi16>
// WORDS: %[[Y:.+]] = arith.extsi %[[Y8]] : vector<32xi8> to vector<32xi16>
// WORDS: %[[SUM:.+]] = llvm.call_intrinsic "llvm.x86.avx512.pmaddw.d.512"(%[[X]], %[[Y]]) : (vector<32xi16>, vector<32xi16>) -> vector<16xi32>
// WORDS: arith.addi %{{.+}}, %[[SUM]] : vector<16xi32>
// WORDS256: llvm.call_intrinsic "llvm.x86.avx2.pmadd.wd"(%{{.+}}, %{{.+}}) : (vector<16xi16>, vector<16xi16>) -> vector<8xi32>

// AArch64's: of SVE, whose vectors have no fixed length, where they are longer than NEON's.
// NEON-LABEL: func.func @bytes
// NEON: llvm.call_intrinsic "llvm.aarch64.neon.usdot.v4i32.v16i8"(%{{.+}}, %{{.+}}, %{{.+}}) : (vector<4xi32>, vector<16xi8>, vector<16xi8>) -> vector<4xi32>
// SVE-LABEL: func.func @bytes
// SVE: %[[ACC:.+]] = vector.scalable.insert %{{.+}}, %{{.+}}[0] : vector<8xi32> into vector<[4]xi32>
// SVE: vector.scalable.insert %{{.+}}, %{{.+}}[0] : vector<32xi8> into vector<[16]xi8>
// SVE: %[[DOT:.+]] = llvm.call_intrinsic "llvm.aarch64.sve.usdot.nxv4i32"(%[[ACC]], %{{.+}}, %{{.+}})
// SVE: vector.scalable.extract %[[DOT]][0] : vector<8xi32> from vector<[4]xi32>
func.func @bytes(%a: memref<4x50xi8>, %b: memref<50x16xi8>, %c: memref<4x16xi32>) {
  linalg.generic {indexing_maps = [#lhs, #rhs, #out], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%a, %b : memref<4x50xi8>, memref<50x16xi8>) outs(%c : memref<4x16xi32>) {
  ^bb0(%x: i8, %y: i8, %acc: i32):
    %xw = arith.extui %x : i8 to i32
    %yw = arith.extsi %y : i8 to i32
    %0 = arith.muli %xw, %yw : i32
    %1 = arith.addi %acc, %0 : i32
    linalg.yield %1 : i32
  }
  return
}

// Of one sign: what VNNI does not have.
// BYTES-LABEL: func.func @signed
// BYTES-NOT: llvm.call_intrinsic
// WORDS-LABEL: func.func @signed
// WORDS-NOT: arith.extui
// WORDS: llvm.call_intrinsic "llvm.x86.avx512.pmaddw.d.512"
// NEON-LABEL: func.func @signed
// NEON: llvm.call_intrinsic "llvm.aarch64.neon.sdot.v4i32.v16i8"
// SVE-LABEL: func.func @signed
// SVE: llvm.call_intrinsic "llvm.aarch64.sve.sdot.nxv4i32"
func.func @signed(%a: memref<4x50xi8>, %b: memref<50x16xi8>, %c: memref<4x16xi32>) {
  linalg.generic {indexing_maps = [#lhs, #rhs, #out], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%a, %b : memref<4x50xi8>, memref<50x16xi8>) outs(%c : memref<4x16xi32>) {
  ^bb0(%x: i8, %y: i8, %acc: i32):
    %xw = arith.extsi %x : i8 to i32
    %yw = arith.extsi %y : i8 to i32
    %0 = arith.muli %xw, %yw : i32
    %1 = arith.addi %acc, %0 : i32
    linalg.yield %1 : i32
  }
  return
}

// Packed in groups (pack-parameters): 10 steps are three groups, the last with zeros beside it in the left operand.
// BYTES-LABEL: func.func @packed
// BYTES: scf.for %[[K:.+]] = %{{.+}} to %c8 step %c4 iter_args
// BYTES: %[[AT:.+]] = arith.muli %[[K]], %c32
// BYTES: vector.bitcast %{{.+}} : vector<16xi32> to vector<64xi8>
// BYTES: %[[PLACE:.+]] = arith.addi %{{.+}}, %[[AT]]
// BYTES: %[[Y:.+]] = vector.load {{.+}}[%[[PLACE]]] : memref<384xi8>, vector<64xi8>
// BYTES-NOT: vector.shuffle
// BYTES: llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%{{.+}}, %{{.+}}, %[[Y]])
// BYTES: scf.yield
// BYTES-COUNT-2: memref.load
// BYTES: vector.load {{.+}} : memref<384xi8>, vector<64xi8>
// BYTES: llvm.call_intrinsic
// BYTES: return
#packed = affine_map<(m, n, k) -> (n floordiv 32, k floordiv 4, n mod 32, k mod 4)>
func.func @packed(%a: memref<4x10xi8>, %b: memref<1x3x32x4xi8>, %c: memref<4x32xi32>) {
  linalg.generic {indexing_maps = [#lhs, #packed, #out], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%a, %b : memref<4x10xi8>, memref<1x3x32x4xi8>) outs(%c : memref<4x32xi32>) {
  ^bb0(%x: i8, %y: i8, %acc: i32):
    %xw = arith.extui %x : i8 to i32
    %yw = arith.extsi %y : i8 to i32
    %0 = arith.muli %xw, %yw : i32
    %1 = arith.addi %acc, %0 : i32
    linalg.yield %1 : i32
  }
  return
}
