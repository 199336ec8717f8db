//===- NNMathOps.td - Functions of one number -------------------*- tablegen -*-===//
#ifndef NACRE_DIALECTS_NN_NNMATHOPS_TD
#define NACRE_DIALECTS_NN_NNMATHOPS_TD

include "dialects/nn/NNElementwiseOps.td"

def NN_NegOp : NN_UnaryOp<"neg", NN_NumberTensor> {
  let summary = "-x";
  let description = [{
    Integers wrap around.

    ```mlir
    %y = nn.neg %x : (tensor<4xf32>) -> tensor<4xf32>
    ```
  }];
}

def NN_AbsOp : NN_UnaryOp<"abs", NN_NumberTensor> {
  let summary = "|x|";
  let description = [{
    The most negative integer stays as it is.

    ```mlir
    %y = nn.abs %x : (tensor<4xi32>) -> tensor<4xi32>
    ```
  }];
}

def NN_SignOp : NN_UnaryOp<"sign", NN_NumberTensor> {
  let summary = "-1, 0 or 1";
  let description = [{
    NaN stays NaN.

    ```mlir
    %y = nn.sign %x : (tensor<4xf32>) -> tensor<4xf32>
    ```
  }];
}

// A function of one float given by its formula in terms of the Expr `x`
// (dialects/nn/Expr.h), computed in f32 for f16 and bf16.
class NN_FunctionOp<string mnemonic, string text, string formula, list<Trait> traits = []>
    : NN_UnaryOp<mnemonic, NN_FloatTensor, traits> {
  let summary = text;
  let description = "\n    ```mlir\n    %y = nn." # mnemonic #
                    " %x : (tensor<4x?xf32>) -> tensor<4x?xf32>\n    ```\n";
  let definitions = [{
    ::llvm::SmallVector<::mlir::Value> $cppClass::buildElements(
        ::mlir::OpBuilder &b, ::mlir::Location loc, ::mlir::ValueRange elements) {
      return {::nacre::nn::computeWide(b, loc, elements, [&](::llvm::ArrayRef<::nacre::nn::Expr> e) -> ::nacre::nn::Expr {
        ::nacre::nn::Expr x = e[0];
        return }] # formula # [{;
      })};
    }
  }];
}

def NN_SqrtOp : NN_FunctionOp<"sqrt", "Square root; NaN below zero", "sqrt(x)">;
def NN_ReciprocalOp : NN_FunctionOp<"reciprocal", "1 / x", "1.0 / x">;
def NN_ExpOp : NN_FunctionOp<"exp", "e to the power x", "exp(x)">;
def NN_LogOp : NN_FunctionOp<"log", "Natural logarithm", "log(x)">;
def NN_SinOp : NN_FunctionOp<"sin", "Sine", "x.apply<::mlir::math::SinOp>()">;
def NN_CosOp : NN_FunctionOp<"cos", "Cosine", "x.apply<::mlir::math::CosOp>()">;
def NN_TanOp : NN_FunctionOp<"tan", "Tangent", "x.apply<::mlir::math::TanOp>()">;
def NN_AsinOp : NN_FunctionOp<"asin", "Arc sine", "x.apply<::mlir::math::AsinOp>()">;
def NN_AcosOp : NN_FunctionOp<"acos", "Arc cosine", "x.apply<::mlir::math::AcosOp>()">;
def NN_AtanOp : NN_FunctionOp<"atan", "Arc tangent", "x.apply<::mlir::math::AtanOp>()">;
def NN_SinhOp : NN_FunctionOp<"sinh", "Hyperbolic sine", "x.apply<::mlir::math::SinhOp>()">;
def NN_CoshOp : NN_FunctionOp<"cosh", "Hyperbolic cosine", "x.apply<::mlir::math::CoshOp>()">;
def NN_TanhOp : NN_FunctionOp<"tanh", "Hyperbolic tangent", "tanh(x)">;
def NN_AsinhOp : NN_FunctionOp<"asinh", "Inverse hyperbolic sine", "x.apply<::mlir::math::AsinhOp>()">;
def NN_AcoshOp : NN_FunctionOp<"acosh", "Inverse hyperbolic cosine", "x.apply<::mlir::math::AcoshOp>()">;
def NN_AtanhOp : NN_FunctionOp<"atanh", "Inverse hyperbolic tangent", "x.apply<::mlir::math::AtanhOp>()">;
def NN_ErfOp : NN_FunctionOp<"erf", "Error function", "erf(x)">;
def NN_FloorOp : NN_FunctionOp<"floor", "Largest integer not above x",
                               "x.apply<::mlir::math::FloorOp>()">;
def NN_CeilOp : NN_FunctionOp<"ceil", "Smallest integer not below x",
                              "x.apply<::mlir::math::CeilOp>()">;
def NN_RoundOp : NN_FunctionOp<"round", "Nearest integer; halves to even",
                               "x.apply<::mlir::math::RoundEvenOp>()">;

#endif // NACRE_DIALECTS_NN_NNMATHOPS_TD
