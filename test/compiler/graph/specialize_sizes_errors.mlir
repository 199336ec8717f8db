// RUN: nacre-opt %s --split-input-file --specialize-sizes="sizes=batch=3" --verify-diagnostics

// expected-error@+1 {{cannot be specialised for sizes of 'batch': no open dimension of an input has that name; expected 'n' or 'length'}}
func.func @main(%x: tensor<?x?x4xf32> {nn.symbols = ["n", "length", ""]}) -> tensor<?x?x4xf32> {
  return %x : tensor<?x?x4xf32>
}

// -----

// expected-error@+1 {{cannot be specialised for sizes of 'batch': no open dimension of an input has that name, nor any}}
func.func @main(%x: tensor<?xf32>) -> tensor<?xf32> {
  return %x : tensor<?xf32>
}

// -----

// expected-error@+1 {{cannot be specialised for 'batch' = 3, with which the model is not valid}}
func.func @main(%x: tensor<?xf32> {nn.symbols = ["batch"]}, %y: tensor<2xf32>) -> tensor<2xf32> {
  // expected-error@+1 {{shapes do not broadcast}}
  %0 = nn.add %x, %y : (tensor<?xf32>, tensor<2xf32>) -> tensor<2xf32>
  return %0 : tensor<2xf32>
}
