//===- NNRecurrentOps.td - Recurrent layers ---------------------*- tablegen -*-===//
#ifndef NACRE_DIALECTS_NN_NNRECURRENTOPS_TD
#define NACRE_DIALECTS_NN_NNRECURRENTOPS_TD

include "dialects/nn/NNBase.td"

// One direction of a recurrent layer, without the part that does not depend on the
// state: `gates` [T, B, n * H] is the projection of the inputs, biases included, which
// is one large matrix product outside. `recurrent` [n * H, H] multiplies the state.
//
// `activations` are names of ONNX's activation functions in lower case, `alphas` and
// `betas` their parameters (0 where there is none). `clip` bounds what goes into
// them. With `lengths` [B], a sequence ends early: its state stays as it is and its
// results are 0; a length that is negative or above T is an error. With `reverse` time runs backwards (from the end of each sequence).
class NN_RecurrentOp<string mnemonic> : NN_TensorOp<mnemonic, [AttrSizedOperandSegments,
    DeclareOpInterfaceMethods<NN_CheckedOpInterface>, NN_Decomposable, NN_ComputesNarrow,
    DeclareOpInterfaceMethods<NN_KernelOpInterface, ["buildFlops"]>]> {
  dag stateArguments = (ins NN_FloatTensor:$gates, NN_FloatTensor:$recurrent,
    Optional<NN_FloatTensor>:$initial_h, Optional<RankedTensorOf<[I32]>>:$lengths);
  dag stepArguments = (ins StrArrayAttr:$activations, DenseF64ArrayAttr:$alphas,
    DenseF64ArrayAttr:$betas, OptionalAttr<F64Attr>:$clip, UnitAttr:$reverse);
  let results = (outs NN_FloatTensor:$result, NN_FloatTensor:$final_h);
  let hasVerifier = 1;
}

def NN_RnnOp : NN_RecurrentOp<"rnn"> {
  let summary = "Simple recurrent layer, one direction";
  let description = [{
    `h[t] = f(gates[t] + h[t - 1] * recurrent^T)` for each time `t`. Results are all
    states [T, B, H] and the last one [B, H].

    ```mlir
    %y, %h = nn.rnn %gates, %r initial %h0 {activations = ["tanh"], alphas = array<f64: 0.0>, betas = array<f64: 0.0>}
        : (tensor<?x2x16xf32>, tensor<16x16xf32>, tensor<2x16xf32>) -> (tensor<?x2x16xf32>, tensor<2x16xf32>)
    ```
  }];
  let arguments = !con(stateArguments, stepArguments);
  let assemblyFormat = [{
    $gates `,` $recurrent (`initial` $initial_h^)? (`lengths` $lengths^)? attr-dict
    `:` functional-type(operands, results)
  }];
}

def NN_GruOp : NN_RecurrentOp<"gru"> {
  let summary = "Gated recurrent unit, one direction";
  let description = [{
    With gates in the order z, r, n and R their parts of `recurrent`:

        z = f(gates_z + h * Rz^T),  r = f(gates_r + h * Rr^T)
        n = g(gates_n + (r . h) * Rn^T + recurrent_bias)
        n = g(gates_n + r . (h * Rn^T + recurrent_bias))        with linear_before_reset
        h = (1 - z) . n + z . h

    ```mlir
    %y, %h = nn.gru %gates, %r bias %b {activations = ["sigmoid", "tanh"], alphas = array<f64: 0.0, 0.0>,
                                        betas = array<f64: 0.0, 0.0>, linear_before_reset}
        : (tensor<7x2x48xf32>, tensor<48x16xf32>, tensor<16xf32>) -> (tensor<7x2x16xf32>, tensor<2x16xf32>)
    ```
  }];
  let arguments = !con(stateArguments, (ins Optional<NN_FloatTensor>:$recurrent_bias), stepArguments,
                       (ins UnitAttr:$linear_before_reset));
  let assemblyFormat = [{
    $gates `,` $recurrent (`initial` $initial_h^)? (`lengths` $lengths^)? (`bias` $recurrent_bias^)?
    attr-dict `:` functional-type(operands, results)
  }];
}

def NN_LstmOp : NN_RecurrentOp<"lstm"> {
  let summary = "Long short-term memory, one direction";
  let description = [{
    With gates in the order i, o, f, c and R their parts of `recurrent`, Pi, Po, Pf the
    thirds of `peepholes`:

        i = f(gates_i + h * Ri^T + Pi . c)
        j = f(gates_f + h * Rf^T + Pf . c), or 1 - i with input_forget
        c = j . c + i . g(gates_c + h * Rc^T)
        o = f(gates_o + h * Ro^T + Po . c),  h = o . k(c)

    `activations` are f, g, k. The third result is the last c.

    ```mlir
    %y, %h, %c = nn.lstm %gates, %r {activations = ["sigmoid", "tanh", "tanh"],
                                     alphas = array<f64: 0.0, 0.0, 0.0>, betas = array<f64: 0.0, 0.0, 0.0>}
        : (tensor<7x2x64xf32>, tensor<64x16xf32>)
        -> (tensor<7x2x16xf32>, tensor<2x16xf32>, tensor<2x16xf32>)
    ```
  }];
  let arguments = !con(stateArguments, (ins Optional<NN_FloatTensor>:$initial_c,
                       Optional<NN_FloatTensor>:$peepholes), stepArguments,
                       (ins UnitAttr:$input_forget));
  let results = (outs NN_FloatTensor:$result, NN_FloatTensor:$final_h, NN_FloatTensor:$final_c);
  let assemblyFormat = [{
    $gates `,` $recurrent (`initial` $initial_h^)? (`lengths` $lengths^)? (`cell` $initial_c^)?
    (`peepholes` $peepholes^)? attr-dict `:` functional-type(operands, results)
  }];
}

#endif // NACRE_DIALECTS_NN_NNRECURRENTOPS_TD
