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
