// What ops that make tensors, sort them or count in them refuse.
// RUN: nacre-opt %s -split-input-file -verify-diagnostics

func.func @range(%from: tensor<f32>, %by: tensor<f64>, %n: tensor<i64>) {
  // expected-error@+2 {{expected start and delta of one type, found 'tensor<f32>' and 'tensor<f64>'}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.range from %from by %by count %n : (tensor<f32>, tensor<f64>, tensor<i64>) -> tensor<?xf32>
  return
}

// -----

func.func @one_hot_axis(%i: tensor<4xi64>, %n: tensor<i64>, %v: tensor<2xf32>) {
  // expected-error@+2 {{one_hot at dimension 2 of a result of rank 2}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.one_hot %i, %n, %v at 2 : (tensor<4xi64>, tensor<i64>, tensor<2xf32>) -> tensor<4x?xf32>
  return
}

// -----

func.func @one_hot_values(%i: tensor<4xi64>, %n: tensor<i64>, %v: tensor<3xf32>) {
  // expected-error@+2 {{expected two values, found 'tensor<3xf32>'}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.one_hot %i, %n, %v at 1 : (tensor<4xi64>, tensor<i64>, tensor<3xf32>) -> tensor<4x?xf32>
  return
}

// -----

func.func @trilu(%x: tensor<8xf32>, %k: tensor<i64>) {
  // expected-error@+2 {{expected matrices, found 'tensor<8xf32>'}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.trilu %x, %k upper : (tensor<8xf32>, tensor<i64>) -> tensor<8xf32>
  return
}

// -----

func.func @reverse_sequence(%x: tensor<8x4xf32>, %n: tensor<3xi64>) {
  // expected-error@+2 {{expected one length for each batch entry, found 'tensor<3xi64>'}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.reverse_sequence %x, %n {batch_axis = 1 : i64, time_axis = 0 : i64} : (tensor<8x4xf32>, tensor<3xi64>) -> tensor<8x4xf32>
  return
}

// -----

func.func @reverse_sequence_axes(%x: tensor<8x4xf32>, %n: tensor<4xi64>) {
  // expected-error@+2 {{expected two dimensions of 'tensor<8x4xf32>', found 1 and 1}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.reverse_sequence %x, %n {batch_axis = 1 : i64, time_axis = 1 : i64} : (tensor<8x4xf32>, tensor<4xi64>) -> tensor<8x4xf32>
  return
}

// -----

func.func @count_non_zero(%x: tensor<3xi4>) {
  // expected-error@+1 {{operand #0 must be ranked tensor of number or boolean or A string}}
  %0 = nn.count_non_zero %x : (tensor<3xi4>) -> tensor<i64>
  return
}

// -----

func.func @non_zero(%x: tensor<3xf32>, %n: tensor<1xi64>) {
  // expected-error@+2 {{expected a scalar, found 'tensor<1xi64>'}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.non_zero %x, %n : (tensor<3xf32>, tensor<1xi64>) -> tensor<1x?xi64>
  return
}

// -----

func.func @top_k_axis(%x: tensor<3xf32>, %k: tensor<i64>) {
  // expected-error@+2 {{top_k along dimension 1 of 'tensor<3xf32>'}}
  // expected-error@+1 {{failed to infer returned types}}
  %0:2 = nn.top_k %x, %k along 1 largest : (tensor<3xf32>, tensor<i64>) -> (tensor<?xf32>, tensor<?xi64>)
  return
}

// -----

func.func @top_k_size(%x: tensor<3xf32>) {
  %k = nn.constant dense<4> : tensor<i64>
  // expected-error@+2 {{k is 4, but dimension 0 has 3 elements}}
  // expected-error@+1 {{failed to infer returned types}}
  %0:2 = nn.top_k %x, %k along 0 largest : (tensor<3xf32>, tensor<i64>) -> (tensor<?xf32>, tensor<?xi64>)
  return
}

// -----

func.func @unique(%x: tensor<f32>) {
  // expected-error@+2 {{expected slices to compare, found 'tensor<f32>'}}
  // expected-error@+1 {{failed to infer returned types}}
  %0:4 = nn.unique %x sorted : (tensor<f32>) -> (tensor<?xi64>, tensor<?xi64>, tensor<?xi64>, tensor<i64>)
  return
}

// -----

func.func @non_max_suppression(%boxes: tensor<1x9x4xf32>, %scores: tensor<1x80x8xf32>, %k: tensor<i64>, %limit: tensor<f32>) {
  // expected-error@+2 {{boxes and scores do not fit together: 'tensor<1x9x4xf32>' and 'tensor<1x80x8xf32>'}}
  // expected-error@+1 {{failed to infer returned types}}
  %s, %n = nn.non_max_suppression %boxes, %scores, %k, %limit, %limit : (tensor<1x9x4xf32>, tensor<1x80x8xf32>, tensor<i64>, tensor<f32>, tensor<f32>) -> (tensor<?x3xi64>, tensor<i64>)
  return
}

// -----

func.func @random_element(%key: i64, %n: tensor<2xi64>) {
  // expected-error@+2 {{expected random numbers in f32 or f64, found 'f16'}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.random %key, %n stream 0 of f16 : (i64, tensor<2xi64>) -> tensor<?x?xf16>
  return
}

// -----

func.func @random_size(%key: i64) {
  %n = nn.constant dense<[4, -8]> : tensor<2xi64>
  // expected-error@+2 {{random numbers with a size of -8}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.random %key, %n stream 0 of f32 : (i64, tensor<2xi64>) -> tensor<?x?xf32>
  return
}

// -----

func.func @random_rank(%key: i64, %n: tensor<?xi64>) {
  // expected-error@+2 {{random numbers need a shape of static length, found 'tensor<?xi64>'}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.random %key, %n stream 0 of f32 : (i64, tensor<?xi64>) -> tensor<?x?xf32>
  return
}

// -----

func.func @negative_depth(%i: tensor<2xi64>, %v: tensor<2xf32>) -> tensor<2x?xf32> {
  %d = nn.constant dense<-1> : tensor<i64>
  // expected-error @below {{the depth is -1, expected no negative number}}
  // expected-error @below {{failed to infer returned types}}
  %y = nn.one_hot %i, %d, %v at 1 : (tensor<2xi64>, tensor<i64>, tensor<2xf32>) -> tensor<2x?xf32>
  return %y : tensor<2x?xf32>
}

// -----

func.func @pads_take_too_much(%x: tensor<4xf32>, %v: tensor<f32>) -> tensor<?xf32> {
  %p = nn.constant dense<[1, -9]> : tensor<2xi64>
  // expected-error @below {{the pads 1 and -9 take away more elements than dimension 0 has, 4}}
  // expected-error @below {{failed to infer returned types}}
  %y = nn.pad %x, %p, %v constant : (tensor<4xf32>, tensor<2xi64>, tensor<f32>) -> tensor<?xf32>
  return %y : tensor<?xf32>
}

// -----

func.func @pad_out_of_range(%x: tensor<4xf32>, %v: tensor<f32>) -> tensor<?xf32> {
  %p = nn.constant dense<[9223372036854775807, 0]> : tensor<2xi64>
  // expected-error @below {{pads must be from -1099511627776 to 1099511627776, found 9223372036854775807}}
  // expected-error @below {{failed to infer returned types}}
  %y = nn.pad %x, %p, %v constant : (tensor<4xf32>, tensor<2xi64>, tensor<f32>) -> tensor<?xf32>
  return %y : tensor<?xf32>
}
