// RUN: nacre-opt %s --annotate-kernels | FileCheck %s

// Apart in all calls: everything is noalias.
// CHECK: kern.func @apart(%{{.*}}: memref<16xf32> {llvm.noalias}, %{{.*}}: memref<16xf32> {llvm.noalias}, %{{.*}}: memref<16xf32> {llvm.noalias})
kern.func @apart(%a: memref<16xf32>, %w: memref<16xf32>, %d: memref<16xf32>) {
  kern.return
}
// Once in place: the first argument and the destination may be the same.
// CHECK: kern.func @in_place(%{{[a-z0-9]+}}: memref<16xf32>, %{{.*}}: memref<16xf32> {llvm.noalias}, %{{[a-z0-9]+}}: memref<16xf32>)
kern.func @in_place(%a: memref<16xf32>, %b: memref<16xf32>, %d: memref<16xf32>) {
  kern.return
}
// Buffers of the arena that share bytes.
// CHECK: kern.func @overlap(%{{[a-z0-9]+}}: memref<8xf32>, %{{[a-z0-9]+}}: memref<16xf32>)
kern.func @overlap(%a: memref<8xf32>, %d: memref<16xf32>) {
  kern.return
}
// The same input twice is read twice: no harm.
// CHECK: kern.func @twice(%{{.*}}: memref<16xf32> {llvm.noalias}, %{{.*}}: memref<16xf32> {llvm.noalias}, %{{.*}}: memref<16xf32> {llvm.noalias})
kern.func @twice(%a: memref<16xf32>, %b: memref<16xf32>, %d: memref<16xf32>) {
  kern.return
}
// A value that came through control flow may be anything.
// CHECK: kern.func @unknown(%{{[a-z0-9]+}}: memref<16xf32>, %{{[a-z0-9]+}}: memref<16xf32>)
kern.func @unknown(%a: memref<16xf32>, %d: memref<16xf32>) {
  kern.return
}

func.func @main() {
  %x = rt.input 0 : memref<16xf32>
  %w = rt.parameter "w" : memref<16xf32>
  %a = rt.arena 0 : memref<16xf32>
  %b = rt.arena 64 : memref<16xf32>
  %half = rt.arena 96 : memref<8xf32>
  %y = rt.output 0 () : memref<16xf32>
  kern.call @apart ins(%x, %w : memref<16xf32>, memref<16xf32>) outs(%a : memref<16xf32>)
  kern.call @apart ins(%a, %w : memref<16xf32>, memref<16xf32>) outs(%b : memref<16xf32>)
  kern.call @in_place ins(%a, %x : memref<16xf32>, memref<16xf32>) outs(%b : memref<16xf32>)
  kern.call @in_place ins(%a, %x : memref<16xf32>, memref<16xf32>) outs(%a : memref<16xf32>)
  kern.call @overlap ins(%half : memref<8xf32>) outs(%b : memref<16xf32>)
  kern.call @twice ins(%x, %x : memref<16xf32>, memref<16xf32>) outs(%y : memref<16xf32>)
  %true = arith.constant true
  %some = scf.if %true -> memref<16xf32> {
    scf.yield %a : memref<16xf32>
  } else {
    scf.yield %b : memref<16xf32>
  }
  kern.call @unknown ins(%some : memref<16xf32>) outs(%y : memref<16xf32>)
  return
}
