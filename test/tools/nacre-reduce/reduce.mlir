// Of a module is left what the property needs: @other and the parameter go, ops around
// nn.exp become an operand of theirs, or an input where none has the result's type.
// RUN: nacre-reduce %s -opt-reduction-pass="opt-pass=canonicalize test=%S/Inputs/has-exp.sh" \
// RUN:   | nacre-reduce - -reduction-tree="traversal-mode=0 test=%S/Inputs/has-exp.sh" 2>/dev/null \
// RUN:   | nacre-reduce - -reduction-tree="traversal-mode=0 test=%S/Inputs/has-exp.sh" 2>/dev/null | FileCheck %s

// CHECK-NOT: nn.parameter
// CHECK: func.func @main(%{{.*}}: tensor<4x8xf32> {nn.name = "x"}, %[[IN:.*]]: tensor<4x2xf32> {nn.name = "input1"})
// CHECK-NEXT: %[[EXP:.*]] = nn.exp %[[IN]]
// CHECK-NEXT: return %[[EXP]]
// CHECK-NOT: @other
nn.parameter @w = dense<1.0> : tensor<8x2xf32>
func.func @main(%x: tensor<4x8xf32> {nn.name = "x"}) -> (tensor<4x2xf32> {nn.name = "y"}) {
  %w = nn.get_parameter @w : tensor<8x2xf32>
  %0 = nn.relu %x : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %1 = nn.matmul %0, %w : (tensor<4x8xf32>, tensor<8x2xf32>) -> tensor<4x2xf32>
  %2 = nn.exp %1 : (tensor<4x2xf32>) -> tensor<4x2xf32>
  %3 = nn.abs %2 : (tensor<4x2xf32>) -> tensor<4x2xf32>
  %4 = nn.add %3, %1 : (tensor<4x2xf32>, tensor<4x2xf32>) -> tensor<4x2xf32>
  return %4 : tensor<4x2xf32>
}
func.func private @other(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  return %x : tensor<4x8xf32>
}
