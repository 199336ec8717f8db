// RUN: nacre-opt %s -split-input-file -verify-diagnostics

func.func @reshape(%x: tensor<2x3xf32>) {
  %s = nn.constant dense<[4, -1]> : tensor<2xi64>
  // expected-error @below {{cannot reshape 'tensor<2x3xf32>' to [4, -1]}}
  // expected-error @below {{failed to infer returned types}}
  %y = nn.reshape %x, %s : (tensor<2x3xf32>, tensor<2xi64>) -> tensor<4x?xf32>
  return
}

// -----

func.func @reshape_of_open_size(%x: tensor<2x?xf32>) {
  %s = nn.constant dense<3> : tensor<1xi64>
  // expected-error @below {{cannot reshape 'tensor<2x?xf32>' to [3]}}
  // expected-error @below {{failed to infer returned types}}
  %y = nn.reshape %x, %s : (tensor<2x?xf32>, tensor<1xi64>) -> tensor<3xf32>
  return
}

// -----

func.func @two_unknown(%x: tensor<2x3xf32>) {
  %s = nn.constant dense<[-1, -1]> : tensor<2xi64>
  // expected-error @below {{reshape to a shape with two sizes of -1}}
  // expected-error @below {{failed to infer returned types}}
  %y = nn.reshape %x, %s : (tensor<2x3xf32>, tensor<2xi64>) -> tensor<?x?xf32>
  return
}

// -----

func.func @copied(%x: tensor<6xf32>) {
  %s = nn.constant dense<[6, 0]> : tensor<2xi64>
  // expected-error @below {{reshape copies size 1 of 'tensor<6xf32>', which has none}}
  // expected-error @below {{failed to infer returned types}}
  %y = nn.reshape %x, %s : (tensor<6xf32>, tensor<2xi64>) -> tensor<6x1xf32>
  return
}

// -----

func.func @overflow(%x: tensor<6xf32>) {
  %s = nn.constant dense<4294967296> : tensor<3xi64>
  // expected-error @below {{reshape to more elements than 64 bits can count}}
  // expected-error @below {{failed to infer returned types}}
  %y = nn.reshape %x, %s : (tensor<6xf32>, tensor<3xi64>) -> tensor<?x?x?xf32>
  return
}

// -----

func.func @squeeze(%x: tensor<2x3xf32>) {
  // expected-error @below {{cannot squeeze dimension 0 of 'tensor<2x3xf32>': its size is not 1}}
  // expected-error @below {{failed to infer returned types}}
  %y = nn.squeeze %x {axes = array<i64: 0>} : (tensor<2x3xf32>) -> tensor<3xf32>
  return
}

// -----

func.func @axes(%x: tensor<2x3xf32>) {
  // expected-error @below {{axes must rise and lie in [0, 4)}}
  // expected-error @below {{failed to infer returned types}}
  %y = nn.unsqueeze %x {axes = array<i64: 2, 0>} : (tensor<2x3xf32>) -> tensor<1x2x1x3xf32>
  return
}

// -----

func.func @step(%x: tensor<2xf32>) {
  %0 = nn.constant dense<0> : tensor<1xi64>
  // expected-error @below {{slice with a step of 0}}
  // expected-error @below {{failed to infer returned types}}
  %y = nn.slice %x, %0, %0, %0 : (tensor<2xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?xf32>
  return
}

// -----

func.func @starts(%x: tensor<2xf32>, %s: tensor<2xi64>) {
  // expected-error @below {{starts must have 1 elements, found 2}}
  // expected-error @below {{failed to infer returned types}}
  %y = nn.slice %x, %s, %s, %s : (tensor<2xf32>, tensor<2xi64>, tensor<2xi64>, tensor<2xi64>) -> tensor<?xf32>
  return
}

// -----

func.func @concat(%x: tensor<2x3xf32>, %y: tensor<3x2xf32>) {
  // expected-error @below {{concat along dimension 1: sizes of dimension 0 differ: 2 and 3}}
  // expected-error @below {{failed to infer returned types}}
  %z = nn.concat %x, %y along 1 : (tensor<2x3xf32>, tensor<3x2xf32>) -> tensor<2x5xf32>
  return
}

// -----

func.func @pad(%x: tensor<2xf32>, %p: tensor<2xi64>, %v: tensor<1xf32>) {
  // expected-error @below {{pad's value must be a scalar of type 'f32', found 'tensor<1xf32>'}}
  // expected-error @below {{failed to infer returned types}}
  %y = nn.pad %x, %p, %v constant : (tensor<2xf32>, tensor<2xi64>, tensor<1xf32>) -> tensor<?xf32>
  return
}

// -----

func.func @broadcast(%x: tensor<2xf32>) {
  %s = nn.constant dense<[2, -1]> : tensor<2xi64>
  // expected-error @below {{broadcast to a size of -1}}
  // expected-error @below {{failed to infer returned types}}
  %y = nn.broadcast %x, %s : (tensor<2xf32>, tensor<2xi64>) -> tensor<?x?xf32>
  return
}

// -----

func.func @transpose(%x: tensor<4x5xf32>) {
  // expected-error@+1 {{expects a permutation of 2 dimensions}}
  %0 = nn.transpose %x {permutation = array<i64: 0, 0>} : (tensor<4x5xf32>) -> tensor<4x5xf32>
  return
}

// -----

func.func @collapse(%x: tensor<4x5xf32>) {
  // expected-error@+2 {{collapse from 1 to 3 of 'tensor<4x5xf32>'}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.collapse %x from 1 to 3 : (tensor<4x5xf32>) -> tensor<4x5xf32>
  return
}

// -----

func.func @shape(%x: tensor<4x5xf32>) {
  // expected-error@+2 {{inferred type(s) 'tensor<2xi64>' are incompatible with return type(s) of operation 'tensor<3xi64>'}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.shape %x : (tensor<4x5xf32>) -> tensor<3xi64>
  return
}

// -----

func.func @size(%x: tensor<4x5xf32>) {
  // expected-error@+2 {{inferred type(s) 'tensor<i64>' are incompatible with return type(s) of operation 'tensor<1xi64>'}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.size %x : (tensor<4x5xf32>) -> tensor<1xi64>
  return
}

// -----

func.func @constant() {
  // expected-error@+1 {{failed to verify that all of {value, result} have same type}}
  %0 = "nn.constant"() {value = dense<1> : tensor<2xi64>} : () -> tensor<3xi64>
  return
}

// -----

func.func @shape_of_another_rank(%x: tensor<4xf32>, %s: tensor<i64>) {
  // expected-error @below {{the shape must be a vector, found 'tensor<i64>'}}
  // expected-error @below {{failed to infer returned types}}
  %y = nn.reshape %x, %s : (tensor<4xf32>, tensor<i64>) -> tensor<?xf32>
  return
}

// -----

func.func @broadcast_to_a_matrix(%x: tensor<4xf32>, %s: tensor<2x2xi64>) {
  // expected-error @below {{the shape must be a vector, found 'tensor<2x2xi64>'}}
  // expected-error @below {{failed to infer returned types}}
  %y = nn.broadcast %x, %s : (tensor<4xf32>, tensor<2x2xi64>) -> tensor<?x?xf32>
  return
}
