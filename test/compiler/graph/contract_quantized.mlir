// RUN: nacre-opt %s --contract-quantized | FileCheck %s
// RUN: nacre-opt %s --contract-quantized=mixed-signs | FileCheck %s --check-prefix=MIXED

// Dequantised operands: the integers are multiplied, and the sums are scaled. The zero point goes to
// sums over the weights' columns.
// CHECK-LABEL: func.func @scaled
// CHECK-SAME: %[[Q:[^ ]+]]: tensor<4x8xui8>, %[[W:[^ ]+]]: tensor<8x16xi8>, %[[ZP:[^ ]+]]: tensor<ui8>, %[[SX:[^ ]+]]: tensor<f32>, %[[SW:[^ ]+]]: tensor<16xf32>
// CHECK-DAG: %[[Z:.+]] = nn.cast %[[ZP]] to i32
// CHECK-DAG: %[[P:.+]] = nn.matmul %[[Q]], %[[W]] : (tensor<4x8xui8>, tensor<8x16xi8>) -> tensor<4x16xi32>
// CHECK: %[[WIDE:.+]] = nn.cast %[[W]] to i32
// CHECK: %[[COLUMNS:.+]] = nn.reduce sum, %[[WIDE]] {axes = array<i64: 0>}
// CHECK: %[[SHIFT:.+]] = nn.mul %[[Z]], %[[COLUMNS]]
// CHECK: %[[SUM:.+]] = nn.sub %[[P]], %[[SHIFT]]
// CHECK-DAG: %[[F:.+]] = nn.cast %[[SUM]] to f32
// CHECK-DAG: %[[S:.+]] = nn.mul %[[SX]], %[[SW]]
// CHECK: %[[Y:.+]] = nn.mul %[[F]], %[[S]] : (tensor<4x16xf32>, tensor<16xf32>) -> tensor<4x16xf32>
// CHECK: return %[[Y]]
func.func @scaled(%q: tensor<4x8xui8>, %w: tensor<8x16xi8>, %zp: tensor<ui8>, %sx: tensor<f32>, %sw: tensor<16xf32>) -> tensor<4x16xf32> {
  %qi = nn.cast %q to i32 : (tensor<4x8xui8>) -> tensor<4x8xi32>
  %z = nn.cast %zp to i32 : (tensor<ui8>) -> tensor<i32>
  %d = nn.sub %qi, %z : (tensor<4x8xi32>, tensor<i32>) -> tensor<4x8xi32>
  %df = nn.cast %d to f32 : (tensor<4x8xi32>) -> tensor<4x8xf32>
  %x = nn.mul %df, %sx : (tensor<4x8xf32>, tensor<f32>) -> tensor<4x8xf32>
  %wi = nn.cast %w to f32 : (tensor<8x16xi8>) -> tensor<8x16xf32>
  %v = nn.mul %wi, %sw : (tensor<8x16xf32>, tensor<16xf32>) -> tensor<8x16xf32>
  %y = nn.matmul %x, %v : (tensor<4x8xf32>, tensor<8x16xf32>) -> tensor<4x16xf32>
  return %y : tensor<4x16xf32>
}

// Both operands have zero points, one for each row and column: MatMulInteger.
// CHECK-LABEL: func.func @both
// CHECK: %[[P:.+]] = nn.matmul %{{.+}}, %{{.+}} : (tensor<4x8xui8>, tensor<8x16xui8>) -> tensor<4x16xi32>
// CHECK: nn.reduce sum
// CHECK: nn.sub %[[P]]
// CHECK: %[[ROWS:.+]] = nn.reduce sum, %{{.+}} {axes = array<i64: 1>}
// CHECK: nn.unsqueeze %[[ROWS]]
// CHECK: nn.sub
// CHECK: nn.add
func.func @both(%q: tensor<4x8xui8>, %w: tensor<8x16xui8>, %za: tensor<4x1xi32>, %zb: tensor<16xi32>) -> tensor<4x16xi32> {
  %qi = nn.cast %q to i32 : (tensor<4x8xui8>) -> tensor<4x8xi32>
  %d = nn.sub %qi, %za : (tensor<4x8xi32>, tensor<4x1xi32>) -> tensor<4x8xi32>
  %wi = nn.cast %w to i32 : (tensor<8x16xui8>) -> tensor<8x16xi32>
  %e = nn.sub %wi, %zb : (tensor<8x16xi32>, tensor<16xi32>) -> tensor<8x16xi32>
  %y = nn.matmul %d, %e : (tensor<4x8xi32>, tensor<8x16xi32>) -> tensor<4x16xi32>
  return %y : tensor<4x16xi32>
}

// A convolution pads with the zero point; weights whose zero point is known to be 0 have none.
// CHECK-LABEL: func.func @conv
// CHECK-SAME: %[[Q:[^ ]+]]: tensor<1x3x8x8xui8>, %[[W:[^ ]+]]: tensor<16x3x3x3xi8>, %[[ZP:[^ ]+]]: tensor<ui8>
// CHECK: %[[PAD:.+]] = nn.pad %[[Q]], %{{.+}}, %[[ZP]] constant
// CHECK: %[[P:.+]] = nn.conv %[[PAD]], %[[W]] {dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, strides = array<i64: 1, 1>} : (tensor<1x3x10x10xui8>, tensor<16x3x3x3xi8>) -> tensor<1x16x8x8xi32>
// CHECK: nn.reduce sum, %{{.+}} {axes = array<i64: 1, 2, 3>}
// CHECK: nn.sub %[[P]]
func.func @conv(%q: tensor<1x3x8x8xui8>, %w: tensor<16x3x3x3xi8>, %zp: tensor<ui8>) -> tensor<1x16x8x8xi32> {
  %zero = nn.constant dense<0> : tensor<i32>
  %qi = nn.cast %q to i32 : (tensor<1x3x8x8xui8>) -> tensor<1x3x8x8xi32>
  %z = nn.cast %zp to i32 : (tensor<ui8>) -> tensor<i32>
  %d = nn.sub %qi, %z : (tensor<1x3x8x8xi32>, tensor<i32>) -> tensor<1x3x8x8xi32>
  %wi = nn.cast %w to i32 : (tensor<16x3x3x3xi8>) -> tensor<16x3x3x3xi32>
  %e = nn.sub %wi, %zero : (tensor<16x3x3x3xi32>, tensor<i32>) -> tensor<16x3x3x3xi32>
  %y = nn.conv %d, %e {dilations = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, strides = array<i64: 1, 1>}
      : (tensor<1x3x8x8xi32>, tensor<16x3x3x3xi32>) -> tensor<1x16x8x8xi32>
  return %y : tensor<1x16x8x8xi32>
}

// i32 might not hold sums of so many: they stay floats.
// CHECK-LABEL: func.func @long
// CHECK: nn.matmul {{.+}} -> tensor<4x16xf32>
func.func @long(%q: tensor<4x40000xui8>, %w: tensor<40000x16xui8>, %s: tensor<f32>) -> tensor<4x16xf32> {
  %qf = nn.cast %q to f32 : (tensor<4x40000xui8>) -> tensor<4x40000xf32>
  %x = nn.mul %qf, %s : (tensor<4x40000xf32>, tensor<f32>) -> tensor<4x40000xf32>
  %wf = nn.cast %w to f32 : (tensor<40000x16xui8>) -> tensor<40000x16xf32>
  %v = nn.mul %wf, %s : (tensor<40000x16xf32>, tensor<f32>) -> tensor<40000x16xf32>
  %y = nn.matmul %x, %v : (tensor<4x40000xf32>, tensor<40000x16xf32>) -> tensor<4x16xf32>
  return %y : tensor<4x16xf32>
}

// Signed values become unsigned ones, 128 higher, as does their zero point: the padding too.
// CHECK-LABEL: func.func @signs
// CHECK: nn.conv {{.+}} (tensor<1x3x8x8xi8>, tensor<16x3x3x3xi8>) -> tensor<1x16x8x8xi32>
// MIXED-LABEL: func.func @signs
// MIXED-DAG: %[[Z:.+]] = nn.constant dense<128> : tensor<i32>
// MIXED: %[[MOVED:.+]] = nn.add %{{.+}}, %[[Z]]
// MIXED: %[[X:.+]] = nn.cast %[[MOVED]] to ui8
// MIXED: %[[PAD:.+]] = nn.pad %[[X]]
// MIXED: nn.conv %[[PAD]], %{{.+}} (tensor<1x3x10x10xui8>, tensor<16x3x3x3xi8>) -> tensor<1x16x8x8xi32>
// MIXED: nn.mul %{{.+}}, %[[Z]] : (tensor<16xi32>, tensor<i32>) -> tensor<16xi32>
func.func @signs(%q: tensor<1x3x8x8xi8>) -> tensor<1x16x8x8xi32> {
  %w = nn.get_parameter @signed : tensor<16x3x3x3xi8>
  %qi = nn.cast %q to i32 : (tensor<1x3x8x8xi8>) -> tensor<1x3x8x8xi32>
  %wi = nn.cast %w to i32 : (tensor<16x3x3x3xi8>) -> tensor<16x3x3x3xi32>
  %y = nn.conv %qi, %wi {dilations = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, strides = array<i64: 1, 1>} : (tensor<1x3x8x8xi32>, tensor<16x3x3x3xi32>) -> tensor<1x16x8x8xi32>
  return %y : tensor<1x16x8x8xi32>
}
nn.parameter @signed = dense<1> : tensor<16x3x3x3xi8>

// Unsigned weights around 128 have no zero point as signed ones, on any target.
// CHECK-LABEL: func.func @around
// CHECK: nn.conv {{.+}} (tensor<1x3x8x8xui8>, tensor<16x3x3x3xi8>) -> tensor<1x16x8x8xi32>
func.func @around(%q: tensor<1x3x8x8xui8>) -> tensor<1x16x8x8xi32> {
  %w = nn.get_parameter @unsigned : tensor<16x3x3x3xui8>
  %z = nn.constant dense<128> : tensor<i32>
  %qi = nn.cast %q to i32 : (tensor<1x3x8x8xui8>) -> tensor<1x3x8x8xi32>
  %wi = nn.cast %w to i32 : (tensor<16x3x3x3xui8>) -> tensor<16x3x3x3xi32>
  %e = nn.sub %wi, %z : (tensor<16x3x3x3xi32>, tensor<i32>) -> tensor<16x3x3x3xi32>
  %y = nn.conv %qi, %e {dilations = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, strides = array<i64: 1, 1>} : (tensor<1x3x8x8xi32>, tensor<16x3x3x3xi32>) -> tensor<1x16x8x8xi32>
  return %y : tensor<1x16x8x8xi32>
}
nn.parameter @unsigned = dense<1> : tensor<16x3x3x3xui8>
