// RUN: nacre-opt %s --layout-parameters --split-input-file --verify-diagnostics | FileCheck %s

// In order of use, 64 bytes apart; what nobody uses is gone, what @prepare alone
// uses stays without a place. Zeros need no initial value. In the state a parameter's own
// stands behind it.
// CHECK-NOT: nn.parameter @unused
// CHECK:     nn.parameter @source = dense<1.000000e+00> : tensor<3xf32>{{$}}
// CHECK:     nn.parameter @second = {{.*}} {nacre.offset = 64 : i64}
// CHECK:     nn.parameter @first = {{.*}} {nacre.offset = 0 : i64}
// CHECK:     nn.parameter @computed = {{.*}} {nacre.offset = 128 : i64, nn.computed}
// CHECK:     nn.parameter trainable @weight = {{.*}} {nacre.offset = 192 : i64, nacre.state_offset = 0 : i64}
// CHECK:     nn.parameter trainable @bias = {{.*}} {nacre.offset = 256 : i64, nacre.state_offset = 128 : i64}
// CHECK:     nn.parameter trainable @weight.momentum = {{.*}} {nacre.state_offset = 64 : i64}
nn.parameter @unused = dense<0.0> : tensor<3xf32>
nn.parameter @source = dense<1.0> : tensor<3xf32>
nn.parameter @second = dense<2.0> : tensor<3xf32>
nn.parameter @first = dense<3.0> : tensor<16xf32>
nn.parameter @computed = dense<0.0> : tensor<3xf32> {nn.computed}
nn.parameter trainable @weight = dense<4.0> : tensor<3xf32>
nn.parameter trainable @bias = dense<5.0> : tensor<3xf32>
nn.parameter trainable @weight.momentum = dense<0.0> : tensor<3xf32>

// CHECK-LABEL: func.func @prepare
// CHECK-SAME:    nacre.prepare_inputs = ["source", "first"]
func.func @prepare() {
  // CHECK: rt.input 0 : memref<3xf32>
  // CHECK: rt.input 1 : memref<16xf32>
  %a = rt.parameter "source" : memref<3xf32>
  %b = rt.parameter "first" : memref<16xf32>
  %w = rt.output 0 () : memref<3xf32>
  memref.copy %a, %w : memref<3xf32> to memref<3xf32>
  return
}
func.func @main() {
  // CHECK: rt.parameter "first" at 0
  // CHECK: rt.parameter "second" at 64
  // CHECK: rt.parameter "first" at 0
  // CHECK: rt.parameter "computed" at 128
  %0 = rt.parameter "first" : memref<16xf32>
  %1 = rt.parameter "second" : memref<3xf32>
  %2 = rt.parameter "first" : memref<16xf32>
  %3 = rt.parameter "computed" : memref<3xf32>
  return
}
func.func @step() {
  // CHECK: rt.parameter state "weight" at 0
  // CHECK: rt.parameter state "bias" at 128
  // CHECK: rt.parameter state "weight.momentum" at 64
  %0 = rt.parameter state "weight" : memref<3xf32>
  %1 = rt.parameter state "bias" : memref<3xf32>
  %2 = rt.parameter state "weight.momentum" : memref<3xf32>
  return
}

// -----

func.func @main() {
  // expected-error @below {{names no parameter: nothing}}
  %0 = rt.parameter "nothing" : memref<3xf32>
  return
}

// -----

// Where code for another CPU has it already it stays; the rest comes behind all of that code's.
module attributes {nacre.shared_end = 200 : i64} {
  // CHECK: nn.parameter @both = {{.*}}nacre.offset = 64 : i64
  // CHECK: nn.parameter @own = {{.*}}nacre.offset = 256 : i64
  // CHECK: nn.parameter @other = {{.*}}nacre.offset = 320 : i64
  nn.parameter @both = dense<1.0> : tensor<3xf32> {nacre.shared_offset = 64 : i64}
  nn.parameter @own = dense<2.0> : tensor<3xf32>
  nn.parameter @other = dense<2.0> : tensor<3xf32>
  func.func @main() {
    // CHECK: rt.parameter "own" at 256
    // CHECK: rt.parameter "both" at 64
    // CHECK: rt.parameter "other" at 320
    %0 = rt.parameter "own" : memref<3xf32>
    %1 = rt.parameter "both" : memref<3xf32>
    %2 = rt.parameter "other" : memref<3xf32>
    return
  }
}
