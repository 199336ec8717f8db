// The pass by itself: no kern and no rt op is left. (rt_to_llvm.mlir: with the rest of the way.)
// RUN: nacre-opt %s --convert-rt-to-llvm | FileCheck %s

// CHECK-NOT: kern.
// CHECK-NOT: rt.
// CHECK-LABEL: llvm.func hidden @kernel.scratch
// CHECK-SAME: (%[[CONTEXT:.*]]: !llvm.ptr, %[[N:.*]]: i64)
// CHECK: llvm.getelementptr %[[CONTEXT]]
// CHECK: llvm.call %{{.*}}(%[[CONTEXT]]
// CHECK: llvm.return
kern.func @scratch(%n: index) {
  %b = rt.scratch(%n) : memref<?xf32>
  kern.return
}
