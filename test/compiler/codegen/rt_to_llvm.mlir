// RUN: nacre-opt %s --kernels-to-llvm --split-input-file | FileCheck %s

// A static buffer travels as one pointer, a dynamic one with its sizes, a
// strided one with its dynamic strides.
// CHECK-LABEL: llvm.func hidden @kernel.signature
// CHECK-SAME:    (%arg0: !llvm.ptr, %arg1: !llvm.ptr {llvm.noalias}, %arg2: !llvm.ptr, %arg3: i64, %arg4: !llvm.ptr, %arg5: i64, %arg6: f32)
// CHECK-SAME:    attributes {dso_local, no_unwind}
kern.func @signature(%a: memref<4x8xf32> {llvm.noalias}, %b: memref<?x8xf32>,
                     %c: memref<4x8xf32, strided<[?, 1], offset: ?>>, %x: f32) {
  %c0 = arith.constant 0 : index
  memref.store %x, %b[%c0, %c0] : memref<?x8xf32>
  kern.return
}

// -----

// The address of a dynamic two-dimensional buffer: row times the size that
// travelled, not a stride that did.
// CHECK-LABEL: llvm.func {{.*}}@kernel.strides
// CHECK-SAME:    (%{{.*}}: !llvm.ptr, %[[P:[a-z0-9]+]]: !llvm.ptr, %[[M:[a-z0-9]+]]: i64, %[[N:[a-z0-9]+]]: i64, %{{.*}}: i64)
// CHECK:         %[[S:.*]] = llvm.mul %[[N]]
// CHECK:         llvm.insertvalue %[[S]], %{{.*}}[4, 0]
kern.func @strides(%a: memref<?x?xf32>, %i: index) {
  %zero = arith.constant 0.0 : f32
  memref.store %zero, %a[%i, %i] : memref<?x?xf32>
  kern.return
}

// -----

// Check in a kernel: recorded in a cold block, then the kernel goes on.
// CHECK: llvm.mlir.global internal constant @message("node 'g' (Gather): index out of range\00")
// CHECK-LABEL: llvm.func {{.*}}@kernel.checked
// CHECK:         %[[TEXT:.*]] = llvm.mlir.addressof @message
// CHECK:         llvm.cond_br %{{.*}} weights([2000, 1]), ^[[GO:.*]], ^[[FAIL:.*]]
// CHECK:       ^[[GO]]:
// CHECK:       ^[[FAIL]]:
// CHECK:         llvm.call %{{.*}}(%{{.*}}, %{{.*}}, %[[TEXT]]) {no_unwind} : !llvm.ptr, (!llvm.ptr, i32, !llvm.ptr) -> ()
// CHECK:         llvm.br ^[[GO]]
kern.func @checked(%a: memref<4xf32>, %ok: i1) {
  rt.check %ok, 3, "node 'g' (Gather): index out of range"
  kern.return
}

// -----

// Scratch: no memory, no kernel. The size saturates rather than wraps.
// CHECK-LABEL: llvm.func {{.*}}@kernel.scratch
// CHECK:         llvm.intr.umul.with.overflow
// CHECK:         %[[BYTES:.*]] = llvm.select
// CHECK:         %[[P:.*]] = llvm.call %{{.*}}(%{{.*}}, %[[BYTES]])
// CHECK:         %[[SOME:.*]] = llvm.icmp "ne" %[[P]]
// CHECK:         llvm.cond_br %[[SOME]] weights([2000, 1]), ^{{.*}}, ^[[EXIT:.*]]
// CHECK:       ^[[EXIT]]:
// CHECK-NEXT:    llvm.return
// CHECK-NOT:   malloc
kern.func @scratch(%a: memref<?xf32>) {
  %c0 = arith.constant 0 : index
  %n = memref.dim %a, %c0 : memref<?xf32>
  %s = rt.scratch(%n) : memref<?xf32>
  memref.copy %a, %s : memref<?xf32> to memref<?xf32>
  kern.return
}

// -----

// A parallel loop: body, task, and the choice between the pool and a call.
// CHECK-LABEL: llvm.func internal {{.*}}@kernel.par.parallel0.task
// CHECK-SAME:    (%[[CTX:.*]]: !llvm.ptr, %[[ENV:.*]]: !llvm.ptr, %[[B:.*]]: i64, %[[E:.*]]: i64)
// CHECK:         llvm.getelementptr %[[ENV]][0, 0]
// CHECK:         llvm.call @kernel.par.parallel0(%[[CTX]], %{{.*}}, %[[B]], %[[E]])
// CHECK-LABEL: llvm.func internal {{.*}}@kernel.par.parallel0(
// CHECK-SAME:    no_inline
// CHECK-LABEL: llvm.func hidden @kernel.par(
// CHECK:         %[[TASK:.*]] = llvm.mlir.addressof @kernel.par.parallel0.task
// CHECK:         %[[ENV:.*]] = llvm.alloca
// CHECK:         llvm.icmp "sle"
// CHECK:         llvm.cond_br
// CHECK:         llvm.call @kernel.par.parallel0(
// CHECK:         llvm.call %{{.*}}(%{{.*}}, %[[TASK]], %[[ENV]], %{{.*}}, %{{.*}}) {no_unwind}
kern.func @par(%a: memref<64xf32>) {
  %c64 = arith.constant 64 : index
  rt.parallel (%b, %e) to %c64 grain 16 {
    %c1 = arith.constant 1 : index
    %zero = arith.constant 0.0 : f32
    scf.for %i = %b to %e step %c1 {
      memref.store %zero, %a[%i] : memref<64xf32>
    }
  }
  kern.return
}

// -----

// A host function: inputs, arena, output, kernel with hooks, and status.
kern.func private @k(memref<?x8xf32>, memref<16xf32>, memref<?x8xf32>)
// CHECK-LABEL: llvm.func internal @nacre.at_kernel
// CHECK:         llvm.load %{{.*}} atomic monotonic
// CHECK-LABEL: llvm.func hidden @nacre.main
// CHECK-SAME:    (%[[CTX:.*]]: !llvm.ptr, %[[IN:.*]]: !llvm.ptr) -> i32
// CHECK:         llvm.load %{{.*}} invariant : !llvm.ptr -> !llvm.ptr
// CHECK:         llvm.call @nacre.at_kernel(%[[CTX]], %{{.*}}, %{{.*}}) : (!llvm.ptr, i32, i32) -> i32
// CHECK:         llvm.call @kernel.k(%[[CTX]], %{{.*}}) : (!llvm.ptr, !llvm.ptr, i64, !llvm.ptr, !llvm.ptr, i64) -> ()
// CHECK:         llvm.call @nacre.at_kernel
// CHECK-NOT:     llvm.call @nacre.at_kernel
// CHECK:         llvm.return %{{.*}} : i32
// CHECK:       ^{{.*}}(%[[STATUS:.*]]: i32):
// CHECK-NEXT:    llvm.return %[[STATUS]] : i32
func.func @main() {
  %c0 = arith.constant 0 : index
  %x = rt.input 0 : memref<?x8xf32>
  %n = memref.dim %x, %c0 : memref<?x8xf32>
  %some = arith.cmpi sgt, %n, %c0 : index
  rt.check %some, 2, "node 'r' (Reshape): no rows"
  %b = rt.arena 64 : memref<16xf32>
  %y = rt.output 0 (%n) : memref<?x8xf32>
  kern.call @k ins(%x, %b : memref<?x8xf32>, memref<16xf32>) outs(%y : memref<?x8xf32>) {kernel_index = 0 : i32}
  return
}

// -----

// What random numbers are made from: the context's seed and run_number.
kern.func private @random(i64, i64, memref<16xf32>)
// CHECK-LABEL: llvm.func hidden @nacre.main
// CHECK:         %[[AT_SEED:.*]] = llvm.getelementptr %{{.*}}[96]
// CHECK:         %[[SEED:.*]] = llvm.load %[[AT_SEED]] invariant : !llvm.ptr -> i64
// CHECK:         %[[AT_NUMBER:.*]] = llvm.getelementptr %{{.*}}[104]
// CHECK:         %[[NUMBER:.*]] = llvm.load %[[AT_NUMBER]] invariant : !llvm.ptr -> i64
// CHECK:         llvm.call @kernel.random(%{{.*}}, %[[SEED]], %[[NUMBER]], %{{.*}})
func.func @main() {
  %seed = rt.seed
  %run = rt.run
  %y = rt.output 0 () : memref<16xf32>
  kern.call @random ins(%seed, %run : i64, i64) outs(%y : memref<16xf32>) {kernel_index = 0 : i32}
  return
}

// -----

// The operations of the next kernel are added to the context's work.
kern.func private @sized(memref<16xf32>)
// CHECK-LABEL: llvm.func hidden @nacre.main
// CHECK:         %[[AT_WORK:.*]] = llvm.getelementptr %{{.*}}[112]
// CHECK:         %[[WORK:.*]] = llvm.load %[[AT_WORK]] : !llvm.ptr -> i64
// CHECK:         %[[SUM:.*]] = llvm.add %[[WORK]], %{{.*}} : i64
// CHECK:         llvm.store %[[SUM]], %[[AT_WORK]]
// CHECK:         llvm.call @kernel.sized
func.func @main() {
  %n = arith.constant 16 : index
  %y = rt.output 0 () : memref<16xf32>
  rt.work %n
  kern.call @sized outs(%y : memref<16xf32>) {kernel_index = 0 : i32}
  return
}

// -----

// Stack memory in a loop stands in the entry block.
// CHECK-LABEL: llvm.func {{.*}}@kernel.stack
// CHECK:         llvm.alloca
// CHECK:         llvm.br
// CHECK-NOT:     llvm.alloca
kern.func @stack(%a: memref<8xf32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c8 = arith.constant 8 : index
  scf.for %i = %c0 to %c8 step %c1 {
    %t = memref.alloca() : memref<4xf32>
    %x = memref.load %a[%i] : memref<8xf32>
    memref.store %x, %t[%c0] : memref<4xf32>
    %y = memref.load %t[%c0] : memref<4xf32>
    memref.store %y, %a[%i] : memref<8xf32>
  }
  kern.return
}

// -----

// A strided copy is a loop, not a call of a library.
// CHECK-LABEL: llvm.func {{.*}}@kernel.copy
// CHECK-NOT:     memrefCopy
kern.func @copy(%a: memref<4x4xf32, strided<[8, 1]>>, %b: memref<4x4xf32>) {
  memref.copy %a, %b : memref<4x4xf32, strided<[8, 1]>> to memref<4x4xf32>
  kern.return
}

// -----

// Blocks that differ in a buffer alone are merged, and hand it on.
// CHECK-LABEL: llvm.func hidden @nacre.branches
// CHECK-NOT:     unrealized_conversion_cast
// CHECK:         llvm.return
kern.func @one(%a: memref<?xf32>, %d: memref<?xf32>) {
  kern.return
}
kern.func @other(%a: memref<?xf32>, %d: memref<?xf32>) {
  kern.return
}
func.func @branches() attributes {nacre.arena_size = 0 : i64} {
  %c0 = arith.constant 0 : index
  %x = rt.input 0 : memref<?xf32>
  %b = rt.input 1 : memref<i1>
  %n = memref.dim %x, %c0 : memref<?xf32>
  %go = memref.load %b[] : memref<i1>
  %r = scf.if %go -> (memref<?xf32, strided<[?], offset: ?>>) {
    %t = rt.alloc(%n) : memref<?xf32>
    kern.call @one ins(%x : memref<?xf32>) outs(%t : memref<?xf32>)
    %cast = memref.cast %t : memref<?xf32> to memref<?xf32, strided<[?], offset: ?>>
    scf.yield %cast : memref<?xf32, strided<[?], offset: ?>>
  } else {
    %t = rt.alloc(%n) : memref<?xf32>
    kern.call @other ins(%x : memref<?xf32>) outs(%t : memref<?xf32>)
    %cast = memref.cast %t : memref<?xf32> to memref<?xf32, strided<[?], offset: ?>>
    scf.yield %cast : memref<?xf32, strided<[?], offset: ?>>
  }
  %m = memref.dim %r, %c0 : memref<?xf32, strided<[?], offset: ?>>
  %y = rt.output 0(%m) : memref<?xf32>
  memref.copy %r, %y : memref<?xf32, strided<[?], offset: ?>> to memref<?xf32>
  return
}
