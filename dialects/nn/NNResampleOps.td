//===- NNResampleOps.td - Interpolation between elements --------*- tablegen -*-===//
#ifndef NACRE_DIALECTS_NN_NNRESAMPLEOPS_TD
#define NACRE_DIALECTS_NN_NNRESAMPLEOPS_TD

include "dialects/nn/NNBase.td"
include "dialects/nn/NNGenerateOps.td"

def NN_Interpolation : I32Enum<"Interpolation", "how values between elements are made", [
    I32EnumCase<"Nearest", 0, "nearest">, I32EnumCase<"Linear", 1, "linear">, I32EnumCase<"Cubic", 2, "cubic">]> {
  let cppNamespace = "::nacre::nn";
}

def NN_CoordinateMode : I32Enum<"CoordinateMode", "where in the input a place of the result lies", [
    I32EnumCase<"HalfPixel", 0, "half_pixel">, I32EnumCase<"HalfPixelSymmetric", 1, "half_pixel_symmetric">,
    I32EnumCase<"PytorchHalfPixel", 2, "pytorch_half_pixel">, I32EnumCase<"AlignCorners", 3, "align_corners">,
    I32EnumCase<"Asymmetric", 4, "asymmetric">, I32EnumCase<"TfHalfPixelForNn", 5, "tf_half_pixel_for_nn">,
    I32EnumCase<"TfCropAndResize", 6, "tf_crop_and_resize">]> {
  let cppNamespace = "::nacre::nn";
}

def NN_NearestMode : I32Enum<"NearestMode", "which of two neighbours is the nearest", [
    I32EnumCase<"RoundPreferFloor", 0, "round_prefer_floor">, I32EnumCase<"RoundPreferCeil", 1, "round_prefer_ceil">,
    I32EnumCase<"Floor", 2, "floor">, I32EnumCase<"Ceil", 3, "ceil">, I32EnumCase<"Simple", 4, "simple">]> {
  let cppNamespace = "::nacre::nn";
}

def NN_ResizeTableOp : NN_TensorOp<"resize_table", [NN_HasKernelRole, NN_HasShapeOperands, NN_IsChecked]> {
  let summary = "Which elements a place of a resized dimension is made of";
  let noGradient = "sizes and scales are taken as given";
  let description = [{
    For a dimension of `size` elements that becomes one of `count`: for each place the
    `taps` elements that it is made of, their weights, and whether it lies outside of
    the input (`tf_crop_and_resize` only). All operands are scalars but `region`,
    which holds begin and end of a part of the input in units of its size. Positions
    are clamped to the input; `exclude_outside` gives those outside no weight. With
    `antialias`, a dimension that shrinks is smoothed over all elements that it
    covers: `taps` must then be at least the support's size. Without `scale` it is
    `count / size`. The nearest element by `simple` is the one before the place or, where the
    dimension shrinks, the one behind it.

    ```mlir
    %indices, %weights, %outside = nn.resize_table %size, %count, %region, %taps scale %scale linear half_pixel floor
        : (tensor<i64>, tensor<i64>, tensor<2xf64>, tensor<i64>, tensor<f64>)
        -> (tensor<?x?xi64>, tensor<?x?xf32>, tensor<?xi1>)
    ```
  }];
  let arguments = (ins NN_IndexScalar:$size, NN_IndexScalar:$count,
                   RankedTensorOf<[F64]>:$region, NN_IndexScalar:$taps, Optional<RankedTensorOf<[F64]>>:$scale,
                   EnumProp<NN_Interpolation>:$interpolation, EnumProp<NN_CoordinateMode>:$coordinates,
                   EnumProp<NN_NearestMode>:$nearest, DefaultValuedAttr<F64Attr, "-0.75">:$cubic_coefficient,
                   UnitAttr:$exclude_outside, UnitAttr:$antialias);
  let results = (outs RankedTensorOf<[I64]>:$indices, RankedTensorOf<[F32]>:$weights,
                      RankedTensorOf<[I1]>:$outside);
  let extraClassDeclaration = NN_InferredTypes.declaration # [{
    /// Whether each place is known to be the element of the same number.
    bool isIdentity();
  }];
  let assemblyFormat = [{
    $size `,` $count `,` $region `,` $taps (`scale` $scale^)? $interpolation $coordinates $nearest attr-dict
    `:` functional-type(operands, results)
  }];
}

def NN_ResampleOp : NN_TensorOp<"resample", [NN_Differentiable, NN_HasKernelRole, NN_IsChecked]> {
  let summary = "Weighted sums of elements along a dimension";
  let noGradient = "the weights are taken as given";
  let description = [{
    `result[a..., o, b...] = sum over t of weights[o, t] * input[a..., indices[o, t], b...]`,
    computed in f32 (f64 for f64). Indices are clamped to the input.

    ```mlir
    %y = nn.resample %x, %indices, %weights along 2
        : (tensor<1x3x8x8xf32>, tensor<16x2xi64>, tensor<16x2xf32>) -> tensor<1x3x16x8xf32>
    ```
  }];
  let hasFolder = 1;
  let arguments = (ins NN_FloatTensor:$input, RankedTensorOf<[I64]>:$indices, RankedTensorOf<[F32]>:$weights,
                   I64Attr:$axis);
  let results = (outs NN_FloatTensor:$result);
  let assemblyFormat = "$input `,` $indices `,` $weights `along` $axis attr-dict `:` functional-type(operands, results)";
}

def NN_GridPadding : I32Enum<"GridPadding", "what stands outside of the input", [
    I32EnumCase<"Zeros", 0, "zeros">, I32EnumCase<"Border", 1, "border">, I32EnumCase<"Reflection", 2, "reflection">]> {
  let cppNamespace = "::nacre::nn";
}

def NN_GridSampleOp : NN_TensorOp<"grid_sample", [NN_Decomposable, NN_HasKernelRole, NN_IsChecked]> {
  let summary = "The input at places that a grid names";
  let description = [{
    `input` is [N, C, D1..Dn], `grid` is [N, O1..On, n]; the result is [N, C, O1..On].
    A place of the grid holds coordinates in [-1, 1], of the last dimension first;
    with `in_elements` they are positions of elements, from 0 on.

    ```mlir
    %y = nn.grid_sample %x, %grid linear zeros
        : (tensor<1x3x8x8xf32>, tensor<1x4x4x2xf32>) -> tensor<1x3x4x4xf32>
    ```
  }];
  let arguments = (ins NN_FloatTensor:$input, NN_FloatTensor:$grid, EnumProp<NN_Interpolation>:$interpolation,
                   EnumProp<NN_GridPadding>:$padding, UnitAttr:$align_corners, UnitAttr:$in_elements);
  let results = (outs NN_FloatTensor:$result);
  let assemblyFormat = "$input `,` $grid $interpolation $padding attr-dict `:` functional-type(operands, results)";
}

def NN_RoiReduction : I32Enum<"RoiReduction", "how the samples of a cell are joined", [
    I32EnumCase<"Average", 0, "average">, I32EnumCase<"Max", 1, "max">]> {
  let cppNamespace = "::nacre::nn";
}

def NN_RoiAlignOp : NN_TensorOp<"roi_align", [NN_Differentiable, NN_HasKernelRole, NN_IsChecked,
    DeclareOpInterfaceMethods<NN_IndexedOpInterface>]> {
  let summary = "Regions of images, each sampled to one size";
  let kinks = "the first of equal parts of samples gets all of a maximum";
  let noGradient = "the regions are taken as given";
  let description = [{
    `input` is [N, C, H, W]; row `r` of `rois` is [x1, y1, x2, y2], in image
    `indices[r]`, scaled by `spatial_scale`. Each of the `height` × `width` cells
    of a region joins `sampling_ratio` × `sampling_ratio` bilinear samples (as many as
    the cell is large, rounded up, where that is 0). With `half_pixel` the region is
    moved by half an element.

    ```mlir
    %y = nn.roi_align %x, %rois, %batch average {height = 7 : i64, width = 7 : i64, sampling_ratio = 2 : i64,
                                                 spatial_scale = 0.0625 : f32, half_pixel}
        : (tensor<1x256x?x?xf32>, tensor<?x4xf32>, tensor<?xi64>) -> tensor<?x256x7x7xf32>
    ```
  }];
  let arguments = (ins NN_FloatTensor:$input, NN_FloatTensor:$rois, NN_IntTensor:$indices, I64Attr:$height,
                   I64Attr:$width, I64Attr:$sampling_ratio, F32Attr:$spatial_scale,
                   EnumProp<NN_RoiReduction>:$reduction, UnitAttr:$half_pixel, UnitAttr:$in_bounds);
  let results = (outs NN_FloatTensor:$result);
  let assemblyFormat = "$input `,` $rois `,` $indices $reduction attr-dict `:` functional-type(operands, results)";
}

// What gradients of nn.roi_align are made of: the operands and attributes are its own.
def NN_RoiSpreadOp : NN_TensorOp<"roi_spread", [NN_Differentiable, NN_HasKernelRole, NN_HasShapeOperands, NN_IsChecked]> {
  let summary = "Adds the cells of regions to the elements of images that they are means of";
  let noGradient = "the regions are taken as given";
  let description = [{
    The adjoint of `nn.roi_align` with `average`, as a function of the images: each cell of
    `input` [R, C, height, width] is shared by the elements that its samples are made of,
    as they are weighted there. `sizes` are N, H and W of the images [N, C, H, W]; numbers
    of images beyond them are clamped.

    ```mlir
    %dx = nn.roi_spread %dy, %rois, %batch, %sizes {height = 7 : i64, width = 7 : i64, sampling_ratio = 2 : i64,
                                                    spatial_scale = 0.0625 : f32, half_pixel}
        : (tensor<?x256x7x7xf32>, tensor<?x4xf32>, tensor<?xi64>, tensor<3xi64>) -> tensor<?x256x?x?xf32>
    ```
  }];
  let arguments = (ins NN_FloatTensor:$input, NN_FloatTensor:$rois, NN_IntTensor:$indices, NN_IndexVector:$sizes,
                   I64Attr:$height, I64Attr:$width, I64Attr:$sampling_ratio, F32Attr:$spatial_scale,
                   UnitAttr:$half_pixel);
  let results = (outs NN_FloatTensor:$result);
  let assemblyFormat = [{
    $input `,` $rois `,` $indices `,` $sizes attr-dict `:` functional-type(operands, results)
  }];
}

def NN_RoiAlignPlacesOp : NN_TensorOp<"roi_align_places", [NN_Differentiable, NN_HasKernelRole, NN_IsChecked]> {
  let summary = "Which elements the cells of regions are the largest parts of";
  let noGradient = "gives places, and weights that depend on the regions, which are taken as given";
  let description = [{
    For each cell of `nn.roi_align` with `max`: where the element stands that it is made
    of, counted as if [N, C, H, W] were laid out with the last dimension fastest, and the
    element's weight in its sample, which is 0 if the cell is made of none. The first of
    equal parts counts, and the first NaN if there is one.

    ```mlir
    %i, %weights = nn.roi_align_places %x, %rois, %batch {height = 7 : i64, width = 7 : i64, sampling_ratio = 2 : i64,
                                                          spatial_scale = 0.0625 : f32, half_pixel}
        : (tensor<1x256x?x?xf32>, tensor<?x4xf32>, tensor<?xi64>) -> (tensor<?x256x7x7xi64>, tensor<?x256x7x7xf32>)
    ```
  }];
  let arguments = (ins NN_FloatTensor:$input, NN_FloatTensor:$rois, NN_IntTensor:$indices, I64Attr:$height,
                   I64Attr:$width, I64Attr:$sampling_ratio, F32Attr:$spatial_scale, UnitAttr:$half_pixel);
  let results = (outs RankedTensorOf<[I64]>:$places, NN_FloatTensor:$weights);
  let assemblyFormat = "$input `,` $rois `,` $indices attr-dict `:` functional-type(operands, results)";
}

def NN_MaxRoiPoolOp : NN_TensorOp<"max_roi_pool", [NN_Differentiable, NN_HasKernelRole, NN_IsChecked]> {
  let summary = "Regions of images, the largest element of each cell";
  let kinks = "the first of equal elements in a cell gets all";
  let noGradient = "the regions are taken as given";
  let description = [{
    `input` is [N, C, H, W]; row `r` of `rois` is [image, x1, y1, x2, y2], scaled by
    `spatial_scale` and rounded. Cells without elements give 0; an image that is not
    there is an error.

    ```mlir
    %y = nn.max_roi_pool %x, %rois {height = 2 : i64, width = 2 : i64, spatial_scale = 1.0 : f32}
        : (tensor<1x3x8x8xf32>, tensor<?x5xf32>) -> tensor<?x3x2x2xf32>
    ```
  }];
  let arguments = (ins NN_FloatTensor:$input, NN_FloatTensor:$rois, I64Attr:$height, I64Attr:$width,
                   F32Attr:$spatial_scale);
  let results = (outs NN_FloatTensor:$result);
  let assemblyFormat = "$input `,` $rois attr-dict `:` functional-type(operands, results)";
}

def NN_MaxRoiPoolPlacesOp : NN_TensorOp<"max_roi_pool_places", [NN_HasKernelRole, NN_IsChecked]> {
  let summary = "Where the largest elements of the cells of regions stand";
  let description = [{
    For each cell of `nn.max_roi_pool`: where its element stands, counted as if
    [N, C, H, W] were laid out with the last dimension fastest; -1 if it has none. The
    first of equal elements counts, and the first NaN if there is one.

    ```mlir
    %i = nn.max_roi_pool_places %x, %rois {height = 2 : i64, width = 2 : i64, spatial_scale = 1.0 : f32}
        : (tensor<1x3x8x8xf32>, tensor<?x5xf32>) -> tensor<?x3x2x2xi64>
    ```
  }];
  let arguments = (ins NN_FloatTensor:$input, NN_FloatTensor:$rois, I64Attr:$height, I64Attr:$width,
                   F32Attr:$spatial_scale);
  let results = (outs RankedTensorOf<[I64]>:$result);
  let assemblyFormat = "$input `,` $rois attr-dict `:` functional-type(operands, results)";
}

def NN_Col2ImOp : NN_TensorOp<"col2im", [NN_Differentiable, NN_HasKernelRole, NN_HasShapeOperands, NN_IsChecked]> {
  let summary = "Sums blocks into the image that they were cut from";
  let description = [{
    `input` is [N, C * product of `block`, L], where L is the number of blocks that fit
    the padded image; the result is [N, C, image...]. The lengths of `image` and
    `block` are static. `pads` are begin1..beginn, end1..endn.

    ```mlir
    %y = nn.col2im %x, %image, %block {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>,
                                       pads = array<i64: 0, 0, 0, 0>}
        : (tensor<1x5x5xf32>, tensor<2xi64>, tensor<2xi64>) -> tensor<1x?x?x?xf32>
    ```
  }];
  let arguments = (ins NN_NumberTensor:$input, NN_IndexVector:$image, NN_IndexVector:$block,
                   DenseI64ArrayAttr:$strides, DenseI64ArrayAttr:$dilations, DenseI64ArrayAttr:$pads);
  let results = (outs NN_NumberTensor:$result);
  let assemblyFormat = "$input `,` $image `,` $block attr-dict `:` functional-type(operands, results)";
}

def NN_CacheWriteOp : NN_TensorOp<"cache_write", [NN_Differentiable, NN_HasKernelRole, NN_IsChecked,
    DeclareOpInterfaceMethods<NN_IndexedOpInterface>]> {
  let summary = "A cache with new entries written at each batch entry's own place";
  let description = [{
    In batch entry `b` (dimension 0), `update` is written into `cache` along `axis`
    from `positions[b]` on. With `circular`, what goes beyond the end goes on at the
    begin; without, an update that does not fit is an error, and a negative position
    counts from the last that does.

    ```mlir
    %y = nn.cache_write %cache, %update, %positions along 2
        : (tensor<2x8x64x16xf32>, tensor<2x8x1x16xf32>, tensor<2xi64>) -> tensor<2x8x64x16xf32>
    ```
  }];
  let arguments = (ins NN_AnyTensor:$cache, NN_AnyTensor:$update, NN_IndexVector:$positions, I64Attr:$axis,
                   UnitAttr:$circular, UnitAttr:$in_bounds);
  let results = (outs NN_AnyTensor:$result);
  let assemblyFormat = "$cache `,` $update `,` $positions `along` $axis attr-dict `:` functional-type(operands, results)";
}

#endif // NACRE_DIALECTS_NN_NNRESAMPLEOPS_TD
