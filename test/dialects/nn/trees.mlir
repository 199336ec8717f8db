// RUN: nacre-opt %s --split-input-file --verify-diagnostics

func.func @leaves(%x: tensor<?x4xf32>, %roots: tensor<?xi64>, %n: tensor<9xi32>, %s: tensor<9xf32>, %o: tensor<9xi8>) -> tensor<?x?xi64> {
  %0 = nn.tree_leaves %x from %roots at %n, %s, %o to %n, %n
      : (tensor<?x4xf32>, tensor<?xi64>, tensor<9xi32>, tensor<9xf32>, tensor<9xi8>, tensor<9xi32>, tensor<9xi32>) -> tensor<?x?xi64>
  return %0 : tensor<?x?xi64>
}

// -----

func.func @lengths(%x: tensor<2x4xf32>, %roots: tensor<1xi64>, %n: tensor<9xi32>, %s: tensor<8xf32>, %o: tensor<9xi8>) {
  // expected-error @below {{what describes the nodes differs in length}}
  // expected-error @below {{failed to infer returned types}}
  %0 = nn.tree_leaves %x from %roots at %n, %s, %o to %n, %n
      : (tensor<2x4xf32>, tensor<1xi64>, tensor<9xi32>, tensor<8xf32>, tensor<9xi8>, tensor<9xi32>, tensor<9xi32>) -> tensor<2x1xi64>
  return
}

// -----

func.func @types(%x: tensor<2x4xf64>, %roots: tensor<1xi64>, %n: tensor<9xi32>, %s: tensor<9xf32>, %o: tensor<9xi8>) {
  // expected-error @below {{expected splits of the features' type, found 'tensor<9xf32>'}}
  // expected-error @below {{failed to infer returned types}}
  %0 = nn.tree_leaves %x from %roots at %n, %s, %o to %n, %n
      : (tensor<2x4xf64>, tensor<1xi64>, tensor<9xi32>, tensor<9xf32>, tensor<9xi8>, tensor<9xi32>, tensor<9xi32>) -> tensor<2x1xi64>
  return
}
