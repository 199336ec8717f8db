// RUN: nacre-opt %s --resolve-gradients -split-input-file -verify-diagnostics

func.func @no_gradient(%x: tensor<4xf32>) -> tensor<4xf32> {
  %v = nn.variable %x "x" : (tensor<4xf32>) -> tensor<4xf32>
  // expected-error @below {{has no gradient}}
  %y = math.sin %v : tensor<4xf32>
  // expected-error @below {{cannot be computed, as an operator that it goes through has no gradient}}
  %d = nn.gradient %y by (%v) : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return %d : tensor<4xf32>
}

// -----

func.func @dependent(%x: tensor<4xf32>) -> tensor<4xf32> {
  %v = nn.variable %x "x" : (tensor<4xf32>) -> tensor<4xf32>
  %e = nn.exp %v : (tensor<4xf32>) -> tensor<4xf32>
  %h = nn.variable %e "h" : (tensor<4xf32>) -> tensor<4xf32>
  %y = nn.exp %h : (tensor<4xf32>) -> tensor<4xf32>
  // expected-error @below {{expects independent variables, but 'h' is computed from another one}}
  %d:2 = nn.gradient %y by (%v, %h) : (tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>)
  return %d#0 : tensor<4xf32>
}

// -----

func.func @shape(%x: tensor<?xf32>, %o: tensor<?xf32>) -> tensor<?xf32> {
  %v = nn.variable %x "x" : (tensor<?xf32>) -> tensor<?xf32>
  %y = nn.exp %v : (tensor<?xf32>) -> tensor<?xf32>
  // expected-error @below {{takes 'x' as 'tensor<?xf32>', which is not known to have the shape of the graph's own value, 'tensor<?xf32>'}}
  %d = nn.gradient %y by (%v) at (%o) : (tensor<?xf32>, tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32>
  return %d : tensor<?xf32>
}

// -----

func.func @another_graph(%c: i1, %x: tensor<4xf32>) -> tensor<4xf32> {
  %v = nn.variable %x "x" : (tensor<4xf32>) -> tensor<4xf32>
  %y = nn.exp %v : (tensor<4xf32>) -> tensor<4xf32>
  %r = scf.if %c -> tensor<4xf32> {
    // expected-error @below {{differentiates a value of another graph}}
    %d = nn.gradient %y by (%v) : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
    scf.yield %d : tensor<4xf32>
  } else {
    scf.yield %x : tensor<4xf32>
  }
  return %r : tensor<4xf32>
}
