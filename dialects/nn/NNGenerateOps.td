//===- NNGenerateOps.td - Tensors made of places ----------------*- tablegen -*-===//
//
// Ops whose elements depend on where they stand: ranges, one-hot rows, triangles,
// and what orders or selects elements.
//
//===----------------------------------------------------------------------===//
#ifndef NACRE_DIALECTS_NN_NNGENERATEOPS_TD
#define NACRE_DIALECTS_NN_NNGENERATEOPS_TD

include "dialects/nn/NNBase.td"

def NN_IndexScalar : RankedTensorOf<[I64]>;
def NN_HasKernelRole : DeclareOpInterfaceMethods<NN_KernelOpInterface, ["getKernelRole"]>;

def NN_RangeOp : NN_TensorOp<"range", [NN_Differentiable, DeclareOpInterfaceMethods<NN_ScalarsOpInterface>, NN_HasKernelRole, NN_HasShapeOperands, NN_IsChecked]> {
  let summary = "Numbers at equal distances";
  let description = [{
    `result[i] = start + i * delta`, `count` of them. All operands are scalars.

    ```mlir
    %y = nn.range from %start by %delta count %n : (tensor<f32>, tensor<f32>, tensor<i64>) -> tensor<?xf32>
    ```
  }];
  let arguments = (ins NN_NumberTensor:$start, NN_NumberTensor:$delta, NN_IndexScalar:$count);
  let results = (outs NN_NumberTensor:$result);
  let assemblyFormat = "`from` $start `by` $delta `count` $count attr-dict `:` functional-type(operands, results)";
  let hasFolder = 1;
}

def NN_OneHotOp : NN_TensorOp<"one_hot", [NN_Differentiable, NN_HasKernelRole, NN_HasShapeOperands, NN_IsChecked]> {
  let summary = "A row for each index, one element of it different";
  let description = [{
    A new dimension of size `depth` at `axis` of the result. An element is `values[1]`
    where its place in that dimension is the index, else `values[0]`. Negative indices
    count from the end; those outside of [-depth, depth) name no place.

    ```mlir
    %y = nn.one_hot %i, %depth, %values at 1
        : (tensor<4xi64>, tensor<i64>, tensor<2xf32>) -> tensor<4x?xf32>
    ```
  }];
  let arguments = (ins NN_NumberTensor:$indices, NN_IndexScalar:$depth, NN_AnyTensor:$values, I64Attr:$axis);
  let results = (outs NN_AnyTensor:$result);
  let assemblyFormat = "$indices `,` $depth `,` $values `at` $axis attr-dict `:` functional-type(operands, results)";
}

def NN_Triangle : I32Enum<"Triangle", "a part of a matrix", [
    I32EnumCase<"Lower", 0, "lower">, I32EnumCase<"Upper", 1, "upper">]> {
  let cppNamespace = "::nacre::nn";
}

def NN_TriluOp : NN_TensorOp<"trilu", [NN_Differentiable, NN_HasKernelRole, NN_HasShapeOperands]> {
  let summary = "The upper or the lower triangle of matrices, zeros elsewhere";
  let description = [{
    Keeps the elements of the last two dimensions with `column - row >= k` (`upper`)
    or `<= k` (`lower`). A string's zero is the empty one.

    ```mlir
    %y = nn.trilu %x, %k upper : (tensor<?x8x8xf32>, tensor<i64>) -> tensor<?x8x8xf32>
    ```
  }];
  let arguments = (ins NN_AnyTensor:$input, NN_IndexScalar:$k, EnumProp<NN_Triangle>:$triangle);
  let results = (outs NN_AnyTensor:$result);
  let assemblyFormat = "$input `,` $k $triangle attr-dict `:` functional-type(operands, results)";
}

def NN_ReverseSequenceOp : NN_TensorOp<"reverse_sequence", [NN_Differentiable, NN_HasKernelRole, NN_IsChecked]> {
  let summary = "Reverses the first elements of each sequence of a batch";
  let description = [{
    In entry `b` of dimension `batch_axis`, the first `lengths[b]` elements along
    `time_axis` are reversed, the others stay. A length that is negative or beyond the
    sequence's is an error.

    ```mlir
    %y = nn.reverse_sequence %x, %n {batch_axis = 1 : i64, time_axis = 0 : i64}
        : (tensor<8x4x?xf32>, tensor<4xi64>) -> tensor<8x4x?xf32>
    ```
  }];
  let arguments = (ins NN_AnyTensor:$input, NN_IndexVector:$lengths, I64Attr:$batch_axis, I64Attr:$time_axis);
  let results = (outs NN_AnyTensor:$result);
  let assemblyFormat = "$input `,` $lengths attr-dict `:` functional-type(operands, results)";
}

def NN_RandomOp : NN_TensorOp<"random", [NN_HasKernelRole, NN_HasShapeOperands, NN_IsChecked]> {
  let summary = "Random numbers, equally likely in [0, 1)";
  let noGradient = "depends on nothing";
  let description = [{
    Each element is the output of a counter-based generator, Philox4x32-10 (Salmon et
    al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011), for the counter
    (place of the element in row-major order, `stream`) under `key`: the same numbers
    whoever computes them, in whichever order. Ops with equal operands and attributes
    give equal numbers; what shall be independent differs in `key` (which changes from
    run to run: `rt.seed`, `rt.run`) or in `stream`. Multiples of 2^-24 in f32, of 2^-52
    in f64. Never folded, as no key is known at compile time.

    ```mlir
    %y = nn.random %key, %shape stream 3 of f32 : (i64, tensor<2xi64>) -> tensor<?x8xf32>
    ```
  }];
  let arguments = (ins I64:$key, NN_IndexVector:$shape, I64Attr:$stream, TypeAttr:$element);
  let results = (outs NN_FloatTensor:$result);
  let assemblyFormat = "$key `,` $shape `stream` $stream `of` $element attr-dict `:` functional-type(operands, results)";
}

//===----------------------------------------------------------------------===//
// Order and choice. What they find decides how large results are: counts are
// results, which host code reads before it makes room for what depends on them.
//===----------------------------------------------------------------------===//

def NN_CountedTensor : RankedTensorOf<[NN_Element, NN_StringType]>;

def NN_CountNonZeroOp : NN_TensorOp<"count_non_zero", [NN_HasKernelRole]> {
  let summary = "How many elements are not zero, as an i64 scalar";
  let description = [{
    Of strings, how many are not empty.

    ```mlir
    %n = nn.count_non_zero %x : (tensor<?x?xf32>) -> tensor<i64>
    ```
  }];
  let arguments = (ins NN_CountedTensor:$input);
  let results = (outs NN_IndexScalar:$count);
  let assemblyFormat = "$input attr-dict `:` functional-type(operands, results)";
}

def NN_NonZeroOp : NN_TensorOp<"non_zero", [NN_HasKernelRole, NN_HasShapeOperands, NN_IsChecked]> {
  let summary = "Where the elements stand that are not zero";
  let description = [{
    Column `i` of the result is the index of the `i`-th such element in row-major
    order; rows are dimensions. `count` is what `nn.count_non_zero` says.

    ```mlir
    %i = nn.non_zero %x, %n : (tensor<?x?xf32>, tensor<i64>) -> tensor<2x?xi64>
    ```
  }];
  let arguments = (ins NN_CountedTensor:$input, NN_IndexScalar:$count);
  let results = (outs RankedTensorOf<[I64]>:$result);
  let assemblyFormat = "$input `,` $count attr-dict `:` functional-type(operands, results)";
}

def NN_TopKOrder : I32Enum<"TopKOrder", "which elements come first", [
    I32EnumCase<"Smallest", 0, "smallest">, I32EnumCase<"Largest", 1, "largest">]> {
  let cppNamespace = "::nacre::nn";
}

def NN_TopKOp : NN_TensorOp<"top_k", [NN_Differentiable, NN_HasKernelRole, NN_HasShapeOperands, NN_IsChecked]> {
  let summary = "The k largest or smallest elements along a dimension";
  let kinks = "those that are chosen get it";
  let description = [{
    In order, and of equal ones those with the lower index first. NaN is larger than
    every number. `indices` tells where each stood along `axis`.

    ```mlir
    %v, %i = nn.top_k %x, %k along 1 largest : (tensor<?x1000xf32>, tensor<i64>) -> (tensor<?x?xf32>, tensor<?x?xi64>)
    ```
  }];
  let arguments = (ins NN_NumberTensor:$input, NN_IndexScalar:$k, I64Attr:$axis,
                   EnumProp<NN_TopKOrder>:$order);
  let results = (outs NN_NumberTensor:$values, RankedTensorOf<[I64]>:$indices);
  let assemblyFormat = "$input `,` $k `along` $axis $order attr-dict `:` functional-type(operands, results)";
}

def NN_UniqueOp : NN_TensorOp<"unique", [NN_HasKernelRole]> {
  let summary = "Which slices along the first dimension are different";
  let description = [{
    Slices are compared element by element; NaN equals NaN here. Sorted by value
    (`sorted`), or in the order in which they first occur. With m the number of
    slices and n = `count` of them different: `first[0..n-1]` are the places of the
    first occurrence of each, `repeats[0..n-1]` how often it occurs, the rest of both
    is 0; `inverse[i]` is the number of slice `i` among the different ones.

    ```mlir
    %first, %inverse, %repeats, %n = nn.unique %x sorted
        : (tensor<?x3xf32>) -> (tensor<?xi64>, tensor<?xi64>, tensor<?xi64>, tensor<i64>)
    ```
  }];
  let arguments = (ins NN_Tensor:$input, UnitAttr:$sorted);
  let results = (outs RankedTensorOf<[I64]>:$first, RankedTensorOf<[I64]>:$inverse,
                      RankedTensorOf<[I64]>:$repeats, NN_IndexScalar:$count);
  let assemblyFormat = "$input (`sorted` $sorted^)? attr-dict `:` functional-type(operands, results)";
}

def NN_NonMaxSuppressionOp : NN_TensorOp<"non_max_suppression", [NN_HasKernelRole, NN_HasShapeOperands, NN_IsChecked]> {
  let summary = "The best boxes that do not overlap too much";
  let noGradient = "gives places";
  let description = [{
    `boxes` is [batches, boxes, 4], `scores` is [batches, classes, boxes]. For each
    batch and class, boxes are taken by falling score (of equal ones the first), if
    the score is above `score_threshold` and the intersection over union with every
    box taken before is at most `iou_threshold`, `max_boxes` at most. Corners are
    [y1, x1, y2, x2] of any two opposite corners, or [x, y, width, height] with
    `center_point_box`. The first `count` rows of `selected` are
    [batch, class, box]; the rest is 0. All other operands are scalars.

    ```mlir
    %s, %n = nn.non_max_suppression %boxes, %scores, %max, %iou, %score
        : (tensor<1x?x4xf32>, tensor<1x80x?xf32>, tensor<i64>, tensor<f32>, tensor<f32>)
        -> (tensor<?x3xi64>, tensor<i64>)
    ```
  }];
  let arguments = (ins RankedTensorOf<[F32]>:$boxes, RankedTensorOf<[F32]>:$scores, NN_IndexScalar:$max_boxes,
                   RankedTensorOf<[F32]>:$iou_threshold, RankedTensorOf<[F32]>:$score_threshold,
                   UnitAttr:$center_point_box);
  let results = (outs RankedTensorOf<[I64]>:$selected, NN_IndexScalar:$count);
  let assemblyFormat = [{
    $boxes `,` $scores `,` $max_boxes `,` $iou_threshold `,` $score_threshold attr-dict
    `:` functional-type(operands, results)
  }];
}

#endif // NACRE_DIALECTS_NN_NNGENERATEOPS_TD
