// What reductions refuse.
// RUN: nacre-opt %s -split-input-file -verify-diagnostics

func.func @axes(%x: tensor<4x5xf32>) {
  // expected-error@+2 {{expected rising axes below 2, found [1, 0]}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.reduce sum, %x {axes = array<i64: 1, 0>} : (tensor<4x5xf32>) -> tensor<f32>
  return
}

// -----

func.func @booleans(%x: tensor<4xi1>) {
  // expected-error@+1 {{of booleans expects max (any) or min (all)}}
  %0 = nn.reduce sum, %x {axes = array<i64: 0>} : (tensor<4xi1>) -> tensor<i1>
  return
}

// -----

func.func @arg(%x: tensor<4xf32>) {
  // expected-error@+1 {{expects the kind max or min}}
  %0 = nn.arg_reduce sum, %x {axis = 0 : i64} : (tensor<4xf32>) -> tensor<i64>
  return
}

// -----

func.func @arg_axis(%x: tensor<4xf32>) {
  // expected-error@+2 {{axis 1 is out of range for rank 1}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.arg_reduce max, %x {axis = 1 : i64} : (tensor<4xf32>) -> tensor<i64>
  return
}

// -----

func.func @cumulative(%x: tensor<4xf32>) {
  // expected-error@+1 {{expects the kind sum or prod}}
  %0 = nn.cumulative max, %x {axis = 0 : i64} : (tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @marks(%x: tensor<4x5xf32>, %m: tensor<3xi64>) {
  // expected-error@+2 {{expected a mark for each of 2 dimensions, found 'tensor<3xi64>'}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.reduce_marked sum, %x by %m : (tensor<4x5xf32>, tensor<3xi64>) -> tensor<?x?xf32>
  return
}

// -----

func.func @marked_booleans(%x: tensor<4xi1>, %m: tensor<1xi64>) {
  // expected-error@+1 {{of booleans expects max (any) or min (all)}}
  %0 = nn.reduce_marked prod, %x by %m : (tensor<4xi1>, tensor<1xi64>) -> tensor<?xi1>
  return
}
