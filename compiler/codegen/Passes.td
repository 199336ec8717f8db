//===- Passes.td - Passes of the codegen phase ------------------*- tablegen -*-===//
include "mlir/Pass/PassBase.td"

def OutlineParallelPass : Pass<"outline-parallel", "::mlir::ModuleOp"> {
  let summary = "Outline rt.parallel bodies into functions";
  let description = [{
    The body becomes a private kern.func that takes the values it captures, and the
    loop an rt.launch.
    Precondition: kern.funcs on buffers.
    Postcondition: no rt.parallel.
  }];
  let dependentDialects = ["::nacre::rt::RtDialect", "::nacre::kern::KernDialect"];
}

def ConvertRtToLLVMPass : Pass<"convert-rt-to-llvm", "::mlir::ModuleOp"> {
  let summary = "Functions and rt ops to the llvm dialect: the ABI";
  let description = [{
    Kernels and host functions become llvm.funcs with the context as the first
    argument, rt ops and kernel calls loads from it and calls through it.
    Precondition: no rt.parallel, and control flow is flat (cf).
    Postcondition: no kern and no rt op; unrealized casts between memrefs and their
    descriptors, which the conversions of the other dialects remove. Branches stay in
    cf: where blocks are merged, they hand on memrefs.
  }];
  let dependentDialects = ["::mlir::cf::ControlFlowDialect", "::mlir::LLVM::LLVMDialect"];
}

def HoistAllocasPass : Pass<"hoist-allocas", "::mlir::LLVM::LLVMFuncOp"> {
  let summary = "Move stack memory of constant size to the function's entry";
  let description = [{
    LLVM frees stack memory when the function returns: in a loop it would pile up.
    Precondition: the llvm dialect only.
    Postcondition: every llvm.alloca of constant size stands in the entry block.
    Stack memory of dynamic size outside of it is refused.
  }];
}

def ExpandCopiesPass : Pass<"expand-copies"> {
  let summary = "Copies of strided buffers as loops";
  let description = [{
    Precondition: buffers.
    Postcondition: every memref.copy is between dense buffers.
  }];
  let dependentDialects = ["::mlir::linalg::LinalgDialect"];
}

def ExpandViewsPass : Pass<"expand-views"> {
  let summary = "Views that split dimensions by offsets, sizes and strides";
  let description = [{
    Precondition: buffers.
    Postcondition: no memref.expand_shape.
  }];
  let dependentDialects = ["::mlir::memref::MemRefDialect", "::mlir::arith::ArithDialect"];
}

def LayoutParametersPass : Pass<"layout-parameters", "::mlir::ModuleOp"> {
  let summary = "Give every parameter its place in the artefact";
  let description = [{
    Offsets are assigned in order of first use; unused parameters are erased.
    Precondition: host functions read parameters by rt.parameter.
    Postcondition: rt.parameter has an offset, as has the nn.parameter it names;
    @prepare reads parameters as inputs.
  }];
  let dependentDialects = ["::nacre::rt::RtDialect"];
}

def AnnotateKernelsPass : Pass<"annotate-kernels", "::mlir::ModuleOp"> {
  let summary = "Tell kernels what all their callers guarantee";
  let description = [{
    `llvm.noalias` on a destination that overlaps no other argument in any call.
    Precondition: the arena is planned (rt.arena), kernels are deduplicated.
    Postcondition: the attributes are set.
  }];
}

def SplitHostPass : Pass<"split-host", "::mlir::ModuleOp"> {
  let summary = "Cut long host functions into parts";
  let description = [{
    A part is a private function with the attribute `nacre.part`; it ends the run as
    the whole would. Planned buffers and constants are computed again in each part;
    other values that cross are arguments and results.
    Precondition: host functions on buffers. Postcondition: no block of a host
    function, and no part, has much more than `limit` ops that become code.
  }];
  let options = [Option<"limit", "limit", "int64_t", "96", "Ops of a part">];
}
