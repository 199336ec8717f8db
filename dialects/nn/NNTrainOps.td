//===- NNTrainOps.td - Losses and updates of parameters ---------*- tablegen -*-===//
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

def NN_SgdOp : NN_ElementwiseOp<"sgd", [
    DeclareOpInterfaceMethods<NN_KernelOpInterface, ["getKernelRole", "getInPlaceOperand"]>],
    "::mlir::getElementTypeOrSelf(operands.front())"> {
  let summary = "A step of stochastic gradient descent";
  let description = [{
    `parameter - learning_rate * gradient`: PyTorch's SGD without momentum. Narrow floats
    are computed in f32.

    ```mlir
    %new = nn.sgd %w, %dw, %rate : (tensor<4x8xf32>, tensor<4x8xf32>, tensor<f32>) -> tensor<4x8xf32>
    ```
  }];
  let arguments = (ins NN_FloatTensor:$parameter, NN_FloatTensor:$gradient, RankedTensorOf<[F32]>:$learning_rate);
  let results = (outs NN_FloatTensor:$result);
  let assemblyFormat = "$parameter `,` $gradient `,` $learning_rate attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

#endif // NACRE_DIALECTS_NN_NNTRAINOPS_TD
