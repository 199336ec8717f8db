// RUN: nacre-opt %s --specialize-sizes="sizes=batch=1,batch=8,seq=128" | FileCheck %s
// RUN: nacre-opt %s --specialize-sizes | FileCheck %s --check-prefix=NONE

// The model stays as it is. What has most sizes stands in front of what has fewer; types follow.
// NONE-COUNT-1: func.func
// NONE-NOT: func.func
// CHECK-LABEL: func.func @main(%{{.*}}: tensor<?x?x4xf32> {nn.name = "x", nn.symbols = ["batch", "seq", ""]}
// CHECK-LABEL: func.func private @main.batch_1.seq_128(
// CHECK-SAME: tensor<1x128x4xf32> {nn.name = "x", nn.symbols = ["", "", ""]}
// CHECK-SAME: tensor<1xf32> {nn.name = "s", nn.symbols = [""]}
// CHECK-SAME: -> (tensor<1x4x128xf32> {nn.name = "y"})
// CHECK-SAME: nacre.sizes = {batch = 1 : i64, seq = 128 : i64}
// CHECK: nn.relu {{.*}} : (tensor<1x128x4xf32>) -> tensor<1x128x4xf32>
// CHECK-LABEL: func.func private @main.batch_1(
// CHECK-SAME: tensor<1x?x4xf32> {nn.name = "x", nn.symbols = ["", "seq", ""]}
// CHECK-SAME: -> (tensor<1x4x?xf32> {nn.name = "y"})
// CHECK-SAME: nacre.sizes = {batch = 1 : i64}
// CHECK-LABEL: func.func private @main.batch_8.seq_128(
// CHECK-LABEL: func.func private @main.batch_8(
// CHECK-LABEL: func.func private @main.seq_128(
// CHECK-SAME: tensor<?x128x4xf32>
// CHECK-NOT: func.func
func.func @main(%x: tensor<?x?x4xf32> {nn.name = "x", nn.symbols = ["batch", "seq", ""]},
                %s: tensor<?xf32> {nn.name = "s", nn.symbols = ["batch"]})
    -> (tensor<?x4x?xf32> {nn.name = "y"}) {
  %0 = nn.relu %x : (tensor<?x?x4xf32>) -> tensor<?x?x4xf32>
  %1 = nn.transpose %0 {permutation = array<i64: 0, 2, 1>} : (tensor<?x?x4xf32>) -> tensor<?x4x?xf32>
  return %1 : tensor<?x4x?xf32>
}
