// RUN: nacre-opt %s --specialize-sizes="sizes=a=1,a=2,a=3,a=4,b=1,b=2,b=3,b=4,c=1,c=2" --verify-diagnostics

// 5 * 5 * 3 - 1 functions.
// expected-error@+1 {{cannot be specialised for so many combinations of sizes: more than 64}}
func.func @main(%x: tensor<?x?x?xf32> {nn.symbols = ["a", "b", "c"]}) -> tensor<?x?x?xf32> {
  return %x : tensor<?x?x?xf32>
}
