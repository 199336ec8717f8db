//===- Report.h - What a model tells of how it was compiled -----*- C++ -*-===//
//
// The model after fusion, its memory plan, and what passes decided of its kernels, for `nacre report`. It is part of
// the provenance, as "report":
//
//   {"functions": [{"name": "main",
//                   "regions": [{"kind": "loop", "parent": -1, "first": 3, "last": 9}],
//                   "buffers": [{"kind": "arena", "type": "1x64xf32", "bytes": 256, "offset": 0, "first": 0, "last": 4}],
//                   "steps":   [{"kernel": 0, "region": -1, "reads": [1], "writes": [0]}]}],
//    "kernels": [[["choose-tiles", "passed", "tiles of 64 x 64"]]]}
//
// A step is a launch of a kernel; `kernel` is its row in the descriptor's table, and `kernels` has a list for each row.
// A buffer is one life of memory, from step `first` to step `last`: `arena` (with its offset), `input`, `output` and
// `parameter` (with a name), `allocated` by the run; -1 bytes: as many as the run says.
//
//===----------------------------------------------------------------------===//
#ifndef NACRE_COMPILER_CODEGEN_REPORT_H
#define NACRE_COMPILER_CODEGEN_REPORT_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/Support/JSON.h"

namespace nacre {
class RemarkLog;
} // namespace nacre

namespace nacre::codegen {

/// A row of the table of kernels: the kernel that runs, and the one that it was formed as, whose code may be another's.
struct ReportedKernel {
  std::string name, formedAs;
};

/// Describes host functions on buffers, each call of whose kernels has the index of its row (`kernel_index`).
llvm::json::Object describe(llvm::ArrayRef<mlir::func::FuncOp> functions, llvm::ArrayRef<ReportedKernel> kernels,
                            const RemarkLog &remarks);

} // namespace nacre::codegen

#endif // NACRE_COMPILER_CODEGEN_REPORT_H
