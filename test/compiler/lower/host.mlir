// RUN: nacre-opt %s --nn-to-linalg | FileCheck %s

// CHECK-LABEL: kern.func @concat
// CHECK-SAME: %[[A:[a-z0-9]+]]: tensor<?xi64>, %[[B:[a-z0-9]+]]: tensor<i64>
kern.func @concat(%a: tensor<?x!nn.string>, %b: tensor<!nn.string>, %d: tensor<?x!nn.string>) -> tensor<?x!nn.string> {
  // CHECK: %[[D:.*]] = tensor.empty(%{{.*}}) : tensor<?xi64>
  // CHECK: %[[R:.*]] = rt.host_call "nacre_host_string_concat" for "node 'c' (StringConcat): " []
  // CHECK-SAME: ins(%[[A]], %[[B]] : tensor<?xi64>, tensor<i64>) outs(%[[D]] : tensor<?xi64>)
  // CHECK-SAME: {types = [!nn.string, !nn.string, !nn.string]} -> tensor<?xi64>
  // CHECK: kern.return %[[R]]
  %0 = nn.string_concat %a, %b : (tensor<?x!nn.string>, tensor<!nn.string>) -> tensor<?x!nn.string> loc("c (StringConcat)")
  kern.return %0 : tensor<?x!nn.string>
}

// The types tell what the storage does not: unsigned numbers, booleans.
// CHECK-LABEL: kern.func @format
kern.func @format(%a: tensor<3xui8>, %d: tensor<3x!nn.string>) -> tensor<3x!nn.string> {
  // CHECK: rt.host_call "nacre_host_string_format" {{.*}} {types = [ui8, !nn.string]} -> tensor<3xi64>
  %0 = nn.string_format %a : (tensor<3xui8>) -> tensor<3x!nn.string>
  kern.return %0 : tensor<3x!nn.string>
}

// CHECK-LABEL: func.func @constants() -> tensor<2xi64>
func.func @constants() -> tensor<2x!nn.string> {
  // CHECK: nn.string_constant ["a", "b"] : tensor<2xi64>
  %0 = nn.string_constant ["a", "b"] : tensor<2x!nn.string>
  return %0 : tensor<2x!nn.string>
}
