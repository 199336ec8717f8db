//===- NNTrainOps.td - Losses and gradients -------------------------*- tablegen -*-===//
#ifndef NACRE_DIALECTS_NN_NNTRAINOPS_TD
#define NACRE_DIALECTS_NN_NNTRAINOPS_TD

include "dialects/nn/NNElementwiseOps.td"

def NN_NllLossOp : NN_Op<"nll_loss", [NoMemoryEffect, NN_Differentiable, NN_InferredTypes, NN_IsChecked,
    DeclareOpInterfaceMethods<InferTypeOpInterface>,
    DeclareOpInterfaceMethods<ReifyRankedShapedTypeOpInterface, ["reifyResultShapes"]>]> {
  let summary = "Negative log-likelihood of labels";
  let description = [{
    `input` [N, C, D1..Dn] holds logarithms of the classes' probabilities, `labels`
    [N, D1..Dn] class numbers, `class_weights` [C], if there, a factor for each class (else
    1). `losses[n, d...] = -input[n, label, d...] * weight`, and `weights[n, d...]` is
    that weight, so that `sum(losses) / sum(weights)` is the mean. Where the label is
    `ignore_index`, both are 0. Any other label outside of [0, C) ends the run with a
    status that names the node.

    ```mlir
    %losses, %weights = nn.nll_loss %p, %labels {ignore_index = -1 : i64}
        : (tensor<?x10xf32>, tensor<?xi64>) -> (tensor<?xf32>, tensor<?xf32>)
    ```
  }];
  let arguments = (ins NN_FloatTensor:$input, RankedTensorOf<[NN_SInt]>:$labels,
                   Optional<NN_FloatTensor>:$class_weights, OptionalAttr<I64Attr>:$ignore_index);
  let results = (outs NN_FloatTensor:$losses, NN_FloatTensor:$weights);
  let assemblyFormat = "$input `,` $labels (`weighted` $class_weights^)? attr-dict `:` functional-type(operands, results)";
  let extraClassDeclaration = NN_InferredTypes.declaration;
}

def NN_VariableOp : NN_TensorOp<"variable", [NN_Differentiable]> {
  let summary = "A value that a gradient is taken by";
  let description = [{
    The operand itself. Nothing looks through it, so that what is computed from it goes on
    depending on it, and `nn.gradient` finds all of its uses. `name` keeps variables with
    equal operands apart. ResolveGradients takes it away.

    ```mlir
    %h = nn.variable %0 "h" : (tensor<?x8xf32>) -> tensor<?x8xf32>
    ```
  }];
  let arguments = (ins NN_FloatTensor:$input, StrAttr:$name);
  let results = (outs NN_FloatTensor:$result);
  let assemblyFormat = "$input $name attr-dict `:` functional-type(operands, results)";
}

def NN_GradientOp : NN_TensorOp<"gradient", [AttrSizedOperandSegments]> {
  let summary = "The derivatives of a value by others that it was computed from";
  let noGradient = "replaced by what it asks for, which can be differentiated again";
  let description = [{
    One result for each of the `xs`: the gradient of the sum of y's elements, zeros where
    y does not depend on it. `y` is a function of the `xs`, which are nn.variables, and the
    `zs`, by the ops between them in this block; anything else is constant. With `at`, the
    function is taken at these values, in the order of the `xs` and then the `zs`, else at
    the `xs` and `zs` themselves. ResolveGradients replaces the op by what computes it.

    ```mlir
    %dw, %db = nn.gradient %y by (%w, %b) with (%x)
        : (tensor<f32>, tensor<4x8xf32>, tensor<8xf32>, tensor<?x4xf32>) -> (tensor<4x8xf32>, tensor<8xf32>)
    ```
  }];
  let arguments = (ins NN_FloatTensor:$y, Variadic<NN_FloatTensor>:$xs, Variadic<NN_AnyTensor>:$zs,
                   Variadic<NN_AnyTensor>:$at);
  let results = (outs Variadic<NN_FloatTensor>:$gradients);
  let assemblyFormat = [{
    $y `by` `(` $xs `)` (`with` `(` $zs^ `)`)? (`at` `(` $at^ `)`)? attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def NN_InTrainingOp : NN_TensorOp<"in_training", [NN_Differentiable, NN_KeepsPrecision]> {
  let summary = "A value that training computes in another way than inference";
  let description = [{
    `training` in a function that trains, `inference` in all others: what Dropout and batch
    normalisation are. The shapes are the same. ResolveTrainingMode takes it away.

    ```mlir
    %y = nn.in_training %dropped else %x : tensor<?x8xf32>, tensor<?x8xf32> -> tensor<?x8xf32>
    ```
  }];
  let arguments = (ins NN_AnyTensor:$training, NN_AnyTensor:$inference);
  let results = (outs NN_AnyTensor:$result);
  let assemblyFormat = "$training `else` $inference attr-dict `:` type($training) `,` type($inference) `->` type($result)";
  let hasVerifier = 1;
}

def NN_UpdateParameterOp : NN_Op<"update_parameter", [MemoryEffects<[MemWrite]>,
    DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "What a training step sets a parameter to, instead of an optimizer";
  let noGradient = "gives nothing";
  let description = [{
    For statistics that follow the data: a batch normalisation's running mean. No gradient
    is taken by such a parameter. ResolveTrainingMode makes it nn.set_parameter in a
    function that trains, and takes it away from all others.

    ```mlir
    nn.update_parameter @bn1.running_mean, %moved : tensor<64xf32>
    ```
  }];
  let arguments = (ins FlatSymbolRefAttr:$name, AnyRankedTensor:$value);
  let assemblyFormat = "$name `,` $value attr-dict `:` type($value)";
}

#endif // NACRE_DIALECTS_NN_NNTRAINOPS_TD
