// RUN: nacre-opt %s --split-input-file --nn-to-linalg --pack-parameters | FileCheck %s
// RUN: nacre-opt %s --split-input-file --nn-to-linalg --pack-parameters --remarks-filter=pack-parameters -o /dev/null 2>&1 | FileCheck %s --check-prefix=REMARK

// REMARK: [Passed] pack-parameters {{.*}} Remark="the weights {{.+}} lie in panels of {{[0-9]+}} columns from when the model is compiled"

// CHECK-DAG: affine_map<(d0, d1, d2) -> (d1 floordiv 32, d2, d1 mod 32)>
// CHECK: nn.parameter @w.packed = {{.*}} : tensor<2x8x32xf32> {nn.computed}
nn.parameter @w = dense<1.0> : tensor<8x40xf32>

// CHECK-LABEL: func.func @main
// CHECK: %[[W:.*]] = nn.get_parameter @w.packed
// CHECK: kern.call @k ins(%arg0, %[[W]] : tensor<4x8xf32>, tensor<2x8x32xf32>)
func.func @main(%x: tensor<4x8xf32>) -> tensor<4x40xf32> {
  %w = nn.get_parameter @w : tensor<8x40xf32>
  %d = tensor.empty() : tensor<4x40xf32>
  %0 = kern.call @k ins(%x, %w : tensor<4x8xf32>, tensor<8x40xf32>) outs(%d : tensor<4x40xf32>) -> tensor<4x40xf32>
  return %0 : tensor<4x40xf32>
}
kern.func @k(%x: tensor<4x8xf32>, %w: tensor<8x40xf32>, %d: tensor<4x40xf32>) -> tensor<4x40xf32> {
  %0 = nn.matmul %x, %w : (tensor<4x8xf32>, tensor<8x40xf32>) -> tensor<4x40xf32>
  kern.return %0 : tensor<4x40xf32>
}
// The last panel is padded with zeros.
// CHECK: kern.func @pack_0
// CHECK: tensor.pad {{.*}} low[0, 0] high[0, 24]
// CHECK-LABEL: func.func @prepare
// CHECK: kern.call @pack_0

// -----

// A square weight that is read in both orders is packed twice: the types are the same.
nn.parameter @w = dense<1.0> : tensor<32x32xf32>

// CHECK-LABEL: func.func @main
// CHECK: %[[A:.*]] = nn.get_parameter @w.packed :
// CHECK: kern.call @k ins(%arg0, %[[A]]
// CHECK: %[[B:.*]] = nn.get_parameter @w.packed_{{.*}} :
// CHECK: kern.call @t ins(%{{.*}}, %[[B]]
func.func @main(%x: tensor<4x32xf32>) -> tensor<4x32xf32> {
  %w = nn.get_parameter @w : tensor<32x32xf32>
  %d = tensor.empty() : tensor<4x32xf32>
  %0 = kern.call @k ins(%x, %w : tensor<4x32xf32>, tensor<32x32xf32>) outs(%d : tensor<4x32xf32>) -> tensor<4x32xf32>
  %1 = kern.call @t ins(%0, %w : tensor<4x32xf32>, tensor<32x32xf32>) outs(%d : tensor<4x32xf32>) -> tensor<4x32xf32>
  return %1 : tensor<4x32xf32>
}
kern.func @k(%x: tensor<4x32xf32>, %w: tensor<32x32xf32>, %d: tensor<4x32xf32>) -> tensor<4x32xf32> {
  %0 = linalg.generic {indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>,
                                        affine_map<(m, n, k) -> (m, n)>],
                       iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %w : tensor<4x32xf32>, tensor<32x32xf32>) outs(%d : tensor<4x32xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %1 = arith.mulf %a, %b : f32
    %2 = arith.addf %c, %1 : f32
    linalg.yield %2 : f32
  } -> tensor<4x32xf32>
  kern.return %0 : tensor<4x32xf32>
}
kern.func @t(%x: tensor<4x32xf32>, %w: tensor<32x32xf32>, %d: tensor<4x32xf32>) -> tensor<4x32xf32> {
  %0 = linalg.generic {indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>,
                                        affine_map<(m, n, k) -> (m, n)>],
                       iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %w : tensor<4x32xf32>, tensor<32x32xf32>) outs(%d : tensor<4x32xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %1 = arith.mulf %a, %b : f32
    %2 = arith.addf %c, %1 : f32
    linalg.yield %2 : f32
  } -> tensor<4x32xf32>
  kern.return %0 : tensor<4x32xf32>
}

// -----

// The kernels of a depthwise convolution, which the lowering views without the unit
// dimension. No rows share them: a panel is one vector wide.
nn.parameter @w = dense<1.0> : tensor<48x1x3x3xf32>

// CHECK-LABEL: func.func @main
// CHECK: nn.get_parameter @w.packed : tensor<3x3x3x16xf32>
func.func @main(%x: tensor<1x9x9x48xf32>) -> tensor<1x7x7x48xf32> {
  %w = nn.get_parameter @w : tensor<48x1x3x3xf32>
  %d = tensor.empty() : tensor<1x7x7x48xf32>
  %0 = kern.call @k ins(%x, %w : tensor<1x9x9x48xf32>, tensor<48x1x3x3xf32>) outs(%d : tensor<1x7x7x48xf32>) -> tensor<1x7x7x48xf32>
  return %0 : tensor<1x7x7x48xf32>
}
// CHECK: kern.func @k(%{{.*}}: tensor<1x9x9x48xf32>, %{{.*}}: tensor<3x3x3x16xf32>
// CHECK-NOT: tensor.collapse_shape
// CHECK: kern.func @pack_0(%{{.*}}: tensor<48x1x3x3xf32>
// CHECK: tensor.collapse_shape
kern.func @k(%x: tensor<1x9x9x48xf32>, %w: tensor<48x1x3x3xf32>, %d: tensor<1x7x7x48xf32>) -> tensor<1x7x7x48xf32> {
  %v = tensor.collapse_shape %w [[0, 1], [2], [3]] : tensor<48x1x3x3xf32> into tensor<48x3x3xf32>
  %0 = linalg.generic {indexing_maps = [affine_map<(n, h, w, c, r, s) -> (n, h + r, w + s, c)>,
                                        affine_map<(n, h, w, c, r, s) -> (c, r, s)>,
                                        affine_map<(n, h, w, c, r, s) -> (n, h, w, c)>],
                       iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction", "reduction"]}
      ins(%x, %v : tensor<1x9x9x48xf32>, tensor<48x3x3xf32>) outs(%d : tensor<1x7x7x48xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %1 = arith.mulf %a, %b : f32
    %2 = arith.addf %c, %1 : f32
    linalg.yield %2 : f32
  } -> tensor<1x7x7x48xf32>
  kern.return %0 : tensor<1x7x7x48xf32>
}

// -----

// 96 columns are two blocks of three vectors.
nn.parameter @w = dense<1.0> : tensor<8x96xf32>

// CHECK-LABEL: func.func @main
// CHECK: nn.get_parameter @w.packed : tensor<2x8x48xf32>
func.func @main(%x: tensor<4x8xf32>) -> tensor<4x96xf32> {
  %w = nn.get_parameter @w : tensor<8x96xf32>
  %d = tensor.empty() : tensor<4x96xf32>
  %0 = kern.call @k ins(%x, %w : tensor<4x8xf32>, tensor<8x96xf32>) outs(%d : tensor<4x96xf32>) -> tensor<4x96xf32>
  return %0 : tensor<4x96xf32>
}
kern.func @k(%x: tensor<4x8xf32>, %w: tensor<8x96xf32>, %d: tensor<4x96xf32>) -> tensor<4x96xf32> {
  %0 = nn.matmul %x, %w : (tensor<4x8xf32>, tensor<8x96xf32>) -> tensor<4x96xf32>
  kern.return %0 : tensor<4x96xf32>
}

// -----

// What @prepare computes only to be packed is packed at once: its memory is free again
// before the next one.
nn.parameter @a = dense<0.0> : tensor<32x32xf32> {nn.computed}
nn.parameter @b = dense<0.0> : tensor<32x32xf32> {nn.computed}
nn.parameter @c = dense<1.0> : tensor<32x32xf32>

func.func @main(%x: tensor<4x32xf32>) -> tensor<4x32xf32> {
  %a = nn.get_parameter @a : tensor<32x32xf32>
  %b = nn.get_parameter @b : tensor<32x32xf32>
  %d = tensor.empty() : tensor<4x32xf32>
  %0 = kern.call @k ins(%x, %a : tensor<4x32xf32>, tensor<32x32xf32>) outs(%d : tensor<4x32xf32>) -> tensor<4x32xf32>
  %1 = kern.call @l ins(%0, %b : tensor<4x32xf32>, tensor<32x32xf32>) outs(%d : tensor<4x32xf32>) -> tensor<4x32xf32>
  return %1 : tensor<4x32xf32>
}
// CHECK-LABEL: func.func @prepare
// CHECK: %[[A:.*]] = kern.call @make
// CHECK: kern.call @pack_0 ins(%[[A]]
// CHECK: %[[B:.*]] = kern.call @make
// CHECK: kern.call @pack_1 ins(%[[B]]
func.func @prepare() -> (tensor<32x32xf32>, tensor<32x32xf32>) attributes {nacre.inputs = [],
    nacre.outputs = [{name = "a", symbols = ["", ""], type = tensor<32x32xf32>},
                     {name = "b", symbols = ["", ""], type = tensor<32x32xf32>}]} {
  %c = nn.get_parameter @c : tensor<32x32xf32>
  %d = tensor.empty() : tensor<32x32xf32>
  %0 = kern.call @make ins(%c : tensor<32x32xf32>) outs(%d : tensor<32x32xf32>) -> tensor<32x32xf32>
  %1 = kern.call @make ins(%0 : tensor<32x32xf32>) outs(%d : tensor<32x32xf32>) -> tensor<32x32xf32>
  return %0, %1 : tensor<32x32xf32>, tensor<32x32xf32>
}
kern.func @make(%c: tensor<32x32xf32>, %d: tensor<32x32xf32>) -> tensor<32x32xf32> {
  %0 = nn.exp %c : (tensor<32x32xf32>) -> tensor<32x32xf32>
  kern.return %0 : tensor<32x32xf32>
}
kern.func @k(%x: tensor<4x32xf32>, %w: tensor<32x32xf32>, %d: tensor<4x32xf32>) -> tensor<4x32xf32> {
  %0 = nn.matmul %x, %w : (tensor<4x32xf32>, tensor<32x32xf32>) -> tensor<4x32xf32>
  kern.return %0 : tensor<4x32xf32>
}
kern.func @l(%x: tensor<4x32xf32>, %w: tensor<32x32xf32>, %d: tensor<4x32xf32>) -> tensor<4x32xf32> {
  %0 = nn.matmul %x, %w : (tensor<4x32xf32>, tensor<32x32xf32>) -> tensor<4x32xf32>
  kern.return %0 : tensor<4x32xf32>
}
