//===- Passes.td - Passes of the graph phase --------------------*- tablegen -*-===//
include "mlir/Pass/PassBase.td"

def InferShapesPass : Pass<"infer-shapes", "::mlir::func::FuncOp"> {
  let summary = "Refine the types of nn ops from their operands";
  let description = [{
    Runs InferTypeOpInterface again on every op, in order, and refines result types;
    function results follow. Precondition: nn on tensors. Postcondition: every op's
    result types are at least as precise as what its operands imply.
  }];
  let dependentDialects = ["::mlir::tensor::TensorDialect"];
}

def SpecializeSizesPass : Pass<"specialize-sizes", "::mlir::ModuleOp"> {
  let summary = "Make versions of @main for given sizes of open dimensions";
  let description = [{
    There is a private function for each combination of the given sizes, in which any symbol
    may stay open, with static types in the place of the symbols' and the sizes in
    `nacre.sizes`. An open dimension without a symbol is called by its place, `x[0]`. A name that
    no input has is refused with those that there are.
    Precondition: the imported module. Postcondition: the types in these functions are inferred.
  }];
  let options = [ListOption<"sizes", "sizes", "std::string", "Sizes by symbol, \"batch=8\"">];
  let dependentDialects = ["::mlir::tensor::TensorDialect"];
}

def FoldEmptyPass : Pass<"fold-empty", "::mlir::func::FuncOp"> {
  let summary = "Compute nothing that has no elements";
  let description = [{
    Precondition: types inferred. Postcondition: no op without side effects is left whose results
    are all known to have no elements.
  }];
}

def ExpandAttentionPass : Pass<"expand-attention", "::mlir::func::FuncOp"> {
  let summary = "Write attention as matrix products, a softmax and element-wise ops";
  let description = [{
    Precondition: types inferred. Postcondition: no nn.attention is left; sizes that
    were made for it are nn ops, which scalarize-shapes expects.
  }];
}

def ExpandConvTransposePass : Pass<"expand-conv-transpose", "::mlir::func::FuncOp"> {
  let summary = "Write transposed convolutions as convolutions without strides";
  let description = [{
    The places of the result that strides set apart become channels of one convolution, which
    are interleaved afterwards. Where strides do not divide the kernel, taps of 0 fill it up.
    Precondition: types inferred. Postcondition: no nn.conv_transpose is left whose weight's
    sizes are known, with channels first, a padding that is known, and not both strides and
    dilations in one dimension.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::affine::AffineDialect",
                           "::mlir::tensor::TensorDialect"];
}

def ContractQuantizedPass : Pass<"contract-quantized", "::mlir::func::FuncOp"> {
  let summary = "Multiply quantised values as the integers that they are";
  let description = [{
    Matrix products and convolutions of dequantised operands (`scale * (value - zero point)`), or of
    integers minus zero points, become products of 8-bit integers in i32; zero points and scales
    go to the result. With `mixed-signs`, bytes of one sign are moved by 128 where weights are constant.
    Precondition: types inferred. Postcondition: no product of operands of this form is left, but
    for convolutions whose weights have zero points, parameters that move along more than rows
    or columns, and sums that i32 might not hold.
  }];
  let options = [
    Option<"mixedSigns", "mixed-signs", "bool", "false",
           "The target multiplies unsigned by signed bytes, not those of one sign">];
  let dependentDialects = ["::mlir::tensor::TensorDialect"];
}

def SplitBlocksPass : Pass<"split-blocks", "::mlir::func::FuncOp"> {
  let summary = "Compute with parameters of blocks where they are not repeated yet";
  let description = [{
    Element-wise ops on weights with a scale or zero point for each block of a dimension run over blocks, and
    their result is collapsed. Precondition: types inferred. Postcondition: element-wise ops that are
    known at compile time have no operand whose elements are repeated in blocks of known sizes.
  }];
}

def ContractBlockedPass : Pass<"contract-blocked", "::mlir::func::FuncOp"> {
  let summary = "Multiply quantised values with weights that have a scale for each block of steps";
  let description = [{
    Products of dequantised values with known matrices whose scales and zero points move along columns and blocks
    of steps become products of 8-bit integers for each block in i32, scaled and summed as floats.
    Precondition: types inferred, blocks split, contract-quantized has run. Postcondition: no product of
    operands of this form is left, but for parameters of the values that move along more than rows and sums that
    i32 might not hold.
  }];
  let options = [
    Option<"mixedSigns", "mixed-signs", "bool", "false",
           "The target multiplies unsigned by signed bytes, not those of one sign">];
  let dependentDialects = ["::mlir::tensor::TensorDialect"];
}

def KeepNarrowWeightsPass : Pass<"keep-narrow-weights", "::mlir::func::FuncOp"> {
  let summary = "Multiply few rows by 8-bit weights as they are";
  let description = [{
    What a product of few rows takes is the reading of its weights. Precondition: types inferred. Postcondition:
    products of f32 of at most 8 rows, or of an open number, with a known matrix of scaled 8-bit
    integers (one scale for each column, or for each block of a column) are nn.contract of these integers.
  }];
  let dependentDialects = ["::mlir::tensor::TensorDialect", "::nacre::nn::NNDialect"];
}

def ScalarizeShapesPass : Pass<"scalarize-shapes", "::mlir::func::FuncOp"> {
  let summary = "Turn shape arithmetic on small tensors into scalar arithmetic";
  let description = [{
    What computes shape operands (ShapeOperandsOpInterface) of nn ops and reads single
    elements is followed back through sizes, movements, element-wise ops and
    reductions, and becomes arithmetic on scalars, in terms of the sizes of the
    function's arguments. Types are refined on the way.
    Precondition: types inferred. Postcondition: a shape operand of at most 32
    elements is a constant or a tensor.from_elements.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::affine::AffineDialect",
                           "::mlir::tensor::TensorDialect", "::mlir::math::MathDialect"];
}

def InsertChecksPass : Pass<"insert-checks", "::mlir::func::FuncOp"> {
  let summary = "Check at run time what could not be known at compile time";
  let description = [{
    In front of an op that is only defined if sizes or small operands fit together
    (CheckedOpInterface), an rt.check of what is not known to hold; positions that
    arrive as data (IndexedOpInterface) go through nn.checked_index.
    Precondition: nn ops in func.func, none in a kernel. Postcondition: kernels may
    rely on sizes that fit, and on positions in range.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::affine::AffineDialect",
                           "::mlir::tensor::TensorDialect", "::nacre::rt::RtDialect"];
}

def MaterializeBroadcastsPass : Pass<"materialize-broadcasts", "::mlir::func::FuncOp"> {
  let summary = "Make broadcasts that happen only at run time explicit";
  let description = [{
    Where the operands of an element-wise op have dynamic sizes that are not known to
    be equal, an nn.broadcast takes care of a size that turns out to be 1.
    Precondition: types inferred. Postcondition: a dynamic dimension of an
    element-wise op's operand has the size of the result's dimension.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::affine::AffineDialect",
                           "::mlir::tensor::TensorDialect"];
}

def FormLoopKernelsPass : Pass<"form-loop-kernels", "::mlir::ModuleOp"> {
  let summary = "Outline loops of small ops as kernels";
  let description = [{
    A loop whose ops can all stand in one kernel becomes one if its sizes are known, and threads
    can share its rows or it has little to do in each iteration.
    Precondition: types inferred, run-time broadcasts explicit; no kernels.
    Postcondition: such a loop is a kern.func that is called in destination style.
  }];
  let dependentDialects = ["::nacre::kern::KernDialect", "::mlir::tensor::TensorDialect"];
  let statistics = [Statistic<"numKernels", "kernels", "Kernels formed">];
}

def RecomputeElementwisePass : Pass<"recompute-elementwise", "::mlir::func::FuncOp"> {
  let summary = "Compute cheap element-wise values in each kernel that reads them";
  let description = [{
    An element-wise op of a few instructions that reads one large tensor (others are
    broadcast) is computed again for each of its users, if all of them may be in a kernel
    with it: then it is neither written to memory nor kept for a backward pass.
    Precondition: run-time broadcasts explicit; nothing merges equal ops before kernels are
    formed. Postcondition: such a value has one user.
  }];
  let statistics = [Statistic<"numRecomputed", "recomputed", "Values computed once more">];
}

def FormKernelsPass : Pass<"form-kernels", "::mlir::ModuleOp"> {
  let summary = "Group nn ops into kernels and outline them";
  let description = [{
    A producer joins the kernel of its consumers when they all stand in one kernel
    and the roles of both allow it (KernelOpInterface, ElementwiseOpInterface).
    Precondition: types inferred, run-time broadcasts explicit.
    Postcondition: every compute op stands in a kern.func that is called in
    destination style; host ops stay where they were.
  }];
  let dependentDialects = ["::nacre::kern::KernDialect", "::nacre::rt::RtDialect",
    "::mlir::tensor::TensorDialect", "::mlir::arith::ArithDialect", "::mlir::affine::AffineDialect"];
  let statistics = [Statistic<"numKernels", "kernels", "Kernels formed">,
                    Statistic<"numFused", "fused", "Ops fused into another op's kernel">];
}

def RecordSignaturePass : Pass<"record-signature", "::mlir::func::FuncOp"> {
  let summary = "Keep the model's signature as attributes";
  let description = [{
    Precondition: types inferred. Postcondition: `nacre.inputs` and `nacre.outputs`
    hold name, type and symbols of each input and output; later phases may change
    the function's type.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::affine::AffineDialect",
                           "::mlir::tensor::TensorDialect"];
}

def HoistParametersPass : Pass<"hoist-parameters", "::mlir::ModuleOp"> {
  let summary = "Compute what depends on parameters alone at compile time";
  let description = [{
    Moves such ops of @main and its versions into @prepare, whose results become parameters;
    what several compute is one.
    Precondition: types inferred. Postcondition: no op of these has only read-only
    parameters and constants as operands, unless its results would take more than
    `max-bytes`.
  }];
  let dependentDialects = ["::mlir::func::FuncDialect"];
  let options = [Option<"maxBytes", "max-bytes", "int64_t", "256 << 20",
                        "Largest total size of the new parameters, beyond twice that of the model's own">];
}

def ChooseLayoutsPass : Pass<"choose-layouts", "::mlir::func::FuncOp"> {
  let summary = "Put channels last, where the lanes of a vector run";
  let description = [{
    Every op with LayoutOpInterface is switched to channels last between transposes,
    which then travel through element-wise and permutable ops towards each other and
    cancel.
    Precondition: types inferred. Postcondition: spatial ops have channels last.
  }];
}

def AbsorbTransposesPass : Pass<"absorb-transposes", "::mlir::func::FuncOp"> {
  let summary = "Let products read and write matrices in another order";
  let description = [{
    An nn.transpose that exchanges the last two dimensions, and is an operand of nn.matmul
    or all that reads its result, becomes the product's `transpose_lhs` and
    `transpose_rhs`. Weights that are known stay as they are, as they are transposed when
    the model is compiled, and so does what is transposed once in front of a loop.
    Precondition: types inferred. Postcondition: no operand of nn.matmul that is computed
    for it in each run is a transpose that moves the last dimension to the last but one; nor
    is such a transpose all that reads a product of operands of one rank, one of them
    transposed.
  }];
}

def FoldScalesPass : Pass<"fold-scales", "::mlir::func::FuncOp"> {
  let summary = "Multiply factors per channel into weights";
  let description = [{
    Precondition: types inferred. Postcondition: a result of an op with
    ScalableOpInterface whose weights and factors are known at compile time is not
    scaled per channel.
  }];
}

def MergeProductsPass : Pass<"merge-products", "::mlir::func::FuncOp"> {
  let summary = "Make matrix products with the same left side one";
  let description = [{
    Precondition: types inferred. Postcondition: matrix products with the same left side
    whose right sides, and what is added to their columns, are known at compile time,
    and that nothing element-wise follows, are one.
  }];
}

def ExpandNormalizationsPass : Pass<"expand-normalizations", "::mlir::func::FuncOp"> {
  let summary = "Write normalisations by channels as other nn ops";
  let description = [{
    nn.batch_norm and nn.group_norm become nn.normalize and element-wise ops, the
    latter once its channels are last.
    Precondition: types inferred. Postcondition: no nn.batch_norm, and no nn.group_norm
    with channels_last, is left.
  }];
}
