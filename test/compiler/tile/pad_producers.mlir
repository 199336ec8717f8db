// RUN: nacre-opt %s --pad-producers | FileCheck %s
// RUN: nacre-opt %s --pass-pipeline='builtin.module(pad-producers,kern.func(forward-destinations,choose-tiles{min-work=1},tile-and-fuse,canonicalize),bufferize,canonicalize,cse,canonicalize)' | FileCheck %s --check-prefix=BUFFERS

// The product is computed into the middle of what the convolution reads.
// CHECK-LABEL: func.func @main
// CHECK: %[[P:.+]] = tensor.empty() : tensor<1x10x9x16xf32>
// CHECK: %[[X:.+]] = kern.call @product {{.*}} outs(%[[P]] : tensor<1x10x9x16xf32>) -> tensor<1x10x9x16xf32>
// CHECK: %[[Y:.+]] = kern.call @window ins(%[[X]],
// Another kernel that needs the value as it is keeps the padding where it was.
// CHECK: %[[Z:.+]] = kern.call @product2 {{.*}} -> tensor<1x8x8x16xf32>
// CHECK: kern.call @window2 ins(%[[Z]],
// So it is for images of an open number.
// CHECK: kern.call @square {{.*}} outs(%{{.+}} : tensor<?x10x9x16xf32>)
// CHECK: kern.call @sum ins(%{{.*}} : tensor<?x10x9x16xf32>)
func.func @main(%x: tensor<1x8x8x4xf32>, %v: tensor<4x16xf32>, %w: tensor<3x2x16xf32>, %many: tensor<?x8x8x16xf32>)
    -> (tensor<1x8x8x16xf32>, tensor<1x8x8x16xf32>, tensor<1x8x8x16xf32>, tensor<?x10x9x16xf32>) {
  %d = tensor.empty() : tensor<1x8x8x16xf32>
  %0 = kern.call @product ins(%x, %v : tensor<1x8x8x4xf32>, tensor<4x16xf32>) outs(%d : tensor<1x8x8x16xf32>) -> tensor<1x8x8x16xf32>
  %1 = kern.call @window ins(%0, %w : tensor<1x8x8x16xf32>, tensor<3x2x16xf32>) outs(%d : tensor<1x8x8x16xf32>) -> tensor<1x8x8x16xf32>
  %2 = kern.call @product2 ins(%x, %v : tensor<1x8x8x4xf32>, tensor<4x16xf32>) outs(%d : tensor<1x8x8x16xf32>) -> tensor<1x8x8x16xf32>
  %3 = kern.call @window2 ins(%2, %w : tensor<1x8x8x16xf32>, tensor<3x2x16xf32>) outs(%d : tensor<1x8x8x16xf32>) -> tensor<1x8x8x16xf32>
  %zero = arith.constant 0 : index
  %n = tensor.dim %many, %zero : tensor<?x8x8x16xf32>
  %e = tensor.empty(%n) : tensor<?x8x8x16xf32>
  %s = tensor.empty(%n) : tensor<?x10x9x16xf32>
  %4 = kern.call @square ins(%many : tensor<?x8x8x16xf32>) outs(%e : tensor<?x8x8x16xf32>) -> tensor<?x8x8x16xf32>
  %5 = kern.call @sum ins(%4 : tensor<?x8x8x16xf32>) outs(%s : tensor<?x10x9x16xf32>) -> tensor<?x10x9x16xf32>
  return %1, %2, %3, %5 : tensor<1x8x8x16xf32>, tensor<1x8x8x16xf32>, tensor<1x8x8x16xf32>, tensor<?x10x9x16xf32>
}

#plane = affine_map<(n, h, w, o, c) -> (n, h, w, c)>
#weight = affine_map<(n, h, w, o, c) -> (c, o)>
#result = affine_map<(n, h, w, o, c) -> (n, h, w, o)>

// Only the border is filled besides: above, below, on one side.
// CHECK-LABEL: kern.func @product(
// CHECK-SAME: %[[D:[a-z0-9]+]]: tensor<1x10x9x16xf32>) -> tensor<1x10x9x16xf32>
// CHECK: tensor.extract_slice %[[D]][0, 0, 0, 0] [1, 1, 9, 16]
// CHECK: linalg.fill
// CHECK: tensor.extract_slice %{{.*}}[0, 9, 0, 0] [1, 1, 9, 16]
// CHECK: linalg.fill
// CHECK: tensor.extract_slice %{{.*}}[0, 0, 8, 0] [1, 10, 1, 16]
// CHECK: linalg.fill
// CHECK: %[[BORDER:.+]] = tensor.insert_slice
// CHECK: %[[R:.+]] = linalg.generic
// CHECK: %[[ALL:.+]] = tensor.insert_slice %[[R]] into %[[BORDER]][0, 1, 0, 0] [1, 8, 8, 16]
// CHECK: kern.return %[[ALL]]

// Tiles are written there at once: nothing is allocated or copied.
// BUFFERS-LABEL: kern.func @product(
// BUFFERS-SAME: %[[D:[a-z0-9]+]]: memref<1x10x9x16xf32>)
// BUFFERS-NOT: memref.alloc
// BUFFERS: scf.forall
// BUFFERS-NOT: memref.alloc
// BUFFERS-NOT: memref.copy
// BUFFERS: kern.return
kern.func @product(%x: tensor<1x8x8x4xf32>, %v: tensor<4x16xf32>, %d: tensor<1x8x8x16xf32>) -> tensor<1x8x8x16xf32> {
  %e = tensor.empty() : tensor<1x8x8x16xf32>
  %zero = arith.constant 0.0 : f32
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<1x8x8x16xf32>) -> tensor<1x8x8x16xf32>
  %0 = linalg.generic {indexing_maps = [#plane, #weight, #result],
                       iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction"]}
      ins(%x, %v : tensor<1x8x8x4xf32>, tensor<4x16xf32>) outs(%f : tensor<1x8x8x16xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %1 = arith.mulf %a, %b : f32
    %2 = arith.addf %c, %1 : f32
    linalg.yield %2 : f32
  } -> tensor<1x8x8x16xf32>
  kern.return %0 : tensor<1x8x8x16xf32>
}
// CHECK-LABEL: kern.func @window(
// CHECK-SAME: tensor<1x10x9x16xf32>
// CHECK-NOT: tensor.pad
// CHECK: linalg.generic
kern.func @window(%x: tensor<1x8x8x16xf32>, %w: tensor<3x2x16xf32>, %d: tensor<1x8x8x16xf32>) -> tensor<1x8x8x16xf32> {
  %zero = arith.constant 0.0 : f32
  %p = tensor.pad %x low[0, 1, 0, 0] high[0, 1, 1, 0] {
  ^bb0(%i: index, %j: index, %k: index, %l: index):
    tensor.yield %zero : f32
  } : tensor<1x8x8x16xf32> to tensor<1x10x9x16xf32>
  %f = linalg.fill ins(%zero : f32) outs(%d : tensor<1x8x8x16xf32>) -> tensor<1x8x8x16xf32>
  %0 = linalg.generic {indexing_maps = [affine_map<(n, h, w, c, r, s) -> (n, h + r, w + s, c)>,
                                        affine_map<(n, h, w, c, r, s) -> (r, s, c)>,
                                        affine_map<(n, h, w, c, r, s) -> (n, h, w, c)>],
                       iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction", "reduction"]}
      ins(%p, %w : tensor<1x10x9x16xf32>, tensor<3x2x16xf32>) outs(%f : tensor<1x8x8x16xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %1 = arith.mulf %a, %b : f32
    %2 = arith.addf %c, %1 : f32
    linalg.yield %2 : f32
  } -> tensor<1x8x8x16xf32>
  kern.return %0 : tensor<1x8x8x16xf32>
}
// CHECK-LABEL: kern.func @product2(
// CHECK-NOT: tensor.insert_slice
kern.func @product2(%x: tensor<1x8x8x4xf32>, %v: tensor<4x16xf32>, %d: tensor<1x8x8x16xf32>) -> tensor<1x8x8x16xf32> {
  %e = tensor.empty() : tensor<1x8x8x16xf32>
  %0 = linalg.generic {indexing_maps = [#plane, #weight, #result],
                       iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction"]}
      ins(%x, %v : tensor<1x8x8x4xf32>, tensor<4x16xf32>) outs(%e : tensor<1x8x8x16xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %1 = arith.maximumf %a, %b : f32
    %2 = arith.addf %c, %1 : f32
    linalg.yield %2 : f32
  } -> tensor<1x8x8x16xf32>
  kern.return %0 : tensor<1x8x8x16xf32>
}
// CHECK-LABEL: kern.func @window2(
// CHECK: tensor.pad
kern.func @window2(%x: tensor<1x8x8x16xf32>, %w: tensor<3x2x16xf32>, %d: tensor<1x8x8x16xf32>) -> tensor<1x8x8x16xf32> {
  %zero = arith.constant 0.0 : f32
  %p = tensor.pad %x low[0, 1, 0, 0] high[0, 1, 1, 0] {
  ^bb0(%i: index, %j: index, %k: index, %l: index):
    tensor.yield %zero : f32
  } : tensor<1x8x8x16xf32> to tensor<1x10x9x16xf32>
  %0 = linalg.generic {indexing_maps = [affine_map<(n, h, w, c, r, s) -> (n, h + r, w + s, c)>,
                                        affine_map<(n, h, w, c, r, s) -> (r, s, c)>,
                                        affine_map<(n, h, w, c, r, s) -> (n, h, w, c)>],
                       iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction", "reduction"]}
      ins(%p, %w : tensor<1x10x9x16xf32>, tensor<3x2x16xf32>) outs(%d : tensor<1x8x8x16xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %1 = arith.mulf %a, %b : f32
    %2 = arith.addf %c, %1 : f32
    linalg.yield %2 : f32
  } -> tensor<1x8x8x16xf32>
  kern.return %0 : tensor<1x8x8x16xf32>
}

#same = affine_map<(n, h, w, c) -> (n, h, w, c)>

// CHECK-LABEL: kern.func @square(
// CHECK-SAME: %[[D:[a-z0-9]+]]: tensor<?x10x9x16xf32>) -> tensor<?x10x9x16xf32>
// CHECK: %[[N:.+]] = tensor.dim %[[D]]
// CHECK: tensor.extract_slice %[[D]][0, 0, 0, 0] [%[[N]], 1, 9, 16]
// CHECK: linalg.fill
// CHECK: tensor.insert_slice %{{.*}} into %{{.*}}[0, 1, 0, 0] [%[[N]], 8, 8, 16]
// BUFFERS-LABEL: kern.func @square(
// BUFFERS-NOT: memref.alloc
// BUFFERS: scf.forall
// BUFFERS-NOT: memref.alloc
// BUFFERS-NOT: memref.copy
// BUFFERS: kern.return
kern.func @square(%x: tensor<?x8x8x16xf32>, %d: tensor<?x8x8x16xf32>) -> tensor<?x8x8x16xf32> {
  %zero = arith.constant 0 : index
  %n = tensor.dim %x, %zero : tensor<?x8x8x16xf32>
  %e = tensor.empty(%n) : tensor<?x8x8x16xf32>
  %0 = linalg.generic {indexing_maps = [#same, #same], iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%x : tensor<?x8x8x16xf32>) outs(%e : tensor<?x8x8x16xf32>) {
  ^bb0(%a: f32, %b: f32):
    %1 = arith.mulf %a, %a : f32
    linalg.yield %1 : f32
  } -> tensor<?x8x8x16xf32>
  kern.return %0 : tensor<?x8x8x16xf32>
}

// CHECK-LABEL: kern.func @sum(
// CHECK-NOT: tensor.pad
// CHECK: kern.return
kern.func @sum(%x: tensor<?x8x8x16xf32>, %d: tensor<?x10x9x16xf32>) -> tensor<?x10x9x16xf32> {
  %zero = arith.constant 0.0 : f32
  %p = tensor.pad %x low[0, 1, 0, 0] high[0, 1, 1, 0] {
  ^bb0(%i: index, %j: index, %k: index, %l: index):
    tensor.yield %zero : f32
  } : tensor<?x8x8x16xf32> to tensor<?x10x9x16xf32>
  %0 = linalg.generic {indexing_maps = [#same, #same], iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%p : tensor<?x10x9x16xf32>) outs(%d : tensor<?x10x9x16xf32>) {
  ^bb0(%a: f32, %b: f32):
    %1 = arith.addf %a, %a : f32
    linalg.yield %1 : f32
  } -> tensor<?x10x9x16xf32>
  kern.return %0 : tensor<?x10x9x16xf32>
}
