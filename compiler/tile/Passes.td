//===- Passes.td - Passes of the tile phase ---------------------*- tablegen -*-===//
include "mlir/Pass/PassBase.td"

/// Which sums of several narrow products the target has instructions for.
defvar dotOptions = [
    Option<"dotBF16", "dot-bf16", "bool", "false", "The target adds two products of bf16 to an f32 (avx512bf16)">,
    Option<"dotI8", "dot-i8", "bool", "false",
           "The target adds four products of unsigned and signed 8-bit integers to an i32 (avx512vnni)">,
    Option<"dotSameI8", "dot-same-i8", "bool", "false",
           "The target adds four products of 8-bit integers of one sign to an i32 (AArch64's dotprod)">,
    Option<"dotMixedI8", "dot-mixed-i8", "bool", "false",
           "The target adds four products of unsigned and signed 8-bit integers to an i32 (AArch64's i8mm)">,
    Option<"dotI16", "dot-i16", "bool", "false", "The target adds two products of i16 to an i32 (pmaddwd)">];

def FuseElementwisePass : Pass<"fuse-elementwise"> {
  let summary = "Merge element-wise linalg.generic ops into their consumers";
  let description = [{
    Upstream's element-wise fusion inside a kernel: a producer whose loops are all
    parallel is computed where it is used, if it has one use; through dimensions
    that are collapsed on the way too.
    Precondition: linalg on tensors. Postcondition: the same results from fewer ops.
  }];
}

def SimplifyQuantizationPass : Pass<"simplify-quantization", "::nacre::kern::FuncOp"> {
  let summary = "Round to 8 bits and back in fewer operations";
  let description = [{
    A quotient by a constant that is rounded and limited is limited first, and divided by fused
    products; a float that is an integer is not converted to one and back.
    Precondition: structured ops, fused; the target has fused multiply-adds. Postcondition: the
    same values, bit for bit.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::math::MathDialect"];
}

def ForwardDestinationsPass : Pass<"forward-destinations", "::nacre::kern::FuncOp"> {
  let summary = "Start each result's chain of inits at its destination";
  let description = [{
    Precondition: a kernel of structured ops on tensors.
    Postcondition: a result's chain of inits ends at its destination wherever the ops
    allow it, so that bufferization needs no temporary for it.
  }];
}

def ChooseTilesPass : Pass<"choose-tiles", "::nacre::kern::FuncOp"> {
  let summary = "Decide a kernel's tile sizes";
  let description = [{
    An analytic choice: a contraction's input tile fits the second-level cache, unless
    columns are moved for each tile, which many rows then share; an element-wise tile
    fits the first; a loop that some reduction of the kernel runs over
    is never tiled; kernels too small for two threads are not tiled at all. The
    decision is the kernel's `tiling` attribute; one that is there already is kept.
    With `record-choices` the attribute `kern.choices` tells of the choice and of other tiles near it, by
    a key, and `decisions` takes one of them.
    Precondition: a kernel of structured ops on tensors. Postcondition: `tiling` is
    set if the kernel should be tiled.
  }];
  let options = [
    Option<"l1Bytes", "l1-bytes", "int64_t", "32768", "Bytes of a core's first-level data cache">,
    Option<"l2Bytes", "l2-bytes", "int64_t", "1048576", "Bytes of a core's second-level cache">,
    Option<"minWork", "min-work", "int64_t", "65536",
           "Scalar operations below which work is not divided among threads">,
    Option<"matrixTiles", "matrix-tiles", "bool", "false",
           "Sums of products of bf16 and 8-bit integers run on a matrix unit">,
    Option<"lanes", "lanes", "int64_t", "32", "Products of f32 that a core adds in a cycle">,
    ListOption<"decisions", "decisions", "std::string", "What is decided of kernels, key=choice each">,
    Option<"recordChoices", "record-choices", "bool", "false", "Leave on kernels what could be decided otherwise">];
}

def TileAndFusePass : Pass<"tile-and-fuse", "::nacre::kern::FuncOp"> {
  let summary = "Tile a kernel's root op and fuse its producers into the tiles";
  let description = [{
    Precondition: `tiling` is set. Postcondition: the kernel's work stands in one
    scf.forall over tiles.
  }];
  let dependentDialects = ["::mlir::affine::AffineDialect", "::mlir::scf::SCFDialect",
                           "::mlir::tensor::TensorDialect"];
}

def AccumulateProductsPass : Pass<"accumulate-products", "::nacre::kern::FuncOp"> {
  let summary = "Add the products of a batch up one at a time";
  let description = [{
    Precondition: kernels are tiled. Postcondition: a contraction of which only sums over a dimension are
    read is computed in an scf.for over this dimension, each iteration's before it is added.
  }];
  let dependentDialects = ["::mlir::affine::AffineDialect", "::mlir::scf::SCFDialect",
                           "::mlir::tensor::TensorDialect"];
}

def CarryInPlacePass : Pass<"carry-in-place", "::nacre::kern::FuncOp"> {
  let summary = "Write what a kernel's loops carry over what they carried before";
  let description = [{
    Precondition: structured ops on tensors. Postcondition: each tensor that a loop carries lies
    in the memory of the one before it.
  }];
  let dependentDialects = ["::mlir::linalg::LinalgDialect", "::mlir::tensor::TensorDialect"];
}

def SplitLoopsPass : Pass<"split-loops", "::nacre::kern::FuncOp"> {
  let summary = "Share the rows of a kernel's loop among threads";
  let description = [{
    Precondition: structured ops on tensors. Postcondition: a kernel that is one loop of known
    sizes, in which rows are computed apart and which has much to do, is an scf.forall over
    groups of rows, each with a loop of its own. Not where an iteration reads more than the
    second-level cache holds: threads had better share that (split-steps).
  }];
  let options = [Option<"l2Bytes", "l2-bytes", "int64_t", "1048576", "Bytes of a core's second-level cache">];
  let dependentDialects = ["::mlir::scf::SCFDialect", "::mlir::tensor::TensorDialect",
                           "::mlir::arith::ArithDialect"];
}

def SplitStepsPass : Pass<"split-steps", "::nacre::kern::FuncOp"> {
  let summary = "Share the columns of contractions in a kernel's loop among threads";
  let description = [{
    Precondition: structured ops on tensors. Postcondition: a contraction that stands in a loop
    of a kernel, in no scf.forall, and has much to do, is an scf.forall over its columns.
  }];
  let dependentDialects = ["::mlir::scf::SCFDialect", "::mlir::tensor::TensorDialect",
                           "::mlir::affine::AffineDialect"];
}

def ForallToParallelPass : Pass<"forall-to-parallel", "::nacre::kern::FuncOp"> {
  let summary = "Run the tiles of a kernel on the session's threads";
  let description = [{
    The outermost scf.forall becomes rt.parallel over the linear index of its tiles;
    forall loops inside it become scf.for.
    Precondition: memrefs. Postcondition: no scf.forall is left.
  }];
  let dependentDialects = ["::nacre::rt::RtDialect", "::mlir::affine::AffineDialect",
                           "::mlir::scf::SCFDialect", "::mlir::arith::ArithDialect"];
}

def PackParametersPass : Pass<"pack-parameters", "::mlir::ModuleOp"> {
  let summary = "Lay constant operands of contractions out for the micro-kernel";
  let description = [{
    Precondition: kernels of structured ops on tensors, each with one call.
    Postcondition: a read-only parameter that a contraction reads along its lanes has
    been replaced by one in panels of lanes, computed by @prepare; with the options of
    `vectorize-tiles` for groups of narrow products, in groups of steps.
  }];
  let dependentDialects = ["::mlir::tensor::TensorDialect", "::mlir::arith::ArithDialect",
    "::mlir::linalg::LinalgDialect", "::mlir::func::FuncDialect", "::nacre::nn::NNDialect",
    "::nacre::kern::KernDialect"];
  let options = [
    Option<"vectorBits", "vector-bits", "unsigned", "512", "Bits of a vector register">,
    Option<"registers", "registers", "unsigned", "32", "Number of vector registers">,
    Option<"matrixTiles", "matrix-tiles", "bool", "false",
           "Sums of products of bf16 and 8-bit integers run on a matrix unit">] # dotOptions;
}

def ChooseWinogradPass : Pass<"choose-winograd", "::mlir::ModuleOp"> {
  let summary = "Compute 3 x 3 convolutions by Winograd's minimal filtering where it pays";
  let description = [{
    Precondition: kernels of structured ops on tensors, each with one call. Postcondition: f32
    convolutions with 3 x 3 windows, without strides, are kern.winograd where a model of products,
    transforms and memory says that this takes less time. A function @prepare transforms constant
    weights; those that are trained or come as inputs are transformed before each call.
    `record-choices` and `decisions` are as those of choose-tiles: "0" is none, "2" and "4" are places of a tile.
  }];
  let dependentDialects = ["::mlir::tensor::TensorDialect", "::mlir::arith::ArithDialect", "::mlir::func::FuncDialect",
    "::mlir::linalg::LinalgDialect", "::nacre::nn::NNDialect", "::nacre::kern::KernDialect"];
  let options = [
    Option<"vectorBits", "vector-bits", "int64_t", "512", "Bits of a vector register">,
    Option<"l2Bytes", "l2-bytes", "int64_t", "1048576", "Bytes of a core's second-level cache">,
    Option<"lanes", "lanes", "int64_t", "32", "Products of f32 that a core adds in a cycle">,
    Option<"fma", "fma", "bool", "true", "The target has a fused multiply-add">,
    ListOption<"decisions", "decisions", "std::string", "What is decided of kernels, key=choice each">,
    Option<"recordChoices", "record-choices", "bool", "false", "Leave on kernels what could be decided otherwise">];
}

def LoadsToOperandsPass : Pass<"loads-to-operands", "::nacre::kern::FuncOp"> {
  let summary = "Make loads whose indices follow an op's loops its operands";
  let description = [{
    Slices with steps read their input element by element in a body, as no view goes backwards; as
    operands they are read in vectors. Precondition: a kernel on memrefs, tiled. Postcondition: in bodies
    of structured ops no load is left whose indices are sums over loops of static sizes and
    values from outside, and whose memory the op does not write.
  }];
  let dependentDialects = ["::mlir::affine::AffineDialect", "::mlir::memref::MemRefDialect"];
}

def ExpandWinogradPass : Pass<"expand-winograd", "::nacre::kern::FuncOp"> {
  let summary = "Write kern.winograd as transforms and products";
  let description = [{
    Precondition: memrefs. Postcondition: kern.winograd is loops of structured ops with temporaries.
  }];
  let options = [Option<"fma", "fma", "bool", "true", "The target has a fused multiply-add">];
  let dependentDialects = ["::mlir::scf::SCFDialect", "::mlir::math::MathDialect", "::mlir::memref::MemRefDialect", "::mlir::arith::ArithDialect",
    "::mlir::linalg::LinalgDialect"];
}

def PadProducersPass : Pass<"pad-producers", "::mlir::ModuleOp"> {
  let summary = "Let kernels leave room for the padding that their consumers need";
  let description = [{
    Precondition: kernels of structured ops on tensors, each with one call.
    Postcondition: the same values; where shapes are static, no kernel pads by a
    constant what another one computes for it alone: that one computes into the middle
    of a padded destination and fills the border.
  }];
  let dependentDialects = ["::mlir::tensor::TensorDialect", "::mlir::arith::ArithDialect",
    "::mlir::linalg::LinalgDialect", "::nacre::kern::KernDialect"];
}

def OverwriteOperandsPass : Pass<"overwrite-operands", "::mlir::ModuleOp"> {
  let summary = "Let kernels write their results over what they are the last to read";
  let description = [{
    Precondition: kernels of structured ops on tensors, each with one call.
    Postcondition: the same values; the destination of a kernel that reads an operand
    element by element, in the places of its result, is this operand, where another
    kernel has computed it and no op reads it later.
  }];
  let dependentDialects = ["::nacre::kern::KernDialect"];
}

def DeduplicateKernelsPass : Pass<"deduplicate-kernels", "::mlir::ModuleOp"> {
  let summary = "Keep one of structurally identical kernels";
  let description = [{
    Names, locations and the nodes that kernels came from do not count. Calls of a
    dropped kernel keep its `nodes`, `flops` and `bytes` for profiles.
    Precondition: none; what follows must not depend on the caller. Postcondition: no
    two kernels have the same code.
  }];
  let statistics = [Statistic<"dropped", "dropped", "Kernels that equal an earlier one">];
}

def BatchUpdatesPass : Pass<"batch-updates", "::mlir::ModuleOp"> {
  let summary = "Update many parameters by one kernel";
  let description = [{
    Calls of kernels that change their destinations where they are, element by element, in
    the same way, become one call of a kernel on all the tensors, whose threads share blocks
    of 4096 elements of all of them.
    Precondition: kernels and host functions on buffers; such kernels are not tiled.
    Postcondition: no two such calls in a block that could stand in one place, but for a
    limit of 64 tensors.
  }];
  let dependentDialects = ["::mlir::scf::SCFDialect", "::mlir::memref::MemRefDialect", "::nacre::rt::RtDialect"];
  let statistics = [Statistic<"numBatched", "batched", "Calls put together">];
}

def MultiplyTilesPass : Pass<"multiply-tiles"> {
  let summary = "Run contractions of bf16 and 8-bit integers on the CPU's matrix unit (AMX)";
  let description = [{
    Sums of products of bf16 (in f32) and of 8-bit integers (in 32 bits) become products of tiles,
    16 rows of 64 bytes each, by LLVM's intrinsics with tile registers by number. The right
    operand's steps are moved side by side, as many as fill 32 bits, for all rows; the left one is read where it lies if its steps lie side by side, and
    transposed into a buffer otherwise. An element-wise op on the sums runs on blocks of them.
    What fills too little of tiles stays, with a remark that says why.
    Of bf16 the instruction adds products one after the other, rounds to nearest, and takes denormal
    numbers for 0; of integers it wraps around.
    Precondition: linalg on memrefs; the CPU has amx-bf16 and amx-int8, and may use them. Postcondition: scf,
    vector, memref, calls of those intrinsics, linalg on blocks; each sum in a fixed order.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::memref::MemRefDialect",
                           "::mlir::scf::SCFDialect", "::mlir::vector::VectorDialect",
                           "::mlir::linalg::LinalgDialect", "::mlir::LLVM::LLVMDialect"];
}

def VectorizeTilesPass : Pass<"vectorize-tiles"> {
  let summary = "Turn structured ops on memrefs into register-tiled vector code";
  let description = [{
    One emitter for contractions, convolutions, reductions, element-wise ops and
    copies, driven by how each operand's address moves with each loop: a block of
    accumulators stays in registers over all reduction loops, tails are masked.
    Ops whose body or addresses have no vector form stay (convert-linalg-to-loops
    lowers them). `memref.copy` is treated as the structured op that it is.
    With `dot-bf16`, sums of products of bf16 take two steps at once, with `dot-i8` those of
    unsigned with signed 8-bit integers four, by LLVM's intrinsics; with `dot-same-i8` and
    `dot-mixed-i8` by AArch64's. With `dot-i16` others of 8-bit integers take two, as i16.
    Of a reduction over a window's taps (`kern.halo`) those are left out that meet zeros.
    Precondition: linalg on memrefs. Postcondition: scf, vector, memref, arith (and calls of
    those intrinsics); the same values, each computed in a fixed order.
  }];
  let options = [
    Option<"vectorBits", "vector-bits", "unsigned", "512", "Width of a vector register">,
    Option<"registers", "registers", "unsigned", "32", "Number of vector registers">,
    Option<"fma", "fma", "bool", "true", "The target has a fused multiply-add">,
    Option<"stageRows", "stage-rows", "int64_t", "128",
           "Rows from which on operands are moved that could be read where they are">,
    Option<"farBytes", "far-bytes", "int64_t", "1048576",
           "Bytes that a reduction spans from which on an operand is moved that lies along rows">] # dotOptions;
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::math::MathDialect",
                           "::mlir::memref::MemRefDialect", "::mlir::scf::SCFDialect",
                           "::mlir::vector::VectorDialect", "::mlir::linalg::LinalgDialect",
                           "::mlir::LLVM::LLVMDialect"];
}

def ApproximateMathPass : Pass<"approximate-math"> {
  let summary = "Compute functions of floats by arithmetic, on vectors and scalars";
  let description = [{
    exp, log, tanh, erf, pow, the circular and hyperbolic functions and their
    inverses on f32 (f16 and bf16 through f32) become polynomials with stated error
    bounds, right for NaN, infinities and denormals. f64 is left to the library.
    Maxima and minima that keep NaN become comparisons and selections, which are
    cheaper than what LLVM makes of them (of -0 and +0 they give the left one).
    Precondition: none. Postcondition: the same functions, to a few units in the
    last place.
  }];
  let options = [Option<"fma", "fma", "bool", "true", "The target has a fused multiply-add">];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::math::MathDialect",
                           "::mlir::scf::SCFDialect", "::mlir::vector::VectorDialect"];
}
