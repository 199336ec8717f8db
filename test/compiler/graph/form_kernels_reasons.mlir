// RUN: nacre-opt %s --form-kernels --remarks-filter=form-kernels -o /dev/null 2>&1 | FileCheck %s

// Why a kernel ends where it does, and what it has inside.
// CHECK-DAG: [Passed] form-kernels | Category:form-kernels | Function=matmul_0 | Remark="2 operations in one kernel", Remark=", in the loops of matmul of first"
// CHECK-DAG: [Missed] form-kernels | Category:form-kernels | Function=matmul_0 | Reason="add ends here: matmul of second reads each element many times, and would compute it as often"
// CHECK-DAG: [Missed] form-kernels | Category:form-kernels | Function=matmul_1 | Reason="matmul of second ends here: it is an output"
func.func @twice(%a: tensor<4x8xf32>, %w: tensor<8x8xf32>) -> tensor<4x8xf32> {
  %0 = nn.matmul %a, %w : (tensor<4x8xf32>, tensor<8x8xf32>) -> tensor<4x8xf32> loc("first")
  %1 = nn.add %0, %0 : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  %2 = nn.matmul %1, %w : (tensor<4x8xf32>, tensor<8x8xf32>) -> tensor<4x8xf32> loc("second")
  return %2 : tensor<4x8xf32>
}

// CHECK-DAG: Function=exp_2 | Reason="exp of shared ends here: several kernels read it, and would each compute it"
func.func @shared(%a: tensor<4x8xf32>, %w: tensor<8x8xf32>, %v: tensor<4x4xf32>) -> (tensor<4x8xf32>, tensor<4x8xf32>) {
  %0 = nn.exp %a : (tensor<4x8xf32>) -> tensor<4x8xf32> loc("shared")
  %1 = nn.matmul %0, %w : (tensor<4x8xf32>, tensor<8x8xf32>) -> tensor<4x8xf32>
  %2 = nn.matmul %v, %0 : (tensor<4x4xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  return %1, %2 : tensor<4x8xf32>, tensor<4x8xf32>
}

// Two ops that set loops are two kernels.
// CHECK-DAG: Function=matmul_{{[0-9]+}} | Reason="matmul of left ends here: the kernel that reads it has the loops of matmul of right"
func.func @anchors(%a: tensor<4x8xf32>, %w: tensor<8x8xf32>) -> tensor<4x8xf32> {
  %0 = nn.matmul %a, %w : (tensor<4x8xf32>, tensor<8x8xf32>) -> tensor<4x8xf32> loc("left")
  %1 = nn.matmul %a, %w : (tensor<4x8xf32>, tensor<8x8xf32>) -> tensor<4x8xf32> loc("right")
  %2 = nn.add %0, %1 : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  return %2 : tensor<4x8xf32>
}

