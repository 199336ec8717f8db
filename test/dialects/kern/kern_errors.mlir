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
