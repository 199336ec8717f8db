// RUN: nacre-opt %s -split-input-file -verify-diagnostics

func.func @rank(%p: tensor<4x10xf32>, %l: tensor<4x1xi64>) {
  // expected-error @below {{expected log-probabilities [N, C, D...] and labels [N, D...], found 'tensor<4x10xf32>' and 'tensor<4x1xi64>'}}
  // expected-error @below {{failed to infer returned types}}
  %0:2 = nn.nll_loss %p, %l : (tensor<4x10xf32>, tensor<4x1xi64>) -> (tensor<4xf32>, tensor<4xf32>)
  return
}

// -----

func.func @sizes(%p: tensor<4x10x7xf32>, %l: tensor<4x6xi64>) {
  // expected-error @below {{the labels 'tensor<4x6xi64>' do not fit the log-probabilities 'tensor<4x10x7xf32>'}}
  // expected-error @below {{failed to infer returned types}}
  %0:2 = nn.nll_loss %p, %l : (tensor<4x10x7xf32>, tensor<4x6xi64>) -> (tensor<4x6xf32>, tensor<4x6xf32>)
  return
}

// -----

func.func @no_class(%p: tensor<4x0xf32>, %l: tensor<4xi64>) {
  // expected-error @below {{expected at least one class, found 'tensor<4x0xf32>'}}
  // expected-error @below {{failed to infer returned types}}
  %0:2 = nn.nll_loss %p, %l : (tensor<4x0xf32>, tensor<4xi64>) -> (tensor<4xf32>, tensor<4xf32>)
  return
}

// -----

func.func @class_weights(%p: tensor<4x10xf32>, %l: tensor<4xi64>, %w: tensor<9xf32>) {
  // expected-error @below {{expected a weight of type 'f32' for each of 10 classes, found 'tensor<9xf32>'}}
  // expected-error @below {{failed to infer returned types}}
  %0:2 = nn.nll_loss %p, %l weighted %w : (tensor<4x10xf32>, tensor<4xi64>, tensor<9xf32>) -> (tensor<4xf32>, tensor<4xf32>)
  return
}

// -----

nn.parameter @w = dense<1.0> : tensor<4xf32>
func.func @constant(%x: tensor<4xf32>) {
  // expected-error @below {{names no trainable parameter: @w}}
  nn.set_parameter @w, %x : tensor<4xf32>
  return
}

// -----

nn.parameter trainable @w = dense<1.0> : tensor<4xf32>
func.func @other_type(%x: tensor<5xf32>) {
  // expected-error @below {{sets a value of type 'tensor<5xf32>', but the parameter is 'tensor<4xf32>'}}
  nn.set_parameter @w, %x : tensor<5xf32>
  return
}

// -----

func.func @get_parameter() {
  // expected-error@+1 {{names no parameter: @missing}}
  %0 = nn.get_parameter @missing : tensor<4xf32>
  return
}

// -----

// expected-error@+1 {{attribute 'value' failed to satisfy constraint: constant vector/tensor attribute}}
"nn.parameter"() {sym_name = "w", value = 3 : i64} : () -> ()

// -----

func.func @variable(%x: tensor<4xi64>) {
  // expected-error@+1 {{operand #0 must be ranked tensor of floating-point values}}
  %0 = nn.variable %x "x" : (tensor<4xi64>) -> tensor<4xi64>
  return
}

// -----

func.func @gradient(%x: tensor<4xf32>) {
  // expected-error@+1 {{expects nn.variables to derive by}}
  %0 = nn.gradient %x by (%x) : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @values(%x: tensor<4xf32>, %o: tensor<5xf32>) {
  %v = nn.variable %x "x" : (tensor<4xf32>) -> tensor<4xf32>
  // expected-error@+1 {{a value of the type 'tensor<5xf32>' for a variable of the type 'tensor<4xf32>'}}
  %0 = nn.gradient %v by (%v) at (%o) : (tensor<4xf32>, tensor<4xf32>, tensor<5xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @in_training(%t: tensor<4xf32>, %i: tensor<3xf32>) {
  // expected-error@+1 {{expects values of one type}}
  %0 = nn.in_training %t else %i : tensor<4xf32>, tensor<3xf32> -> tensor<3xf32>
  return
}

// -----

nn.parameter @w = dense<1.0> : tensor<4xf32>
func.func @update(%m: tensor<4xf32>) {
  // expected-error@+1 {{names no trainable parameter: @w}}
  nn.update_parameter @w, %m : tensor<4xf32>
  return
}
