// RUN: nacre-opt %s --record-signature | FileCheck %s

// An output's dimension has the name of the input's that it equals.
// CHECK: nacre.inputs = [{name = "x", symbols = ["batch", ""], type = tensor<?x3xui8>}]
// CHECK-SAME: nacre.outputs = [{name = "y", symbols = ["", "batch"], type = tensor<3x?xui8>}]
func.func @main(%x: tensor<?x3xui8> {nn.name = "x", nn.symbols = ["batch", ""]}) -> (tensor<3x?xui8> {nn.name = "y"}) {
  %0 = nn.transpose %x {permutation = array<i64: 1, 0>} : (tensor<?x3xui8>) -> tensor<3x?xui8>
  return %0 : tensor<3x?xui8>
}
