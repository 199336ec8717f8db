//===- NNNormalizeOps.td - Softmax and normalisations -----------*- tablegen -*-===//
#ifndef NACRE_DIALECTS_NN_NNNORMALIZEOPS_TD
#define NACRE_DIALECTS_NN_NNNORMALIZEOPS_TD

include "dialects/nn/NNBase.td"

// A result of the input's type: several passes over rows.
class NN_RowOp<string mnemonic, list<Trait> traits = []>
    : NN_TensorOp<mnemonic, !listconcat([
        DeclareOpInterfaceMethods<NN_KernelOpInterface, ["getKernelRole", "buildFlops"]>], traits)> {
  let results = (outs NN_FloatTensor:$result);
  // C++: operations for each element.
  string operations = "0";
  let extraClassDefinition = [{
    ::llvm::LogicalResult $cppClass::reifyResultShapes(::mlir::OpBuilder &b,
        ::mlir::ReifiedRankedShapedTypeDims &dims) {
      dims.push_back(::nacre::nn::getDims(b, getLoc(), getInput()));
      return ::mlir::success();
    }
    ::nacre::nn::KernelRole $cppClass::getKernelRole() { return ::nacre::nn::KernelRole::Row; }
    ::mlir::OpFoldResult $cppClass::buildFlops(::mlir::OpBuilder &b) {
      ::nacre::nn::SizeMath m(b, getLoc());
      return m.mul(m.constant(}] # operations # [{), m.product(m.dims(getInput())));
    }
  }];
}

def NN_SoftmaxOp : NN_RowOp<"softmax", [NN_Differentiable, DeclareOpInterfaceMethods<NN_PermutableOpInterface, ["buildBeforeTranspose"]>]> {
  let summary = "exp(x) / sum(exp(x)) along a dimension, without overflow";
  let description = [{
    With `log`, the logarithm of that, computed as `x - m - log(sum(exp(x - m)))` with
    the row's maximum `m`. Narrow floats are computed in f32.

    ```mlir
    %y = nn.softmax %x {axis = 1 : i64} : (tensor<4x?xf32>) -> tensor<4x?xf32>
    ```
  }];
  let arguments = (ins NN_FloatTensor:$input, I64Attr:$axis, UnitAttr:$log);
  let assemblyFormat = "$input attr-dict `:` functional-type(operands, results)";
  let operations = "5";
}

def NN_HardmaxOp : NN_RowOp<"hardmax", [NN_Differentiable]> {
  let summary = "1 at the first of a dimension's largest elements, 0 elsewhere";
  let kinks = "steps pass nothing on";
  let description = [{
    A NaN counts as the largest.

    ```mlir
    %y = nn.hardmax %x {axis = 1 : i64} : (tensor<4x?xf32>) -> tensor<4x?xf32>
    ```
  }];
  let arguments = (ins NN_FloatTensor:$input, I64Attr:$axis);
  let assemblyFormat = "$input attr-dict `:` functional-type(operands, results)";
  let operations = "3";
}

def NN_NormalizeOp : NN_RowOp<"normalize", [NN_Differentiable, DeclareOpInterfaceMethods<NN_PermutableOpInterface, ["buildBeforeTranspose"]>]> {
  let summary = "(x - mean) / sqrt(variance + epsilon) along some dimensions";
  let description = [{
    The heart of layer, instance and group normalisation, whose scale and bias are
    element-wise ops. With `rms` the mean is taken for 0: RMS normalisation. The
    variance is that of the population. `axes` are distinct and rising. Narrow floats
    are computed in f32 and the result is rounded.

    ```mlir
    %y = nn.normalize %x {axes = array<i64: 2>, epsilon = 1.0e-5 : f64}
        : (tensor<?x128x768xf32>) -> tensor<?x128x768xf32>
    ```
  }];
  let arguments = (ins NN_FloatTensor:$input, DenseI64ArrayAttr:$axes, F64Attr:$epsilon, UnitAttr:$rms);
  let assemblyFormat = "$input attr-dict `:` functional-type(operands, results)";
  let operations = "getRms() ? 4 : 7";
}

// Normalisations by channels, which the layout concerns. ExpandNormalizations writes
// them as the ops above once the layout is chosen.
class NN_ChannelNormOp<string mnemonic, list<Trait> traits = []>
    : NN_RowOp<mnemonic, !listconcat([DeclareOpInterfaceMethods<NN_LayoutOpInterface>], traits)> {
  let assemblyFormat = "operands attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
  let operations = "2";
}

def NN_BatchNormOp : NN_ChannelNormOp<"batch_norm", [NN_Decomposable]> {
  let summary = "Normalises each channel by a given mean and variance";
  let description = [{
    `scale * (x - mean) / sqrt(variance + epsilon) + bias`. The input is
    [N, C, D1..Dn], or [N, D1..Dn, C] with `channels_last`; all other operands are [C],
    of float types that may differ from the input's.

    ```mlir
    %y = nn.batch_norm %x, %scale, %bias, %mean, %variance {epsilon = 1.0e-5 : f64}
        : (tensor<?x64x56x56xf32>, tensor<64xf32>, tensor<64xf32>, tensor<64xf32>, tensor<64xf32>)
        -> tensor<?x64x56x56xf32>
    ```
  }];
  let arguments = (ins NN_FloatTensor:$input, NN_FloatTensor:$scale, NN_FloatTensor:$bias,
                   NN_FloatTensor:$mean, NN_FloatTensor:$variance, F64Attr:$epsilon, UnitAttr:$channels_last);
}

def NN_GroupNormOp : NN_ChannelNormOp<"group_norm", [NN_Differentiable]> {
  let summary = "Normalises groups of channels of each sample";
  let description = [{
    Mean and variance are those of a sample's `groups` equal parts of the channels,
    over all places; with 0 groups each channel is one (instance normalisation). Then
    each channel is scaled and moved by `scale` and `bias`, which are [C]. The input is
    [N, C, D1..Dn], or [N, D1..Dn, C] with `channels_last`.

    ```mlir
    %y = nn.group_norm %x, %scale, %bias {groups = 8 : i64, epsilon = 1.0e-5 : f64}
        : (tensor<?x64x56x56xf32>, tensor<64xf32>, tensor<64xf32>) -> tensor<?x64x56x56xf32>
    ```
  }];
  let arguments = (ins NN_FloatTensor:$input, NN_FloatTensor:$scale, NN_FloatTensor:$bias,
                   I64Attr:$groups, F64Attr:$epsilon, UnitAttr:$channels_last);
}

#endif // NACRE_DIALECTS_NN_NNNORMALIZEOPS_TD
