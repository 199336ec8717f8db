//===- NNAttentionOps.td - Attention ----------------------------*- tablegen -*-===//
#ifndef NACRE_DIALECTS_NN_NNATTENTIONOPS_TD
#define NACRE_DIALECTS_NN_NNATTENTIONOPS_TD

include "dialects/nn/NNBase.td"

def NN_AttentionScores : I32Enum<"AttentionScores", "which of its scores an attention gives out", [
    I32EnumCase<"Raw", 0, "raw">, I32EnumCase<"Capped", 1, "capped">, I32EnumCase<"Biased", 2, "biased">,
    I32EnumCase<"Probabilities", 3, "probabilities">]> {
  let cppNamespace = "::nacre::nn";
}

// A composite: ExpandAttention writes it as the ops above.
def NN_AttentionOp : NN_TensorOp<"attention", [AttrSizedOperandSegments]> {
  let summary = "Scaled dot-product attention of several heads";
  let description = [{
    `result = softmax(cap(scale * query x key^T) + bias) x value` for each sample and
    head. `query` is [N, H, S, D], `key` [N, K, T, D], `value` [N, K, T, E], `result`
    [N, H, S, E]. H is a multiple of K: the heads share keys and values in groups of
    H / K neighbours. `scale` is 1 / sqrt(D) where it is not given. With a `softcap` c
    above 0, `cap(x)` is `c * tanh(x / c)`.

    The bias, 0 elsewhere, is
    - what `mask`, of the operands' type, holds, or -inf where a boolean one is false;
      it broadcasts to [N, H, S, T];
    - -inf for the keys of a sample from its number in `lengths` on;
    - -inf for keys more than `left_window` places before the query or more than
      `right_window` after it (0: causal attention). Query i stands at place
      `offset` + i among the keys; `offset`, 0 by default, has one number, or one for
      each sample.

    A query whose bias is -inf for all keys gives 0. `softmax_type` is the type in
    which the softmax is computed, the operands' by default.

    `scores`, [N, H, S, T], are the products after scaling (`raw`), after the cap
    (`capped`), after the bias (`biased`), or after the softmax (`probabilities`).

    ```mlir
    %y, %s = nn.attention %q, %k, %v mask %m scores raw {right_window = 0 : i64}
        : (tensor<?x8x128x64xf32>, tensor<?x2x128x64xf32>, tensor<?x2x128x64xf32>, tensor<128x128xi1>)
        -> (tensor<?x8x128x64xf32>, tensor<?x8x128x128xf32>)
    ```
  }];
  let arguments = (ins NN_FloatTensor:$query, NN_FloatTensor:$key, NN_FloatTensor:$value,
                   Optional<AnyTypeOf<[NN_FloatTensor, NN_BoolTensor]>>:$mask,
                   Optional<NN_IndexVector>:$lengths, Optional<NN_IndexVector>:$offset,
                   EnumProp<NN_AttentionScores>:$kind, OptionalAttr<F64Attr>:$scale,
                   DefaultValuedAttr<F64Attr, "0.0">:$softcap, OptionalAttr<I64Attr>:$left_window,
                   OptionalAttr<I64Attr>:$right_window, OptionalAttr<TypeAttr>:$softmax_type);
  let results = (outs NN_FloatTensor:$result, NN_FloatTensor:$scores);
  let assemblyFormat = [{
    $query `,` $key `,` $value (`mask` $mask^)? (`lengths` $lengths^)? (`offset` $offset^)?
    `scores` $kind attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

#endif // NACRE_DIALECTS_NN_NNATTENTIONOPS_TD
