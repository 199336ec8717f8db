// What softmax and normalisations refuse.
// RUN: nacre-opt %s -split-input-file -verify-diagnostics

func.func @axis(%x: tensor<4x5xf32>) {
  // expected-error@+2 {{expected rising axes below 2, found [2]}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.softmax %x {axis = 2 : i64} : (tensor<4x5xf32>) -> tensor<4x5xf32>
  return
}

// -----

func.func @integers(%x: tensor<4x5xi32>) {
  // expected-error@+1 {{operand #0 must be ranked tensor of floating-point values}}
  %0 = nn.softmax %x {axis = 1 : i64} : (tensor<4x5xi32>) -> tensor<4x5xi32>
  return
}

// -----

func.func @channels(%x: tensor<4x5x6xf32>, %v: tensor<6xf32>) {
  // expected-error@+1 {{expects a vector of the channels' size 5, found 'tensor<6xf32>'}}
  %0 = nn.batch_norm %x, %v, %v, %v, %v {epsilon = 1.0e-5 : f64}
      : (tensor<4x5x6xf32>, tensor<6xf32>, tensor<6xf32>, tensor<6xf32>, tensor<6xf32>) -> tensor<4x5x6xf32>
  return
}

// -----

func.func @rank(%x: tensor<4xf32>, %v: tensor<4xf32>) {
  // expected-error@+1 {{expects an input of rank 2 or more}}
  %0 = nn.group_norm %x, %v, %v {groups = 1 : i64, epsilon = 1.0e-5 : f64}
      : (tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @groups(%x: tensor<4x6x2xf32>, %v: tensor<6xf32>) {
  // expected-error@+1 {{cannot part 6 channels into 4 groups}}
  %0 = nn.group_norm %x, %v, %v {groups = 4 : i64, epsilon = 1.0e-5 : f64}
      : (tensor<4x6x2xf32>, tensor<6xf32>, tensor<6xf32>) -> tensor<4x6x2xf32>
  return
}

// -----

func.func @hardmax(%x: tensor<4x5xf32>) {
  // expected-error@+2 {{expected rising axes below 2, found [2]}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.hardmax %x {axis = 2 : i64} : (tensor<4x5xf32>) -> tensor<4x5xf32>
  return
}

// -----

func.func @normalize(%x: tensor<4x5xf32>) {
  // expected-error@+2 {{expected rising axes below 2, found [1, 0]}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.normalize %x {axes = array<i64: 1, 0>, epsilon = 1.0e-5 : f64} : (tensor<4x5xf32>) -> tensor<4x5xf32>
  return
}
