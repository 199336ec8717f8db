// RUN: nacre-opt %s --choose-winograd -split-input-file | FileCheck %s
// RUN: nacre-opt %s --choose-winograd -split-input-file --remarks-filter=choose-winograd -o /dev/null 2>&1 | FileCheck %s --check-prefix=REMARK

// What the cost model thinks of each way.
// REMARK: [Passed] choose-winograd {{.*}} Function=k | Remark="a 3 x 3 convolution by 36 products for 16 places: thousand cycles by the cost model: {{[0-9]+}} by 36 products for 16 places, {{[0-9]+}} by 16 products for 4 places, {{[0-9]+}} directly
// REMARK: [Missed] choose-winograd {{.*}} Remark="a 3 x 3 convolution directly

#x = affine_map<(n, h, w, o, y, x, c) -> (n, h + y, w + x, c)>
#w = affine_map<(n, h, w, o, y, x, c) -> (o, c, y, x)>
#y = affine_map<(n, h, w, o, y, x, c) -> (n, h, w, o)>
#id = affine_map<(n, h, w, o) -> (n, h, w, o)>

// CHECK: nn.parameter @w.winograd = {{.*}} : tensor<6x6x2x64x32xf32> {nn.computed}
nn.parameter @w = dense<1.0> : tensor<64x64x3x3xf32>
// CHECK-LABEL: func.func @main
// CHECK: %[[W:.+]] = nn.get_parameter @w.winograd
// CHECK: kern.call @k ins(%{{.+}}, %[[W]]
func.func @main(%x: tensor<1x58x58x64xf32>) -> tensor<1x56x56x64xf32> {
  %w = nn.get_parameter @w : tensor<64x64x3x3xf32>
  %d = tensor.empty() : tensor<1x56x56x64xf32>
  %0 = kern.call @k ins(%x, %w : tensor<1x58x58x64xf32>, tensor<64x64x3x3xf32>) outs(%d : tensor<1x56x56x64xf32>) -> tensor<1x56x56x64xf32>
  return %0 : tensor<1x56x56x64xf32>
}
// CHECK: kern.func @k(%[[X:.+]]: tensor<1x58x58x64xf32>, %[[U:.+]]: tensor<6x6x2x64x32xf32>
// CHECK: %[[Y:.+]] = kern.winograd %[[X]], %[[U]] into
// CHECK: linalg.generic {{.*}} ins(%[[Y]]
kern.func @k(%x: tensor<1x58x58x64xf32>, %w: tensor<64x64x3x3xf32>, %d: tensor<1x56x56x64xf32>) -> tensor<1x56x56x64xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<1x56x56x64xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<1x56x56x64xf32>) -> tensor<1x56x56x64xf32>
  %c = linalg.generic {indexing_maps = [#x, #w, #y], iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction", "reduction", "reduction"]}
      ins(%x, %w : tensor<1x58x58x64xf32>, tensor<64x64x3x3xf32>) outs(%f : tensor<1x56x56x64xf32>) {
  ^bb0(%a: f32, %b: f32, %s: f32):
    %p = arith.mulf %a, %b : f32
    %q = arith.addf %s, %p : f32
    linalg.yield %q : f32
  } -> tensor<1x56x56x64xf32>
  %r = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%c : tensor<1x56x56x64xf32>) outs(%e : tensor<1x56x56x64xf32>) {
  ^bb0(%a: f32, %b: f32):
    %m = arith.maximumf %a, %zero : f32
    linalg.yield %m : f32
  } -> tensor<1x56x56x64xf32>
  kern.return %r : tensor<1x56x56x64xf32>
}
// CHECK: func.func @prepare
// CHECK: %[[MOVED:.+]] = kern.call @winograd_0_move
// CHECK: kern.call @winograd_0 ins(%[[MOVED]] : tensor<3x3x2x64x32xf32>)
// The sums over the window, by position.
// CHECK: kern.func @winograd_0_move
// CHECK: kern.func @winograd_0(
// CHECK: linalg.generic {{.*}}"parallel", "parallel", "parallel", "parallel", "parallel", "reduction", "reduction"

// -----

#x = affine_map<(n, h, w, o, y, x, c) -> (n, h + y, w + x, c)>
#w = affine_map<(n, h, w, o, y, x, c) -> (o, c, y, x)>
#y = affine_map<(n, h, w, o, y, x, c) -> (n, h, w, o)>
#id = affine_map<(n, h, w, o) -> (n, h, w, o)>

// 14 x 14 places of 256 x 256 channels: 9 MB of weights instead of 2 would take longer; 4 do not.
// CHECK: nn.parameter @w.winograd2 = {{.*}} : tensor<4x4x8x256x32xf32> {nn.computed}
// CHECK-LABEL: func.func @main
// CHECK: kern.winograd
nn.parameter @w = dense<1.0> : tensor<256x256x3x3xf32>
func.func @main(%x: tensor<1x16x16x256xf32>) -> tensor<1x14x14x256xf32> {
  %w = nn.get_parameter @w : tensor<256x256x3x3xf32>
  %d = tensor.empty() : tensor<1x14x14x256xf32>
  %0 = kern.call @k ins(%x, %w : tensor<1x16x16x256xf32>, tensor<256x256x3x3xf32>) outs(%d : tensor<1x14x14x256xf32>) -> tensor<1x14x14x256xf32>
  return %0 : tensor<1x14x14x256xf32>
}
kern.func @k(%x: tensor<1x16x16x256xf32>, %w: tensor<256x256x3x3xf32>, %d: tensor<1x14x14x256xf32>) -> tensor<1x14x14x256xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<1x14x14x256xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<1x14x14x256xf32>) -> tensor<1x14x14x256xf32>
  %c = linalg.generic {indexing_maps = [#x, #w, #y], iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction", "reduction", "reduction"]}
      ins(%x, %w : tensor<1x16x16x256xf32>, tensor<256x256x3x3xf32>) outs(%f : tensor<1x14x14x256xf32>) {
  ^bb0(%a: f32, %b: f32, %s: f32):
    %p = arith.mulf %a, %b : f32
    %q = arith.addf %s, %p : f32
    linalg.yield %q : f32
  } -> tensor<1x14x14x256xf32>
  %r = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%c : tensor<1x14x14x256xf32>) outs(%e : tensor<1x14x14x256xf32>) {
  ^bb0(%a: f32, %b: f32):
    %m = arith.maximumf %a, %zero : f32
    linalg.yield %m : f32
  } -> tensor<1x14x14x256xf32>
  kern.return %r : tensor<1x14x14x256xf32>
}

// -----

#x = affine_map<(n, h, w, o, y, x, c) -> (n, h + y, w + x, c)>
#w = affine_map<(n, h, w, o, y, x, c) -> (o, c, y, x)>
#y = affine_map<(n, h, w, o, y, x, c) -> (n, h, w, o)>
#id = affine_map<(n, h, w, o) -> (n, h, w, o)>

// One row of places is no tile of 2 x 2.
// CHECK-LABEL: func.func @main
// CHECK-NOT: kern.winograd
nn.parameter @w = dense<1.0> : tensor<64x64x3x3xf32>
func.func @main(%x: tensor<1x3x58x64xf32>) -> tensor<1x1x56x64xf32> {
  %w = nn.get_parameter @w : tensor<64x64x3x3xf32>
  %d = tensor.empty() : tensor<1x1x56x64xf32>
  %0 = kern.call @k ins(%x, %w : tensor<1x3x58x64xf32>, tensor<64x64x3x3xf32>) outs(%d : tensor<1x1x56x64xf32>) -> tensor<1x1x56x64xf32>
  return %0 : tensor<1x1x56x64xf32>
}
kern.func @k(%x: tensor<1x3x58x64xf32>, %w: tensor<64x64x3x3xf32>, %d: tensor<1x1x56x64xf32>) -> tensor<1x1x56x64xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<1x1x56x64xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<1x1x56x64xf32>) -> tensor<1x1x56x64xf32>
  %c = linalg.generic {indexing_maps = [#x, #w, #y], iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction", "reduction", "reduction"]}
      ins(%x, %w : tensor<1x3x58x64xf32>, tensor<64x64x3x3xf32>) outs(%f : tensor<1x1x56x64xf32>) {
  ^bb0(%a: f32, %b: f32, %s: f32):
    %p = arith.mulf %a, %b : f32
    %q = arith.addf %s, %p : f32
    linalg.yield %q : f32
  } -> tensor<1x1x56x64xf32>
  %r = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%c : tensor<1x1x56x64xf32>) outs(%e : tensor<1x1x56x64xf32>) {
  ^bb0(%a: f32, %b: f32):
    %m = arith.maximumf %a, %zero : f32
    linalg.yield %m : f32
  } -> tensor<1x1x56x64xf32>
  kern.return %r : tensor<1x1x56x64xf32>
}

// -----

#x = affine_map<(n, h, w, o, y, x, c) -> (n, h + y, w + x, c)>
#w = affine_map<(n, h, w, o, y, x, c) -> (o, c, y, x)>
#y = affine_map<(n, h, w, o, y, x, c) -> (n, h, w, o)>

// Weights that a step computes are transformed in front of it. The convolution may be the kernel's root.
// CHECK-LABEL: func.func @step
// CHECK-SAME: %{{.+}}: tensor<16x18x18x64xf32>, %[[W:.+]]: tensor<64x64x3x3xf32>
// CHECK: %[[MOVED:.+]] = kern.call @winograd_0_move ins(%[[W]]
// CHECK: %[[U:.+]] = kern.call @winograd_0 ins(%[[MOVED]]
// CHECK: kern.call @k ins(%{{.+}}, %[[U]]
func.func @step(%x: tensor<16x18x18x64xf32>, %w: tensor<64x64x3x3xf32>) -> tensor<16x16x16x64xf32> {
  %d = tensor.empty() : tensor<16x16x16x64xf32>
  %0 = kern.call @k ins(%x, %w : tensor<16x18x18x64xf32>, tensor<64x64x3x3xf32>) outs(%d : tensor<16x16x16x64xf32>) -> tensor<16x16x16x64xf32>
  return %0 : tensor<16x16x16x64xf32>
}
// CHECK: kern.func @k
// CHECK: %[[Y:.+]] = kern.winograd
// CHECK: kern.return %[[Y]]
kern.func @k(%x: tensor<16x18x18x64xf32>, %w: tensor<64x64x3x3xf32>, %d: tensor<16x16x16x64xf32>) -> tensor<16x16x16x64xf32> {
  %zero = arith.constant 0.0 : f32
  %f = linalg.fill ins(%zero : f32) outs(%d : tensor<16x16x16x64xf32>) -> tensor<16x16x16x64xf32>
  %c = linalg.generic {indexing_maps = [#x, #w, #y], iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction", "reduction", "reduction"]}
      ins(%x, %w : tensor<16x18x18x64xf32>, tensor<64x64x3x3xf32>) outs(%f : tensor<16x16x16x64xf32>) {
  ^bb0(%a: f32, %b: f32, %s: f32):
    %p = arith.mulf %a, %b : f32
    %q = arith.addf %s, %p : f32
    linalg.yield %q : f32
  } -> tensor<16x16x16x64xf32>
  kern.return %c : tensor<16x16x16x64xf32>
}
