// What ops whose indices are data refuse.
// RUN: nacre-opt %s -split-input-file -verify-diagnostics

func.func @gather(%x: tensor<4x8xf32>, %i: tensor<3xi64>) {
  // expected-error@+2 {{gather along dimension 2 of 'tensor<4x8xf32>'}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.gather %x, %i along 2 : (tensor<4x8xf32>, tensor<3xi64>) -> tensor<4x3xf32>
  return
}

// -----

func.func @gather_elements(%x: tensor<4x8xf32>, %i: tensor<5x2xi64>) {
  // expected-error@+2 {{indices 'tensor<5x2xi64>' are larger than 'tensor<4x8xf32>' in dimension 0}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.gather_elements %x, %i along 1 : (tensor<4x8xf32>, tensor<5x2xi64>) -> tensor<5x2xf32>
  return
}

// -----

func.func @gather_nd(%x: tensor<4x8xf32>, %i: tensor<5x3xi64>) {
  // expected-error@+2 {{index tuples of length 3 after 0 shared dimensions do not fit 'tensor<4x8xf32>'}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.gather_nd %x, %i {batch_dims = 0 : i64} : (tensor<4x8xf32>, tensor<5x3xi64>) -> tensor<5xf32>
  return
}

// -----

func.func @gather_nd_unknown(%x: tensor<4x8xf32>, %i: tensor<5x?xi64>) {
  // expected-error@+2 {{expected indices whose last dimension is static, found 'tensor<5x?xi64>'}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.gather_nd %x, %i {batch_dims = 0 : i64} : (tensor<4x8xf32>, tensor<5x?xi64>) -> tensor<5xf32>
  return
}

// -----

func.func @scatter_elements(%x: tensor<4x8xf32>, %i: tensor<4x2xi64>, %u: tensor<4x3xf32>) {
  // expected-error@+2 {{expected updates of the shape of the indices 'tensor<4x2xi64>'}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.scatter_elements %x, %i, %u along 1 add : (tensor<4x8xf32>, tensor<4x2xi64>, tensor<4x3xf32>) -> tensor<4x8xf32>
  return
}

// -----

func.func @scatter_nd(%x: tensor<4x8xf32>, %i: tensor<2x1xi64>, %u: tensor<2x9xf32>) {
  // expected-error@+2 {{expected updates of type 'tensor<2x8xf32>', found 'tensor<2x9xf32>'}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.scatter_nd %x, %i, %u add : (tensor<4x8xf32>, tensor<2x1xi64>, tensor<2x9xf32>) -> tensor<4x8xf32>
  return
}

// -----

func.func @checked_index(%i: tensor<4xi64>, %limit: tensor<3xi64>) {
  // expected-error@+2 {{the limit 'tensor<3xi64>' does not broadcast to 'tensor<4xi64>'}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.checked_index %i below %limit : (tensor<4xi64>, tensor<3xi64>) -> tensor<4xi64>
  return
}

// -----

func.func @cache_write(%cache: tensor<2x8x64x16xf32>, %new: tensor<2x8x1x15xf32>, %at: tensor<2xi64>) {
  // expected-error@+2 {{an update 'tensor<2x8x1x15xf32>' does not fit the cache 'tensor<2x8x64x16xf32>'}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.cache_write %cache, %new, %at along 2 : (tensor<2x8x64x16xf32>, tensor<2x8x1x15xf32>, tensor<2xi64>) -> tensor<2x8x64x16xf32>
  return
}

// -----

func.func @cache_write_positions(%cache: tensor<2x8x64x16xf32>, %new: tensor<2x8x1x16xf32>, %at: tensor<3xi64>) {
  // expected-error@+2 {{expected one position for each batch entry, found 'tensor<3xi64>'}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.cache_write %cache, %new, %at along 2 : (tensor<2x8x64x16xf32>, tensor<2x8x1x16xf32>, tensor<3xi64>) -> tensor<2x8x64x16xf32>
  return
}
