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
        DeclareOpInterfaceMethods<NN_KernelOpInterface, ["getKernelRole", "buildFlops"]>,
        DeclareOpInterfaceMethods<NN_CheckedOpInterface>,
        DeclareOpInterfaceMethods<NN_LayoutOpInterface>], traits)> {
  code layoutMethods = [{
    bool $cppClass::isChannelsLast() { return getChannelsLast(); }
    void $cppClass::setChannelsLast() { setChannelsLastAttr(::mlir::UnitAttr::get(getContext())); }
  }];
  let extraClassDefinition = layoutMethods;
  code twoLayoutOperands = [{
    ::llvm::SmallVector<unsigned> getLayoutOperands() { return {0u, 1u}; }
  }];
}

def NN_ConvOp : NN_WindowOp<"conv", [NN_Differentiable, NN_ComputesNarrow, DeclareOpInterfaceMethods<NN_ScalableOpInterface>]> {
  let summary = "Convolution over one or more spatial dimensions";
  let description = [{
    `result[n, o, y...] = bias[o] + sum over c, k... of
    input[n, c, y * stride + k * dilation - pad...] * weight[o, c, k...]`,
    where elements outside the input are 0. `input` is [N, C, D1..Dn], or
    [N, D1..Dn, C] with `channels_last`; `weight` is [O, C / groups, K1..Kn] in both
    cases. With `groups`, output channel `o` sees only the input channels of its
    group. Integers wrap around, those of 8 bits, signed or not, in a result (and with a bias) of
    i32; narrow floats accumulate in f32.

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

def NN_ConvTransposeOp : NN_WindowOp<"conv_transpose", [NN_Differentiable, NN_ComputesNarrow]> {
  let summary = "Transposed convolution";
  let description = [{
    Each element of the input is scattered over a window of the result:
    `result[n, o, i * stride + k * dilation - pad...] += input[n, c, i...] * weight[c, o, k...]`,
    plus `bias[o]`. `weight` is [C, O / groups, K1..Kn]. The result has
    `stride * (size - 1) + output_padding + (k - 1) * dilation + 1 - pad_begin - pad_end`
    places. With `output_shape` (or `auto_pad`, where it is size * stride) the places
    are given instead, and what is too much is cut off: half of it before, an odd
    element before too, but with same_upper after.

    ```mlir
    %y = nn.conv_transpose %x, %w {strides = array<i64: 2>, dilations = array<i64: 1>,
                                   pads = array<i64: 0, 0>, output_padding = array<i64: 1>}
        : (tensor<1x8x5xf32>, tensor<8x4x3xf32>) -> tensor<1x4x12xf32>
    ```
  }];
  let arguments = (ins NN_NumberTensor:$input, NN_NumberTensor:$weight,
                   Optional<NN_NumberTensor>:$bias,
                   DenseI64ArrayAttr:$strides, DenseI64ArrayAttr:$dilations, DenseI64ArrayAttr:$pads,
                   DenseI64ArrayAttr:$output_padding, OptionalAttr<DenseI64ArrayAttr>:$output_shape,
                   DefaultValuedAttr<NN_AutoPad, "::nacre::nn::AutoPad::NotSet">:$auto_pad,
                   DefaultValuedAttr<I64Attr, "1">:$groups, UnitAttr:$channels_last);
  let results = (outs NN_NumberTensor:$result);
  let assemblyFormat = [{
    $input `,` $weight (`bias` $bias^)? (`auto_pad` $auto_pad^)? attr-dict
    `:` functional-type(operands, results)
  }];
}

//===----------------------------------------------------------------------===//
// Pooling
//===----------------------------------------------------------------------===//

// A window of static size, reduced for each channel. Types and sizes are inferred
// once, in NNPool.cpp.
class NN_PoolOp<string mnemonic, list<Trait> traits = []> : NN_WindowOp<mnemonic, traits> {
  dag windowArguments = (ins DenseI64ArrayAttr:$kernel, DenseI64ArrayAttr:$strides,
    DenseI64ArrayAttr:$dilations, DenseI64ArrayAttr:$pads,
    DefaultValuedAttr<NN_AutoPad, "::nacre::nn::AutoPad::NotSet">:$auto_pad,
    UnitAttr:$ceil_mode, UnitAttr:$channels_last);
  let arguments = !con((ins NN_NumberTensor:$input), windowArguments);
  let results = (outs NN_NumberTensor:$result);
  let assemblyFormat = [{
    $input (`auto_pad` $auto_pad^)? attr-dict `:` functional-type(operands, results)
  }];
}

def NN_MaxPoolOp : NN_PoolOp<"max_pool", [NN_Differentiable, NN_KeepsPrecision]> {
  let summary = "The largest element in each window";
  let kinks = "the first of equal elements in a window gets all";
  let description = [{
    The window has `kernel` elements, `dilations` apart, and moves by `strides`.
    Padding does not count. With `ceil_mode` the last window may hang over the end,
    if it starts in the input or in the padding before it. NaN in, NaN out; a window
    with nothing but padding gives the type's smallest value.

    ```mlir
    %y = nn.max_pool %x {kernel = array<i64: 3, 3>, strides = array<i64: 2, 2>,
                         dilations = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>}
        : (tensor<?x64x112x112xf32>) -> tensor<?x64x56x56xf32>
    ```
  }];
}

def NN_MaxPoolWithIndicesOp : NN_PoolOp<"max_pool_with_indices", [NN_Differentiable, NN_KeepsPrecision]> {
  let summary = "The largest element in each window, and where it stands";
  let kinks = "the first of equal elements in a window gets all";
  let description = [{
    As `nn.max_pool`. The indices are places in the input as if it were laid out
    [N, C, D1..Dn], last dimension fastest; with `column_major` the spatial dimensions
    count the first as fastest. Of equal elements the first counts.

    ```mlir
    %y, %i = nn.max_pool_with_indices %x {kernel = array<i64: 2>, strides = array<i64: 2>,
                                          dilations = array<i64: 1>, pads = array<i64: 0, 0>}
        : (tensor<1x3x8xf32>) -> (tensor<1x3x4xf32>, tensor<1x3x4xi64>)
    ```
  }];
  let arguments = !con((ins NN_NumberTensor:$input), windowArguments, (ins UnitAttr:$column_major));
  let results = (outs NN_NumberTensor:$result, NN_IntTensor:$indices);
}

def NN_MaxPoolTapsOp : NN_PoolOp<"max_pool_taps"> {
  let summary = "Which element of each window is the largest";
  let noGradient = "its result is integers";
  let description = [{
    The taps of a window are its elements, counted in row-major order over `kernel` from 0.
    `result` has for each window of `input` the first tap whose element is `pooled`, what
    `nn.max_pool` makes of the window, or a NaN; the number of taps if there is none. The
    element type is i8 where that number fits into it, and i32 elsewhere.

    ```mlir
    %t = nn.max_pool_taps %x, %y {kernel = array<i64: 2>, strides = array<i64: 2>,
                                  dilations = array<i64: 1>, pads = array<i64: 0, 0>}
        : (tensor<1x3x8xf32>, tensor<1x3x4xf32>) -> tensor<1x3x4xi8>
    ```
  }];
  let arguments = !con((ins NN_FloatTensor:$input, NN_FloatTensor:$pooled), windowArguments);
  let results = (outs NN_IntTensor:$result);
  let hasVerifier = 1;
  let assemblyFormat = [{
    $input `,` $pooled (`auto_pad` $auto_pad^)? attr-dict `:` functional-type(operands, results)
  }];
  let extraClassDeclaration = NN_InferredTypes.declaration # twoLayoutOperands;
}

def NN_ScatterTapsOp : NN_PoolOp<"scatter_taps", [NN_Differentiable, NN_HasShapeOperands, NN_KeepsPrecision]> {
  let summary = "Adds an element for each window to one of the window's elements";
  let description = [{
    The adjoint of taking the element `taps` (see `nn.max_pool_taps`) of each window of a
    tensor with the spatial `sizes`: the result has zeros, to which `input`, with an element
    for each window, is added where the window's tap stands. What falls into the padding is
    left out, and so is a window whose tap is not one.

    ```mlir
    %dx = nn.scatter_taps %dy, %t, %sizes {kernel = array<i64: 2>, strides = array<i64: 2>,
                                           dilations = array<i64: 1>, pads = array<i64: 0, 0>}
        : (tensor<1x3x4xf32>, tensor<1x3x4xi8>, tensor<1xi64>) -> tensor<1x3x8xf32>
    ```
  }];
  let arguments = !con((ins NN_FloatTensor:$input, NN_IntTensor:$taps, NN_IndexVector:$sizes), windowArguments);
  let results = (outs NN_FloatTensor:$result);
  let hasVerifier = 1;
  let assemblyFormat = [{
    $input `,` $taps `,` $sizes (`auto_pad` $auto_pad^)? attr-dict `:` functional-type(operands, results)
  }];
  let extraClassDeclaration = NN_InferredTypes.declaration # twoLayoutOperands;
}

def NN_AvgPoolOp : NN_PoolOp<"avg_pool", [NN_Differentiable]> {
  let summary = "The mean of each window";
  let description = [{
    Windows as in `nn.max_pool`. The mean is over the elements of the input, with
    `count_include_pad` also over the padding, which is 0 (but never over what a
    window has beyond it in `ceil_mode`). Narrow floats accumulate in f32.

    ```mlir
    %y = nn.avg_pool %x {kernel = array<i64: 7, 7>, strides = array<i64: 1, 1>,
                         dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>}
        : (tensor<1x512x7x7xf32>) -> tensor<1x512x1x1xf32>
    ```
  }];
  let arguments = !con((ins NN_FloatTensor:$input), windowArguments,
                       (ins UnitAttr:$count_include_pad));
  let results = (outs NN_FloatTensor:$result);
}

def NN_LpPoolOp : NN_PoolOp<"lp_pool", [NN_Differentiable]> {
  let summary = "The p-norm of each window";
  let kinks = "0 for a window of zeros";
  let description = [{
    `(sum of |x|^p)^(1/p)`; windows as in `nn.max_pool`. Narrow floats accumulate in f32.

    ```mlir
    %y = nn.lp_pool %x {p = 2, kernel = array<i64: 2>, strides = array<i64: 2>,
                        dilations = array<i64: 1>, pads = array<i64: 0, 0>}
        : (tensor<1x3x8xf32>) -> tensor<1x3x4xf32>
    ```
  }];
  let arguments = !con((ins NN_FloatTensor:$input), windowArguments, (ins I64Attr:$p));
  let hasVerifier = 1;
  let results = (outs NN_FloatTensor:$result);
}

#endif // NACRE_DIALECTS_NN_NNSPATIALOPS_TD
