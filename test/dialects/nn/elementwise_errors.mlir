// What element-wise ops refuse.
// RUN: nacre-opt %s -split-input-file -verify-diagnostics

func.func @types(%a: tensor<4xf32>, %b: tensor<4xf64>) {
  // expected-error@+2 {{element types differ: 'tensor<4xf32>', 'tensor<4xf64>'}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.add %a, %b : (tensor<4xf32>, tensor<4xf64>) -> tensor<4xf32>
  return
}

// -----

func.func @shapes(%a: tensor<4xf32>, %b: tensor<3xf32>) {
  // expected-error@+2 {{shapes do not broadcast: 'tensor<4xf32>', 'tensor<3xf32>'}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.add %a, %b : (tensor<4xf32>, tensor<3xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @boolean(%a: tensor<4xi1>) {
  // expected-error@+1 {{operand #0 must be ranked tensor of number values}}
  %0 = nn.add %a, %a : (tensor<4xi1>, tensor<4xi1>) -> tensor<4xi1>
  return
}

// -----

func.func @compare(%a: tensor<4xf32>, %b: tensor<4xi32>) {
  // expected-error@+1 {{expects operands of one element type}}
  %0 = nn.compare eq, %a, %b : (tensor<4xf32>, tensor<4xi32>) -> tensor<4xi1>
  return
}

// -----

func.func @where(%c: tensor<4xi1>, %a: tensor<4xf32>, %b: tensor<4xi32>) {
  // expected-error@+1 {{expects values of one element type}}
  %0 = nn.where %c, %a, %b : (tensor<4xi1>, tensor<4xf32>, tensor<4xi32>) -> tensor<4xf32>
  return
}

// -----

func.func @cast(%a: tensor<4xf32>) {
  // expected-error@+2 {{inferred type(s) 'tensor<4xi64>' are incompatible with return type(s) of operation 'tensor<4xi32>'}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.cast %a to i64 : (tensor<4xf32>) -> tensor<4xi32>
  return
}

// -----

func.func @bitcast(%x: tensor<4xf32>) {
  // expected-error@+1 {{expects a type of 32 bits, found 'i64'}}
  %0 = nn.bitcast %x to i64 : (tensor<4xf32>) -> tensor<4xi64>
  return
}
