//===- NNLinearOps.td - Contractions and convolutions -----------*- tablegen -*-===//
#ifndef NACRE_DIALECTS_NN_NNLINEAROPS_TD
#define NACRE_DIALECTS_NN_NNLINEAROPS_TD

include "dialects/nn/NNBase.td"

def NN_MatMulOp : NN_TensorOp<"matmul", [NN_Differentiable, NN_ComputesNarrow, DeclareOpInterfaceMethods<NN_BatchedOpInterface>,
    DeclareOpInterfaceMethods<NN_CheckedOpInterface>,
    DeclareOpInterfaceMethods<NN_ScalableOpInterface>,
    DeclareOpInterfaceMethods<NN_KernelOpInterface, ["getKernelRole", "buildFlops"]>]> {
  let summary = "Batched matrix product";
  let description = [{
    `result[..., m, n] = sum over k of lhs[..., m, k] * rhs[..., k, n]`. Both operands
    have rank 2 or more; leading dimensions broadcast. With `transpose_lhs`
    (`transpose_rhs`) the operand's last two dimensions are exchanged first.
    Integers wrap around, those of 8 bits, signed or not, in a result of i32; narrow floats
    accumulate in f32.

    ```mlir
    %y = nn.matmul %a, %b : (tensor<?x8x16xf32>, tensor<16x32xf32>) -> tensor<?x8x32xf32>
    ```
  }];
  let arguments = (ins NN_NumberTensor:$lhs, NN_NumberTensor:$rhs, UnitAttr:$transpose_lhs,
                   UnitAttr:$transpose_rhs);
  let results = (outs NN_NumberTensor:$result);
  let assemblyFormat = "$lhs `,` $rhs attr-dict `:` functional-type(operands, results)";
}

def NN_ContractOp : NN_TensorOp<"contract", [NN_Differentiable, NN_ComputesNarrow, DeclareOpInterfaceMethods<NN_CheckedOpInterface>,
    DeclareOpInterfaceMethods<NN_KernelOpInterface, ["getKernelRole", "buildFlops"]>]> {
  let summary = "Sum of products along named dimensions: any einsum";
  let description = [{
    `indexing_maps` has a map for each operand and one for the result, from the loops to
    the dimensions. Loops that are not in the result are summed over. An operand may
    have a loop twice (its diagonal), and a constant 0 for a dimension of size 1.
    Integers wrap around; narrow floats accumulate in f32. Beside a first operand of floats others may be
    8-bit integers, which are converted: weights that are kept so (keep-narrow-weights). With `wide` all are
    8-bit integers, signed or not, and the result is of i32, as matmul's is.

    ```mlir
    %y = nn.contract %a, %b {indexing_maps = [affine_map<(b, i, j, k) -> (b, i, k)>,
                                              affine_map<(b, i, j, k) -> (j, k, b)>,
                                              affine_map<(b, i, j, k) -> (b, i, j)>]}
        : (tensor<?x4x8xf32>, tensor<5x8x?xf32>) -> tensor<?x4x5xf32>
    ```
  }];
  let arguments = (ins Variadic<NN_NumberTensor>:$inputs, AffineMapArrayAttr:$indexing_maps, UnitAttr:$wide);
  let results = (outs NN_NumberTensor:$result);
  let assemblyFormat = "$inputs attr-dict `:` functional-type(operands, results)";
}

#endif // NACRE_DIALECTS_NN_NNLINEAROPS_TD
