//===- NNSpatialOps.td - Convolutions and pooling ---------------*- tablegen -*-===//
#ifndef NACRE_DIALECTS_NN_NNSPATIALOPS_TD
#define NACRE_DIALECTS_NN_NNSPATIALOPS_TD

include "dialects/nn/NNBase.td"

def NN_AutoPad : I32EnumAttr<"AutoPad", "how a window is padded", [
    I32EnumAttrCase<"NotSet", 0, "explicit">, I32EnumAttrCase<"SameUpper", 1, "same_upper">,
    I32EnumAttrCase<"SameLower", 2, "same_lower">]> {
  let cppNamespace = "::nacre::nn";
}

// A window that slides over the spatial dimensions of [N, C, D1..Dn], or of
// [N, D1..Dn, C] with channels_last. `pads` are begin1..beginn, end1..endn. With
// auto_pad same_upper (same_lower) they are ignored: the result has
// ceil(size / stride) places, and an odd element of padding goes to the end (begin).
class NN_WindowOp<string mnemonic, list<Trait> traits = []>
    : NN_TensorOp<mnemonic, !listconcat([
        DeclareOpInterfaceMethods<NN_KernelOpInterface, ["getKernelRole", "getFlops"]>,
        DeclareOpInterfaceMethods<NN_LayoutOpInterface>], traits)> {
  code layoutMethods = [{
    bool $cppClass::isChannelsLast() { return getChannelsLast(); }
    void $cppClass::setChannelsLast() { setChannelsLastAttr(::mlir::UnitAttr::get(getContext())); }
  }];
  let extraClassDefinition = layoutMethods;
}

def NN_ConvOp : NN_WindowOp<"conv"> {
  let summary = "Convolution over one or more spatial dimensions";
  let description = [{
    `result[n, o, y...] = bias[o] + sum over c, k... of
    input[n, c, y * stride + k * dilation - pad...] * weight[o, c, k...]`,
    where elements outside the input are 0. `input` is [N, C, D1..Dn], or
    [N, D1..Dn, C] with `channels_last`; `weight` is [O, C / groups, K1..Kn] in both
    cases. With `groups`, output channel `o` sees only the input channels of its
    group. Integers wrap around; narrow floats accumulate in f32.

    ```mlir
    %y = nn.conv %x, %w bias %b {strides = array<i64: 2, 2>, dilations = array<i64: 1, 1>,
                                 pads = array<i64: 1, 1, 1, 1>}
        : (tensor<?x3x224x224xf32>, tensor<64x3x3x3xf32>, tensor<64xf32>) -> tensor<?x64x112x112xf32>
    ```
  }];
  let arguments = (ins NN_NumberTensor:$input, NN_NumberTensor:$weight,
                   Optional<NN_NumberTensor>:$bias,
                   DenseI64ArrayAttr:$strides, DenseI64ArrayAttr:$dilations, DenseI64ArrayAttr:$pads,
                   DefaultValuedAttr<NN_AutoPad, "::nacre::nn::AutoPad::NotSet">:$auto_pad,
                   DefaultValuedAttr<I64Attr, "1">:$groups, UnitAttr:$channels_last);
  let results = (outs NN_NumberTensor:$result);
  let assemblyFormat = [{
    $input `,` $weight (`bias` $bias^)? (`auto_pad` $auto_pad^)? attr-dict
    `:` functional-type(operands, results)
  }];
}

#endif // NACRE_DIALECTS_NN_NNSPATIALOPS_TD
