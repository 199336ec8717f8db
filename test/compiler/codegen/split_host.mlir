// RUN: nacre-opt %s --split-host=limit=2 | FileCheck %s
// RUN: nacre-opt %s --split-host=limit=2 --kernels-to-llvm | FileCheck %s --check-prefix=LLVM

kern.func @k(%a: memref<?xf32>, %d: memref<?xf32>) {
  kern.return
}

// Planned buffers and sizes are found again in each part; what is allocated
// crosses as a result and an argument.
// CHECK-LABEL: func.func private @main.part0() -> memref<?xf32> attributes {nacre.part}
// CHECK:         %[[X:.*]] = rt.input 0
// CHECK:         %[[N:.*]] = memref.dim %[[X]]
// CHECK:         %[[T:.*]] = rt.alloc(%[[N]])
// CHECK:         kern.call @k ins(%[[X]] : {{.*}}) outs(%[[T]]
// CHECK:         return %[[T]]
// CHECK-LABEL: func.func private @main.part1(%{{.*}}: memref<?xf32>) attributes {nacre.part}
// CHECK:         rt.input 0
// CHECK:         rt.output 0
// CHECK:         kern.call
// CHECK-LABEL: func.func private @main.part2(
// CHECK:         rt.release
// CHECK-LABEL: func.func @main()
// CHECK:         %[[R:.*]] = call @main.part0() : () -> memref<?xf32>
// CHECK:         call @main.part1(%[[R]])
// CHECK:         call @main.part2(%[[R]])
// CHECK-NOT:     rt.input

// A part ends the run for the whole.
// LLVM-LABEL: llvm.func hidden @nacre.main(
// LLVM:         %[[RESULTS:.*]] = llvm.alloca
// LLVM:         %[[STATUS:.*]] = llvm.call @nacre.main.part0(%{{.*}}, %{{.*}}, %[[RESULTS]]) {{.*}} -> i32
// LLVM:         %[[GO:.*]] = llvm.icmp "eq" %[[STATUS]]
// LLVM:         llvm.cond_br %[[GO]] weights([2000, 1]), ^{{.*}}, ^[[EXIT:.*]](%[[STATUS]] : i32)
// LLVM:         llvm.call @nacre.main.part1
// LLVM:       ^[[EXIT]](%[[S:.*]]: i32):
// LLVM-NEXT:    llvm.return %[[S]]
func.func @main() {
  %c0 = arith.constant 0 : index
  %x = rt.input 0 : memref<?xf32>
  %n = memref.dim %x, %c0 : memref<?xf32>
  %t = rt.alloc(%n) : memref<?xf32>
  kern.call @k ins(%x : memref<?xf32>) outs(%t : memref<?xf32>)
  %y = rt.output 0 (%n) : memref<?xf32>
  kern.call @k ins(%t : memref<?xf32>) outs(%y : memref<?xf32>)
  rt.release %t : memref<?xf32>
  return
}

// A size of what a part allocates is computed in the part, not before it.
// CHECK-LABEL: func.func private @sizes.part0
// CHECK:         %[[T:.*]] = rt.alloc
// CHECK:         %[[N:.*]] = memref.dim %[[T]]
// CHECK:         rt.alloc(%[[N]])
func.func @sizes() {
  %c0 = arith.constant 0 : index
  %x = rt.input 0 : memref<?xf32>
  %n = memref.dim %x, %c0 : memref<?xf32>
  %t = rt.alloc(%n) : memref<?xf32>
  %m = memref.dim %t, %c0 : memref<?xf32>
  %u = rt.alloc(%m) : memref<?xf32>
  kern.call @k ins(%t : memref<?xf32>) outs(%u : memref<?xf32>)
  rt.release %u : memref<?xf32>
  rt.release %t : memref<?xf32>
  return
}
