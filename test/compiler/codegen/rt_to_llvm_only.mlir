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

// A view whose address goes into a call directly is gone after it, whether two operands are that view or one
// is a view of another.
// CHECK-LABEL: llvm.func hidden @nacre.views
// CHECK-NOT: memref.
// CHECK: llvm.call @kernel.two
// CHECK-NOT: memref.
// CHECK: llvm.call @kernel.other
// CHECK-NOT: memref.
// CHECK: llvm.return
kern.func private @two(memref<1x4xf32>, memref<1x4xf32>)
kern.func private @other(memref<1x1x4xf32>, memref<1x4xf32>)
func.func @views() {
  %x = rt.input 0 : memref<4xf32>
  %a = memref.expand_shape %x [[0, 1]] output_shape [1, 4] : memref<4xf32> into memref<1x4xf32>
  kern.call @two ins(%a, %a : memref<1x4xf32>, memref<1x4xf32>) {kernel_index = 0 : i32}
  %b = memref.expand_shape %x [[0, 1]] output_shape [1, 4] : memref<4xf32> into memref<1x4xf32>
  %c = memref.expand_shape %b [[0, 1], [2]] output_shape [1, 1, 4] : memref<1x4xf32> into memref<1x1x4xf32>
  kern.call @other ins(%c, %b : memref<1x1x4xf32>, memref<1x4xf32>) {kernel_index = 1 : i32}
  return
}
