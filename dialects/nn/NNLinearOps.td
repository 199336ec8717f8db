//===- NNLinearOps.td - Contractions and convolutions -----------*- tablegen -*-===//
#ifndef NACRE_DIALECTS_NN_NNLINEAROPS_TD
#define NACRE_DIALECTS_NN_NNLINEAROPS_TD

include "dialects/nn/NNBase.td"

def NN_MatMulOp : NN_TensorOp<"matmul", [DeclareOpInterfaceMethods<NN_BatchedOpInterface>,
    DeclareOpInterfaceMethods<NN_CheckedOpInterface>,
    DeclareOpInterfaceMethods<NN_ScalableOpInterface>,
    DeclareOpInterfaceMethods<NN_KernelOpInterface, ["getKernelRole", "getFlops"]>]> {
  let summary = "Batched matrix product";
  let description = [{
    `result[..., m, n] = sum over k of lhs[..., m, k] * rhs[..., k, n]`. Both operands
    have rank 2 or more; leading dimensions broadcast. With `transpose_lhs`
    (`transpose_rhs`) the operand's last two dimensions are exchanged first.
    Integers wrap around; narrow floats accumulate in f32.

    ```mlir
    %y = nn.matmul %a, %b : (tensor<?x8x16xf32>, tensor<16x32xf32>) -> tensor<?x8x32xf32>
    ```
  }];
  let arguments = (ins NN_NumberTensor:$lhs, NN_NumberTensor:$rhs, UnitAttr:$transpose_lhs,
                   UnitAttr:$transpose_rhs);
  let results = (outs NN_NumberTensor:$result);
  let assemblyFormat = "$lhs `,` $rhs attr-dict `:` functional-type(operands, results)";
}

#endif // NACRE_DIALECTS_NN_NNLINEAROPS_TD
