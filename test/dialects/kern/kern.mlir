// Kernels and calls print and parse back, the tiling decision with them.
// RUN: nacre-opt %s | nacre-opt | FileCheck %s

// CHECK: kern.func @relu_add(%{{.*}}: tensor<?xf32>, %{{.*}}: tensor<?xf32>, %{{.*}}: tensor<?xf32>) -> tensor<?xf32>
// CHECK-SAME: nodes = ["/add", "/relu"]
kern.func @relu_add(%a: tensor<?xf32>, %b: tensor<?xf32>, %out: tensor<?xf32>) -> tensor<?xf32>
    attributes {nodes = ["/add", "/relu"]} {
  %0 = nn.add %a, %b : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32>
  %1 = nn.relu %0 : (tensor<?xf32>) -> tensor<?xf32>
  // CHECK: kern.return %{{.*}} : tensor<?xf32>
  kern.return %1 : tensor<?xf32>
}

// CHECK: kern.func @tiled
// CHECK-SAME: tiling = #kern.tiling<[128, 64]>
kern.func @tiled(%a: tensor<256x256xf32>, %out: tensor<256x256xf32>) -> tensor<256x256xf32>
    attributes {tiling = #kern.tiling<[128, 64]>} {
  kern.return %a : tensor<256x256xf32>
}

// CHECK-LABEL: func.func @main
func.func @main(%a: tensor<4xf32>, %b: tensor<4xf32>, %d: tensor<4xf32>) -> tensor<4xf32> {
  // CHECK: kern.call @relu_add ins(%{{.*}}, %{{.*}} : tensor<4xf32>, tensor<4xf32>) outs(%{{.*}} : tensor<4xf32>) -> tensor<4xf32>
  %0 = kern.call @relu_add ins(%a, %b : tensor<4xf32>, tensor<4xf32>) outs(%d : tensor<4xf32>) -> tensor<4xf32>
  return %0 : tensor<4xf32>
}

// CHECK-LABEL: func.func @halo
// CHECK-SAME: #kern.halo<place = 1, tap = 4, stride = 1, dilation = 1, begin = 1, size = 7, places = 7, taps = 3>
func.func @halo() attributes {kern.halo = [#kern.halo<place = 1, tap = 4, stride = 1, dilation = 1, begin = 1, size = 7, places = 7, taps = 3>]} {
  return
}

// CHECK-LABEL: func.func @winograd
// CHECK: kern.winograd %{{.*}}, %{{.*}} into %{{.*}} : (tensor<1x10x10x16xf32>, tensor<6x6x1x16x32xf32>, tensor<1x8x8x32xf32>) -> tensor<1x8x8x32xf32>
func.func @winograd(%x: tensor<1x10x10x16xf32>, %u: tensor<6x6x1x16x32xf32>, %d: tensor<1x8x8x32xf32>) -> tensor<1x8x8x32xf32> {
  %0 = kern.winograd %x, %u into %d : (tensor<1x10x10x16xf32>, tensor<6x6x1x16x32xf32>, tensor<1x8x8x32xf32>) -> tensor<1x8x8x32xf32>
  return %0 : tensor<1x8x8x32xf32>
}
