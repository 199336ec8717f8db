// RUN: nacre-opt %s --pass-pipeline='builtin.module(choose-winograd{record-choices=true})' | FileCheck %s
// RUN: nacre-opt %s --pass-pipeline='builtin.module(choose-winograd{record-choices=true},kern.func(choose-tiles{record-choices=true}))' | FileCheck %s --check-prefix=TILES
// The key is a hash of what the kernel computes.
// RUN: nacre-opt %s --pass-pipeline='builtin.module(choose-winograd{decisions=winograd.6f4107ec2d5288d5=0})' | FileCheck %s --check-prefix=DIRECT
// RUN: nacre-opt %s --pass-pipeline='builtin.module(choose-winograd{decisions=winograd.6f4107ec2d5288d5=2})' | FileCheck %s --check-prefix=SMALL
// RUN: nacre-opt %s --pass-pipeline='builtin.module(choose-winograd{decisions=winograd.6f4107ec2d5288d5=3})' 2>&1 | FileCheck %s --check-prefix=WRONG

#x = affine_map<(n, h, w, o, y, x, c) -> (n, h + y, w + x, c)>
#w = affine_map<(n, h, w, o, y, x, c) -> (o, c, y, x)>
#y = affine_map<(n, h, w, o, y, x, c) -> (n, h, w, o)>

// WRONG: warning: the decision winograd.6f4107ec2d5288d5=3 is none for this kernel; left to the cost model
// WRONG: tensor<6x6x2x64x32xf32> {nn.computed}
// DIRECT-NOT: winograd
// SMALL: nn.parameter @w.winograd2 = {{.*}} : tensor<4x4x2x64x32xf32> {nn.computed}
nn.parameter @w = dense<1.0> : tensor<64x64x3x3xf32>
func.func @main(%x: tensor<1x58x58x64xf32>) -> tensor<1x56x56x64xf32> {
  %w = nn.get_parameter @w : tensor<64x64x3x3xf32>
  %d = tensor.empty() : tensor<1x56x56x64xf32>
  %0 = kern.call @k ins(%x, %w : tensor<1x58x58x64xf32>, tensor<64x64x3x3xf32>) outs(%d : tensor<1x56x56x64xf32>) -> tensor<1x56x56x64xf32>
  return %0 : tensor<1x56x56x64xf32>
}
// CHECK-LABEL: kern.func @k(
// CHECK-SAME: kern.choices = [{chosen = "4", key = "winograd.6f4107ec2d5288d5", others = ["2", "0"]}]
// TILES-LABEL: kern.func @k(
// TILES-SAME: kern.choices = [{chosen = "4", key = "winograd.6f4107ec2d5288d5", {{[^}]*}}}, {chosen = "[[TILE:[0-9]+x[0-9]+x0x[0-9]+]]", key = "tiles.{{[0-9a-f]+}}", others = ["{{[0-9]+}}x{{[0-9]+}}x0x{{[0-9]+}}"
kern.func @k(%x: tensor<1x58x58x64xf32>, %w: tensor<64x64x3x3xf32>, %d: tensor<1x56x56x64xf32>) -> tensor<1x56x56x64xf32> {
  %zero = arith.constant 0.0 : f32
  %f = linalg.fill ins(%zero : f32) outs(%d : tensor<1x56x56x64xf32>) -> tensor<1x56x56x64xf32>
  %c = linalg.generic {indexing_maps = [#x, #w, #y], iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction", "reduction", "reduction"]}
      ins(%x, %w : tensor<1x58x58x64xf32>, tensor<64x64x3x3xf32>) outs(%f : tensor<1x56x56x64xf32>) {
  ^bb0(%a: f32, %b: f32, %s: f32):
    %p = arith.mulf %a, %b : f32
    %q = arith.addf %s, %p : f32
    linalg.yield %q : f32
  } -> tensor<1x56x56x64xf32>
  kern.return %c : tensor<1x56x56x64xf32>
}
