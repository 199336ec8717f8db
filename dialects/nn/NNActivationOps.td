//===- NNActivationOps.td - Activation functions ----------------*- tablegen -*-===//
//
// Those that are a few other element-wise ops (clip, hard swish, mish, shrink, swish,
// thresholded relu) are built from these by the frontends.
//
//===----------------------------------------------------------------------===//
#ifndef NACRE_DIALECTS_NN_NNACTIVATIONOPS_TD
#define NACRE_DIALECTS_NN_NNACTIVATIONOPS_TD

include "dialects/nn/NNMathOps.td"

def NN_ReluOp : NN_UnaryOp<"relu", NN_NumberTensor, [NN_Differentiable]> {
  let summary = "max(x, 0); NaN stays NaN";
  let kinks = "0 at 0";
  let description = [{
    ```mlir
    %y = nn.relu %x : (tensor<4xf32>) -> tensor<4xf32>
    ```
  }];
}

def NN_LeakyReluOp : NN_UnaryOp<"leaky_relu", NN_FloatTensor, [NN_Differentiable]> {
  let summary = "x, or alpha x below zero";
  let kinks = "at 0 that of the negative side";
  let description = [{
    ```mlir
    %y = nn.leaky_relu %x {alpha = 0.01 : f64} : (tensor<4xf32>) -> tensor<4xf32>
    ```
  }];
  let arguments = (ins NN_FloatTensor:$input, F64Attr:$alpha);
}

def NN_PReluOp : NN_BinaryOp<"prelu", NN_NumberTensor, [NN_Differentiable]> {
  let summary = "x, or slope x below zero, with a tensor of slopes";
  let kinks = "at 0 that of the negative side";
  let description = [{
    ```mlir
    %y = nn.prelu %x, %slope : (tensor<4x3xf32>, tensor<3xf32>) -> tensor<4x3xf32>
    ```
  }];
}

def NN_EluOp : NN_UnaryOp<"elu", NN_FloatTensor, [NN_Differentiable]> {
  let summary = "Exponential linear unit, scaled";
  let kinks = "at 0 that of the negative side";
  let description = [{
    `scale * x` above zero, `scale * alpha * (exp(input_scale * x) - 1)` below. ELU,
    SELU (with `scale`) and CELU (with `input_scale = 1 / alpha`) are forms of it.

    ```mlir
    %y = nn.elu %x {alpha = 1.0 : f64} : (tensor<4xf32>) -> tensor<4xf32>
    ```
  }];
  let arguments = (ins NN_FloatTensor:$input, DefaultValuedAttr<F64Attr, "1.0">:$alpha,
                   DefaultValuedAttr<F64Attr, "1.0">:$scale, DefaultValuedAttr<F64Attr, "1.0">:$input_scale);
}

def NN_GeluOp : NN_UnaryOp<"gelu", NN_FloatTensor, [NN_Differentiable]> {
  let summary = "Gaussian error linear unit";
  let description = [{
    `x/2 (1 + erf(x / sqrt(2)))`, or with `approximate`
    `x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))`.

    ```mlir
    %y = nn.gelu %x {approximate} : (tensor<4xf32>) -> tensor<4xf32>
    ```
  }];
  let arguments = (ins NN_FloatTensor:$input, UnitAttr:$approximate);
}

def NN_HardSigmoidOp : NN_UnaryOp<"hard_sigmoid", NN_FloatTensor, [NN_Differentiable]> {
  let summary = "alpha x + beta, clipped to 0..1";
  let kinks = "0 at both ends of the slope";
  let description = [{
    ```mlir
    %y = nn.hard_sigmoid %x {alpha = 0.2 : f64, beta = 0.5 : f64} : (tensor<4xf32>) -> tensor<4xf32>
    ```
  }];
  let arguments = (ins NN_FloatTensor:$input, F64Attr:$alpha, F64Attr:$beta);
}

def NN_SigmoidOp : NN_FunctionOp<"sigmoid", "1 / (1 + exp(-x))", "1.0 / (1.0 + exp(-x))", "dy * y * (1.0 - y)">;
def NN_SoftplusOp : NN_FunctionOp<"softplus", "log(1 + exp(x)), without overflow",
                                  "max(x, x.constant(0)) + log1p(exp(-abs(x)))", "dy * sigmoid(x)",
                                  [NN_ComputesWide]>;
def NN_SoftsignOp : NN_FunctionOp<"softsign", "x / (1 + |x|)", "x / (1.0 + abs(x))", "dy / square(abs(x) + 1.0)">;

#endif // NACRE_DIALECTS_NN_NNACTIVATIONOPS_TD
