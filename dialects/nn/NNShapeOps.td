//===- NNShapeOps.td - Ops that move elements -------------------*- tablegen -*-===//
#ifndef NACRE_DIALECTS_NN_NNSHAPEOPS_TD
#define NACRE_DIALECTS_NN_NNSHAPEOPS_TD

include "dialects/nn/NNBase.td"

// An op whose result elements are copies of operand elements: folds by one folder.
class NN_MovementOp<string mnemonic, list<Trait> traits = []>
    : NN_TensorOp<mnemonic, !listconcat([
        DeclareOpInterfaceMethods<NN_MovementOpInterface>,
        DeclareOpInterfaceMethods<NN_KernelOpInterface, ["getKernelRole"]>], traits)> {
  let hasFolder = 1;
}

def NN_TransposeOp : NN_MovementOp<"transpose", [NN_Differentiable]> {
  let summary = "Permutes dimensions";
  let description = [{
    Dimension `i` of the result is dimension `permutation[i]` of the input.

    ```mlir
    %y = nn.transpose %x {permutation = array<i64: 0, 2, 1>} : (tensor<2x3x?xf32>) -> tensor<2x?x3xf32>
    ```
  }];
  let arguments = (ins NN_AnyTensor:$input, DenseI64ArrayAttr:$permutation);
  let results = (outs NN_AnyTensor:$result);
  let assemblyFormat = "$input attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def NN_BroadcastOp : NN_MovementOp<"broadcast", [NN_Differentiable, NN_HasShapeOperands, NN_IsChecked]> {
  let summary = "Stretches a tensor to a shape";
  let description = [{
    NumPy broadcasting of `input` to exactly `shape`, whose length is static and at
    least the input's rank. A dimension that is neither 1 nor the wanted size is an
    error: at compile time where both are known, else a status of the run.

    ```mlir
    %y = nn.broadcast %x, %shape : (tensor<?x1xf32>, tensor<3xi64>) -> tensor<4x?x?xf32>
    ```
  }];
  let arguments = (ins NN_AnyTensor:$input, NN_IndexVector:$shape);
  let results = (outs NN_AnyTensor:$result);
  let assemblyFormat = "$input `,` $shape attr-dict `:` functional-type(operands, results)";
}

def NN_ShapeOp : NN_TensorOp<"shape", [DeclareOpInterfaceMethods<NN_ScalarsOpInterface>,
    DeclareOpInterfaceMethods<NN_KernelOpInterface, ["getKernelRole"]>]> {
  let summary = "The sizes of a tensor as an i64 vector";
  let description = [{
    ```mlir
    %s = nn.shape %x : (tensor<?x3xf32>) -> tensor<2xi64>
    ```
  }];
  let arguments = (ins NN_AnyTensor:$input);
  let results = (outs NN_IndexVector:$result);
  let assemblyFormat = "$input attr-dict `:` functional-type(operands, results)";
  let hasFolder = 1;
}

def NN_SizeOp : NN_TensorOp<"size", [DeclareOpInterfaceMethods<NN_ScalarsOpInterface>,
    DeclareOpInterfaceMethods<NN_KernelOpInterface, ["getKernelRole"]>]> {
  let summary = "The number of elements of a tensor as an i64 scalar";
  let description = [{
    ```mlir
    %n = nn.size %x : (tensor<?x3xf32>) -> tensor<i64>
    ```
  }];
  let arguments = (ins NN_AnyTensor:$input);
  let results = (outs RankedTensorOf<[I64]>:$result);
  let assemblyFormat = "$input attr-dict `:` functional-type(operands, results)";
  let hasFolder = 1;
}

//===----------------------------------------------------------------------===//
// Views: the same elements in the same order under another shape. They stay on the
// host side as tensor.collapse_shape and tensor.expand_shape and cost nothing.
//===----------------------------------------------------------------------===//

def NN_ReshapeOp : NN_MovementOp<"reshape", [NN_Differentiable, NN_IsChecked,
    DeclareOpInterfaceMethods<NN_ShapeOperandsOpInterface, ["resolveShapeOperands"]>]> {
  let summary = "The same elements under another shape";
  let description = [{
    The length of `shape` is static and is the result's rank. One size may be -1: it
    takes what is left. A size of 0 is the input's size at the same place, unless
    `allowzero`, where it is a size of 0. With `exact`, sizes are what they are: none
    is -1 or copied. Another number of elements is an error: at compile time where it
    is known, else a status of the run.

    ```mlir
    %s = nn.constant dense<[0, -1, 64]> : tensor<3xi64>
    %y = nn.reshape %x, %s : (tensor<?x768xf32>, tensor<3xi64>) -> tensor<?x12x64xf32>
    ```
  }];
  let arguments = (ins NN_AnyTensor:$input, NN_IndexVector:$shape, UnitAttr:$allowzero, UnitAttr:$exact);
  let results = (outs NN_AnyTensor:$result);
  let assemblyFormat = "$input `,` $shape attr-dict `:` functional-type(operands, results)";
}

def NN_SqueezeOp : NN_MovementOp<"squeeze", [NN_Differentiable, NN_IsChecked]> {
  let summary = "Drops dimensions of size 1";
  let description = [{
    `axes` are the input's dimensions to drop, in rising order; each has size 1, which
    is checked at run time where it is dynamic.

    ```mlir
    %y = nn.squeeze %x {axes = array<i64: 0, 2>} : (tensor<1x4x?xf32>) -> tensor<4xf32>
    ```
  }];
  let arguments = (ins NN_AnyTensor:$input, DenseI64ArrayAttr:$axes);
  let results = (outs NN_AnyTensor:$result);
  let assemblyFormat = "$input attr-dict `:` functional-type(operands, results)";
}

def NN_UnsqueezeOp : NN_MovementOp<"unsqueeze", [NN_Differentiable]> {
  let summary = "Inserts dimensions of size 1";
  let description = [{
    `axes` are the result's dimensions that are new, in rising order.

    ```mlir
    %y = nn.unsqueeze %x {axes = array<i64: 0, 2>} : (tensor<4xf32>) -> tensor<1x4x1xf32>
    ```
  }];
  let arguments = (ins NN_AnyTensor:$input, DenseI64ArrayAttr:$axes);
  let results = (outs NN_AnyTensor:$result);
  let assemblyFormat = "$input attr-dict `:` functional-type(operands, results)";
}

def NN_CollapseOp : NN_MovementOp<"collapse", [NN_Differentiable]> {
  let summary = "Merges neighbouring dimensions into one";
  let description = [{
    Dimensions `begin` up to, not including, `end` become one. None at all (`begin`
    equal to `end`) become a new dimension of size 1 at `begin`.

    ```mlir
    %y = nn.collapse %x from 1 to 3 : (tensor<?x4x5xf32>) -> tensor<?x20xf32>
    ```
  }];
  let arguments = (ins NN_AnyTensor:$input, I64Attr:$begin, I64Attr:$end);
  let results = (outs NN_AnyTensor:$result);
  let assemblyFormat = "$input `from` $begin `to` $end attr-dict `:` functional-type(operands, results)";
}

//===----------------------------------------------------------------------===//
// Parts of tensors
//===----------------------------------------------------------------------===//

def NN_SliceOp : NN_MovementOp<"slice", [NN_Differentiable, NN_HasShapeOperands, NN_IsChecked]> {
  let summary = "Every step-th element from start to end, in each dimension";
  let description = [{
    `starts`, `ends` and `steps` have one number for each dimension. Negative starts
    and ends count from the end; then both are clamped as NumPy and ONNX do. A
    negative step goes backwards. A step of 0 is an error.

    ```mlir
    %y = nn.slice %x, %starts, %ends, %steps
        : (tensor<8x?xf32>, tensor<2xi64>, tensor<2xi64>, tensor<2xi64>) -> tensor<4x?xf32>
    ```
  }];
  let arguments = (ins NN_AnyTensor:$input, NN_IndexVector:$starts, NN_IndexVector:$ends,
                   NN_IndexVector:$steps);
  let results = (outs NN_AnyTensor:$result);
  let assemblyFormat = "$input `,` $starts `,` $ends `,` $steps attr-dict `:` functional-type(operands, results)";
  let extraClassDeclaration = NN_InferredTypes.declaration # [{
    /// What is taken of dimension `i`.
    ::nacre::nn::SliceRange getRange(::mlir::OpBuilder &b, int64_t i);
  }];
}

def NN_ConcatOp : NN_MovementOp<"concat", [NN_Differentiable, NN_IsChecked]> {
  let summary = "Tensors one after the other along a dimension";
  let description = [{
    ```mlir
    %y = nn.concat %a, %b along 1 : (tensor<2x3xf32>, tensor<2x?xf32>) -> tensor<2x?xf32>
    ```
  }];
  let arguments = (ins Variadic<NN_AnyTensor>:$inputs, I64Attr:$axis);
  let results = (outs NN_AnyTensor:$result);
  let assemblyFormat = "$inputs `along` $axis attr-dict `:` functional-type(operands, results)";
}

def NN_PadMode : I32Enum<"PadMode", "what stands in the padding", [
    I32EnumCase<"Constant", 0, "constant">, I32EnumCase<"Edge", 1, "edge">,
    I32EnumCase<"Reflect", 2, "reflect">, I32EnumCase<"Wrap", 3, "wrap">]> {
  let cppNamespace = "::nacre::nn";
}

def NN_PadOp : NN_MovementOp<"pad", [NN_Differentiable, NN_HasShapeOperands, NN_IsChecked]> {
  let summary = "Adds to, or takes from, the ends of each dimension";
  let description = [{
    `pads` holds what is added before each dimension, then what is added after each;
    negative numbers take away. The new elements are `value` (`constant`), the
    nearest element (`edge`), the input mirrored without repeating the edge
    (`reflect`) or the input from its other end (`wrap`). Sizes below 0 become 0.

    ```mlir
    %p = nn.constant dense<[0, 1, 0, -2]> : tensor<4xi64>
    %y = nn.pad %x, %p, %zero constant : (tensor<2x8xf32>, tensor<4xi64>, tensor<f32>) -> tensor<2x7xf32>
    ```
  }];
  let arguments = (ins NN_AnyTensor:$input, NN_IndexVector:$pads, NN_AnyTensor:$value,
                   EnumProp<NN_PadMode>:$mode);
  let results = (outs NN_AnyTensor:$result);
  let assemblyFormat = "$input `,` $pads `,` $value $mode attr-dict `:` functional-type(operands, results)";
}

#endif // NACRE_DIALECTS_NN_NNSHAPEOPS_TD
