// What functions of two operands refuse.
// RUN: nacre-opt %s -split-input-file -verify-diagnostics

func.func @sub(%a: tensor<4xf32>, %b: tensor<3xf32>) {
  // expected-error@+2 {{shapes do not broadcast: 'tensor<4xf32>', 'tensor<3xf32>'}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.sub %a, %b : (tensor<4xf32>, tensor<3xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @mul(%a: tensor<4xf32>, %b: tensor<3xf32>) {
  // expected-error@+2 {{shapes do not broadcast: 'tensor<4xf32>', 'tensor<3xf32>'}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.mul %a, %b : (tensor<4xf32>, tensor<3xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @div(%a: tensor<4xf32>, %b: tensor<3xf32>) {
  // expected-error@+2 {{shapes do not broadcast: 'tensor<4xf32>', 'tensor<3xf32>'}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.div %a, %b : (tensor<4xf32>, tensor<3xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @mod(%a: tensor<4xf32>, %b: tensor<3xf32>) {
  // expected-error@+2 {{shapes do not broadcast: 'tensor<4xf32>', 'tensor<3xf32>'}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.mod %a, %b : (tensor<4xf32>, tensor<3xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @fmod(%a: tensor<4xf32>, %b: tensor<3xf32>) {
  // expected-error@+2 {{shapes do not broadcast: 'tensor<4xf32>', 'tensor<3xf32>'}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.fmod %a, %b : (tensor<4xf32>, tensor<3xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @min(%a: tensor<4xf32>, %b: tensor<3xf32>) {
  // expected-error@+2 {{shapes do not broadcast: 'tensor<4xf32>', 'tensor<3xf32>'}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.min %a, %b : (tensor<4xf32>, tensor<3xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @max(%a: tensor<4xf32>, %b: tensor<3xf32>) {
  // expected-error@+2 {{shapes do not broadcast: 'tensor<4xf32>', 'tensor<3xf32>'}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.max %a, %b : (tensor<4xf32>, tensor<3xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @pow(%a: tensor<4xf32>, %b: tensor<3xf32>) {
  // expected-error@+2 {{shapes do not broadcast: 'tensor<4xf32>', 'tensor<3xf32>'}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.pow %a, %b : (tensor<4xf32>, tensor<3xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @prelu(%a: tensor<4xf32>, %b: tensor<3xf32>) {
  // expected-error@+2 {{shapes do not broadcast: 'tensor<4xf32>', 'tensor<3xf32>'}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.prelu %a, %b : (tensor<4xf32>, tensor<3xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @and(%a: tensor<4xf32>) {
  // expected-error@+1 {{operand #0 must be ranked tensor of signed integer or unsigned integer or boolean values}}
  %0 = nn.and %a, %a : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @or(%a: tensor<4xf32>) {
  // expected-error@+1 {{operand #0 must be ranked tensor of signed integer or unsigned integer or boolean values}}
  %0 = nn.or %a, %a : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @xor(%a: tensor<4xf32>) {
  // expected-error@+1 {{operand #0 must be ranked tensor of signed integer or unsigned integer or boolean values}}
  %0 = nn.xor %a, %a : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @not(%a: tensor<4xf32>) {
  // expected-error@+1 {{operand #0 must be ranked tensor of signed integer or unsigned integer or boolean values}}
  %0 = nn.not %a : (tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @shift_left(%a: tensor<4xi1>) {
  // expected-error@+1 {{operand #0 must be ranked tensor of signed integer or unsigned integer values}}
  %0 = nn.shift_left %a, %a : (tensor<4xi1>, tensor<4xi1>) -> tensor<4xi1>
  return
}

// -----

func.func @shift_right(%a: tensor<4xi1>) {
  // expected-error@+1 {{operand #0 must be ranked tensor of signed integer or unsigned integer values}}
  %0 = nn.shift_right %a, %a : (tensor<4xi1>, tensor<4xi1>) -> tensor<4xi1>
  return
}
