//===- Passes.td - Passes of the buffer phase -------------------*- tablegen -*-===//
include "mlir/Pass/PassBase.td"

def DelayKernelsPass : Pass<"delay-kernels", "::mlir::func::FuncOp"> {
  let summary = "Compute what is large when it is read";
  let description = [{
    A kernel with fresh destinations waits for the first reader of its results, if these are
    larger than the inputs that would have to be kept for it meanwhile; views do always.
    Precondition: a host function on tensors. Postcondition: the same values in another order.
  }];
}

def BufferizePass : Pass<"bufferize", "::mlir::ModuleOp"> {
  let summary = "Turn tensors into buffers, in kernels and in host functions";
  let description = [{
    Upstream's one-shot bufferization does the work. A kernel's arguments become
    memrefs and its results disappear: each is computed in place into its
    destination. A host function loses its arguments and results: inputs are
    rt.input, outputs rt.output, parameters rt.parameter; its signature stands in
    `nacre.inputs` and `nacre.outputs`.
    Precondition: no nn op but parameters is left; kernels are tiled.
    Postcondition: no tensor is left; host functions take and return nothing.
  }];
  let dependentDialects = ["::mlir::bufferization::BufferizationDialect",
    "::mlir::memref::MemRefDialect", "::nacre::rt::RtDialect", "::mlir::linalg::LinalgDialect"];
}

def HoistTemporariesPass : Pass<"hoist-temporaries", "::mlir::ModuleOp"> {
  let summary = "Take a kernel's temporaries out of it";
  let description = [{
    A temporary of a whole kernel becomes an argument that the host allocates; one of
    a tile becomes a small stack buffer, allocated once outside the loop over tiles. A
    large one becomes scratch of the worker in rt.parallel, and such an argument outside.
    Precondition: memrefs, rt.parallel. Postcondition: no memref.alloc in kernels.
  }];
  let dependentDialects = ["::mlir::memref::MemRefDialect", "::nacre::rt::RtDialect",
                           "::mlir::affine::AffineDialect", "::mlir::arith::ArithDialect"];
  let options = [Option<"stackBytes", "stack-bytes", "int64_t", "16384",
                        "Largest buffer of a tile that lives on the stack">];
}

def AlternateBuffersPass : Pass<"alternate-buffers", "::mlir::func::FuncOp"> {
  let summary = "Two places for what a loop hands from one iteration to the next";
  let description = [{
    A buffer of static size that an iteration makes and hands to the next, which does
    not hand it on, gets two places outside of the loop that take turns. The arena can
    have them; nothing is allocated in the loop.
    Precondition: a host function on memrefs, before plan-memory. Postcondition: no
    loop allocates what it carries for one iteration, if its size is static.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::memref::MemRefDialect"];
}

def PlanMemoryPass : Pass<"plan-memory", "::mlir::func::FuncOp"> {
  let summary = "Give every buffer of a host function its place";
  let description = [{
    Buffers of static size get an offset in one arena, shared by those that do not
    live at the same time (greedy by size, lowest fitting offset). So do those of dynamic
    sizes that are bounded by a constant, if they take 1 MiB at most: as much as they can
    become. Others are allocated at run time and released after their last use.
    Precondition: a host function on memrefs. Postcondition: no memref.alloc;
    `nacre.arena_size` is set.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::memref::MemRefDialect", "::nacre::rt::RtDialect"];
  let options = [Option<"separate", "separate", "bool", "false",
                        "No arena: every buffer is allocated at run time">];
  let statistics = [Statistic<"arenaBytes", "arena-bytes", "Bytes of the arena">];
}

def ReleaseInLoopsPass : Pass<"release-in-loops", "::mlir::func::FuncOp"> {
  let summary = "Give back what each iteration of a loop leaves behind";
  let description = [{
    At the end of an iteration the run releases what it has allocated since the loop
    began, but for what the iteration hands to the next.
    Precondition: a host function after plan-memory. Postcondition: after each
    iteration of a loop no more is allocated than before it, but for what it carries.
  }];
  let dependentDialects = ["::nacre::rt::RtDialect"];
}

def DispatchSizesPass : Pass<"dispatch-sizes", "::mlir::ModuleOp"> {
  let summary = "Let @main call the version for the sizes of its inputs";
  let description = [{
    What @main does becomes a function of its own, @main.open, for all sizes. Versions (`nacre.sizes`)
    and this one are parts of @main (`nacre.part`), which calls the one with most sizes that a run has.
    Precondition: host functions on memrefs whose arenas are planned. Postcondition: @main's
    `nacre.arena_size` is the largest of theirs.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::memref::MemRefDialect",
                           "::mlir::scf::SCFDialect", "::nacre::rt::RtDialect"];
}

def MeasureStepPass : Pass<"measure-step", "::mlir::ModuleOp"> {
  let summary = "Say how much memory a training step holds";
  let description = [{
    Precondition: memory is planned. Postcondition: where no size is open, or a number is given
    for those that are, or the shapes of a batch decide them, `nacre.parameter_bytes` and `nacre.step_bytes` at the module say what
    parameters and state take, and what @step holds beside them at a time.
  }];
  let options = [Option<"openSize", "open-size", "int64_t", "0", "What sizes that are open are taken for">,
                 ListOption<"batch", "batch", "std::string", "Shapes of a batch, by inputs' names: x=64x128">];
}
