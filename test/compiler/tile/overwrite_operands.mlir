// RUN: nacre-opt %s --overwrite-operands | FileCheck %s
// RUN: nacre-opt %s --pass-pipeline='builtin.module(overwrite-operands,kern.func(fuse-elementwise,canonicalize,forward-destinations,choose-tiles{min-work=1},tile-and-fuse,canonicalize),bufferize,canonicalize,cse,canonicalize)' | FileCheck %s --check-prefix=BUFFERS

#product_left = affine_map<(i, j, k) -> (i, k)>
#product_right = affine_map<(i, j, k) -> (k, j)>
#product = affine_map<(i, j, k) -> (i, j)>
#all = affine_map<(i, j) -> (i, j)>
#other = affine_map<(i, j) -> (j, i)>

// The second product's sum is written over what it adds, which @first has read before. Its sum is not the
// last reader of what it adds where @late reads that too, @given is not the function's to change, and what is
// transposed is read in other places than are written.
// CHECK-LABEL: func.func @main
// CHECK: %[[E:.+]] = tensor.empty
// CHECK: %[[A:.+]] = kern.call @first
// CHECK: %[[B:.+]] = kern.call @first ins(%[[A]],
// CHECK: %[[C:.+]] = kern.call @sum ins(%[[B]], %{{.+}} : tensor<64x64xf32>, tensor<64x64xf32>) outs(%[[A]] : tensor<64x64xf32>)
// CHECK: %[[D:.+]] = kern.call @sum_late ins(%{{.+}}, %{{.+}}, %[[C]] : {{.+}}) outs(%[[E]]
// CHECK: %[[F:.+]] = kern.call @late ins(%[[C]]
// CHECK: kern.call @sum_given ins(%[[D]], %{{.+}}, %arg0 :
// CHECK: kern.call @turned ins(%[[F]] : tensor<64x64xf32>) outs(%[[E]]
// BUFFERS-LABEL: func.func @main
// BUFFERS-COUNT-4: memref.alloc
// BUFFERS-NOT: memref.{{alloc|copy}}
// BUFFERS-LABEL: kern.func @sum(
// BUFFERS-SAME: %[[L:.+]]: memref<64x64xf32>, %[[R:.+]]: memref<64x64xf32>, %[[SUM:.+]]: memref<64x64xf32>)
// BUFFERS: %[[PRODUCT:.+]] = memref.alloc() {{.*}} : memref<64x32xf32>
// BUFFERS: %[[TILE:.+]] = memref.subview %[[SUM]]
// BUFFERS: linalg.generic {{.*}} ins(%[[PRODUCT]] : {{.*}}) outs(%[[TILE]]
// BUFFERS-NOT: memref.copy
// BUFFERS: kern.return
func.func @main(%x: tensor<64x64xf32>, %w: tensor<64x64xf32>) -> (tensor<64x64xf32>, tensor<64x64xf32>) {
  %e = tensor.empty() : tensor<64x64xf32>
  %a = kern.call @first ins(%x, %w : tensor<64x64xf32>, tensor<64x64xf32>) outs(%e : tensor<64x64xf32>) -> tensor<64x64xf32>
  %b = kern.call @first ins(%a, %w : tensor<64x64xf32>, tensor<64x64xf32>) outs(%e : tensor<64x64xf32>) -> tensor<64x64xf32>
  %c = kern.call @sum ins(%b, %w, %a : tensor<64x64xf32>, tensor<64x64xf32>, tensor<64x64xf32>) outs(%e : tensor<64x64xf32>) -> tensor<64x64xf32>
  %d = kern.call @sum_late ins(%b, %w, %c : tensor<64x64xf32>, tensor<64x64xf32>, tensor<64x64xf32>) outs(%e : tensor<64x64xf32>) -> tensor<64x64xf32>
  %f = kern.call @late ins(%c, %w : tensor<64x64xf32>, tensor<64x64xf32>) outs(%e : tensor<64x64xf32>) -> tensor<64x64xf32>
  %g = kern.call @sum_given ins(%d, %w, %x : tensor<64x64xf32>, tensor<64x64xf32>, tensor<64x64xf32>) outs(%e : tensor<64x64xf32>) -> tensor<64x64xf32>
  %h = kern.call @turned ins(%f : tensor<64x64xf32>) outs(%e : tensor<64x64xf32>) -> tensor<64x64xf32>
  return %g, %h : tensor<64x64xf32>, tensor<64x64xf32>
}

kern.func @first(%l: tensor<64x64xf32>, %r: tensor<64x64xf32>, %out: tensor<64x64xf32>) -> tensor<64x64xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<64x64xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<64x64xf32>) -> tensor<64x64xf32>
  %p = linalg.generic {indexing_maps = [#product_left, #product_right, #product], iterator_types = ["parallel", "parallel", "reduction"]} ins(%l, %r : tensor<64x64xf32>, tensor<64x64xf32>) outs(%f : tensor<64x64xf32>) {
  ^bb0(%x: f32, %y: f32, %sum: f32):
    %0 = arith.mulf %x, %y : f32
    %1 = arith.addf %sum, %0 : f32
    linalg.yield %1 : f32
  } -> tensor<64x64xf32>
  kern.return %p : tensor<64x64xf32>
}

kern.func @late(%l: tensor<64x64xf32>, %r: tensor<64x64xf32>, %out: tensor<64x64xf32>) -> tensor<64x64xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<64x64xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<64x64xf32>) -> tensor<64x64xf32>
  %p = linalg.generic {indexing_maps = [#product_left, #product_right, #product], iterator_types = ["parallel", "parallel", "reduction"]} ins(%l, %r : tensor<64x64xf32>, tensor<64x64xf32>) outs(%f : tensor<64x64xf32>) {
  ^bb0(%x: f32, %y: f32, %sum: f32):
    %0 = arith.mulf %x, %y : f32
    %1 = arith.addf %sum, %0 : f32
    linalg.yield %1 : f32
  } -> tensor<64x64xf32>
  kern.return %p : tensor<64x64xf32>
}

kern.func @sum(%l: tensor<64x64xf32>, %r: tensor<64x64xf32>, %old: tensor<64x64xf32>, %out: tensor<64x64xf32>) -> tensor<64x64xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<64x64xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<64x64xf32>) -> tensor<64x64xf32>
  %p = linalg.generic {indexing_maps = [#product_left, #product_right, #product], iterator_types = ["parallel", "parallel", "reduction"]} ins(%l, %r : tensor<64x64xf32>, tensor<64x64xf32>) outs(%f : tensor<64x64xf32>) {
  ^bb0(%x: f32, %y: f32, %sum: f32):
    %0 = arith.mulf %x, %y : f32
    %1 = arith.addf %sum, %0 : f32
    linalg.yield %1 : f32
  } -> tensor<64x64xf32>
  %s = linalg.generic {indexing_maps = [#all, #all, #all], iterator_types = ["parallel", "parallel"]} ins(%p, %old : tensor<64x64xf32>, tensor<64x64xf32>) outs(%e : tensor<64x64xf32>) {
  ^bb0(%x: f32, %y: f32, %unused: f32):
    %0 = arith.addf %x, %y : f32
    linalg.yield %0 : f32
  } -> tensor<64x64xf32>
  kern.return %s : tensor<64x64xf32>
}

kern.func @sum_late(%l: tensor<64x64xf32>, %r: tensor<64x64xf32>, %old: tensor<64x64xf32>, %out: tensor<64x64xf32>) -> tensor<64x64xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<64x64xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<64x64xf32>) -> tensor<64x64xf32>
  %p = linalg.generic {indexing_maps = [#product_left, #product_right, #product], iterator_types = ["parallel", "parallel", "reduction"]} ins(%l, %r : tensor<64x64xf32>, tensor<64x64xf32>) outs(%f : tensor<64x64xf32>) {
  ^bb0(%x: f32, %y: f32, %sum: f32):
    %0 = arith.mulf %x, %y : f32
    %1 = arith.addf %sum, %0 : f32
    linalg.yield %1 : f32
  } -> tensor<64x64xf32>
  %s = linalg.generic {indexing_maps = [#all, #all, #all], iterator_types = ["parallel", "parallel"]} ins(%p, %old : tensor<64x64xf32>, tensor<64x64xf32>) outs(%e : tensor<64x64xf32>) {
  ^bb0(%x: f32, %y: f32, %unused: f32):
    %0 = arith.addf %x, %y : f32
    linalg.yield %0 : f32
  } -> tensor<64x64xf32>
  kern.return %s : tensor<64x64xf32>
}

kern.func @sum_given(%l: tensor<64x64xf32>, %r: tensor<64x64xf32>, %old: tensor<64x64xf32>, %out: tensor<64x64xf32>) -> tensor<64x64xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<64x64xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<64x64xf32>) -> tensor<64x64xf32>
  %p = linalg.generic {indexing_maps = [#product_left, #product_right, #product], iterator_types = ["parallel", "parallel", "reduction"]} ins(%l, %r : tensor<64x64xf32>, tensor<64x64xf32>) outs(%f : tensor<64x64xf32>) {
  ^bb0(%x: f32, %y: f32, %sum: f32):
    %0 = arith.mulf %x, %y : f32
    %1 = arith.addf %sum, %0 : f32
    linalg.yield %1 : f32
  } -> tensor<64x64xf32>
  %s = linalg.generic {indexing_maps = [#all, #all, #all], iterator_types = ["parallel", "parallel"]} ins(%p, %old : tensor<64x64xf32>, tensor<64x64xf32>) outs(%e : tensor<64x64xf32>) {
  ^bb0(%x: f32, %y: f32, %unused: f32):
    %0 = arith.addf %x, %y : f32
    linalg.yield %0 : f32
  } -> tensor<64x64xf32>
  kern.return %s : tensor<64x64xf32>
}

kern.func @turned(%x: tensor<64x64xf32>, %out: tensor<64x64xf32>) -> tensor<64x64xf32> {
  %e = tensor.empty() : tensor<64x64xf32>
  %t = linalg.generic {indexing_maps = [#other, #all], iterator_types = ["parallel", "parallel"]} ins(%x : tensor<64x64xf32>) outs(%e : tensor<64x64xf32>) {
  ^bb0(%y: f32, %unused: f32):
    %0 = arith.negf %y : f32
    linalg.yield %0 : f32
  } -> tensor<64x64xf32>
  kern.return %t : tensor<64x64xf32>
}
