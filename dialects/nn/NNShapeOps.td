//===- NNShapeOps.td - Ops that move elements -------------------*- tablegen -*-===//
#ifndef NACRE_DIALECTS_NN_NNSHAPEOPS_TD
#define NACRE_DIALECTS_NN_NNSHAPEOPS_TD

include "dialects/nn/NNBase.td"

def NN_TransposeOp : NN_TensorOp<"transpose", [DeclareOpInterfaceMethods<NN_KernelOpInterface, ["getKernelRole"]>]> {
  let summary = "Permutes dimensions";
  let description = [{
    Dimension `i` of the result is dimension `permutation[i]` of the input.

    ```mlir
    %y = nn.transpose %x {permutation = array<i64: 0, 2, 1>} : (tensor<2x3x?xf32>) -> tensor<2x?x3xf32>
    ```
  }];
  let arguments = (ins NN_Tensor:$input, DenseI64ArrayAttr:$permutation);
  let results = (outs NN_Tensor:$result);
  let assemblyFormat = "$input attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

def NN_BroadcastOp : NN_TensorOp<"broadcast", [DeclareOpInterfaceMethods<NN_KernelOpInterface, ["getKernelRole"]>]> {
  let summary = "Stretches a tensor to a shape";
  let description = [{
    NumPy broadcasting of `input` to exactly `shape`, whose length is static and at
    least the input's rank. A dimension that is neither 1 nor the wanted size is an
    error: at compile time where both are known, else a status of the run.

    ```mlir
    %y = nn.broadcast %x, %shape : (tensor<?x1xf32>, tensor<3xi64>) -> tensor<4x?x?xf32>
    ```
  }];
  let arguments = (ins NN_Tensor:$input, NN_IndexVector:$shape);
  let results = (outs NN_Tensor:$result);
  let assemblyFormat = "$input `,` $shape attr-dict `:` functional-type(operands, results)";
}

def NN_ShapeOp : NN_TensorOp<"shape", [DeclareOpInterfaceMethods<NN_KernelOpInterface, ["getKernelRole"]>]> {
  let summary = "The sizes of a tensor as an i64 vector";
  let description = [{
    ```mlir
    %s = nn.shape %x : (tensor<?x3xf32>) -> tensor<2xi64>
    ```
  }];
  let arguments = (ins NN_Tensor:$input);
  let results = (outs NN_IndexVector:$result);
  let assemblyFormat = "$input attr-dict `:` functional-type(operands, results)";
  let hasFolder = 1;
}

#endif // NACRE_DIALECTS_NN_NNSHAPEOPS_TD
