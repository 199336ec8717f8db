// RUN: nacre-opt %s --specialize-sizes="sizes=x[0]=2,y[1]=3" --split-input-file --verify-diagnostics | FileCheck %s

// A dimension without a symbol is called by its place; closed ones have no name. A symbol goes first.
// CHECK: func.func @main(
// CHECK: func.func private @main.x_0__2.y_1__3(%{{.*}}: tensor<2x4xf32> {nn.name = "x"},
// CHECK-SAME: tensor<?x3xf32> {nn.name = "y", nn.symbols = ["y", ""]}
// CHECK-SAME: nacre.sizes = {"x[0]" = 2 : i64, "y[1]" = 3 : i64}
// CHECK: func.func private @main.x_0__2(%{{.*}}: tensor<2x4xf32>
// CHECK: func.func private @main.y_1__3(%{{.*}}: tensor<?x4xf32>
// CHECK-NOT: func.func
func.func @main(%x: tensor<?x4xf32> {nn.name = "x"},
                %y: tensor<?x?xf32> {nn.name = "y", nn.symbols = ["y", "y[1]"]}) -> tensor<?x4xf32> {
  return %x : tensor<?x4xf32>
}

// -----

// The symbol "x[0]" is the second size of y, and the first of x cannot be asked for.
// CHECK: func.func @main(
// CHECK: func.func private @main.x_0__2.y_1__3(%{{.*}}: tensor<?x4xf32> {nn.name = "x", nn.symbols = ["", ""]}
// CHECK-SAME: tensor<2x3xf32> {nn.name = "y", nn.symbols = ["", ""]}
func.func @main(%x: tensor<?x4xf32> {nn.name = "x", nn.symbols = ["", ""]},
                %y: tensor<?x?xf32> {nn.name = "y", nn.symbols = ["x[0]", ""]}) -> tensor<?x4xf32> {
  return %x : tensor<?x4xf32>
}

// -----

// expected-error@+1 {{cannot be specialised for sizes of 'y[1]': no open dimension of an input has that name; expected 'x[0]' or 'n'}}
func.func @main(%x: tensor<?x4xf32> {nn.name = "x", nn.symbols = ["", ""]},
                %y: tensor<?x2xf32> {nn.name = "y", nn.symbols = ["n", ""]}) -> tensor<?x4xf32> {
  return %x : tensor<?x4xf32>
}
