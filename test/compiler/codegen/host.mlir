// RUN: nacre-opt %s --kernels-to-llvm | FileCheck %s

// Constant strings are assembly: a table of addresses, the strings, their bytes.
// CHECK: module attributes {{.*}}llvm.module_asm = [".section .data.rel.ro
// CHECK-SAME: nacre.strings.0:\0A.quad nacre.strings.0.0\0A.quad 0\0A.quad nacre.strings.0.0\0A
// CHECK-SAME: nacre.strings.0.0:\0A.quad nacre.strings.0.0.text\0A.quad 3\0A
// CHECK-SAME: nacre.strings.0.0.text: .ascii \22a\\042b\22
// CHECK-DAG: llvm.mlir.global external hidden constant @nacre.strings.0() {{.*}} : !llvm.array<3 x i64>
// CHECK-DAG: llvm.func hidden @nacre_host_string_equal(!llvm.ptr, !llvm.ptr)
// CHECK-LABEL: llvm.func hidden @kernel.equal(%arg0: !llvm.ptr
// CHECK: llvm.call @nacre_host_string_equal(%arg0, %{{.*}})
kern.func @equal(%a: memref<?xi64>, %b: memref<3xi64>, %d: memref<?xi8>) {
  rt.host_call "nacre_host_string_equal" for "node 'e' (Equal): " []
      ins(%a, %b : memref<?xi64>, memref<3xi64>) outs(%d : memref<?xi8>) {types = [!nn.string, !nn.string, i1]}
  kern.return
}
func.func @main() {
  %s = rt.strings ["a\22b", "", "a\22b"] : memref<3xi64>
  %n = arith.constant 3 : index
  %x = rt.alloc(%n) : memref<?xi64>
  %d = rt.alloc(%n) : memref<?xi8>
  kern.call @equal ins(%x, %s : memref<?xi64>, memref<3xi64>) outs(%d : memref<?xi8>)
  return
}
