//===- Passes.td - Passes of the buffer phase -------------------*- tablegen -*-===//
include "mlir/Pass/PassBase.td"

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
    a tile becomes a small stack buffer or scratch of the worker, allocated once
    outside the loop over tiles.
    Precondition: memrefs, rt.parallel. Postcondition: no memref.alloc in kernels.
  }];
  let dependentDialects = ["::mlir::memref::MemRefDialect", "::nacre::rt::RtDialect",
                           "::mlir::affine::AffineDialect", "::mlir::arith::ArithDialect"];
  let options = [Option<"stackBytes", "stack-bytes", "int64_t", "16384",
                        "Largest buffer of a tile that lives on the stack">];
}

def PlanMemoryPass : Pass<"plan-memory", "::mlir::func::FuncOp"> {
  let summary = "Give every buffer of a host function its place";
  let description = [{
    Buffers of static size get an offset in one arena, shared by those that do not
    live at the same time (greedy by size, lowest fitting offset). Others are
    allocated at run time and released after their last use.
    Precondition: a host function on memrefs. Postcondition: no memref.alloc;
    `nacre.arena_size` is set.
  }];
  let dependentDialects = ["::mlir::memref::MemRefDialect", "::nacre::rt::RtDialect"];
  let options = [Option<"separate", "separate", "bool", "false",
                        "No arena: every buffer is allocated at run time">];
  let statistics = [Statistic<"arenaBytes", "arena-bytes", "Bytes of the arena">];
}
