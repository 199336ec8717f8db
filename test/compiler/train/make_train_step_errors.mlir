// RUN: nacre-opt %s --make-train-step=loss=output:l -split-input-file -verify-diagnostics

nn.parameter trainable @w = dense<0.5> : tensor<4xf32>
func.func @main() -> (tensor<f32> {nn.name = "l"}) {
  %w = nn.get_parameter @w : tensor<4xf32>
  // expected-error @below {{has no gradient}}
  %c = math.sin %w : tensor<4xf32>
  %l = nn.reduce sum, %c {axes = array<i64: 0>} : (tensor<4xf32>) -> tensor<f32>
  return %l : tensor<f32>
}

// -----

nn.parameter trainable @w = dense<0.5> : tensor<1x4x1xf32>
func.func @main() -> (tensor<f32> {nn.name = "l"}) {
  %w = nn.get_parameter @w : tensor<1x4x1xf32>
  // expected-error @below {{has no gradient with these attributes}}
  %p = nn.avg_pool %w {kernel = array<i64: 2>, strides = array<i64: 2>, dilations = array<i64: 1>,
                       pads = array<i64: 0, 0>, channels_last} : (tensor<1x4x1xf32>) -> tensor<1x2x1xf32>
  %l = nn.reduce sum, %p {axes = array<i64: 0, 1, 2>} : (tensor<1x2x1xf32>) -> tensor<f32>
  return %l : tensor<f32>
}

// -----

// expected-error @below {{no output is called 'l' for the loss: the outputs are a, b}}
func.func @main(%x: tensor<f32>) -> (tensor<f32> {nn.name = "a"}, tensor<f32> {nn.name = "b"}) {
  return %x, %x : tensor<f32>, tensor<f32>
}

// -----

// expected-error @below {{the loss 'l' is not one floating-point number: it is 'tensor<2xf32>'}}
func.func @main(%x: tensor<2xf32>) -> (tensor<2xf32> {nn.name = "l"}) {
  return %x : tensor<2xf32>
}

// -----

// expected-error @below {{there is nothing to train: the loss depends on no floating-point parameter}}
func.func @main(%x: tensor<f32>) -> (tensor<f32> {nn.name = "l"}) {
  return %x : tensor<f32>
}

// -----

nn.parameter @w = dense<1.0> : tensor<f32>
// expected-error @below {{no floating-point parameter that is trainable, as in `nn.parameter trainable @w = ...`}}
func.func @main(%x: tensor<f32>) -> (tensor<f32> {nn.name = "l"}) {
  %w = nn.get_parameter @w : tensor<f32>
  %y = nn.mul %x, %w : (tensor<f32>, tensor<f32>) -> tensor<f32>
  return %y : tensor<f32>
}
