//===- NNTreeOps.td - Decision trees ----------------------------*- tablegen -*-===//
#ifndef NACRE_DIALECTS_NN_NNTREEOPS_TD
#define NACRE_DIALECTS_NN_NNTREEOPS_TD

include "dialects/nn/NNBase.td"
include "dialects/nn/NNGenerateOps.td"

def NN_TreeLeavesOp : NN_TensorOp<"tree_leaves", [NN_HasKernelRole, NN_IsChecked]> {
  let summary = "The leaf that each row reaches in each of many decision trees";
  let noGradient = "gives places";
  let description = [{
    `roots` has one element for each tree; the other operands describe the inner nodes
    of all trees together, an element for each. At node `i` the row's element
    `features[i]` is compared with `splits[i]`, and what comes out is looked up in the
    bits of `outcomes[i]`: 1 for less, 2 for equal, 4 for greater, 8 for a NaN. Where
    the bit is set, `yes[i]` is next, else `no[i]`. A root or a next that is not
    negative is a node; leaf `k` is written `-1 - k`. Numbers of nodes and features are
    clamped, and a way that has not ended after as many steps as there are nodes ends
    in leaf 0: nothing else is relied on.

    ```mlir
    %leaves = nn.tree_leaves %x from %roots at %features, %splits, %outcomes to %yes, %no
        : (tensor<?x4xf32>, tensor<100xi32>, tensor<900xi32>, tensor<900xf32>, tensor<900xi8>,
           tensor<900xi32>, tensor<900xi32>) -> tensor<?x100xi64>
    ```
  }];
  let arguments = (ins NN_FloatTensor:$input, NN_IntTensor:$roots, NN_IntTensor:$features, NN_FloatTensor:$splits,
                   RankedTensorOf<[I8]>:$outcomes, NN_IntTensor:$yes, NN_IntTensor:$no);
  let results = (outs RankedTensorOf<[I64]>:$result);
  let assemblyFormat = [{
    $input `from` $roots `at` $features `,` $splits `,` $outcomes `to` $yes `,` $no attr-dict
    `:` functional-type(operands, results)
  }];
}

#endif // NACRE_DIALECTS_NN_NNTREEOPS_TD
