//===- NNMathOps.td - Functions of one number -------------------*- tablegen -*-===//
#ifndef NACRE_DIALECTS_NN_NNMATHOPS_TD
#define NACRE_DIALECTS_NN_NNMATHOPS_TD

include "dialects/nn/NNElementwiseOps.td"

def NN_NegOp : NN_UnaryOp<"neg", NN_NumberTensor, [NN_Differentiable]> {
  let summary = "-x";
  let description = [{
    Integers wrap around.

    ```mlir
    %y = nn.neg %x : (tensor<4xf32>) -> tensor<4xf32>
    ```
  }];
}

def NN_AbsOp : NN_UnaryOp<"abs", NN_NumberTensor, [NN_Differentiable]> {
  let summary = "|x|";
  let kinks = "0 at 0";
  let description = [{
    The most negative integer stays as it is.

    ```mlir
    %y = nn.abs %x : (tensor<4xi32>) -> tensor<4xi32>
    ```
  }];
}

def NN_SignOp : NN_UnaryOp<"sign", NN_NumberTensor, [NN_Differentiable]> {
  let summary = "-1, 0 or 1";
  let kinks = "steps pass nothing on";
  let description = [{
    NaN stays NaN.

    ```mlir
    %y = nn.sign %x : (tensor<4xf32>) -> tensor<4xf32>
    ```
  }];
}

// A function of one float given by its formula in terms of the Expr `x`
// (dialects/nn/Expr.h), computed in f32 for f16 and bf16. Its gradient is a formula of
// TensorExprs (dialects/nn/TensorExpr.h): `dy` of the result, `x` and the result `y`.
class NN_FunctionOp<string mnemonic, string text, string formula, string gradient, list<Trait> traits = []>
    : NN_UnaryOp<mnemonic, NN_FloatTensor, !listconcat([NN_Differentiable], traits)> {
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
    ::llvm::LogicalResult $cppClass::buildGradient(::mlir::OpBuilder &b, ::mlir::ValueRange gradients,
        ::llvm::SmallVectorImpl<::mlir::Value> &operands) {
      [[maybe_unused]] ::nacre::nn::TensorExpr dy(b, getLoc(), gradients[0]), x = dy.with(getInput()), y = dy.with(getResult());
      operands.push_back(}] # gradient # [{);
      return ::mlir::success();
    }
  }];
}

def NN_SqrtOp : NN_FunctionOp<"sqrt", "Square root; NaN below zero", "sqrt(x)", "dy / (y * 2.0)">;
def NN_ReciprocalOp : NN_FunctionOp<"reciprocal", "1 / x", "1.0 / x", "-(dy * y * y)", [NN_ComputesWide]>;
def NN_ExpOp : NN_FunctionOp<"exp", "e to the power x", "exp(x)", "dy * y", [NN_ComputesWide]>;
def NN_LogOp : NN_FunctionOp<"log", "Natural logarithm", "log(x)", "dy / x", [NN_ComputesWide]>;
def NN_SinOp : NN_FunctionOp<"sin", "Sine", "x.apply<::mlir::math::SinOp>()", "dy * cos(x)">;
def NN_CosOp : NN_FunctionOp<"cos", "Cosine", "x.apply<::mlir::math::CosOp>()", "-(dy * sin(x))">;
def NN_TanOp : NN_FunctionOp<"tan", "Tangent", "x.apply<::mlir::math::TanOp>()", "dy * (y * y + 1.0)", [NN_ComputesWide]>;
def NN_AsinOp : NN_FunctionOp<"asin", "Arc sine", "x.apply<::mlir::math::AsinOp>()", "dy / sqrt(1.0 - x * x)", [NN_ComputesWide]>;
def NN_AcosOp : NN_FunctionOp<"acos", "Arc cosine", "x.apply<::mlir::math::AcosOp>()", "-(dy / sqrt(1.0 - x * x))", [NN_ComputesWide]>;
def NN_AtanOp : NN_FunctionOp<"atan", "Arc tangent", "x.apply<::mlir::math::AtanOp>()", "dy / (x * x + 1.0)">;
def NN_SinhOp : NN_FunctionOp<"sinh", "Hyperbolic sine", "x.apply<::mlir::math::SinhOp>()", "dy * cosh(x)", [NN_ComputesWide]>;
def NN_CoshOp : NN_FunctionOp<"cosh", "Hyperbolic cosine", "x.apply<::mlir::math::CoshOp>()", "dy * sinh(x)", [NN_ComputesWide]>;
def NN_TanhOp : NN_FunctionOp<"tanh", "Hyperbolic tangent", "tanh(x)", "dy * (1.0 - y * y)">;
def NN_AsinhOp : NN_FunctionOp<"asinh", "Inverse hyperbolic sine", "x.apply<::mlir::math::AsinhOp>()", "dy / sqrt(x * x + 1.0)">;
def NN_AcoshOp : NN_FunctionOp<"acosh", "Inverse hyperbolic cosine", "x.apply<::mlir::math::AcoshOp>()", "dy / sqrt(x * x - 1.0)", [NN_ComputesWide]>;
def NN_AtanhOp : NN_FunctionOp<"atanh", "Inverse hyperbolic tangent", "x.apply<::mlir::math::AtanhOp>()", "dy / (1.0 - x * x)", [NN_ComputesWide]>;
def NN_ErfOp : NN_FunctionOp<"erf", "Error function", "erf(x)", "dy * exp(-(x * x)) * M_2_SQRTPI">;
def NN_FloorOp : NN_FunctionOp<"floor", "Largest integer not above x",
                               "x.apply<::mlir::math::FloorOp>()", "::mlir::Value()"> {
  let kinks = "steps pass nothing on";
}
def NN_CeilOp : NN_FunctionOp<"ceil", "Smallest integer not below x",
                              "x.apply<::mlir::math::CeilOp>()", "::mlir::Value()"> {
  let kinks = "steps pass nothing on";
}
def NN_RoundOp : NN_FunctionOp<"round", "Nearest integer; halves to even",
                               "x.apply<::mlir::math::RoundEvenOp>()", "::mlir::Value()"> {
  let kinks = "steps pass nothing on";
}

#endif // NACRE_DIALECTS_NN_NNMATHOPS_TD
