// What functions of one number refuse.
// RUN: nacre-opt %s -split-input-file -verify-diagnostics

func.func @acos(%x: tensor<4xi32>) {
  // expected-error@+1 {{operand #0 must be ranked tensor of floating-point values}}
  %0 = nn.acos %x : (tensor<4xi32>) -> tensor<4xi32>
  return
}

// -----

func.func @acosh(%x: tensor<4xi32>) {
  // expected-error@+1 {{operand #0 must be ranked tensor of floating-point values}}
  %0 = nn.acosh %x : (tensor<4xi32>) -> tensor<4xi32>
  return
}

// -----

func.func @asin(%x: tensor<4xi32>) {
  // expected-error@+1 {{operand #0 must be ranked tensor of floating-point values}}
  %0 = nn.asin %x : (tensor<4xi32>) -> tensor<4xi32>
  return
}

// -----

func.func @asinh(%x: tensor<4xi32>) {
  // expected-error@+1 {{operand #0 must be ranked tensor of floating-point values}}
  %0 = nn.asinh %x : (tensor<4xi32>) -> tensor<4xi32>
  return
}

// -----

func.func @atan(%x: tensor<4xi32>) {
  // expected-error@+1 {{operand #0 must be ranked tensor of floating-point values}}
  %0 = nn.atan %x : (tensor<4xi32>) -> tensor<4xi32>
  return
}

// -----

func.func @atanh(%x: tensor<4xi32>) {
  // expected-error@+1 {{operand #0 must be ranked tensor of floating-point values}}
  %0 = nn.atanh %x : (tensor<4xi32>) -> tensor<4xi32>
  return
}

// -----

func.func @ceil(%x: tensor<4xi32>) {
  // expected-error@+1 {{operand #0 must be ranked tensor of floating-point values}}
  %0 = nn.ceil %x : (tensor<4xi32>) -> tensor<4xi32>
  return
}

// -----

func.func @cos(%x: tensor<4xi32>) {
  // expected-error@+1 {{operand #0 must be ranked tensor of floating-point values}}
  %0 = nn.cos %x : (tensor<4xi32>) -> tensor<4xi32>
  return
}

// -----

func.func @cosh(%x: tensor<4xi32>) {
  // expected-error@+1 {{operand #0 must be ranked tensor of floating-point values}}
  %0 = nn.cosh %x : (tensor<4xi32>) -> tensor<4xi32>
  return
}

// -----

func.func @erf(%x: tensor<4xi32>) {
  // expected-error@+1 {{operand #0 must be ranked tensor of floating-point values}}
  %0 = nn.erf %x : (tensor<4xi32>) -> tensor<4xi32>
  return
}

// -----

func.func @exp(%x: tensor<4xi32>) {
  // expected-error@+1 {{operand #0 must be ranked tensor of floating-point values}}
  %0 = nn.exp %x : (tensor<4xi32>) -> tensor<4xi32>
  return
}

// -----

func.func @floor(%x: tensor<4xi32>) {
  // expected-error@+1 {{operand #0 must be ranked tensor of floating-point values}}
  %0 = nn.floor %x : (tensor<4xi32>) -> tensor<4xi32>
  return
}

// -----

func.func @log(%x: tensor<4xi32>) {
  // expected-error@+1 {{operand #0 must be ranked tensor of floating-point values}}
  %0 = nn.log %x : (tensor<4xi32>) -> tensor<4xi32>
  return
}

// -----

func.func @reciprocal(%x: tensor<4xi32>) {
  // expected-error@+1 {{operand #0 must be ranked tensor of floating-point values}}
  %0 = nn.reciprocal %x : (tensor<4xi32>) -> tensor<4xi32>
  return
}

// -----

func.func @round(%x: tensor<4xi32>) {
  // expected-error@+1 {{operand #0 must be ranked tensor of floating-point values}}
  %0 = nn.round %x : (tensor<4xi32>) -> tensor<4xi32>
  return
}

// -----

func.func @sigmoid(%x: tensor<4xi32>) {
  // expected-error@+1 {{operand #0 must be ranked tensor of floating-point values}}
  %0 = nn.sigmoid %x : (tensor<4xi32>) -> tensor<4xi32>
  return
}

// -----

func.func @sin(%x: tensor<4xi32>) {
  // expected-error@+1 {{operand #0 must be ranked tensor of floating-point values}}
  %0 = nn.sin %x : (tensor<4xi32>) -> tensor<4xi32>
  return
}

// -----

func.func @sinh(%x: tensor<4xi32>) {
  // expected-error@+1 {{operand #0 must be ranked tensor of floating-point values}}
  %0 = nn.sinh %x : (tensor<4xi32>) -> tensor<4xi32>
  return
}

// -----

func.func @softsign(%x: tensor<4xi32>) {
  // expected-error@+1 {{operand #0 must be ranked tensor of floating-point values}}
  %0 = nn.softsign %x : (tensor<4xi32>) -> tensor<4xi32>
  return
}

// -----

func.func @sqrt(%x: tensor<4xi32>) {
  // expected-error@+1 {{operand #0 must be ranked tensor of floating-point values}}
  %0 = nn.sqrt %x : (tensor<4xi32>) -> tensor<4xi32>
  return
}

// -----

func.func @tan(%x: tensor<4xi32>) {
  // expected-error@+1 {{operand #0 must be ranked tensor of floating-point values}}
  %0 = nn.tan %x : (tensor<4xi32>) -> tensor<4xi32>
  return
}

// -----

func.func @tanh(%x: tensor<4xi32>) {
  // expected-error@+1 {{operand #0 must be ranked tensor of floating-point values}}
  %0 = nn.tanh %x : (tensor<4xi32>) -> tensor<4xi32>
  return
}

// -----

func.func @softplus(%x: tensor<4xi32>) {
  // expected-error@+1 {{operand #0 must be ranked tensor of floating-point values}}
  %0 = nn.softplus %x : (tensor<4xi32>) -> tensor<4xi32>
  return
}

// -----

func.func @elu(%x: tensor<4xi32>) {
  // expected-error@+1 {{operand #0 must be ranked tensor of floating-point values}}
  %0 = nn.elu %x {alpha = 1.0 : f64} : (tensor<4xi32>) -> tensor<4xi32>
  return
}

// -----

func.func @gelu(%x: tensor<4xi32>) {
  // expected-error@+1 {{operand #0 must be ranked tensor of floating-point values}}
  %0 = nn.gelu %x : (tensor<4xi32>) -> tensor<4xi32>
  return
}

// -----

func.func @leaky_relu(%x: tensor<4xi32>) {
  // expected-error@+1 {{operand #0 must be ranked tensor of floating-point values}}
  %0 = nn.leaky_relu %x {alpha = 0.1 : f64} : (tensor<4xi32>) -> tensor<4xi32>
  return
}

// -----

func.func @hard_sigmoid(%x: tensor<4xi32>) {
  // expected-error@+1 {{operand #0 must be ranked tensor of floating-point values}}
  %0 = nn.hard_sigmoid %x {alpha = 0.2 : f64, beta = 0.5 : f64} : (tensor<4xi32>) -> tensor<4xi32>
  return
}

// -----

func.func @abs(%x: tensor<4xi1>) {
  // expected-error@+1 {{operand #0 must be ranked tensor of number values}}
  %0 = nn.abs %x : (tensor<4xi1>) -> tensor<4xi1>
  return
}

// -----

func.func @neg(%x: tensor<4xi1>) {
  // expected-error@+1 {{operand #0 must be ranked tensor of number values}}
  %0 = nn.neg %x : (tensor<4xi1>) -> tensor<4xi1>
  return
}

// -----

func.func @relu(%x: tensor<4xi1>) {
  // expected-error@+1 {{operand #0 must be ranked tensor of number values}}
  %0 = nn.relu %x : (tensor<4xi1>) -> tensor<4xi1>
  return
}

// -----

func.func @sign(%x: tensor<4xi1>) {
  // expected-error@+1 {{operand #0 must be ranked tensor of number values}}
  %0 = nn.sign %x : (tensor<4xi1>) -> tensor<4xi1>
  return
}

// -----

func.func @is_nan(%x: tensor<4xi32>) {
  // expected-error@+1 {{operand #0 must be ranked tensor of floating-point values}}
  %0 = nn.is_nan %x : (tensor<4xi32>) -> tensor<4xi1>
  return
}

// -----

func.func @is_inf(%x: tensor<4xi32>) {
  // expected-error@+1 {{operand #0 must be ranked tensor of floating-point values}}
  %0 = nn.is_inf %x : (tensor<4xi32>) -> tensor<4xi1>
  return
}
