// What kernels and calls refuse.
// RUN: nacre-opt %s -split-input-file -verify-diagnostics

// expected-error@+1 {{expects one trailing destination argument of the same type for each result}}
kern.func @k(%a: tensor<4xf32>, %out: tensor<5xf32>) -> tensor<4xf32> {
  kern.return %a : tensor<4xf32>
}

// -----

func.func @main(%a: tensor<4xf32>) -> tensor<4xf32> {
  // expected-error@+1 {{names no kernel: @missing}}
  %0 = kern.call @missing ins(%a : tensor<4xf32>) outs(%a : tensor<4xf32>) -> tensor<4xf32>
  return %0 : tensor<4xf32>
}

// -----

kern.func @k(%a: tensor<4xf32>, %out: tensor<4xf32>) -> tensor<4xf32> {
  kern.return %a : tensor<4xf32>
}
func.func @main(%a: tensor<5xf32>, %d: tensor<4xf32>) -> tensor<4xf32> {
  // expected-error@+1 {{operand types do not match the kernel's}}
  %0 = kern.call @k ins(%a : tensor<5xf32>) outs(%d : tensor<4xf32>) -> tensor<4xf32>
  return %0 : tensor<4xf32>
}

// -----

func.func @main(%a: tensor<4xf32>) {
  // expected-error@+1 {{expects parent op 'kern.func'}}
  kern.return %a : tensor<4xf32>
}

// -----

func.func @main(%x: tensor<1x5x10x16xf32>, %u: tensor<6x6x1x16x32xf32>, %d: tensor<1x3x8x32xf32>) -> tensor<1x3x8x32xf32> {
  // expected-error@+1 {{expects 4 or more places along dimension 1, and 2 more in the input}}
  %0 = kern.winograd %x, %u into %d : (tensor<1x5x10x16xf32>, tensor<6x6x1x16x32xf32>, tensor<1x3x8x32xf32>) -> tensor<1x3x8x32xf32>
  return %0 : tensor<1x3x8x32xf32>
}

// -----

func.func @main(%x: tensor<1x10x10x8xf32>, %u: tensor<6x6x1x16x32xf32>, %d: tensor<1x8x8x32xf32>) -> tensor<1x8x8x32xf32> {
  // expected-error@+1 {{expects weights of 6 x 6 or 4 x 4 positions and the input's channels}}
  %0 = kern.winograd %x, %u into %d : (tensor<1x10x10x8xf32>, tensor<6x6x1x16x32xf32>, tensor<1x8x8x32xf32>) -> tensor<1x8x8x32xf32>
  return %0 : tensor<1x8x8x32xf32>
}
