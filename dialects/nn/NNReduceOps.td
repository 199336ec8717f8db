//===- NNReduceOps.td - Reductions and cumulative ops -----------*- tablegen -*-===//
#ifndef NACRE_DIALECTS_NN_NNREDUCEOPS_TD
#define NACRE_DIALECTS_NN_NNREDUCEOPS_TD

include "dialects/nn/NNBase.td"

def NN_ReduceKindAttr : I32EnumAttr<"ReduceKind", "how elements are combined", [
    I32EnumAttrCase<"sum", 0>, I32EnumAttrCase<"prod", 1>, I32EnumAttrCase<"max", 2>,
    I32EnumAttrCase<"min", 3>, I32EnumAttrCase<"mean", 4>]> {
  let cppNamespace = "::nacre::nn";
}

def NN_ReduceOp : NN_TensorOp<"reduce", [NN_Differentiable, DeclareOpInterfaceMethods<NN_ScalarsOpInterface>,
    DeclareOpInterfaceMethods<NN_KernelOpInterface, ["getKernelRole", "buildFlops"]>,
    DeclareOpInterfaceMethods<NN_PermutableOpInterface, ["buildBeforeTranspose"]>]> {
  let summary = "Combines all elements along some dimensions";
  let kinks = "equal extremes share; products are right besides zeros";
  let description = [{
    `axes` are distinct and rising; without any, the result is the input. The reduced
    dimensions go away, or with `keepdims` become 1. Over no elements `sum` gives 0,
    `prod` 1, `max` (`min`) the lowest (highest) value of the type, infinite for
    floats, and `mean` NaN, or 0 for integers. `max` and `min` give NaN if there is
    one; of booleans they are «any» and «all». Narrow floats are combined in f32, and
    integers wrap around; the mean of integers is truncated.

    ```mlir
    %y = nn.reduce sum, %x {axes = array<i64: 1>, keepdims} : (tensor<4x?xf32>) -> tensor<4x1xf32>
    ```
  }];
  let arguments = (ins NN_ReduceKindAttr:$kind, NN_Tensor:$input, DenseI64ArrayAttr:$axes,
                   UnitAttr:$keepdims);
  let results = (outs NN_Tensor:$result);
  let assemblyFormat = "$kind `,` $input attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

def NN_ReduceMarkedOp : NN_TensorOp<"reduce_marked", [NN_Differentiable, NN_HasShapeOperands,
    DeclareOpInterfaceMethods<NN_KernelOpInterface, ["getKernelRole", "buildFlops"]>]> {
  let summary = "Combines all elements along the dimensions that a vector marks";
  let kinks = "equal extremes share; products are right besides zeros";
  let description = [{
    nn.reduce with `keepdims` for axes that arrive at run time: `marks` has one number
    for each dimension of the input, other than 0 where it is reduced to size 1. With
    known marks this becomes nn.reduce.

    ```mlir
    %y = nn.reduce_marked sum, %x by %marks : (tensor<4x?xf32>, tensor<2xi64>) -> tensor<?x?xf32>
    ```
  }];
  let arguments = (ins NN_ReduceKindAttr:$kind, NN_Tensor:$input, NN_IndexVector:$marks);
  let results = (outs NN_Tensor:$result);
  let assemblyFormat = "$kind `,` $input `by` $marks attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
  let hasCanonicalizeMethod = 1;
}

def NN_ArgReduceOp : NN_TensorOp<"arg_reduce", [DeclareOpInterfaceMethods<NN_KernelOpInterface, ["getKernelRole", "buildFlops"]>]> {
  let summary = "Where along a dimension the largest or smallest element stands";
  let description = [{
    `kind` is `max` or `min`. The first place, or with `select_last` the last one, of
    several equal elements. A NaN counts as the largest, and as the smallest.

    ```mlir
    %i = nn.arg_reduce max, %x {axis = 1 : i64} : (tensor<4x?xf32>) -> tensor<4xi64>
    ```
  }];
  let arguments = (ins NN_ReduceKindAttr:$kind, NN_NumberTensor:$input, I64Attr:$axis,
                   UnitAttr:$keepdims, UnitAttr:$select_last);
  let results = (outs RankedTensorOf<[I64]>:$result);
  let assemblyFormat = "$kind `,` $input attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def NN_CumulativeOp : NN_TensorOp<"cumulative", [NN_Differentiable, DeclareOpInterfaceMethods<NN_KernelOpInterface, ["getKernelRole", "buildFlops"]>]> {
  let summary = "Running sums or products along a dimension";
  let description = [{
    `kind` is `sum` or `prod`. Each element is combined with those before it, with
    `exclusive` only those before it, with `reverse` those after it instead. Narrow
    floats are combined in f32.

    ```mlir
    %y = nn.cumulative sum, %x {axis = 1 : i64, exclusive} : (tensor<4x?xf32>) -> tensor<4x?xf32>
    ```
  }];
  let arguments = (ins NN_ReduceKindAttr:$kind, NN_NumberTensor:$input, I64Attr:$axis,
                   UnitAttr:$exclusive, UnitAttr:$reverse);
  let results = (outs NN_NumberTensor:$result);
  let assemblyFormat = "$kind `,` $input attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

#endif // NACRE_DIALECTS_NN_NNREDUCEOPS_TD
