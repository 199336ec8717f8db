//===- Passes.td - Passes of the lower phase --------------------*- tablegen -*-===//
include "mlir/Pass/PassBase.td"

def NNToLinalgPass : Pass<"nn-to-linalg"> {
  let summary = "Lower nn ops to linalg, tensor, arith and math";
  let description = [{
    One pattern per op, one for all element-wise ops, one for all that the host library
    computes. Unsigned element types become signless, booleans i8 (0 or 1) and strings
    i64 (addresses) in all tensors, at function boundaries too. Works on any op with a body (module, func.func, kern.func).
    Precondition: types inferred; element-wise ops broadcast in static dimensions only.
    Postcondition: no nn op but parameters, their reads and writes, and constant
    strings is left.
  }];
  let dependentDialects = ["::mlir::affine::AffineDialect", "::mlir::arith::ArithDialect",
    "::mlir::bufferization::BufferizationDialect",
    "::mlir::linalg::LinalgDialect", "::mlir::math::MathDialect", "::mlir::scf::SCFDialect",
    "::mlir::tensor::TensorDialect", "::nacre::kern::KernDialect", "::nacre::rt::RtDialect"];
}

def FoldEmptyLoopsPass : Pass<"fold-empty-loops"> {
  let summary = "Remove structured ops on tensors without elements";
  let description = [{
    Precondition: structured ops on tensors. Postcondition: none has an operand that is
    known to have no elements; results are what they started from, as those of a sum
    over nothing.
  }];
}
