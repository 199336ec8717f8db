//===- NNParameterOps.td - Constants and named parameters -------*- tablegen -*-===//
#ifndef NACRE_DIALECTS_NN_NNPARAMETEROPS_TD
#define NACRE_DIALECTS_NN_NNPARAMETEROPS_TD

include "dialects/nn/NNBase.td"

def NN_ConstantOp : NN_Op<"constant", [Pure, ConstantLike, AllTypesMatch<["value", "result"]>]> {
  let summary = "A small constant, its value held in the IR";
  let noGradient = "depends on nothing";
  let description = [{
    For scalars, shapes, axes and other small values that folding looks at. Weights
    are `nn.parameter`s.

    ```mlir
    %0 = nn.constant dense<[1, -1]> : tensor<2xi64>
    ```
  }];
  let arguments = (ins ElementsAttr:$value);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "attr-dict $value";
  let hasFolder = 1;
}

def NN_ParameterOp : NN_Op<"parameter", [Symbol]> {
  let summary = "A named tensor of the model: a weight, or another large constant";
  let noGradient = "declares what gradients are asked by";
  let description = [{
    The value is usually a `dense_resource` whose blob points into the mapped model
    file: it is never copied through the IR. A parameter with `trainable` is updated
    in place by a training step; all others are read only.

    ```mlir
    nn.parameter @conv1.weight = dense_resource<conv1.weight> : tensor<64x3x7x7xf32>
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, ElementsAttr:$value, UnitAttr:$trainable);
  let assemblyFormat = "(`trainable` $trainable^)? $sym_name `=` $value attr-dict";
  let extraClassDeclaration = [{
    ::mlir::RankedTensorType getType() {
      return ::llvm::cast<::mlir::RankedTensorType>(getValue().getShapedType());
    }
  }];
}

def NN_GetParameterOp : NN_Op<"get_parameter", [Pure,
    DeclareOpInterfaceMethods<NN_KernelOpInterface, ["getKernelRole"]>,
    DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "The value of a parameter";
  let noGradient = "is what gradients are asked by";
  let description = [{
    The one that it has when the function is called, whatever the function then sets.

    ```mlir
    %w = nn.get_parameter @conv1.weight : tensor<64x3x7x7xf32>
    ```
  }];
  let arguments = (ins FlatSymbolRefAttr:$name);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "$name attr-dict `:` type($result)";
}

def NN_SetParameterOp : NN_Op<"set_parameter", [MemoryEffects<[MemWrite]>,
    DeclareOpInterfaceMethods<NN_KernelOpInterface, ["getKernelRole"]>,
    DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "Gives a trainable parameter a new value";
  let noGradient = "gives nothing";
  let description = [{
    It holds when the function returns: `nn.get_parameter` in the same function gives the
    old value. At most one for each parameter, in the function's entry block.

    ```mlir
    nn.set_parameter @conv1.weight, %new : tensor<64x3x7x7xf32>
    ```
  }];
  let arguments = (ins FlatSymbolRefAttr:$name, AnyRankedTensor:$value);
  let assemblyFormat = "$name `,` $value attr-dict `:` type($value)";
}

#endif // NACRE_DIALECTS_NN_NNPARAMETEROPS_TD
