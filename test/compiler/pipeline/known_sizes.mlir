// Sizes that cancel are known to the analysis of sizes, not to the op's own type: a kernel's
// destination, its result and its call agree all the same.
// RUN: nacre-opt %s --nacre-graph | FileCheck %s

// CHECK: %[[Y:.*]] = kern.call @pad_{{[0-9]+}} {{.*}} outs(%[[D:.*]] : [[TYPE:tensor<.*xi64>]]) -> [[TYPE]]
// CHECK: kern.func @pad_{{[0-9]+}}({{.*}}%{{[a-z0-9]+}}: [[KERNEL:tensor<[?4]xi64>]]) -> [[KERNEL]]
func.func @main(%a: tensor<?xi64> {nn.name = "a", nn.symbols = ["n"]}) -> (tensor<?xi64> {nn.name = "y"}) {
  %zero = nn.constant dense<0> : tensor<i64>
  %none = nn.constant dense<0> : tensor<1xi64>
  %four = nn.constant dense<4> : tensor<1xi64>
  %shape = nn.shape %a : (tensor<?xi64>) -> tensor<1xi64>
  %rest = nn.sub %four, %shape : (tensor<1xi64>, tensor<1xi64>) -> tensor<1xi64>
  %pads = nn.concat %none, %rest along 0 : (tensor<1xi64>, tensor<1xi64>) -> tensor<2xi64>
  %0 = nn.pad %a, %pads, %zero constant : (tensor<?xi64>, tensor<2xi64>, tensor<i64>) -> tensor<?xi64>
  return %0 : tensor<?xi64>
}
