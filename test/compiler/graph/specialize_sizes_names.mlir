// RUN: nacre-opt %s --specialize-sizes="sizes=a-b=1,a/b=1,a-b=1" | FileCheck %s

// Whatever a dimension is called, a function's name is one that tools take. A size that is asked for twice is one.
// CHECK: func.func private @main.a_b_1.a_b_1(%{{.*}}: tensor<1x1xf32>
// CHECK-SAME: nacre.sizes = {"a-b" = 1 : i64, "a/b" = 1 : i64}
// CHECK: func.func private @main.a_b_1(%{{.*}}: tensor<1x?xf32>
// CHECK: func.func private @main.a_b_1_0(%{{.*}}: tensor<?x1xf32>
// CHECK-NOT: func.func
func.func @main(%x: tensor<?x?xf32> {nn.symbols = ["a-b", "a/b"]}) -> tensor<?x?xf32> {
  return %x : tensor<?x?xf32>
}
