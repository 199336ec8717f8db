// RUN: nacre-opt %s --split-input-file --verify-diagnostics

func.func @count() -> tensor<2x!nn.string> {
  // expected-error@+1 {{has 1 strings for 'tensor<2x!nn.string>'}}
  %0 = "nn.string_constant"() {values = ["a"]} : () -> tensor<2x!nn.string>
  return %0 : tensor<2x!nn.string>
}

// -----

func.func @compare(%x: tensor<2x!nn.string>) {
  // expected-error@+1 {{must be ranked tensor of number or boolean values}}
  %0 = nn.compare eq, %x, %x : (tensor<2x!nn.string>, tensor<2x!nn.string>) -> tensor<2xi1>
  return
}

// -----

func.func @rank(%x: tensor<2xi64>) {
  // expected-error@+1 {{operand #0 must be ranked tensor of A string}}
  %0 = nn.string_rank %x : (tensor<2xi64>) -> tensor<2xi64>
  return
}

// -----

func.func @keys(%x: tensor<2x!nn.string>, %k: tensor<2xi64>, %o: tensor<i64>) {
  // expected-error@+1 {{expects a vector of keys of the input's type, found 'tensor<2xi64>'}}
  %0 = nn.lookup %x in %k to %k or %o : (tensor<2x!nn.string>, tensor<2xi64>, tensor<2xi64>, tensor<i64>) -> tensor<2xi64>
  return
}

// -----

func.func @values(%x: tensor<2xi64>, %k: tensor<2xi64>, %v: tensor<3xi64>, %o: tensor<i64>) {
  // expected-error@+1 {{expects a value for each key, found 'tensor<3xi64>' for 'tensor<2xi64>'}}
  %0 = nn.lookup %x in %k to %v or %o : (tensor<2xi64>, tensor<2xi64>, tensor<3xi64>, tensor<i64>) -> tensor<2xi64>
  return
}

// -----

func.func @scatter(%x: tensor<2x!nn.string>, %i: tensor<1xi64>, %u: tensor<1x!nn.string>) {
  // expected-error@+2 {{strings cannot be joined by 'add'}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.scatter_elements %x, %i, %u along 0 add : (tensor<2x!nn.string>, tensor<1xi64>, tensor<1x!nn.string>) -> tensor<2x!nn.string>
  return
}

// -----

func.func @words(%x: tensor<2x3x!nn.string>, %s: tensor<1x!nn.string>) {
  // expected-error@+2 {{expected vectors of strings, found 'tensor<2x3x!nn.string>'}}
  // expected-error@+1 {{failed to infer returned types}}
  %0:2 = nn.string_normalize %x without %s to none : (tensor<2x3x!nn.string>, tensor<1x!nn.string>) -> (tensor<6x!nn.string>, tensor<i64>)
  return
}

// -----

func.func @string_concat(%x: tensor<3x!nn.string>, %y: tensor<2x!nn.string>) {
  // expected-error@+2 {{shapes do not broadcast: 'tensor<3x!nn.string>', 'tensor<2x!nn.string>'}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.string_concat %x, %y : (tensor<3x!nn.string>, tensor<2x!nn.string>) -> tensor<3x!nn.string>
  return
}

// -----

func.func @string_equal(%x: tensor<3x!nn.string>, %y: tensor<2x!nn.string>) {
  // expected-error@+2 {{shapes do not broadcast: 'tensor<3x!nn.string>', 'tensor<2x!nn.string>'}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.string_equal %x, %y : (tensor<3x!nn.string>, tensor<2x!nn.string>) -> tensor<3xi1>
  return
}

// -----

func.func @string_count_pieces(%x: tensor<3x!nn.string>, %y: tensor<2x!nn.string>) {
  // expected-error@+2 {{expected a scalar, found 'tensor<2x!nn.string>'}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.string_count_pieces %x at %y {max_split = -1 : i64} : (tensor<3x!nn.string>, tensor<2x!nn.string>) -> tensor<3xi64>
  return
}

// -----

func.func @string_split(%x: tensor<3x!nn.string>, %y: tensor<2x!nn.string>, %n: tensor<i64>) {
  // expected-error@+2 {{expected a scalar, found 'tensor<2x!nn.string>'}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.string_split %x at %y into %n {max_split = -1 : i64} : (tensor<3x!nn.string>, tensor<2x!nn.string>, tensor<i64>) -> tensor<3x?x!nn.string>
  return
}

// -----

func.func @string_format(%x: tensor<3x!nn.string>) {
  // expected-error@+1 {{operand #0 must be ranked tensor of number or boolean values}}
  %0 = nn.string_format %x : (tensor<3x!nn.string>) -> tensor<3x!nn.string>
  return
}

// -----

func.func @string_parse(%x: tensor<3xf32>) {
  // expected-error@+1 {{operand #0 must be ranked tensor of A string}}
  %0 = nn.string_parse %x to f32 : (tensor<3xf32>) -> tensor<3xf32>
  return
}

// -----

func.func @ngrams(%x: tensor<3x!nn.string>, %p: tensor<10xi64>, %i: tensor<2xi64>, %w: tensor<7xf32>) {
  // expected-error@+2 {{expected words and n-grams of one kind, found 'tensor<3x!nn.string>' and 'tensor<10xi64>'}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.ngrams %x in %p, %i, %i, %w count {max_length = 2 : i64, max_skip = 0 : i64, min_length = 2 : i64, size = 7 : i64}
      : (tensor<3x!nn.string>, tensor<10xi64>, tensor<2xi64>, tensor<2xi64>, tensor<7xf32>) -> tensor<7xf32>
  return
}

// -----

func.func @pattern(%x: tensor<2x!nn.string>, %k: tensor<i64>) {
  // expected-error@+1 {{operand #1 must be ranked tensor of A string: bytes, by convention UTF-8 values}}
  %0 = nn.string_match %x to %k : (tensor<2x!nn.string>, tensor<i64>) -> tensor<2xi1>
  return
}

// -----

func.func @bytes(%x: tensor<2x!nn.string>, %k: tensor<i64>) {
  // expected-error@+2 {{expected a scalar, found 'tensor<2x!nn.string>'}}
  // expected-error@+1 {{failed to infer returned types}}
  %0 = nn.string_bytes %x, %k : (tensor<2x!nn.string>, tensor<i64>) -> tensor<?xui8>
  return
}

// -----

func.func @file(%x: tensor<2x3xui8>) {
  // expected-error@+2 {{expected the bytes of a file, found 'tensor<2x3xui8>'}}
  // expected-error@+1 {{failed to infer returned types}}
  %0, %1 = nn.decode_image %x to rgb : (tensor<2x3xui8>) -> (tensor<!nn.string>, tensor<3xi64>)
  return
}
